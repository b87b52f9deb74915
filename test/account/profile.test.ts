// What a person looks like: told as far as the scopes go, never in the way of a token, and looked at once a day.
import postgres from 'postgres'
import t from 'tap'
import type { FaultScript } from 'tiktok-simulator/faults'
import type { Account } from '../../src/account/account.ts'
import { createProfiler } from '../../src/background/profiler.ts'
import { saveProfile } from '../../src/db/profiles.ts'
import { eventually } from '../rig/eventually.ts'
import { seedAccounts } from '../rig/seed.ts'
import { startWorld, type World } from '../world.ts'

const hourSeconds = 3600
const daySeconds = 24 * hourSeconds

t.test('a profile tells what was granted, and names the scope for what was not', async (t) => {
  const world = await startWorld(t)
  const whole = await world.connect({ person: 'jonas' })
  t.match(whole.profile, {
    username: 'jonaslindqvist',
    display_name: 'Jonas Lindqvist',
    follower_count: 4_812_337,
    is_verified: true,
    avatar_url: `${world.config.publicUrl}/accounts/${whole.id}/avatar`,
    fetched_at: /Z$/,
  })
  t.same(whole.profile.unavailable, {})

  const partly = await world.connect({ person: 'mara', decline: ['user.info.profile', 'user.info.stats'] })
  t.match(partly.profile, { username: null, display_name: 'Mara Cooks', follower_count: null, is_verified: null })
  t.same(partly.profile.unavailable, {
    username: 'user.info.profile',
    is_verified: 'user.info.profile',
    follower_count: 'user.info.stats',
  })
  t.same(partly.missing_scopes, ['user.info.profile', 'user.info.stats'])

  const quiet = await world.connect({ person: 'quiet' })
  t.match(quiet.profile, { username: null, display_name: 'Quiet Account' }, 'TikTok may leave a field out, whatever was granted')
  t.same(quiet.profile.unavailable, {})

  const allowed = await world.connect({ person: 'mara' })
  t.match(allowed, { id: partly.id, profile: { username: 'maracooks', follower_count: 48_210, unavailable: {} } })
})

t.test('a field that TikTok refuses costs that field and no other', async (t) => {
  const world = await startWorld(t, { env: { TIER_LIMITS: 'business:100' } })
  const shown = (await world.connect({ person: 'jonas' })).profile
  const basic = { display_name: 'Jonas Lindqvist', avatar_url: shown.avatar_url }
  const profile = { username: 'jonaslindqvist', is_verified: true }
  const stats = { follower_count: 4_812_337 }
  const nothing = { username: null, is_verified: null, follower_count: null }
  for (const code of ['scope_not_authorized', 'scope_permission_missed', 'invalid_params', 'scope_of_a_new_kind'])
    for (const [refused, given] of [
      [['is_verified'], { ...basic, username: 'jonaslindqvist', ...stats }],
      [['username', 'is_verified'], { ...basic, ...stats }],
      [['follower_count'], { ...basic, ...profile }],
      [['username', 'is_verified', 'follower_count'], basic],
      [['avatar_url'], { display_name: 'Jonas Lindqvist', ...profile, ...stats }],
      [['open_id', 'union_id'], { ...basic, ...profile, ...stats }],
    ] as const) {
      world.tiktok.changeSettings({ refused_fields: Object.fromEntries(refused.map((field) => [field, code])) })
      const account = await world.connect({ person: 'jonas' })
      const names = Object.keys(shown.unavailable).concat(refused.filter((field) => Object.hasOwn(shown, field)))
      t.match(account.profile, { ...nothing, ...given, fetched_at: /Z$/ }, `${refused.join()} ${code}`)
      t.same(Object.keys(account.profile.unavailable).sort(), names.sort())
      t.match(account, { status: 'active', missing_scopes: [] })
    }
  world.tiktok.changeSettings({ refused_fields: {} })
  t.match((await world.connect({ person: 'jonas' })).profile, { ...basic, ...profile, ...stats, unavailable: {} })
})

