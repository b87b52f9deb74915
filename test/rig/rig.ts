// The fault rig: several real processes of the service, one PostgreSQL behind a TCP proxy, the simulator in this process counting what
// it did with every refresh token. What every reader was told is kept, for the invariants.
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import postgres from 'postgres'
import { type Simulator, type SimulatorOptions, startSimulator } from 'tiktok-simulator'
import { Agent, request } from 'undici'
import { type Db, openDb } from '../../src/db/client.ts'
import { createApiKey, keyScopes } from '../../src/http/api-keys.ts'
import { generateVaultKey, parseKeyring } from '../../src/vault/keyring.ts'
import { createVault, type Vault } from '../../src/vault/vault.ts'
import { ownFolder } from '../folder.ts'
import { startProxy, type TcpProxy } from './proxy.ts'
import { type Replica, startReplica } from './replica.ts'
import { type Seeded, type SeedOptions, type Several, seedAccounts } from './seed.ts'
import { recede } from './time.ts'

interface Scope {
  teardown(work: () => unknown): unknown
}

export const publicUrl = 'http://127.0.0.1:9'
export const returnUrl = 'http://127.0.0.1:5999/return'

/** One answer of the service. Status 0: the process was gone, or hung up. */
export interface Reading {
  accountId: string
  status: number
  code: string | undefined
  degraded: boolean
  ms: number
  /** what a reader must never get: an expired token, or somebody else's */
  wrong: string | undefined
  accessToken: string | undefined
  generation: number | undefined
}

/** A replica, or what stands before several. */
export type Door = Pick<Replica, 'url'>

export interface StartOptions {
  /** undefined takes one away */
  env?: Record<string, string | undefined>
  preloads?: ('failpoints' | 'skewed-clock' | 'as-tiktok')[]
  /** the checkout to run from, when it is another release's */
  root?: string
  /** replicas of one name share a directory over their lives */
  journalDir?: string
  ready?: boolean | 'listening'
}

