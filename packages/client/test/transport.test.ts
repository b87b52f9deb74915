// One call: what is repeated and what is not, whose turn a failure is, and what never shows.
import { inspect } from 'node:util'
import t from 'tap'
import { AccountsError, CallerError, OperatorError, TikTokAccounts, TimeError, UserError } from '../src/client.ts'
import { json, key, lost, problem, scripted } from './answers.ts'

const account = json({ id: 'acc_1', owner_id: 'user_42', upload_quota: { next_slot_at: null } })
const soon = { 'retry-after': '0' }

t.test('names are camelCase on this side and snake_case on the wire, values are left alone', async (t) => {
  const { tiktok, asked } = scripted([account])
  t.match(await tiktok.accounts.get('acc_1'), { ownerId: 'user_42', uploadQuota: { nextSlotAt: null } })
  await tiktok.connectSessions.open({ ownerId: 'user_42', returnUrl: 'https://app.example.com/a_b', ageConfirmed: true })
  t.match(asked[1], {
    method: 'POST',
    body: { owner_id: 'user_42', return_url: 'https://app.example.com/a_b', age_confirmed: true },
  })
  await tiktok.owners.get('team/ä b')
  t.equal(asked[2]?.path, '/owners/team%2F%C3%A4%20b')
})

t.test('the address may have a path', async (t) => {
  const { tiktok, asked } = scripted([account], { url: 'https://example.com/oauth/' })
  await tiktok.accounts.get('acc_1')
  t.equal(asked[0]?.path, '/oauth/accounts/acc_1')
})

t.test('an empty id or one of dots is another route, and is not asked for', async (t) => {
  const { tiktok, asked } = scripted([account])
  for (const id of ['', '.', '..']) await t.rejects(tiktok.accounts.disconnect(id), CallerError)
  t.equal(asked.length, 0)
})

t.test('a filter that is undefined by mistake does not list what is everybody else’s', async (t) => {
  const { tiktok, asked } = scripted([account])
  const wish = JSON.parse('{}') as { ownerId: string }
  await t.rejects(tiktok.accounts.list({ ownerId: wish.ownerId }).next(), { code: 'validation_failed', message: /^ownerId: / })
  await t.rejects(tiktok.events.follow({ ownerId: wish.ownerId }).next(), { code: 'validation_failed' })
  t.equal(asked.length, 0)
})

t.test('what only time has to mend is repeated: lost answers, 503 of the service or of a proxy, too many requests', async (t) => {
  const html = () => new Response('<h1>Bad gateway</h1>', { status: 502, headers: { 'content-type': 'text/html', ...soon } })
  for (const first of [lost, html, problem(503, 'overloaded', 'time', soon), problem(429, 'rate_limited', 'time', soon)]) {
    const { tiktok, asked } = scripted([first, account])
    t.equal((await tiktok.accounts.get('acc_1')).id, 'acc_1')
    t.equal(asked.length, 2)
  }
})

t.test(
  'nothing else is repeated: a quota takes hours, and a person, a program or an operator is not quicker for asking',
  async (t) => {
    const cases = [
      [problem(429, 'upload_quota_exhausted', 'time', soon, { next_slot_at: '2026-11-23T12:00:00Z' }), TimeError],
      [problem(409, 'reauthorization_required', 'user'), UserError],
      [problem(502, 'tiktok_rejected', 'user'), UserError],
      [problem(404, 'account_not_found', 'caller'), CallerError],
      [problem(500, 'internal_error', 'operator'), OperatorError],
    ] as const
    for (const [reply, kind] of cases) {
      const { tiktok, asked } = scripted([reply])
      const error = await tiktok.accounts.get('acc_1').catch((thrown: unknown) => thrown)
      t.type(error, kind)
      t.match(error, { requestId: 'req_1', name: kind.name })
      t.equal(asked.length, 1)
    }
    const { tiktok } = scripted([cases[0][0]])
    await t.rejects(tiktok.uploads.reserve('acc_1', { key: 'k' }), {
      code: 'upload_quota_exhausted',
      problem: { nextSlotAt: '2026-11-23T12:00:00Z' },
    })
  },
)

t.test('a wait that does not fit into the time budget is not begun, and its length is told', async (t) => {
  const { tiktok, asked } = scripted([problem(503, 'tiktok_unavailable', 'time', { 'retry-after': '30' })])
  await t.rejects(tiktok.accounts.get('acc_1', { budgetMs: 5_000 }), { code: 'tiktok_unavailable', retryAfterMs: 30_000 })
  t.equal(asked.length, 1)
})

