// Upload slots over HTTP: reserve, commit, release, and what a refusal says.
import t from 'tap'
import type { UploadReadiness } from '../../src/account/readiness.ts'
import type { Problem } from '../../src/errors.ts'
import { createApiKey } from '../../src/http/api-keys.ts'
import { newId } from '../../src/ids.ts'
import type { UploadQuota } from '../../src/uploads/quota.ts'
import type { Upload } from '../../src/uploads/reservations.ts'
import { startWorld, type World } from '../world.ts'

async function connected(t: Parameters<typeof startWorld>[0], env: Record<string, string> = {}) {
  const world = await startWorld(t, { env })
  const { id } = await world.connect()
  return {
    world,
    base: `/accounts/${id}`,
    reserve: <T = Upload>(key: string | string[] | undefined, body?: unknown, options: Parameters<World['call']>[2] = {}) =>
      world.call<T>('POST', `/accounts/${id}/uploads`, {
        body,
        ...options,
        ...(key === undefined ? {} : { headers: { 'idempotency-key': key as string } }),
      }),
  }
}

t.test('reserve, commit, release, quota and readiness over HTTP', async (t) => {
  const { world, base, reserve } = await connected(t)
  const reserved = await reserve('one')
  t.equal(reserved.status, 201, 'without a body')
  t.match(reserved.body, { id: /^upl_/, status: 'reserved', upload_quota: { limit: 20, used: 0, reserved: 1, remaining: 19 } })
  t.equal(reserved.body.account_id, base.split('/').at(-1))
  t.notOk(reserved.headers['idempotency-replayed'])
  const replayed = { status: 200, headers: { 'idempotency-replayed': 'true' } }
  t.match(await reserve('one', { ttl_seconds: 1800 }), { ...replayed, body: { id: reserved.body.id } }, 'repeated')
  t.match(await reserve<Problem>('one', { ttl_seconds: 60 }), {
    status: 422,
    body: { code: 'idempotency_key_reused', mended_by: 'caller' },
  })

  const uploads = `${base}/uploads/${reserved.body.id}`
  t.match(await world.call<Upload>('POST', `${uploads}/commit`, { body: { publish_id: 'v_inbox_file~v2.1' } }), {
    status: 200,
    body: { status: 'committed', publish_id: 'v_inbox_file~v2.1', late: false },
  })
  t.match(await world.call('POST', `${uploads}/commit`), { status: 200 }, 'repeated, without a body')
  t.match(await reserve('one'), { ...replayed, body: { id: reserved.body.id, status: 'committed' } }, 'the upload was done')
  t.match(await world.call('POST', `${uploads}/release`), { status: 409, body: { code: 'upload_committed' } })

  const other = await reserve('other', { ttl_seconds: 60 })
  t.match(await world.call('POST', `${base}/uploads/${other.body.id}/release`), { status: 200, body: { status: 'released' } })
  t.match(await world.call('POST', `${base}/uploads/${other.body.id}/commit`), { status: 409, body: { code: 'upload_released' } })
  t.match(await reserve('other', { ttl_seconds: 60 }), { status: 409, body: { code: 'upload_released', mended_by: 'caller' } })
  t.match(await world.call('POST', `${base}/uploads/${newId('upl')}/commit`), { status: 404, body: { code: 'upload_not_found' } })

  t.match(await world.call<UploadQuota>('GET', `${base}/quota`), { status: 200, body: { used: 1, reserved: 0, remaining: 19 } })
  t.match(await world.call('GET', base), { status: 200, body: { upload_quota: { used: 1, remaining: 19 } } })
  const at = new Date(Date.now() + 3_600_000).toISOString()
  t.match(await world.call<UploadReadiness>('GET', `${base}/readiness?count=19&at=${at}`), {
    status: 200,
    body: { ready: true, blockers: [] },
  })
  t.match(await world.call<UploadReadiness>('GET', `${base}/readiness?count=20`), {
    status: 200,
    body: { ready: false, blockers: [{ code: 'upload_quota_exhausted', mended_by: 'time', retry_at: String }] },
  })
})

t.test('a refusal carries next_slot_at and Retry-After', async (t) => {
  const { reserve } = await connected(t, { UPLOAD_LIMIT_PER_DAY: '1' })
  const { body } = await reserve('one', { ttl_seconds: 600 })
  const refused = await reserve<Problem>('two')
  t.match(refused, { status: 429, body: { code: 'upload_quota_exhausted', mended_by: 'time', next_slot_at: body.expires_at } })
  const seconds = Number(refused.headers['retry-after'])
  t.ok(seconds > 300 && seconds <= 601, `Retry-After: ${seconds}`)
})

