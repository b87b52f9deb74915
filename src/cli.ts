// The command line: what operators do by hand. Answers go to standard output, everything else to standard error.
import { existsSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { ConfigError, loadConfig } from './config.ts'
import { listApiKeys, revokeApiKey } from './db/api-keys.ts'
import { type Db, openDb } from './db/client.ts'
import { runningEmbeddedPostgres, startEmbeddedPostgres } from './db/embedded.ts'
import { migrate } from './db/migrate.ts'
import { ServiceError } from './errors.ts'
import { createApiKey, type KeyScope, keyScopes } from './http/api-keys.ts'
import { generateVaultKey } from './vault/keyring.ts'

const usage = `Usage: npm run --silent cli -- COMMAND

  migrate                                     bring the database up to date
  keys create --name N --scope S [--scope S…] [--expires-days D]
                                              make an API key; prints the key, only the key, once
  keys list                                   every key without its secret
  keys revoke ID                              stops working on every replica within 5 s
  vault keygen [--id k1]                      print a new vault key, ready for VAULT_KEYS
  simulator [--port P] […]                    TikTok, offline; \`simulator --help\` says more

Scopes: ${keyScopes.join(', ')}
The database is that of DATABASE_URL or, without it, the embedded one under DATA_DIR.`

/** A mistake in the command's words: shown with the usage. */
class UsageError extends Error {}

async function run(argv: string[]): Promise<void> {
  const [command = 'help', ...rest] = argv
  switch (command) {
    case 'migrate':
      return onDatabase(async (_db, url) => {
        const { applied } = await migrate(url, { onWait: (reason) => say(`waiting for the database: ${reason}`) })
        print(applied === 0 ? 'up to date' : `${applied} migrations applied`)
      })
    case 'keys':
      return keys(rest)
    case 'vault':
      return vault(rest)
    case 'simulator': {
      const { runSimulator } = await import('./simulator/command.ts')
      return runSimulator(rest)
    }
    case 'help':
    case '--help':
    case '-h':
      print(usage)
      return
    default:
      throw new UsageError(`There is no command ${JSON.stringify(command)}.`)
  }
}

async function keys(argv: string[]): Promise<void> {
  const { values, positionals } = parse(argv, {
    name: { type: 'string' },
    scope: { type: 'string', multiple: true },
    'expires-days': { type: 'string' },
  })
  switch (positionals[0]) {
    case 'create': {
      const { name, scope = [], 'expires-days': days } = values
      if (typeof name !== 'string' || name === '' || !Array.isArray(scope) || scope.length === 0)
        throw new UsageError('keys create needs --name and at least one --scope.')
      const scopes = scope.map((text) => {
        const known = keyScopes.find((scope) => scope === text)
        if (!known) throw new UsageError(`There is no scope ${JSON.stringify(text)}.`)
        return known as KeyScope
      })
      if (days !== undefined && !/^[1-9]\d{0,4}$/.test(String(days)))
        throw new UsageError('--expires-days takes a whole number from 1.')
      const expiresAt = days === undefined ? null : new Date(Date.now() + Number(days) * 86_400_000)
      return onDatabase(async (db, url) => {
        await migrate(url)
        const { id, key } = await createApiKey(db, { name, scopes: [...new Set(scopes)], expiresAt })
        say(`${id} was made for ${name}; this is the only time the key is shown`)
        print(key)
      })
    }
    case 'list':
      return onDatabase(async (db) => {
        for (const key of await listApiKeys(db)) {
          const state = key.revokedAt ? 'revoked' : key.live ? 'live' : 'expired'
          print(
            [
              key.id,
              state,
              key.name,
              key.scopes.join(','),
              `made ${day(key.createdAt)}`,
              `expires ${day(key.expiresAt)}`,
              `last used ${day(key.lastUsedAt)}`,
            ].join('\t'),
          )
        }
      })
    case 'revoke': {
      const id = positionals[1]
      if (id === undefined) throw new UsageError('keys revoke needs the id of a key; `keys list` shows them.')
      return onDatabase(async (db) => {
        if (!(await revokeApiKey(db, id)))
          throw new UsageError(`There is no key ${JSON.stringify(id)}; \`keys list\` shows them.`)
        print(`${id} is revoked; every replica refuses it within 5 s`)
      })
    }
    default:
      throw new UsageError('keys knows create, list and revoke.')
  }
}

async function vault(argv: string[]): Promise<void> {
  const { values, positionals } = parse(argv, { id: { type: 'string' } })
  if (positionals[0] !== 'keygen') throw new UsageError('vault knows keygen.')
  print(generateVaultKey(values.id === undefined ? undefined : String(values.id)))
}

/** Works on the configured database; without one, on the embedded server that is running, or on one started for the moment. */
async function onDatabase(work: (db: Db, url: string) => Promise<void>): Promise<void> {
  const config = loadConfig({
    TIKTOK_CLIENT_KEY: 'not-needed',
    TIKTOK_CLIENT_SECRET: 'not-needed-here',
    VAULT_KEYS: 'not-needed',
    ...databaseSettings(),
  })
  const url = config.databaseUrl ?? (await runningEmbeddedPostgres(config.dataDir))
  const embedded = url === undefined ? await startEmbeddedPostgres({ dataDir: config.dataDir, log: say }) : undefined
  const target = url ?? embedded?.url ?? ''
  const db = openDb({ url: target, poolSize: 2, deadlineMs: 60_000, applicationName: 'tiktok-oauth-cli' })
  try {
    await work(db, target)
  } finally {
    await db.close()
    await embedded?.stop()
  }
}

/** Commands on the database need none of TikTok's variables. */
function databaseSettings(): Record<string, string | undefined> {
  const { DATABASE_URL, DATA_DIR } = process.env
  return { DATABASE_URL, DATA_DIR }
}

function parse(argv: string[], options: NonNullable<Parameters<typeof parseArgs>[0]>['options']) {
  try {
    return parseArgs({ args: argv, options: options ?? {}, allowPositionals: true })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : 'The options cannot be read.')
  }
}

const day = (date: Date | null) => date?.toISOString().slice(0, 10) ?? 'never'
const print = (text: string) => process.stdout.write(`${text}\n`)
const say = (text: string) => process.stderr.write(`${text}\n`)

try {
  if (existsSync('.env')) process.loadEnvFile('.env')
  await run(process.argv.slice(2))
} catch (error) {
  if (error instanceof UsageError) say(`${error.message}\n\n${usage}`)
  else if (error instanceof ConfigError) say(error.problems.join('\n'))
  else if (error instanceof ServiceError) say(`${error.code}: ${error.message}`)
  else say(error instanceof Error ? error.message : 'It failed.')
  process.exitCode = 1
}
