// Owners over HTTP: who may look and set, and that an erased owner is erased.
import fc from 'fast-check'
import t from 'tap'
import { replayExchange } from '../../src/connect/grant.ts'
import { listNotices } from '../../src/db/notices.ts'
import { eventually } from '../rig/eventually.ts'
import { noticeBody, sendNotice } from '../rig/notice.ts'
import { startTierService } from '../rig/tier-service.ts'
import { returnUrl, startWorld, type World } from '../world.ts'

t.test('an owner is looked at with accounts:read and changed with owners:write', async (t) => {
  const world = await startWorld(t)
  const [reader, writer, uploader] = await Promise.all([
    world.key('accounts:read'),
    world.key('owners:write'),
    world.key('tokens:read'),
  ])

  const unknown = await world.call('GET', '/owners/user_42', { key: reader })
  t.match(unknown, { status: 404, body: { code: 'owner_not_found', mended_by: 'caller' } })

  const set = await world.call('PUT', '/owners/user_42', { key: writer, body: { tier: 'creator' } })
  const shown = { owner_id: 'user_42', tier: 'creator', account_limit: 3, accounts_connected: 0, accounts_available: 3 }
  t.match(set, { status: 200, body: shown })
  t.match(await world.call('GET', '/owners/user_42', { key: reader }), { status: 200, body: shown })

  t.equal((await world.call('GET', '/owners/user_42', { key: writer })).status, 403)
  t.equal((await world.call('PUT', '/owners/user_42', { key: reader, body: { tier: 'free' } })).status, 403)
  t.equal((await world.call('DELETE', '/owners/user_42', { key: uploader })).status, 403)
  t.equal((await world.call('PUT', '/owners/user_42', { body: { tier: 'creator', limit: 50 } })).status, 400)
})

const fromIdentityProviders = [
  'auth0|5f7c',
  'google-oauth2|103547991597142817347',
  'jo+x@example.com',
  "o'brien",
  'https://login.example.com/users/42?tenant=a&b=c#x',
  'urn:example:user;v=1',
  'josé', // composed
  'jose\u0301', // decomposed: another owner
  'CN=Jo Smith,OU=Sales,O=Müller GmbH',
  'DOMAIN\\jo',
  'a b',
  '100%',
  '%2F',
  'a/../b',
  '..a',
  '...',
  '用户四十二',
  'مستخدم',
  '👩‍👩‍👧',
  'x'.repeat(128),
  '😀'.repeat(128),
  '{"sub":"42"}',
  '<b>&amp;"\'',
]

t.test('an owner id is what an identity provider gives, in a body, in a path and in a query', async (t) => {
  const tiers = await startTierService(t)
  const world = await startWorld(t, { env: { TIER_SERVICE_URL: `${tiers.url}/tiers/` } })
  for (const owner_id of fromIdentityProviders) {
    const path = `/owners/${encodeURIComponent(owner_id)}`
    t.match(await world.call('PUT', path, { body: { tier: 'creator' } }), { status: 200, body: { owner_id } }, owner_id)
    t.match(await world.call('GET', path), { status: 200, body: { owner_id } })
    t.equal(tiers.seen.at(-1)?.path, `/tiers/${encodeURIComponent(owner_id)}`, 'the tier service is asked for the same')
    await world.openSession({ owner_id })
    const listed = await world.call('GET', `/accounts?owner_id=${encodeURIComponent(owner_id)}`)
    t.match(listed, { status: 200, body: { accounts: [] } })
  }
  t.equal(new Set(tiers.seen.map(({ path }) => path)).size, fromIdentityProviders.length, 'no two are one')
})

t.test('an account of such an owner is found, counted and erased under the whole of its id', async (t) => {
  const world = await startWorld(t)
  const owner = 'https://login.example.com/users/jo+x?a=1|é'
  const account = await world.connect({ owner })
  t.equal(account.owner_id, owner)
  await world.connect({ owner: 'https://login.example.com/users/jo+x', person: 'jonas' })
  const { body } = await world.call<{ accounts: { id: string }[] }>('GET', `/accounts?owner_id=${encodeURIComponent(owner)}`)
  t.same(
    body.accounts.map(({ id }) => id),
    [account.id],
  )
  const path = `/owners/${encodeURIComponent(owner)}`
  t.match(await world.call('GET', path), { body: { owner_id: owner, accounts_connected: 1 } })
  t.match(await world.call('DELETE', path), { status: 200, body: { owner_id: owner, accounts_disconnected: 1 } })
})

