// `npm run others`: TikTok clients that others wrote, as they come from npm, against the simulator under TikTok's own names. Writes what
// came of it into docs/simulator.md; with `--check` it only says whether that is still so, as .ci/run asks. Without a registry it is not made.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startSimulator } from '../src/server.ts'
import { install } from './registry.ts'

const page = join(import.meta.dirname, '../../../docs/simulator.md')
const steps = ['connect', 'user info', 'refresh', 'revoke', 'wrong code', 'dead refresh token']
/** The file of each, what it is called in the table, and how it is built or configured. */
const clients: [file: string, called: string, variant?: string, reads?: 'no proxy variables'][] = [
  ['arctic', ''],
  ['better-auth', 'its default scope'],
  ['auth-core', 'its defaults'],
  ['passport-tiktok-auth', ''],
  ['nuxt-auth-utils', 'in production', 'production'],
  ['nuxt-auth-utils', 'in development', 'dev'],
  ['simple-oauth2', "TikTok's names configured", '', 'no proxy variables'],
  ['oauth4webapi', 'as it is', 'bare'],
  ['oauth4webapi', 'its hook takes the charset off', 'hooked'],
]
/** Three minutes are enough for one that hangs on a machine that is busy. */
const patienceMs = 180_000

const { dependencies } = JSON.parse(await readFile(join(import.meta.dirname, 'package.json'), 'utf8')) as {
  dependencies: Record<string, string>
}
const notThere = await clientsInstalled()
if (notThere === undefined) await record(await rows())
else console.log(`NOT MADE: ${notThere}\nothers: 0 passed, 0 failed, ${clients.length} not made`)

async function rows(): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'tiktok-others-'))
  const certificate = join(folder, 'ca.pem')
  try {
    const made: string[] = []
    for (const client of clients) made.push(await row(certificate, ...client))
    return made
  } finally {
    await rm(certificate, { force: true })
    await rm(folder, { recursive: true })
  }
}

async function clientsInstalled(): Promise<string | undefined> {
  const folder = join(import.meta.dirname, 'node_modules')
  if (existsSync(folder)) return undefined
  const reason = await install(import.meta.dirname, 'ci')
  // A folder that is half full would pass for a full one.
  if (reason !== undefined) await rm(folder, { recursive: true, force: true })
  return reason
}

/** Each has a TikTok of its own. */
async function row(
  certificate: string,
  file: string,
  called: string,
  variant = '',
  reads?: 'no proxy variables',
): Promise<string> {
  const simulator = await startSimulator({ asTikTok: {} })
  await writeFile(certificate, simulator.asTikTok?.authority ?? '')
  const way =
    reads === undefined
      ? { NODE_USE_ENV_PROXY: '1', HTTPS_PROXY: simulator.url, NO_PROXY: '127.0.0.1' }
      : { TIKTOK_SIMULATOR: `127.0.0.1:${simulator.asTikTok?.tlsPort}` }
  const preload = reads === undefined ? [] : ['--import', join(import.meta.dirname, '../src/preload.ts')]
  const child = spawn(process.execPath, [...preload, join(import.meta.dirname, 'clients', `${file}.mjs`)], {
    env: {
      PATH: process.env.PATH,
      VARIANT: variant,
      CLIENT_KEY: simulator.clientKey,
      CLIENT_SECRET: simulator.clientSecret,
      SIMULATOR: simulator.url,
      ...way,
      NODE_EXTRA_CA_CERTS: certificate,
      NODE_NO_WARNINGS: '1',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: patienceMs,
  })
  const outcomes = new Map<string, string>()
  for await (const line of child.stdout.setEncoding('utf8')) {
    for (const text of String(line).split('\n').filter(Boolean)) {
      const { step, outcome } = JSON.parse(text) as { step: string; outcome: string }
      outcomes.set(step, outcome.replaceAll('|', '\\|'))
    }
  }
  await simulator.close()
  const name = file === 'auth-core' ? '@auth/core' : file
  const title = `${name} ${dependencies[name]}${called && `, ${called}`}`
  return `| ${[title, ...steps.map((step) => outcomes.get(step) ?? '')].join(' | ')} |`
}

async function record(rows: readonly string[]): Promise<void> {
  const table = ['', `| client | ${steps.join(' | ')} |`, `|---${'|---'.repeat(steps.length)}|`, ...rows, ''].join('\n')
  const text = await readFile(page, 'utf8')
  const written = text.replace(/(?<=<!-- others -->\n).*?(?=\n<!-- \/others -->)/s, table)
  console.log(table)
  const before = new Set(text.split('\n'))
  const changed = rows.filter((one) => !before.has(one))
  // A row too many, or another head, is no row that changed.
  const failed = text === written ? 0 : Math.max(1, changed.length)
  if (!process.argv.includes('--check')) await writeFile(page, written)
  else if (failed > 0) process.exitCode = 1
  console.log(`others: ${rows.length - changed.length} passed, ${failed} failed`)
}
