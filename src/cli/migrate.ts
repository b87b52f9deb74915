// `migrate`: brings the database up to date, for those who do it before the service starts or under another role; or says what that would be.
import { compareWithRelease, migrate } from '../db/migrate.ts'
import { onDatabase, onReading } from './database.ts'
import { nothingMore, parse, print, say, Unfinished } from './terminal.ts'

export async function migrateNow(argv: string[]): Promise<void> {
  const { values, positionals } = parse(argv, { check: { type: 'boolean', default: false } })
  nothingMore(positionals)
  if (values.check) return check()
  return onDatabase(
    async (_db, database) => {
      const { applied, installed } = await migrate(database, { onWait: (reason) => say(`waiting for the database: ${reason}`) })
      print(applied + installed === 0 ? 'up to date' : `${applied} migrations applied, ${installed} functions installed`)
    },
    { migrated: false },
  )
}

/** @throws Unfinished when something is pending, which is listed */
async function check(): Promise<void> {
  const { migrations, functions, newerMigrations, newerFunctions } = await onReading((sql) => compareWithRelease(sql))
  for (const name of migrations) print(`pending migration ${name}`)
  for (const name of functions) print(`pending function ${name}`)
  if (newerMigrations + newerFunctions.length > 0)
    print(
      `the database is newer than this program: ${newerMigrations} migrations and ${newerFunctions.length} functions are of a later release`,
    )
  if (migrations.length + functions.length > 0) {
    say('Run `migrate` as the owner of the tables, then `roles` where the service has a role of its own.')
    throw new Unfinished()
  }
  print('nothing is pending')
}
