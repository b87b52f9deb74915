// F66: TikTok refuses many accounts at once, as after a restore without a journal. Then nobody is marked until a probe says so.
import t from 'tap'
import { createProfiler } from '../../src/background/profiler.ts'
import { readBrakes } from '../../src/db/refusals.ts'
import { ServiceError } from '../../src/errors.ts'
import { freshDatabase } from '../postgres.ts'
import { command } from '../rig/command.ts'
import { eventually } from '../rig/eventually.ts'
import { type Rig, startRig } from '../rig/rig.ts'
import { startWatchedWorld } from '../rig/watched-world.ts'

const refused = { route: 'refresh', error: 'invalid_grant', times: 'always' } as const
const holds = async (rig: Rig) => (await readBrakes(rig.db)).some(({ endpoint, holds }) => endpoint === 'token' && holds)
const counted = async (rig: Rig) => {
  const [row] = await rig.sql<{ marked: number; told: number; suspected: number }[]>`
    select (select count(*)::int from accounts where status <> 'active') as marked, (select count(*)::int from events) as told,
      (select count(*)::int from token_sets where rejected_at is not null) as suspected`
  return row
}

t.test(
  'F66: three replicas and their readers ask about twenty accounts, then about one a minute, and nobody is marked',
  async (t) => {
    const { url } = await freshDatabase(t)
    const rig = await startRig(t, url, { simulator: { latencyMs: 60 } })
    const replicas = await Promise.all(['one', 'two', 'three'].map((name) => rig.start(name, { preloads: [] })))
    rig.tiktok.faults.add(refused)
    rig.tiktok.stats.reset()
    const accounts = await rig.seed({ count: 300, secondsLeft: -10, dueInSeconds: 0 })
    const readings = await Promise.all(
      accounts.slice(0, 90).flatMap(({ id }, n) => {
        const replica = replicas[n % 3]
        return replica ? [rig.read(replica, id)] : []
      }),
    )
    t.ok(
      readings.every(({ status, code }) => status === 503 && code !== undefined),
      'readers are told to come back',
    )
    await eventually('the brake holds', () => holds(rig))
    const asked = rig.tiktok.stats.report().requests
    t.ok(asked <= 20, `${asked} were asked`)
    t.match(await counted(rig), { marked: 0, told: 0, suspected: asked })
    t.match(rig.logs(), /brake holds: TikTok refuses the refresh tokens/)
    const alarms = await Promise.all(replicas.map((each) => rig.metric(each, 'refusal_brakes_total', '{endpoint="token"}')))
    t.equal(
      alarms.reduce((a, b) => a + b),
      1,
      'one alarm for the fleet',
    )

    await t.test('the minute is over: one probe, which keeps the brake, and the grace of the others means nothing', async (t) => {
      await rig.timePasses(61)
      await eventually('a probe was sent', () => rig.tiktok.stats.report().requests > asked)
      await eventually('it is judged', async () => (await counted(rig))?.suspected === asked + 1)
      t.ok(await holds(rig))
      t.equal(rig.tiktok.stats.report().requests, asked + 1)
      t.match(await counted(rig), { marked: 0, told: 0 })
    })

    await t.test('a probe that TikTok takes releases it: everybody is refreshed, and nobody had to do anything', async (t) => {
      rig.tiktok.faults.clear()
      await rig.timePasses(61)
      await eventually('the brake is released', async () => !(await holds(rig)))
      await eventually('it is said', () => /brake released/.test(rig.logs()))
      await rig.timePasses(600) // those that were refused are asked about again, one after the other
      await eventually(
        'all have a new token',
        async () => {
          const [row] = await rig.sql<{ n: number }[]>`select count(*)::int as n from token_sets where generation > 1`
          return row?.n === accounts.length
        },
        30_000,
      )
      t.match(await counted(rig), { marked: 0, told: 0, suspected: 0 })
    })
  },
)

t.test('F66: a single refusal keeps its way, and so do twenty among many that are taken', async (t) => {
  const { world, seed, read, statusOf } = await startWatchedWorld(t)
  const refresh = (id: string) => world.parts.refresher.refresh(id, 1)
  const [one] = await seed({ count: 1, secondsLeft: -10 })
  world.tiktok.faults.add({ ...refused, times: 1 })
  t.match(await refresh(one.id), { kind: 'rejected' })
  await world.timePasses(61)
  t.match(await read(one.id), { status: 409, code: 'reauthorization_required' })
  t.match(await statusOf(one.id), { status: 'reauthorization_required', reason: 'refresh_token_rejected' })

  await world.timePasses(600)
  for (const { id } of await seed({ count: 480, secondsLeft: -10 })) await refresh(id)
  world.tiktok.faults.add(refused)
  for (const { id } of await seed({ count: 24, secondsLeft: -10 })) t.match(await refresh(id), { kind: 'rejected' })
  t.match(await readBrakes(world.parts.db), [{ endpoint: 'token', holds: false }, { holds: false }])
  for (const { id } of await seed({ count: 10, secondsLeft: -10 })) await refresh(id)
  t.match(await readBrakes(world.parts.db), [{ endpoint: 'token', holds: true }, { holds: false }])
})