t.test('a refused question is asked again in few parts, and what fails otherwise in between is not a profile', async (t) => {
  const world = await startWorld(t)
  const account = await world.connect()
  const asked = () => world.tiktok.stats.report().user_infos + world.tiktok.stats.report().user_infos_refused
  world.tiktok.changeSettings({ refused_fields: { follower_count: 'scope_not_authorized' } })
  const before = asked()
  await world.call('POST', `/accounts/${account.id}/verify`)
  t.equal(asked() - before, 4, 'all, then scope by scope')
  world.tiktok.faults.add({ route: 'user_info', error: 'scope_not_authorized' })
  world.tiktok.faults.add({ route: 'user_info', error: 'rate_limit_exceeded', status: 429 })
  t.equal((await world.call('POST', `/accounts/${account.id}/verify`)).status, 503)
  t.match((await read(world, account.id)).profile, { display_name: 'Mara Cooks' }, 'as it was')
})

t.test('a scope that is taken back closes its fields at once', async (t) => {
  const world = await startWorld(t)
  const account = await world.connect()
  const [grant] = world.tiktok.grants.all()
  if (grant) grant.scopes = grant.scopes.filter((scope) => scope !== 'user.info.stats')
  await world.parts.refresher.refresh(account.id, 1)
  t.match(await read(world, account.id), {
    profile: { follower_count: null, username: 'maracooks', unavailable: { follower_count: 'user.info.stats' } },
  })
})

t.test('a profile call that hangs neither delays nor fails the storage of a token', async (t) => {
  const world = await startWorld(t)
  world.tiktok.faults.add({ route: 'user_info', before_ms: 600_000, times: 'always' })
  const session = await world.openSession()
  const back = await world.browser().walk(session.authorize_url, {})
  let isAnswered = false
  const completing = world.call<Account>('POST', `/connect-sessions/${session.id}/complete`, {
    body: { owner_id: 'user_42', confirm: back.searchParams.get('confirm') },
  })
  completing.finally(() => {
    isAnswered = true
  })
  const stored = async () => (await world.call('GET', `/connect-sessions/${session.id}`)).body.account_id
  await eventually('the token is stored', async () => typeof (await stored()) === 'string')
  t.equal((await world.call('GET', `/accounts/${await stored()}/token`)).status, 200, 'and is handed out')
  t.notOk(isAnswered, 'while the profile is still awaited')

  const completed = await completing
  t.equal(completed.status, 201, 'answered, although TikTok never was')
  t.match(completed.body.profile, { username: null, display_name: null, avatar_url: null, fetched_at: null })
})

t.test('a bad answer about a profile connects all the same and stores nothing', async (t) => {
  const faults: [string, FaultScript][] = [
    ['an error', { route: 'user_info', status: 500, body: 'oops' }],
    ['HTML', { route: 'user_info', body: '<h1>Hello</h1>', content_type: 'text/html' }],
    ['nobody', { route: 'user_info', body: { data: { user: {} }, error: { code: 'ok' } } }],
    ['somebody else', { route: 'user_info', set: { open_id: 'somebody-else', display_name: 'Mallory' } }],
    ['a cut answer', { route: 'user_info', cut_at_bytes: 40 }],
    ['a hundred megabytes', { route: 'user_info', size_bytes: 100_000_000 }],
    ['a reset', { route: 'user_info', reset: 'mid_body' }],
    ['a rate limit', { route: 'user_info', error: 'rate_limit_exceeded', status: 429 }],
    ['a refused token', { route: 'user_info', error: 'access_token_invalid' }],
    ['a redirect', { route: 'user_info', redirect: 'http://127.0.0.1:9/' }],
  ]
  const world = await startWorld(t, { env: { TIER_LIMITS: 'business:100' } })
  for (const [name, fault] of faults) {
    await t.test(name, async (t) => {
      world.tiktok.faults.add(fault)
      const person = `person-${name.replaceAll(' ', '-')}`.toLowerCase()
      world.tiktok.people.add({ id: person })
      const account = await world.connect({ person })
      t.match(account, { status: 'active', token: { generation: 1 }, profile: { display_name: null, fetched_at: null } })
      t.equal((await world.call('GET', `/accounts/${account.id}/token`)).status, 200)
    })
  }

  await t.test('and what was known before stays', async (t) => {
    const account = await world.connect({ person: 'mara' })
    world.tiktok.faults.add({ route: 'user_info', body: { data: { user: {} }, error: { code: 'ok' } } })
    t.equal((await world.call('POST', `/accounts/${account.id}/verify`)).status, 503)
    t.same((await read(world, account.id)).profile, account.profile)
  })
})

