// Upload slots over time: used, given back, late, and free again after 24 hours.
import postgres from 'postgres'
import t, { type Test } from 'tap'
import { readinessOf } from '../../src/account/readiness.ts'
import type { Parts } from '../../src/app.ts'
import { ServiceError } from '../../src/errors.ts'
import { newId } from '../../src/ids.ts'
import { quotaOf, quotasOf } from '../../src/uploads/quota.ts'
import { commit, release, reserve, type Upload } from '../../src/uploads/reservations.ts'
import { seedOne } from '../rig/seed.ts'
import { startWorld } from '../world.ts'

const actor = { keyId: 'key_test', name: 'uploader', requestId: 'req_test' }
const hour = 3600
const day = 24 * hour

interface Scene {
  parts: Parts
  sql: postgres.Sql
  accountId: string
  openId: string
  timePasses(seconds: number): Promise<void>
  /** Reserves a slot. */
  take(wish?: { key?: string; ttlSeconds?: number }): Promise<Upload>
  /** Reserves and commits, so many times. */
  upload(times?: number): Promise<Upload>
  /** Reserves and releases with TikTok's refusal. */
  refused(tiktokError: string): Promise<Upload>
  exhaustions(): Promise<Record<string, unknown>[]>
}

async function scene(t: Test, env: Record<string, string> = {}): Promise<Scene> {
  const { parts, tiktok, databaseUrl, timePasses } = await startWorld(t, { env })
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => {} })
  t.teardown(() => sql.end())
  const { id: accountId, openId } = await seedOne({ sql, vault: parts.vault, tiktok })
  const self: Scene = {
    parts,
    sql,
    accountId,
    openId,
    timePasses,
    take: async ({ key = newId('req'), ttlSeconds = 1800 } = {}) =>
      (await reserve(parts, accountId, { idempotencyKey: key, ttlSeconds }, actor)).upload,
    async upload(times = 1) {
      let last: Upload | undefined
      for (let n = 0; n < times; n++) last = await commit(parts, accountId, (await self.take()).id, {}, actor)
      if (!last) throw new Error('uploaded at least once')
      return last
    },
    refused: async (tiktokError) => release(parts, accountId, (await self.take()).id, { tiktokError }, actor),
    exhaustions: async () =>
      (
        await sql<{ data: Record<string, unknown> }[]>`select data from events where type = 'upload_quota.exhausted' order by seq`
      ).map(({ data }) => data),
  }
  return self
}

async function refusal(work: Promise<unknown>): Promise<ServiceError> {
  try {
    await work
  } catch (error) {
    if (error instanceof ServiceError) return error
    throw error
  }
  throw new Error('it was not refused')
}

const secondsUntil = (time: string | null) => Math.round((new Date(time ?? 0).getTime() - Date.now()) / 1000)
const about = (t: Test, seconds: number, wanted: number, what: string) =>
  t.ok(Math.abs(seconds - wanted) < 30, `${what}: ${seconds} s, wanted about ${wanted} s`)

t.test('a slot is reserved, used when committed, and free again 24 hours after the commit', async (t) => {
  const { parts, accountId, timePasses, take } = await scene(t)
  const reserved = await take()
  t.match(reserved, {
    id: /^upl_/,
    status: 'reserved',
    late: false,
    upload_quota: { limit: 20, used: 0, reserved: 1, remaining: 19, next_slot_at: null },
  })
  t.equal(new Date(reserved.expires_at).getTime() - new Date(reserved.reserved_at).getTime() - 1_800_000 <= 1, true)
  await timePasses(20 * 60)
  const committed = await commit(parts, accountId, reserved.id, { publishId: 'v_inbox_file~v2.1' }, actor)
  t.match(committed, {
    status: 'committed',
    publish_id: 'v_inbox_file~v2.1',
    late: false,
    upload_quota: { used: 1, reserved: 0, remaining: 19 },
  })
  await timePasses(day - 60)
  t.match(await quotaOf(parts, accountId), { used: 1, remaining: 19 })
  await timePasses(61)
  t.match(await quotaOf(parts, accountId), { used: 0, remaining: 20 })
})

t.test('the refusal says when to come back, and coming back then works', async (t) => {
  const { take, upload, timePasses } = await scene(t, { UPLOAD_LIMIT_PER_DAY: '3' })
  await upload()
  await timePasses(hour)
  await upload(2)
  const error = await refusal(take())
  t.equal(error.code, 'upload_quota_exhausted')
  about(t, error.retryAfterSeconds ?? 0, 23 * hour, 'Retry-After')
  about(t, secondsUntil(String(error.facts.next_slot_at)), 23 * hour, 'next_slot_at')
  await timePasses((error.retryAfterSeconds ?? 0) - 60)
  t.equal((await refusal(take())).code, 'upload_quota_exhausted')
  await timePasses(61)
  t.match(await take(), { status: 'reserved', upload_quota: { used: 2, remaining: 0 } })
})

