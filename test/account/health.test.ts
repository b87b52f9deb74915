// How an account is doing, who can mend it, and that nobody is surprised: warned in time, looked at daily, asked about on demand.
import t from 'tap'
import type { Account } from '../../src/account/account.ts'
import { warnExpiring } from '../../src/account/health.ts'
import { createRefreshAhead } from '../../src/background/refresh-ahead.ts'
import { openBreaker } from '../../src/db/circuit-breakers.ts'
import { believeRejections } from '../../src/token/refresh.ts'
import { everythingShown } from '../rig/shown.ts'
import { startWorld, type World } from '../world.ts'

const hour = 3600
const day = 24 * hour

t.test('each reason says who can mend it', async (t) => {
  const world = await startWorld(t)
  const { parts, tiktok } = world
  const account = await world.connect({ decline: ['user.info.stats'] })
  t.match(account.health, {
    verdict: 'healthy',
    reasons: [{ code: 'scope_not_granted', mended_by: 'user' }],
    reauthorize_by: account.token?.refresh_expires_at,
  })
  const health = async () => (await world.call<Account['health']>('GET', `/accounts/${account.id}/health`)).body
  /** The waits between tries are over. */
  const refreshAgain = async () => {
    await parts.db.run('no_wait', (sql) => sql`update token_sets set next_attempt_at = now(), lease_until = null`)
    await parts.db.run('open', (sql) => sql`update circuit_breakers set open_until = '-infinity'`)
    await parts.refresher.refresh(account.id, (await read(world, account.id)).token?.generation ?? 0)
  }

  await t.test('TikTok is away: time', async (t) => {
    tiktok.faults.add({ route: 'refresh', status: 502, process: false })
    await refreshAgain()
    t.match(await health(), {
      verdict: 'degraded',
      reasons: [{ code: 'tiktok_unavailable', mended_by: 'time' }, { code: 'scope_not_granted' }],
    })
    await refreshAgain()
    t.match(await health(), { verdict: 'healthy' })
  })

  await t.test('TikTok refuses our client: an operator', async (t) => {
    tiktok.faults.add({ route: 'refresh', error: 'invalid_client' })
    await refreshAgain()
    const refused = { code: 'client_refused', mended_by: 'operator' }
    t.match(await health(), { verdict: 'degraded', reasons: [refused, { code: 'scope_not_granted' }] })
    const other = await world.connect({ person: 'jonas' })
    t.match(other.health, { verdict: 'degraded', reasons: [refused] }, 'for every account: none can be refreshed')
    await refreshAgain()
    t.match(await health(), { verdict: 'healthy' })
  })

  await t.test('the vault cannot open it: an operator', async (t) => {
    const [kept] = await parts.db.run(
      'spoil',
      (sql) => sql<{ sealed: string }[]>`
        update token_sets n set sealed_refresh_token = n.sealed_access_token from token_sets o
        where n.account_id = ${account.id} and o.account_id = n.account_id returning o.sealed_refresh_token as sealed`,
    )
    await refreshAgain().catch(() => undefined)
    t.match(await health(), { verdict: 'degraded', reasons: [{ code: 'credential_unreadable', mended_by: 'operator' }] })
    const sealed = kept?.sealed ?? ''
    await parts.db.run(
      'mend',
      (sql) => sql`update token_sets set sealed_refresh_token = ${sealed} where account_id = ${account.id}`,
    )
    await refreshAgain()
    t.match(await health(), { verdict: 'healthy' })
  })

  await t.test('the refresh token is refused: time first, the person when it is believed', async (t) => {
    tiktok.removeApp('mara', 1)
    await refreshAgain()
    t.match(await health(), { verdict: 'degraded', reasons: [{ code: 'refresh_token_rejected', mended_by: 'time' }] })
    await world.timePasses(61)
    await believeRejections(parts, null, 10)
    t.match(await health(), {
      verdict: 'reauthorization_required',
      reasons: [{ code: 'refresh_token_rejected', mended_by: 'user' }],
    })
  })

  await t.test('disconnected: the person', async (t) => {
    await world.call('DELETE', `/accounts/${account.id}`)
    t.match(await health(), {
      verdict: 'disconnected',
      reasons: [{ code: 'disconnected_by_owner', mended_by: 'user' }],
      reauthorize_by: null,
    })
  })
})

