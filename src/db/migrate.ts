// Brings a database up to the migrations in drizzle/ and the functions in functions/, however many processes start on it at once (F48).
//
// Drizzle's own migrator takes no lock, and its transaction is one of postgres.js's, which can end the process when the
// connection dies. So the files and the table are Drizzle's, and running them is ours: a lock held by the connection that
// migrates, and each migration sent as one message, which PostgreSQL runs as one transaction.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { readMigrationFiles } from 'drizzle-orm/migrator'
import { ServiceError } from '../errors.ts'
import { type DatabaseLink, readDatabaseUrl } from '../settings/database-url.ts'
import type { Db } from './client.ts'
import { type Connection, openConnection, type Sql } from './connection.ts'
import { faultOf, remedyOf } from './fault.ts'
import {
  functionsInstalled,
  functionsOfYounger,
  functionsToInstall,
  installFunctions,
  isThere,
  type Release,
  readRelease,
} from './install.ts'

export interface MigrateOptions {
  folder?: string
  release?: Release
  /** how long to wait for a server that is still starting */
  waitMs?: number
  /** called with what is being waited for, once for each */
  onWait?: (reason: string) => void
}

const drizzleFolder = fileURLToPath(new URL('../../drizzle', import.meta.url))
/** Any number will do, as long as it never changes and nobody else uses it on this database. */
const lockKey = 7_214_000

/**
 * @returns how many migrations this call applied and how many functions it installed; 0 when a neighbour did it, or there was nothing to do
 * @throws the server's error; migrations before the failing one stay applied, of the failing one nothing does, and functions come last
 * @throws ServiceError storage_unavailable: the database was made by a version that cannot be carried over
 */
export async function migrate(
  database: string | DatabaseLink,
  options: MigrateOptions = {},
): Promise<{ applied: number; installed: number }> {
  const { folder = drizzleFolder, waitMs = 15_000, onWait = () => {} } = options
  const migrations = readMigrationFiles({ migrationsFolder: folder })
  const release = options.release ?? (await readRelease())
  const connection = await connectPatiently(typeof database === 'string' ? { url: database } : database, waitMs, onWait)
  const { sql } = connection
  try {
    const findPending = async () => {
      const applied = await appliedAt(sql)
      refuseForeign(applied, migrations[0]?.folderMillis)
      return {
        migrations: migrations.filter(({ folderMillis }) => !applied.has(folderMillis)),
        functions: await functionsToInstall(sql, release),
      }
    }
    const wanted = await findPending()
    if (wanted.migrations.length + wanted.functions.length === 0) return { applied: 0, installed: 0 }

    await sql.unsafe('set statement_timeout = 0; set lock_timeout = 0') // a migration takes as long as it has to
    const [lock] = await sql`select pg_try_advisory_lock(${lockKey}) as held`
    if (!lock?.held) {
      onWait('another process is migrating the database')
      await sql`select pg_advisory_lock(${lockKey})`
    }
    await sql.unsafe(`
      create schema if not exists drizzle;
      create table if not exists drizzle.__drizzle_migrations (id serial primary key, hash text not null, created_at bigint)`)
    const pending = await findPending() // what was pending before the lock may have been done by its last holder
    for (const { sql: statements, hash, folderMillis } of pending.migrations) {
      const record = `insert into drizzle.__drizzle_migrations (hash, created_at) values ('${hash}', ${folderMillis})`
      await sql.unsafe([...statements, record].join('\n;\n'))
    }
    if (pending.functions.length > 0) await installFunctions(sql, pending.functions, release.version)
    return { applied: pending.migrations.length, installed: pending.functions.length }
  } finally {
    await connection.close() // the lock goes with it
  }
}

/** How a database and this release differ. */
export interface Difference {
  /** names of what `migrate` would apply, and of the functions that it would install */
  migrations: string[]
  functions: string[]
  /** how many migrations, and which functions, are of a release younger than this one */
  newerMigrations: number
  newerFunctions: string[]
}

/**
 * What `migrate` would do; it reads and changes nothing.
 *
 * @throws ServiceError storage_unavailable: the database was made by a version that cannot be carried over
 */
export async function compareWithRelease(
  sql: Sql,
  options: Pick<MigrateOptions, 'folder' | 'release'> = {},
): Promise<Difference> {
  const { folder = drizzleFolder } = options
  const { entries } = await readJournal(folder)
  const release = options.release ?? (await readRelease())
  const applied = await appliedAt(sql)
  refuseForeign(applied, entries[0]?.when)
  const ours = new Set(entries.map(({ when }) => when))
  return {
    migrations: entries.filter(({ when }) => !applied.has(when)).map(({ tag }) => tag),
    functions: (await functionsToInstall(sql, release)).map(({ name }) => name),
    newerMigrations: [...applied].filter((when) => !ours.has(when)).length,
    newerFunctions: await functionsOfYounger(sql, release),
  }
}

/** Whether the database has every migration and function this code was written for; it may have more, during a rollout. */
export async function migrationsApplied(db: Db, options: Pick<MigrateOptions, 'folder' | 'release'> = {}): Promise<boolean> {
  const { folder = drizzleFolder } = options
  const journal = await readJournal(folder)
  const release = options.release ?? (await readRelease())
  return db.run('migrations_applied', async (sql) => {
    const applied = await appliedAt(sql)
    return journal.entries.every(({ when }) => applied.has(when)) && functionsInstalled(sql, release)
  })
}

/** Drizzle's list of migrations: their names, and the times that tell them apart. */
async function readJournal(folder: string): Promise<{ entries: { when: number; tag: string }[] }> {
  return JSON.parse(await readFile(join(folder, 'meta', '_journal.json'), 'utf8'))
}

/** The migrations before 1.0 were replaced by the present ones: a database of theirs has tables of the same names that are not the same. */
function refuseForeign(applied: ReadonlySet<number>, firstOfOurs = 0): void {
  if (![...applied].some((when) => when < firstOfOurs)) return
  throw new ServiceError(
    'storage_unavailable',
    'This database was made by a version before 1.0 and cannot be carried over: name a new one in DATABASE_URL (or DATA_DIR), and connect the accounts anew.',
  )
}

/** Migrations are told apart by the time at which they were generated, as Drizzle does. */
async function appliedAt(sql: Sql): Promise<Set<number>> {
  if (!(await isThere(sql, 'drizzle.__drizzle_migrations'))) return new Set() // nothing has been migrated yet
  const rows = await sql<{ createdAt: number }[]>`select created_at from drizzle.__drizzle_migrations`
  return new Set(rows.map(({ createdAt }) => createdAt))
}

async function connectPatiently(database: DatabaseLink, waitMs: number, onWait: (reason: string) => void): Promise<Connection> {
  const giveUpAtMs = performance.now() + waitMs
  const options = {
    address: readDatabaseUrl(database),
    pooler: database.pooler,
    applicationName: 'tiktok-oauth-service migrate',
    synchronousCommit: 'on',
    statementTimeoutMs: 0,
  } as const
  for (let tries = 1; ; tries++) {
    try {
      return await openConnection(options, 5_000)
    } catch (error) {
      // Wrong credentials or no such database stay wrong; a server that starts, restarts or is full will come.
      if (faultOf(error) === undefined || performance.now() > giveUpAtMs) throw error
      if (tries === 1) onWait(`it takes no connections yet. ${remedyOf(error) ?? ''}`.trim()) // four times a second the same is news once
    }
    await pause(250)
  }
}
