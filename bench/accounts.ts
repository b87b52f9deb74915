// Whether anything gets dearer as accounts grow: each operation at a thousand accounts and at a million, in one run, in turn. Also what a
// million accounts and a million reads take on disk. `npm run bench -- accounts [--accounts 1000000] [--rounds 5] [--seconds 2]`
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import autocannon from 'autocannon'
import postgres from 'postgres'
import { type Db, openDb } from '../src/db/client.ts'
import { purgeSessions } from '../src/db/connect-sessions.ts'
import { purgeEvents } from '../src/db/events.ts'
import { measureFleet } from '../src/db/fleet.ts'
import { migrate } from '../src/db/migrate.ts'
import { readSealedRows, sealedTables } from '../src/db/sealed-texts.ts'
import { createApiKey } from '../src/http/api-keys.ts'
import { newId } from '../src/ids.ts'
import { sealExpiry, sealIdentity } from '../src/vault/deciding-rows.ts'
import { generateVaultKey, parseKeyring } from '../src/vault/keyring.ts'
import { createVault } from '../src/vault/vault.ts'
import { fillTables } from '../test/rig/many.ts'
import { type Replica, startReplica } from '../test/rig/replica.ts'
import { startEmbeddedPostgres } from '../tools/embedded-postgres/embedded.ts'
import { record } from './results.ts'

const { values } = parseArgs({
  options: {
    accounts: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2' },
  },
})
const [many, rounds, seconds] = [Number(values.accounts), Number(values.rounds), Number(values.seconds)]
/** Accounts that are really sealed and read; spread evenly over the ids of the others. */
const readAtMost = 5_000
const vaultKeys = generateVaultKey()
const vault = createVault(parseKeyring(vaultKeys))

interface Side {
  accounts: number
  sql: postgres.Sql
  db: Db
  replica: Replica
  key: string
  /** that are sealed */
  ids: string[]
}

const dataDir = await mkdtemp(join(tmpdir(), 'tiktok-oauth-service-bench-'))
const server = await startEmbeddedPostgres({ dataDir, settings: { shared_buffers: '512MB', max_wal_size: '4GB' } })
const sides: Side[] = []
try {
  for (const accounts of [1_000, many]) sides.push(await prepare(accounts))
  const [few, lots] = sides
  if (!few || !lots) throw new Error('there are two sides')
  await sayDisk(lots)
  const operations: Record<string, (side: Side) => Promise<number>> = {
    'vend a token': (side) => perSecond(side, () => ({ method: 'GET', path: `/accounts/${pick(side.ids)}/token` })),
    'list accounts': (side) => perSecond(side, () => ({ method: 'GET', path: '/accounts?limit=50' })),
    'list accounts of an owner': (side) =>
      perSecond(side, () => ({ method: 'GET', path: `/accounts?owner_id=many_${1 + random(side.accounts / 2)}` })),
    'reserve a slot': async (side) => {
      await side.sql`delete from uploads where idempotency_key like 'req_%'` // or an account's twenty would be taken
      return perSecond(side, () => ({
        method: 'POST',
        path: `/accounts/${pick(side.ids)}/uploads`,
        body: JSON.stringify({ idempotency_key: newId('req') }),
        headers: { 'content-type': 'application/json' },
      }))
    },
    'scrape the metrics': (side) => perSecond(side, () => ({ method: 'GET', path: '/metrics' }), 1),
    'count all accounts for the metrics': (side) => timesPerSecond(() => measureFleet(side.db)),
    'retention: 500 events': (side) => timesPerSecond(() => purgeEvents(side.db, 1, 500)),
    'retention: 500 connect sessions': (side) => timesPerSecond(() => purgeSessions(side.db, 24, 500)),
    'reseal: 200 rows found': (side) => timesPerSecond(() => readPage(side)),
  }
  console.log(`\n${'per second'.padEnd(38)}${'1000'.padStart(10)}${String(many).padStart(12)}   ratio (of the costs)`)
  for (const [name, measure] of Object.entries(operations)) {
    await measure(few)
    await measure(lots)
    const turns: { few: number; lots: number }[] = []
    for (let round = 0; round < rounds; round++) turns.push({ few: await measure(few), lots: await measure(lots) })
    const ratios = turns.map((turn) => turn.few / turn.lots)
    record('accounts', 'ratio', `${name}: cost at ${many} accounts beside 1000`, median(ratios))
    console.log(
      `${name.padEnd(38)}${median(turns.map((turn) => turn.few))
        .toFixed(0)
        .padStart(10)}${median(turns.map((turn) => turn.lots))
        .toFixed(0)
        .padStart(12)}   ${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)})`,
    )
  }
} finally {
  for (const { sql, db, replica } of sides) {
    replica.signal('SIGTERM')
    await replica.ended()
    await db.close()
    await sql.end()
  }
  await server.stop()
  await rm(dataDir, { recursive: true, force: true })
}

