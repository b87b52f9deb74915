// TikTok misbehaves in every way it can at its token endpoint. One process is enough: what two would make of it is in the other files.
import t from 'tap'
import type { FaultScript } from 'tiktok-simulator/faults'
import type { Account } from '../../src/account/account.ts'
import { violations } from '../rig/invariants.ts'
import { startWatchedWorld } from '../rig/watched-world.ts'

interface Case {
  name: string
  script: Omit<FaultScript, 'route'>
  /** TikTok had processed it: the token may be spent, so that nobody can know but by trying once more */
  spent?: boolean
}

/** Far beyond every deadline of ours, so that whoever is answered was not answered by TikTok. */
const never = 600_000

const faults: Case[] = [
  { name: 'F07: a timeout before TikTok processed it', script: { before_ms: never, process: false } },
  { name: 'F08: a timeout after TikTok processed it', script: { after_ms: never }, spent: true },
  { name: 'F09: a 502 without a word', script: { status: 502, body: '<h1>Bad gateway</h1>' } },
  { name: 'F10: a 429 with Retry-After', script: { status: 429, headers: { 'Retry-After': '20' } } },
  { name: 'F11: an answer that is cut', script: { cut_at_bytes: 60, process: false } },
  { name: 'F12: a page of HTML', script: { body: '<html>hello</html>', process: false } },
  { name: 'F13: an error in a 200', script: { error: 'server_error', status: 200 } },
  { name: 'F14: a byte now and then', script: { drip_ms: never, process: false, body: '{"access_token":"act.x"}' } },
  { name: 'F15: a hundred megabytes', script: { size_bytes: 100_000_000, process: false, body: '{}' } },
  {
    name: 'F16: a reset in the middle of the answer',
    script: { reset: 'mid_body', process: false, body: '{"access_token":"act.x"}' },
  },
  { name: 'F16: a reset after TikTok processed it', script: { reset: 'after' }, spent: true },
]

t.test(
  'an answer that cannot be relied on is never stored; the same token is tried once more when the lease is over',
  async (t) => {
    const { world, watched, seedOne, read, statusOf } = await startWatchedWorld(t, { callTotalMs: 1000 })
    const excused: string[] = []
    const down: Record<string, string> = {}

    for (const { name, script, spent = false } of faults) {
      await t.test(name, async (t) => {
        const [living, expired] = [await seedOne({ secondsLeft: 250 }), await seedOne({ secondsLeft: -10 })]
        for (const { person } of [living, expired]) world.tiktok.faults.add({ route: 'refresh', match: { person }, ...script })
        t.match(await read(living.id), { status: 200, degraded: true, generation: 1 }, 'the old token is served while it lives')
        t.match(
          await read(expired.id),
          { status: 503, code: 'tiktok_unavailable' },
          'without one the caller is told to come back',
        )
        world.tiktok.faults.clear()
        await world.timePasses(61)
        for (const { id } of [living, expired]) {
          if (!spent) {
            t.match(await read(id), { status: 200, generation: 2 })
            continue
          }
          excused.push(id)
          down[id] = 'refresh_outcome_unknown'
          await read(id)
          await world.timePasses(61)
          await read(id)
          t.match(await statusOf(id), { status: 'reauthorization_required', reason: 'refresh_outcome_unknown' })
        }
      })
    }

    t.match(await world.call('GET', '/metrics'), { text: /exactly_once_violation_total 0\n/ })
    t.same(await violations(watched, { excused, down }), [])
  },
)

t.test('F06: when TikTok cannot be reached nothing was spent, and everybody waits together', async (t) => {
  const { world, watched, seed, read, statusOf } = await startWatchedWorld(t)
  const accounts = await seed({ count: 8, secondsLeft: -10 })
  const { refresh } = world.parts.tiktok
  world.parts.tiktok.refresh = async () => ({ kind: 'not_sent', reason: 'refused', cause: new Error('refused') })
  for (const { id } of accounts) t.match(await read(id), { status: 503, code: 'tiktok_unavailable' })
  const [gate] = await watched.sql`select reason, failures from circuit_breakers where name = 'token'`
  t.match(gate, { reason: 'unavailable', failures: 1 }, 'the gate is closed for all replicas')
  world.parts.tiktok.refresh = refresh
  await world.timePasses(20)
  for (const { id } of accounts) t.match(await read(id), { status: 200, generation: 2 })
  t.equal(world.tiktok.stats.report().max_presented_per_refresh_token, 1)
  t.match(await statusOf(accounts[0]?.id ?? ''), { status: 'active' })
  t.match(
    await watched.sql`select failures from circuit_breakers where name = 'token'`,
    [{ failures: 0 }],
    'and one success opened it',
  )
  t.same(await violations(watched), [])
})

