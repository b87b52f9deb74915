// How fast access tokens are handed out: authentication, audit row and decryption beside a bare route that only selects the
// row, in one run, in turn. `npm run bench -- vend [--seconds 5] [--rounds 5] [--accounts 1000] [--connections 50]`
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import autocannon from 'autocannon'
import { openDb } from '../src/db/client.ts'
import { migrate } from '../src/db/migrate.ts'
import { createApiKey } from '../src/http/api-keys.ts'
import { newId } from '../src/ids.ts'
import { sealExpiry, sealIdentity } from '../src/vault/deciding-rows.ts'
import { generateVaultKey, parseKeyring } from '../src/vault/keyring.ts'
import { createVault } from '../src/vault/vault.ts'
import { startEmbeddedPostgres } from '../tools/embedded-postgres/embedded.ts'
import { cpuMs, postgresCpuMs } from './processes.ts'
import { record } from './results.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '5' },
    accounts: { type: 'string', default: '1000' },
    connections: { type: 'string', default: '50' },
  },
})
const [seconds, rounds, accounts] = [Number(values.seconds), Number(values.rounds), Number(values.accounts)]

const dataDir = await mkdtemp(join(tmpdir(), 'tts-bench-'))
const postgres = await startEmbeddedPostgres({ dataDir })
await migrate(postgres.url)
const db = openDb({ url: postgres.url })
const vaultKeys = generateVaultKey()
const vault = createVault(parseKeyring(vaultKeys))

console.error(`seeding ${accounts} accounts …`)
const ids = Array.from({ length: accounts }, () => newId('acc'))
await db.run('seed', (sql) => sql`insert into owners (id) values ('bench')`)
for (const id of ids) {
  await db.run(
    'seed',
    (sql) => sql`
      with account as (
        insert into accounts (id, owner_id, open_id, sealed_identity, status, account_type, attested_at, attestation_version, age_confirmed_at, scopes)
        values (${id}, 'bench', ${id}, ${sealIdentity(vault, { accountId: id, openId: id, ownerId: 'bench' })}, 'active', 'creator', now(), 'bench', now(), ${['user.info.basic', 'video.upload']}) returning id
      )
      insert into token_sets (account_id, generation, client_key, sealed_access_token, sealed_refresh_token, sealed_expiry, access_expires_at, refresh_expires_at, lifetime_seconds, saved_attempt_id, due_at)
      select id, 1, 'bench', ${vault.seal({ purpose: 'access_token', subject: id, generation: 1 }, `act.${id}${id}${id}`)}, 'unused', ${sealExpiry(vault, id, 1, new Date(Date.now() + 2 * 86_400_000))}, now() + interval '1 day', now() + interval '90 days', 86400, 'seed', now() + interval '1 day'
      from account`,
  )
}
const { key } = await createApiKey({ db, vault }, { name: 'bench', scopes: ['tokens:read'], expiresAt: null })

const env = {
  ...process.env,
  DATABASE_URL: postgres.url,
  DATA_DIR: join(dataDir, 'service'),
  VAULT_KEYS: vaultKeys,
  PORT: '0',
  LOG_LEVEL: 'info',
  RATE_LIMIT_PER_MINUTE: '10000000',
  TIKTOK_CLIENT_KEY: 'bench_client_key',
  TIKTOK_CLIENT_SECRET: 'BenchSecretNotUsed1',
  TIKTOK_AUTH_BASE_URL: 'http://127.0.0.1:9',
  TIKTOK_API_BASE_URL: 'http://127.0.0.1:9',
}
const children: ChildProcess[] = []
const middle = (list: number[]) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)] ?? 0
const sides = {
  bare: await startSide('bench/bare.ts', (line) => line),
  vend: await startSide('src/main.ts', (line) => (JSON.parse(line) as { url?: string }).url),
}
const [backend] = await db.run('pid', (sql) => sql<{ pid: number }[]>`select pg_backend_pid() as pid`)
let handedOut = 0