async function prepare(accounts: number): Promise<Side> {
  const startedAtMs = performance.now()
  const admin = postgres(server.url, { max: 1 })
  const name = `accounts_${accounts}`
  await admin.unsafe(`create database ${name}`)
  await admin.end()
  const url = server.url.replace(/\/[^/]+$/, `/${name}`)
  await migrate(url)
  const sql = postgres(url, { max: 8, onnotice: () => {} })
  await fillTables(sql, accounts)
  // Retention has something to do on both sides, all the time.
  await sql`insert into events (type, account_id, data, occurred_at) select 'account.connected', 'acc_many1', '{}', now() - interval '40 days' from generate_series(1, 200000)`
  const ids = await sealSome(sql, Math.min(readAtMost, accounts))
  await sql`vacuum analyze`
  const db = openDb({ url, deadlineMs: 60_000 })
  const { key } = await createApiKey(
    { db, vault },
    { name: 'bench', scopes: ['tokens:read', 'accounts:read', 'quota:write', 'ops:read'], expiresAt: null },
  )
  const env = {
    ...{ PORT: '0', DATABASE_URL: url, DATA_DIR: join(dataDir, name), VAULT_KEYS: vaultKeys, RATE_LIMIT_PER_MINUTE: '10000000' },
    ...{ TIKTOK_CLIENT_KEY: 'awbench0001', TIKTOK_CLIENT_SECRET: 'only-for-this-bench' },
    ...{ TIKTOK_AUTH_BASE_URL: 'http://127.0.0.1:9', TIKTOK_API_BASE_URL: 'http://127.0.0.1:9' },
  }
  const replica = await startReplica({ name, logFile: join(dataDir, `${name}.log`), env, preloads: [] })
  console.log(`${accounts} accounts: ready after ${Math.round((performance.now() - startedAtMs) / 1000)} s`)
  return { accounts, sql, db, replica, key, ids }
}

/** Accounts as a connect makes them, in the place of every so manieth that was only filled in. */
async function sealSome(sql: postgres.Sql, count: number): Promise<string[]> {
  const filled = await sql<{ id: string; ownerId: string; openId: string; generation: number }[]>`
    select a.id, a.owner_id as "ownerId", a.open_id as "openId", t.generation from accounts a join token_sets t on t.account_id = a.id
    where a.status = 'active' order by md5(a.id) limit ${count}`
  const expiresAt = new Date(Date.now() + 86_400_000)
  for (let from = 0; from < filled.length; from += 1_000) {
    const page = filled.slice(from, from + 1_000)
    await sql`
      update accounts a set sealed_identity = s.sealed from unnest(${page.map(({ id }) => id)}::text[],
        ${page.map(({ id, openId, ownerId }) => sealIdentity(vault, { accountId: id, openId, ownerId }))}::text[]) s (id, sealed)
      where a.id = s.id`
    await sql`
      update token_sets t set access_expires_at = now() + interval '12 hours', sealed_access_token = s.token, sealed_expiry = s.expiry
      from unnest(${page.map(({ id }) => id)}::text[],
        ${page.map(({ id, generation }) => vault.seal({ purpose: 'access_token', subject: id, generation }, `act.${'x'.repeat(70)}`))}::text[],
        ${page.map(({ id, generation }) => sealExpiry(vault, id, generation, expiresAt))}::text[]) s (id, token, expiry)
      where t.account_id = s.id`
  }
  return filled.map(({ id }) => id)
}

async function sayDisk({ sql, accounts }: Side): Promise<void> {
  const [size] = await sql<{ accounts: number; reads: number; readRows: number }[]>`
    select (select sum(pg_total_relation_size(oid)) from pg_class where relname in ('accounts', 'token_sets', 'profiles', 'owners'))::float8 as accounts,
      (select sum(pg_total_relation_size(relid)) from pg_partition_tree('token_reads') where isleaf)::float8 as reads,
      (select count(*) from token_reads)::float8 as "readRows"`
  if (!size) throw new Error('a sum is a row')
  const gib = (bytes: number) => (bytes / 2 ** 30).toFixed(2)
  record('accounts', 'GiB', 'disk for a million accounts, their tokens and profiles', (size.accounts / accounts / 2 ** 30) * 1e6)
  record('accounts', 'GiB', 'disk for a million reads in the audit', (size.reads / size.readRows / 2 ** 30) * 1e6)
  console.log(`a million accounts, their tokens and profiles: ${gib((size.accounts / accounts) * 1e6)} GiB on disk`)
  console.log(`a million reads in the audit: ${gib((size.reads / size.readRows) * 1e6)} GiB on disk`)
}

type Request = Pick<autocannon.Request, 'method' | 'path' | 'body' | 'headers'>

async function perSecond({ replica, key }: Side, request: () => Request, connections = 16): Promise<number> {
  const result = await autocannon({
    ...{ url: replica.url, connections, duration: seconds },
    requests: [
      {
        setupRequest: (given) => {
          const { headers, ...wanted } = request()
          return { ...given, ...wanted, headers: { ...headers, authorization: `Bearer ${key}` } }
        },
      },
    ],
  })
  if (result.non2xx + result.errors > 0) throw new Error(`${JSON.stringify(result.statusCodeStats)} at ${request().path}`)
  return result['2xx'] / result.duration
}

async function timesPerSecond(work: () => Promise<unknown>): Promise<number> {
  const startedAtMs = performance.now()
  let done = 0
  for (; performance.now() - startedAtMs < seconds * 1000 && done < 40; done++) await work()
  return (done * 1000) / (performance.now() - startedAtMs)
}

async function readPage({ db, accounts }: Side): Promise<void> {
  const [tokenSets] = sealedTables
  if (!tokenSets) throw new Error('token sets are sealed')
  await readSealedRows(db, tokenSets, { notUnder: 'k9', after: `acc_many${1 + random(accounts)}`, limit: 200 })
}

function random(below: number): number {
  return Math.floor(Math.random() * below)
}

function pick(ids: readonly string[]): string {
  return ids[random(ids.length)] ?? ''
}

function median(list: readonly number[]): number {
  return list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)] ?? 0
}