t.test('a first token without a lifetime is handed out for ten minutes: connected and healthy are true together', async (t) => {
  const world = await startWorld(t)
  world.tiktok.faults.add({ route: 'token', omit: ['expires_in'] })
  const account = await world.connect()
  t.match(account, { status: 'active', health: { verdict: 'healthy' } })
  t.equal((await world.call('GET', `/accounts/${account.id}/token`)).status, 200)
  t.match(await world.parts.metrics.assumedLifetimes.get(), { values: [{ value: 1 }] })
})

t.test('an account of which nothing can be handed out just now is not healthy', async (t) => {
  const world = await startWorld(t)
  const { id } = await world.connect()
  const { db } = world.parts
  const verdict = async () => (await read(world, id)).health
  await db.run('over', (sql) => sql`update token_sets set access_expires_at = now() - interval '1 second'`)
  t.match(await verdict(), { verdict: 'healthy' }, 'over, and refreshed by whoever reads it')
  await db.run('waits', (sql) => sql`update token_sets set next_attempt_at = now() + interval '1 minute'`)
  t.match(await verdict(), { verdict: 'degraded', reasons: [{ code: 'tiktok_unavailable', mended_by: 'time' }] })
  await db.run('free', (sql) => sql`update token_sets set next_attempt_at = now()`)
  await openBreaker(db, 'throttled', 20)
  t.match(await verdict(), { verdict: 'degraded', reasons: [{ code: 'tiktok_unavailable', mended_by: 'time' }] })
})

t.test('an end is announced 30, 7 and 1 days before, once each, by however many replicas', async (t) => {
  const world = await startWorld(t)
  const { parts } = world
  const account = await world.connect()
  const endsAt = account.token?.refresh_expires_at
  const warnings = async () => {
    await Promise.all([warnExpiring(parts), warnExpiring(parts), warnExpiring(parts)])
    return announced(world, 'account.expiring')
  }

  await world.timePasses(149 * day)
  t.same(await warnings(), [])
  t.match(await read(world, account.id), { health: { verdict: 'healthy' } })

  await world.timePasses(1.5 * day)
  const first = { account_id: account.id, owner_id: 'user_42', days_left: 30 }
  t.match(await warnings(), [first])
  t.match((await warnings()).length, 1)
  t.match(await read(world, account.id), {
    health: { verdict: 'expiring', reasons: [{ code: 'refresh_token_expires', mended_by: 'user' }] },
  })

  await world.timePasses(22.6 * day)
  t.match(await warnings(), [first, { days_left: 7 }])
  await world.timePasses(6 * day)
  const [, , last] = await warnings()
  t.match(last, { days_left: 1 })
  t.equal(last?.reauthorize_by, (await read(world, account.id)).token?.refresh_expires_at, 'with the moment the health names')
  t.ok(endsAt)
  t.match(await kindsOf(world, account.id), ['expiring', 'expiring', 'expiring', 'connected'])

  await t.test('a new grant starts over', async (t) => {
    await world.connect()
    t.equal((await warnings()).length, 3)
    await world.timePasses(151 * day)
    t.match((await warnings()).slice(3), [{ days_left: 29 }])
  })

  await t.test('after a pause of ours only the most urgent is said', async (t) => {
    await world.timePasses(28.5 * day)
    t.match((await warnings()).slice(4), [{ days_left: 1 }])
  })

  await t.test('when the end has come the account says so, and nobody is warned of the past', async (t) => {
    await world.timePasses(day)
    t.equal((await warnings()).length, 5)
    await refreshDue(world)
    t.match(await read(world, account.id), { status: 'reauthorization_required', status_reason: 'refresh_token_expired' })
    t.match((await announced(world, 'account.reauthorization_required')).at(-1), { reason: 'refresh_token_expired' })
  })
})

t.test('an end that TikTok moved away is announced again when it comes back', async (t) => {
  const world = await startWorld(t)
  await world.connect()
  await world.timePasses(151 * day)
  await warnExpiring(world.parts)
  await world.parts.db.run('moved', (sql) => sql`update token_sets set refresh_expires_at = now() + interval '180 days'`)
  await warnExpiring(world.parts)
  await world.timePasses(151 * day)
  await warnExpiring(world.parts)
  t.equal((await announced(world, 'account.expiring')).length, 2)
})

