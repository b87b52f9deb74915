// How fast access tokens are handed out: authentication, audit row and decryption beside a bare route that only selects the
// row, in one run, in turn. `npm run bench -- vend [--seconds 5] [--rounds 3] [--accounts 1000]`
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

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '3' },
    accounts: { type: 'string', default: '1000' },
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
const bare = await urlOf('bench/bare.ts', (line) => line)
const service = await urlOf('src/main.ts', (line) => (JSON.parse(line) as { url?: string }).url)

const results = { bare: [] as autocannon.Result[], vend: [] as autocannon.Result[] }
await run(bare, 2)
await run(service, 2)
for (let round = 1; round <= rounds; round++) {
  results.bare.push(await run(bare, seconds))
  results.vend.push(await run(service, seconds))
  console.error(`round ${round} of ${rounds}: bare ${rate(results.bare.at(-1))}/s, vend ${rate(results.vend.at(-1))}/s`)
}
const middle = (list: number[]) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)] ?? 0
const ratios = results.vend.map((vend, i) => rate(vend) / rate(results.bare[i]))
console.log(`bare select: ${middle(results.bare.map(rate))} requests/s`)
console.log(
  `token vend:  ${middle(results.vend.map(rate))} requests/s, p50 ${middle(results.vend.map((r) => r.latency.p50))} ms, p99 ${middle(results.vend.map((r) => r.latency.p99))} ms`,
)
console.log(
  `ratio:       ${middle(ratios).toFixed(2)} (median of ${rounds}; ${ratios.map((ratio) => ratio.toFixed(2)).join(', ')})`,
)
const [audited] = await db.run('count', (sql) => sql<{ count: number }[]>`select count(*)::int as count from token_reads`)
console.log(
  `audit rows:  ${audited?.count}, tokens handed out: ${[...results.vend].reduce((sum, r) => sum + r['2xx'], 0)} counted and the warm-up`,
)

for (const child of children) child.kill('SIGTERM')
await db.close()
await postgres.stop()
await rm(dataDir, { recursive: true, force: true })

async function run(url: string, duration: number): Promise<autocannon.Result> {
  let next = 0
  const result = await autocannon({
    url,
    connections: 32,
    duration,
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
  return result
}

function rate(result: autocannon.Result | undefined): number {
  return Math.round(result?.requests.average ?? 0)
}

async function urlOf(file: string, find: (line: string) => string | undefined): Promise<string> {
  const child = spawn(process.execPath, [file], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  for await (const line of createInterface({ input: child.stdout })) {
    const url = find(line)
    if (url !== undefined) {
      child.stdout.resume()
      return url
    }
  }
  throw new Error(`${file} ended before it listened`)
}
