// Which notices bear TikTok's signature.
import { createHmac } from 'node:crypto'
import * as fc from 'fast-check'
import t from 'tap'
import { parseNotice, removalReasons, verifyWebhook } from '../../src/tiktok/webhook.ts'

const nowSeconds = 1_795_300_000
const rawBody = Buffer.from(
  '{ "client_key": "awkey", "event": "authorization.removed", "create_time": 1795300000, "user_openid": "u-1", "content": "{\\"reason\\":1}" }',
)

const signed = (secret: string, t: number | string = nowSeconds, body: Buffer = rawBody) =>
  `t=${t},s=${createHmac('sha256', secret).update(`${t}.`).update(body).digest('hex')}`

const verify = (signatureHeader: string | string[] | undefined, changes: { rawBody?: Buffer; secrets?: string[] } = {}) =>
  verifyWebhook({ signatureHeader, rawBody, secrets: ['present'], nowSeconds, ...changes })

t.test('S49: a notice signed with the client secret is genuine', async (t) => {
  t.same(verify(signed('present')), { ok: true, t: nowSeconds })
  t.same(verify(signed('present').toUpperCase().replace('T=', 't=').replace('S=', 's=')), { ok: true, t: nowSeconds })
  t.same(verify(signed('present').replace(',', ', ')), { ok: true, t: nowSeconds })
  t.same(verify(`${signed('present')},v=2`), { ok: true, t: nowSeconds }, 'names to come are left room for')
})

t.test('S49: another maker’s signature verifies', async (t) => {
  // `t` + `.` + raw body under the secret; computed with openssl: printf '1633174587.{"a":1}' | openssl dgst -sha256 -hmac key
  const s = 'e7ae7a372da62339cffc397d6eb959bd0814f7f99d14285183c3bcee9bd5404b'
  const request = { signatureHeader: `t=1633174587,s=${s}`, rawBody: Buffer.from('{"a":1}'), secrets: ['key'] }
  t.same(verifyWebhook({ ...request, nowSeconds: 1633174587 }), { ok: true, t: 1633174587 })
})

t.test('S49: the previous secret counts while it is given, in any place', async (t) => {
  for (const secrets of [
    ['present', 'previous'],
    ['previous', 'present'],
  ]) {
    t.match(verify(signed('previous'), { secrets }), { ok: true })
    t.match(verify(signed('present'), { secrets }), { ok: true })
  }
  t.match(verify(signed('previous')), { ok: false, reason: 'forged' })
})

t.test('S49: no secret, or an empty one, makes nothing genuine', async (t) => {
  t.match(verify(signed(''), { secrets: [''] }), { ok: false, reason: 'forged' })
  t.match(verify(signed('present'), { secrets: [] }), { ok: false, reason: 'forged' })
})

