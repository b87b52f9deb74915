// The whole story, from a person's click to the last 410: against the simulator over HTTP and a real PostgreSQL. Read it from
// top to bottom; every chapter goes on where the one before ended.
import t from 'tap'
import { request } from 'undici'
import type { Account } from '../src/account/account.ts'
import { applyRetention } from '../src/operate/retention.ts'
import type { VendedToken } from '../src/token/vend.ts'
import { everythingShown } from './rig/shown.ts'
import { type Answer, returnUrl, startWorld } from './world.ts'

const world = await startWorld(t)
const { tiktok, parts, browser, timePasses } = world
const webApp = await world.key('connect:write', 'accounts:read', 'accounts:write', 'events:read')
const uploader = await world.key('tokens:read')
const person = browser()
/** What the chapters leave for those after them. */
const story = { sessionId: '', authorizeUrl: '', confirm: '', accountId: '', tokens: [] as VendedToken[] }

t.test('a web app opens a connect session for the owner who is logged in', async (t) => {
  const body = { owner_id: 'user_42', return_url: returnUrl, account_type: 'creator', age_confirmed: true, label: 'Main shop' }
  const opened = await asWebApp<{ id: string; authorize_url: string }>('POST', '/connect-sessions', body)
  t.match(opened, { status: 201, body: { id: /^cs_/, status: 'pending', authorize_url: /\/authorize\?session=/ } })
  story.sessionId = opened.body.id
  story.authorizeUrl = opened.body.authorize_url
})

t.test('the person says yes at TikTok and comes back to the web app, with nothing connected yet', async (t) => {
  const back = await person.walk(story.authorizeUrl, { person: 'mara', decline: ['user.info.stats'] })
  t.equal(back.origin + back.pathname, returnUrl)
  t.equal(back.searchParams.get('connect_session'), story.sessionId)
  story.confirm = back.searchParams.get('confirm') ?? ''
  t.match(await asWebApp('GET', `/connect-sessions/${story.sessionId}`), {
    body: { status: 'awaiting_completion', account_id: null },
  })
  t.equal(tiktok.stats.report().exchanges, 0, 'the code waits, sealed')
})

t.test('the web app completes, and the account is there, with its picture', async (t) => {
  const path = `/connect-sessions/${story.sessionId}/complete`
  const completed = await asWebApp<Account>('POST', path, { owner_id: 'user_42', confirm: story.confirm })
  t.match(completed, {
    status: 201,
    body: {
      owner_id: 'user_42',
      label: 'Main shop',
      status: 'active',
      profile: { username: 'maracooks', display_name: 'Mara Cooks', avatar_url: /\/avatar$/, follower_count: null },
      account_type: { value: 'creator', source: 'self_attested' },
      missing_scopes: ['user.info.stats'],
      token: { generation: 1 },
      health: { verdict: 'healthy' },
    },
  })
  story.accountId = completed.body.id
  t.equal((await asWebApp('POST', path, { owner_id: 'user_42', confirm: story.confirm })).status, 200, 'a repeat finds it')
})

t.test('the upload service reads a token, and it works at TikTok', async (t) => {
  const read = await readToken()
  t.match(read, { status: 200, body: { token_type: 'Bearer', generation: 1 }, headers: { 'cache-control': 'no-store' } })
  t.equal(await whoIs(read.body.access_token), 'Mara Cooks')
  story.tokens.push(read.body)
})

t.test('two hours later an expired token is refreshed when it is read', async (t) => {
  await timePasses(2 * 3600)
  t.equal(await whoIs(story.tokens.at(-1)?.access_token), undefined, 'the first one is dead')
  const read = await readToken()
  t.match(read, { status: 200, body: { generation: 2 } })
  t.ok(read.body.expires_in > 7000)
  t.equal(await whoIs(read.body.access_token), 'Mara Cooks')
  story.tokens.push(read.body)
})

t.test('two refreshes at once spend the refresh token once', async (t) => {
  const before = tiktok.stats.report().refreshes_processed
  const outcomes = await Promise.all([parts.refresher.refresh(story.accountId, 2), parts.refresher.refresh(story.accountId, 2)])
  t.same(outcomes, [{ kind: 'refreshed' }, { kind: 'refreshed' }])
  t.equal(tiktok.stats.report().refreshes_processed - before, 1)
})

t.test('TikTok refuses a token early: whoever says so gets another', async (t) => {
  const refused = (await readToken()).body
  const replaced = await asUploader<VendedToken>('POST', '/token/rejected', { generation: refused.generation })
  t.match(replaced, { status: 200, body: { generation: refused.generation + 1 } })
  t.not(replaced.body.access_token, refused.access_token)
  story.tokens.push(refused, replaced.body)
})

t.test('TikTok is away: the present token is served while it lives, then the caller is asked to come back', async (t) => {
  await timePasses(7200 - 120)
  tiktok.faults.add({ route: 'refresh', status: 502, process: false, times: 'always' })
  const read = await readToken()
  t.match(read, { status: 200, body: { degraded: true } })
  story.tokens.push(read.body)
  await timePasses(120)
  t.match(await readToken(), {
    status: 503,
    body: { code: 'tiktok_unavailable', mended_by: 'time' },
    headers: { 'retry-after': /\d/ },
  })
  tiktok.faults.clear()
  await timePasses(120)
  t.match(await readToken(), { status: 200, body: { generation: 5 } })
})

