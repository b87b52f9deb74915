// Codes and refresh tokens are exchanged by the rules TikTok states.
import { createHash } from 'node:crypto'
import t from 'tap'
import { allScopes, connect, consent, exchange, postForm, redirectUri, refresh, simulatorFor, userInfo } from './app.ts'

const day = 86_400

t.test('a code is exchanged for a flat token set, once', async (t) => {
  const simulator = await simulatorFor(t)
  const code = consent(simulator, 'mara').get('code') ?? ''
  const { status, headers, body } = await exchange(simulator, code)
  t.equal(status, 200)
  t.equal(headers.get('content-type'), 'application/json')
  t.match(body, {
    access_token: /^act\.[\w-]+!\d+\.u1$/,
    expires_in: 7200,
    open_id: /^[0-9a-f-]{36}$/,
    refresh_token: /^rft\.[\w-]+!\d+\.u1$/,
    refresh_expires_in: 180 * day,
    scope: allScopes,
    token_type: 'Bearer',
  })
  const again = await exchange(simulator, code)
  t.equal(again.status, 200, 'errors come in a 200')
  t.match(again.body, { error: 'invalid_grant', error_description: /./, log_id: /^\d{14}[0-9A-F]{20}$/ })
  t.match(simulator.stats.report(), { exchanges: 1, exchange_refused: 1 })
})

t.test('a code dies after ten minutes', async (t) => {
  const simulator = await simulatorFor(t)
  const code = consent(simulator, 'mara').get('code') ?? ''
  simulator.clock.advance(600)
  t.match((await exchange(simulator, code)).body, { error: 'invalid_grant' })
})

t.test('the same person is the same open_id to an app, and another one to another app', async (t) => {
  const first = await simulatorFor(t)
  const second = await simulatorFor(t)
  const other = await simulatorFor(t, { clientKey: 'awanotherapp0001' })
  const openIds = await Promise.all([first, second, other].map(async (each) => (await connect(each, 'mara')).open_id))
  t.equal(openIds[0], openIds[1])
  t.not(openIds[0], openIds[2])
})

t.test('the exchange needs the redirect_uri of the authorization request', async (t) => {
  const simulator = await simulatorFor(t)
  const code = consent(simulator, 'mara').get('code') ?? ''
  t.match((await exchange(simulator, code, { redirect_uri: `${redirectUri}/` })).body, { error: 'invalid_request' })
  t.match((await exchange(simulator, code)).body, { error: 'invalid_grant' }, 'and the code is spent by the attempt')
})

t.test('a challenge that was sent is verified in the way the app is set to', async (t) => {
  const verifier = 'v'.repeat(60)
  const digest = createHash('sha256').update(verifier)
  const [base64url, hex] = [digest.copy().digest('base64url'), digest.digest('hex')]
  const cases = [
    { pkce: 'off', challenge: base64url, fits: true },
    { pkce: 'off', challenge: hex, fits: true },
    { pkce: 's256', challenge: base64url, fits: true },
    { pkce: 's256', challenge: hex, fits: false },
    { pkce: 's256-hex', challenge: hex, fits: true },
    { pkce: 's256-hex', challenge: base64url, fits: false },
  ] as const
  for (const { pkce, challenge, fits } of cases) {
    const simulator = await simulatorFor(t, { pkce })
    const newCode = () =>
      consent(simulator, 'mara', { code_challenge: challenge, code_challenge_method: 'S256' }).get('code') ?? ''
    const right = await exchange(simulator, newCode(), { code_verifier: verifier })
    t.equal('access_token' in right.body, fits, `${pkce} with ${challenge.length} characters`)
    const wrong = await exchange(simulator, newCode(), { code_verifier: 'w'.repeat(60) })
    t.match(wrong.body, { error: 'invalid_request', error_description: 'Code verifier or code challenge is invalid.' })
    t.match((await exchange(simulator, newCode())).body, { error: 'invalid_request' }, 'without a verifier')
  }
})

