// Whether an account could take an upload now or at a given moment, and what stands in the way.
import postgres from 'postgres'
import t, { type Test } from 'tap'
import { readinessOf } from '../../src/account/readiness.ts'
import { closeBreaker, openBreaker } from '../../src/db/circuit-breakers.ts'
import { newId } from '../../src/ids.ts'
import { commit, release, reserve } from '../../src/uploads/reservations.ts'
import { seedOne } from '../rig/seed.ts'
import { startWorld } from '../world.ts'

const actor = { keyId: 'key_test', name: 'uploader', requestId: 'req_test' }
const hour = 3600
const day = 24 * hour

async function scene(t: Test, env: Record<string, string> = {}) {
  const { parts, tiktok, databaseUrl, timePasses } = await startWorld(t, { env })
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => {} })
  t.teardown(() => sql.end())
  const { id } = await seedOne({ sql, vault: parts.vault, tiktok })
  const take = async (ttlSeconds = 1800) => (await reserve(parts, id, { idempotencyKey: newId('req'), ttlSeconds }, actor)).upload
  return {
    sql,
    id,
    parts,
    timePasses,
    take,
    upload: async () => commit(parts, id, (await take()).id, {}, actor),
    refused: async (tiktokError: string) => release(parts, id, (await take()).id, { tiktokError }, actor),
    /** @param inSeconds ahead of now */
    ask: (count = 1, inSeconds?: number) =>
      readinessOf(parts, id, { count, at: inSeconds === undefined ? undefined : new Date(Date.now() + inSeconds * 1000) }),
  }
}

const secondsUntil = (time: string | null | undefined) => Math.round((new Date(time ?? 0).getTime() - Date.now()) / 1000)
const about = (t: Test, seconds: number, wanted: number, what: string) =>
  t.ok(Math.abs(seconds - wanted) < 30, `${what}: ${seconds} s, wanted about ${wanted} s`)

t.test('a connected account is ready, until its refresh token ends', async (t) => {
  const { ask } = await scene(t)
  const now = await ask()
  t.match(now, { ready: true, upload_quota: { limit: 20, used: 0, remaining: 20, next_slot_at: null } })
  t.same(now.blockers, [])
  const endsIn = secondsUntil(now.token_valid_until)
  t.ok(endsIn > 30 * day, 'the refresh token is what lasts')
  t.match(await ask(1, endsIn - 60), { ready: true }, 'an access token that ends before is refreshed before')
  t.match(await ask(1, endsIn + 60), {
    ready: false,
    blockers: [{ code: 'refresh_token_expired', mended_by: 'user', retry_at: null }],
  })
})

t.test('a moment that has passed means now', async (t) => {
  const { ask, upload } = await scene(t)
  await upload()
  t.match(await ask(20, -day), { ready: false, upload_quota: { used: 1, remaining: 19 } })
})

t.test('several uploads need as many slots, now or when enough have come free', async (t) => {
  const { ask, upload, timePasses } = await scene(t, { UPLOAD_LIMIT_PER_DAY: '3' })
  await upload()
  await timePasses(hour)
  await upload()
  await timePasses(hour)
  t.match(await ask(1), { ready: true, blockers: [] })
  const two = await ask(2)
  t.match(two, {
    ready: false,
    blockers: [{ code: 'upload_quota_exhausted', mended_by: 'time' }],
    upload_quota: { remaining: 1, next_slot_at: null },
  })
  about(t, secondsUntil(two.blockers[0]?.retry_at), 22 * hour, 'when one of them has left')
  const three = await ask(3)
  about(t, secondsUntil(three.blockers[0]?.retry_at), 23 * hour, 'when both have')
  t.match(await ask(2, 22 * hour + 60), { ready: true, upload_quota: { used: 1, remaining: 2 } })
  t.match(await ask(3, 22 * hour + 60), { ready: false })
  t.match(await ask(3, 23 * hour + 60), { ready: true, upload_quota: { used: 0, remaining: 3 } })
  t.match(
    await ask(4, 9 * day),
    { ready: false, blockers: [{ code: 'upload_quota_exhausted', mended_by: 'caller', retry_at: null }] },
    'more than a day ever has',
  )
})

t.test('looking ahead, what is reserved now is taken to become an upload', async (t) => {
  const { ask, take } = await scene(t, { UPLOAD_LIMIT_PER_DAY: '1' })
  await take(600)
  const now = await ask()
  t.match(now, { ready: false, upload_quota: { reserved: 1, remaining: 0 } })
  about(t, secondsUntil(now.blockers[0]?.retry_at), 600, 'now: it may be given back by then')
  const later = await ask(1, hour)
  t.equal(later.ready, false)
  about(t, secondsUntil(later.blockers[0]?.retry_at), day + 600, 'ahead: it may have become an upload by then')
  t.match(await ask(1, day + 660), { ready: true })
})

