// What commands work on: the configured database, or the embedded one under DATA_DIR. Commands that open or seal something or talk
// to TikTok get the same parts as the service.
import type { Parts } from '../app.ts'
import { type Db, openDb, type Sql } from '../db/client.ts'
import { loadEmbeddedPostgres } from '../db/embedded-postgres.ts'
import { openForReading, read } from '../db/examination.ts'
import { migrationsApplied } from '../db/migrate.ts'
import { type Config, databaseLinks, loadConfig } from '../settings/config.ts'
import type { DatabaseLink } from '../settings/database-url.ts'
import { openKeyring } from '../vault/open-keyring.ts'
import { createVault, type Vault } from '../vault/vault.ts'
import { say } from './terminal.ts'

const applicationName = 'tiktok-oauth-cli'

/** The actor in the audit log and the timelines: anybody who has the database's password can run commands. */
export const operator = 'operator'

/**
 * For commands that need none of TikTok's variables and no vault key.
 *
 * @param options.migrated false for those that migrate themselves
 * @throws Error when the database is not up to date
 */
export async function onDatabase(
  work: (db: Db, database: DatabaseLink) => Promise<void>,
  options: { migrated?: boolean } = {},
): Promise<void> {
  await onConfig({ VAULT_KEYS: 'not-needed' }, options, (db, database) => work(db, database))
}

/** For commands that seal something and need none of TikTok's variables. */
export async function onVault(
  work: (db: Db, vault: Vault, database: DatabaseLink) => Promise<void>,
  options: { migrated?: boolean } = {},
): Promise<void> {
  const { VAULT_KEYS, VAULT_KEYS_FILE, VAULT_KEYS_COMMAND } = process.env
  await onConfig({ VAULT_KEYS, VAULT_KEYS_FILE, VAULT_KEYS_COMMAND }, options, async (db, database, config) => {
    await work(db, createVault(await openKeyring(config, say)), database)
  })
}

async function onConfig(
  keys: Record<string, string | undefined>,
  options: { migrated?: boolean },
  work: (db: Db, database: DatabaseLink, config: Config) => Promise<void>,
): Promise<void> {
  const config = databaseConfig(keys)
  await onLinks(config, async ({ direct }) => {
    const db = openDb({ ...direct, poolSize: 2, deadlineMs: 60_000, applicationName })
    try {
      if (options.migrated !== false) await requireMigrated(db)
      await work(db, direct, config)
    } finally {
      await db.close()
    }
  })
}

/**
 * For looking only: over one connection that changes nothing of its session, and no server is started for it.
 *
 * @throws Error when no database is configured and none runs
 */
export async function onReading<T>(work: (sql: Sql) => PromiseLike<T>): Promise<T> {
  const config = databaseConfig({ VAULT_KEYS: 'not-needed' })
  const running =
    config.databaseUrl === undefined
      ? await loadEmbeddedPostgres().then(({ runningEmbeddedPostgres }) => runningEmbeddedPostgres(config.dataDir))
      : undefined
  if (config.databaseUrl === undefined && running === undefined)
    throw new Error(
      'DATABASE_URL is not set, the embedded PostgreSQL is not running, and it is not started only to be looked at: set it, or start the service.',
    )
  const connection = await openForReading(databaseLinks(config, running).direct, 'transaction', 10_000)
  return read(connection, work).finally(() => connection.close())
}

/** What the environment says of the database, and stand-ins for the rest. */
function databaseConfig(keys: Record<string, string | undefined>): Config {
  const { DATABASE_URL, DATABASE_TLS, DATABASE_POOLER, DATABASE_DIRECT_URL, PGPASSWORD, DATA_DIR } = process.env
  const { DATABASE_URL_FILE, DATABASE_DIRECT_URL_FILE, PGPASSWORD_FILE } = process.env
  return loadConfig({
    TIKTOK_CLIENT_KEY: 'not-needed',
    TIKTOK_CLIENT_SECRET: 'not-needed-here',
    ...keys,
    DATABASE_URL,
    DATABASE_TLS,
    DATABASE_POOLER,
    DATABASE_DIRECT_URL,
    PGPASSWORD,
    DATABASE_URL_FILE,
    DATABASE_DIRECT_URL_FILE,
    PGPASSWORD_FILE,
    DATA_DIR,
  })
}

/** For commands that need the service's whole configuration. They log warnings only, to standard error. */
export async function onParts(work: (parts: Parts) => Promise<void>): Promise<void> {
  const [{ openParts }, { createLog }] = await Promise.all([import('../app.ts'), import('../telemetry.ts')])
  const config = loadConfig(process.env)
  const log = createLog('warn', process.stderr)
  await onLinks(config, async ({ usual }) => {
    const opened = await openParts(config, { log, database: usual, applicationName })
    try {
      await requireMigrated(opened.parts.db)
      await work(opened.parts)
    } finally {
      await opened.close()
    }
  })
}

async function requireMigrated(db: Db): Promise<void> {
  if (!(await migrationsApplied(db))) throw new Error('The database is not up to date: run `migrate`, or start the service once.')
}

/** The configured database, the embedded server if it is running, or one started for this command. */
async function onLinks(config: Config, work: (links: ReturnType<typeof databaseLinks>) => Promise<void>): Promise<void> {
  if (config.databaseUrl !== undefined) return work(databaseLinks(config))
  const { runningEmbeddedPostgres, startEmbeddedPostgres } = await loadEmbeddedPostgres()
  const running = await runningEmbeddedPostgres(config.dataDir)
  if (running !== undefined) return work(databaseLinks(config, running))
  const embedded = await startEmbeddedPostgres({ dataDir: config.dataDir, log: say })
  try {
    await work(databaseLinks(config, embedded.url))
  } finally {
    await embedded.stop()
  }
}