t.test('a verifier is compared and not measured', async (t) => {
  const simulator = await simulatorFor(t, { pkce: 's256-hex' })
  const code_challenge = createHash('sha256').update('verify').digest('hex')
  const newCode = () => consent(simulator, 'mara', { code_challenge, code_challenge_method: 'S256' }).get('code') ?? ''
  t.match((await exchange(simulator, newCode(), { code_verifier: 'verify' })).body, { access_token: /^act/ })
  t.match((await exchange(simulator, newCode(), { code_verifier: 'verifz' })).body, { error: 'invalid_request' })
})

t.test('a wrong method or slash is no path of TikTok, and what is not simulated says so', async (t) => {
  const simulator = await simulatorFor(t)
  const ask = async (method: string, path: string) => {
    const answer = await fetch(simulator.url + path, { method })
    return [answer.status, answer.headers.get('content-type'), await answer.text()]
  }
  const unsupported = [404, 'text/plain; charset=utf-8', 'Unsupported path(Janus)']
  for (const [method, path] of [
    ['GET', '/v2/oauth/token/'],
    ['POST', '/v2/oauth/token'],
    ['GET', '/v2/oauth/revoke/'],
    ['POST', '/v2/user/info/'],
    ['GET', '/v2/user/info'],
    ['GET', '/v2/post/publish/inbox/video/init/'],
    ['GET', '/v2/video/list/'],
    ['GET', '/v2/nothing/'],
  ] as const) {
    t.strictSame(await ask(method, path), unsupported, `${method} ${path}`)
  }
  const [status, , body] = await ask('POST', '/v2/research/video/query/')
  t.equal(status, 501)
  t.match(JSON.parse(String(body)), { error: { code: 'not_simulated' } })
  t.match(await ask('GET', '/nothing'), [404, 'application/json'], 'the simulator speaks for itself elsewhere')
})

t.test('a refresh kills the old refresh token and lets the old access token live', async (t) => {
  const simulator = await simulatorFor(t)
  const first = await connect(simulator, 'mara')
  const second = (await refresh(simulator, first.refresh_token)).body
  t.not(second.refresh_token, first.refresh_token)
  t.equal(second.open_id, first.open_id)
  t.match((await refresh(simulator, first.refresh_token)).body, { error: 'invalid_grant' })
  t.equal((await userInfo(simulator, first.access_token)).status, 200)
  t.equal((await userInfo(simulator, second.access_token)).status, 200)
  t.match((await refresh(simulator, second.refresh_token)).body, { expires_in: 7200 }, 'the chain goes on')

  simulator.changeSettings({ old_access_token: 'dies' })
  const third = await connect(simulator, 'mara')
  await refresh(simulator, third.refresh_token)
  t.equal((await userInfo(simulator, third.access_token)).status, 401)
})

t.test('of many refreshes with one token at once, one is processed', async (t) => {
  const simulator = await simulatorFor(t)
  const { refresh_token } = await connect(simulator, 'mara')
  const answers = await Promise.all(Array.from({ length: 20 }, () => refresh(simulator, refresh_token)))
  t.equal(answers.filter(({ body }) => 'access_token' in body).length, 1)
  t.match(simulator.stats.report(), {
    refreshes_processed: 1,
    refreshes_refused: 19,
    double_spend_count: 19,
    max_presented_per_refresh_token: 20,
    max_processed_per_refresh_token: 1,
  })
})

t.test('the refresh token of a grant does not outlive the first one, however often it rotates', async (t) => {
  const simulator = await simulatorFor(t)
  let tokens = await connect(simulator, 'mara')
  for (let days = 60; days < 180; days += 60) {
    simulator.clock.advance(60 * day)
    tokens = (await refresh(simulator, tokens.refresh_token)).body
    t.ok(Math.abs(Number(tokens.refresh_expires_in) - (180 - days) * day) <= 2)
  }
  simulator.clock.advance(60 * day)
  t.match((await refresh(simulator, tokens.refresh_token)).body, { error: 'invalid_grant' })
})