for (const [name, script] of [
  ['429', { status: 429, headers: { 'Retry-After': '3600' } }],
  ['503', { status: 503, headers: { 'Retry-After': '3600' }, process: false }],
  ['429 until a date', { status: 429, headers: { 'Retry-After': new Date(Date.now() + 3600_000).toUTCString() } }],
] satisfies [string, Omit<FaultScript, 'route'>][])
  t.test(
    `F10: a long wait that TikTok asks of one account (${name}) is its own; everybody waits a minute, then another one probes`,
    async (t) => {
      const { world, watched, seed, read, statusOf } = await startWatchedWorld(t)
      const [first, second, third, live] = await seed({ count: 4, secondsLeft: -10 })
      const requests = () => world.tiktok.stats.report().requests
      world.tiktok.faults.add({ route: 'refresh', ...script })
      t.match(await read(first.id), { status: 503 })
      await world.timePasses(55)
      const before = requests()
      t.match(await read(second.id), { status: 503, code: 'tiktok_unavailable' }, 'within the minute nobody is tried')
      t.equal(requests(), before)
      await world.timePasses(6)
      t.match(await read(first.id), { status: 503 }, 'nor is the one that was told to wait, later')
      t.equal(requests(), before)
      t.match(await read(second.id), { status: 200, generation: 2 }, 'another one probes')
      t.match(await read(third.id), { status: 200, generation: 2 }, 'and opens the way for everybody')
      await world.timePasses(3000)
      t.match(await read(first.id), { status: 503 }, 'the wait of the one is kept')
      t.match(await statusOf(first.id), { status: 'active', generation: 1 })
      await world.timePasses(600)
      t.match(await read(first.id), { status: 200, generation: 2 })
      t.match(await read(live.id), { status: 200, generation: 2 })
      t.same(await violations(watched), [])
    },
  )

t.test('F10: where every account is told to wait, one is tried a minute and no more', async (t) => {
  const { world, watched, seed, read } = await startWatchedWorld(t)
  const accounts = await seed({ count: 8, secondsLeft: -10 })
  const fault = world.tiktok.faults.add({ route: 'refresh', status: 429, headers: { 'Retry-After': '900' }, times: 'always' })
  for (let minute = 0; minute < 5; minute++) {
    for (const { id } of accounts) t.match(await read(id), { status: 503 })
    await world.timePasses(61)
  }
  t.equal(fault.hits, 5)
  world.tiktok.faults.clear()
  await world.timePasses(900)
  for (const { id } of accounts) t.match(await read(id), { status: 200, generation: 2 })
  t.same(await violations(watched), [])
})

t.test(
  'F17: nonsense about a lifetime is ten minutes and an alarm, never a date or a dead end, and a refresh token that did not come stays what it was',
  async (t) => {
    const { world, watched, seedOne, read } = await startWatchedWorld(t, { simulator: { settings: { rotation: 'none' } } })
    const kept = await seedOne({ secondsLeft: -10 })
    world.tiktok.faults.add({ route: 'refresh', omit: ['refresh_token'] })
    t.match(await read(kept.id), { status: 200, generation: 2 }, 'without a refresh token')

    for (const [expires_in, seconds] of [
      ['7200', 7200],
      ...[0, -1, 1e12, 'soon', null, undefined].map((nonsense) => [nonsense, 600] as const),
    ] as const) {
      const account = await seedOne({ secondsLeft: -10 })
      world.tiktok.faults.add({
        route: 'refresh',
        ...(expires_in === undefined ? { omit: ['expires_in'] } : { set: { expires_in } }),
      })
      t.match(await read(account.id), { status: 200, generation: 2 }, `expires_in ${expires_in}`)
      const { body } = await world.call<Account>('GET', `/accounts/${account.id}`)
      t.match(body.health, { verdict: 'healthy' })
      const { expires_at: end = '', refreshed_at: from = '' } = body.token ?? {}
      t.equal(Math.round((Date.parse(end) - Date.parse(from)) / 1000), seconds, `good for ${seconds} s`)
      await world.timePasses(seconds)
      t.match(await read(account.id), { status: 200, generation: 3 }, 'and then refreshed as ever')
    }
    t.equal(world.logged().split('TikTok named no lifetime of an access token').length - 1, 6)
    t.match(await world.parts.metrics.assumedLifetimes.get(), { values: [{ value: 6 }] })
    t.same(await violations(watched), [])
  },
)

