// Narrow keys: what lies outside a key's owners, accounts or networks is not there for it, whatever route it asks (S74). Every guarded route of
// the description is tried, so a new one that this file does not know fails here.
import t from 'tap'
import type { Bounds } from '../../src/access/reach.ts'
import type { Account } from '../../src/account/account.ts'
import { createApiKey, keyScopes } from '../../src/http/api-keys.ts'
import { returnUrl, startWorld, type World } from '../world.ts'

interface Description {
  paths: Record<string, Record<string, { security?: unknown[]; operationId: string }>>
}

const world = await startWorld(t)
const [mine, theirs] = [
  await world.connect({ owner: 'acme_1', person: 'mara' }),
  await world.connect({ owner: 'acmeX1', person: 'jonas' }), // `_` is no wildcard
]
const acme = await narrowKey(world, { ownerPrefixes: ['acme_'] })
const single = await narrowKey(world, { accountIds: [mine.id] })

/** What each guarded route is asked for an account, its owner and a session of theirs; undefined: it names none. */
const asked: Record<string, ((of: Subject) => { path: string; body?: unknown; headers?: Record<string, string> }) | undefined> = {
  openConnectSession: ({ owner }) => ({
    path: '/connect-sessions',
    body: { owner_id: owner, return_url: returnUrl, account_type: 'creator', age_confirmed: true },
  }),
  listConnectSessions: undefined,
  getConnectSession: ({ session }) => ({ path: `/connect-sessions/${session}` }),
  completeConnectSession: ({ owner, session }) => ({
    path: `/connect-sessions/${session}/complete`,
    body: { owner_id: owner, confirm: 'x' },
  }),
  listAccounts: undefined,
  getAccount: ({ account }) => ({ path: `/accounts/${account}` }),
  labelAccount: ({ account }) => ({ path: `/accounts/${account}`, body: { label: 'taken over' } }),
  disconnectAccount: ({ account }) => ({ path: `/accounts/${account}` }),
  verifyAccount: ({ account }) => ({ path: `/accounts/${account}/verify` }),
  getAccountHealth: ({ account }) => ({ path: `/accounts/${account}/health` }),
  getAccountAvatar: ({ account }) => ({ path: `/accounts/${account}/avatar` }),
  getAccountTimeline: ({ account }) => ({ path: `/accounts/${account}/timeline` }),
  getOwner: ({ owner }) => ({ path: `/owners/${owner}` }),
  setOwnerTier: ({ owner }) => ({ path: `/owners/${owner}`, body: { tier: 'free' } }),
  eraseOwner: ({ owner }) => ({ path: `/owners/${owner}` }),
  getAccessToken: ({ account }) => ({ path: `/accounts/${account}/token` }),
  getAccessTokens: undefined,
  replaceRejectedToken: ({ account }) => ({ path: `/accounts/${account}/token/rejected`, body: { generation: 1 } }),
  getUploadQuota: ({ account }) => ({ path: `/accounts/${account}/quota` }),
  getUploadReadiness: ({ account }) => ({ path: `/accounts/${account}/readiness` }),
  reserveUpload: ({ account }) => ({ path: `/accounts/${account}/uploads`, headers: { 'idempotency-key': 'job' } }),
  listUploads: ({ account }) => ({ path: `/accounts/${account}/uploads` }),
  getUpload: ({ account, upload }) => ({ path: `/accounts/${account}/uploads/${upload}` }),
  commitUpload: ({ account, upload }) => ({ path: `/accounts/${account}/uploads/${upload}/commit` }),
  releaseUpload: ({ account, upload }) => ({ path: `/accounts/${account}/uploads/${upload}/release` }),
  listEvents: undefined,
  listAudit: undefined,
  getMetrics: undefined,
}

interface Subject {
  owner: string
  account: string
  session: string
  upload: string
}

t.test('S74: every guarded route answers for what is outside as for what is not there', async (t) => {
  const { body: api } = await world.call<Description>('GET', '/openapi.json', { key: null })
  const { body: upload } = await world.call<{ id: string }>('POST', `/accounts/${theirs.id}/uploads`, {
    headers: { 'idempotency-key': 'theirs' },
  })
  const { id: session } = await world.openSession({ owner_id: theirs.owner_id })
  const outside = { owner: String(theirs.owner_id), account: theirs.id, session, upload: upload.id }
  const nowhere = { owner: 'nobody', account: 'acc_none', session: 'cs_none', upload: 'upl_none' }

  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, { security, operationId }] of Object.entries(methods)) {
      if (security?.length === 0) continue
      t.ok(operationId in asked, `${method} ${path} (${operationId}) is in this test`)
      const request = asked[operationId]
      if (!request) continue
      for (const key of [acme, single]) {
        const call = async (of: Subject) => {
          const { path: url, ...options } = request(of)
          return world.call<{ code?: string; detail?: string }>(method.toUpperCase(), url, { ...options, key })
        }
        const [foreign, absent] = [await call(outside), await call(nowhere)]
        t.equal(foreign.status, 404, `${operationId}: ${foreign.text}`)
        t.strictSame([foreign.body.code, foreign.body.detail], [absent.body.code, absent.body.detail], operationId)
      }
    }
  }
  t.match(
    (await world.call<Account>('GET', `/accounts/${theirs.id}`)).body,
    { status: 'active', label: null },
    'nothing was done',
  )
  t.equal((await world.call<{ tier: string }>('GET', `/owners/${theirs.owner_id}`)).body.tier, 'business')
  t.equal((await world.call<{ status: string }>('GET', `/connect-sessions/${session}`)).body.status, 'pending')
})

