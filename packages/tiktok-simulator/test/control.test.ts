// What scripts and tests may do to the simulator: decide, step its clock, look inside.
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import t from 'tap'
import { request } from 'undici'
import { authorizeUrl, connect, exchange, postForm, refresh, sim, simulatorFor, userInfo } from './app.ts'

t.test('a script authorizes without a browser', async (t) => {
  const simulator = await simulatorFor(t)
  const authorize_url = authorizeUrl(simulator)
  const decided = await sim(simulator, 'POST', 'authorize', { authorize_url, person: 'mara', decline: ['user.info.stats'] })
  const back = new URL(String(decided.body.redirect_to)).searchParams
  const { body } = await exchange(simulator, back.get('code') ?? '')
  t.equal(body.scope, 'user.info.basic,user.info.profile,video.upload')

  const denied = await sim(simulator, 'POST', 'authorize', { authorize_url, person: 'mara', deny: true })
  t.match(denied.body, { redirect_to: /error=access_denied/ })
  const wrong = await sim(simulator, 'POST', 'authorize', {
    authorize_url: authorizeUrl(simulator, { scope: 'x' }),
    person: 'mara',
  })
  t.match(wrong, { status: 400, body: { error: 'param_error', error_type: 'scope' } })
})

t.test('the clock is stepped, set back and shown', async (t) => {
  const simulator = await simulatorFor(t)
  const { access_token } = await connect(simulator, 'mara')
  t.match((await sim(simulator, 'POST', 'clock', { advance_seconds: 7199 })).body, { offset_seconds: 7199 })
  t.equal((await userInfo(simulator, access_token)).status, 200)
  await sim(simulator, 'POST', 'clock', { advance_seconds: 2 })
  t.equal((await userInfo(simulator, access_token)).status, 401)
  await sim(simulator, 'POST', 'clock', { offset_seconds: 0 })
  t.equal((await userInfo(simulator, access_token)).status, 200)
  const { body } = await sim(simulator, 'GET', 'clock')
  t.equal(body.offset_seconds, 0)
  t.ok(Math.abs(Date.parse(String(body.now)) - Date.now()) < 60_000)
  t.equal((await sim(simulator, 'POST', 'clock', {})).status, 400)
})

t.test('no moment is so far away that it cannot be written down', async (t) => {
  const simulator = await simulatorFor(t, { stateFile: join(t.testdir(), 'state.json') })
  const thousandYears = 1000 * 365 * 86_400
  const tooLong: [string, object][] = [
    ['clock', { advance_seconds: 1e300 }],
    ['clock', { offset_seconds: -1e300 }],
    ['settings', { avatar_seconds: Number.MAX_SAFE_INTEGER }],
    ['settings', { lifetimes: '2h/999999999d' }],
    ['settings', { lifetimes: '999999999d/2h' }],
    ['grants', { count: 1, access_expires_in: Number.MAX_SAFE_INTEGER }],
  ]
  for (const [route, body] of tooLong) t.equal((await sim(simulator, 'POST', route, body)).status, 400, JSON.stringify(body))
  await sim(simulator, 'POST', 'settings', { avatar_seconds: thousandYears, lifetimes: '365000d/365000d' })
  t.equal((await sim(simulator, 'POST', 'clock', { advance_seconds: thousandYears })).status, 200)
  t.equal((await sim(simulator, 'POST', 'clock', { advance_seconds: 3600 })).status, 400, 'nor in several steps')
  t.throws(() => simulator.clock.advance(Number.NaN))
  await connect(simulator, 'mara')
  t.match((await sim(simulator, 'GET', 'grants')).body, { grants: [{ person: 'mara' }] })
  t.equal((await sim(simulator, 'POST', 'reset')).status, 200)
})

t.test('what there is none of is named, with where to look', async (t) => {
  const simulator = await simulatorFor(t)
  const unknown: [string, string, RegExp][] = [
    ['GET', 'nothing', /^nothing here; .*openapi/],
    ['POST', 'faults/nothing', /^no fault by this name, but refused, .*openapi/],
    ['POST', 'snapshots/..%2F..%2Fetc', /^a name has 1 to 64 letters/],
    ['POST', `snapshots/${'a'.repeat(65)}`, /^a name has 1 to 64 letters/],
    ['POST', 'snapshots/nothing/load', /^no snapshot by this name/],
    ['DELETE', 'snapshots/nothing', /^no snapshot by this name/],
    ['GET', 'apps/nothing', /^no app by this client key/],
    ['DELETE', 'apps/nothing', /^no app by this client key/],
    ['GET', 'apps/nothing/clock', /^no app by this client key/],
    ['GET', 'people/nothing', /^nobody by this id/],
  ]
  for (const [method, path, error] of unknown) t.match(await sim(simulator, method, path), { status: 404, body: { error } }, path)
})

