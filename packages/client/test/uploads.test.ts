// An upload from its reservation to its commit: whatever happens between, its slot is settled once.
import t from 'tap'
import { TikTokRefusal } from '../src/client.ts'
import { json, lost, problem, scripted, token } from './answers.ts'

const slot = (status: string, id = 'upl_1') => ({ id, account_id: 'acc_1', status, publish_id: null })
const reserved = json(slot('reserved'), 201)
const paths = (asked: { method: string; path: string }[]) =>
  asked.map(({ method, path }) => `${method} ${path.replace('/accounts/acc_1', '')}`)

t.test('reserve, work with a token, commit', async (t) => {
  const { tiktok, asked } = scripted([reserved, json(token(1)), json(slot('committed'))])
  const done = await tiktok.uploads.run('acc_1', { key: 'job-1', minTtl: 900 }, async ({ token, slot }) => {
    t.match([token.accessToken, slot.id], ['act.1', 'upl_1'])
    return { publishId: 'v_1' }
  })
  t.match(done, { alreadyDone: false, upload: { status: 'committed' } })
  t.strictSame(paths(asked), ['POST /uploads', 'GET /token?min_ttl=900', 'POST /uploads/upl_1/commit'])
  t.equal(asked[0]?.headers.get('idempotency-key'), 'job-1')
  t.strictSame(asked[2]?.body, { publish_id: 'v_1' })
})

t.test("the work's failure releases the slot, with TikTok's code if that is what it was, and is what is thrown", async (t) => {
  for (const [failure, body] of [
    [new TikTokRefusal('spam_risk_too_many_posts'), { tiktok_error: 'spam_risk_too_many_posts' }],
    [new Error('disk full'), {}],
  ] as const) {
    const { tiktok, asked } = scripted([reserved, json(token(1)), problem(500, 'internal_error', 'operator')])
    await t.rejects(
      tiktok.uploads.run('acc_1', { key: 'job-1' }, () => Promise.reject(failure)),
      failure,
    )
    t.strictSame(paths(asked).at(-1), 'POST /uploads/upl_1/release')
    t.strictSame(asked.at(-1)?.body, body)
  }
})

t.test('no token, no slot kept', async (t) => {
  const { tiktok, asked } = scripted([reserved, problem(409, 'reauthorization_required', 'user'), json(slot('released'))])
  await t.rejects(
    tiktok.uploads.run('acc_1', { key: 'job-1' }, async () => ({})),
    { code: 'reauthorization_required' },
  )
  t.strictSame(paths(asked).at(-1), 'POST /uploads/upl_1/release')
})

t.test('a commit whose answer was lost is repeated', async (t) => {
  const { tiktok, asked } = scripted([reserved, json(token(1)), lost, json(slot('committed'))])
  t.equal((await tiktok.uploads.run('acc_1', { key: 'job-1' }, async () => ({ publishId: 'v_1' }))).upload.status, 'committed')
  t.strictSame(paths(asked).slice(2), ['POST /uploads/upl_1/commit', 'POST /uploads/upl_1/commit'])
})

t.test('a commit that fails for good says which video is uncounted, and releases nothing', async (t) => {
  const { tiktok, asked } = scripted([reserved, json(token(1)), lost])
  const run = tiktok.uploads.run('acc_1', { key: 'job-1', commitBudgetMs: 1 }, async () => ({ publishId: 'v_1' }))
  t.match(await run.catch((error: unknown) => error), {
    uncommitted: { accountId: 'acc_1', uploadId: 'upl_1', publishId: 'v_1' },
  })
  t.equal(asked.length, 3)
})

t.test('a stop while it works does not keep the slot from being settled', async (t) => {
  const { tiktok, asked } = scripted([reserved, json(token(1)), json(slot('committed'))])
  const stop = new AbortController()
  await tiktok.uploads.run('acc_1', { key: 'job-1', signal: stop.signal }, async () => {
    stop.abort()
    return { publishId: 'v_1' }
  })
  t.strictSame(paths(asked).at(-1), 'POST /uploads/upl_1/commit')
})

t.test(
  'a dead slot is followed by one with a new key, the same after a crash; what was committed is not done again',
  async (t) => {
    const dead = [problem(409, 'upload_released', 'caller'), problem(409, 'upload_expired', 'caller')]
    const { tiktok, asked } = scripted([...dead, json(slot('committed'), 200, { 'idempotency-replayed': 'true' })])
    const done = await tiktok.uploads.run('acc_1', { key: 'job-1' }, () => t.fail('the work must not run') as never)
    t.match(done, { alreadyDone: true })
    t.strictSame(
      asked.map(({ headers }) => headers.get('idempotency-key')),
      ['job-1', 'job-1~2', 'job-1~3'],
    )
  },
)

t.test('it does not try new keys for ever', async (t) => {
  const { tiktok, asked } = scripted([problem(409, 'upload_released', 'caller')])
  await t.rejects(
    tiktok.uploads.run('acc_1', { key: 'job-1' }, async () => ({})),
    { code: 'upload_released' },
  )
  t.equal(asked.length, 20)
})
