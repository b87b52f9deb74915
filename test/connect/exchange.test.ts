// From a code to an account: once, for whoever started, and with every refused grant gone from TikTok again.
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import t, { type Test } from 'tap'
import type { Account } from '../../src/account/account.ts'
import { startApp } from '../../src/app.ts'
import { connectGrant } from '../../src/connect/grant.ts'
import { type Change, readChanges } from '../../src/db/audit.ts'
import { findSession } from '../../src/db/connect-sessions.ts'
import type { AnsweredExchange } from '../../src/journal/entries.ts'
import { createLog } from '../../src/telemetry.ts'
import { eventually } from '../rig/eventually.ts'
import { startProxy } from '../rig/proxy.ts'
import { returnUrl, startWorld, type World } from '../world.ts'

const world = await startWorld(t)

t.test('complete connects once: 201 with the account, 200 when it is repeated', async (t) => {
  const { complete, id } = await cameBack(world, { owner: 'olga', person: 'mara', session: { label: 'Main shop' } })
  const first = await complete()
  t.equal(first.status, 201)
  const account = await world.call<Account>('GET', `/accounts/${first.body.id}`)
  t.match(first.body, {
    owner_id: 'olga',
    open_id: world.tiktok.people.openIdOf({ id: 'mara' }),
    label: 'Main shop',
    status: 'active',
    status_reason: null,
    account_type: { value: 'creator', source: 'self_attested' },
    scopes: ['user.info.basic', 'user.info.profile', 'user.info.stats', 'video.upload'],
    missing_scopes: [],
    profile: { username: 'maracooks', display_name: 'Mara Cooks', follower_count: 48_210, is_verified: false },
    token: { generation: 1 },
    health: { verdict: 'healthy' },
  })
  const again = await complete()
  t.equal(again.status, 200)
  t.equal(again.body.id, account.body.id)
  t.equal((await complete({ confirm: 'wrong' })).body.code, 'confirm_invalid', 'a repeat has to know the token too')
  t.equal((await complete({ owner_id: 'other' })).body.code, 'owner_mismatch')
  t.match(await sessionOf(world, id), { status: 'completed', account_id: account.body.id, error: null })
})

t.test('complete before the person is back is not ready, after ten minutes it is over', async (t) => {
  const opened = await world.openSession({ owner_id: 'early' })
  const complete = () =>
    world.call('POST', `/connect-sessions/${opened.id}/complete`, { body: { owner_id: 'early', confirm: 'x' } })
  t.match(await complete(), { status: 409, body: { code: 'session_not_ready' } })
  await world.browser().get(opened.authorize_url)
  t.match(await complete(), { status: 409, body: { code: 'session_not_ready' } })
  await world.timePasses(601)
  t.match(await complete(), { status: 410, body: { code: 'session_expired' } })

  const back = await cameBack(world, { owner: 'slow', person: 'jonas' })
  await world.timePasses(601)
  const before = exchanges(world)
  t.match(await back.complete(), { status: 410, body: { code: 'session_expired' } })
  t.match(await sessionOf(world, back.id), { status: 'expired', account_id: null })
  t.equal(exchanges(world), before, 'an old code is not even tried')

  t.match(await world.call('POST', '/connect-sessions/cs_unknown/complete', { body: { owner_id: 'x', confirm: 'x' } }), {
    status: 404,
    body: { code: 'connect_session_not_found' },
  })
  t.match(await world.call('GET', '/connect-sessions/cs_unknown'), { status: 404, body: { code: 'connect_session_not_found' } })
})

t.test('twenty completes at once exchange the code once, and all get the account', async (t) => {
  const { complete } = await cameBack(world, { owner: 'crowd', person: 'newcomer' })
  const before = world.tiktok.stats.report()
  const answers = await Promise.all(Array.from({ length: 20 }, () => complete()))
  const after = world.tiktok.stats.report()
  t.equal(after.exchanges - before.exchanges, 1)
  t.equal(after.exchange_refused, before.exchange_refused)
  t.same(new Set(answers.map(({ body }) => body.id)).size, 1)
  t.same(answers.map(({ status }) => status).sort(), [...Array(19).fill(200), 201], 'and one of them connected it')
})