export interface Rig {
  readonly tiktok: Simulator
  readonly proxy: TcpProxy
  /** past the proxy and the guard: what the operator sees */
  readonly sql: postgres.Sql
  readonly db: Db
  readonly vault: Vault
  readonly dir: string
  readonly accounts: Seeded[]
  readonly readings: Reading[]
  /** everything that must not be found anywhere */
  readonly secrets: string[]
  /** The server came back elsewhere. */
  serverMoved(databaseUrl: string): void
  /** what a process of that name is started with */
  environment(name: string): Record<string, string>
  /** starts another process; the name says whose directory it takes over */
  start(name: string, options?: StartOptions): Promise<Replica>
  seed<N extends number>(options: SeedOptions<N>): Promise<Several<N>>
  seedOne(options?: Omit<SeedOptions, 'count'>): Promise<Seeded>
  /** Watches an account that was connected through the browser. */
  adopt(account: Seeded): void
  /** Reads a token, as the upload service does, and judges what came. */
  read(door: Door, accountId: string, minTtl?: number): Promise<Reading>
  call(
    door: Door,
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<{ status: number; body: Record<string, unknown>; ms: number }>
  metric(replica: Replica, name: string, labels?: string): Promise<number>
  statusOf(accountId: string): Promise<{ status: string; reason: string | null; generation: number | null }>
  /** The service's clock, which is the database's, and TikTok's. */
  timePasses(seconds: number): Promise<void>
  logs(): string
  close(): Promise<void>
}

/**
 * @param databaseUrl migrated or empty; nobody else uses it
 * @param options.makeKey where another release's tables are of another form than ours
 */
export async function startRig(
  t: Scope,
  databaseUrl: string,
  options: { simulator?: SimulatorOptions; rootCertificate?: string; makeKey?: (rig: Rig) => Promise<string> } = {},
): Promise<Rig> {
  const dir = await ownFolder(t, 'rig')
  const tiktok = await startSimulator(options.simulator ?? {})
  const proxy = await startProxy(undefined, databaseUrl)
  const operatorDoor = await startProxy(undefined, databaseUrl) // never cut
  const sql = postgres(operatorDoor.url, {
    max: 4,
    onnotice: () => {},
  })
  const db = openDb({ url: operatorDoor.url, applicationName: 'rig' })
  const vaultKeys = generateVaultKey()
  const vault = createVault(parseKeyring(vaultKeys))
  const connect = options.rootCertificate === undefined ? {} : { connect: { ca: options.rootCertificate } }
  const agent = new Agent({ connections: 512, pipelining: 1, keepAliveTimeout: 2000, ...connect })
  const replicas: Replica[] = []
  const accounts: Seeded[] = []
  const byId = new Map<string, Seeded>()
  const readings: Reading[] = []
  const secrets = [tiktok.clientSecret, vaultKeys.split(':')[1] ?? '']
  let apiKey: Promise<string> | undefined
  const ours = async () => (await createApiKey({ db, vault }, { name: 'rig', scopes: [...keyScopes], expiresAt: null })).key
  const makeKey = options.makeKey ?? ours
  const key = () => {
    apiKey ??= makeKey(rig).then((made) => {
      secrets.push(made.split('_')[2] ?? '')
      return made
    })
    return apiKey
  }

  async function call(door: Door, method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
    const authorization = `Bearer ${await key()}`
    const startedAt = performance.now()
    try {
      const answer = await request(new URL(path, door.url), {
        dispatcher: agent,
        method: method as 'GET',
        headers: { authorization, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
        body: body === undefined ? null : JSON.stringify(body),
        headersTimeout: 40_000,
      })
      const text = await answer.body.text()
      const isJson = /json/.test(String(answer.headers['content-type']))
      return {
        status: answer.statusCode,
        body: (isJson ? JSON.parse(text) : { text }) as Record<string, unknown>,
        ms: performance.now() - startedAt,
      }
    } catch {
      return { status: 0, body: {}, ms: performance.now() - startedAt }
    }
  }

  /** I3: asked of TikTok itself, in the moment the token was received. */
  function wrongWith(accountId: string, accessToken: unknown): string | undefined {
    const grant = typeof accessToken === 'string' ? tiktok.grants.byAccessToken(accessToken) : undefined
    if (!grant) return 'a token that TikTok does not take'
    return grant.openId === byId.get(accountId)?.openId ? undefined : 'a token of another account'
  }

  const environment = (name: string, journalDir = join(dir, name)) => ({
    PORT: '0',
    PUBLIC_URL: publicUrl,
    DATABASE_URL: proxy.url,
    DATA_DIR: join(dir, name),
    JOURNAL_DIR: journalDir,
    VAULT_KEYS: vaultKeys,
    TIKTOK_CLIENT_KEY: tiktok.clientKey,
    TIKTOK_CLIENT_SECRET: tiktok.clientSecret,
    TIKTOK_AUTH_BASE_URL: tiktok.url,
    TIKTOK_API_BASE_URL: tiktok.url,
    ALLOWED_RETURN_URLS: returnUrl,
    RATE_LIMIT_PER_MINUTE: '10000000',
    TIER_LIMITS: 'free:100000',
    LOG_LEVEL: 'trace',
  })

  const rig: Rig = {
    environment,
    tiktok,
    proxy,
    sql,
    db,
    vault,
    dir,
    accounts,
    readings,
    secrets,
    serverMoved(url) {
      proxy.pointAt(url)
      operatorDoor.pointAt(url)
    },
    async start(name, { env = {}, preloads, root, journalDir = join(dir, name), ready } = {}) {
      const replica = await startReplica({
        name,
        logFile: join(dir, `${name}.log`),
        root,
        ...(preloads ? { preloads } : {}),
        ...(ready === undefined ? {} : { ready }),
        env: { ...environment(name, journalDir), ...env },
      })
      replicas.push(replica)
      return replica
    },
    async seedOne(wish = {}) {
      return (await rig.seed({ ...wish, count: 1 }))[0]
    },
    async seed(wish) {
      const seeded = await seedAccounts({ sql, vault, tiktok }, wish)
      accounts.push(...seeded)
      for (const account of seeded) byId.set(account.id, account)
      return seeded
    },
    adopt(account) {
      accounts.push(account)
      byId.set(account.id, account)
    },
    async read(door, accountId, minTtl = 300) {
      const { status, body, ms } = await call(door, 'GET', `/accounts/${accountId}/token?min_ttl=${minTtl}`)
      const accessToken = typeof body.access_token === 'string' ? body.access_token : undefined
      const reading: Reading = {
        accountId,
        status,
        ms,
        code: typeof body.code === 'string' ? body.code : undefined,
        degraded: body.degraded === true,
        wrong: status === 200 ? wrongWith(accountId, accessToken) : undefined,
        accessToken,
        generation: typeof body.generation === 'number' ? body.generation : undefined,
      }
      readings.push(reading)
      return reading
    },
    call,
    async metric(replica, name, labels = '') {
      const { body } = await call(replica, 'GET', '/metrics')
      const line = String(body.text)
        .split('\n')
        .find((text) => text.startsWith(`${name}${labels} `))
      return line === undefined ? 0 : Number(line.slice(line.lastIndexOf(' ') + 1))
    },
    async statusOf(accountId) {
      const [row] = await sql<{ status: string; reason: string | null; generation: number | null }[]>`
        select a.status, a.status_reason as reason, t.generation from accounts a left join token_sets t on t.account_id = a.id where a.id = ${accountId}`
      if (!row) throw new Error(`no such account: ${accountId}`)
      return row
    },
    async timePasses(seconds) {
      tiktok.clock.advance(seconds)
      await recede(sql, seconds)
    },
    logs: () => replicas.map((replica) => replica.logged()).join(''),
    async close() {
      for (const replica of replicas.filter(({ isRunning }) => isRunning)) {
        replica.signal('SIGKILL')
        await replica.ended()
      }
      await agent.destroy()
      await tiktok.close()
      await db.close()
      await sql.end()
      await proxy.close()
      await operatorDoor.close()
      await rm(dir, { recursive: true, force: true })
    },
  }
  t.teardown(() => rig.close())
  return rig
}
