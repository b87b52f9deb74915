// Token sets are refreshed before anybody needs them, by whichever replica comes by, and slowly while TikTok is down.
import t from 'tap'
import { Bucket } from '../../src/background/bucket.ts'
import { createRefreshAhead, measureRefreshing } from '../../src/background/refresh-ahead.ts'
import { violations } from '../rig/invariants.ts'
import { startWatchedWorld } from '../rig/watched-world.ts'

t.test('what is due is refreshed, and what is not is left alone', async (t) => {
  const { world, watched, seed, seedOne, statusOf } = await startWatchedWorld(t)
  const due = await seed({ count: 40, secondsLeft: 60, dueInSeconds: -60 })
  const [later, never] = [await seedOne({ dueInSeconds: 600 }), await seedOne()]
  await measureRefreshing(world.parts)
  t.match(await world.parts.metrics.dueBacklog.get(), { values: [{ value: 40 }] })
  const [age] = (await world.parts.metrics.oldestDueSeconds.get()).values
  t.ok(age && age.value >= 60 && age.value < 120, `the oldest waits ${age?.value} s`)

  const round = createRefreshAhead(world.parts)
  await round()
  await world.parts.refresher.landed()
  t.equal(
    world.tiktok.stats.report().refreshes_processed,
    20,
    'few at first: were all refused, no more would have been asked (F66)',
  )
  for (let rounds = 0; rounds < 2; rounds++) {
    await round()
    await world.parts.refresher.landed()
  }
  for (const { id } of due) t.match(await statusOf(id), { status: 'active', generation: 2 })
  for (const account of [later, never]) t.match(await statusOf(account?.id ?? ''), { generation: 1 })
  t.equal(world.tiktok.stats.report().refreshes_processed, 40)
  await measureRefreshing(world.parts)
  t.match(await world.parts.metrics.dueBacklog.get(), { values: [{ value: 0 }] })
  t.same(await violations(watched), [])
})

t.test('the longest due come first', async (t) => {
  const { world, seed, statusOf } = await startWatchedWorld(t)
  const dueForSeconds = [30, 200, 10, 300, 100, 40]
  const due = []
  for (const seconds of dueForSeconds) due.push(...(await seed({ count: 1, secondsLeft: 600, dueInSeconds: -seconds })))
  const round = createRefreshAhead(world.parts, new Bucket(0.001, 3))
  await round()
  await world.parts.refresher.landed()
  const generations = await Promise.all(due.map(async ({ id }) => (await statusOf(id)).generation))
  t.same(generations, [1, 2, 1, 2, 2, 1], 'there was room for three')
})

t.test('two replicas share what is due without talking to each other', async (t) => {
  const { world, watched, seed } = await startWatchedWorld(t)
  await seed({ count: 100, secondsLeft: 60, dueInSeconds: -60 })
  const [one, two] = [createRefreshAhead(world.parts), createRefreshAhead(world.parts)]
  for (let rounds = 0; rounds < 8; rounds++) {
    await Promise.all([one(), two()])
    await world.parts.refresher.landed()
  }
  t.equal(world.tiktok.stats.report().refreshes_processed, 100)
  t.equal(world.tiktok.stats.report().max_presented_per_refresh_token, 1)
  t.same(await violations(watched), [])
})

t.test('a reader who came first does not cost the background its claim', async (t) => {
  const { world, watched, seedOne, statusOf } = await startWatchedWorld(t)
  const account = await seedOne({ secondsLeft: -60, dueInSeconds: -60 })
  // A flight of a reader that has not claimed yet, while the background claims.
  const { db, refresher } = world.parts
  const { run } = db
  const claiming = Promise.withResolvers<void>()
  const late: typeof run = async (name, work, options) => {
    if (name === 'claim_token_set') await claiming.promise
    return run(name, work, options)
  }
  Object.assign(db, { run: late })
  void refresher.refresh(account.id, 1)
  await createRefreshAhead(world.parts)()
  claiming.resolve()
  await world.parts.refresher.landed()
  t.match(await statusOf(account.id), { status: 'active', generation: 2 }, 'at once, and not when the lease has run out')
  t.same(await violations(watched), [])
})

t.test('F28: a claim whose answer comes after the refresh before it was recorded is no database that went back', async (t) => {
  const { world, watched, seedOne, statusOf } = await startWatchedWorld(t)
  const { id } = await seedOne({ secondsLeft: -60, dueInSeconds: -60 })
  const { db, journal, epoch, refresher } = world.parts
  const { run } = db
  const [claimed, recorded] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const late: typeof run = async (name, work, options) => {
    const answer = await run(name, work, options)
    if (name === 'claim_due_token_sets') {
      claimed.resolve()
      await recorded.promise
    }
    return answer
  }
  Object.assign(db, { run: late })
  const round = createRefreshAhead(world.parts)()
  await claimed.promise
  // The holder before it had lost its lease, not its answer: a save is guarded by the generation.
  await watched.sql`update token_sets set generation = 2, attempt_id = null, lease_until = null where account_id = ${id}`
  journal.recorded({ sequence: 0 }, { accountId: id, generation: 2 })
  recorded.resolve()
  await round
  await refresher.landed()
  t.equal(epoch.rewound, false)
  t.match(await watched.sql`select count(*)::int as n from recoveries`, [{ n: 0 }])
  t.equal(world.tiktok.stats.report().refreshes_processed, 0, 'the spent token is not sent')
  t.match(await statusOf(id), { status: 'active', generation: 2 })
})

t.test('while TikTok is down one account is tried at a time, and everything follows when it is back', async (t) => {
  const { world, watched, seed } = await startWatchedWorld(t)
  await seed({ count: 30, secondsLeft: 600, dueInSeconds: -60 })
  const { refresh } = world.parts.tiktok
  let tries = 0
  world.parts.tiktok.refresh = async () => {
    tries++
    return { kind: 'not_sent', reason: 'refused', cause: new Error('refused') }
  }
  const round = createRefreshAhead(world.parts)
  const roundLater = async (seconds: number) => {
    await round()
    await world.parts.refresher.landed()
    await world.timePasses(seconds)
  }
  await roundLater(61)
  const atOnce = tries
  for (let i = 0; i < 5; i++) await roundLater(61)
  t.ok(tries - atOnce <= 5, `${atOnce} before the gate closed, then ${tries - atOnce} in five minutes`)
  world.parts.tiktok.refresh = refresh
  for (let rounds = 0; rounds < 3; rounds++) await roundLater(0)
  t.equal(world.tiktok.stats.report().refreshes_processed, 30)
  t.same(await violations(watched), [])
})