t.test('S74: lists, cursors and feeds leave out what is outside', async (t) => {
  const others = await Promise.all(
    ['selma', 'newcomer'].map((person, n) => world.connect({ owner: `zeta_${n}`, person }).catch(() => undefined)),
  )
  t.ok(others.some((account) => account !== undefined))
  const list = async (key: string, query = '') =>
    (await world.call<{ accounts: Account[]; next_cursor: string | null }>('GET', `/accounts${query}`, { key })).body
  for (const key of [acme, single]) {
    t.same(
      (await list(key)).accounts.map(({ id }) => id),
      [mine.id],
    )
    t.match(await list(key, '?limit=1'), { accounts: [{ id: mine.id }], next_cursor: null }, 'nor does a page count it')
    t.same((await list(key, `?owner_id=${theirs.owner_id}`)).accounts, [])
    t.equal((await world.call('GET', `/accounts?cursor=${theirs.id}`, { key })).status, 400, 'an id is no cursor')
    const { body } = await world.call<{ sessions: { owner_id: string }[] }>('GET', '/connect-sessions', { key })
    t.ok(body.sessions.every(({ owner_id }) => owner_id === 'acme_1'))
    t.same((await world.call<typeof body>('GET', `/connect-sessions?owner_id=${theirs.owner_id}`, { key })).body.sessions, [])
    const feed = await world.call<{ events: { data: { owner_id: string } }[] }>('GET', '/events?limit=200', { key })
    t.ok(feed.body.events.length > 0)
    t.same(new Set(feed.body.events.map(({ data }) => data.owner_id)), new Set(['acme_1']))
  }
})

t.test('S74: a narrow key does all of its work inside', async (t) => {
  for (const key of [acme, single]) {
    t.equal((await world.call('GET', `/accounts/${mine.id}/token`, { key })).status, 200)
    t.equal((await world.call('PATCH', `/accounts/${mine.id}`, { key, body: { label: 'Shop' } })).status, 200)
    t.equal((await world.call('GET', `/accounts/${mine.id}/readiness`, { key })).status, 200)
  }
  t.equal((await world.call('GET', '/owners/acme_1', { key: acme })).status, 200)
  t.equal((await world.call('GET', '/owners/acme_1', { key: single })).status, 404, 'a single account is not all of its owner')
  const body = { owner_id: 'acme_1', return_url: returnUrl, account_type: 'creator', age_confirmed: true }
  const open = (key: string, more = {}) => world.call('POST', '/connect-sessions', { key, body: { ...body, ...more } })
  t.equal((await open(acme)).status, 201)
  t.equal((await open(single)).status, 404, 'a new account is none of those it reaches')
  t.equal((await open(single, { reconnect_account_id: mine.id })).status, 201)
  t.match(await open(acme, { reconnect_account_id: theirs.id }), { status: 404, body: { code: 'account_not_found' } })
})

t.test('S74: what one key has read stays outside for another', async (t) => {
  const beta = await narrowKey(world, { ownerPrefixes: ['acmeX'] })
  for (let reads = 0; reads < 2; reads++) {
    t.equal((await world.call('GET', `/accounts/${mine.id}/token`, { key: acme })).status, 200)
    t.equal((await world.call('GET', `/accounts/${mine.id}/token`, { key: beta })).status, 404)
    t.equal((await world.call('GET', `/accounts/${theirs.id}/token`, { key: beta })).status, 200)
    t.equal((await world.call('GET', `/accounts/${theirs.id}/token`, { key: single })).status, 404)
  }
})

t.test('S74: both ways of narrowing have to hold', async (t) => {
  const neither = await narrowKey(world, { ownerPrefixes: ['acme_'], accountIds: [theirs.id] })
  for (const { id } of [mine, theirs]) t.equal((await world.call('GET', `/accounts/${id}/token`, { key: neither })).status, 404)
})

t.test('S74: from another network a key is no key', async (t) => {
  const bound = async (...networks: string[]) => narrowKey(world, { networks })
  for (const key of [await bound('10.0.0.0/8', '::/128'), await bound('127.0.0.2')])
    t.match(await world.call('GET', '/accounts', { key }), { status: 401, body: { code: 'unauthenticated' } })
  for (const key of [await bound('127.0.0.0/8'), await bound('10.0.0.0/8', '127.0.0.1')])
    t.equal((await world.call('GET', '/accounts', { key })).status, 200)
})

async function narrowKey(world: World, bounds: Partial<Bounds>): Promise<string> {
  const { networks = null, ...narrow } = bounds
  const reach = { ownerPrefixes: null, accountIds: null, ...narrow }
  return (await createApiKey(world.parts, { name: 'narrow', scopes: [...keyScopes], expiresAt: null, reach, networks })).key
}
