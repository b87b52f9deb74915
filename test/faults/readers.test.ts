// Everybody wants the same token at the same moment, on every replica, and the clocks of the replicas are wrong besides.
import t from 'tap'
import { freshDatabase } from '../postgres.ts'
import { eventually } from '../rig/eventually.ts'
import { insist, warmUp } from '../rig/faults.ts'
import { violations } from '../rig/invariants.ts'
import type { Replica } from '../rig/replica.ts'
import { startRig } from '../rig/rig.ts'

t.test('50 readers of each account on each of 3 replicas', async (t) => {
  const rig = await startRig(t, (await freshDatabase(t)).url, { simulator: { latencyMs: 40 } })
  const replicas = await Promise.all(['one', 'two', 'three'].map((name) => rig.start(name)))

  const readers = () => replicas.flatMap((replica) => Array.from({ length: 50 }, () => replica))

  await warmUp(rig, replicas)
  rig.tiktok.stats.reset()

  await t.test('F20: 10 expired accounts cost 10 refreshes, and every reader is given the same new token', async (t) => {
    const accounts = await rig.seed({ count: 10, secondsLeft: -60 })
    const busy = ['overloaded', 'refresh_in_progress', 'storage_unavailable'] // what says to come again; a starved machine says any of them
    for (const readings of await Promise.all(
      accounts.map(({ id }) => Promise.all(readers().map((replica) => insist(rig, replica, id, busy)))),
    )) {
      t.same([...new Set(readings.map(({ status, generation, code }) => `${status} ${generation ?? code}`))], ['200 2'])
      t.equal(new Set(readings.map(({ accessToken }) => accessToken)).size, 1)
    }
    t.equal(rig.tiktok.stats.report().refreshes_processed, 10)
    t.same(await violations(rig), [])
  })

  await t.test(
    'F21: with a slow TikTok the old token is served while it lives, else 503 with a time, and one refresh each',
    async (t) => {
      rig.tiktok.changeSettings({ latency_ms: { refresh: 8000 } })
      rig.tiktok.stats.reset()
      const [living, expired] = [await rig.seedOne({ secondsLeft: 200 }), await rig.seedOne({ secondsLeft: -60 })]
      const read = (id: string) => Promise.all(readers().map((replica) => insist(rig, replica, id)))
      const [ofLiving, ofExpired] = await Promise.all([read(living.id), read(expired.id)])
      t.ok(ofLiving.every(({ status, degraded, generation }) => status === 200 && degraded && generation === 1))
      t.ok(ofExpired.every(({ status, code }) => status === 503 && code === 'refresh_in_progress'))
      rig.tiktok.changeSettings({ latency_ms: 0 })
      const [after] = await Promise.all([
        rig.read(replicas[1] as Replica, expired.id),
        rig.read(replicas[2] as Replica, living.id),
      ])
      t.match(after, { status: 200, generation: 2 })
      await eventually('the other is recorded too', async () => (await rig.statusOf(living.id)).generation === 2)
      t.equal(rig.tiktok.stats.report().refreshes_processed, 2)
      t.same(await violations(rig), [])
    },
  )
})

t.test("F29: replicas whose clocks are ten minutes off follow the database's clock", async (t) => {
  const rig = await startRig(t, (await freshDatabase(t)).url)
  const skewed = (name: string, seconds: number) =>
    rig.start(name, { preloads: ['skewed-clock', 'failpoints'], env: { CLOCK_SKEW_SECONDS: String(seconds) } })
  const [ahead, behind] = await Promise.all([skewed('ahead', 600), skewed('behind', -600)])
  const [living, expired, leased] = [
    await rig.seedOne({ secondsLeft: 400 }),
    await rig.seedOne({ secondsLeft: -10 }),
    await rig.seedOne({ secondsLeft: -10 }),
  ]

  t.match(await rig.read(ahead, living.id), { status: 200, generation: 1, degraded: false }, 'to its own clock it had expired')
  t.match(await rig.read(behind, expired.id), { status: 200, generation: 2 }, 'to its own clock it was alive')

  await ahead.arm({ label: 'refresh.sending', signal: 'SIGSTOP' })
  const held = rig.read(ahead, leased.id)
  await ahead.reached('refresh.sending')
  t.match(await rig.read(behind, leased.id), { status: 503, code: 'refresh_in_progress' }, 'a lease is a lease')
  ahead.signal('SIGCONT')
  await held
  await eventually('the paused refresh is through', async () => (await rig.statusOf(leased.id)).generation === 2)
  for (const { id } of [expired, leased]) {
    const [row] =
      await rig.sql`select extract(epoch from access_expires_at - now())::int as seconds from token_sets where account_id = ${id}`
    t.ok(Math.abs(row?.seconds - 7200) < 300, `dated by the database: ${row?.seconds} s left`)
  }
  t.equal(rig.tiktok.stats.report().refreshes_processed, 2)
  t.same(await violations(rig), [])
})
