// What the metrics cost with a million accounts: the count that one replica makes, whether it ever scans a table, and a scrape.
// `npm run bench -- metrics [--accounts 1000000]`.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type Db, openDb } from '../src/db/client.ts'
import { measureFleet } from '../src/db/fleet.ts'
import { migrate } from '../src/db/migrate.ts'
import { generateVaultKey } from '../src/vault/keyring.ts'
import { startReplica } from '../test/rig/replica.ts'
import { startEmbeddedPostgres } from '../tools/embedded-postgres/embedded.ts'

const { values } = parseArgs({ options: { accounts: { type: 'string', default: '1000000' } } })
const accounts = Number(values.accounts)
const token = 'a-token-for-this-bench'
/** Tables that hold a few rows however many accounts there are. */
const small = ['account_tallies', 'fleet_figures', 'replicas', 'vault_keys', 'epoch', 'recoveries', 'circuit_breakers']

const dataDir = await mkdtemp(join(tmpdir(), 'tiktok-oauth-service-bench-'))
const server = await startEmbeddedPostgres({ dataDir, settings: { shared_buffers: '512MB' } })
const db = openDb({ url: server.url, deadlineMs: 600_000 })
try {
  await migrate(server.url)
  const filledAtMs = performance.now()
  await fill(accounts)
  console.log(`${accounts} accounts in ${Math.round((performance.now() - filledAtMs) / 1000)} s`)
  await timed('first count, which folds the tallies of all of them', 1, () => measureFleet(db))
  await db.run('vacuum', (sql) => sql`vacuum analyze`)
  const before = await scans(db)
  await timed('count of all accounts together', 30, () => measureFleet(db))
  await pause(1500) // the server tells its statistics once a second
  const after = await scans(db)
  const grown = Object.entries(after).filter(([table, count]) => count > (before[table] ?? 0) && !small.includes(table))
  console.log(`tables that were scanned: ${grown.map(([table]) => table).join(', ') || 'none but those of a few rows'}`)
  console.log(JSON.stringify(await measureFleet(db)))
  await scrape()
} finally {
  await db.close()
  await server.stop()
  await rm(dataDir, { recursive: true, force: true })
}

async function scrape(): Promise<void> {
  const env = {
    ...{ PORT: '0', DATABASE_URL: server.url, DATA_DIR: dataDir, VAULT_KEYS: generateVaultKey() },
    ...{ TIKTOK_CLIENT_KEY: 'awbench0001', TIKTOK_CLIENT_SECRET: 'only-for-this-bench', METRICS_TOKEN: token },
  }
  const replica = await startReplica({ name: 'scraped', logFile: join(dataDir, 'log'), env, preloads: [] })
  await pause(12_000) // every loop has been round
  let bytes = 0
  await timed('scrape', 200, async () => {
    const answer = await fetch(`${replica.url}/metrics`, { headers: { authorization: `Bearer ${token}` } })
    bytes = (await answer.text()).length
  })
  console.log(`${bytes} bytes`)
  replica.signal('SIGTERM')
  await replica.ended()
}

async function timed(what: string, times: number, work: () => Promise<unknown>): Promise<void> {
  const took: number[] = []
  for (let n = 0; n < times; n++) {
    const startedAtMs = performance.now()
    await work()
    took.push(performance.now() - startedAtMs)
  }
  const sorted = took.toSorted((a, b) => a - b)
  const at = (share: number) => (sorted[Math.min(times - 1, Math.floor(times * share))] ?? 0).toFixed(1)
  console.log(`${what}: median ${at(0.5)} ms, 99 % ${at(0.99)} ms of ${times}`)
}

async function scans(db: Db): Promise<Record<string, number>> {
  const rows = await db.run(
    'scans',
    (sql) => sql<{ relname: string; count: number }[]>`select relname, seq_scan::int as count from pg_stat_user_tables`,
  )
  return Object.fromEntries(rows.map(({ relname, count }) => [relname, count]))
}

/** One in ten waits for its person; grants end over the next year; one in twenty has spent its uploads of the day. */
async function fill(size: number): Promise<void> {
  await db.run('owner', (sql) => sql`insert into owners (id) values ('user_bench')`)
  for (let from = 0; from < size; from += 50_000) {
    const to = Math.min(size, from + 50_000) - 1
    await db.run(
      'accounts',
      (sql) => sql`
        insert into accounts (id, owner_id, open_id, status, status_reason, account_type, attested_at, attestation_version, age_confirmed_at, scopes)
        select 'acc_' || lpad(n::text, 25, '0'), 'user_bench', 'open_' || n,
          case when n % 10 = 0 then 'reauthorization_required' else 'active' end, case when n % 10 = 0 then 'refresh_token_rejected' end,
          'creator', now(), '1', now(), '{video.upload}'
        from generate_series(${from}::int, ${to}::int) n`,
    )
    await db.run(
      'token sets',
      (sql) => sql`
        insert into token_sets (account_id, generation, client_key, sealed_access_token, sealed_refresh_token, access_expires_at,
          refresh_expires_at, lifetime_seconds, saved_attempt_id, due_at)
        select 'acc_' || lpad(n::text, 25, '0'), 1, 'awbench0001', repeat('s', 120), repeat('s', 120), now() + interval '1 day',
          now() + random() * interval '365 days', 86400, 'att', case when n % 10 <> 0 then now() + (0.5 + random()) * interval '1 day' end
        from generate_series(${from}::int, ${to}::int) n`,
    )
    await db.run(
      'gates',
      (sql) => sql`
        insert into upload_gates (tiktok_user, exhausted_until)
        select tiktok_user_of('open_' || n), now() + interval '1 hour' from generate_series(${from}::int, ${to}::int) n where n % 20 = 0`,
    )
  }
}
