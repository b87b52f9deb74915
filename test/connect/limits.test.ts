// How many accounts an owner may connect, however many try at once and whatever becomes of the tier service.
import t from 'tap'
import type { Account } from '../../src/account/account.ts'
import { startApp } from '../../src/app.ts'
import { openTierService } from '../../src/connect/tier-service.ts'
import { stampede } from '../rig/stampede.ts'
import { startTierService } from '../rig/tier-service.ts'
import { startWorld, type World } from '../world.ts'

t.test('fifty connects at once for three places, over two replicas: three accounts, the other grants revoked', async (t) => {
  const world = await startWorld(t)
  const neighbour = await startApp(world.config, { background: false, log: world.parts.log })
  t.teardown(() => neighbour.close())
  const round = await stampede(world, [world.app.url, neighbour.url], { owner: 'user_f39', tier: 'creator', contenders: 50 })
  t.same(round.answers, { 201: 3, account_limit_reached: 47 })
  t.same(round.owner, { tier: 'creator', account_limit: 3, accounts_connected: 3, accounts_available: 0 })
  t.equal(round.grantsLive, 3, 'TikTok has three grants, and they are those of the accounts')
  t.equal(round.grantsRevoked, 47)
  t.equal(round.revocationsPending, 0)
})

t.test('a lowered tier keeps what is connected, refuses more, and lets people reconnect', async (t) => {
  const world = await startWorld(t)
  t.same((await setTier(world, 'creator')).body, {
    owner_id: 'user_42',
    tier: 'creator',
    account_limit: 3,
    accounts_connected: 0,
    accounts_available: 3,
  })
  const first = await world.connect({ person: 'mara' })
  await world.connect({ person: 'jonas' })
  const lowered = await setTier(world, 'free')
  t.match(lowered.body, { tier: 'free', account_limit: 1, accounts_connected: 2, accounts_available: 0 })
  t.equal((await world.call('GET', `/accounts/${first.id}/token`)).status, 200)

  const third = await tryConnect(world, { person: 'noura' })
  t.equal(third.status, 409)
  t.equal(third.body.code, 'account_limit_reached')
  t.equal(liveGrantsOf(world, 'noura'), 0, 'the fresh grant is dead at TikTok')

  const again = await tryConnect(world, { person: 'mara' })
  t.equal(again.status, 201, 'the same TikTok account takes no place')
  t.match(again.body, { id: first.id, token: { generation: 2 } })
})

t.test('a tier nobody configured is refused', async (t) => {
  const world = await startWorld(t)
  const answer = await setTier(world, 'platinum')
  t.equal(answer.status, 400)
  t.equal(answer.body.code, 'validation_failed')
  t.equal((await world.call('GET', '/owners/user_42')).status, 404)
})

t.test('a tier service decides instead', async (t) => {
  const service = await startTierService(t)
  const world = await startWorld(t, {
    env: { TIER_SERVICE_URL: `${service.url}/tiers`, TIER_SERVICE_TOKEN: 'token-of-the-tier-service' },
  })

  await t.test('a tier has the limit of TIER_LIMITS, whatever was set here', async (t) => {
    await setTier(world, 'business', 'user_1')
    service.say({ tier: 'free' })
    await world.connect({ owner: 'user_2', person: 'mara' })
    t.match((await world.call('GET', '/owners/user_2')).body, { tier: 'free', account_limit: 1, accounts_available: 0 })
    const second = await tryConnect(world, { owner: 'user_2', person: 'jonas' })
    t.equal(second.body.code, 'account_limit_reached')
    t.match(service.seen.at(-1), { path: '/tiers/user_2', authorization: 'Bearer token-of-the-tier-service' })
  })

  await t.test('a stated limit is taken as it is', async (t) => {
    service.say({ account_limit: 7 })
    await world.connect({ owner: 'user_3', person: 'noura' })
    t.match((await world.call('GET', '/owners/user_3')).body, { tier: null, account_limit: 7, accounts_available: 6 })
  })

  await t.test('one question is enough for one page and one connect', async (t) => {
    const before = service.seen.length
    await world.call('GET', '/owners/user_3')
    await world.call('GET', '/owners/user_3')
    t.equal(service.seen.length, before)
  })
})