t.test('grants show which refresh token is the live one, by hash, or itself when asked to reveal', async (t) => {
  const simulator = await simulatorFor(t)
  const first = await connect(simulator, 'mara')
  await connect(simulator, 'jonas')
  const second = (await refresh(simulator, first.refresh_token)).body
  const liveHash = createHash('sha256').update(String(second.refresh_token)).digest('hex')
  const shown = await sim(simulator, 'GET', `grants?open_id=${first.open_id}`)
  t.match(shown.body, { grants: [{ person: 'mara', rotations: 1, refresh_token_sha256: liveHash }] })
  t.notMatch(JSON.stringify(shown.body), /rft\.|act\./)
  const revealed = await sim(simulator, 'GET', 'grants?person=mara&reveal=1')
  t.match(revealed.body, {
    grants: [{ refresh_token: second.refresh_token, access_tokens: [{ access_token: first.access_token }, {}] }],
  })
  t.match((await sim(simulator, 'GET', 'grants')).body, { grants: [{}, {}] })
  t.strictSame((await sim(simulator, 'GET', 'grants?open_id=nobody')).body, { grants: [] })

  const history = async (token: unknown) => (await sim(simulator, 'GET', `refresh-tokens?token=${token}`)).body
  t.match(await history(first.refresh_token), { live: false, presented: 1, processed: 1 })
  t.match(await history(second.refresh_token), { live: true, presented: 0, processed: 0, open_id: first.open_id })
})

t.test('stats name every double spend and start over when told', async (t) => {
  const simulator = await simulatorFor(t)
  const { refresh_token, open_id } = await connect(simulator, 'mara')
  await refresh(simulator, refresh_token)
  await refresh(simulator, refresh_token)
  await refresh(simulator, 'rft.never-issued')
  const { body } = await sim(simulator, 'GET', 'stats')
  t.match(body, { refreshes_processed: 1, refreshes_refused: 2, double_spend_count: 1 })
  t.match(body.double_spends, [
    {
      open_id,
      person: 'mara',
      refresh_token_sha256: createHash('sha256').update(String(refresh_token)).digest('hex'),
      processed_at: /Z$/,
      presented_at: /Z$/,
      presented: 2,
    },
  ])
  t.match((await sim(simulator, 'POST', 'stats/reset')).body, { refreshes_processed: 0, double_spends: [] })
  await refresh(simulator, refresh_token)
  t.equal(simulator.stats.report().double_spend_count, 1, 'what was spent before the reset stays spent')
})

t.test('a hundred thousand grants are made at once, and each works', async (t) => {
  const simulator = await simulatorFor(t)
  const crowd = { count: 100_000, prefix: 'load', scopes: ['user.info.basic', 'video.upload'], access_expires_in: 60 }
  const response = await fetch(`${simulator.url}/_sim/grants?format=ndjson`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(crowd),
  })
  const lines = (await response.text()).trimEnd().split('\n')
  t.equal(lines.length, 100_000)
  const last = JSON.parse(lines.at(-1) ?? '')
  t.match(last, { person: 'load-100000', expires_in: 60, refresh_expires_in: 15_552_000, scope: 'user.info.basic,video.upload' })
  t.match((await refresh(simulator, last.refresh_token)).body, { open_id: last.open_id, expires_in: 7200 })
  t.notMatch(await (await fetch(simulator.url)).text(), 'load-1', 'a crowd stays off the pages')

  const more = await sim(simulator, 'POST', 'grants', { count: 2, prefix: 'load' })
  t.match(more.body, [{ person: 'load-100001' }, { person: 'load-100002' }])
  t.match(simulator.issueGrants({ count: 1 }), [{ person: 'crowd-1', access_token: /^act/ }])
})

