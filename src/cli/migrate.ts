// `migrate`: brings the database up to date, for those who do it before the service starts or under another role.
import { migrate } from '../db/migrate.ts'
import { onDatabase } from './database.ts'
import { print, say } from './terminal.ts'

export async function migrateNow(): Promise<void> {
  return onDatabase(async (_db, url) => {
    const { applied } = await migrate(url, { onWait: (reason) => say(`waiting for the database: ${reason}`) })
    print(applied === 0 ? 'up to date' : `${applied} migrations applied`)
  })
}
