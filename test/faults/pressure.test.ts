// Too much at once, no room on the disk, and a flight that never lands.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Bucket } from '../../src/background/bucket.ts'
import { freshDatabase } from '../postgres.ts'
import { eventually } from '../rig/eventually.ts'
import { insist } from '../rig/faults.ts'
import { violations } from '../rig/invariants.ts'
import { startRig } from '../rig/rig.ts'
import { startWatchedWorld } from '../rig/watched-world.ts'

t.test('F53: with the disk full a refresh still works, and a metric says so', async (t) => {
  const rig = await startRig(t, (await freshDatabase(t)).url)
  const journalDir = join(rig.dir, 'spill')
  mkdirSync(journalDir)
  const replica = await rig.start('replica', { journalDir })
  const accounts = await rig.seed({ count: 5, secondsLeft: -60 })
  rmSync(journalDir, { recursive: true })
  writeFileSync(journalDir, 'no directory, so nothing can be written')
  for (const { id } of accounts) t.match(await rig.read(replica, id), { status: 200, generation: 2 })
  t.equal(await rig.metric(replica, 'spill_write_failures_total'), 5)
  replica.signal('SIGTERM')
  t.equal(await replica.ended(), 0, 'everything is in the database')
  t.same(await violations(rig), [])
})

t.test('F55: thousands due at once are spread by the bucket, and those who wait for a token come first', async (t) => {
  const rig = await startRig(t, (await freshDatabase(t)).url, { simulator: { latencyMs: 50 } })
  await rig.seed({ count: 1500, secondsLeft: 60, dueInSeconds: -60 })
  const awaited = await rig.seed({ count: 20, secondsLeft: -60 })
  const replica = await rig.start('replica', { env: { LOG_LEVEL: 'info' } })
  const due = async () => (await rig.sql`select count(*)::int as n from token_sets where due_at <= now()`)[0]?.n as number
  await eventually('the background is at work', () => rig.tiktok.stats.report().refreshes_processed > 0)
  const reads = await Promise.all(awaited.map(({ id }) => insist(rig, replica, id, ['overloaded', 'refresh_in_progress'])))
  const left = await due()
  t.ok(reads.every(({ status }) => status === 200))
  t.ok(left > 0, `every reader has a token while ${left} are still due`)
  await eventually('all are refreshed', () => rig.tiktok.stats.report().refreshes_processed === 1520)
  await eventually('and recorded', async () => {
    const [row] = await rig.sql`select count(*)::int as n from token_sets where generation = 2`
    return row?.n === 1520
  })
  t.same(await violations(rig), [])
})

t.test('F55: the bucket gives so many a second, and less when readers took theirs', async (t) => {
  let nowMs = 0
  const bucket = new Bucket(1000, 200, () => nowMs)
  let given = 0
  for (let i = 0; i < 600; i++, nowMs += 100) {
    given += bucket.available
    bucket.take(bucket.available)
  }
  t.ok(Math.abs(given - 60_000) < 500, `ten thousand due in one minute are not one burst: ${given} in a minute at most`)
  bucket.take(300) // 300 readers at once
  t.equal(bucket.available, 0)
  t.ok(bucket.waitMs > 100, 'the background waits for them')
})

t.test('F56: a flight that never settles dies at its deadline, and the next read works', async (t) => {
  const { world, watched, seedOne, read } = await startWatchedWorld(t, {
    timings: { flightDeadlineMs: 2000, patienceMs: 500, lateSaveMs: 50 },
  })
  const account = await seedOne({ secondsLeft: -60 })
  const { refresh } = world.parts.tiktok
  world.parts.tiktok.refresh = () => new Promise(() => {})
  t.match(await read(account.id), { status: 503, code: 'refresh_in_progress' })
  await eventually('nothing is left in flight', () => world.parts.refresher.inFlight === 0)
  world.parts.tiktok.refresh = refresh
  await world.timePasses(31)
  await eventually('the next read works', async () => (await read(account.id)).generation === 2)
  t.same(await violations(watched, { excused: [account.id] }), [])
})
