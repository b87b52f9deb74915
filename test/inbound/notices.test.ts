// What a notice of TikTok does to an account, also when it is late, old or about an earlier grant.
import { randomUUID } from 'node:crypto'
import postgres from 'postgres'
import t from 'tap'
import type { Parts } from '../../src/app.ts'
import { findAccount, readTimeline } from '../../src/db/accounts.ts'
import { claimNotices, listNotices, purgeNotices, storeNotice } from '../../src/db/notices.ts'
import { receiveNotice, settleNotices } from '../../src/inbound/notices.ts'
import { parseNotice } from '../../src/tiktok/webhook.ts'
import { digest } from '../../src/vault/digest.ts'
import { eventually } from '../rig/eventually.ts'
import { type Fields, noticeBody, nowSeconds } from '../rig/notice.ts'
import { everythingShown } from '../rig/shown.ts'
import { startWorld, type World } from '../world.ts'

/** Keeps a notice without anybody acting on it, as a process that died right after its answer did. */
async function keep(world: World, fields: Fields): Promise<string> {
  const body = Buffer.from(noticeBody(world, fields))
  const notice = parseNotice(body, Date.now() / 1000)
  const bodyHash = digest(body)
  const saidAt = new Date((notice?.createTimeSeconds ?? 0) * 1000)
  await storeNotice(world.parts.db, { bodyHash, event: notice?.event ?? '', openId: notice?.userOpenId ?? null, saidAt, body })
  return bodyHash
}

/** @returns what became of the notice; undefined while it waits */
async function told(world: World, fields: Fields, parts: Parts = world.parts): Promise<string | undefined> {
  const hash = await keep(world, fields)
  await settleNotices(parts)
  return (await listNotices(parts.db, 'all', 100)).find(({ bodyHash }) => bodyHash === hash)?.outcome ?? undefined
}

const count = async ({ parts }: World, table: string, where = 'true') =>
  (await parts.db.run('count', (sql) => sql.unsafe<{ n: number }[]>(`select count(*)::int as n from ${table} where ${where}`)))[0]
    ?.n

const authorizedSeconds = async ({ parts }: World, accountId: string) =>
  Math.floor(((await findAccount(parts.db, accountId))?.authorizedAt.getTime() ?? 0) / 1000)

t.test('every reason TikTok gives has its status_reason', async (t) => {
  const world = await startWorld(t)
  const reasons: [unknown, string][] = [
    [0, 'removed_by_user'],
    [1, 'removed_by_user'],
    [2, 'tiktok_account_deleted'],
    [3, 'age_changed'],
    [4, 'tiktok_account_banned'],
    [9, 'removed_by_user'],
    ['2', 'tiktok_account_deleted'],
    ['two', 'removed_by_user'],
    [undefined, 'removed_by_user'],
  ]
  for (const [reason, expected] of reasons) {
    const account = await world.connect()
    t.equal(await told(world, { user_openid: account.open_id, content: { reason } }), 'disconnected')
    const { body } = await world.call('GET', `/accounts/${account.id}`)
    t.match(body, { status: 'disconnected', status_reason: expected }, `reason ${reason}`)
  }
})

t.test(
  'a removed account keeps nothing: no token, no profile, no picture, nothing to revoke, and the event is out',
  async (t) => {
    const world = await startWorld(t)
    const account = await world.connect()
    t.equal(await count(world, 'profiles'), 1)
    const hash = await keep(world, { user_openid: account.open_id, content: { reason: 1 } })
    await settleNotices(world.parts)

    for (const table of ['token_sets', 'profiles', 'revocations']) t.equal(await count(world, table), 0, table)
    t.match(await findAccount(world.parts.db, account.id), {
      openId: null,
      username: null,
      displayName: null,
      followerCount: null,
      isVerified: null,
    })
    t.equal(world.tiktok.stats.report().revocations, 0, 'TikTok has done that itself')
    await everythingShown(world.parts.db)
    const { body } = await world.call<{ events: object[] }>('GET', '/events')
    t.match(body.events.at(-1), { type: 'account.disconnected', data: { account_id: account.id, reason: 'removed_by_user' } })
    t.match(await readTimeline(world.parts.db, account.id, null, 1), [
      { kind: 'disconnected', code: 'removed_by_user', actor: 'tiktok' },
    ])
    const [kept] = await listNotices(world.parts.db, 'all', 1)
    t.match(kept, { bodyHash: hash, outcome: 'disconnected', accountId: account.id, body: null })
    t.equal(await count(world, 'notices', 'open_id is not null'), 0, 'the person is gone from the inbox too')
  },
)

