// TikTok's notices at the door: genuine ones are kept and answered, others leave no trace.
import t from 'tap'
import { startApp } from '../../src/app.ts'
import { listNotices } from '../../src/db/notices.ts'
import { createLog } from '../../src/telemetry.ts'
import { eventually } from '../rig/eventually.ts'
import { noticeBody, nowSeconds, sendNotice } from '../rig/notice.ts'
import { startProxy } from '../rig/proxy.ts'
import { everythingShown } from '../rig/shown.ts'
import { startWorld, type World } from '../world.ts'

/** Another replica on the same database. */
async function replicaOf(t: { teardown(work: () => unknown): unknown }, world: World, change: { databaseUrl?: string } = {}) {
  const dir = t as unknown as { testdir(): string }
  const dataDir = dir.testdir()
  const config = { ...world.config, ...change, dataDir, journal: { ...world.config.journal, dir: `${dataDir}/journal` } }
  const app = await startApp(config, { background: false, log: createLog('silent') })
  t.teardown(() => app.close())
  return app
}

const noticesOf = (world: World) => listNotices(world.parts.db, 'all', 100)
const settledNotices = (world: World, count: number) =>
  eventually(`${count} notices are settled`, async () => {
    const rows = await noticesOf(world)
    return rows.length === count && rows.every(({ settledAt }) => settledAt !== null)
  })

t.test('F44: a removal that is delivered ten times ends the account once', async (t) => {
  const world = await startWorld(t)
  const account = await world.connect()
  const body = noticeBody(world, { user_openid: account.open_id, content: { reason: 1 } })
  const answers = await Promise.all(Array.from({ length: 10 }, () => sendNotice(world, { body })))
  t.same(new Set(answers.map(({ status, text }) => `${status} ${text}`)), new Set(['200 {}']))
  await settledNotices(world, 1)

  t.equal((await world.call('GET', `/accounts/${account.id}/token`)).status, 410)
  t.match((await world.call('GET', `/accounts/${account.id}`)).body, { status: 'disconnected', status_reason: 'removed_by_user' })
  await everythingShown(world.parts.db)
  const { body: feed } = await world.call<{ events: { type: string }[] }>('GET', '/events')
  t.same(
    feed.events.map(({ type }) => type),
    ['account.connected', 'account.disconnected'],
  )
})

t.test('a removal ends the account however its time is written, and without one', async (t) => {
  const world = await startWorld(t)
  for (const [index, create_time] of [
    undefined,
    null,
    'now',
    0,
    () => nowSeconds() * 1000 + 999,
    () => `${nowSeconds() + 1}`,
  ].entries()) {
    const account = await world.connect()
    const body = noticeBody(world, {
      user_openid: account.open_id,
      content: { reason: 1 },
      create_time: typeof create_time === 'function' ? create_time() : create_time,
    })
    t.equal((await sendNotice(world, { body })).status, 200)
    await settledNotices(world, index + 1)
    t.equal((await world.call('GET', `/accounts/${account.id}/token`)).status, 410, `create_time ${create_time}`)
  }
})

t.test('S52: a replay after the person has connected again changes nothing', async (t) => {
  const world = await startWorld(t)
  const body = noticeBody(world, { user_openid: (await world.connect()).open_id, content: { reason: 1 } })
  await sendNotice(world, { body })
  await settledNotices(world, 1)
  const again = await world.connect()
  t.equal((await sendNotice(world, { body, t: nowSeconds() - 72 * 3600 })).status, 200)
  t.equal((await sendNotice(world, { body, t: nowSeconds() + 200 })).status, 200)
  t.equal((await noticesOf(world)).length, 1)
  t.equal((await world.call('GET', `/accounts/${again.id}/token`)).status, 200)
})

t.test('F44, S49, S52: forged, unsigned, stale and future notices are refused and leave no trace', async (t) => {
  const world = await startWorld(t)
  const account = await world.connect()
  const body = noticeBody(world, { user_openid: account.open_id, content: { reason: 1 } })
  const genuine = `t=${nowSeconds()},s=${'0'.repeat(64)}`
  const refused = {
    forged: { body, secret: 'NotTheClientSecret' },
    unsigned: { body, signature: null },
    'signed with nothing': { body, signature: '' },
    'of another body': { body: `${body} `, signature: genuine },
    'older than TikTok repeats': { body, t: nowSeconds() - 73 * 3600 - 5 },
    'from the future': { body, t: nowSeconds() + 305 },
    'without a body': { body: '', signature: null },
  }
  for (const [name, sent] of Object.entries(refused)) {
    const answer = await sendNotice(world, sent)
    t.equal(answer.status, 401, name)
    t.match(JSON.parse(answer.text), { code: 'invalid_signature', mended_by: 'caller' }, name)
  }
  t.same(await noticesOf(world), [])
  t.equal((await world.call('GET', `/accounts/${account.id}/token`)).status, 200)
})

t.test('S49: while the client secret is being changed, both sign', async (t) => {
  const world = await startWorld(t, { env: { TIKTOK_CLIENT_SECRET_PREVIOUS: 'TheSecretBeforeThisOne' } })
  t.equal((await sendNotice(world, { body: '{"n":1}' })).status, 200)
  t.equal((await sendNotice(world, { body: '{"n":2}', secret: 'TheSecretBeforeThisOne' })).status, 200)
  t.equal((await sendNotice(world, { body: '{"n":3}', secret: 'SomeOtherSecretAltogether' })).status, 401)
})