t.test('completes at two replicas at once exchange the code once, and both get the account', async (t) => {
  const neighbour = await startApp(
    {
      ...world.config,
      dataDir: `${world.config.dataDir}-b`,
      journal: { ...world.config.journal, dir: `${world.config.dataDir}/b` },
    },
    {
      background: false,
      log: createLog('silent'),
    },
  )
  t.teardown(() => neighbour.close())
  const { id, confirm } = await cameBack(world, { owner: 'two', person: 'quiet' })
  world.tiktok.faults.add({ route: 'exchange', before_ms: 150 })
  const before = world.tiktok.stats.report()
  const answers = await Promise.all(
    [world.app.url, neighbour.url, world.app.url, neighbour.url].map((url) =>
      world.call<Account>('POST', `${url}/connect-sessions/${id}/complete`, { body: { owner_id: 'two', confirm } }),
    ),
  )
  const after = world.tiktok.stats.report()
  t.equal(after.exchanges + after.exchange_refused - before.exchanges - before.exchange_refused, 1)
  t.same(answers.map(({ status }) => status).sort(), [200, 200, 200, 201])
  t.equal(new Set(answers.map(({ body }) => body.id)).size, 1)
})

t.test('S09: without a required scope the grant is refused and revoked at TikTok', async (t) => {
  const { complete, id } = await cameBack(world, { owner: 'declines', person: 'brightlane', decline: ['video.upload'] })
  const refused = await complete()
  t.match(refused, { status: 422, body: { code: 'scope_not_granted', mended_by: 'user' } })
  t.equal(grantsOf(world, 'brightlane'), 0)
  t.match(await sessionOf(world, id), { status: 'failed', error: 'scope_not_granted', account_id: null })
  t.match(await complete(), { status: 409, body: { code: 'session_failed', error: 'scope_not_granted' } }, 'a repeat is told why')
  t.match((await world.call('GET', '/accounts?owner_id=declines')).body, { accounts: [] })
})

