// `migrate`: brings the database up to date, for those who do it before the service starts or under another role.
import { migrate } from '../db/migrate.ts'
import { onDatabase } from './database.ts'
import { nothingMore, parse, print, say } from './terminal.ts'

export async function migrateNow(argv: string[]): Promise<void> {
  nothingMore(parse(argv, {}).positionals)
  return onDatabase(
    async (_db, database) => {
      const { applied, installed } = await migrate(database, { onWait: (reason) => say(`waiting for the database: ${reason}`) })
      print(applied + installed === 0 ? 'up to date' : `${applied} migrations applied, ${installed} functions installed`)
    },
    { migrated: false },
  )
}