t.test('whatever text keeps the rule comes back as it was sent', async (t) => {
  const world = await startWorld(t)
  const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 40 })
  const allowed = text.filter((id) => !/^\.{1,2}$|[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/u.test(id))
  await fc.assert(
    fc.asyncProperty(allowed, async (owner_id) => {
      const set = await world.call('PUT', `/owners/${encodeURIComponent(owner_id)}`, { body: { tier: 'free' } })
      return set.status === 200 && set.body.owner_id === owner_id
    }),
    { numRuns: 100 },
  )
})

t.test('an owner id that would not come through whole, or show as another, is refused with the rule', async (t) => {
  const world = await startWorld(t)
  const nobody = await world.call('PUT', '/owners/(erased)', { body: { tier: 'creator' } })
  t.match(nobody, { status: 400, body: { code: 'validation_failed', errors: [{ parameter: 'owner_id' }] } })
  t.equal((await world.call('GET', '/owners/(erased)')).status, 400)
  t.equal((await world.call('GET', '/events?owner_id=(erased)')).status, 400)
  t.equal((await world.call('GET', '/accounts?owner_id=%28erased%29')).status, 400)
  const rule = 'owner_id must be 1 to 128 characters without control characters, and neither `.` nor `..`.'
  const refused = [
    '',
    '.',
    '..',
    'a\u0000',
    'a\nb',
    '\u007f',
    '\u0085',
    'a\u2028b',
    '\u2029',
    '\ud800',
    'a\udc00',
    '\u202eevil',
    '\u2066x',
  ]
  for (const owner_id of [...refused, 'x'.repeat(129), '😀'.repeat(129)]) {
    const answer = await world.call('POST', '/connect-sessions', { body: { owner_id, return_url: returnUrl } })
    t.match(answer, { status: 400, body: { code: 'validation_failed', detail: rule } }, Buffer.from(owner_id).toString('hex'))
    if (!owner_id.isWellFormed() || /^\.*$/.test(owner_id)) continue // neither can be written into a path
    t.match(await world.call('GET', `/owners/${encodeURIComponent(owner_id)}`), {
      status: 400,
      body: { code: 'validation_failed' },
    })
    t.match(await world.call('GET', `/accounts?owner_id=${encodeURIComponent(owner_id)}`), { status: 400 })
  }
  for (const path of ['/owners/%ED%A0%80', '/owners/%E9', '/owners/%00', '/owners/%'])
    t.match(await world.call('GET', path), { status: 400, body: { code: 'validation_failed' } }, path)
})

