// TikTok's consent page: what a person decides, and what comes back to the app.
import t from 'tap'
import { authorizeUrl, connect, consent, redirectUri, simulatorFor } from './app.ts'

t.test('consent brings a code, the granted scopes and the state back to the app', async (t) => {
  const simulator = await simulatorFor(t)
  const page = await fetch(authorizeUrl(simulator))
  t.equal(page.status, 200)
  const text = await page.text()
  for (const words of ['TikTok simulator', 'Mara Cooks', 'Authorize', 'Deny', 'video.upload']) t.match(text, words)

  const answer = await fetch(authorizeUrl(simulator), { method: 'POST', body: 'person=mara', redirect: 'manual' })
  t.equal(answer.status, 303)
  const location = answer.headers.get('location') ?? ''
  t.ok(location.startsWith(`${redirectUri}?code=`))
  t.match(location, /%2A1%216431\.u1&scopes=user\.info\.basic%2C/, 'star, exclamation mark and commas arrive encoded')
  const back = new URL(location).searchParams
  t.match(back.get('code'), /\*1!6431\.u1$/)
  t.equal(back.get('state'), 'state-1')
})

t.test('whatever characters a redirect URI has, the browser is sent there', async (t) => {
  const simulator = await simulatorFor(t)
  for (const uri of ['http://127.0.0.1/☃', 'http://127.0.0.1/two\nlines', 'http://127.0.0.1/ä b']) {
    const url = authorizeUrl(simulator, { redirect_uri: uri })
    const answer = await fetch(url, { method: 'POST', body: 'person=mara', redirect: 'manual' })
    t.equal(answer.status, 303, uri)
    t.ok(decodeURIComponent(answer.headers.get('location') ?? '').startsWith(`${uri}?code=`), uri)
  }
})

t.test('a person can untick every scope but the basics', async (t) => {
  const simulator = await simulatorFor(t)
  const ticked = 'boxes=shown&person=mara&allow=video.upload'
  const answer = await fetch(authorizeUrl(simulator), { method: 'POST', body: ticked, redirect: 'manual' })
  t.equal(new URL(answer.headers.get('location') ?? '').searchParams.get('scopes'), 'user.info.basic,video.upload')

  const scripted = consent(simulator, 'mara', {}, ['user.info.basic', 'user.info.stats'])
  t.equal(scripted.get('scopes'), 'user.info.basic,user.info.profile,video.upload')
})

t.test('a person who denies, and one who may not connect, come back with an error and no code', async (t) => {
  const simulator = await simulatorFor(t)
  const answer = await fetch(authorizeUrl(simulator), { method: 'POST', body: 'person=mara&decision=deny', redirect: 'manual' })
  const denied = new URL(answer.headers.get('location') ?? '').searchParams
  t.equal(denied.get('error'), 'access_denied')
  t.ok(denied.get('error_description'))
  t.equal(denied.get('state'), 'state-1')
  t.notOk(denied.has('code'))

  const barred = consent(simulator, 'barred')
  t.equal(barred.get('error'), 'access_denied')
  t.notOk(barred.has('code'))
})

t.test('a scope that the app has not ends on the error page, or at the callback if set so', async (t) => {
  const settings = { app_scopes: ['user.info.basic', 'video.upload'] as const }
  const simulator = await simulatorFor(t, { settings: { app_scopes: [...settings.app_scopes] } })
  t.match(await (await fetch(authorizeUrl(simulator))).text(), /scope/)
  simulator.changeSettings({ scope_refusal: 'callback' })
  const answer = await fetch(authorizeUrl(simulator), { redirect: 'manual' })
  t.equal(answer.status, 302)
  const back = new URL(answer.headers.get('location') ?? '').searchParams
  t.strictSame(Object.fromEntries(back), { error: 'invalid_scope', errCode: '10004', error_type: 'scope', state: 'state-1' })
  t.equal(consent(simulator, 'mara').get('error'), 'invalid_scope')
  t.equal((await fetch(authorizeUrl(simulator, { scope: 'user.info.basic,video.upload' }))).status, 200)
})

t.test('a request without a state goes on without one, unless the app is set to need it', async (t) => {
  const simulator = await simulatorFor(t, { settings: { app_scopes: ['user.info.basic'] } })
  const url = authorizeUrl(simulator, { scope: 'user.info.basic', state: undefined })
  const decided = simulator.authorize({ authorize_url: url, person: 'mara' })
  const back = new URL('redirect_to' in decided ? decided.redirect_to : '').searchParams
  t.strictSame([...back.keys()], ['code', 'scopes'])
  t.equal((await fetch(`${url}&state=a&state=b`)).status, 400, 'but not with two')

  simulator.changeSettings({ scope_refusal: 'callback' })
  const refused = await fetch(authorizeUrl(simulator, { state: undefined }), { redirect: 'manual' })
  t.notOk(new URL(refused.headers.get('location') ?? '').searchParams.has('state'))
  simulator.changeSettings({ require_state: true })
  t.match(await (await fetch(url)).text(), 'error_type=state<')
})