t.test('an uploader that dies gives its slots back by dying (F41)', async (t) => {
  const { take, timePasses } = await scene(t, { UPLOAD_LIMIT_PER_DAY: '2' })
  await take({ ttlSeconds: 60 })
  await take({ ttlSeconds: 120 })
  const error = await refusal(take())
  about(t, error.retryAfterSeconds ?? 0, 60, 'the first to expire')
  await timePasses(61)
  t.match(await take(), { status: 'reserved', upload_quota: { used: 0, reserved: 2, remaining: 0 } })
})

t.test('the same key finds its reservation while it is taken; another length under the same key is refused (F42)', async (t) => {
  const { parts, accountId, take, timePasses } = await scene(t, { UPLOAD_LIMIT_PER_DAY: '1' })
  const first = await take({ key: 'my-upload' })
  t.match(
    await take({ key: 'my-upload' }),
    { id: first.id, status: 'reserved', upload_quota: { reserved: 1, remaining: 0 } },
    'with every slot taken',
  )
  t.equal((await refusal(take({ key: 'my-upload', ttlSeconds: 60 }))).code, 'idempotency_key_reused')
  await timePasses(1801)
  t.equal((await refusal(take({ key: 'my-upload' }))).code, 'upload_expired')
  await release(parts, accountId, first.id, {}, actor)
  t.equal((await refusal(take({ key: 'my-upload' }))).code, 'upload_released')
  t.equal((await refusal(take({ key: 'another' }).then(() => take({ key: 'a-third' })))).code, 'upload_quota_exhausted')
  await timePasses(1801)
  t.match(await take({ key: 'a-third' }), { status: 'reserved' }, 'a refusal does not use up its key')
})

t.test('a late commit counts and is flagged, even past the limit, and the next slot waits for it', async (t) => {
  const { parts, accountId, take, upload, timePasses } = await scene(t, { UPLOAD_LIMIT_PER_DAY: '2' })
  const forgotten = await take({ ttlSeconds: 60 })
  await timePasses(61)
  await upload(2)
  await timePasses(hour)
  const late = await commit(parts, accountId, forgotten.id, {}, actor)
  t.match(late, { status: 'committed', late: true, upload_quota: { limit: 2, used: 3, remaining: 0 } })
  about(t, secondsUntil(late.upload_quota.next_slot_at), 23 * hour, 'two have to go before one can come')
  await timePasses(23 * hour + 1)
  t.match(await quotaOf(parts, accountId), { used: 1, remaining: 1 })
})

t.test('a late commit whose slot nobody took is late all the same', async (t) => {
  const { parts, accountId, take, timePasses } = await scene(t)
  const forgotten = await take({ ttlSeconds: 60 })
  await timePasses(61)
  t.match(await quotaOf(parts, accountId), { reserved: 0, remaining: 20 })
  t.match(await commit(parts, accountId, forgotten.id, {}, actor), { late: true, upload_quota: { used: 1, remaining: 19 } })
})

t.test('commit and release can be repeated, and exclude each other', async (t) => {
  const { parts, accountId, take, sql } = await scene(t)
  const one = await take()
  const committed = await commit(parts, accountId, one.id, {}, actor)
  t.same(await commit(parts, accountId, one.id, {}, actor), committed)
  t.match(
    await commit(parts, accountId, one.id, { publishId: 'v_1' }, actor),
    { publish_id: 'v_1', committed_at: committed.committed_at },
    'told later',
  )
  t.equal((await refusal(commit(parts, accountId, one.id, { publishId: 'v_2' }, actor))).code, 'upload_committed')
  t.equal((await refusal(release(parts, accountId, one.id, {}, actor))).code, 'upload_committed')

  const other = await take()
  t.match(await release(parts, accountId, other.id, {}, actor), {
    status: 'released',
    upload_quota: { used: 1, reserved: 0, remaining: 19 },
  })
  t.match(await release(parts, accountId, other.id, {}, actor), { status: 'released', upload_quota: { remaining: 19 } })
  t.equal((await refusal(commit(parts, accountId, other.id, {}, actor))).code, 'upload_released')

  t.equal((await refusal(commit(parts, accountId, newId('upl'), {}, actor))).code, 'upload_not_found')
  t.match(await sql`select kind, actor from timeline where account_id = ${accountId} and kind like 'upload%'`, [
    { kind: 'upload_committed', actor: 'key_test' },
  ])
})