t.test('both documented lifetimes exist, and any other', async (t) => {
  const old = await simulatorFor(t, { lifetimes: '24h/365d' })
  t.match(await connect(old, 'mara'), { expires_in: 86_400, refresh_expires_in: 365 * day })
  const short = await simulatorFor(t, { lifetimes: '90s/10m' })
  const tokens = await connect(short, 'mara')
  t.match(tokens, { expires_in: 90, refresh_expires_in: 600 })
  short.clock.advance(90)
  t.match((await userInfo(short, tokens.access_token)).body, { error: { code: 'access_token_invalid' } })
})

t.test('rotation can be loosened to what older documentation said', async (t) => {
  const overlap = await simulatorFor(t, { settings: { rotation: 'overlap' } })
  const first = await connect(overlap, 'mara')
  const [once, twice] = [await refresh(overlap, first.refresh_token), await refresh(overlap, first.refresh_token)]
  t.not(once.body.refresh_token, twice.body.refresh_token)
  t.equal(overlap.stats.report().max_processed_per_refresh_token, 2)

  const none = await simulatorFor(t, { settings: { rotation: 'none' } })
  const { refresh_token } = await connect(none, 'mara')
  t.equal((await refresh(none, refresh_token)).body.refresh_token, refresh_token)
  t.equal(none.stats.report().double_spend_count, 0)
})

t.test('anything but a plain form is malformed', async (t) => {
  const simulator = await simulatorFor(t)
  const { refresh_token } = await connect(simulator, 'mara')
  const fields = {
    client_key: simulator.clientKey,
    client_secret: simulator.clientSecret,
    grant_type: 'refresh_token',
    refresh_token: String(refresh_token),
  }
  const form = new URLSearchParams(fields).toString()
  const plain = 'application/x-www-form-urlencoded'
  const post = async (headers: Record<string, string>, body: string) =>
    (await fetch(`${simulator.url}/v2/oauth/token/`, { method: 'POST', headers, body })).json()
  const malformed = { error: 'invalid_request', error_description: /malformed/ }
  t.match(await post({ 'content-type': 'application/json' }, JSON.stringify(fields)), malformed)
  t.match(await post({ 'content-type': `${plain}; charset=utf-8` }, form), malformed)
  t.match(await post({ 'content-type': plain, authorization: 'Basic YTpi' }, form), malformed)
  t.match(await post({ 'content-type': plain }, `${form}&grant_type=refresh_token`), malformed)
  t.match(await post({ 'content-type': plain }, form.replace('grant_type=refresh_token&', '')), malformed)
  t.ok(simulator.grants.isLive(String(refresh_token)), 'none of them spent the token')
  t.match(await post({ 'content-type': plain }, form), { access_token: /^act/ })
})

t.test('the app must name itself and know its secret', async (t) => {
  const simulator = await simulatorFor(t)
  const { refresh_token } = await connect(simulator, 'mara')
  const attempt = async (fields: Record<string, string>) => {
    const form = { grant_type: 'refresh_token', refresh_token: String(refresh_token), ...fields }
    return (await postForm(simulator, '/v2/oauth/token/', form)).body
  }
  t.match(await attempt({ client_secret: 'wrong' }), { error: 'invalid_client' })
  t.match(await attempt({ client_key: 'wrong' }), { error: 'invalid_client' })
  t.match(await attempt({ client_secret: '' }), { error: 'invalid_request' })
  t.match(await attempt({ grant_type: 'password' }), { error: 'unsupported_grant_type' })
  t.match(await attempt({ grant_type: 'client_credentials' }), { access_token: /^clt\./, expires_in: 7200 })

  simulator.changeSettings({ client_secret: 'a-new-secret' })
  t.match(await attempt({}), { error: 'invalid_client' }, 'the old secret, after a change')
  t.match(await attempt({ client_secret: 'a-new-secret' }), { access_token: /^act/ })
})

t.test('failures can come with the statuses of RFC 6749 instead', async (t) => {
  const simulator = await simulatorFor(t, { settings: { errors_in_200: 'none' } })
  t.equal((await refresh(simulator, 'rft.unknown')).status, 400)
  const wrongSecret = { grant_type: 'client_credentials', client_secret: 'wrong' }
  t.equal((await postForm(simulator, '/v2/oauth/token/', wrongSecret)).status, 401)
})