t.test('a wrong request ends on the error page and the app is never called', async (t) => {
  const simulator = await simulatorFor(t, { redirectUris: [redirectUri], pkce: 's256', settings: { require_state: true } })
  const pkce = { code_challenge: 'a'.repeat(43), code_challenge_method: 'S256' }
  const cases: [string, Record<string, string | undefined>][] = [
    ['client_key', { client_key: 'sbsomebodyelse' }],
    ['client_key', { client_key: undefined, client_id: simulator.clientKey }],
    ['response_type', { response_type: 'token' }],
    ['redirect_uri', { redirect_uri: `${redirectUri}/` }],
    ['redirect_uri', { redirect_uri: 'http://localhost:3000/callback' }],
    ['scope', { scope: 'user.info.basic video.upload' }],
    ['scope', { scope: 'user.info.basic,user.info.email' }],
    ['scope', { scope: '' }],
    ['state', { state: undefined }],
    ['code_challenge', { code_challenge: undefined, code_challenge_method: undefined }],
    ['code_challenge_method', { code_challenge_method: 'plain' }],
    ['code_challenge_method', { code_challenge_method: undefined }],
  ]
  for (const [errorType, changes] of cases) {
    const url = authorizeUrl(simulator, { ...pkce, ...changes })
    for (const method of ['GET', 'POST']) {
      const answer = await fetch(url, { method, redirect: 'manual' })
      t.equal(answer.status, 400, `${method} ${JSON.stringify(changes)}`)
      t.match(await answer.text(), `error_type=${errorType}<`)
    }
    t.match(simulator.authorize({ authorize_url: url, person: 'mara' }), { errorType })
  }
  t.equal((await fetch(authorizeUrl(simulator, pkce))).status, 200)
  const twice = `${authorizeUrl(simulator, pkce)}&redirect_uri=https://elsewhere.example/`
  t.equal((await fetch(twice)).status, 400, 'a parameter given twice')
})

t.test('only what could be registered is a redirect URI when none is registered', async (t) => {
  const simulator = await simulatorFor(t)
  const wrong = [
    'javascript:alert(1)',
    '/callback',
    'https://app.example/cb?a=1',
    'https://app.example/cb#x',
    `https://a/${'x'.repeat(600)}`,
  ]
  for (const redirect_uri of wrong) t.equal((await fetch(authorizeUrl(simulator, { redirect_uri }))).status, 400, redirect_uri)
})

t.test('a sandbox lets its target users in and nobody else', async (t) => {
  const simulator = await simulatorFor(t, { settings: { sandbox_targets: ['jonas'] } })
  t.match(consent(simulator, 'jonas').get('code'), /./)
  const authorize_url = authorizeUrl(simulator)
  t.match(simulator.authorize({ authorize_url, person: 'mara' }), { errorType: 'non_sandbox_target' })
  const answer = await fetch(authorize_url, { method: 'POST', body: 'person=mara', redirect: 'manual' })
  t.match(await answer.text(), 'non_sandbox_target')
})

t.test('somebody signed in who allowed all this before is sent back without a page, unless disable_auto_auth=1', async (t) => {
  const simulator = await simulatorFor(t)
  const visit = (changes: Record<string, string>, cookie = '') =>
    fetch(authorizeUrl(simulator, changes), { redirect: 'manual', headers: { cookie } })
  const first = await fetch(authorizeUrl(simulator), { method: 'POST', body: 'person=jonas', redirect: 'manual' })
  const cookie = (first.headers.get('set-cookie') ?? '').split(';')[0] ?? ''
  t.equal((await visit({}, cookie)).status, 200, 'signed in, but never connected: the page comes')

  await connect(simulator, 'jonas')
  const silent = await visit({}, cookie)
  t.equal(silent.status, 302)
  t.ok(new URL(silent.headers.get('location') ?? '').searchParams.has('code'))
  t.equal((await visit({ disable_auto_auth: '0' }, cookie)).status, 302)
  t.equal((await visit({ disable_auto_auth: '1' }, cookie)).status, 200)
  t.equal((await visit({})).status, 200, 'another browser')
  t.equal((await visit({ scope: 'user.info.basic,video.list' }, cookie)).status, 200, 'a scope never asked for before')

  simulator.removeApp('jonas')
  t.equal((await visit({}, cookie)).status, 200, 'after the app was removed')
})

t.test('names and parameters cannot become markup on a page', async (t) => {
  const simulator = await simulatorFor(t, { settings: { app_name: '<script>1</script>' } })
  simulator.people.add({ id: 'mallory', display_name: '<img src=x onerror=alert(1)>' })
  const page = await (await fetch(authorizeUrl(simulator, { state: '"><script>2</script>' }))).text()
  t.notMatch(page, /<script/)
  t.notMatch(page, /<img src=x/)
  t.match(page, '&#60;img src=x')
})

t.test('the front page lists people and takes the app back from one', async (t) => {
  const simulator = await simulatorFor(t)
  const tokens = await connect(simulator, 'noura')
  const front = await (await fetch(simulator.url)).text()
  t.match(front, 'action="/people/noura/remove-app?')
  t.notMatch(front, 'action="/people/mara/remove-app?')

  const pressed = await fetch(`${simulator.url}/people/noura/remove-app`, { method: 'POST', redirect: 'manual' })
  t.equal(pressed.status, 303)
  t.notOk(simulator.grants.isLive(String(tokens.refresh_token)))
})