t.test("TikTok's closure blocks until it may have moved, and says who can mend it", async (t) => {
  const { ask, refused, timePasses } = await scene(t)
  await refused('spam_risk_too_many_posts')
  const closed = await ask()
  t.match(closed, {
    ready: false,
    blockers: [{ code: 'upload_quota_exhausted', mended_by: 'time' }],
    upload_quota: { used: 0, remaining: 0, closed_by: 'spam_risk_too_many_posts' },
  })
  about(t, secondsUntil(closed.blockers[0]?.retry_at), hour, 'retry_at')
  t.match(await ask(1, hour + 60), { ready: true })
  await timePasses(2 * hour)
  t.match(await ask(), { ready: true })
  await refused('spam_risk_user_banned_from_posting')
  t.match(await ask(), { ready: false, blockers: [{ code: 'upload_quota_exhausted', mended_by: 'user' }] })
})

t.test('every blocker is named, not the first one only', async (t) => {
  const { ask, sql, id, refused } = await scene(t)
  await refused('spam_risk_too_many_posts')
  await sql`update accounts set scopes = '{user.info.basic}', status = 'reauthorization_required', status_reason = 'required_scope_removed' where id = ${id}`
  const { blockers, token_valid_until: validUntil } = await ask()
  t.same(
    blockers.map(({ code }) => code),
    ['reauthorization_required', 'scope_not_granted', 'upload_quota_exhausted'],
  )
  t.equal(validUntil, null)
})

t.test('after a refresh whose outcome nobody knows it is ready for as long as the present token lives', async (t) => {
  const { ask, sql, id } = await scene(t)
  await sql`update accounts set status = 'reauthorization_required', status_reason = 'refresh_outcome_unknown' where id = ${id}`
  const now = await ask()
  t.match(now, { ready: true })
  about(t, secondsUntil(now.token_valid_until), 7200, 'the present token')
  t.match(await ask(1, 7260), { ready: false, blockers: [{ code: 'reauthorization_required', mended_by: 'user' }] })
})

t.test('with TikTok away and the token over, time has to mend it; with a token that lives it is ready', async (t) => {
  const { ask, sql, id } = await scene(t)
  await sql`update token_sets set failures = 2, next_attempt_at = now() + interval '40 seconds' where account_id = ${id}`
  t.match(await ask(), { ready: true })
  await sql`update token_sets set access_expires_at = now() where account_id = ${id}`
  const away = await ask()
  t.match(away, { ready: false, blockers: [{ code: 'tiktok_unavailable', mended_by: 'time' }] })
  about(t, secondsUntil(away.blockers[0]?.retry_at), 40, 'when the next refresh is tried')
  t.match(await ask(1, 60), { ready: true })
})

t.test('with the token over it says what a vend would meet, whoever of all accounts met it first', async (t) => {
  const { ask, sql, parts, id, timePasses } = await scene(t)
  const blockersOf = async (inSeconds?: number) => (await ask(1, inSeconds)).blockers.map(({ retry_at, ...blocker }) => blocker)
  const operator = (code: string) => [{ code, mended_by: 'operator' }]

  await t.test('refreshes held back for everybody', async (t) => {
    await openBreaker(parts.db, 'throttled', 40)
    t.match(await ask(), { ready: true }, 'a token that lives is handed out all the same')
    const over = await ask(1, 7260)
    t.match(over, { ready: true }, 'by then TikTok is asked again')
    await sql`update token_sets set access_expires_at = now() where account_id = ${id}`
    const held = await ask()
    t.match(held, { ready: false, blockers: [{ code: 'tiktok_unavailable', mended_by: 'time' }] })
    about(t, secondsUntil(held.blockers[0]?.retry_at), 40, 'when the gate opens')
    t.match(await ask(1, 60), { ready: true })
    await timePasses(60)
    t.match(await ask(), { ready: true })
  })

  await t.test('our client refused', async (t) => {
    await openBreaker(parts.db, 'client_refused', 5)
    t.same(await blockersOf(), operator('client_refused'))
    t.same(await blockersOf(3600), operator('client_refused'), 'time does not mend it')
    await closeBreaker(parts.db)
    t.match(await ask(), { ready: true })
  })

  await t.test('a token whose end was nonsense, and is not refreshed again at once (F17)', async (t) => {
    await sql`update token_sets set next_attempt_at = now() + interval '60 seconds' where account_id = ${id}`
    t.same(await blockersOf(), [{ code: 'tiktok_unavailable', mended_by: 'time' }])
  })

  await t.test('a refresh token that TikTok refused, which is not believed yet', async (t) => {
    await sql`update token_sets set rejected_at = now() where account_id = ${id}`
    const refused = await ask()
    t.match(refused.blockers, [{ code: 'refresh_token_rejected', mended_by: 'time' }])
    about(t, secondsUntil(refused.blockers[0]?.retry_at), 60, 'when it is known')
    await sql`update token_sets set rejected_at = null where account_id = ${id}`
  })

  await t.test('a refresh token that does not open', async (t) => {
    await sql`update token_sets set failures = 1 where account_id = ${id}`
    await sql`insert into timeline (account_id, kind, code, actor) values (${id}, 'refresh_failed', 'credential_unreadable', 'service')`
    t.same(await blockersOf(), operator('credential_unreadable'))
    await sql`update token_sets set access_expires_at = now() + interval '1 hour' where account_id = ${id}`
    t.match(await ask(), { ready: true }, 'for as long as the present token lives')
    t.same(await blockersOf(3700), operator('credential_unreadable'))
  })
})
