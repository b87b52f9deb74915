// A changed TikTok app, such as sandbox to production: the same person comes back with another open_id and is the same account.
import t, { type Test } from 'tap'
import { startSimulator } from 'tiktok-simulator'
import type { Account } from '../../src/account/account.ts'
import { startApp } from '../../src/app.ts'
import { returnUrl, startBrowser, startWorld, type World } from '../world.ts'

interface Connected {
  status: number
  body: Account & { code?: string }
}

/** The service on the same database, with another app at TikTok. */
async function changedApp(t: Test, world: World, clientKey = 'awproduction00001') {
  const tiktok = await startSimulator({ clientKey })
  t.teardown(() => tiktok.close())
  const { url, clientSecret } = tiktok
  const config = {
    ...world.config,
    port: 0,
    tiktok: { ...world.config.tiktok, clientKey, clientSecret, authBaseUrl: url, apiBaseUrl: url },
  }
  const app = await startApp(config, { background: false, log: world.parts.log })
  t.teardown(() => app.close())
  const key = await world.key('connect:write', 'accounts:read', 'tokens:read', 'quota:write')
  const call = async <T>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
    const answer = await fetch(new URL(path, app.url), {
      method,
      headers: { authorization: `Bearer ${key}`, ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    return { status: answer.status, body: (await answer.json()) as T }
  }
  const connect = async (owner: string, person: string, session: Record<string, unknown> = {}): Promise<Connected> => {
    const wish = { owner_id: owner, return_url: returnUrl, account_type: 'creator', age_confirmed: true, ...session }
    const opened = await call<{ id: string; authorize_url: string }>('POST', '/connect-sessions', wish)
    const back = await startBrowser(app.url, config.publicUrl, tiktok).walk(opened.body.authorize_url, { person })
    return call('POST', `/connect-sessions/${opened.body.id}/complete`, {
      owner_id: owner,
      confirm: back.searchParams.get('confirm'),
    })
  }
  return { tiktok, call, connect }
}

t.test('connect and reconnect find the account by its union_id, and take no place for it', async (t) => {
  const world = await startWorld(t)
  const before = await world.connect({ person: 'mara', session: { tier: 'free', label: 'Main shop' } })
  const { connect, call } = await changedApp(t, world)

  const again = await connect('user_42', 'mara')
  t.match(again, { status: 201, body: { id: before.id, label: 'Main shop', status: 'active', token: { generation: 2 } } })
  t.not(again.body.open_id, before.open_id)
  t.match(await call('GET', `/accounts/${before.id}/token`), {
    status: 200,
    body: { open_id: again.body.open_id, generation: 2 },
  })
  t.match(await connect('user_42', 'mara', { reconnect_account_id: before.id }), { status: 201, body: { id: before.id } })
  t.match(await world.call('GET', '/owners/user_42'), { body: { accounts_connected: 1 } })
})

t.test('reconnect straight after the change: no "another account"', async (t) => {
  const world = await startWorld(t)
  const before = await world.connect({ person: 'mara' })
  const { connect } = await changedApp(t, world)
  t.match(await connect('user_42', 'mara', { reconnect_account_id: before.id }), { status: 201, body: { id: before.id } })
  t.match(await connect('user_42', 'jonas', { reconnect_account_id: before.id }), {
    status: 409,
    body: { code: 'account_mismatch' },
  })
})

t.test('another owner still cannot have the account, and another person is another account', async (t) => {
  const world = await startWorld(t)
  const before = await world.connect({ person: 'mara' })
  const { connect, tiktok } = await changedApp(t, world)
  t.match(await connect('user_7', 'mara'), { status: 409, body: { code: 'account_already_connected' } })
  t.equal(tiktok.stats.report().revocations, 1, 'its fresh grant is dead')
  const other = await connect('user_42', 'jonas')
  t.equal(other.status, 201)
  t.not(other.body.id, before.id)
})

t.test('the same app with a new open_id is no other case', async (t) => {
  const world = await startWorld(t)
  const before = await world.connect({ person: 'mara' })
  await world.parts.db.run('renamed', (sql) => sql`update accounts set open_id = 'as-it-was-before'`)
  t.equal((await world.connect({ person: 'mara' })).id, before.id)
})

t.test('uploads of the day count on', async (t) => {
  const world = await startWorld(t, { env: { UPLOAD_LIMIT_PER_DAY: '2' } })
  const { id } = await world.connect({ person: 'mara' })
  for (const name of ['a', 'b'])
    t.equal((await world.call('POST', `/accounts/${id}/uploads`, { headers: { 'idempotency-key': name } })).status, 201)
  const { connect, call } = await changedApp(t, world)
  t.match((await connect('user_42', 'mara')).body, { id, upload_quota: { remaining: 0 } })
  t.equal((await call('POST', `/accounts/${id}/uploads`, undefined, { 'idempotency-key': 'c' })).status, 429)
})

t.test('a union_id that TikTok does not tell costs nothing but the recognition', async (t) => {
  const world = await startWorld(t)
  const before = await world.connect({ person: 'mara' })
  const { connect, tiktok } = await changedApp(t, world)
  for (const [person, script] of [
    ['jonas', { status: 500 }],
    ['noura', { omit: ['union_id'] }],
    ['zsofia', { before_ms: 4000 }],
    ['mara', { set: { open_id: 'somebody-else' } }],
  ] as const) {
    tiktok.faults.add({ route: 'user_info', ...('omit' in script ? { omit: [...script.omit] } : script) })
    const { status, body } = await connect('user_42', person)
    t.equal(status, 201, person)
    t.not(body.id, before.id, person)
    tiktok.faults.clear()
  }
})

t.test('a union_id that is known stays known when TikTok leaves it out later', async (t) => {
  const world = await startWorld(t)
  const before = await world.connect({ person: 'mara' })
  world.tiktok.faults.add({ route: 'user_info', omit: ['union_id'] })
  await world.call('POST', `/accounts/${before.id}/verify`)
  const { connect } = await changedApp(t, world)
  t.equal((await connect('user_42', 'mara')).body.id, before.id)
})
