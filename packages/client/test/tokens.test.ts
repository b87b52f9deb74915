// Borrowed tokens: one request per account, kept while good, replaced once.
import t from 'tap'
import { TikTokRefusal } from '../src/client.ts'
import { json, problem, type Reply, scripted, token } from './answers.ts'

const refused = () => new Response('{"error":{"code":"access_token_invalid"}}', { status: 401 })

t.test('a hundred callers make one request, and later ones none, until fewer than min_ttl seconds are left', async (t) => {
  const { tiktok, asked } = scripted([json(token(1, 600)), json(token(2))])
  const work = ({ accessToken }: { accessToken: string }) => accessToken
  const all = await Promise.all(Array.from({ length: 100 }, () => tiktok.accounts.withToken('acc_1', work)))
  t.strictSame(new Set(all), new Set(['act.1']))
  t.equal(asked.length, 1)
  t.equal(await tiktok.accounts.withToken('acc_1', { minTtl: 590 }, work), 'act.1')
  t.equal(await tiktok.accounts.withToken('acc_1', { minTtl: 900 }, work), 'act.2')
  t.strictSame(
    asked.map(({ path }) => path),
    ['/accounts/acc_1/token?min_ttl=300', '/accounts/acc_1/token?min_ttl=900'],
  )
})

t.test('who needs more than the one in flight asks again, once for all', async (t) => {
  const { tiktok, asked } = scripted([json(token(1, 400)), json(token(2, 1000))])
  const wish = [300, 900, 900, 900]
  const all = await Promise.all(wish.map((minTtl) => tiktok.accounts.token('acc_1', { minTtl })))
  t.strictSame(
    all.map(({ generation }) => generation),
    [1, 2, 2, 2],
  )
  t.equal(asked.length, 2)
})

t.test('accounts do not wait for each other, and a failure is not kept', async (t) => {
  const { tiktok, asked } = scripted([problem(409, 'reauthorization_required', 'user'), json(token(1)), json(token(5))])
  await t.rejects(tiktok.accounts.token('acc_1'), { code: 'reauthorization_required' })
  t.equal((await tiktok.accounts.token('acc_1')).generation, 1)
  t.equal((await tiktok.accounts.token('acc_2')).generation, 5)
  t.equal(asked.length, 3)
})

t.test('a 401 names the generation and the work runs once more, and only once', async (t) => {
  const thrown = async () => {
    throw new TikTokRefusal('access_token_invalid', { status: 401 })
  }
  const ofAxios = async () => {
    throw Object.assign(new Error('Request failed'), { response: { status: 401 } })
  }
  for (const work of [async () => refused(), thrown, ofAxios]) {
    const { tiktok, asked } = scripted([json(token(7)), json(token(8))])
    const used: number[] = []
    const outcome = await tiktok.accounts
      .withToken('acc_1', ({ generation }): Promise<unknown> => {
        used.push(generation)
        return work()
      })
      .catch((error: unknown) => error)
    t.strictSame(used, [7, 8])
    t.match(asked[1], { path: '/accounts/acc_1/token/rejected', body: { generation: 7 } })
    t.equal(asked.length, 2)
    t.ok(outcome, 'the second refusal is the outcome')
  }
})

t.test('a hundred refusals of one token are one report', async (t) => {
  const { tiktok, asked } = scripted([json(token(7)), json(token(8))])
  const work = async ({ generation }: { generation: number }) => (generation === 7 ? refused() : new Response('fine'))
  const all = await Promise.all(Array.from({ length: 100 }, () => tiktok.accounts.withToken('acc_1', work)))
  t.ok(all.every(({ status }) => status === 200))
  t.equal(asked.length, 2)
})

t.test('a scope that the person did not give, and other failures, are not the fault of the token', async (t) => {
  const scope = () => new Response('{"error":{"code":"scope_not_authorized"}}', { status: 401 })
  const { tiktok, asked } = scripted([json(token(7))])
  const answer = await tiktok.accounts.withToken('acc_1', async () => scope())
  t.match(await answer.json(), { error: { code: 'scope_not_authorized' } }, 'and the answer can still be read')
  await t.rejects(
    tiktok.accounts.withToken('acc_1', () => Promise.reject(new Error('disk full'))),
    { message: 'disk full' },
  )
  t.equal(asked.length, 1)
})

t.test('one asker who gives up does not end the request of the others', async (t) => {
  let answer: (() => void) | undefined
  const slow: Reply = () =>
    new Promise(
      (resolve) =>
        (answer = () => resolve(new Response(JSON.stringify(token(1)), { headers: { 'content-type': 'application/json' } }))),
    )
  const { tiktok, asked } = scripted([slow])
  const leave = new AbortController()
  const first = tiktok.accounts.token('acc_1', { signal: leave.signal })
  const second = tiktok.accounts.token('acc_1')
  leave.abort(new Error('left'))
  await t.rejects(first, { message: 'left' })
  answer?.()
  t.equal((await second).generation, 1)
  t.equal(asked.length, 1)
})

t.test('nothing is kept of an account that is disconnected, and tokens for many are kept', async (t) => {
  const two = {
    tokens: [
      { account_id: 'acc_1', outcome: 'token', token: token(3) },
      { account_id: 'acc_2', outcome: 'problem', problem: { code: 'account_disconnected' } },
    ],
  }
  const gone = { id: 'acc_1', status: 'disconnected', revocation: 'confirmed' }
  const { tiktok, asked } = scripted([json(two), json(gone), problem(410, 'account_disconnected', 'user')])
  t.match(await tiktok.accounts.tokens(['acc_1', 'acc_2']), [{ outcome: 'token' }, { outcome: 'problem' }])
  t.equal((await tiktok.accounts.token('acc_1')).generation, 3)
  t.equal(asked.length, 1)
  await tiktok.accounts.disconnect('acc_1')
  await t.rejects(tiktok.accounts.token('acc_1'), { code: 'account_disconnected' })
})
