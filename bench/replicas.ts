// What each replica costs PostgreSQL while nothing happens and while accounts fall due, one to ten of them in turn on one database:
// connections, transactions, lock waits, and claims that found nothing. `npm run bench -- replicas [--seconds 20]`
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { migrate } from '../src/db/migrate.ts'
import { startRig } from '../test/rig/rig.ts'
import { startEmbeddedPostgres } from '../tools/embedded-postgres/embedded.ts'
import { postgresCpuMs } from './processes.ts'
import { record } from './results.ts'

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '20' } } })
const seconds = Number(values.seconds)
const duePerSecond = 20

const dataDir = await mkdtemp(join(tmpdir(), 'tiktok-oauth-service-bench-'))
const server = await startEmbeddedPostgres({ dataDir, throwaway: true })
const endings: (() => unknown)[] = []
try {
  await migrate(server.url)
  const rig = await startRig({ teardown: (end) => endings.push(end) }, server.url, { simulator: { latencyMs: 100 } })
  const [backend] = await rig.sql<{ pid: number }[]>`select pg_backend_pid() as pid`
  const table: Record<string, number | string>[] = []
  const running: Awaited<ReturnType<typeof rig.start>>[] = []
  for (const replicas of [1, 2, 5, 10]) {
    while (running.length < replicas)
      running.push(await rig.start(`replica-${running.length + 1}`, { preloads: [], env: { LOG_LEVEL: 'info' } }))
    await pause(8_000) // each loop has been round
    for (const load of ['idle', `${duePerSecond} due a second`]) {
      if (load !== 'idle') await rig.seed({ count: duePerSecond * seconds, secondsLeft: 7200, dueInSeconds: 0 })
      if (load !== 'idle')
        await rig.sql`update token_sets set due_at = now() + random() * make_interval(secs => ${seconds}) where due_at <= now()`
      const before = { ...(await sample()), refreshes: rig.tiktok.stats.report().refreshes_processed }
      let waits = 0
      for (let n = 0; n < seconds * 4; n++) {
        await pause(250)
        const [row] = await rig.sql<{ n: number }[]>`select count(*)::int as n from pg_locks where not granted`
        waits += row?.n ?? 0
      }
      const after = await sample()
      const refreshes = rig.tiktok.stats.report().refreshes_processed - before.refreshes
      const each = (amount: number) => Number((amount / seconds / replicas).toFixed(1))
      table.push({
        ...{
          replicas,
          load,
          connections: after.connections,
          'transactions a second and replica': each(after.transactions - before.transactions),
        },
        'PostgreSQL, cores': Number(((after.cpuMs - before.cpuMs) / seconds / 1000).toFixed(3)),
        'claims a second and replica': each(after.claims - before.claims),
        ...{ refreshes, 'lock waits seen of': `${waits} of ${seconds * 4}` },
      })
      if (replicas === 10)
        record(
          'replicas',
          'ms',
          `processor of PostgreSQL a second, ten replicas, ${load}`,
          (after.cpuMs - before.cpuMs) / seconds,
        )
    }
  }
  console.table(table)

  async function sample() {
    const [row] = await rig.sql<{ transactions: number; connections: number }[]>`
      select (select xact_commit::float8 from pg_stat_database where datname = current_database()) as transactions,
        (select count(*)::int from pg_stat_activity where datname = current_database() and application_name = 'tiktok-oauth-service') as connections`
    const claims = await Promise.all(
      running.map((replica) => rig.metric(replica, 'database_statement_duration_seconds_count', '{name="claim_due_token_sets"}')),
    )
    return {
      transactions: row?.transactions ?? 0,
      connections: row?.connections ?? 0,
      claims: claims.reduce((sum, count) => sum + count, 0),
      cpuMs: postgresCpuMs(backend?.pid ?? 0),
    }
  }
} finally {
  for (const end of endings.toReversed()) await end()
  await server.stop()
  await rm(dataDir, { recursive: true, force: true })
}
