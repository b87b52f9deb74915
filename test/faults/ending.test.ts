// Processes are asked to end in the middle of their work, and begin all at once.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { emptyDatabase, freshDatabase } from '../postgres.ts'
import { eventually } from '../rig/eventually.ts'
import { violations } from '../rig/invariants.ts'
import { startRig } from '../rig/rig.ts'

t.test('SIGTERM while a refresh is in flight', async (t) => {
  const rig = await startRig(t, (await freshDatabase(t)).url)
  const [one, two] = await rig.seed({ count: 2, secondsLeft: -60 })
  let replica = await rig.start('replica')

  await t.test('F46: it is finished and stored, its reader answered, and the exit code is 0', async (t) => {
    rig.tiktok.changeSettings({ latency_ms: { refresh: 700 } })
    const read = rig.read(replica, one.id)
    await eventually('it is at TikTok', () => rig.tiktok.stats.report().requests > 0)
    replica.signal('SIGTERM')
    t.match(await read, { status: 200, generation: 2 })
    t.equal(await replica.ended(), 0)
    rig.tiktok.changeSettings({ latency_ms: 0 })
  })

  await t.test(
    'F47: with the database down the answer is journalled, the exit code says so, and the next start brings it home',
    async (t) => {
      replica = await rig.start('replica')
      await replica.arm({ label: 'refresh.answered', signal: 'SIGSTOP' })
      void rig.read(replica, two.id)
      await replica.reached('refresh.answered')
      await rig.proxy.cut()
      replica.signal('SIGCONT')
      await eventually('it is journalled', () => replica.logged().includes('database connection trouble'))
      replica.signal('SIGTERM')
      t.equal(await replica.ended(), 1)
      t.match(replica.logged(), /"count":1,"msg":"token answers were left in the journal/)
      t.same(openSegments(join(rig.dir, 'replica')).length, 1)

      await rig.proxy.resume()
      replica = await rig.start('replica')
      t.match(await rig.read(replica, two.id), { status: 200, generation: 2 })
      t.match(replica.logged(), /"outcome":"saved","msg":"journalled refresh was replayed"/)
    },
  )
  t.same(await violations(rig), [], 'and nothing was presented twice')
})

t.test('F48: three replicas start on an empty database at once, each migration is applied once, and all are ready', async (t) => {
  const rig = await startRig(t, (await emptyDatabase(t)).url)
  const replicas = await Promise.all(['one', 'two', 'three'].map((name) => rig.start(name)))
  for (const replica of replicas) t.equal((await rig.call(replica, 'GET', '/health/ready')).status, 200)
  const applied = replicas.map((replica) => Number(/"migrations":(\d+)/.exec(replica.logged())?.[1] ?? 0))
  const [{ count = 0 } = {}] = await rig.sql<{ count: number }[]>`select count(*)::int as count from drizzle.__drizzle_migrations`
  t.equal(
    applied.reduce((sum, n) => sum + n, 0),
    count,
    `by whom: ${applied.join(', ')}`,
  )
  const account = await rig.seedOne({ secondsLeft: -60 })
  const reads = await Promise.all(replicas.map((replica) => rig.read(replica, account.id)))
  t.ok(reads.every(({ status }) => status === 200))
  t.same(await violations(rig), [])
})

const openSegments = (dir: string) =>
  readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.open'))