for (const side of Object.values(sides)) await run(side, 2, Number(values.connections))
for (const connections of [Number(values.connections), 1]) {
  const results = { bare: [] as Measured[], vend: [] as Measured[] }
  for (let round = 1; round <= rounds; round++) {
    // In turn, and each first as often: what the machine does meanwhile meets both.
    for (const side of round % 2 === 0 ? (['vend', 'bare'] as const) : (['bare', 'vend'] as const))
      results[side].push(await run(sides[side], seconds, connections))
    console.error(
      `round ${round} of ${rounds}: bare ${results.bare.at(-1)?.rate ?? 0}/s, vend ${results.vend.at(-1)?.rate ?? 0}/s`,
    )
  }
  const of = (side: 'bare' | 'vend', key: keyof Measured) => middle(results[side].map((each) => each[key]))
  const ratios = results.vend.map(({ rate }, i) => rate / (results.bare[i]?.rate ?? 0))
  console.log(`\n${connections} connection${connections === 1 ? '' : 's'}, medians of ${rounds} rounds`)
  for (const side of ['bare', 'vend'] as const)
    console.log(
      `  ${side}: ${of(side, 'rate')} requests/s, p50 ${of(side, 'p50Ms')} ms, p99 ${of(side, 'p99Ms')} ms, processor per request: ${of(side, 'serviceUs')} µs, PostgreSQL ${of(side, 'postgresUs')} µs`,
    )
  const about = connections === 1 ? '1 connection' : `${connections} connections`
  record('vend', 'ratio', `tokens beside a bare select, ${about}`, middle(ratios))
  record('vend', '1/s', `tokens, ${about}`, of('vend', 'rate'))
  record('vend', 'ms', `99 % of the tokens within, ${about}`, of('vend', 'p99Ms'))
  record('vend', 'µs', `processor of the service for a token, ${about}`, of('vend', 'serviceUs'))
  record('vend', 'µs', `processor of PostgreSQL for a token, ${about}`, of('vend', 'postgresUs'))
  console.log(`  ratio ${middle(ratios).toFixed(2)} (${ratios.map((ratio) => ratio.toFixed(2)).join(', ')})`)
}
const [audited] = await db.run('count', (sql) => sql<{ count: number }[]>`select count(*)::int as count from token_reads`)
console.log(`\naudit rows: ${audited?.count}, tokens handed out: ${handedOut}`)

for (const child of children) child.kill('SIGTERM')
await db.close()
await postgres.stop()
await rm(dataDir, { recursive: true, force: true })

interface Side {
  name: 'bare' | 'vend'
  url: string
  pid: number
}

interface Measured {
  rate: number
  p50Ms: number
  p99Ms: number
  serviceUs: number
  postgresUs: number
}

async function run({ url, pid, name }: Side, duration: number, connections: number): Promise<Measured> {
  let next = 0
  const before = { service: cpuMs(pid), postgres: postgresCpuMs(backend?.pid ?? 0) }
  const result = await autocannon({
    ...{ url, connections, duration },
    requests: [
      {
        method: 'GET',
        setupRequest: (request) => ({
          ...request,
          path: `/accounts/${ids[next++ % ids.length]}/token`,
          headers: { authorization: `Bearer ${key}` },
        }),
      },
    ],
  })
  if (result.non2xx > 0 || result.errors > 0) throw new Error(`${result.non2xx} refusals and ${result.errors} errors at ${url}`)
  const answered = result['2xx']
  if (name === 'vend') handedOut += answered
  return {
    ...{ rate: Math.round(result.requests.average), p50Ms: result.latency.p50, p99Ms: result.latency.p99 },
    serviceUs: Math.round(((cpuMs(pid) - before.service) * 1000) / answered),
    postgresUs: Math.round(((postgresCpuMs(backend?.pid ?? 0) - before.postgres) * 1000) / answered),
  }
}

async function startSide(file: string, find: (line: string) => string | undefined): Promise<Side> {
  const child = spawn(process.execPath, [file], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  for await (const line of createInterface({ input: child.stdout })) {
    const url = find(line)
    if (url !== undefined) {
      child.stdout.resume()
      return { name: file.startsWith('bench') ? 'bare' : 'vend', url, pid: child.pid ?? 0 }
    }
  }
  throw new Error(`${file} ended before it listened`)
}