t.test('a picture is served as our own copy, with a validator, to callers with a key', async (t) => {
  const world = await startWorld(t)
  const account = await world.connect()
  const path = `/accounts/${account.id}/avatar`
  const picture = await world.call<string>('GET', path)
  t.match(picture, {
    status: 200,
    headers: { 'content-type': 'image/png', 'cache-control': /max-age/, 'x-content-type-options': 'nosniff' },
  })
  const again = await world.call('GET', path, { headers: { 'if-none-match': String(picture.headers.etag) } })
  t.match(again, { status: 304, text: '' })
  t.equal((await world.call('GET', path, { key: null })).status, 401)

  await world.call('POST', `/accounts/${account.id}/verify`)
  t.equal(world.tiktok.stats.report().avatars, 1, 'a picture of today is not fetched again')
  await world.timePasses(daySeconds + 60)
  await world.call('POST', `/accounts/${account.id}/verify`)
  t.equal(world.tiktok.stats.report().avatars, 2, 'one of yesterday is')
  world.tiktok.faults.add({ route: 'user_info', set: { avatar_url: `${world.tiktok.url}/avatars/jonas/200.png` } })
  await world.call('POST', `/accounts/${account.id}/verify`)
  t.equal(world.tiktok.stats.report().avatars_refused, 1, 'and so is another one')
})

t.test('a picture that is none is not copied', async (t) => {
  const world = await startWorld(t)
  world.tiktok.faults.add({ route: 'avatar', content_type: 'image/png', body: '<script>alert(1)</script>' })
  const account = await world.connect()
  t.match(account.profile, { display_name: 'Mara Cooks', avatar_url: null })
  t.match(await world.call('GET', `/accounts/${account.id}/avatar`), {
    status: 404,
    body: { code: 'avatar_not_found' },
  })
})

t.test('the background looks at a profile once a day, and spends no refresh token for it', async (t) => {
  const world = await startWorld(t)
  const { parts, tiktok } = world
  const round = createProfiler(parts)
  const userInfos = () => tiktok.stats.report().user_infos
  const account = await world.connect()
  t.equal(userInfos(), 1)

  await world.timePasses(23 * 3600)
  await parts.refresher.refresh(account.id, 1)
  await round()
  t.equal(userInfos(), 1, 'not within the day')

  tiktok.people.change(person(world, 'mara'), { follower_count: 50_000, display_name: 'Mara Cooks Daily' })
  await world.timePasses(2.1 * 3600)
  await round()
  t.equal(userInfos(), 1, 'its token is dead: nothing is refreshed for a picture')
  t.equal(tiktok.stats.report().refreshes_processed, 1)

  await world.timePasses(12 * 3600)
  await parts.refresher.refresh(account.id, 2)
  await world.timePasses(15 * 60)
  await makeDue(world)
  await Promise.all([round(), createProfiler(parts)()])
  t.equal(userInfos(), 2, 'after its daily refresh it is looked at, once by all replicas')
  t.match((await read(world, account.id)).profile, { follower_count: 50_000, display_name: 'Mara Cooks Daily' })
})