t.test('S51: every validly signed notice is answered with exactly 200, and kept for ops', async (t) => {
  const world = await startWorld(t)
  const strange: Record<string, string | Buffer> = {
    'an event nobody knows': noticeBody(world, { event: 'video.reticulated', content: { a: 1 } }),
    'about nobody we know': noticeBody(world, { user_openid: 'somebody-else', content: { reason: 1 } }),
    'for another app': noticeBody(world, { client_key: 'awanotherapp', content: { reason: 1 } }),
    'without a person': noticeBody(world, { event: 'portability.download.ready', content: { request_id: 1 } }),
    'null bytes and lone surrogates': noticeBody(world, { event: 'x', content: '{"a":"\\u0000\\ud800"}' }),
    'content that is no JSON': noticeBody(world, { event: 'y', content: '{' }),
    'no JSON at all': 'hello',
    'half of it': '{"event":"authorization.removed"',
    'not even text': Buffer.from([0xff, 0x00, 0xfe]),
    'an empty object': '{}',
    nothing: '',
    'a deep one': `${'['.repeat(30_000)}${']'.repeat(30_000)}`,
    '64 KiB of it': JSON.stringify({ event: 'z', padding: 'x'.repeat(65_000) }),
  }
  for (const [name, body] of Object.entries(strange))
    t.match(await sendNotice(world, { body }), { status: 200, text: '{}' }, name)
  for (const contentType of [
    null,
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data',
    'nonsense',
    ';;',
    'application/json; charset=latin1',
  ])
    t.match(
      await sendNotice(world, { body: `{"n":"${contentType}"}`, contentType }),
      { status: 200 },
      `content type ${contentType}`,
    )

  await settledNotices(world, Object.keys(strange).length + 7)
  const kept = await listNotices(world.parts.db, 'kept', 100)
  t.match(
    kept.find(({ event }) => event === 'video.reticulated'),
    { outcome: 'unknown_event', body: Buffer.from(strange['an event nobody knows'] ?? '') },
  )
  t.match(kept.find(({ event }) => event === 'authorization.removed')?.outcome, 'foreign_client')
  t.notOk(
    kept.some(({ outcome }) => outcome === 'no_such_account'),
    'what was understood is not kept',
  )
})

t.test('S66: a notice of more than 64 KiB is not taken in', async (t) => {
  const world = await startWorld(t)
  const answer = await sendNotice(world, { body: 'x'.repeat(64 * 1024 + 1) })
  t.equal(answer.status, 413)
  t.match(JSON.parse(answer.text), { code: 'payload_too_large' })
})

t.test('S51: 503 while it cannot be kept, and TikTok is believed when it comes back', async (t) => {
  const world = await startWorld(t)
  const proxy = await startProxy(t, world.databaseUrl)
  const replica = await replicaOf(t, world, { databaseUrl: proxy.url })
  const account = await world.connect()
  const body = noticeBody(world, { user_openid: account.open_id, content: { reason: 2 } })
  await proxy.cut()
  const refused = await sendNotice(world, { body }, replica.url)
  t.equal(refused.status, 503)
  t.match(refused.headers, { 'retry-after': /^\d+$/ })
  t.match(JSON.parse(refused.text), { code: 'storage_unavailable' })

  await proxy.resume()
  await eventually(
    'the replica has its database again',
    async () => (await sendNotice(world, { body }, replica.url)).status === 200,
  )
  await settledNotices(world, 1)
  t.match((await world.call('GET', `/accounts/${account.id}`)).body, { status_reason: 'tiktok_account_deleted' })
})

t.test('S20: while the vault keys do not fit, a notice is left with TikTok', async (t) => {
  const world = await startWorld(t)
  world.parts.keyring.fits = false
  const answer = await sendNotice(world, {})
  t.equal(answer.status, 503)
  t.match(JSON.parse(answer.text), { code: 'keyring_mismatch' })
  t.equal((await sendNotice(world, { secret: 'NotTheClientSecret' })).status, 401, 'a forged one is refused all the same')
  world.parts.keyring.fits = true
  t.same(await noticesOf(world), [])
})

t.test('S39: who forges again and again is turned away, and TikTok is not', async (t) => {
  const world = await startWorld(t, { env: { RATE_LIMIT_PER_MINUTE: '1000' } })
  const forged = await Promise.all(Array.from({ length: 15 }, () => sendNotice(world, { secret: 'NotTheClientSecret' })))
  t.same(forged.map(({ status }) => status).sort(), [...Array(10).fill(401), ...Array(5).fill(429)])
  t.match(forged.find(({ status }) => status === 429)?.headers, { 'retry-after': /^\d+$/ })
  t.equal((await sendNotice(world, {})).status, 200)
})

t.test('F29: a replica with a wrong clock asks the database before it calls a notice too old or too new', async (t) => {
  const world = await startWorld(t)
  const realNow = Date.now
  const t0 = nowSeconds()
  t.teardown(() => {
    Date.now = realNow
  })
  for (const skewSeconds of [-600, 74 * 3600]) {
    const body = noticeBody(world, { event: 'video.reticulated', content: { skewSeconds } })
    Date.now = () => realNow() + skewSeconds * 1000
    t.equal((await sendNotice(world, { body, t: t0 })).status, 200, `${skewSeconds} s`)
    Date.now = realNow
  }
})