t.test('S53: a removal older than the present grant is ignored, without asking anybody', async (t) => {
  const world = await startWorld(t)
  const account = await world.connect()
  const asked = world.tiktok.stats.report().user_infos
  const older = { user_openid: account.open_id, content: { reason: 1 }, create_time: nowSeconds() - 3600 }
  t.equal(await told(world, older), 'older_than_grant')
  t.equal(world.tiktok.stats.report().user_infos, asked)
  t.equal((await world.call('GET', `/accounts/${account.id}/token`)).status, 200)
})

t.test('S53: a removal in the second of the first connect is about that grant', async (t) => {
  const world = await startWorld(t)
  const account = await world.connect()
  const asked = world.tiktok.stats.report().user_infos
  const create_time = await authorizedSeconds(world, account.id)
  t.equal(await told(world, { user_openid: account.open_id, content: { reason: 1 }, create_time }), 'disconnected')
  t.equal(world.tiktok.stats.report().user_infos, asked)
})

t.test('S53: removed and connected again within one second: TikTok is asked which came first', async (t) => {
  await t.test('the grant lives: the removal was before', async (t) => {
    const world = await startWorld(t)
    const { id, open_id } = await world.connect()
    world.tiktok.removeApp('mara')
    t.equal((await world.connect()).id, id)
    const create_time = await authorizedSeconds(world, id)
    t.equal(await told(world, { user_openid: open_id, content: { reason: 1 }, create_time }), 'older_than_grant')
    t.equal((await world.call('GET', `/accounts/${id}/token`)).status, 200)
  })
  await t.test('the grant is dead: the removal was after', async (t) => {
    const world = await startWorld(t)
    const { id, open_id } = await world.connect()
    await world.connect()
    const create_time = await authorizedSeconds(world, id)
    world.tiktok.removeApp('mara')
    t.equal(await told(world, { user_openid: open_id, content: { reason: 1 }, create_time }), 'disconnected')
  })
  await t.test('its access token has expired: a refresh tells', async (t) => {
    const world = await startWorld(t)
    const { id, open_id } = await world.connect()
    await world.connect()
    await world.timePasses(3 * 3600)
    const create_time = await authorizedSeconds(world, id)
    const said = { user_openid: open_id, content: { reason: 5 }, create_time: create_time - 1 }
    t.equal(await told(world, said), 'older_than_grant')
  })
  await t.test('TikTok does not say: it is asked again later, and others are not held up', async (t) => {
    const world = await startWorld(t)
    const { id, open_id } = await world.connect()
    await world.connect()
    const create_time = await authorizedSeconds(world, id)
    world.tiktok.faults.add({ route: 'user_info', status: 503 })
    t.equal(await told(world, { user_openid: open_id, content: { reason: 1 }, create_time }), undefined)
    t.equal(await told(world, { event: 'something.new' }), 'unknown_event')
    t.same(await claimNotices(world.parts.db, 10), [], 'not at once')

    world.tiktok.removeApp('mara')
    await world.parts.db.run('later', (sql) => sql`update notices set next_attempt_at = now() where settled_at is null`)
    await settleNotices(world.parts)
    t.match((await world.call('GET', `/accounts/${id}`)).body, { status: 'disconnected' })
  })
})