t.test('an erased owner: every account disconnected and revoked, and nothing of the person left', async (t) => {
  const world = await startWorld(t)
  const first = await world.connect({ person: 'mara', session: { label: 'Kitchen of Mara', tier: 'creator' } })
  const second = await world.connect({ person: 'jonas' })
  const neighbour = await world.connect({ owner: 'user_43', person: 'noura' })
  await world.openSession()
  await world.call('GET', `/accounts/${first.id}/token`)
  const kept = noticeBody(world, { event: 'something.new', user_openid: first.open_id, content: { note: 'Mara Cooks' } })
  await sendNotice(world, { body: kept })
  await eventually('it is kept', async () => (await listNotices(world.parts.db, 'kept', 10)).length === 1)
  t.same(await tablesWith(world, [first.open_id ?? '-']), ['accounts', 'notices'])

  const erased = await world.call('DELETE', '/owners/user_42')
  t.equal(erased.status, 200)
  t.same(erased.body, {
    owner_id: 'user_42',
    status: 'erased',
    accounts_disconnected: 2,
    revocations: { confirmed: 2, already_gone: 0, pending: 0 },
  })
  t.equal(liveGrants(world, 'mara', 'jonas'), 0)
  t.equal((await world.call('GET', '/owners/user_42')).status, 404)
  t.same((await world.call('GET', '/accounts?owner_id=user_42')).body, { accounts: [], next_cursor: null })
  t.match(await world.call('GET', `/accounts/${second.id}/token`), { status: 410, body: { code: 'account_disconnected' } })
  t.match((await world.call('GET', `/accounts/${first.id}`)).body, {
    owner_id: null,
    status: 'disconnected',
    status_reason: 'disconnected_by_owner',
    open_id: null,
    label: null,
    token: null,
    profile: { username: null, display_name: null, avatar_url: null, follower_count: null },
  })
  t.match(await timelineKinds(world, first.id), ['grant_revoked', 'disconnected', 'connected'])
  for (const list of ['/accounts', '/connect-sessions', '/events', '/audit'])
    t.notMatch((await world.call('GET', `${list}?limit=200`)).text, /\(erased\)/, list)

  const personal = ['Kitchen of Mara', 'maracooks', 'Mara Cooks', first.open_id ?? '-', 'jonaslindqvist', second.open_id ?? '-']
  t.same(await tablesWith(world, personal), [], 'no table knows the person')
  t.same(await tablesWith(world, ['user_42']), ['events'], 'only what was announced names the owner')
  await sendNotice(world, { body: kept })
  t.same(await tablesWith(world, personal), [], 'a notice that is repeated is known by its hash, and not kept again')

  t.match(await world.call('DELETE', '/owners/user_42'), {
    status: 200,
    body: { status: 'erased', accounts_disconnected: 0, revocations: { pending: 0 } },
  })
  t.equal((await world.call('GET', `/accounts/${neighbour.id}/token`)).status, 200, 'a neighbour is untouched')

  const anew = await world.connect({ person: 'mara' })
  t.not(anew.id, first.id)
  t.match((await world.call('GET', '/owners/user_42')).body, { tier: 'business', accounts_connected: 1 })
})

t.test('while TikTok is away an erasure says what is pending, and the background ends it', async (t) => {
  const world = await startWorld(t)
  await world.connect({ person: 'mara' })
  await world.connect({ person: 'jonas' })
  world.tiktok.faults.add({ route: 'revoke', status: 503, times: 'always' })
  const pending = { status: 'erased', revocations: { confirmed: 0, already_gone: 0, pending: 2 } }
  t.match(await world.call('DELETE', '/owners/user_42'), { status: 200, body: { ...pending, accounts_disconnected: 2 } })
  t.equal((await world.call('GET', '/owners/user_42')).status, 404)
  t.match((await world.call('DELETE', '/owners/user_42')).body, { ...pending, accounts_disconnected: 0 })

  world.tiktok.faults.clear()
  await world.timePasses(3600)
  await world.parts.revocations.attemptDue(10)
  t.match((await world.call('DELETE', '/owners/user_42')).body, { revocations: { pending: 0 } })
  t.equal(liveGrants(world, 'mara', 'jonas'), 0)
  t.same(await tablesWith(world, ['user_42']), ['events'])
})

t.test('an erasure that broke off is finished by repeating it', async (t) => {
  const world = await startWorld(t)
  const account = await world.connect({ person: 'mara' })
  await world.connect({ person: 'jonas' })
  await world.call('DELETE', `/accounts/${account.id}`)
  t.match((await world.call('DELETE', '/owners/user_42')).body, { status: 'erased', accounts_disconnected: 1 })
  t.equal(liveGrants(world, 'mara', 'jonas'), 0)
})