t.test(
  "F18: another person's answer is refused; fewer scopes are stored, and a required one that is lost needs the person",
  async (t) => {
    const { world, watched, seed, read, statusOf } = await startWatchedWorld(t)
    const [foreign, fewer, lost] = await seed({ count: 3, secondsLeft: -10 })

    world.tiktok.faults.add({
      route: 'refresh',
      set: { open_id: 'somebody-else' },
      process: false,
      body: { ...answer, open_id: 'somebody-else' },
    })
    t.match(await read(foreign.id), { status: 503 })
    t.match(world.logged(), /"level":"error"[^\n]*refresh answered for another TikTok account/, 'and alarmed')
    await world.timePasses(61)
    t.match(await read(foreign.id), { status: 200, generation: 2 })

    const scopesOf = (id: string) => world.call<{ scopes: string[]; missing_scopes: string[] }>('GET', `/accounts/${id}`)
    world.tiktok.faults.add({ route: 'refresh', set: { scope: 'user.info.basic,video.upload' } })
    t.match(await read(fewer.id), { status: 200, generation: 2 })
    t.match((await scopesOf(fewer.id)).body, {
      scopes: ['user.info.basic', 'video.upload'],
      missing_scopes: ['user.info.profile', 'user.info.stats'],
    })

    world.tiktok.faults.add({ route: 'refresh', set: { scope: 'user.info.basic' } })
    t.match(await read(lost.id), { status: 409, code: 'reauthorization_required' })
    t.match(await statusOf(lost.id), { reason: 'required_scope_removed' })
    t.same(await violations(watched, { down: { [lost.id]: 'required_scope_removed' } }), [])
  },
)

t.test('F19: invalid_client for everyone for minutes marks no account, and all recover by themselves', async (t) => {
  const { world, watched, seed, read, statusOf } = await startWatchedWorld(t)
  const accounts = await seed({ count: 6, secondsLeft: -10 })
  const fault = world.tiktok.faults.add({ route: 'token', error: 'invalid_client', times: 'always' })
  for (let minute = 0; minute < 5; minute++) {
    for (const { id } of accounts) t.match(await read(id), { status: 503, code: 'tiktok_unavailable' })
    await world.timePasses(60)
  }
  t.ok(fault.hits <= 10, `TikTok was asked ${fault.hits} times in five minutes, not by every reader`)
  for (const { id } of accounts) t.match(await statusOf(id), { status: 'active', generation: 1 })
  world.tiktok.faults.clear()
  await world.timePasses(61)
  for (const { id } of accounts) t.match(await read(id), { status: 200, generation: 2 })
  t.same(await violations(watched), [])
})

t.test(
  'F45: an account that is disconnected during its refresh stays disconnected, and what TikTok gave is revoked',
  async (t) => {
    const { world, watched, seed, read } = await startWatchedWorld(t)
    const [early, late] = await seed({ count: 2, secondsLeft: -10 })
    for (const [{ id, person }, script] of [
      [early, { before_ms: 400 }],
      [late, { after_ms: 400 }],
    ] as const) {
      world.tiktok.faults.add({ route: 'refresh', match: { person }, ...script })
      const reading = read(id)
      while (world.tiktok.faults.list().every(({ hits }) => hits === 0)) await new Promise((resolve) => setImmediate(resolve))
      t.match(await world.call('DELETE', `/accounts/${id}`), { status: 200, body: { status: 'disconnected' } })
      t.match(await reading, { status: 410, code: 'account_disconnected' })
      t.match(await read(id), { status: 410, code: 'account_disconnected' })
      world.tiktok.faults.clear()
    }
    t.same(await violations(watched, { disconnected: [early.id, late.id] }), [])
  },
)

const answer = {
  access_token: 'act.foreign',
  expires_in: 7200,
  refresh_token: 'rft.foreign',
  refresh_expires_in: 86_400,
  scope: 'user.info.basic',
  token_type: 'Bearer',
}