t.test('the time budget ends an attempt that hangs, and a signal ends it at once', async (t) => {
  const hang: typeof fetch = (_input, init) =>
    new Promise((_resolve, reject) => init?.signal?.addEventListener('abort', () => reject(init.signal?.reason)))
  const { tiktok } = scripted([], { fetch: hang, budgetMs: 20 })
  const alive = setInterval(() => {}, 1_000) // AbortSignal.timeout keeps no process alive
  t.teardown(() => clearInterval(alive))
  await t.rejects(tiktok.accounts.get('acc_1'), { code: 'service_unreachable', mendedBy: 'time' })
  const leave = new AbortController()
  const asked = tiktok.accounts.get('acc_1', { signal: leave.signal, budgetMs: 60_000 })
  leave.abort(new Error('the person left'))
  await t.rejects(asked, { message: 'the person left' })
})

t.test('a page, a redirect or half an answer is an error that says what came', async (t) => {
  const page = (status: number) => () => new Response('<html>Log in</html>', { status, headers: { 'content-type': 'text/html' } })
  for (const reply of [
    page(200),
    page(404),
    page(302),
    json({ nothing: 'ours' }, 404),
    () => new Response('{"id": "acc', { headers: { 'content-type': 'application/json' } }),
  ]) {
    const { tiktok, asked } = scripted([reply])
    await t.rejects(tiktok.accounts.get('acc_1'), { code: 'not_the_service', mendedBy: 'operator' })
    t.equal(asked.length, 1)
  }
})

t.test('the key is in no error, no hook and nothing that is printed', async (t) => {
  const seen: unknown[] = []
  const hooks = { onRequest: (sent: unknown) => seen.push(sent), onResponse: (heard: unknown) => seen.push(heard) }
  const { tiktok, asked } = scripted([problem(401, 'unauthenticated', 'caller')], hooks)
  seen.push(await tiktok.accounts.get('acc_1').catch((error: unknown) => error), tiktok)
  t.equal(asked[0]?.headers.get('authorization'), `Bearer ${key}`)
  t.equal(seen.length, 4)
  t.notMatch(inspect(seen, { depth: 9, showHidden: true }) + JSON.stringify(seen), key)
  const wrong = () => new TikTokAccounts({ url: 'https://oauth.example.com', key: `${key}\n` })
  t.throws(wrong, /^key: /)
  t.throws(() => new TikTokAccounts({ url: `https://name:${key}@example.com`, key }), { message: /^url: (?!.*secret)/ })
  const { tiktok: renewed } = scripted([account], { key: async () => `${key}\n` })
  t.notMatch(inspect(await renewed.accounts.get('acc_1').catch((error: unknown) => error)), key)
})

t.test('hooks add headers and hear of every attempt; a key may be renewed', async (t) => {
  const heard: unknown[] = []
  let number = 0
  const { tiktok, asked } = scripted(
    [problem(503, 'overloaded', 'time', soon), json({ id: 'acc_1' }, 200, { 'x-request-id': 'req_2' })],
    {
      key: () => `key-${++number}`,
      onRequest: ({ headers, attempt }) => headers.set('traceparent', `trace-${attempt}`),
      onResponse: ({ operation, attempt, status, requestId, error }) =>
        heard.push([operation, attempt, status, requestId, error?.code]),
    },
  )
  await tiktok.accounts.get('acc_1')
  t.strictSame(
    asked.map(({ headers }) => [headers.get('authorization'), headers.get('traceparent')]),
    [
      ['Bearer key-1', 'trace-1'],
      ['Bearer key-2', 'trace-2'],
    ],
  )
  t.strictSame(heard, [
    ['getAccount', 1, 503, undefined, 'overloaded'],
    ['getAccount', 2, 200, 'req_2', undefined],
  ])
})

t.test('all errors are of one family, and an unknown turn is told by the status', async (t) => {
  const { tiktok } = scripted([problem(418, 'of_next_year', 'the_moon')])
  const error = await tiktok.accounts.get('acc_1').catch((thrown: unknown) => thrown)
  t.ok(error instanceof AccountsError && error instanceof CallerError)
  t.match(error, { code: 'of_next_year' })
})