t.test('a refused grant never had an account: timeline, audit and log name its session', async (t) => {
  const logged = world.logged().length
  const { complete, id } = await cameBack(world, { owner: 'declines', person: 'brightlane', decline: ['video.upload'] })
  await complete()
  const { db } = world.parts
  const entries = await db.run(
    'entries',
    (sql) => sql`select account_id, session_id, kind from timeline where session_id = ${id}`,
  )
  t.strictSame([...entries], [{ accountId: null, sessionId: id, kind: 'grant_revoked' }])
  const mistaken = await db.run('mistaken', (sql) => sql`select 1 from timeline where account_id !~ '^acc_'`)
  t.equal(mistaken.length, 0, 'and what is called an account is one')
  const changes: Change[] = []
  const filter = { actor: null, object: id, from: null, to: null }
  await readChanges(db, filter, async (some) => void changes.push(...some))
  t.match(changes, [
    { action: 'connect_session_opened', object: id },
    { action: 'grant_revoked', object: id, code: 'confirmed' },
  ])
  const lines = world.logged().slice(logged).split('\n').filter(Boolean)
  const settled = lines.map((line) => JSON.parse(line)).find(({ msg }) => msg === 'grant revocation was settled')
  t.match(settled, { sessionId: id, reason: 'scope_not_granted', outcome: 'confirmed' })
  t.notOk(lines.some((line) => /"accountId":"cs_/.test(line)))
})

t.test('S09: a required scope that is declined costs a connected account nothing', async (t) => {
  const account = await world.connect({ owner: 'careful', person: 'brightlane' })
  const { complete } = await cameBack(world, { owner: 'careful', person: 'brightlane', decline: ['video.upload'] })
  t.match(await complete(), { status: 422, body: { code: 'scope_not_granted' } })
  t.match(await world.call('GET', `/accounts/${account.id}`), { body: { status: 'active', token: { generation: 1 } } })
  await stillRefreshes(t, world, account.id)
})

t.test('S09: an optional scope that is declined is listed as missing', async (t) => {
  const account = await world.connect({ owner: 'private', person: 'noura', decline: ['user.info.stats'] })
  t.same(account.missing_scopes, ['user.info.stats'])
  t.same(account.scopes, ['user.info.basic', 'user.info.profile', 'video.upload'])
  t.equal(account.profile.follower_count, null)
  t.not(account.profile.username, null)
})

t.test('the same owner connects the same TikTok account again: it is updated in place', async (t) => {
  const first = await world.connect({
    owner: 'returning',
    person: 'zsofia',
    session: { label: 'Shop' },
    decline: ['user.info.stats'],
  })
  const again = await cameBack(world, { owner: 'returning', person: 'zsofia', session: { label: 'Another label' } })
  const answer = await again.complete()
  t.match(answer, { status: 201, body: { id: first.id, label: 'Shop', missing_scopes: [], token: { generation: 2 } } })
  const { body } = await world.call<{ accounts: Account[] }>('GET', '/accounts?owner_id=returning')
  t.equal(body.accounts.length, 1)
  await stillRefreshes(t, world, first.id)
})

t.test('S10: a TikTok account of another owner is refused, and the first owner keeps a grant that lives', async (t) => {
  const first = await world.connect({ owner: 'first', person: person(world) })
  const mine = world.tiktok.people.findByOpenId(first.open_id ?? '')?.id ?? ''
  const second = await cameBack(world, { owner: 'second', person: mine })
  t.match(await second.complete(), { status: 409, body: { code: 'account_already_connected' } })
  t.match(await world.call('GET', '/accounts?owner_id=second'), { body: { accounts: [] } })
  await stillRefreshes(t, world, first.id)

  await world.call('DELETE', `/accounts/${first.id}`)
  const taken = await world.connect({ owner: 'second', person: mine })
  t.not(taken.id, first.id, 'what was disconnected stays a tombstone; the TikTok account is free for others')
})

t.test('S10: two owners connect the same TikTok account at once: one gets it, and its grant lives', async (t) => {
  const mine = person(world)
  const sessions = await Promise.all(['left', 'right'].map((owner) => cameBack(world, { owner, person: mine })))
  const answers = await Promise.all(sessions.map(({ complete }) => complete()))
  t.same(answers.map(({ status }) => status).sort(), [201, 409])
  const won = answers.find(({ status }) => status === 201)
  await stillRefreshes(t, world, String(won?.body.id))
})

t.test('one owner connects the same TikTok account twice at once: one account comes of it', async (t) => {
  const mine = person(world)
  const sessions = await Promise.all([1, 2].map(() => cameBack(world, { owner: 'twice', person: mine })))
  const answers = await Promise.all(sessions.map(({ complete }) => complete()))
  t.same(
    answers.map(({ status }) => status),
    [201, 201],
  )
  t.equal(new Set(answers.map(({ body }) => body.id)).size, 1)
  await stillRefreshes(t, world, String(answers[0]?.body.id))
})

t.test('S10: reconnecting takes the very account and no other', async (t) => {
  const account = await world.connect({ owner: 'picky', person: person(world) })
  const other = await world.connect({ owner: 'picky', person: person(world) })
  const stranger = person(world)
  const session = { reconnect_account_id: account.id }

  const wrong = await cameBack(world, { owner: 'picky', person: stranger, session })
  t.match(await wrong.complete(), { status: 409, body: { code: 'account_mismatch' } })
  t.equal(grantsOf(world, stranger), 0, 'the fresh grant is revoked')

  const sibling = await cameBack(world, { owner: 'picky', person: idOf(world, other), session })
  t.match(await sibling.complete(), { status: 409, body: { code: 'account_mismatch' } })
  await stillRefreshes(t, world, other.id)

  const right = await cameBack(world, { owner: 'picky', person: idOf(world, account), session })
  t.match(await right.complete(), { status: 201, body: { id: account.id, token: { generation: 2 } } })
})

t.test('a session that names an account to reconnect is checked when it is opened', async (t) => {
  const account = await world.connect({ owner: 'holder', person: person(world) })
  const open = (body: object) =>
    world.call('POST', '/connect-sessions', { body: { owner_id: 'holder', return_url: returnUrl, ...body } })
  t.match(await open({ reconnect_account_id: 'acc_unknown' }), { status: 404, body: { code: 'account_not_found' } })
  t.match(await open({ reconnect_account_id: 'acc_\u0000' }), { status: 400, body: { code: 'validation_failed' } })
  t.match(await open({ reconnect_account_id: account.id, owner_id: 'thief' }), { status: 403, body: { code: 'owner_mismatch' } })
  await world.call('DELETE', `/accounts/${account.id}`)
  t.match(await open({ reconnect_account_id: account.id }), { status: 410, body: { code: 'account_disconnected' } })
})

t.test('without a free place the grant is refused and revoked, but reconnecting needs none', async (t) => {
  const account = await world.connect({ owner: 'small', person: person(world), session: { tier: 'free' } })
  const stranger = person(world)
  const { complete, id } = await cameBack(world, { owner: 'small', person: stranger })
  t.match(await complete(), { status: 409, body: { code: 'account_limit_reached', mended_by: 'user' } })
  t.equal(grantsOf(world, stranger), 0)
  t.match(await sessionOf(world, id), { status: 'failed', error: 'account_limit_reached' })
  const again = await cameBack(world, { owner: 'small', person: idOf(world, account) })
  t.match(await again.complete(), { status: 201, body: { id: account.id } })
})

t.test('F39: fifty connects at once for three places: exactly three accounts, the other grants revoked at TikTok', async (t) => {
  const people = Array.from({ length: 50 }, () => person(world))
  const sessions = await Promise.all(
    people.map((person) => cameBack(world, { owner: 'rush', person, session: { tier: 'creator' } })),
  )
  const answers = await Promise.all(sessions.map(({ complete }) => complete()))
  t.equal(answers.filter(({ status }) => status === 201).length, 3)
  t.equal(answers.filter(({ status, body }) => status === 409 && body.code === 'account_limit_reached').length, 47)
  const { body } = await world.call<{ accounts: Account[] }>('GET', '/accounts?owner_id=rush')
  t.equal(body.accounts.length, 3)
  t.equal(people.filter((person) => grantsOf(world, person) > 0).length, 3)
})

t.test('a code that TikTok refuses fails the session, and is not sent again', async (t) => {
  const { complete, id } = await cameBack(world, { owner: 'unlucky', person: person(world) })
  world.tiktok.faults.add({ route: 'exchange', error: 'invalid_grant' })
  const before = requests(world)
  t.match(await complete(), { status: 502, body: { code: 'tiktok_rejected', mended_by: 'user' } })
  t.match(await complete(), { status: 409, body: { code: 'session_failed', error: 'tiktok_rejected' } })
  t.equal(requests(world) - before, 1)
  t.match(await sessionOf(world, id), { status: 'failed', error: 'tiktok_rejected' })
})

for (const [what, fault] of Object.entries({
  'a connection reset after TikTok processed it': { reset: 'after' },
  'a server error': { status: 502, body: '<h1>Bad gateway</h1>' },
  'a cut answer': { cut_at_bytes: 60 },
  'an answer about nobody': { omit: ['open_id'] },
  'a grant without a refresh token': { omit: ['refresh_token'] },
} as const)) {
  t.test(`${what} fails the session: a code that may be spent is never sent twice`, async (t) => {
    const { complete } = await cameBack(world, { owner: 'doubtful', person: person(world) })
    world.tiktok.faults.add({ route: 'exchange', ...structuredClone(fault) } as Parameters<typeof world.tiktok.faults.add>[0])
    const before = requests(world)
    t.match(await complete(), { status: 502, body: { code: 'tiktok_rejected' } })
    const sent = requests(world) - before
    t.match(await complete(), { status: 409, body: { code: 'session_failed', error: 'tiktok_rejected' } })
    t.equal(requests(world) - before, sent)
    t.match((await world.call('GET', '/accounts?owner_id=doubtful')).body, { accounts: [] })
  })
}

t.test('a grant without a refresh token does not stay at TikTok', async (t) => {
  const stranger = person(world)
  const { complete } = await cameBack(world, { owner: 'doubtful', person: stranger })
  world.tiktok.faults.add({ route: 'exchange', omit: ['refresh_token'] })
  await complete()
  t.equal(grantsOf(world, stranger), 0)
})

for (const [what, fault] of Object.entries({
  'a rate limit': { status: 429, headers: { 'Retry-After': '7' } },
  'a refusal of our client': { error: 'invalid_client' },
} as const)) {
  t.test(`after ${what} complete may be repeated: the code was not looked at`, async (t) => {
    const { complete } = await cameBack(world, { owner: 'patient', person: person(world) })
    world.tiktok.faults.add({ route: 'exchange', ...fault })
    const refused = await complete()
    t.match(refused, { status: 503, body: { code: 'tiktok_unavailable', mended_by: 'time' } })
    t.match(refused.headers['retry-after'], /^[1-9]\d*$/)
    t.equal((await complete()).status, 201)
  })
}

t.test('S13: a slow exchange outlives the patience of its caller, and a repeat finds the account', async (t) => {
  const { complete, id } = await cameBack(world, { owner: 'hasty', person: person(world) })
  world.tiktok.faults.add({ route: 'exchange', before_ms: 1000 })
  await withTimings(world, { completionPatienceMs: 50 }, async () => {
    t.match(await complete(), { status: 503, body: { code: 'tiktok_unavailable' } })
    t.match(await sessionOf(world, id), { status: 'awaiting_completion' })
  })
  t.match(await complete(), { status: 200, body: { owner_id: 'hasty' } })
})

t.test('a TikTok that cannot be reached costs nothing: complete may be repeated when it is back', async (t) => {
  const cut = await startWorld(t, { env: { TIKTOK_API_BASE_URL: 'http://127.0.0.1:9' } })
  const { complete, id } = await cameBack(cut, { owner: 'offline', person: 'mara' })
  t.match(await complete(), { status: 503, body: { code: 'tiktok_unavailable' } })
  t.match(await sessionOf(cut, id), { status: 'awaiting_completion' })
  t.equal(cut.tiktok.stats.report().exchanges, 0)
})

for (const [what, fault] of Object.entries({
  'a profile that fails': { route: 'user_info', status: 500 },
  'a profile that is rubbish': { route: 'user_info', body: '<html>rubbish' },
  'a profile about somebody else': { route: 'user_info', set: { open_id: 'somebody-else' } },
  'a profile of a hundred megabytes': { route: 'user_info', size_bytes: 100_000_000 },
  'a profile that hangs': { route: 'user_info', before_ms: 400 },
  'a picture that hangs': { route: 'avatar', before_ms: 400 },
  'a picture that is none': { route: 'avatar', content_type: 'text/html', body: '<script>alert(1)</script>' },
} as const)) {
  t.test(`${what} neither fails nor delays a connect`, async (t) => {
    const { complete } = await cameBack(world, { owner: 'faceless', person: person(world) })
    world.tiktok.faults.add({ ...structuredClone(fault) } as Parameters<typeof world.tiktok.faults.add>[0])
    const answer = await withTimings(world, { profilePatienceMs: 100 }, complete)
    world.tiktok.faults.clear()
    t.match(answer, { status: 201, body: { status: 'active' } })
    t.equal(answer.body.profile.avatar_url, null)
    t.equal((await world.call('GET', `/accounts/${answer.body.id}/token`)).status, 200)
    await world.call('DELETE', `/accounts/${answer.body.id}`)
  })
}

t.test(
  'F04: the database goes away right after the exchange: complete may be repeated, and one account comes of it',
  async (t) => {
    const cable: { proxy?: Awaited<ReturnType<typeof startProxy>> } = {}
    const fragile = await startWorld(t, {
      timings: { completionPatienceMs: 200 },
      through: async (url) => {
        cable.proxy = await startProxy(t, url)
        return cable.proxy.url
      },
    })
    const { proxy } = cable
    if (!proxy) throw new Error('the database is reached through the proxy')
    const { complete, id } = await cameBack(fragile, { owner: 'stormy', person: 'mara' })
    const cutThere = async (message: unknown) => {
      if ((message as { name: string }).name === 'exchange.answered') await proxy.cut()
    }
    subscribe('tiktok-oauth-service.step', cutThere)
    t.match((await complete()).status, 503)
    unsubscribe('tiktok-oauth-service.step', cutThere)
    t.match(
      (await fragile.call('GET', '/health/ready', { key: null })).status,
      503,
      'not ready while an answer is only in memory',
    )
    await proxy.resume()
    await eventually('the account is there', async () => (await complete()).status === 200)
    const { body } = await fragile.call<{ accounts: Account[] }>('GET', '/accounts?owner_id=stormy')
    t.equal(body.accounts.length, 1)
    t.match(await sessionOf(fragile, id), { status: 'completed', account_id: body.accounts[0]?.id })
    t.equal(fragile.tiktok.stats.report().exchanges, 1)
    await eventually('the journal has it recorded', () => fragile.parts.journal.count() === 0)
    await stillRefreshes(t, fragile, String(body.accounts[0]?.id))
  },
)

t.test(
  'F04: a record that is repeated after its answer was lost overwrites no younger token and revives no account',
  async (t) => {
    await world.timePasses(60) // whatever held refreshes back in an earlier test
    const { complete, id } = await cameBack(world, { owner: 'repeated', person: person(world) })
    const journalled: AnsweredExchange[] = []
    const { write } = world.parts.journal
    world.parts.journal.write = (entry) => {
      journalled.push(entry.body as AnsweredExchange)
      return write(entry)
    }
    const { body: account } = await complete()
    world.parts.journal.write = write
    await stillRefreshes(t, world, account.id)
    const again = async () => {
      const session = await findSession(world.parts.db, id)
      const [answer] = journalled
      if (!session || !answer) throw new Error('nothing was journalled')
      await connectGrant(world.parts, session, answer, 'test', false)
    }
    await again()
    t.match(await world.call('GET', `/accounts/${account.id}`), { body: { token: { generation: 2 } } })
    await stillRefreshes(t, world, account.id)
    await world.call('DELETE', `/accounts/${account.id}`)
    await again()
    t.match(await world.call('GET', '/accounts?owner_id=repeated&status=active'), { body: { accounts: [] } })
  },
)

/** A session whose person is back from TikTok: what is left is to complete it. */
async function cameBack(
  world: World,
  { owner, person, decline, session = {} }: { owner: string; person: string; decline?: string[]; session?: object },
) {
  const { id, authorize_url } = await world.openSession({ owner_id: owner, ...session })
  const back = await world.browser().walk(authorize_url, { person, ...(decline ? { decline } : {}) })
  const confirm = back.searchParams.get('confirm') ?? ''
  const complete = (change: object = {}) =>
    world.call<Account & { code?: string }>('POST', `/connect-sessions/${id}/complete`, {
      body: { owner_id: owner, confirm, ...change },
    })
  return { id, confirm, complete }
}

let people = 0
function person({ tiktok }: World): string {
  return tiktok.people.add({ id: `somebody-${++people}` }).id
}

function idOf({ tiktok }: World, { open_id }: Account): string {
  return tiktok.people.findByOpenId(open_id ?? '')?.id ?? ''
}

function grantsOf({ tiktok }: World, id: string): number {
  const person = tiktok.people.find(id)
  return person ? tiktok.grants.ofPerson(person).length : 0
}

const exchanges = ({ tiktok }: World) => tiktok.stats.report().exchanges
const requests = ({ tiktok }: World) => tiktok.stats.report().requests

async function sessionOf(world: World, id: string) {
  return (await world.call<{ status: string; account_id: string | null; error: string | null }>('GET', `/connect-sessions/${id}`))
    .body
}

/** Uses the grant at TikTok: only a live refresh token gives a new pair. */
async function stillRefreshes(t: Test, world: World, accountId: string): Promise<void> {
  const { body } = await world.call<Account>('GET', `/accounts/${accountId}`)
  const generation = body.token?.generation ?? 0
  const fresh = await world.call('POST', `/accounts/${accountId}/token/rejected`, { body: { generation } })
  t.match(fresh, { status: 200, body: { generation: generation + 1 } }, 'the grant lives at TikTok')
}

async function withTimings<T>({ parts }: World, change: Partial<World['parts']['timings']>, work: () => Promise<T>): Promise<T> {
  const usual = { ...parts.timings }
  Object.assign(parts.timings, change)
  try {
    return await work()
  } finally {
    Object.assign(parts.timings, usual)
  }
}