t.test("TikTok's refusal closes the account", async (t) => {
  const { world, base, reserve } = await connected(t)
  const { body } = await reserve('one')
  const released = await world.call<Upload>('POST', `${base}/uploads/${body.id}/release`, {
    body: { tiktok_error: 'spam_risk_too_many_pending_share' },
  })
  t.match(released.body.upload_quota, { remaining: 0, closed_by: 'spam_risk_too_many_pending_share', next_slot_at: String })
  t.match(await reserve('two'), {
    status: 429,
    body: { code: 'upload_quota_exhausted', next_slot_at: released.body.upload_quota.next_slot_at },
  })
})

t.test('every reservation names its key, once, and asks for nothing unknown', async (t) => {
  const { world, base, reserve } = await connected(t)
  t.match(await reserve(undefined), { status: 400, body: { code: 'idempotency_key_required' } })
  for (const key of ['', 'two words', 'a'.repeat(256), ['one', 'two']]) {
    t.match(await reserve(key), { status: 400, body: { code: 'validation_failed' } }, String(key).slice(0, 10))
  }
  for (const body of [{ ttl_seconds: 0 }, { ttl_seconds: 86_401 }, { ttl_seconds: '60' }, { ttl: 60 }]) {
    t.match(await reserve('one', body), { status: 400, body: { code: 'validation_failed' } }, JSON.stringify(body))
  }
  const farAway = ['at=0000-01-01T00:00:00Z', 'at=9999-12-31T23:59:59-23:59', 'at=9999-01-01T00:00:00Z']
  for (const query of ['count=0', 'count=-1', 'count=x', 'at=tomorrow', 'count=1&count=2', 'limit=3', ...farAway]) {
    t.match(await world.call('GET', `${base}/readiness?${query}`), { status: 400, body: { code: 'validation_failed' } }, query)
  }
})

t.test(
  'I4: what was reserved when an account ended may be uploaded yet, so it is not free for whoever connects again',
  async (t) => {
    const { world, base, reserve } = await connected(t)
    const { body: account } = await world.call<{ id: string; owner_id: string; open_id: string }>('GET', base)
    const person = world.tiktok.people.findByOpenId(account.open_id)?.id ?? ''
    await reserve('one')
    await reserve('given-back').then(({ body }) => world.call('POST', `${base}/uploads/${body.id}/release`))
    await world.call('DELETE', base)
    const again = await world.connect({ owner: account.owner_id, person })
    t.not(again.id, account.id)
    await world.timePasses(23 * 3600)
    t.match(await world.call('GET', `/accounts/${again.id}/quota`), { body: { used: 0, reserved: 1, remaining: 19 } })
    await world.timePasses(3600)
    t.match(await world.call('GET', `/accounts/${again.id}/quota`), { body: { reserved: 0, remaining: 20 } })
  },
)

t.test('slots need quota:write, looking needs that or accounts:read', async (t) => {
  const { world, base, reserve } = await connected(t)
  const reader = await world.key('accounts:read')
  const writer = await world.key('quota:write')
  t.equal((await reserve('one', undefined, { key: reader })).status, 403)
  t.equal((await reserve('one', undefined, { key: writer })).status, 201)
  const { body } = await reserve('one', undefined, { key: writer })
  const neither = await world.key('tokens:read')
  for (const path of ['quota', 'readiness', 'uploads', `uploads/${body.id}`]) {
    t.equal((await world.call('GET', `${base}/${path}`, { key: writer })).status, 200, path)
    t.equal((await world.call('GET', `${base}/${path}`, { key: reader })).status, 200, path)
    t.match(await world.call('GET', `${base}/${path}`, { key: neither }), {
      status: 403,
      body: { code: 'insufficient_scope', detail: /accounts:read or quota:write/ },
    })
  }
})

t.test('an expired reservation is not handed out again under its key', async (t) => {
  const { world, reserve } = await connected(t)
  await reserve('one', { ttl_seconds: 60 })
  await world.timePasses(61)
  t.match(await reserve('one', { ttl_seconds: 60 }), { status: 409, body: { code: 'upload_expired', mended_by: 'caller' } })
  t.equal((await reserve('one-again', { ttl_seconds: 60 })).status, 201)
})

