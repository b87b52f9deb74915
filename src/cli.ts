// The command line: what operators do by hand. Each family of commands is a file in cli/, loaded when it is needed.
import { print, say, Unfinished, UsageError } from './cli/terminal.ts'
import { ConfigError } from './config.ts'
import { readEnvFile } from './env-file.ts'
import { ServiceError } from './errors.ts'
import { keyScopes } from './key-scopes.ts'

const usage = `Usage: npm run --silent cli -- COMMAND

  migrate                                     bring the database up to date
  roles [--role tiktok_oauth_service] [--password-stdin]
                                              create the service's role, or give it its rights anew after \`migrate\`
  keys create --name N --scope S [--scope S…] [--expires-days D] [--owner-prefix P…] [--account ID…] [--from CIDR…]
                                              create an API key; prints the key, only the key, once
  keys list                                   every key without its secret, and when it was last used
  keys revoke ID | --all-but ID [--all-but ID…]
                                              refused on every replica within 5 s
  vault keygen [--id k1]                      print a new vault key, ready for VAULT_KEYS
  vault reseal [--dry-run]                    move everything sealed to the first key of VAULT_KEYS, while the service runs
  audit reads [--key ID] [--account ID] [--from T] [--to T] [--json]
                                              every access token that was handed out: when, to whom, whose
  audit changes [--account ID] [--owner O] [--actor ID] [--from T] [--to T] [--json]
                                              every change to accounts and keys, and who made it
  accounts disconnect --owner O | --all [--yes] [--per-second 5]
                                              hands out no token from now on; tells TikTok at that rate
  events endpoints | enable ENDPOINT          who gets events pushed; resume one that answered 410
  events dead | resend EVENT | resend --all   deliveries that failed for good; send them again
  notices list [--unsettled | --unknown]      what TikTok told us, and what we did about it
  simulator [--port P] […]                    TikTok, offline; \`simulator --help\` says more

Scopes: ${keyScopes.join(', ')}
T: a date, a time such as 2026-11-22T14:00Z, or how long ago, such as 90m, 2h or 7d.
The database is that of DATABASE_URL or, without it, the embedded one under DATA_DIR. \`vault reseal\` and \`accounts disconnect\`
need the whole configuration of the service.`

async function run(argv: string[]): Promise<void> {
  const [command = 'help', ...rest] = argv
  switch (command) {
    case 'migrate':
      return (await import('./cli/migrate.ts')).migrateNow(rest)
    case 'roles':
      return (await import('./cli/roles.ts')).roles(rest)
    case 'keys':
      return (await import('./cli/keys.ts')).keys(rest)
    case 'vault':
      return (await import('./cli/vault.ts')).vault(rest)
    case 'audit':
      return (await import('./cli/audit.ts')).audit(rest)
    case 'accounts':
      return (await import('./cli/accounts.ts')).accounts(rest)
    case 'events':
      return (await import('./cli/events.ts')).events(rest)
    case 'notices':
      return (await import('./cli/notices.ts')).notices(rest)
    case 'simulator':
      return (await loadSimulator()).runSimulator(rest)
    case 'help':
    case '--help':
    case '-h':
      print(usage)
      return
    default:
      throw new UsageError(`There is no command ${JSON.stringify(command)}.`)
  }
}

async function loadSimulator() {
  return import('tiktok-simulator/command').catch((cause) => {
    throw new Error('The simulator is a development package that is not installed here: run it from a checkout.', {
      cause,
    })
  })
}

// The reader has closed the pipe, as in `audit reads … | head`.
process.stdout.on('error', () => process.exit())

try {
  readEnvFile()
  await run(process.argv.slice(2))
} catch (error) {
  if (error instanceof UsageError) say(`${error.message}\n\n${usage}`)
  else if (error instanceof ConfigError) say(error.problems.join('\n'))
  else if (!(error instanceof Unfinished)) {
    const { remedyOf } = await import('./db/fault.ts')
    const sentence = remedyOf(error) ?? (error instanceof Error ? error.message : 'It failed.')
    say(error instanceof ServiceError ? `${error.code}: ${sentence}` : sentence)
  }
  process.exitCode = 1
}