t.test('an end that TikTok moved out of one warning only is warned of that one again', async (t) => {
  const world = await startWorld(t)
  await world.connect()
  const daysLeft = async () => {
    await warnExpiring(world.parts)
    return (await announced(world, 'account.expiring')).map(({ days_left: days }) => days)
  }
  await world.timePasses(173.5 * day)
  t.same(await daysLeft(), [7])

  const moveTo = (seconds: number) =>
    world.parts.db.run(
      'moved',
      (sql) => sql`update token_sets set refresh_expires_at = now() + make_interval(secs => ${seconds})`,
    )
  await moveTo(7 * day + 5)
  t.same(await daysLeft(), [7], 'by seconds is not moved')
  await world.timePasses(10)
  t.same(await daysLeft(), [7])

  await moveTo(20 * day)
  t.same(await daysLeft(), [7], 'of the month it was told')
  await world.timePasses(13.5 * day)
  t.same(await daysLeft(), [7, 7], 'of the week it is told again')
  await world.timePasses(6 * day)
  t.same(await daysLeft(), [7, 7, 1])
})

t.test('an account nobody reads is refreshed once a day, so that its health is known', async (t) => {
  const world = await startWorld(t)
  const account = await world.connect()
  const refreshes = async () => {
    await refreshDue(world)
    return world.tiktok.stats.report().refreshes_processed
  }
  await world.timePasses(25 * hour)
  t.equal(await refreshes(), 1)
  await world.timePasses(19 * hour)
  t.equal(await refreshes(), 1, 'not because a job ran')
  await world.timePasses(5.1 * hour)
  t.equal(await refreshes(), 2)
  world.tiktok.removeApp('mara', 1)
  await world.timePasses(24.1 * hour)
  await refreshes()
  await world.timePasses(61)
  await refreshDue(world)
  t.match(
    await read(world, account.id),
    { status: 'reauthorization_required', status_reason: 'refresh_token_rejected' },
    'known within a day',
  )
})

t.test('S46: an account that is read is refreshed ahead, by a quarter of its life at most', async (t) => {
  const world = await startWorld(t)
  const account = await world.connect()
  await world.call('GET', `/accounts/${account.id}/token`)
  await world.timePasses(104 * 60)
  await refreshDue(world)
  t.equal(world.tiktok.stats.report().refreshes_processed, 0, 'sixteen minutes before the end is too early')
  await world.timePasses(9 * 60)
  await refreshDue(world)
  t.equal(world.tiktok.stats.report().refreshes_processed, 1)
  t.match(await read(world, account.id), { token: { generation: 2 }, health: { verdict: 'healthy' } })
})

t.test('verify asks TikTok now', async (t) => {
  const world = await startWorld(t)
  const { tiktok } = world
  const account = await world.connect()
  const verify = () => world.call<Account & { code?: string }>('POST', `/accounts/${account.id}/verify`)
  const mara = tiktok.people.find('mara')
  if (!mara) throw new Error('mara is always there')

  tiktok.people.change(mara, { follower_count: 50_001 })
  t.match(
    await verify(),
    { status: 200, body: { profile: { follower_count: 50_001 }, token: { generation: 1 } } },
    'with the token there is',
  )

  await world.timePasses(3 * hour)
  t.match(
    await verify(),
    { status: 200, body: { health: { verdict: 'healthy' }, token: { generation: 2 } } },
    'with a new one when it is dead',
  )

  tiktok.faults.add({ route: 'user_info', status: 500, body: '' })
  t.match(await verify(), { status: 503, body: { code: 'tiktok_unavailable' } })

  tiktok.faults.add({ route: 'user_info', error: 'scope_not_authorized' })
  t.match(
    await verify(),
    { status: 200, body: { health: { verdict: 'healthy' } } },
    'TikTok took the token, which is what was asked',
  )

  tiktok.removeApp('mara', 1)
  t.match(await verify(), {
    status: 200,
    body: { health: { verdict: 'degraded', reasons: [{ code: 'refresh_token_rejected', mended_by: 'time' }] } },
  })
  await world.timePasses(61)
  await believeRejections(world.parts, null, 10)
  t.match(await verify(), { status: 200, body: { status: 'reauthorization_required' } })

  await world.call('DELETE', `/accounts/${account.id}`)
  t.match(await verify(), { status: 410, body: { code: 'account_disconnected' } })
  t.match(await world.call('POST', '/accounts/acc_0000000000000000000000000/verify'), { status: 404 })
})