t.test('a dead token waits for the next refresh, and is not asked about until then', async (t) => {
  const world = await startWorld(t)
  const account = await world.connect()
  await world.timePasses(26 * 3600)
  await createProfiler(world.parts)()
  t.ok((await dueInSeconds(world, account.id)) > 500, 'it has left the head of the queue')
  t.equal(world.tiktok.stats.report().user_infos, 1)
})

t.test('a profile that cannot be had is asked for less and less, down to once a day, and so is a picture', async (t) => {
  const faults: [string, FaultScript, number][] = [
    ['a profile', { route: 'user_info', status: 500, times: 'always' }, 900],
    ['a picture', { route: 'avatar', status: 500, times: 'always' }, hourSeconds],
  ]
  for (const [name, fault, firstSeconds] of faults) {
    await t.test(name, async (t) => {
      const world = await startWorld(t)
      world.tiktok.faults.add(fault)
      const account = await world.connect()
      const waits = [await dueInSeconds(world, account.id)]
      while (waits.length < 12) {
        await world.timePasses((waits.at(-1) ?? 0) + 1)
        await giveLiveTokens(world)
        await createProfiler(world.parts)()
        waits.push(await dueInSeconds(world, account.id))
      }
      t.ok(Math.abs((waits[0] ?? 0) - firstSeconds) < 60, `first after ${waits[0]} s`)
      t.ok(
        waits.every((wait, index) => wait > 0.95 * (waits[index - 1] ?? 0)),
        `then later and later: ${waits.map(Math.round).join(', ')}`,
      )
      const asked = waits.map((_, index) => waits.slice(0, index).reduce((sum, wait) => sum + wait, 0))
      t.ok(asked.filter((atSeconds) => atSeconds < daySeconds).length < 10, 'a few times on the first day')
      for (const wait of waits.slice(-2)) t.ok(wait > daySeconds - 60 && wait < daySeconds + 3700, 'and then once a day')
    })
  }
})

t.test('a long wait that TikTok asks of one account is its own: profiles of others wait a minute', async (t) => {
  const world = await startWorld(t)
  const [told, other] = [await world.connect({ person: 'mara' }), await world.connect({ person: 'jonas' })]
  const sql = postgres(world.databaseUrl, { max: 1, onnotice: () => {} })
  t.teardown(() => sql.end())
  const due = (id: string) => sql`update accounts set profile_due_at = now() where id = ${id}`
  const asked = async (id: string) => {
    await due(id)
    const before = world.tiktok.stats.report().requests
    await createProfiler(world.parts)()
    return world.tiktok.stats.report().requests - before
  }
  world.tiktok.faults.add({ route: 'user_info', status: 429, headers: { 'Retry-After': '3600' } })
  await asked(told.id)
  const waitSeconds = await dueInSeconds(world, told.id)
  t.ok(waitSeconds > 3500 && waitSeconds <= 3600, `${waitSeconds} s`)
  t.equal(await asked(other.id), 0, 'within the minute nobody')
  await world.timePasses(61)
  t.equal(await asked(other.id), 1, 'then the others')
})

t.test('a verify that fails does not make the background ask', async (t) => {
  const world = await startWorld(t)
  const account = await world.connect()
  world.tiktok.faults.add({ route: 'user_info', status: 500 })
  t.equal((await world.call('POST', `/accounts/${account.id}/verify`)).status, 503)
  t.ok((await dueInSeconds(world, account.id)) > daySeconds - 60)
})