t.test('the person takes the app off their list: after a grace time only they can help', async (t) => {
  tiktok.removeApp('mara')
  await timePasses(2 * 3600)
  t.match(await readToken(), { status: 503, body: { code: 'refresh_in_progress' } })
  await timePasses(61)
  t.match(await readToken(), { status: 409, body: { code: 'reauthorization_required', mended_by: 'user' } })
  t.match((await asWebApp('GET', `/accounts/${story.accountId}`)).body, {
    status: 'reauthorization_required',
    status_reason: 'refresh_token_rejected',
    health: { verdict: 'reauthorization_required' },
  })
})

t.test('they connect again: the same account, its label kept, everything granted this time', async (t) => {
  const account = await world.connect({ owner: 'user_42', person: 'mara', session: { reconnect_account_id: story.accountId } })
  t.match(account, { id: story.accountId, label: 'Main shop', status: 'active', status_reason: null, missing_scopes: [] })
  t.equal(account.profile.follower_count, 48_210)
  const read = await readToken()
  t.match(read, { status: 200, body: { generation: 6 } })
  story.tokens.push(read.body)
})

t.test('the web app disconnects: from the answer on no token leaves, and TikTok takes none', async (t) => {
  const disconnected = await asWebApp('DELETE', `/accounts/${story.accountId}`)
  t.strictSame(disconnected.body, { id: story.accountId, status: 'disconnected', revocation: 'confirmed' })
  t.match(await readToken(), { status: 410, body: { code: 'account_disconnected' } })
  for (const { access_token } of story.tokens) t.equal(await whoIs(access_token), undefined)
  t.equal((await asWebApp('DELETE', `/accounts/${story.accountId}`)).status, 200, 'repeating it is harmless')
})

t.test('what is left is a tombstone, and the story of every change', async (t) => {
  t.match((await asWebApp('GET', `/accounts/${story.accountId}`)).body, {
    status: 'disconnected',
    status_reason: 'disconnected_by_owner',
    open_id: null,
    label: null,
    profile: { username: null, display_name: null, avatar_url: null },
    token: null,
  })
  await everythingShown(parts.db)
  const { body } = await asWebApp<{ events: { type: string; data: { account_id: string } }[] }>('GET', '/events')
  t.same(
    body.events.filter(({ data }) => data.account_id === story.accountId).map(({ type }) => type),
    ['account.connected', 'account.reauthorization_required', 'account.reconnected', 'account.recovered', 'account.disconnected'],
  )
  const { body: timeline } = await asWebApp<{ entries: { kind: string }[] }>(
    'GET',
    `/accounts/${story.accountId}/timeline?limit=200`,
  )
  const kinds = timeline.entries.map(({ kind }) => kind).reverse()
  t.equal(kinds[0], 'connected')
  t.equal(kinds.filter((kind) => kind === 'refreshed').length, 4)
  t.ok(kinds.indexOf('refresh_rejected') < kinds.indexOf('reconnected'))
  t.same(kinds.slice(-2), ['disconnected', 'grant_revoked'])
})

t.test('every token that left is in the audit, and no refresh token was ever spent twice', async (t) => {
  const reads = await parts.db.run(
    'reads',
    (sql) => sql<{ generation: number }[]>`select generation from token_reads where account_id = ${story.accountId} order by at`,
  )
  t.same(
    reads.map(({ generation }) => generation),
    [1, 2, 3, 4, 4, 5, 6],
  )
  t.equal(tiktok.stats.report().double_spend_count, 0)
  t.equal(tiktok.stats.report().max_processed_per_refresh_token, 1)
  t.match((await world.call('GET', '/metrics')).text, 'exactly_once_violation_total 0')
})

t.test('a day later nothing secret is left behind', async (t) => {
  await timePasses(25 * 3600)
  await applyRetention(parts)
  for (const table of ['token_sets', 'profiles', 'connect_sessions', 'authorization_requests', 'revocations'])
    t.equal((await parts.db.run('left', (sql) => sql`select 1 from ${sql(table)}`)).length, 0, table)
  t.equal(parts.journal.count(), 0)
})

function asWebApp<T = Record<string, unknown>>(method: string, path: string, body?: object): Promise<Answer<T>> {
  return world.call<T>(method, path, { key: webApp, ...(body ? { body } : {}) })
}

function asUploader<T = Record<string, unknown>>(method: string, path: string, body?: object): Promise<Answer<T>> {
  return world.call<T>(method, `/accounts/${story.accountId}${path}`, { key: uploader, ...(body ? { body } : {}) })
}

const readToken = () => asUploader<VendedToken>('GET', '/token')

/** Uses a token as an uploader would. @returns whose it is, undefined when TikTok does not take it */
async function whoIs(accessToken: string | undefined): Promise<string | undefined> {
  const url = `${tiktok.url}/v2/user/info/?fields=display_name`
  const { body } = await request(url, { headers: { authorization: `Bearer ${accessToken}` } })
  const answer = (await body.json()) as { data?: { user?: { display_name?: string } } }
  return answer.data?.user?.display_name
}
