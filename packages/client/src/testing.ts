// For your own tests: the real service with a PostgreSQL of its own, and TikTok's simulator, as processes on this machine. Nobody's TikTok
// account is needed, and nothing is left afterwards.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { TikTokAccounts } from './client.ts'
import { pause } from './waiting.ts'
import type { Account } from './wire.ts'

export interface TestingOptions {
  /** a checkout of the service with its packages installed; unless said, what TIKTOK_OAUTH_SERVICE names */
  service?: string | undefined
  /** more of the service's variables, such as EVENT_WEBHOOKS */
  env?: Record<string, string> | undefined
  /** where your app has people come back to */
  returnUrl?: string | undefined
}

export interface TestingService {
  url: string
  /** a client with a key that may do everything */
  client: TikTokAccounts
  key: string
  returnUrl: string
  tiktok: {
    url: string
    /** A call of the simulator's control API (docs/simulator.md), such as `control('POST', 'faults', {…})`. */
    control(method: string, path: string, body?: unknown): Promise<unknown>
  }
  /** A key for one of your programs. */
  newKey(...scopes: string[]): Promise<string>
  /** Walks somebody through TikTok, to the address that your app is called with. */
  walk(authorizeUrl: string, decision?: Decision): Promise<string>
  /** The whole connect: an account to work with. */
  connect(options?: { ownerId?: string } & Decision): Promise<Account>
  close(): Promise<void>
}

export interface Decision {
  /** one of the simulator's people, mara unless said */
  person?: string
  decline?: string[]
  deny?: boolean
}

const scopes = [
  'connect:write',
  'accounts:read',
  'accounts:write',
  'tokens:read',
  'quota:write',
  'owners:write',
  'events:read',
  'audit:read',
]
/** A first start makes a database. */
const startingMs = 90_000

/** @throws Error with a process's last words when it does not start */
export async function startTesting(options: TestingOptions = {}): Promise<TestingService> {
  const folder = options.service ?? process.env.TIKTOK_OAUTH_SERVICE ?? ''
  if (!existsSync(join(folder, 'src', 'main.ts')))
    throw new Error('service: name the folder of the TikTok OAuth service, here or in TIKTOK_OAUTH_SERVICE.')
  const returnUrl = options.returnUrl ?? 'http://127.0.0.1:5050/tiktok/return'
  const [url, tiktokUrl] = [await freeAddress(), await freeAddress()]
  const dataDir = await mkdtemp(join(tmpdir(), 'accounts-testing-'))
  const env: NodeJS.ProcessEnv = {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    DATABASE_URL: '',
    DATA_DIR: dataDir,
    PORT: new URL(url).port,
    PUBLIC_URL: url,
    TIKTOK_CLIENT_KEY: 'awsimulator00001',
    TIKTOK_CLIENT_SECRET: 'SimulatorSecretNotForProduction1',
    TIKTOK_AUTH_BASE_URL: tiktokUrl,
    TIKTOK_API_BASE_URL: tiktokUrl,
    ALLOWED_RETURN_URLS: returnUrl,
    DEFAULT_TIER: 'business',
    ...options.env,
  }
  const cli = (...argv: string[]) => promisify(execFile)(nodeOf(folder), ['src/cli.ts', ...argv], { cwd: folder, env })
  const newKey = async (...wanted: string[]) =>
    (await cli('keys', 'create', '--name', 'testing', ...wanted.flatMap((scope) => ['--scope', scope]))).stdout.trim()
  const control: TestingService['tiktok']['control'] = async (method, path, body) => {
    const answer = await fetch(`${tiktokUrl}/_sim/${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    return answer.json().catch(() => undefined)
  }

  const running: Running[] = []
  const close = async () => {
    for (const child of running.reverse()) await child.stop()
    await rm(dataDir, { recursive: true, force: true })
  }
  try {
    const simulator = ['src/cli.ts', 'simulator', '--port', new URL(tiktokUrl).port, '--webhook-url', `${url}/webhooks/tiktok`]
    running.push(run(simulator, { folder, env }), run(['src/main.ts'], { folder, env }))
    await Promise.all([running[0]?.ready(`${tiktokUrl}/_sim/health`), running[1]?.ready(`${url}/health/ready`)])
    const key = await newKey(...scopes)
    const client = new TikTokAccounts({ url, key })
    const walk: TestingService['walk'] = (authorizeUrl, decision = {}) => walkThrough(authorizeUrl, decision, control)
    return {
      url,
      client,
      key,
      returnUrl,
      tiktok: { url: tiktokUrl, control },
      newKey,
      walk,
      async connect({ ownerId = 'user_42', ...decision } = {}) {
        const wish = { ownerId, returnUrl, accountType: 'creator', ageConfirmed: true } as const
        const { authorizeUrl } = await client.connectSessions.open(wish)
        return client.connectSessions.complete(await walk(authorizeUrl, decision), { ownerId })
      },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** The browser: it keeps one cookie, and goes to TikTok and back. */
async function walkThrough(
  authorizeUrl: string,
  decision: Decision,
  control: TestingService['tiktok']['control'],
): Promise<string> {
  const out = await fetch(authorizeUrl, { redirect: 'manual' })
  const cookie = out.headers
    .getSetCookie()
    .map((line) => line.split(';')[0])
    .join('; ')
  const asked = { authorize_url: out.headers.get('location'), person: 'mara', ...decision }
  const decided = (await control('POST', 'authorize', asked)) as { redirect_to?: string } | undefined
  if (decided?.redirect_to === undefined) throw new Error(`The simulator did not go on: ${JSON.stringify(decided)}`)
  const back = await fetch(decided.redirect_to, { redirect: 'manual', headers: { cookie } })
  const returnedTo = back.headers.get('location')
  if (returnedTo === null) throw new Error(`The callback answered ${back.status}: ${await back.text()}`)
  return returnedTo
}

interface Running {
  ready(url: string): Promise<void>
  stop(): Promise<void>
}

function run(argv: string[], { folder, env }: { folder: string; env: NodeJS.ProcessEnv }): Running {
  const child: ChildProcess = spawn(nodeOf(folder), argv, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (data) => (said = `${said}${data}`.slice(-4_000)))
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const kill = () => void child.kill('SIGKILL')
  process.once('exit', kill) // a test that ends without `close` leaves nothing running
  return {
    async ready(url) {
      const giveUp = AbortSignal.timeout(startingMs)
      for (;;) {
        const answer = await fetch(url, { signal: giveUp }).catch(() => undefined)
        await answer?.body?.cancel()
        if (answer?.ok) return
        if (giveUp.aborted || child.exitCode !== null)
          throw new Error(`${argv.join(' ')} did not start. Its last words:\n${said}`)
        await pause(100)
      }
    },
    async stop() {
      child.kill('SIGTERM')
      const insist = setTimeout(kill, 15_000)
      await ended
      clearTimeout(insist)
      process.removeListener('exit', kill)
    },
  }
}

/** The service brings the Node that it needs; this client is content with an older one. */
function nodeOf(folder: string): string {
  const own = join(folder, 'node_modules', '.bin', 'node')
  return existsSync(own) ? own : process.execPath
}

async function freeAddress(): Promise<string> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise<void>((resolve) => server.close(() => resolve()))
  return `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
}
