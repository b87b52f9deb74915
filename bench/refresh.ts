// How fast a replica refreshes what is due, what that costs it, and whether finding the due ones gets dearer as accounts grow.
//
// The service is a process of its own and runs as in production (durable journal, PostgreSQL with fsync, log at info); TikTok is the
// simulator in this process, answering after 100 ms. All of them, PostgreSQL too, share the cores of this machine.
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { claimDueTokenSets } from '../src/db/claims.ts'
import { type Db, openDb } from '../src/db/client.ts'
import { migrate } from '../src/db/migrate.ts'
import { newId } from '../src/ids.ts'
import { startRig } from '../test/rig/rig.ts'
import { startEmbeddedPostgres } from '../tools/embedded-postgres/embedded.ts'
import { cpuMs, postgresCpuMs, rssMiB } from './processes.ts'
import { record } from './results.ts'

const accountCount = Number(process.env.BENCH_ACCOUNTS ?? 100_000)
const measuredMs = Number(process.env.BENCH_MS ?? 20_000)
const scanSizes = [10_000, 1_000_000]

const dataDir = await mkdtemp(join(tmpdir(), 'tiktok-oauth-service-bench-'))
const server = await startEmbeddedPostgres({ dataDir, settings: { shared_buffers: '512MB' } })
const endings: (() => unknown)[] = []
try {
  await refreshing()
  await scanning()
} finally {
  for (const end of endings.toReversed()) await end()
  await server.stop()
  await rm(dataDir, { recursive: true, force: true })
}

async function refreshing(): Promise<void> {
  await migrate(server.url)
  const rig = await startRig({ teardown: (end) => endings.push(end) }, server.url, { simulator: { latencyMs: 100 } })
  await rig.seed({ count: accountCount, secondsLeft: 600, dueInSeconds: -600 })
  await rig.sql`vacuum analyze`
  const replica = await rig.start('replica', { preloads: [], env: { LOG_LEVEL: 'info' } })
  const pid = replica.process.pid ?? 0
  await pause(3000) // a running service is warm

  const [backend] = await rig.sql<{ pid: number }[]>`select pg_backend_pid() as pid`
  const postgres = () => postgresCpuMs(backend?.pid ?? 0)
  const before = {
    at: performance.now(),
    cpuMs: cpuMs(pid),
    postgresMs: postgres(),
    done: rig.tiktok.stats.report().refreshes_processed,
  }
  let mostMiB = 0
  while (performance.now() - before.at < measuredMs) {
    await pause(250)
    mostMiB = Math.max(mostMiB, rssMiB(pid))
  }
  const done = rig.tiktok.stats.report().refreshes_processed - before.done
  const seconds = (performance.now() - before.at) / 1000
  const [serviceMs, postgresMs] = [(cpuMs(pid) - before.cpuMs) / done, (postgres() - before.postgresMs) / done]
  console.log(
    `${accountCount} accounts due, TikTok at 100 ms, ${availableParallelism()} cores for the service, PostgreSQL and the simulator: ` +
      `${Math.round(done / seconds)} refreshes/s over ${Math.round(seconds)} s, ` +
      `${serviceMs.toFixed(2)} ms CPU of the service per refresh and ${postgresMs.toFixed(2)} ms of PostgreSQL, ${Math.round(mostMiB)} MiB at most`,
  )
  record('refresh', '1/s', 'refreshes, TikTok at 100 ms', done / seconds)
  record('refresh', 'ms', 'processor of the service for a refresh', serviceMs)
  record('refresh', 'ms', 'processor of PostgreSQL for a refresh', postgresMs)
  record('refresh', 'MiB', 'memory at most', mostMiB)
  const doubles = rig.tiktok.stats.report().double_spend_count
  console.log(
    `refresh tokens presented twice: ${doubles}; violations counted: ${await rig.metric(replica, 'exactly_once_violation_total')}`,
  )
  replica.signal('SIGTERM')
  console.log(`ended with exit code ${await replica.ended()}`)
}

/** A few due among many that are not: the index has to make the many free of charge. The sizes take turns, so that other work touches both. */
async function scanning(): Promise<void> {
  const tables = await Promise.all(scanSizes.map(async (size) => ({ size, db: await filled(size), times: [] as number[] })))
  // What filling has left to be written is written first.
  await tables[0]?.db.run('checkpoint', (sql) => sql`checkpoint`, { deadlineMs: 300_000 })
  for (let round = 0; round < 110; round++) {
    for (const { size, db, times } of tables) {
      await db.run(
        'due',
        (sql) => sql`
        update token_sets set due_at = now() - interval '1 second', next_attempt_at = now(), attempt_id = null, lease_until = null, unsettled_attempts = 0
        where account_id in (select 'acc_' || lpad((random() * ${size - 1})::int::text, 25, '0') from generate_series(1, 32))`,
      )
      const startedAt = performance.now()
      await claimDueTokenSets(db, 128, { attemptId: newId('att'), leaseSeconds: 30 })
      if (round >= 10) times.push(performance.now() - startedAt)
    }
  }
  for (const { size, db, times } of tables) {
    console.log(`due scan, 32 due among ${size}: ${median(times).toFixed(2)} ms for the claim of all (median of ${times.length})`)
    await db.close()
  }
  const [few = [], many = []] = tables.map(({ times }) => times)
  const ratio = median(many.map((ms, turn) => ms / (few[turn] ?? ms)))
  record('refresh', 'ratio', 'due scan: cost among 1,000,000 beside 10,000', ratio)
  console.log(`ratio ${ratio.toFixed(2)} (median of the turns)`)
}

async function filled(size: number): Promise<Db> {
  const url = new URL(server.url)
  url.pathname = `scan_${size}`
  const admin = openDb({ url: server.url })
  await admin.run('create', (sql) => sql.unsafe(`create database scan_${size}`))
  await admin.close()
  await migrate(url.href)
  const db = openDb({ url: url.href, deadlineMs: 300_000 })
  await fill(db, size)
  return db
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}

async function fill(db: Db, size: number): Promise<void> {
  await db.run('owner', (sql) => sql`insert into owners (id) values ('user_bench')`)
  for (let from = 0; from < size; from += 50_000) {
    const to = Math.min(size, from + 50_000) - 1
    await db.run(
      'accounts',
      (sql) => sql`
      insert into accounts (id, owner_id, open_id, status, account_type, attested_at, attestation_version, age_confirmed_at, scopes)
      select 'acc_' || lpad(n::text, 25, '0'), 'user_bench', 'open_' || n, 'active', 'creator', now(), '1', now(), '{video.upload}'
      from generate_series(${from}::int, ${to}::int) n`,
    )
    await db.run(
      'tokens',
      (sql) => sql`
      insert into token_sets (account_id, generation, client_key, sealed_access_token, sealed_refresh_token, access_expires_at, refresh_expires_at, lifetime_seconds,
        saved_attempt_id, due_at)
      select 'acc_' || lpad(n::text, 25, '0'), 1, 'bench', repeat('x', 160), repeat('x', 160), now() + interval '2 hours', now() + interval '180 days', 7200, 'att_' || n,
        now() + interval '1 hour' + random() * interval '1 hour'
      from generate_series(${from}::int, ${to}::int) n`,
    )
  }
  await db.run('vacuum', (sql) => sql`vacuum analyze`)
}
