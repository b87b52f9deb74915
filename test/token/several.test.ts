// Tokens for several accounts in one call: each as if it had been asked for alone, and the whole for one statement.
import t from 'tap'
import type { Account } from '../../src/account/account.ts'
import { createApiKey } from '../../src/http/api-keys.ts'
import type { VendedToken } from '../../src/token/vend.ts'
import { startWorld, type World } from '../world.ts'

interface Several {
  tokens: { account_id: string; outcome: string; token?: VendedToken; problem?: { code: string; request_id: string } }[]
  errors?: { pointer?: string }[]
}

const world = await startWorld(t)
let owners = 0

t.test('S26, S27: each account gets its token in the order asked, each audited, for one statement', async (t) => {
  const accounts = await connected(world, 4)
  const key = await world.key('tokens:read')
  const statements = countStatements(world, t)
  const { status, headers, body } = await several(world, { account_ids: idsOf(accounts) }, key)
  t.equal(status, 200)
  t.equal(headers['cache-control'], 'no-store')
  t.equal(statements.get('vend_token_sets'), 1)
  t.same(
    body.tokens.map(({ account_id, outcome, token }) => [account_id, outcome, token?.open_id]),
    accounts.map(({ id, open_id }) => [id, 'token', open_id]),
  )
  for (const { token } of body.tokens) t.ok(world.tiktok.grants.byAccessToken(token?.access_token ?? ''), 'TikTok takes it')
  t.same((await audited(world, accounts)).sort(), idsOf(accounts).sort())
})

t.test('what one account lacks costs the others nothing', async (t) => {
  const [good, gone, lost] = (await connected(world, 3)) as [Account, Account, Account]
  await world.call('DELETE', `/accounts/${gone.id}`)
  await world.parts.db.run(
    'test',
    (sql) =>
      sql`update accounts set status = 'reauthorization_required', status_reason = 'refresh_token_rejected' where id = ${lost.id}`,
  )
  const { body, headers } = await several(world, { account_ids: [gone.id, good.id, 'acc_none', lost.id, good.id] })
  t.same(
    body.tokens.map(({ problem, token }) => problem?.code ?? token?.open_id),
    ['account_disconnected', good.open_id, 'account_not_found', 'reauthorization_required', good.open_id],
  )
  for (const { problem } of body.tokens) if (problem) t.equal(problem.request_id, headers['x-request-id'] ?? problem.request_id)
  t.same(await audited(world, [good, gone, lost]), [good.id], 'named twice, read once')
})

t.test('S74: what lies outside of a narrowed key is not there', async (t) => {
  const [mine, theirs] = (await connected(world, 2)) as [Account, Account]
  const reach = { ownerPrefixes: [mine.owner_id ?? ''], accountIds: null }
  const { key } = await createApiKey(world.parts, { name: 'narrow', scopes: ['tokens:read'], expiresAt: null, reach })
  const { body } = await several(world, { account_ids: [theirs.id, mine.id, 'acc_none'] }, key)
  const [foreign, own, absent] = body.tokens
  t.equal(own?.outcome, 'token')
  t.strictSame({ ...foreign?.problem }, { ...absent?.problem })
  t.equal(foreign?.problem?.code, 'account_not_found')
  t.same(await audited(world, [mine, theirs]), [mine.id])
})

t.test('min_ttl refreshes those that have less left, each once, however many ask', async (t) => {
  const accounts = await connected(world, 3)
  await world.timePasses(3700)
  const before = world.tiktok.stats.report().refreshes_processed
  const answers = await Promise.all(
    Array.from({ length: 5 }, () => several(world, { account_ids: idsOf(accounts), min_ttl: 999_999 })),
  )
  for (const { body } of answers)
    t.same(
      body.tokens.map(({ token }) => token?.generation),
      [2, 2, 2],
    )
  t.equal(world.tiktok.stats.report().refreshes_processed - before, 3)
})

t.test('a cap on reading counts accounts, in one call as in many', async (t) => {
  const capped = await startWorld(t, { env: { READ_CAP_ACCOUNTS_PER_KEY: '2' } })
  const accounts = await connected(capped, 3)
  const { body } = await several(capped, { account_ids: idsOf(accounts) }, await capped.key('tokens:read'))
  t.same(body.tokens.map(({ outcome, problem }) => problem?.code ?? outcome).sort(), ['rate_limited', 'token', 'token'])
})

t.test('what is no list of up to fifty ids is refused whole', async (t) => {
  const [account] = await connected(world, 1)
  const id = account?.id
  const wrong: unknown[] = [
    {},
    { account_ids: [] },
    { account_ids: Array.from({ length: 51 }, () => id) },
    { account_ids: id },
    { account_ids: [id, 7] },
    { account_ids: [id, '../x'] },
    { account_ids: [id], min_ttl: '300' },
    { account_ids: [id], min_ttl: -1 },
    { account_ids: [id], min_ttl: 1.5 },
    { account_ids: [id], more: 1 },
    [id],
  ]
  for (const body of wrong) {
    const { status, text } = await several(world, body)
    t.equal(status, 400, text)
  }
  t.equal((await several(world, { account_ids: [id] }, await world.key('accounts:read', 'quota:write'))).status, 403)
  t.same(await audited(world, account ? [account] : []), [])
})

const idsOf = (accounts: Account[]) => accounts.map(({ id }) => id)

function several(world: World, body: unknown, key?: string) {
  return world.call<Several>('POST', '/tokens', { body, ...(key === undefined ? {} : { key }) })
}

async function connected(world: World, count: number): Promise<Account[]> {
  const accounts: Account[] = []
  while (accounts.length < count) {
    const person = world.tiktok.people.add({ id: `several_${++owners}` })
    accounts.push(await world.connect({ owner: `several_${owners}`, person: person.id }))
  }
  return accounts
}

function countStatements({ parts }: World, t: { teardown(work: () => unknown): unknown }): Map<string, number> {
  const counts = new Map<string, number>()
  const { db } = parts
  const { run } = db
  db.run = (name, work, options) => {
    counts.set(name, (counts.get(name) ?? 0) + 1)
    return run(name, work, options)
  }
  t.teardown(() => Object.assign(db, { run }))
  return counts
}

async function audited({ parts }: World, accounts: Account[]): Promise<string[]> {
  const rows = await parts.db.run(
    'audited',
    (sql) =>
      sql<{ id: string }[]>`select account_id as id from token_reads where account_id = any(${idsOf(accounts)}) order by at`,
  )
  return rows.map(({ id }) => id)
}
