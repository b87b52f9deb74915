// Every command in one table: what `help`, `help COMMAND` and `COMMAND --help` print, and where a command is found. A new one is a line here.
import { keyScopes } from '../access/key-scopes.ts'
import { UsageError } from './terminal.ts'

type Run = (argv: string[]) => Promise<void>

/** A file is loaded when its command is called. */
export const families: Record<string, () => Promise<Run>> = {
  migrate: async () => (await import('./migrate.ts')).migrateNow,
  roles: async () => (await import('./roles.ts')).roles,
  keys: async () => (await import('./keys.ts')).keys,
  vault: async () => (await import('./vault.ts')).vault,
  audit: async () => (await import('./audit.ts')).audit,
  accounts: async () => (await import('./accounts.ts')).accounts,
  journal: async () => (await import('./journal.ts')).journal,
  breaker: async () => (await import('./breaker.ts')).breaker,
  events: async () => (await import('./events.ts')).events,
  notices: async () => (await import('./notices.ts')).notices,
  doctor: async () => (await import('./doctor.ts')).doctor,
  portal: async () => (await import('./portal.ts')).portal,
  simulator: loadSimulator,
}

/** These want to know all that is wrong with `.env`, and read it themselves. */
export const readEnvFileThemselves: ReadonlySet<string> = new Set(['doctor', 'portal'])

/** The words, the options, the sentence. */
const commands: [words: string, options: string, sentence: string][] = [
  ['migrate', '[--check]', 'bring the database up to date; or only say what is pending, with exit code 1 when something is'],
  [
    'roles',
    '[--role tiktok_oauth_service] [--password-stdin]',
    "create the service's role, or give it its rights anew after `migrate`",
  ],
  [
    'keys create',
    '--name N --scope S [--scope S…] [--expires-days D] [--owner-prefix P…] [--account ID…] [--from CIDR…]',
    'create an API key; prints the key, only the key, once',
  ],
  ['keys list', '', 'every key without its secret, and when it was last used'],
  ['keys revoke', 'ID | jwt:SUBJECT | --all-but ID [--all-but ID…]', 'refused on every replica within 5 s'],
  ['keys allow', 'jwt:SUBJECT', 'take back the denial of a JWT caller, or of all of them with jwt:*'],
  ['vault keygen', '[--id k1]', 'print a new vault key, ready for VAULT_KEYS'],
  ['vault reseal', '[--dry-run]', 'move everything sealed to the first key of VAULT_KEYS, while the service runs'],
  [
    'audit reads',
    '[--key ID] [--account ID] [--from T] [--to T] [--json]',
    'every access token that was handed out: when, to whom, whose',
  ],
  [
    'audit changes',
    '[--account ID] [--owner O] [--actor ID] [--from T] [--to T] [--json]',
    'every change to accounts and keys, and who made it',
  ],
  ['audit verify', '', 'whether each closed day of the audit is as it was sealed; exit code 1 if one is not'],
  [
    'accounts disconnect',
    '--owner O | --all [--yes] [--per-second 5]',
    'hands out no token from now on; tells TikTok at that rate',
  ],
  [
    'accounts reconcile',
    '[--dry-run] [--notify] [--per-second 5] [--again] [--json]',
    'after a restore without a journal: tries each account once and says who must come back',
  ],
  ['journal status', '[--json]', 'what is in JOURNAL_DIR, and which journal a recovery waits for'],
  [
    'journal replay',
    '[--accept-missing] [--wait 45] [--json]',
    'bring a restored database up to date from JOURNAL_DIR; go on without journals that are lost',
  ],
  ['journal export', '', 'every entry as a line of JSON, without its secrets'],
  ['journal prune', '[--hours H]', 'drop what is older than JOURNAL_HOURS, or than H'],
  ['breaker status', '[--json]', 'whether refreshes wait because of what TikTok answers, and when it is asked again'],
  ['breaker release', '', 'end that by hand: refusals are believed again, one after the other'],
  ['events endpoints', '', 'who gets events pushed'],
  ['events enable', 'ENDPOINT', 'resume an endpoint that answered 410'],
  ['events dead', '[--limit N]', 'deliveries that failed for good'],
  ['events resend', 'EVENT | --all', 'send them again'],
  ['notices list', '[--unsettled | --unknown] [--limit N]', 'what TikTok told us, and what we did about it'],
  [
    'doctor',
    '[--public] [--timeout 5] [--json]',
    'what is wrong with this deployment, why that matters and what to type; changes nothing; exit code 1 on a fault',
  ],
  [
    'portal',
    '[--json]',
    "what to enter into each field of TikTok's developer portal, from the configuration; needs no database; exit code 1 when something is missing",
  ],
  ['simulator', '[--port P] […]', 'TikTok, offline; `simulator --help` says more'],
]

const database = 'The database is that of DATABASE_URL or, without it, the embedded one under DATA_DIR.'
const wholeConfiguration = 'need the whole configuration of the service'
const footnotes: [of: RegExp, note: string][] = [
  [/--scope/, `Scopes: ${keyScopes.join(', ')}`],
  [/ T\]/, 'T: a date, a time such as 2026-11-22T14:00Z, or how long ago, such as 90m, 2h or 7d.'],
  [/^(?!vault keygen|portal|simulator)/, database],
  [/^(vault reseal|journal|accounts)/, `\`vault reseal\`, \`journal\` and \`accounts\` ${wholeConfiguration}.`],
]

/**
 * @param words of a command or of its family; all commands when there are none
 * @throws UsageError when nothing begins with them
 */
export function usage(words: readonly string[] = []): string {
  const asked = words.filter((word) => !word.startsWith('-')).slice(0, 2)
  const shown = commands.filter(([command]) => asked.every((word, index) => command.split(' ')[index] === word))
  if (shown.length === 0) throw new UsageError(`There is no command ${JSON.stringify(asked.join(' '))}.`)
  const lines = shown.map(([command, options, sentence]) => {
    const call = `  ${command} ${options}`.trimEnd()
    return call.length < 46 ? `${call.padEnd(46)}${sentence}` : `${call}\n${' '.repeat(46)}${sentence}`
  })
  const notes = footnotes.filter(([of]) => shown.some(([command, options]) => of.test(`${command} ${options}`)))
  return `Usage: npm run --silent cli -- COMMAND\n\n${[...lines, '', ...notes.map(([, note]) => note)].join('\n').trimEnd()}`
}

/** Whether the words ask what a command does instead of calling it. */
export function asksForHelp([command = 'help', ...rest]: readonly string[]): boolean {
  return ['help', '--help', '-h'].includes(command) || rest.some((word) => word === '--help' || word === '-h')
}

async function loadSimulator(): Promise<Run> {
  const simulator = await import('tiktok-simulator/command').catch((cause) => {
    throw new Error('The simulator is a development package that is not installed here: run it from a checkout.', { cause })
  })
  return simulator.runSimulator
}