t.test('what is still in flight does not bring an erased owner back, and its grant is revoked', async (t) => {
  const world = await startWorld(t)
  await world.connect({ person: 'mara' })
  const session = await world.openSession()
  const back = await world.browser().walk(session.authorize_url, { person: 'jonas' })
  world.tiktok.faults.add({ route: 'exchange', after_ms: 300 })
  const completing = world.call('POST', `/connect-sessions/${session.id}/complete`, {
    body: { owner_id: 'user_42', confirm: back.searchParams.get('confirm') },
  })
  await eventually('TikTok has the code', () => world.tiktok.stats.report().exchanges === 2)
  t.match((await world.call('DELETE', '/owners/user_42')).body, { status: 'erased', accounts_disconnected: 1 })
  t.match(await completing, { status: 404, body: { code: 'connect_session_not_found' } })
  t.equal((await world.call('GET', '/owners/user_42')).status, 404)
  t.equal(liveGrants(world, 'mara', 'jonas'), 0)
})

t.test('ten connects race an erasure: afterwards no account of the owner lives, and no grant', async (t) => {
  const world = await startWorld(t)
  const people = Array.from({ length: 10 }, (_, n) => world.tiktok.people.add({ id: `racer-${n}` }).id)
  const completions = await Promise.all(
    people.map(async (person) => {
      const session = await world.openSession()
      const back = await world.browser().walk(session.authorize_url, { person })
      const body = { owner_id: 'user_42', confirm: back.searchParams.get('confirm') }
      return () => world.call<{ code?: string }>('POST', `/connect-sessions/${session.id}/complete`, { body })
    }),
  )
  const racing = completions.map((complete) => complete())
  await Promise.race(racing)
  const erased = await world.call('DELETE', '/owners/user_42')
  t.match(erased, { status: 200, body: { status: 'erased' } })
  for (const { status, body } of await Promise.all(racing)) t.ok(status === 201 || status === 404, `${status} ${body.code ?? ''}`)
  t.equal((await world.call('GET', '/owners/user_42')).status, 404)
  t.equal(liveGrants(world, ...people), 0)
})

t.test('an exchange that waited in the journal while its owner was erased is revoked', async (t) => {
  const world = await startWorld(t)
  const { parts, tiktok } = world
  const [grant] = tiktok.issueGrants({ count: 1, prefix: 'late' })
  if (!grant) throw new Error('one was asked for')
  const session = await world.openSession()
  await world.call('DELETE', '/owners/user_42')
  const body = {
    sessionId: session.id,
    attemptId: 'att_0000000000000000000000000',
    clientKey: world.config.tiktok.clientKey,
    openId: grant.open_id,
    accessToken: grant.access_token,
    refreshToken: grant.refresh_token,
    scopes: grant.scope.split(','),
    accessExpiresAt: new Date(Date.now() + 7_200_000),
    refreshExpiresAt: null,
    lifetimeSeconds: 7200,
  }
  const entry = {
    kind: 'exchange',
    subject: session.id,
    generation: 0,
    journalId: 'rep_gone',
    sequence: 1,
    atMs: 0,
    body,
  } as const
  await replayExchange(parts, entry)
  t.equal(liveGrants(world, grant.person), 0)
  t.equal((await world.call('GET', '/owners/user_42')).status, 404)
})

function liveGrants({ tiktok }: World, ...people: string[]): number {
  return people.reduce((count, id) => {
    const person = tiktok.people.find(id)
    return person ? count + tiktok.grants.ofPerson(person).length : count
  }, 0)
}

async function timelineKinds(world: World, accountId: string): Promise<string[]> {
  const { body } = await world.call<{ entries: { kind: string }[] }>('GET', `/accounts/${accountId}/timeline`)
  return body.entries.map(({ kind }) => kind)
}

/** Looks through every row of every table, as text; for bytes, too. */
async function tablesWith({ parts }: World, needles: string[]): Promise<string[]> {
  const tables = await parts.db.run(
    'tables',
    (sql) => sql<{ name: string }[]>`
      select relname as name from pg_class where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace and not relispartition order by 1`,
  )
  const found: string[] = []
  const wanted = [...needles, ...needles.map((needle) => Buffer.from(needle).toString('hex'))]
  for (const { name } of tables) {
    const rows = await parts.db.run('look_through', (sql) => sql<{ row: string }[]>`select t::text as row from ${sql(name)} t`)
    if (rows.some(({ row }) => wanted.some((needle) => row.includes(needle)))) found.push(name)
  }
  return found
}