t.test('uploads are listed newest first, by status and page by page, and read one by one', async (t) => {
  const { world, base, reserve } = await connected(t)
  const made: Upload[] = []
  for (const key of ['a', 'b', 'c', 'd', 'e']) made.unshift((await reserve(key)).body)
  const [reserved, released, committed] = made.map(({ id }) => `${base}/uploads/${id}`)
  await world.call('POST', `${released}/release`, { body: { tiktok_error: 'video_too_long' } })
  await world.call('POST', `${committed}/commit`, { body: { publish_id: 'v_1' } })

  const list = async (query: string) =>
    (await world.call<{ uploads: Upload[]; next_cursor: string | null }>('GET', `${base}/uploads${query}`)).body
  const ids = ({ uploads }: { uploads: Upload[] }) => uploads.map(({ id }) => id)
  t.same(
    ids(await list('')),
    made.map(({ id }) => id),
  )
  const seen: string[] = []
  for (let cursor = ''; ; ) {
    const page = await list(`?limit=2${cursor}`)
    seen.push(...ids(page))
    if (page.next_cursor === null) break
    cursor = `&cursor=${page.next_cursor}`
  }
  t.same(
    seen,
    made.map(({ id }) => id),
  )
  t.same(ids(await list('?status=released,committed')), [made[1]?.id, made[2]?.id])
  t.match(await list('?status=committed'), { uploads: [{ publish_id: 'v_1', upload_quota: { used: 1, reserved: 3 } }] })
  t.match(await world.call('GET', released ?? ''), { status: 200, body: { status: 'released', tiktok_error: 'video_too_long' } })
  await world.timePasses(1801)
  t.match(await world.call('GET', reserved ?? ''), { status: 200, body: { id: made[0]?.id, status: 'expired' } })
  t.equal((await list('?status=expired')).uploads.length, 3)

  const other = await world.connect({ owner: 'user_43', person: 'jonas' })
  t.match(await world.call('GET', `/accounts/${other.id}/uploads/${made[0]?.id}`), {
    status: 404,
    body: { code: 'upload_not_found' },
  })
  const { next_cursor: accountsCursor } = (await world.call<{ next_cursor: string }>('GET', '/accounts?limit=1')).body
  for (const query of [
    `cursor=${made[0]?.id}`,
    `cursor=${accountsCursor}`,
    'status=gone',
    'status=',
    'status=expired&status=released',
  ])
    t.match(await world.call('GET', `${base}/uploads?${query}`), { status: 400, body: { code: 'validation_failed' } }, query)
})

t.test('unknown accounts and tombstones', async (t) => {
  const { world, base, reserve } = await connected(t)
  const { body } = await reserve('one')
  const ways = (account: string, upload: string) =>
    [
      ['GET', `${account}/quota`],
      ['GET', `${account}/readiness`],
      ['GET', `${account}/uploads`],
      ['GET', `${account}/uploads/${upload}`],
      ['POST', `${account}/uploads/${upload}/commit`],
      ['POST', `${account}/uploads/${upload}/release`],
    ] as const
  for (const [method, path] of ways(`/accounts/${newId('acc')}`, newId('upl'))) {
    t.match(await world.call(method, path), { status: 404, body: { code: 'account_not_found' } }, path)
  }
  await world.call('DELETE', base)
  for (const [method, path] of ways(base, body.id)) {
    t.match(await world.call(method, path), { status: 410, body: { code: 'account_disconnected' } }, path)
  }
  t.match(await reserve('two'), { status: 410, body: { code: 'account_disconnected' } })
})

t.test('an Idempotency-Key belongs to the name of the key and to the account', async (t) => {
  const { world, base, reserve } = await connected(t)
  const keyOf = async (name: string) => (await createApiKey(world.parts, { name, scopes: ['quota:write'], expiresAt: null })).key
  const [photos, films, filmsAfterChange] = [await keyOf('photos'), await keyOf('films'), await keyOf('films')]
  const at = (path: string, key: string) =>
    world.call<Upload>('POST', `${path}/uploads`, { key, headers: { 'idempotency-key': 'job-1' } })

  const mine = await at(base, photos)
  const theirs = await at(base, films)
  t.match([mine.status, theirs.status], [201, 201])
  t.not(theirs.body.id, mine.body.id, 'two callers with the same word get two slots')
  t.equal((await at(base, photos)).body.id, mine.body.id, 'a repeat finds its own')
  t.equal((await at(base, filmsAfterChange)).body.id, theirs.body.id, 'also with the key that took over')
  t.equal((await world.call<UploadQuota>('GET', `${base}/quota`)).body.reserved, 2)

  const other = await world.connect({ owner: 'user_43', person: 'jonas' })
  const elsewhere = await at(`/accounts/${other.id}`, photos)
  t.equal(elsewhere.status, 201)
  t.not(elsewhere.body.id, mine.body.id, 'and each account has keys of its own')
  t.match(
    await reserve<Problem>('job-1', { ttl_seconds: 60 }),
    { status: 201 },
    "a third caller cannot run into another's request",
  )
})
