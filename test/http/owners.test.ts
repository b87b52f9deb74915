// Owners over HTTP: who may look and set, and that an erased owner is erased.
import t from 'tap'
import { replayExchange } from '../../src/connect/grant.ts'
import { listNotices } from '../../src/db/notices.ts'
import { eventually } from '../rig/eventually.ts'
import { noticeBody, sendNotice } from '../rig/notice.ts'
import { startWorld, type World } from '../world.ts'

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

t.test('an owner id that would vanish from a URL is refused', async (t) => {
  const world = await startWorld(t)
  await t.rejects(world.openSession({ owner_id: '..' }), /validation_failed/)
  await t.resolves(world.openSession({ owner_id: '..a' }))
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
    status: 'disconnected',
    status_reason: 'disconnected_by_owner',
    open_id: null,
    label: null,
    token: null,
    profile: { username: null, display_name: null, avatar_url: null, follower_count: null },
  })
  t.match(await timelineKinds(world, first.id), ['grant_revoked', 'disconnected', 'connected'])

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

t.test('an exchange that waited in a spill file while its owner was erased is revoked', async (t) => {
  const world = await startWorld(t)
  const { parts, tiktok } = world
  const [grant] = tiktok.issueGrants({ count: 1, prefix: 'spilled' })
  if (!grant) throw new Error('one was asked for')
  const session = await world.openSession()
  await world.call('DELETE', '/owners/user_42')
  const body = {
    sessionId: session.id,
    attemptId: 'att_0000000000000000000000000',
    openId: grant.open_id,
    accessToken: grant.access_token,
    refreshToken: grant.refresh_token,
    scopes: grant.scope.split(','),
    accessExpiresAt: new Date(Date.now() + 7_200_000),
    refreshExpiresAt: null,
    lifetimeSeconds: 7200,
  }
  await replayExchange(parts, body.attemptId, body)
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
