// `npm run demo`: everything a click path needs, on one machine, with nothing configured. PostgreSQL (the service's own default), TikTok's
// simulator, the service and an example web app, as real processes. The data stays in .data/demo; Ctrl-C ends all.
import { readFileSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { defaultSettings } from 'tiktok-simulator/settings'
import { variables } from '../src/settings/variables.ts'
import { runningEmbeddedPostgres } from '../tools/embedded-postgres/embedded.ts'
import { type Child, startChild } from './demo/child.ts'
import { controlToken, cookieSecret, keysFor } from './demo/keys.ts'
import { freePort } from './demo/ports.ts'

const { values: options } = parseArgs({
  options: {
    data: { type: 'string', default: resolve(import.meta.dirname, '../.data/demo') },
    /** web app, service, simulator; 0 takes any free one */
    ports: { type: 'string', default: '5050,3000,4500' },
  },
})
/** What a visitor may set: where events are pushed to. All else of the machine's is for the machine's own service. */
const honoured = ['EVENT_WEBHOOKS']
/** npm passes on a Ctrl-C that the terminal has sent already: two within this time are one. */
const sameSignalMs = 1_000

const dataDir = resolve(options.data)
const startedAt = performance.now()
const children: Child[] = []
let endingSince: number | undefined

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (endingSince !== undefined && performance.now() - endingSince > sameSignalMs) process.exit(1) // the children notice and end too
    void end(0)
  })
}
// A closed terminal or pipe is no reason to leave the children alone.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
endWithNpm()

try {
  await start()
} catch (error) {
  if (endingSince === undefined) {
    console.error(`\n${error instanceof Error ? error.message : error}`)
    void end(1)
  }
}

async function start(): Promise<void> {
  await mkdir(join(dataDir, 'log'), { recursive: true, mode: 0o700 })
  const addressFile = join(dataDir, 'address')
  if (await runningEmbeddedPostgres(dataDir)) {
    const address = await readFile(addressFile, 'utf8').catch(() => '')
    throw new Error(`This demo is running already${address && ` at ${address.trim()}`}; if it is just ending, try again.`)
  }
  await rm(addressFile, { force: true }) // an earlier run's
  say('Starting the TikTok OAuth service with everything around it. The first time takes a few seconds longer.\n')
  const ignored = Object.keys(variables.shape).filter((name) => process.env[name] && !honoured.includes(name))
  if (ignored.length > 0) say(`  Set here, and not for the demo: ${ignored.join(', ')}. Only ${honoured.join()} is honoured.\n`)

  const [webAppPort = 0, servicePort = 0, simulatorPort = 0] = options.ports.split(',').map(Number)
  const webApp = `http://127.0.0.1:${await freePort(webAppPort)}`
  const service = `http://127.0.0.1:${await freePort(servicePort)}`
  const simulator = `http://127.0.0.1:${await freePort(simulatorPort)}`
  const portOf = (url: string) => new URL(url).port

  const tiktok = run('simulator', [
    'src/cli.ts',
    'simulator',
    ...['--port', portOf(simulator), '--app-name', 'Example app'],
    ...['--redirect-uri', `${service}/callback`, '--webhook-url', `${service}/webhooks/tiktok`],
    // With a sign of equality: one token in 64 begins with a dash, which would be read as an option.
    ...['--state', join(dataDir, 'simulator.json'), `--control-token=${await controlToken(dataDir)}`],
  ])
  const oauth = run('service', ['src/main.ts'], {
    PORT: portOf(service),
    PUBLIC_URL: service,
    DATA_DIR: dataDir,
    TIKTOK_CLIENT_KEY: defaultSettings.client_key,
    TIKTOK_CLIENT_SECRET: defaultSettings.client_secret,
    TIKTOK_AUTH_BASE_URL: simulator,
    TIKTOK_API_BASE_URL: simulator,
    ALLOWED_RETURN_URLS: `${webApp}/tiktok/return`,
    ...Object.fromEntries(honoured.map((name) => [name, process.env[name] ?? ''])),
  })
  await Promise.all([
    tiktok.ready(`${simulator}/_sim/health`).then(() => tell('TikTok simulator', simulator)),
    oauth.ready(`${service}/health/ready`).then(() => tell('service, with its PostgreSQL', service)),
  ])
  const keys = await keysFor(service, dataDir)
  const app = run('web app', ['examples/web-app/main.ts'], {
    PORT: portOf(webApp),
    SERVICE_URL: service,
    TIKTOK_URL: simulator,
    WEB_APP_KEY: keys['web-app'].key,
    UPLOAD_KEY: keys['upload-service'].key,
    COOKIE_SECRET: await cookieSecret(dataDir),
  })
  await app.ready(`${webApp}/health`)
  tell('example web app', webApp)
  await writeFile(addressFile, `${webApp}\n`)

  const keyFile = shortest(keys.you.file)
  say(`
  Open  ${webApp}

  Log in as Ada, press Connect TikTok, choose somebody, allow; then fetch a token, disconnect, connect again.

  More to see
    ${`${simulator}/`.padEnd(31)} the people at the simulated TikTok, and what they allowed (remove the app there)
    ${`${service}/docs`.padEnd(31)} the API, to be read and tried
    curl -s ${service}/accounts -H "authorization: Bearer $(cat ${keyFile})"

  Ctrl-C ends everything; the data stays in ${shortest(dataDir)} and is there again at the next start.
`)
}

