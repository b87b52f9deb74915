// Events, followed over whatever interrupts, and verified when they are pushed.
import { Webhook } from 'standardwebhooks'
import t from 'tap'
import { type AccountsError, CallerError, verifyEvent } from '../src/client.ts'
import { json, lost, problem, scripted } from './answers.ts'

const event = (id: string, type = 'account.recovered') => ({
  id,
  type,
  occurred_at: '2026-11-22T12:00:00.000Z',
  data: { account_id: 'acc_1', owner_id: 'user_42' },
})

t.test('goes from page to page, tells each event where to go on, and passes types of next year', async (t) => {
  const { tiktok, asked } = scripted([
    json({ events: [event('evt_1'), event('evt_2', 'account.sang')], next_cursor: 'c2' }),
    json({ events: [event('evt_3')], next_cursor: 'c3' }),
  ])
  const seen: unknown[] = []
  for await (const { id, type, cursor, data } of tiktok.events.follow({ cursor: 'c0', pollMs: 0 })) {
    seen.push([id, type, cursor, data])
    if (id === 'evt_3') break
  }
  const data = { accountId: 'acc_1', ownerId: 'user_42' }
  t.strictSame(seen, [
    ['evt_1', 'account.recovered', 'c0', data],
    ['evt_2', 'account.sang', 'c2', data],
    ['evt_3', 'account.recovered', 'c3', data],
  ])
  t.strictSame(
    asked.map(({ path }) => path),
    ['/events?after=c0&limit=200', '/events?after=c2&limit=200'],
  )
})

t.test('goes on after what others mend, and ends with what asking again cannot', async (t) => {
  const troubles: string[] = []
  const soon = { 'retry-after': '0' }
  const { tiktok } = scripted(
    [
      problem(500, 'internal_error', 'operator', soon),
      lost,
      json({ events: [event('evt_1')], next_cursor: 'c1' }),
      problem(401, 'unauthenticated', 'caller'),
    ],
    { budgetMs: 60_000 },
  )
  const seen: string[] = []
  const follow = async () => {
    const onTrouble = (error: AccountsError) => troubles.push(error.code)
    for await (const { id } of tiktok.events.follow({ pollMs: 0, onTrouble })) seen.push(id)
  }
  await t.rejects(follow(), { code: 'unauthenticated' })
  t.strictSame([seen, troubles], [['evt_1'], ['internal_error']])
})

t.test('a signal ends it without an error, also while it waits', async (t) => {
  const { tiktok } = scripted([json({ events: [event('evt_1')], next_cursor: 'c1' })])
  const stop = new AbortController()
  let count = 0
  for await (const _ of tiktok.events.follow({ signal: stop.signal, pollMs: 3_600_000 })) {
    count += 1
    setImmediate(() => stop.abort())
  }
  t.equal(count, 1)
})

const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
const other = `whsec_${Buffer.alloc(32, 8).toString('base64')}`
const sentAt = new Date('2026-11-22T12:00:00Z')
const body = JSON.stringify({ ...event('evt_1'), data: { account_id: 'acc_1', owner_id: 'Ä' } })
const signed = (by = secret, at = sentAt) => ({
  'webhook-id': 'evt_1',
  'webhook-timestamp': String(at.getTime() / 1000),
  'webhook-signature': new Webhook(by).sign('evt_1', at, body),
})
const after = (seconds: number) => ({ now: new Date(sentAt.getTime() + seconds * 1000) })

t.test('believes what the Standard Webhooks library signs, as text or bytes, with the old secret or the new', async (t) => {
  t.match(await verifyEvent(body, signed(), secret, after(299)), { id: 'evt_1', data: { accountId: 'acc_1', ownerId: 'Ä' } })
  t.match(await verifyEvent(new TextEncoder().encode(body), new Headers(signed()), [other, secret], after(0)), { id: 'evt_1' })
  const both = {
    ...signed(),
    'webhook-signature': `v1a,xx ${signed(other)['webhook-signature']} ${signed()['webhook-signature']}`,
  }
  t.match(await verifyEvent(body, both, [secret], after(0)), { id: 'evt_1' })
  t.match(
    await verifyEvent(
      body,
      { 'Webhook-Id': 'evt_1', 'Webhook-Timestamp': ['1795348800'], 'Webhook-Signature': signed()['webhook-signature'] },
      secret,
      after(0),
    ),
    { id: 'evt_1' },
  )
})

t.test('and nothing else', async (t) => {
  const wrong = [
    [body, signed(other), after(0)],
    [`${body} `, signed(), after(0)],
    [body, { ...signed(), 'webhook-id': 'evt_2' }, after(0)],
    [body, { ...signed(), 'webhook-signature': 'v1,%%%' }, after(0)],
    [body, { ...signed(), 'webhook-signature': '' }, after(0)],
    [body, { ...signed(), 'webhook-timestamp': 'NaN' }, after(0)],
    [body, {}, after(0)],
    [body, signed(), after(301)],
    [body, signed(), after(-301)],
  ] as const
  for (const [text, headers, options] of wrong) {
    const error = await verifyEvent(text, headers, [secret], options).catch((thrown: unknown) => thrown)
    t.ok(error instanceof CallerError && error.code === 'invalid_signature', JSON.stringify(headers))
  }
  await t.rejects(verifyEvent(body, signed(), 'whsec_c2hvcnQ=', after(0)), { name: 'TypeError', message: /^secrets: (?!.*c2hv)/ })
})