t.test(
  'verify uses the token that is still handed out, and refreshes nothing, when the outcome of the last refresh is unknown',
  async (t) => {
    const world = await startWorld(t)
    const { db } = world.parts
    const account = await world.connect()
    const needsPerson = (reason: string) =>
      db.run('needs_person', (sql) => sql`update accounts set status = 'reauthorization_required', status_reason = ${reason}`)
    const verify = () => world.call<Account & { code?: string }>('POST', `/accounts/${account.id}/verify`)
    const mara = world.tiktok.people.find('mara')
    if (!mara) throw new Error('nobody is called mara')
    world.tiktok.people.change(mara, { display_name: 'Mara Cooks Today' })

    await needsPerson('refresh_outcome_unknown')
    const { status, body } = await verify()
    t.equal(status, 200)
    t.match(body, { status: 'reauthorization_required', profile: { display_name: 'Mara Cooks Today' } })
    world.tiktok.faults.add({ route: 'user_info', status: 503 })
    t.match(await verify(), { status: 503, body: { code: 'tiktok_unavailable' } })
    const asked = world.tiktok.stats.report().user_infos

    await needsPerson('refresh_token_rejected')
    t.match(await verify(), { status: 200, body: { status: 'reauthorization_required' } })
    await needsPerson('refresh_outcome_unknown')
    await world.timePasses(3 * hour)
    t.match(await verify(), { status: 200, body: { status: 'reauthorization_required' } }, 'nor with a token that is over')
    const { user_infos: askedThen, refreshes_processed: refreshes } = world.tiktok.stats.report()
    t.same({ askedThen, refreshes }, { askedThen: asked, refreshes: 0 })
  },
)

t.test('a verify that TikTok leaves hanging ends', async (t) => {
  const world = await startWorld(t, { timings: { verifyPatienceMs: 200 } })
  const account = await world.connect()
  world.tiktok.faults.add({ route: 'user_info', before_ms: 800 })
  const answer = await world.call('POST', `/accounts/${account.id}/verify`)
  t.match(answer, { status: 503, body: { code: 'tiktok_unavailable' } })
})

t.test('the timeline tells every change of state, in plain codes, and loses none between pages', async (t) => {
  const world = await startWorld(t)
  const { parts, tiktok } = world
  const account = await world.connect({ session: { label: 'Kitchen' } })
  await world.call('PATCH', `/accounts/${account.id}`, { body: { label: 'Main kitchen' } })
  await parts.refresher.refresh(account.id, 1)
  const [grant] = tiktok.grants.all()
  if (!grant) throw new Error('mara has a grant')
  grant.scopes = grant.scopes.filter((scope) => scope !== 'user.info.stats')
  await parts.refresher.refresh(account.id, 2)
  grant.scopes = ['user.info.basic']
  await parts.refresher.refresh(account.id, 3)
  await world.connect()
  tiktok.removeApp('mara', 1)
  await parts.refresher.refresh(account.id, 5)
  await world.timePasses(61)
  await believeRejections(parts, null, 10)
  await world.call('DELETE', `/accounts/${account.id}`)

  const told = [
    ['connected', null],
    ['label_changed', null],
    ['refreshed', null],
    ['refreshed', 'scopes_changed'],
    ['refreshed', 'required_scope_removed'],
    ['reauthorization_required', 'required_scope_removed'],
    ['reconnected', null],
    ['refresh_rejected', 'invalid_grant'],
    ['reauthorization_required', 'refresh_token_rejected'],
    ['disconnected', 'disconnected_by_owner'],
    ['grant_revoked', 'already_gone'],
  ]
  const entries = await timeline(world, account.id, 100)
  t.same(
    entries.toReversed().map(({ kind, code }) => [kind, code]),
    told,
  )
  t.same(await timeline(world, account.id, 1), entries, 'one at a time')
  t.same(await timeline(world, account.id, 4), entries, 'four at a time')
})

const read = async ({ call }: World, id: string) => (await call<Account>('GET', `/accounts/${id}`)).body

/** One round of the background, and what it started. */
async function refreshDue({ parts }: World): Promise<void> {
  await createRefreshAhead(parts)()
  await parts.refresher.landed()
}

async function announced(world: World, type: string): Promise<Record<string, unknown>[]> {
  await everythingShown(world.parts.db)
  const { body } = await world.call<{ events: { type: string; data: Record<string, unknown> }[] }>('GET', '/events?limit=100')
  return body.events.filter((event) => event.type === type).map(({ data }) => data)
}

interface Entry {
  at: string
  kind: string
  code: string | null
}

async function timeline({ call }: World, id: string, limit: number): Promise<Entry[]> {
  const entries: Entry[] = []
  for (let cursor = ''; ; ) {
    const { body } = await call<{ entries: Entry[]; next_cursor: string | null }>(
      'GET',
      `/accounts/${id}/timeline?limit=${limit}${cursor}`,
    )
    entries.push(...body.entries)
    if (body.next_cursor === null) return entries
    cursor = `&cursor=${body.next_cursor}`
  }
}

const kindsOf = async (world: World, id: string) => (await timeline(world, id, 100)).map(({ kind }) => kind)