t.test('a tier service that does not answer stops new connections and nothing else', async (t) => {
  const service = await startTierService(t)
  const world = await startWorld(t, { env: { TIER_SERVICE_URL: service.url } })
  let nowMs = 0
  Object.assign(world.parts.tierService ?? {}, openTierService({ url: service.url, timeoutMs: 500, now: () => nowMs }))
  service.say({ tier: 'creator' })
  const account = await world.connect({ owner: 'user_old', person: 'mara' })
  nowMs += 31_000 // what it said is not believed for longer than half a minute

  for (const [name, fault] of [
    ['an error', { status: 500 }],
    ['an owner it does not know', { status: 404, body: { error: 'unknown' } }],
    ['a tier we do not know', { body: { tier: 'platinum' } }],
    ['neither tier nor limit', { body: { plan: 'creator' } }],
    ['a limit that is none', { body: { account_limit: '7' } }],
    ['no JSON', { body: '<h1>Tiers</h1>' }],
    ['a megabyte', { body: { tier: 'creator', padding: ' '.repeat(1_000_000) } }],
    ['a redirect', { status: 307, headers: { location: `${service.url}/ok/user` } }],
    ['silence', { hang: true }],
  ] as const) {
    await t.test(name, async (t) => {
      service.fail(fault)
      const owner = `user_${name.replaceAll(' ', '_')}`
      const refused = await tryConnect(world, { owner, person: 'jonas' })
      t.equal(refused.status, 503)
      t.equal(refused.body.code, 'storage_unavailable')
      t.ok(Number(refused.headers['retry-after']) >= 1)
      t.equal(world.tiktok.stats.report().exchanges, 1, 'no code was spent')
    })
  }

  await t.test('the same session is completed once the service answers', async (t) => {
    service.fail({ status: 503 })
    const { complete } = await walk(world, { owner: 'user_new', person: 'jonas' })
    t.equal((await complete()).status, 503)
    service.say({ tier: 'free' })
    t.equal((await complete()).status, 201)
  })

  await t.test('in callback mode the person hears of it and nothing is connected', async (t) => {
    service.say({ tier: 'free' })
    const session = await world.openSession({ owner_id: 'user_callback', completion: 'callback' })
    const browser = world.browser()
    const out = await browser.setOut(session.authorize_url)
    const decided = world.tiktok.authorize({ authorize_url: String(out.headers.location), person: 'noura' })
    nowMs += 31_000
    service.fail({ status: 503 })
    const back = await browser.get('redirect_to' in decided ? decided.redirect_to : '')
    t.equal(new URL(String(back.headers.location)).searchParams.get('error'), 'storage_unavailable')
    t.equal(liveGrantsOf(world, 'noura'), 0)
  })

  await t.test('accounts work, are listed, and come back in place', async (t) => {
    service.fail({ hang: true })
    t.equal((await world.call('GET', `/accounts/${account.id}/token`)).status, 200)
    t.equal((await world.call('GET', '/accounts?owner_id=user_old')).status, 200)
    const named = await tryConnect(world, { owner: 'user_old', person: 'mara', session: { reconnect_account_id: account.id } })
    t.match(named, { status: 201, body: { id: account.id, token: { generation: 2 } } })
    const unnamed = await tryConnect(world, { owner: 'user_old', person: 'mara' })
    t.match(unnamed, { status: 201, body: { id: account.id, token: { generation: 3 } } })
  })

  await t.test('a grant that turns out to need a place is refused and revoked, not left alive', async (t) => {
    service.fail({ status: 500 })
    const { complete } = await walk(world, { owner: 'user_old', person: 'zsofia' })
    for (const said of [
      { status: 410, body: { code: 'session_expired', detail: /tier service.*open a new connect session/ } },
      { status: 409, body: { code: 'session_failed', error: 'storage_unavailable' } },
    ]) {
      const refused = await complete()
      t.match(refused, said)
      t.notOk(refused.headers['retry-after'], 'nobody is asked to repeat what can only fail')
    }
    t.equal(liveGrantsOf(world, 'zsofia'), 0)
  })
})

const setTier = (world: World, tier: string, owner = 'user_42') => world.call('PUT', `/owners/${owner}`, { body: { tier } })

async function walk(world: World, wish: { owner?: string; person: string; session?: Record<string, unknown> }) {
  const { owner = 'user_42', person, session = {} } = wish
  const opened = await world.openSession({ owner_id: owner, ...session })
  const back = await world.browser().walk(opened.authorize_url, { person })
  const body = { owner_id: owner, confirm: back.searchParams.get('confirm') ?? '' }
  return { complete: () => world.call<Account & { code?: string }>('POST', `/connect-sessions/${opened.id}/complete`, { body }) }
}

async function tryConnect(world: World, wish: { owner?: string; person: string; session?: Record<string, unknown> }) {
  const { complete } = await walk(world, wish)
  return complete()
}

const liveGrantsOf = ({ tiktok }: World, person: string) => {
  const found = tiktok.people.find(person)
  return found ? tiktok.grants.ofPerson(found).length : 0
}