t.test(
  'all replicas together ask for so many profiles a second, and not at all after TikTok has said that it was too many',
  async (t) => {
    const world = await startWorld(t)
    const sql = postgres(world.databaseUrl, { max: 1, onnotice: () => {} })
    t.teardown(() => sql.end())
    await seedAccounts({ sql, vault: world.parts.vault, tiktok: world.tiktok }, { count: 300 })
    await makeDue(world)
    const replicas = [createProfiler(world.parts), createProfiler(world.parts), createProfiler(world.parts)]
    const userInfos = () => world.tiktok.stats.report().user_infos
    let steppedSeconds = 0
    const startedAtMs = performance.now()
    const allowed = (burst: number) => burst + 5 * (steppedSeconds + (performance.now() - startedAtMs) / 1000)

    for (const round of replicas) await round()
    t.ok(userInfos() >= 10 && userInfos() <= allowed(10), `${userInfos()} one after the other`)

    for (; steppedSeconds < 8; steppedSeconds++) {
      await world.timePasses(1)
      await Promise.all(replicas.map((round) => round()))
    }
    t.ok(userInfos() >= 30 && userInfos() <= allowed(30), `${userInfos()} in ${steppedSeconds} seconds, all at once`)

    await world.timePasses(60)
    world.tiktok.faults.add({ route: 'user_info', error: 'rate_limit_exceeded', status: 429 })
    await replicas[0]?.()
    const before = userInfos()
    await world.timePasses(30)
    await Promise.all(replicas.map((round) => round()))
    t.equal(userInfos(), before, 'nobody asks within the minute')
    await world.timePasses(30)
    await replicas[1]?.()
    t.ok(userInfos() > before)
  },
)

t.test('a grant that was taken back without a notice is found out by the daily look', async (t) => {
  const world = await startWorld(t)
  const account = await world.connect()
  world.tiktok.grants.removeApp(person(world, 'mara'))
  await makeDue(world)
  await createProfiler(world.parts)()
  t.match((await read(world, account.id)).health, {
    verdict: 'degraded',
    reasons: [{ code: 'refresh_token_rejected', mended_by: 'time' }],
  })
})

const read = async ({ call }: World, id: string) => (await call<Account>('GET', `/accounts/${id}`)).body

async function dueInSeconds({ parts }: World, accountId: string): Promise<number> {
  const [due] = await parts.db.run(
    'profile_due',
    (sql) =>
      sql<
        { seconds: number }[]
      >`select extract(epoch from profile_due_at - now())::float8 as seconds from accounts where id = ${accountId}`,
  )
  return due?.seconds ?? 0
}

/** As if every account had just been refreshed, on both sides. */
async function giveLiveTokens(world: World): Promise<void> {
  const rows = await world.parts.db.run(
    'generations',
    (sql) => sql<{ id: string; generation: number }[]>`select account_id as id, generation from token_sets`,
  )
  for (const { id, generation } of rows) await world.parts.refresher.refresh(id, generation)
}

const makeDue = ({ parts }: World) => parts.db.run('make_due', (sql) => sql`update accounts set profile_due_at = now()`)

function person({ tiktok }: World, id: string) {
  const found = tiktok.people.find(id)
  if (!found) throw new Error(`nobody is called ${id}`)
  return found
}

t.test('a profile that arrives while its account is being disconnected waits for that, and is not kept', async (t) => {
  const world = await startWorld(t)
  const account = await world.connect()
  const sql = postgres(world.databaseUrl, { max: 2, onnotice: () => {} })
  t.teardown(() => sql.end())
  const disconnecting = await sql.reserve()
  t.teardown(() => disconnecting.release())
  await disconnecting.unsafe(`begin; delete from token_sets where account_id = '${account.id}'`)
  const late = { refusedFields: [], unionId: null, username: 'late', displayName: 'Late', followerCount: 1, isVerified: null }
  const saved = saveProfile(world.parts.db, account.id, late, null, 60)
  await eventually(
    'it waits',
    async () => (await sql`select from pg_locks where not granted and locktype = 'transactionid'`).length > 0,
  )
  await disconnecting.unsafe('commit')
  t.equal(await saved, undefined)
  t.same(await sql`select from profiles`, [])
})