/** Starts one of the programs; whatever this machine has configured for the service is not the demo's. */
function run(name: string, argv: string[], env: Record<string, string> = {}): Child {
  if (endingSince !== undefined) throw new Error('The demo is ending')
  // Empty counts as unset, and keeps a .env file from setting it.
  const unset = Object.fromEntries(Object.keys(variables.shape).map((variable) => [variable, '']))
  const child = startChild(name, argv, { env: { ...unset, ...env }, logFolder: join(dataDir, 'log') })
  children.push(child)
  child.ended.then((how) => {
    if (endingSince !== undefined) return
    console.error(`\nThe ${name} ended (${how}); its log is in ${join(dataDir, 'log')}. Ending the rest.`)
    void end(1)
  })
  return child
}

/** What was started last ends first: the service still has TikTok while it finishes what it is at. */
async function end(exitCode: 0 | 1): Promise<void> {
  if (endingSince !== undefined) return
  endingSince = performance.now()
  if (exitCode === 0) say('\nEnding …')
  for (const child of children.toReversed()) await child.stop()
  process.exit(exitCode)
}

/**
 * A killed npm cannot pass on anything, and nobody would know that the demo is still there. Between npm and us there may be a shell, which lives on
 * then; where there is none, our parent's parent is whoever typed the command, and may leave (`nohup npm run demo &`).
 */
function endWithNpm(): void {
  if (process.env.npm_lifecycle_event === undefined || process.platform === 'win32') return
  const forebears = () => {
    const parent = processOf(process.ppid)
    return /^\w*sh$/.test(parent?.name ?? '') ? `${process.ppid}, ${parent?.ppid}` : `${process.ppid}`
  }
  const atStart = forebears()
  setInterval(() => forebears() !== atStart && void end(0), 500).unref()
}

/** @returns undefined where the system does not tell in a file; its shell steps aside for the command there */
function processOf(pid: number): { name: string; ppid: string } | undefined {
  try {
    const [, name = '', ppid = ''] = /\((.*)\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? []
    return { name, ppid }
  } catch {
    return undefined
  }
}

function tell(what: string, where: string): void {
  say(`  ${((performance.now() - startedAt) / 1000).toFixed(1).padStart(4)} s  ${what.padEnd(30)} ${where}`)
}

function shortest(path: string): string {
  const near = relative(process.cwd(), path)
  return near === '' || near.startsWith('..') ? path : near
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