t.test('S49: a changed body, time or signature is forged', async (t) => {
  t.match(verify(signed('present'), { rawBody: Buffer.concat([rawBody, Buffer.from(' ')]) }), { reason: 'forged' })
  t.match(verify(signed('present').replace(String(nowSeconds), String(nowSeconds + 1))), { reason: 'forged' })
  t.match(verify(signed('present', `0${nowSeconds}`).replace('t=0', 't=')), { reason: 'forged' }, 'as it was written')
  fc.assert(
    fc.property(fc.integer({ min: 0, max: rawBody.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const changed = Buffer.from(rawBody)
      changed[at] = (changed[at] ?? 0) ^ flip
      return !verify(signed('present'), { rawBody: changed }).ok
    }),
  )
})

t.test('a header that is missing or malformed is told apart', async (t) => {
  t.match(verify(undefined), { ok: false, reason: 'missing' })
  t.match(verify(''), { ok: false, reason: 'missing' })
  const good = signed('present')
  const s = good.slice(good.indexOf('s='))
  for (const header of [
    'nonsense',
    s,
    `t=${nowSeconds}`,
    `t=,${s}`,
    `t=-1,${s}`,
    `t=1e9,${s}`,
    `t=${nowSeconds},s=abc`,
    `t=${nowSeconds},s=${'g'.repeat(64)}`,
    `${good},t=1`,
    `${good},${s}`,
    [good],
    [good, good],
  ])
    t.match(verify(header), { ok: false, reason: 'malformed' })
})

t.test('S52: t may be 5 minutes ahead and 73 hours behind, and no more', async (t) => {
  t.match(verify(signed('present', nowSeconds + 300)), { ok: true })
  t.match(verify(signed('present', nowSeconds + 301)), { ok: false, reason: 'too_far_ahead' })
  t.match(verify(signed('present', nowSeconds - 73 * 3600)), { ok: true }, 'TikTok repeats for 72 hours')
  t.match(verify(signed('present', nowSeconds - 73 * 3600 - 1)), { ok: false, reason: 'too_old' })
})

t.test('S49: the signature is judged before the time', async (t) => {
  t.match(verify(signed('stranger', 1)), { ok: false, reason: 'forged' })
  t.match(verify(signed('stranger', nowSeconds + 1000)), { ok: false, reason: 'forged' })
})

t.test('a removal is read, with its reason and the time S53 needs', async (t) => {
  t.same(parseNotice(rawBody, nowSeconds), {
    clientKey: 'awkey',
    event: 'authorization.removed',
    userOpenId: 'u-1',
    createTimeSeconds: 1_795_300_000,
    content: { reason: 1 },
    removalReason: removalReasons.userDisconnected,
  })
})

const notice = (changes: Record<string, unknown>) =>
  parseNotice(
    Buffer.from(
      JSON.stringify({
        client_key: 'awkey',
        event: 'post.publish.failed',
        create_time: 1_795_300_000,
        user_openid: 'u-1',
        content: '{"publish_id":"p","reason":"auth_removed"}',
        ...changes,
      }),
    ),
    nowSeconds,
  )

t.test('S51: other events are read too, known or not, and their reasons are not removals', async (t) => {
  t.match(notice({}), { event: 'post.publish.failed', content: { publish_id: 'p', reason: 'auth_removed' } })
  t.notOk('removalReason' in (notice({ content: '{"reason":1}' }) ?? {}))
  t.match(notice({ event: 'post.publish.no_longer_publicaly_available', extra: 1 }), { userOpenId: 'u-1' })
  t.match(notice({ event: 'portability.download.ready', user_openid: undefined }), { userOpenId: null })
})

t.test('content that cannot be read leaves the rest of the notice standing', async (t) => {
  for (const content of [undefined, null, '', '{"reason":', '[1]', '7', 7])
    t.match(notice({ event: 'authorization.removed', content }), { userOpenId: 'u-1', content: {} })
  t.match(
    notice({ content: { reason: 2 }, event: 'authorization.removed' }),
    { removalReason: 2 },
    'an object, should they mend it',
  )
  for (const reason of ['1', '1.0', 1.0])
    t.match(notice({ event: 'authorization.removed', content: JSON.stringify({ reason }) }), { removalReason: 1 })
  for (const reason of ['one', '', 1.5, null])
    t.notOk('removalReason' in (notice({ event: 'authorization.removed', content: JSON.stringify({ reason }) }) ?? {}))
  t.match(notice({ event: 'authorization.removed', content: '{"reason":9}' }), { removalReason: 9 })
})

t.test('the time of a notice is read in seconds or finer, as number, text or date', async (t) => {
  const createTimeSeconds = nowSeconds - 3600
  for (const create_time of [
    createTimeSeconds,
    `${createTimeSeconds}`,
    ` ${createTimeSeconds}.75 `,
    createTimeSeconds + 0.5,
    createTimeSeconds * 1000,
    `${createTimeSeconds}123`,
    createTimeSeconds * 1e6,
    createTimeSeconds * 1e9,
    new Date(createTimeSeconds * 1000).toISOString(),
  ])
    t.match(notice({ create_time }), { createTimeSeconds, userOpenId: 'u-1' }, String(create_time))
})

t.test('where a notice names no time that can be, it is as old as its signature: no removal is lost for that', async (t) => {
  for (const create_time of [undefined, null, '', 'yesterday', {}, [], true, 0, -1, '-1', 1, 1e300, 'NaN', nowSeconds + 86_400])
    t.match(notice({ create_time, event: 'authorization.removed', content: '{"reason":1}' }), {
      createTimeSeconds: nowSeconds,
      removalReason: removalReasons.userDisconnected,
    })
})

t.test('what is no notice is null and never throws', async (t) => {
  for (const body of ['', 'null', '[]', '7', '{', '{}', '<html>']) t.equal(parseNotice(Buffer.from(body), nowSeconds), null)
  for (const event of ['', 7, 'two words', 'x'.repeat(101)]) t.equal(notice({ event }), null)
  fc.assert(fc.property(fc.uint8Array(), (bytes) => parseNotice(Buffer.from(bytes), nowSeconds) === null))
})