t.test('F66: an operator sees it and lets go of it; then refusals are believed one after the other', async (t) => {
  const { world, watched, seed } = await startWatchedWorld(t)
  const env = { DATABASE_URL: world.databaseUrl }
  t.match(await command(['breaker', 'release'], env), { code: 0, stdout: 'nothing was open\n' })
  world.tiktok.faults.add(refused)
  for (const { id } of await seed({ count: 21, secondsLeft: -10 })) await world.parts.refresher.refresh(id, 1)
  t.match(await command(['breaker', 'status'], env), {
    code: 0,
    stdout: /^token_refused\topen\tinvalid_grant\tnext probe in \d+ s\t20 refused in two minutes, 20 may be$/m,
  })
  t.match(await command(['breaker', 'release'], env), { code: 0, stdout: /^token_refused is released; 20 refused accounts/ })
  const [row] =
    await watched.sql`select count(*)::int as n, extract(epoch from max(next_attempt_at) - min(next_attempt_at))::int as seconds
    from token_sets where next_attempt_at > now()`
  t.match(row, { n: 20, seconds: 228 }, 'ten in any two minutes')
  t.match(await watched.sql`select actor, action, object from audit_log where action = 'breaker_released'`, [
    { actor: 'operator', action: 'breaker_released', object: 'token_refused' },
  ])
  const status = JSON.parse((await command(['breaker', 'status', '--json'], env)).stdout)
  t.match(status, [
    { name: 'token', state: 'closed' },
    { name: 'token_refused', state: 'closed', refused: 0 },
    { name: 'user_info_refused' },
  ])
})

t.test('F66: when user info refuses the access tokens of many, none of them is held for refused', async (t) => {
  const { world, watched, seed } = await startWatchedWorld(t)
  const { parts, tiktok } = world
  const accounts = await seed({ count: 24 })
  const look = createProfiler(parts)
  const due = () => watched.sql`update accounts set profile_due_at = now() - interval '1 hour'`
  tiktok.faults.add({ route: 'user_info', error: 'access_token_invalid', times: 'always' })
  tiktok.faults.add({ route: 'refresh', status: 503, process: false, times: 'always' })
  await due()
  for (let round = 0; round < 3; round++) {
    await look()
    await watched.sql`update circuit_breakers set open_until = '-infinity' where name = 'user_info'`
  }
  const [held] = await watched.sql`select count(*)::int as n from token_sets where refused_generation is not null`
  t.match(held, { n: 0 }, 'what had been believed is taken back')
  t.match(await readBrakes(parts.db), [{ holds: false }, { endpoint: 'user_info', holds: true, refused: 21 }])
  t.match(await parts.metrics.registry.metrics(), /refusal_brakes_total\{endpoint="user_info"\} 1/)

  const asked = () => tiktok.stats.report().requests
  const before = asked()
  await due()
  await look()
  t.equal(asked(), before, 'nobody is asked within the minute')
  t.match(await world.call('POST', `/accounts/${accounts[0]?.id}/verify`), { status: 503, body: { code: 'tiktok_unavailable' } })
  const [still] = await watched.sql`select count(*)::int as n from token_sets where refused_generation is not null`
  t.match(still, { n: 0 })

  tiktok.faults.clear()
  await world.timePasses(61)
  await due()
  const { user_infos } = tiktok.stats.report()
  await look()
  t.equal(tiktok.stats.report().user_infos, user_infos + 1, 'one probe')
  t.match(await readBrakes(parts.db), [{ holds: false }, { holds: false }])
})

t.test('F66: room that could not be given back while the database was away is given back when it is there again', async (t) => {
  const { world, watched, seedOne } = await startWatchedWorld(t)
  const { db } = world.parts
  const { run } = db
  let reports = 0
  db.run = (name, ...rest) => {
    // The first lets the refresh go out; the second would say that it has landed.
    if (name === 'admit_refreshes' && ++reports === 2)
      return Promise.reject(new ServiceError('storage_unavailable', 'The database is away.'))
    return run(name, ...rest)
  }
  const { id } = await seedOne({ secondsLeft: -10 })
  const answer = await world.call('GET', `/accounts/${id}/token`)
  t.equal(answer.status, 200)
  await eventually('neighbours see the room', async () => {
    const [row] = await watched.sql<{ inFlight: number }[]>`select sum(in_flight)::int as "inFlight" from admissions`
    return reports > 2 && row?.inFlight === 0
  })
})