t.test('S53: a reconnect that is being recorded while an older removal is acted upon keeps its grant', async (t) => {
  const world = await startWorld(t)
  const account = await world.connect()
  await world.timePasses(3600)
  const sql = postgres(world.databaseUrl, { max: 2 })
  t.teardown(() => sql.end())
  const reconnect = await sql.reserve()
  await reconnect`begin`
  await reconnect`update token_sets set generation = 2 where account_id = ${account.id}`
  await reconnect`update accounts set authorized_at = now() where id = ${account.id}`

  const outcome = told(world, { user_openid: account.open_id, content: { reason: 1 }, create_time: nowSeconds() - 1800 })
  await eventually('the removal waits for the reconnect', async () => {
    const waiting = await sql`select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
    return waiting.length > 0
  })
  await reconnect`commit`
  reconnect.release()
  t.equal(await outcome, 'older_than_grant')
  t.equal(await count(world, 'token_sets'), 1)
  t.match(await findAccount(world.parts.db, account.id), { status: 'active' })
})

t.test('a refresh recorded between the judgement and the end does not save a removed account', async (t) => {
  const world = await startWorld(t)
  const { parts } = world
  const account = await world.connect()
  let refreshed = false
  const db: Parts['db'] = {
    ...parts.db,
    run: async (name, work, options) => {
      if (name === 'disconnect_account' && !refreshed) {
        refreshed = true
        t.match(await parts.refresher.refresh(account.id, 1), { kind: 'refreshed' })
      }
      return parts.db.run(name, work, options)
    },
  }
  t.equal(await told(world, { user_openid: account.open_id, content: { reason: 1 } }, { ...parts, db }), 'disconnected')
  t.ok(refreshed)
  t.equal((await world.call('GET', `/accounts/${account.id}/token`)).status, 410)
})

t.test('F45: a refresh that lands after the removal is discarded and its tokens are revoked', async (t) => {
  const world = await startWorld(t)
  const { parts, tiktok } = world
  const account = await world.connect()
  tiktok.faults.add({ route: 'refresh', after_ms: 300 })
  const landing = parts.refresher.refresh(account.id, 1)
  await eventually('TikTok has processed the refresh', () => tiktok.stats.report().refreshes_processed === 1)
  t.equal(await told(world, { user_openid: account.open_id, content: { reason: 1 } }), 'disconnected')
  t.equal((await world.call('GET', `/accounts/${account.id}/token`)).status, 410)

  t.match(await landing, { kind: 'discarded' })
  t.equal((await world.call('GET', `/accounts/${account.id}/token`)).status, 410)
  t.equal(await count(world, 'token_sets'), 0)
  t.equal(await count(world, 'revocations'), 0)
  t.equal(tiktok.stats.report().revocations, 1)
  t.same([...tiktok.grants.all()], [], 'no token of it lives')
})

t.test('what a process kept and could not act on, another acts on', async (t) => {
  const world = await startWorld(t, { background: true })
  const account = await world.connect()
  await keep(world, { user_openid: account.open_id, content: { reason: 1 } })
  await eventually(
    'the account is disconnected',
    async () => (await findAccount(world.parts.db, account.id))?.status === 'disconnected',
  )
  t.equal((await world.call('GET', `/accounts/${account.id}/token`)).status, 410)
})

t.test("TikTok's news about uploads is on the account's timeline", async (t) => {
  const world = await startWorld(t)
  const account = await world.connect()
  const content = { publish_id: 'v_inbox.1', publish_type: 'INBOX_SHARE' }
  const event = 'post.publish.inbox_delivered'
  t.equal(await told(world, { event, user_openid: account.open_id, content }), 'told')
  await settleNotices(world.parts)
  const { body } = await world.call<{ entries: object[] }>('GET', `/accounts/${account.id}/timeline`)
  t.match(body.entries[0], { kind: 'tiktok_notice', code: event, actor: 'tiktok' })
  t.not((body.entries[1] as { kind: string }).kind, 'tiktok_notice')
  t.equal(await told(world, { event, user_openid: 'nobody', content }), 'no_such_account')
})

t.test('notices for another app are kept and ignored', async (t) => {
  const world = await startWorld(t)
  const account = await world.connect()
  const foreign = { client_key: 'awanotherapp', user_openid: account.open_id, content: { reason: 1 } }
  t.equal(await told(world, foreign), 'foreign_client')
  t.equal((await world.call('GET', `/accounts/${account.id}/token`)).status, 200)
  t.equal((await listNotices(world.parts.db, 'kept', 10)).length, 1)
})

t.test('S52: notices are remembered for longer than a replay would be believed, and then forgotten', async (t) => {
  const world = await startWorld(t)
  await told(world, { event: 'something.new' })
  await world.timePasses(74 * 3600)
  t.equal(await purgeNotices(world.parts.db, 30, 500), 0)
  await world.timePasses(27 * 86_400)
  t.equal(await purgeNotices(world.parts.db, 30, 500), 1)
})

t.test('S58: nothing a notice says is logged, genuine or not', async (t) => {
  const world = await startWorld(t)
  const body = noticeBody(world, { event: 'something.new', user_openid: 'a-person', content: { note: 'a-secret-note' } })
  await t.rejects(receiveNotice(world.parts, 't=1,s=a-signature', Buffer.from(body), '192.0.2.1'), { code: 'invalid_signature' })
  await keep(world, { event: 'something.new', user_openid: 'a-person', content: { note: 'a-secret-note' } })
  await settleNotices(world.parts)
  t.match(world.logged(), /TikTok notice was settled/)
  t.notMatch(world.logged(), /a-person|a-secret-note|a-signature|something\.new/)
})

t.test('an account that TikTok had closed for pending drafts', async (t) => {
  const world = await startWorld(t)
  /** Closed a minute ago, so that a draft of it that is posted now is posted afterwards. Nothing of it was ever posted before. */
  const closed = async () => {
    const account = await world.connect()
    await world.parts.db.run('begin anew', (sql) => sql`with g as (delete from upload_gates) delete from notices`)
    await refuse(account.id)
    await world.timePasses(60)
    return account
  }
  const reserve = (id: string) =>
    world.call<{ id: string }>('POST', `/accounts/${id}/uploads`, { headers: { 'idempotency-key': randomUUID() } })
  const refuse = async (id: string, tiktok_error = 'spam_risk_too_many_pending_share') => {
    const { body } = await reserve(id)
    await world.call('POST', `/accounts/${id}/uploads/${body.id}/release`, { body: { tiktok_error } })
    if ((await reserve(id)).status !== 429) throw new Error('it is still open')
  }
  const posted = (open_id: string | null, content: object = {}, others: Fields = {}) => ({
    event: 'post.publish.complete',
    user_openid: open_id,
    content: { publish_id: 'v_inbox.1', publish_type: 'INBOX_SHARE', ...content },
    ...others,
  })

  await t.test('is open once its person has posted one', async (t) => {
    const account = await closed()
    t.equal(await told(world, posted(account.open_id)), 'told')
    t.equal((await reserve(account.id)).status, 201)
  })
  await t.test('stays closed when a draft is posted again that was posted before: it is pending no more', async (t) => {
    const account = await closed()
    await told(world, posted(account.open_id, {}, { create_time: nowSeconds() - 1 }))
    await refuse(account.id)
    await world.timePasses(60)
    t.equal(await told(world, posted(account.open_id)), 'told')
    t.equal((await reserve(account.id)).status, 429)
    await told(world, posted(account.open_id, { publish_id: 'v_inbox.2' }))
    t.equal((await reserve(account.id)).status, 201, 'another draft of the same person')
  })
  await t.test('stays closed by a notice of it that was kept and could not be settled, and is acted upon again', async (t) => {
    const account = await closed()
    const hash = await keep(world, posted(account.open_id, {}, { create_time: nowSeconds() + 1 }))
    const db: Parts['db'] = {
      ...world.parts.db,
      run: (name, work, options) =>
        name === 'settle_notice' ? Promise.reject(new Error('away')) : world.parts.db.run(name, work, options),
    }
    await settleNotices({ ...world.parts, db })
    await refuse(account.id)
    await world.parts.db.run('later', (sql) => sql`update notices set next_attempt_at = now() where body_hash = ${hash}`)
    await settleNotices(world.parts)
    t.equal((await reserve(account.id)).status, 429)
  })
  const others: [string, (account: { open_id: string | null }) => Fields | Promise<Fields>][] = [
    ['of a direct post', ({ open_id }) => posted(open_id, { publish_id: 'v_pub.1', publish_type: 'DIRECT_PUBLISH' })],
    ['of nobody knows what', ({ open_id }) => posted(open_id, { publish_type: undefined })],
    ['of no draft that could be known again', ({ open_id }) => posted(open_id, { publish_id: undefined })],
    [
      'of a draft that was posted before TikTok refused',
      ({ open_id }) => posted(open_id, {}, { create_time: nowSeconds() - 120 }),
    ],
    ['of a draft that failed', ({ open_id }) => posted(open_id, { reason: 'internal' }, { event: 'post.publish.failed' })],
    ['of a draft that only arrived', ({ open_id }) => posted(open_id, {}, { event: 'post.publish.inbox_delivered' })],
    ["of another person's draft", async () => posted((await world.connect({ person: 'jonas' })).open_id)],
  ]
  for (const [which, fields] of others)
    await t.test(`stays closed by a notice ${which}`, async (t) => {
      const account = await closed()
      t.equal(await told(world, await fields(account)), 'told')
      t.equal((await reserve(account.id)).status, 429)
    })
  await t.test('and for too many posts stays closed whatever is posted', async (t) => {
    const account = await world.connect()
    await world.parts.db.run('begin anew', (sql) => sql`delete from upload_gates`)
    await refuse(account.id, 'spam_risk_too_many_posts')
    await world.timePasses(60)
    t.equal(await told(world, posted(account.open_id)), 'told')
    t.equal((await reserve(account.id)).status, 429)
  })
})