t.test('an upload belongs to its account', async (t) => {
  const mine = await scene(t)
  const [neighbour] = await mine.sql<{ id: string }[]>`
    insert into accounts (id, owner_id, open_id, status, account_type, attested_at, attestation_version, age_confirmed_at, scopes)
    values (${newId('acc')}, 'user_42', 'open_neighbour', 'active', 'creator', now(), '1', now(), '{}') returning id`
  const { id } = await mine.take()
  t.equal((await refusal(commit(mine.parts, neighbour?.id ?? '', id, {}, actor))).code, 'upload_not_found')
  t.equal((await refusal(release(mine.parts, neighbour?.id ?? '', id, {}, actor))).code, 'upload_not_found')
})

t.test('an exhaustion is announced once, when the last slot goes, and again when that happens anew', async (t) => {
  const { parts, accountId, take, upload, timePasses, exhaustions } = await scene(t, { UPLOAD_LIMIT_PER_DAY: '2' })
  await upload()
  t.equal((await exhaustions()).length, 0)
  const last = await take()
  t.match(await exhaustions(), [{ account_id: accountId, owner_id: 'user_42', next_slot_at: /^\d{4}-.*Z$/ }])
  await refusal(take())
  await refusal(take())
  await release(parts, accountId, last.id, {}, actor)
  await take()
  await refusal(take())
  t.equal((await exhaustions()).length, 1, 'one slot that goes back and forth is one exhaustion')
  await timePasses(day + 1)
  await upload(2)
  t.equal((await exhaustions()).length, 2)
})

t.test('a lowered limit hands out nothing more and says so; a raised one hands out at once', async (t) => {
  const { parts, accountId, upload, exhaustions } = await scene(t)
  await upload(3)
  const wish = () => ({ idempotencyKey: newId('req'), ttlSeconds: 1800 })
  const lowered = { ...parts, config: { ...parts.config, uploadLimitPerDay: 2 } }
  t.match(await quotaOf(lowered, accountId), { limit: 2, used: 3, remaining: 0, next_slot_at: String })
  t.equal((await refusal(reserve(lowered, accountId, wish(), actor))).code, 'upload_quota_exhausted')
  t.equal((await refusal(reserve(lowered, accountId, wish(), actor))).code, 'upload_quota_exhausted')
  t.equal((await exhaustions()).length, 1)
  t.match(await reserve({ ...parts, config: { ...parts.config, uploadLimitPerDay: 4 } }, accountId, wish(), actor), {
    upload: { status: 'reserved' },
    replayed: false,
  })
})

for (const tiktokError of ['spam_risk_too_many_posts', 'spam_risk_too_many_pending_share']) {
  t.test(`${tiktokError} closes the account until our oldest upload has left the window`, async (t) => {
    const { parts, accountId, take, upload, refused, timePasses, exhaustions } = await scene(t)
    await upload()
    await timePasses(4 * hour)
    await upload(2)
    const released = await refused(tiktokError)
    t.match(released, {
      status: 'released',
      tiktok_error: tiktokError,
      upload_quota: { used: 3, reserved: 0, remaining: 0, closed_by: tiktokError },
    })
    about(t, secondsUntil(released.upload_quota.next_slot_at), 20 * hour, 'next_slot_at')
    const error = await refusal(take())
    t.equal(error.code, 'upload_quota_exhausted')
    about(t, error.retryAfterSeconds ?? 0, 20 * hour, 'Retry-After')
    t.equal((await exhaustions()).length, 1)
    await timePasses(20 * hour + 1)
    t.match(await quotaOf(parts, accountId), { used: 2, remaining: 18, next_slot_at: null })
    t.notOk('closed_by' in (await quotaOf(parts, accountId)))
    await take()
  })
}

t.test(
  'refusals without an upload of ours in sight are waited out an hour, then twice that; those that come together are one',
  async (t) => {
    const { parts, accountId, take, refused, upload, timePasses } = await scene(t)
    const underWay = [await take(), await take()]
    about(t, secondsUntil((await refused('spam_risk_too_many_posts')).upload_quota.next_slot_at), hour, 'the first')
    for (const { id } of underWay) {
      const also = await release(parts, accountId, id, { tiktokError: 'spam_risk_too_many_posts' }, actor)
      about(t, secondsUntil(also.upload_quota.next_slot_at), hour, 'refused with the first')
    }
    await timePasses(hour + 1)
    about(t, secondsUntil((await refused('spam_risk_too_many_posts')).upload_quota.next_slot_at), 2 * hour, 'the second in a row')
    await timePasses(2 * hour + 1)
    await upload()
    await timePasses(day + 1)
    about(
      t,
      secondsUntil((await refused('spam_risk_too_many_posts')).upload_quota.next_slot_at),
      hour,
      'a first one again after an upload',
    )
  },
)