t.test('settings are shown and changed, but neither unknown ones nor the client key', async (t) => {
  const simulator = await simulatorFor(t)
  const changed = await sim(simulator, 'POST', 'settings', { lifetimes: '24h/365d', pkce: 's256' })
  t.match(changed, { status: 200, body: { lifetimes: '24h/365d', pkce: 's256', rotation: 'strict' } })
  t.match(await connect(simulator, 'mara').catch((error: Error) => error), { message: /code_challenge/ })
  for (const wrong of [{ lifetimes: 'forever' }, { client_key: 'x' }, { pkse: 'off' }]) {
    t.equal((await sim(simulator, 'POST', 'settings', wrong)).status, 400)
  }
})

t.test('the control token guards /_sim and nothing else', async (t) => {
  const simulator = await simulatorFor(t, { controlToken: 'let-me-in' })
  t.equal((await sim(simulator, 'GET', 'stats')).status, 401)
  const headers = { authorization: 'Bearer let-me-in' }
  t.equal((await fetch(`${simulator.url}/_sim/stats`, { headers })).status, 200)
  t.equal((await fetch(authorizeUrl(simulator))).status, 200)
})

t.test('a web page can neither drive /_sim nor read it, and presses no button', async (t) => {
  const simulator = await simulatorFor(t)
  const { access_token } = await connect(simulator, 'mara')
  const json = { 'content-type': 'application/json' }
  const body = JSON.stringify({ webhook_url: 'http://10.0.0.1/inside' })
  const status = async (path: string, headers: Record<string, string>, method = 'POST') => {
    const answer = await request(`${simulator.url}${path}`, {
      method: method as 'GET',
      headers,
      body: method === 'POST' ? body : null,
    })
    await answer.body.dump()
    return answer.statusCode
  }
  const settings = '/_sim/settings'
  for (const origin of ['https://evil.example', 'null', simulator.url.replace('http:', 'https:'), 'http://127.0.0.1:1'])
    t.equal(await status(settings, { ...json, origin }), 403, origin)
  for (const site of ['cross-site', 'same-site']) t.equal(await status(settings, { ...json, 'sec-fetch-site': site }), 403, site)
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'text/plain; application/json',
  ])
    t.equal(await status(settings, { 'content-type': type }), 415, type)
  t.equal(await status(settings, {}), 415, 'no type at all')
  t.equal(simulator.settings.webhook_url, null)

  const foreign = ['rebound.example', 'rebound.example:80', 'localhost.example', '127.0.0.1.example']
  for (const host of foreign) {
    t.equal(await status('/_sim/grants?reveal=1', { host }, 'GET'), 403, host)
    t.equal(await status('/', { host }, 'GET'), 403, host)
  }
  for (const host of ['localhost:4500', '[::1]:4500', 'simulator:4500', 'tiktok.localhost'])
    t.equal(await status('/_sim/grants', { host }, 'GET'), 200, host)
  t.equal(await status('/_sim/health', { host: 'rebound.example' }, 'GET'), 200, 'whether it lives is no secret')

  const buttons = { 'content-type': 'application/x-www-form-urlencoded', 'sec-fetch-site': 'cross-site' }
  t.equal(await status('/people/mara/remove-app', buttons), 403)
  t.equal(
    await status('/people/mara/remove-app', { ...buttons, 'sec-fetch-site': 'same-origin', origin: 'null' }),
    303,
    'its own form is taken',
  )
  t.equal((await userInfo(simulator, access_token)).status, 401)
  t.equal(
    await status(`/v2/auth/authorize/?${authorizeUrl(simulator).split('?')[1]}`, buttons),
    403,
    'nor does it consent for anybody',
  )

  const guarded = await simulatorFor(t, { controlToken: 'let-me-in' })
  const told = await fetch(`${guarded.url}/_sim/health`)
  t.equal(told.status, 200)
})

t.test('what does not exist is said so, and what is not JSON too', async (t) => {
  const simulator = await simulatorFor(t)
  t.equal((await sim(simulator, 'GET', 'health')).status, 200)
  for (const path of ['nothing', 'people/nobody', 'toString', 'faults/x/y', 'people/%'])
    t.equal((await sim(simulator, 'GET', path)).status, 404, path)
  const headers = { 'content-type': 'application/json' }
  t.equal((await fetch(`${simulator.url}/_sim/faults`, { method: 'POST', headers, body: '{' })).status, 400)
  t.equal((await postForm(simulator, '/v2/oauth/token', {})).status, 404, 'without the slash')
  const tooLarge = { method: 'POST', body: 'x'.repeat(1_100_000) }
  t.equal((await fetch(`${simulator.url}/_sim/faults`, tooLarge)).status, 413)
})
