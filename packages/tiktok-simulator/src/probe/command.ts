/** `tiktok-simulator probe`: the questions, asked at a terminal by whoever has a client key of TikTok's. */
import { createInterface } from 'node:readline/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { receiveNotices } from './notices.ts'
import { ask, type Findings } from './questions.ts'

const usage = `tiktok-simulator probe: ask TikTok how it answers what its documentation leaves open

TIKTOK_CLIENT_KEY and TIKTOK_CLIENT_SECRET are read from the environment. It asks you to open addresses in a browser, to agree, and to
paste what the address bar says then, or the text of TikTok's error page. The account is disconnected in the end.

  --redirect-uri URI      one that is registered for the app (required); nothing has to listen there
  --scopes LIST           user.info.basic (default), with commas
  --code-seconds LIST     300,600: after how long a code is tried, one consent each; 0 asks nothing about codes
  --webhook-port N        listen here for notices; the address at TikTok has to lead here, through a tunnel for example
  --webhook-minutes N     60: how long to wait for a notice to come again
  --auth-url, --api-url   https://www.tiktok.com and https://open.tiktokapis.com; a simulator's for a rehearsal
  --help
`

const options = {
  'redirect-uri': { type: 'string' },
  scopes: { type: 'string', default: 'user.info.basic' },
  'code-seconds': { type: 'string', default: '300,600' },
  'webhook-port': { type: 'string' },
  'webhook-minutes': { type: 'string', default: '60' },
  'auth-url': { type: 'string', default: 'https://www.tiktok.com' },
  'api-url': { type: 'string', default: 'https://open.tiktokapis.com' },
  help: { type: 'boolean', default: false },
} as const

/** @throws Error that says what is missing, or what TikTok refuses */
export async function runProbe(argv: string[], env: NodeJS.ProcessEnv = process.env): Promise<void> {
  const { values } = parseArgs({ args: argv, options })
  if (values.help) return void process.stdout.write(usage)
  const { TIKTOK_CLIENT_KEY: clientKey, TIKTOK_CLIENT_SECRET: clientSecret } = env
  const redirectUri = values['redirect-uri']
  if (!clientKey || !clientSecret) throw new Error('TIKTOK_CLIENT_KEY and TIKTOK_CLIENT_SECRET have to be in the environment.')
  if (!redirectUri) throw new Error('--redirect-uri is missing: one that is registered for the app.')

  const port = values['webhook-port']
  const notices = port && (await receiveNotices(clientSecret, Number(port), Number(values['webhook-minutes']) * 60_000))
  if (notices) process.stdout.write(`Notices are taken at port ${notices.port}.\n`)
  const terminal = createInterface({ input: process.stdin })
  const lines = terminal[Symbol.asyncIterator]()
  try {
    const findings = await ask(
      {
        clientKey,
        clientSecret,
        redirectUri,
        scopes: values.scopes,
        authUrl: values['auth-url'],
        apiUrl: values['api-url'],
      },
      {
        open: async (address, why) => {
          process.stdout.write(`\nOpen this (${why}):\n\n${address}\n\nWhat the address bar says now, or the page: `)
          const { value } = await lines.next()
          if (value === undefined) throw new Error('There is nobody to open it.')
          return String(value).trim()
        },
        wait: (seconds) => pause(seconds * 1000),
        now: Date.now,
        say: (line) => void process.stdout.write(`${line}\n`),
        notices: notices || undefined,
        codeSeconds: values['code-seconds'].split(',').map(Number).filter(Boolean),
      },
    )
    process.stdout.write(report(findings))
  } finally {
    terminal.close()
    if (notices) await notices.close()
  }
}

export function report({ settings, variables, notes }: Findings): string {
  return `
The simulator, as TikTok was for this app:

  tiktok-simulator --settings '${JSON.stringify(settings)}'

The service:

${Object.entries(variables)
  .map(([name, value]) => `  ${name}=${value}`)
  .join('\n')}

${notes.map((note) => `- ${note}`).join('\n')}
`
}