t.test('a ban closes for a day, the cap on people for an hour, an error about this video not at all', async (t) => {
  const { refused, timePasses } = await scene(t)
  t.match((await refused('url_ownership_unverified')).upload_quota, { remaining: 20, next_slot_at: null })
  about(t, secondsUntil((await refused('reached_active_user_cap')).upload_quota.next_slot_at), hour, 'the cap')
  await timePasses(hour + 1)
  const ban = 'spam_risk_user_banned_from_posting'
  for (const days of [1, 2, 4, 7, 7]) {
    about(t, secondsUntil((await refused(ban)).upload_quota.next_slot_at), days * day, 'the ban')
    await timePasses(days * day + 1)
  }
})

t.test('a refusal that is told only after the release is believed as well, once', async (t) => {
  const { parts, sql, accountId, take, timePasses, exhaustions } = await scene(t)
  const { id } = await take()
  const released = await release(parts, accountId, id, {}, actor)
  const tell = (tiktokError: string) => release(parts, accountId, id, { tiktokError }, actor)
  const told = await tell('spam_risk_too_many_posts')
  t.match(told, {
    status: 'released',
    released_at: released.released_at,
    tiktok_error: 'spam_risk_too_many_posts',
    upload_quota: { remaining: 0, closed_by: 'spam_risk_too_many_posts' },
  })
  about(t, secondsUntil(told.upload_quota.next_slot_at), hour, 'closed')
  await timePasses(600)
  for (const again of ['spam_risk_too_many_posts', 'spam_risk_user_banned_from_posting']) {
    const { upload_quota: quota, tiktok_error: kept } = await tell(again)
    t.equal(kept, 'spam_risk_too_many_posts')
    about(t, secondsUntil(quota.next_slot_at), hour - 600, `${again} changes nothing any more`)
  }
  t.equal((await exhaustions()).length, 1)
  t.equal((await sql`select 1 from timeline where kind = 'uploads_closed'`).length, 1)
})

t.test('unknown accounts, tombstones and accounts that need their person', async (t) => {
  const { parts, sql, accountId, take } = await scene(t)
  const unknown = newId('acc')
  t.equal((await refusal(reserve(parts, unknown, { idempotencyKey: 'k', ttlSeconds: 60 }, actor))).code, 'account_not_found')
  t.equal((await refusal(quotaOf(parts, unknown))).code, 'account_not_found')
  t.equal((await refusal(readinessOf(parts, unknown, { count: 1 }))).code, 'account_not_found')

  const [one, other] = [await take({ key: 'one' }), await take()]
  await sql`update accounts set status = 'reauthorization_required', status_reason = 'refresh_token_rejected' where id = ${accountId}`
  t.equal((await refusal(take())).code, 'reauthorization_required')
  t.match(await take({ key: 'one' }), { id: one.id, status: 'reserved' }, 'a repeat still finds its reservation')
  t.match(await commit(parts, accountId, one.id, {}, actor), { status: 'committed' }, 'what is under way may still end')
  t.match(await release(parts, accountId, other.id, {}, actor), { status: 'released' })
  await sql`update accounts set status_reason = 'refresh_outcome_unknown' where id = ${accountId}`
  t.match(await take(), { status: 'reserved' }, 'the present token is still handed out')
  await sql`update token_sets set access_expires_at = now() where account_id = ${accountId}`
  t.equal((await refusal(take())).code, 'reauthorization_required')

  await sql`update accounts set status = 'disconnected', open_id = null where id = ${accountId}`
  for (const ask of [
    () => take(),
    () => take({ key: 'one' }),
    () => commit(parts, accountId, one.id, {}, actor),
    () => release(parts, accountId, one.id, {}, actor),
    () => quotaOf(parts, accountId),
    () => readinessOf(parts, accountId, { count: 1 }),
  ]) {
    t.equal((await refusal(ask())).code, 'account_disconnected')
  }
  const none = { limit: 20, used: 0, reserved: 0, remaining: 0, window_seconds: 86_400, next_slot_at: null }
  t.same([...(await quotasOf(parts, [accountId, unknown]))], [[accountId, none]])
})
