// The way to TikTok and back, as an attacker would walk it.
import t, { type Test } from 'tap'
import { request } from 'undici'
import { findSession } from '../../src/db/connect-sessions.ts'
import { ServiceError } from '../../src/errors.ts'
import { digest } from '../../src/vault/digest.ts'
import { eventually } from '../rig/eventually.ts'
import { type Answer, type Browser, returnUrl, startWorld, type World } from '../world.ts'

const world = await startWorld(t)

t.test('S01: every visit of the authorize link gets a fresh state of 256 bits, and only its hash is stored', async (t) => {
  const { authorize_url } = await world.openSession()
  const states = new Set<string>()
  for (let visit = 0; visit < 5; visit++) {
    const state = stateIn(await world.browser().get(authorize_url))
    t.ok(Buffer.from(state, 'base64url').length >= 32)
    states.add(state)
  }
  t.equal(states.size, 5)
  for (const state of states) {
    const rows = await dump(world, 'authorization_requests')
    t.notMatch(rows, state)
    t.ok(rows.includes(digest(state)))
  }
  const secret = new URL(authorize_url).searchParams.get('session') ?? ''
  t.notMatch(await dump(world, 'connect_sessions'), secret)
})

t.test('S01, S09: TikTok is asked for exactly what is configured', async (t) => {
  const { authorize_url } = await world.openSession()
  const location = new URL(String((await world.browser().get(`${authorize_url}`)).headers.location))
  t.equal(location.origin + location.pathname, `${world.tiktok.url}/v2/auth/authorize/`)
  const { state, ...asked } = Object.fromEntries(location.searchParams)
  t.match(state, /^[\w-]{43}$/)
  t.strictSame(asked, {
    client_key: world.tiktok.clientKey,
    scope: 'user.info.basic,user.info.profile,user.info.stats,video.upload',
    response_type: 'code',
    redirect_uri: world.config.redirectUri,
    disable_auto_auth: '1',
  })
})

t.test('S02, F36, F63: twenty equal callbacks at once cause one code exchange, and all lead to the account', async (t) => {
  const { browser, callback, session } = await consented(world, { completion: 'callback' })
  const before = world.tiktok.stats.report()
  const answers = await Promise.all(Array.from({ length: 20 }, () => browser.get(callback)))
  const after = world.tiktok.stats.report()
  t.equal(after.exchanges - before.exchanges, 1)
  t.equal(after.exchange_refused - before.exchange_refused, 0)
  const { status, account_id } = await statusOf(world, session.id)
  t.equal(status, 'completed')
  t.same(new Set(answers.map((answer) => answer.status)), new Set([303]))
  const places = new Set(answers.map(({ headers }) => headers.location))
  t.same([...places], [`${returnUrl}?connect_session=${session.id}&status=connected&account_id=${account_id}`])
})

t.test('S02, F63: of twenty equal callbacks at once in confirm mode one confirm token stands, and it completes', async (t) => {
  const { browser, callback, session } = await consented(world)
  const before = world.tiktok.stats.report().exchanges
  const answers = await Promise.all(Array.from({ length: 20 }, () => browser.get(callback)))
  t.same(new Set(answers.map(({ status }) => status)), new Set([303]))
  t.equal(world.tiktok.stats.report().exchanges, before)
  const tokens = new Set(answers.map(confirmIn))
  const present = (await findSession(world.parts.db, session.id))?.confirmHash
  const standing = [...tokens].filter((confirm) => confirm !== null && digest(confirm) === present)
  t.equal(standing.length, 1)
  t.equal((await complete(world, session.id, 'user_42', standing[0] ?? '')).status, 201)
  t.equal(world.tiktok.stats.report().exchanges, before + 1)
})

t.test('S03: a state lives for ten minutes by the clock of the database, and not a moment longer', async (t) => {
  const early = await consented(world)
  await world.timePasses(595)
  t.equal((await early.browser.get(early.callback)).status, 303)

  const late = await consented(world)
  await world.timePasses(601)
  const answer = await late.browser.get(late.callback)
  isFailurePage(t, answer, 'state_expired')
  t.match((await statusOf(world, late.session.id)).status, 'expired')
})

t.test('S04: on loopback http the cookie has no prefix and is not Secure, because browsers would drop it', async (t) => {
  const { authorize_url } = await world.openSession()
  const visited = await world.browser().get(authorize_url)
  const { name, value, attributes } = cookieIn(visited)
  t.match(name, /^tts-[0-9a-f]{16}$/)
  t.ok(Buffer.from(value, 'base64url').length >= 16)
  t.strictSame(attributes, { 'max-age': '600', path: '/', httponly: '', samesite: 'Lax' })
})

t.test('S04, S11: on https the cookie is __Host- and Secure, and the pages insist on https', async (t) => {
  const secure = await startWorld(t, { env: { PUBLIC_URL: 'https://oauth.example.com' } })
  const { session, browser, callback } = await consented(secure)
  t.match(session.authorize_url, /^https:\/\/oauth\.example\.com\/authorize\?session=/)
  t.match(callback, /^https:\/\/oauth\.example\.com\/callback\?/)
  const visited = await secure.browser().get(session.authorize_url)
  const { name, attributes } = cookieIn(visited)
  t.match(name, /^__Host-tts-[0-9a-f]{16}$/)
  t.strictSame(attributes, { 'max-age': '600', path: '/', httponly: '', secure: '', samesite: 'Lax' })
  t.match(visited.headers['strict-transport-security'], /max-age=\d{6,}/)

  const back = await browser.get(callback)
  t.equal(back.status, 303)
  t.equal(back.headers['set-cookie'], undefined)
  t.equal(browser.cookies.size, 1, 'by its cookie a browser that comes again is known')
})

t.test('S04: another browser is turned away, cookies or not, and does not spoil the state for the right one', async (t) => {
  const { browser, callback } = await consented(world)
  const [name = ''] = browser.cookies.keys()
  for (const value of [undefined, '', 'A'.repeat(43), 'x'.repeat(4000)]) {
    const other = world.browser()
    if (value !== undefined) other.cookies.set(name, value)
    isFailurePage(t, await other.get(callback), 'browser_mismatch')
  }
  t.equal((await browser.get(callback)).status, 303)
})

t.test('S04: the cookie of one tab does not fit the state of another, and two tabs do not fight', async (t) => {
  const { authorize_url } = await world.openSession()
  const browser = world.browser()
  const first = await browser.get(authorize_url)
  const second = await browser.get(authorize_url)
  t.equal(browser.cookies.size, 2)
  const callback = consent(world, first)
  t.equal((await browser.get(callback)).status, 303, 'the first tab still works after the second was opened')
  isFailurePage(t, await browser.get(consent(world, second)), 'session_invalid')
})

t.test('S05: nothing is exchanged before complete names the owner who started, and the confirm token', async (t) => {
  const before = world.tiktok.stats.report().exchanges
  const { browser, callback, session } = await consented(world, { owner_id: 'attacker' })
  const back = new URL(String((await browser.get(callback)).headers.location))
  const confirm = back.searchParams.get('confirm') ?? ''
  t.ok(Buffer.from(confirm, 'base64url').length >= 32)
  t.notMatch(await dump(world, 'connect_sessions'), confirm)
  const complete = (body: object) => world.call('POST', `/connect-sessions/${session.id}/complete`, { body })

  for (const wrong of ['', confirm.slice(0, -1), `${confirm}A`, confirm.toLowerCase()])
    t.match(await complete({ owner_id: 'attacker', confirm: wrong }), { status: 403, body: { code: 'confirm_invalid' } })
  t.equal(world.tiktok.stats.report().exchanges, before)
  t.match(await statusOf(world, session.id), { status: 'awaiting_completion', account_id: null, error: null })
})

t.test('S77: a right confirm from the wrong owner ends the session, and its code is erased', async (t) => {
  const before = world.tiktok.stats.report().exchanges
  const { browser, callback, session } = await consented(world, { owner_id: 'attacker' })
  const confirm = confirmIn(await browser.get(callback))
  // The link was sent to somebody else: their web app completes for whoever is logged in.
  t.match(await complete(world, session.id, 'victim', confirm), { status: 403, body: { code: 'owner_mismatch' } })
  t.match(await statusOf(world, session.id), { status: 'failed', account_id: null, error: 'owner_mismatch' })
  t.match(await secretsOf(world, session.id), [{ code: null, verifier: null }])
  t.equal((await complete(world, session.id, 'attacker', confirm)).body.code, 'session_failed', 'nor can the owner go on with it')
  t.match(await browser.get(callback), { status: 303, headers: { location: /status=failed&error=owner_mismatch/ } })
  t.equal(world.tiktok.stats.report().exchanges, before)
})

t.test('S77: five wrong confirms end the session, whoever sends them, also many at once', async (t) => {
  const before = world.tiktok.stats.report().exchanges
  for (const owner of ['guessed', 'guesser']) {
    const { browser, callback, session } = await consented(world, { owner_id: 'guessed' })
    const confirm = confirmIn(await browser.get(callback))
    const guess = () => complete(world, session.id, owner, 'A'.repeat(43))
    for (let guesses = 0; guesses < 4; guesses++) t.equal((await guess()).status, 403)
    t.equal((await statusOf(world, session.id)).status, 'awaiting_completion')
    t.equal((await guess()).status, 403)
    t.match(await statusOf(world, session.id), { status: 'failed', account_id: null, error: 'confirm_invalid' })
    t.match(await secretsOf(world, session.id), [{ code: null, verifier: null }])
    t.equal((await complete(world, session.id, 'guessed', confirm)).body.code, 'session_failed', 'the right one comes too late')
  }
  const { browser, callback, session } = await consented(world, { owner_id: 'crowded' })
  await browser.get(callback)
  await Promise.all(Array.from({ length: 8 }, (_, n) => complete(world, session.id, 'crowded', `guess-${n}`)))
  t.match(await statusOf(world, session.id), { status: 'failed', error: 'confirm_invalid' })
  t.equal(world.tiktok.stats.report().exchanges, before)
})

t.test('what the return URL says in our name is taken out before we speak', async (t) => {
  const forged = `${returnUrl}?confirm=forged&confirm=again&status=connected&account_id=acc_x&connect_session=cs_x&error=none&kept=1`
  const good = await consented(world, { owner_id: 'forged', return_url: forged })
  const back = new URL(String((await good.browser.get(good.callback)).headers.location))
  t.equal(back.searchParams.getAll('confirm').length, 1)
  t.not(back.searchParams.get('confirm'), 'forged')
  t.same([...back.searchParams.keys()].sort(), ['confirm', 'connect_session', 'kept'])
  const refusing = await world.openSession({ owner_id: 'forged', return_url: forged })
  const refused = await world.browser().walk(refusing.authorize_url, { deny: true })
  t.same(Object.fromEntries(refused.searchParams), {
    kept: '1',
    connect_session: refusing.id,
    status: 'failed',
    error: 'access_denied',
  })
})

t.test('S06: the return URL is taken from the exact allow-list and from nowhere else', async (t) => {
  const refused = [
    'http://127.0.0.1:5999/return/',
    'http://127.0.0.1:5999/returns',
    'http://127.0.0.1:5999/return/../admin',
    'http://127.0.0.1:5999/Return',
    'HTTP://127.0.0.1:5999/return',
    'http://127.0.0.1:5999//return',
    'http://127.0.0.1:5999/%72eturn',
    'http://127.0.0.1:5999/return%3Fx',
    'http://127.0.0.1:5999/return;x=1',
    'http://127.0.0.1:5999/return#top',
    'http://127.0.0.1:5999/return?x=1#top',
    'http://127.0.0.1:5999/return#',
    'http://127.0.0.1:5999@evil.example/return',
    'http://evil.example@127.0.0.1:5999/return',
    'http://evil.example:x@127.0.0.1:5999/return',
    'http://127.0.0.1:5999.evil.example/return',
    'http://127.0.0.1/return',
    'https://127.0.0.1:5999/return',
    'http://localhost:5999/return',
    'http://127.1:5999/return',
    'http:127.0.0.1:5999/return',
    'http:\\\\127.0.0.1:5999\\return',
    '//127.0.0.1:5999/return',
    '/return',
    'javascript:alert(1)',
    ' http://127.0.0.1:5999/return',
    'http://127.0.0.1:5999/return ',
    'http://127.0.0.1:5999/return\n',
    'http://127.0.0.1:5999/ret\turn',
    'http://127.0.0.1:5999/return?a=\u0000',
    'http://127.0.0.1:5999/return?a=\nb',
    'http://127.0.0.1:5999/return?a=\ud800',
    '',
  ]
  for (const return_url of refused) {
    const answer = await world.call('POST', '/connect-sessions', { body: { owner_id: 'o', return_url } })
    t.match(answer, { status: 400, body: { code: 'return_url_not_allowed' } }, JSON.stringify(return_url))
  }
})

t.test('S06: a query of the return URL is kept, what we say in it is ours, and no query of ours changes it', async (t) => {
  const wished = `${returnUrl}?lang=de&connect_session=forged&confirm=forged&confirm=again`
  const { browser, callback, session } = await consented(world, { return_url: wished })
  const back = new URL(
    String(
      (await browser.get(`${callback}&return_url=https://evil.example/&redirect_uri=https://evil.example/`)).headers.location,
    ),
  )
  t.equal(back.origin + back.pathname, returnUrl)
  t.equal(back.searchParams.get('lang'), 'de')
  t.strictSame(back.searchParams.getAll('connect_session'), [session.id])
  t.equal(back.searchParams.getAll('confirm').length, 1)
  t.not(back.searchParams.get('confirm'), 'forged')

  const { authorize_url } = await world.openSession()
  const answer = await world.browser().get(`${authorize_url}&return_url=https://evil.example/`)
  isFailurePage(t, answer, 'validation_failed')
})

for (const [pkce, encoding] of [
  ['s256', 'base64url'],
  ['s256-hex', 'hex'],
] as const) {
  t.test(`S07: ${pkce}: a verifier per visit, sealed at rest, and TikTok accepts it`, async (t) => {
    const guarded = await startWorld(t, { env: { TIKTOK_PKCE: pkce }, simulator: { pkce } })
    const opened = await guarded.openSession()
    const challenges = new Set<string>()
    for (let visit = 0; visit < 3; visit++) {
      const { searchParams } = new URL(String((await guarded.browser().get(opened.authorize_url)).headers.location))
      t.equal(searchParams.get('code_challenge_method'), 'S256')
      challenges.add(searchParams.get('code_challenge') ?? '')
    }
    t.equal(challenges.size, 3)
    for (const challenge of challenges) t.equal(Buffer.from(challenge, encoding).length, 32)
    t.match(await dump(guarded, 'authorization_requests'), /v1\.k1\./)

    const account = await guarded.connect()
    t.equal(account.status, 'active')
    const sent = await guarded.parts.db.run(
      'left_verifiers',
      (sql) => sql`select 1 from connect_sessions where sealed_verifier is not null`,
    )
    t.equal(sent.length, 0, 'a verifier that was used is gone')
  })
}

t.test('S07: no verifier is made where none is asked for', async (t) => {
  const { authorize_url } = await world.openSession()
  t.notMatch(String((await world.browser().get(authorize_url)).headers.location), /code_challenge/)
})

t.test('S08: an answer that names another issuer is refused, one that names ours is taken', async (t) => {
  const foreign = await consented(world)
  const back = new URL(String((await foreign.browser.get(`${foreign.callback}&iss=https%3A%2F%2Fevil.example`)).headers.location))
  t.equal(back.searchParams.get('status'), 'failed')
  t.equal(back.searchParams.get('error'), 'issuer_mismatch')
  t.equal(back.searchParams.get('confirm'), null)
  t.match(await statusOf(world, foreign.session.id), { status: 'failed', error: 'issuer_mismatch' })

  const ours = await consented(world)
  const iss = encodeURIComponent(world.config.tiktok.authBaseUrl)
  t.match(String((await ours.browser.get(`${ours.callback}&iss=${iss}`)).headers.location), /confirm=/)
})

t.test('a person who declines comes back with access_denied, and nothing is exchanged', async (t) => {
  for (const completion of ['confirm', 'callback']) {
    const { authorize_url, id } = await world.openSession({ completion })
    const back = await world.browser().walk(authorize_url, { deny: true })
    t.strictSame(Object.fromEntries(back.searchParams), { connect_session: id, status: 'failed', error: 'access_denied' })
    t.match(await statusOf(world, id), { status: 'failed', error: 'access_denied', account_id: null })
  }
})

t.test('an error that no standard knows is not echoed into our redirect', async (t) => {
  const { browser, state, session } = await setOut(world)
  const evil = encodeURIComponent('"><script>alert(1)</script>')
  const back = await browser.get(`${world.config.redirectUri}?state=${state}&error=${evil}&error_description=${evil}`)
  t.equal(back.status, 303)
  t.equal(new URL(String(back.headers.location)).searchParams.get('error'), 'authorization_failed')
  t.match(await statusOf(world, session.id), { status: 'failed', error: 'authorization_failed' })
})

t.test("TikTok's own words about a refusal are logged, if they are words, and only logged", async (t) => {
  const refused = async (query: string) => {
    const { browser, state, session } = await setOut(world)
    const back = await browser.get(`${world.config.redirectUri}?state=${state}&${query}`)
    t.match(await statusOf(world, session.id), { status: 'failed' })
    const line = world
      .logged()
      .split('\n')
      .findLast((text) => text.includes('authorization was refused'))
    return { back: String(back.headers.location), line: JSON.parse(line ?? '{}') as Record<string, unknown> }
  }
  const first = await refused('error=param_error&errCode=10007&error_type=code_challenge&log_id=20261122101500FAKE01')
  t.match(first.line, {
    code: 'authorization_failed',
    reason: 'param_error',
    errCode: '10007',
    errorType: 'code_challenge',
    logId: '20261122101500FAKE01',
  })
  t.notMatch(first.back, /10007|code_challenge|param_error|FAKE01/)
  t.match((await refused('error=access_denied&err_code=7&logid=L-2')).line, { code: 'access_denied', errCode: '7', logId: 'L-2' })
  const wild = encodeURIComponent('</script>act.stolen\ntoken')
  for (const query of [
    `error=${wild}&errCode=${wild}&error_type=${wild}&log_id=${wild}`,
    `error=x&errCode=${'9'.repeat(200)}&error_type=&log_id=%20`,
    'error=x&errCode=1&errCode=2&error_type[]=a&log_id=a&log_id=b',
  ])
    t.strictSame(
      Object.keys((await refused(query)).line).filter((name) => /^(errCode|errorType|logId)$/.test(name)),
      [],
      query,
    )

  const stray = await world.browser().get(`${world.config.redirectUri}?error=invalid_scope&errCode=10003&error_type=scope`)
  t.equal(stray.status, 400)
  t.match(world.logged(), /"errCode":"10003"[^\n]*"errorType":"scope"[^\n]*came without a state/)
})

t.test('a parameter that is empty is one that is absent', async (t) => {
  for (const empty of ['error=', 'error=&error_description=', 'iss=', 'error=%20&iss=%20']) {
    const { browser, callback } = await consented(world)
    t.match(String((await browser.get(`${callback}&${empty}`)).headers.location), /confirm=/, empty)
  }
  const { browser, state, session } = await setOut(world)
  await browser.get(`${world.config.redirectUri}?state=${state}&code=&error=access_denied`)
  t.match(await statusOf(world, session.id), { status: 'failed', error: 'access_denied' })
})

t.test('an answer without a code fails the session instead of leaving it open', async (t) => {
  const { browser, state, session } = await setOut(world)
  const back = await browser.get(`${world.config.redirectUri}?state=${state}`)
  t.match(String(back.headers.location), /status=failed&error=/)
  t.match((await statusOf(world, session.id)).status, 'failed')
})

t.test('a callback that cannot be tied to a session is a plain page and goes nowhere', async (t) => {
  const { redirectUri } = world.config
  isFailurePage(t, await world.browser().get(redirectUri), 'state_missing')
  isFailurePage(t, await world.browser().get(`${redirectUri}?code=x`), 'state_missing')
  isFailurePage(t, await world.browser().get(`${redirectUri}?code=x&state=`), 'state_missing')
  isFailurePage(t, await world.browser().get(`${redirectUri}?code=x&state=${'A'.repeat(43)}`), 'state_invalid')
  isFailurePage(t, await world.browser().get(`${redirectUri}?code=x&state=%00%ff%27%22`), 'state_invalid')
  isFailurePage(t, await world.browser().get(`${redirectUri}?code=x&state=${'A'.repeat(5000)}`), 'validation_failed')
})

t.test('S41: a repeated parameter is refused on the way out and on the way in, and the state stays good', async (t) => {
  const { browser, callback, state, session } = await consented(world)
  isFailurePage(t, await browser.get(`${callback}&state=${state}`), 'validation_failed')
  isFailurePage(t, await browser.get(`${callback}&code=other`), 'validation_failed')
  isFailurePage(t, await browser.get(`${callback}&error=a&error=b`), 'validation_failed')
  const secret = new URL(session.authorize_url).searchParams.get('session')
  isFailurePage(t, await browser.get(`${session.authorize_url}&session=${secret}`), 'validation_failed')
  t.equal((await browser.get(callback)).status, 303)
})

t.test('S11: every answer to a browser keeps itself to itself', async (t) => {
  const { browser, callback, session } = await consented(world)
  const unasked = await world.openSession({ account_type: undefined, age_confirmed: undefined })
  const answers = [
    await browser.get(session.authorize_url),
    await browser.get(callback),
    await world.browser().get(callback), // a failure page
    await browser.get(unasked.authorize_url),
    await browser.get(unasked.connect_url),
    await browser.get(`${world.config.publicUrl}/connect`),
    await browser.get(world.config.redirectUri),
    await browser.post(`${world.config.publicUrl}/connect`, { session: 'nonsense' }),
  ]
  t.same(
    answers.map(({ status }) => status),
    [303, 303, 400, 303, 303, 200, 400, 400],
  )
  for (const { headers } of answers) {
    const policy = String(headers['content-security-policy'])
    t.match(policy, /default-src 'none'/)
    t.match(policy, /frame-ancestors 'none'/)
    t.match(policy, /base-uri 'none'/)
    t.notMatch(policy, /unsafe|\*|data:/)
    t.match(headers, { 'referrer-policy': 'no-referrer', 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
  }
})

t.test('S11: the pages hold nothing of anybody else, and what they show is escaped', async (t) => {
  const { connect_url } = await world.openSession({ account_type: undefined, age_confirmed: undefined })
  const browser = world.browser()
  await browser.get(connect_url)
  const shown = await browser.get(`${world.config.publicUrl}/connect`)
  // One link leads away: back to the web app.
  t.notMatch(shown.text.replace(`<a href="${returnUrl}`, '<a href="'), /<script|https?:\/\/|src="(?!\/connect\/)|@import/i)
  const evil = await world
    .browser()
    .get(`${world.config.redirectUri}?state=${encodeURIComponent('<img src=x onerror=alert(1)>')}`)
  t.notMatch(evil.text, /<img/)
})

t.test('S12: every redirect of a browser is a 303', async (t) => {
  const { connect_url, authorize_url } = await world.openSession({ account_type: undefined, age_confirmed: undefined })
  const browser = world.browser()
  const toPage = await browser.get(authorize_url)
  t.match(toPage, { status: 303, headers: { location: connect_url } })
  const secret = new URL(connect_url).searchParams.get('session') ?? ''
  const answered = await browser.post(`${world.config.publicUrl}/connect`, {
    session: secret,
    account_type: 'business',
    age_confirmed: 'yes',
  })
  t.match(answered, { status: 303, headers: { location: authorize_url } })
  t.equal((await browser.get(authorize_url)).status, 303)
})

t.test('the connect page takes no personal account and nobody who is not of age', async (t) => {
  const { connect_url, authorize_url } = await world.openSession({ account_type: undefined, age_confirmed: undefined })
  const secret = new URL(connect_url).searchParams.get('session') ?? ''
  const browser = world.browser()
  const post = (form: Record<string, string>) => browser.post(`${world.config.publicUrl}/connect`, { session: secret, ...form })
  isFailurePage(t, await post({ account_type: 'personal', age_confirmed: 'yes' }), 'account_type_not_supported', 422)
  isFailurePage(t, await post({ age_confirmed: 'yes' }), 'account_type_not_supported', 422)
  isFailurePage(t, await post({ account_type: 'creator' }), 'age_not_confirmed', 422)
  isFailurePage(t, await post({ account_type: 'creator', age_confirmed: 'yes', owner_id: 'other' }), 'validation_failed')
  t.match((await browser.get(authorize_url)).headers.location, connect_url, 'still unanswered')
})

t.test('S13: closing the tab does not abort the exchange', async (t) => {
  const { browser, callback, session } = await consented(world, { completion: 'callback', owner_id: 'impatient' }, 'zsofia')
  world.tiktok.faults.add({ route: 'exchange', before_ms: 150 })
  const hungUp = new AbortController()
  const target = new URL(callback)
  const cookie = [...browser.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
  const visit = request(new URL(target.pathname + target.search, world.app.url), { headers: { cookie }, signal: hungUp.signal })
  await eventually('the exchange is under way', () => world.parts.exchanges.inFlight === 1)
  hungUp.abort()
  await t.rejects(visit)
  await eventually('the account is there', async () => (await statusOf(world, session.id)).status === 'completed')
})

t.test('S14, F63: link previews, prefetches and HEAD requests spend neither the link nor the state', async (t) => {
  const { browser, callback, session } = await consented(world)
  const cookie = [...browser.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
  const ask = async (address: string, method: 'GET' | 'HEAD', headers: Record<string, string>) => {
    const { pathname, search } = new URL(address)
    const answer = await request(new URL(pathname + search, world.app.url), { method, headers: { cookie, ...headers } })
    await answer.body.dump()
    return answer
  }
  const before = await dump(world, 'authorization_requests', session.id)
  for (const headers of [
    { 'sec-purpose': 'prefetch' },
    { 'sec-purpose': 'prefetch;prerender' },
    { 'sec-purpose': 'prefetch;anonymous-client-ip' },
    { purpose: 'prefetch' },
    { purpose: 'preview' },
    { 'x-moz': 'prefetch' },
    { 'x-purpose': 'preview' },
    { 'x-purpose': 'instant' },
  ] as Record<string, string>[]) {
    for (const address of [session.authorize_url, callback, callback.replace('/callback?', '/callback/?')]) {
      const name = `${JSON.stringify(headers)} ${new URL(address).pathname}`
      const answer = await ask(address, 'GET', headers)
      t.equal(answer.statusCode, 503, `${name}: thrown away and asked anew when the person comes`)
      t.match(answer.headers, { 'cache-control': 'no-store', 'set-cookie': undefined, location: undefined })
      t.not((await ask(address, 'HEAD', headers)).statusCode, 303)
    }
  }
  t.not((await ask(callback, 'HEAD', {})).statusCode, 303)
  t.equal(await dump(world, 'authorization_requests', session.id), before, 'no state is made and none is spent')
  t.match((await statusOf(world, session.id)).status, 'authorizing')

  const preview = await ask(session.authorize_url, 'GET', { 'user-agent': 'Slackbot-LinkExpanding 1.0', cookie: '' })
  t.equal(preview.statusCode, 303, 'one that does not say so gets a state of its own, which takes nothing away')
  t.equal((await browser.get(callback)).status, 303, 'the state is still there for the person')
})

t.test('F63: reload and back lead the same browser on, with a new confirm token; the old one is void', async (t) => {
  const { browser, callback, session } = await consented(world)
  const first = confirmIn(await browser.get(callback))
  const second = confirmIn(await browser.get(callback))
  t.ok(first && second && first !== second)
  t.match(await complete(world, session.id, 'user_42', first), { status: 403, body: { code: 'confirm_invalid' } })
  const before = world.tiktok.stats.report().exchanges
  t.equal((await complete(world, session.id, 'user_42', second)).status, 201)
  const third = confirmIn(await browser.get(callback))
  t.match(await complete(world, session.id, 'user_42', third), { status: 200 }, 'back to a finished connection: finished')
  t.equal(world.tiktok.stats.report().exchanges, before + 1)
  isFailurePage(t, await world.browser().get(callback), 'browser_mismatch')
  t.match(await complete(world, session.id, 'user_42', third), { status: 200 }, 'another browser makes nothing void')
})

t.test('F63: two overlapping requests of one browser get one confirm token, whichever was quicker', async (t) => {
  const { browser, callback, session } = await consented(world)
  const { db } = world.parts
  const { run } = db
  // Both have seen a session that nobody has come back to before either keeps the code.
  let waiting = 0
  const both = Promise.withResolvers<void>()
  db.run = async (name, ...rest) => {
    if (name === 'hold_code' && ++waiting === 2) both.resolve()
    if (name === 'hold_code') await both.promise
    return run(name, ...rest)
  }
  t.teardown(() => Object.assign(db, { run }))
  const answers = await Promise.all([browser.get(callback), browser.get(callback)])
  const tokens = answers.map(confirmIn)
  t.equal(tokens[0], tokens[1])
  t.equal((await complete(world, session.id, 'user_42', tokens[0] ?? '')).status, 201)
})

t.test('F63: a request that died between the state and the code is made good by the next of the same browser', async (t) => {
  const { browser, callback, session } = await consented(world)
  const { db } = world.parts
  const { run } = db
  db.run = async (name, ...rest) => {
    if (name !== 'hold_code') return run(name, ...rest)
    Object.assign(db, { run })
    throw new Error('the process is gone')
  }
  t.equal((await browser.get(callback)).status, 500)
  t.equal((await complete(world, session.id, 'user_42', confirmIn(await browser.get(callback)))).status, 201)
})

t.test('F63: callback mode: who comes again is sent to the account, or told what it failed with', async (t) => {
  const done = await consented(world, { completion: 'callback', owner_id: 'again' }, 'jonas')
  const first = await done.browser.get(done.callback)
  t.match(String(first.headers.location), /status=connected&account_id=acc_/)
  t.equal((await done.browser.get(done.callback)).headers.location, first.headers.location)

  const denied = await setOut(world)
  const refusal = `${world.config.redirectUri}?state=${denied.state}&error=access_denied`
  for (const _visit of ['first', 'again'])
    t.match((await denied.browser.get(refusal)).headers.location, /status=failed&error=access_denied$/)
})

t.test('F63: who comes again after the time to complete is over goes back, and the session says so', async (t) => {
  const { browser, callback, session } = await consented(world)
  t.equal((await browser.get(callback)).status, 303)
  await world.timePasses(601)
  t.match((await browser.get(callback)).headers.location, /status=failed&error=session_expired$/)
  t.match(await statusOf(world, session.id), { status: 'failed', error: 'session_expired' })
})

t.test('F63: every dead end has the way back', async (t) => {
  const opened = { return_url: `${returnUrl}?team=7` }
  const { browser, callback, session } = await consented(world, opened)
  const stranger = await world.browser().get(callback)
  isFailurePage(t, stranger, 'browser_mismatch')
  t.match(stranger.text, `href="${returnUrl}"`)
  t.notMatch(stranger.text, 'team', 'a stranger is not told what the web app wrote into it')

  const whole = `href="${returnUrl}?team=7&#38;connect_session=${session.id}&#38;status=closed"`
  const tab = await browser.get(session.authorize_url)
  t.equal((await browser.get(callback)).status, 303)
  const otherTab = await browser.get(consent(world, tab))
  isFailurePage(t, otherTab, 'session_invalid')
  t.match(otherTab.text, `href="${returnUrl}"`)
  const used = await world.browser().get(session.authorize_url)
  isFailurePage(t, used, 'session_invalid')
  t.match(used.text, whole)

  const late = await consented(world, opened)
  await world.timePasses(601)
  for (const answer of [await late.browser.get(late.callback), await late.browser.get(late.session.authorize_url)])
    t.match(answer.text, `href="${returnUrl}?team=7&#38;connect_session=${late.session.id}&#38;status=closed"`)
  t.match((await statusOf(world, late.session.id)).status, 'expired')
})

t.test('F63: a slash at the end, another method and a path below get a page', async (t) => {
  const { callback, browser, session } = await consented(world)
  const slashed = callback.replace('/callback?', '/callback/?')
  isFailurePage(t, await world.browser().get(slashed), 'browser_mismatch')
  t.equal((await browser.get(slashed)).status, 303, 'and it works')
  t.equal((await world.browser().get(session.authorize_url.replace('/authorize?', '/authorize/?'))).status, 400)
  for (const path of ['/callback', '/callback/', '/authorize', '/authorize/', '/connect/', '/callback/x', '/authorize/x/y']) {
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
      const answer = await world.call(method, path, { key: null, body: { code: 'x' } })
      t.ok(answer.status >= 400 && answer.status < 500, `${method} ${path}`)
      t.match(answer.headers, { 'content-type': /^text\/html/, 'cache-control': 'no-store' })
    }
    t.match((await world.call('HEAD', path, { key: null })).headers['content-type'], /^text\/html/)
  }
  t.match((await world.call('POST', '/callbacks', { key: null })).headers['content-type'], /problem\+json/)
})

t.test('a link is good until it was used: not made up, not too old, not twice', async (t) => {
  const { publicUrl } = world.config
  isFailurePage(t, await world.browser().get(`${publicUrl}/authorize`), 'validation_failed')
  isFailurePage(t, await world.browser().get(`${publicUrl}/authorize?session=${'A'.repeat(43)}`), 'session_invalid')
  const old = await world.openSession()
  await world.timePasses(601)
  isFailurePage(t, await world.browser().get(old.authorize_url), 'session_expired', 410)
  isFailurePage(t, await world.browser().get(old.connect_url), 'session_expired', 410)

  const used = await world.openSession()
  await world.browser().walk(used.authorize_url, { person: 'jonas' })
  isFailurePage(t, await world.browser().get(used.authorize_url), 'session_invalid')
})

t.test('a link that is visited without end stops making states', async (t) => {
  const { authorize_url } = await world.openSession()
  const statuses = await Promise.all(Array.from({ length: 60 }, async () => (await world.browser().get(authorize_url)).status))
  t.equal(statuses.filter((status) => status === 303).length, 50)
  t.equal(statuses.filter((status) => status === 400).length, 10)
})

t.test(
  'S03: a link for somebody who is away is good for hours; the step to TikTok, and to complete, for ten minutes',
  async (t) => {
    const life = { expires_in: 4 * 3600 }
    const [sent, other] = [await world.openSession(life), await world.openSession(life)]
    const looks = () =>
      Promise.all(Array.from({ length: 50 }, async () => (await world.browser().get(sent.authorize_url)).status))
    for (let hour = 0; hour < 3; hour++) {
      t.same(new Set(await looks()), new Set([303]), 'what looks at it again and again uses nothing up')
      await world.timePasses(3600)
    }
    const person = world.browser()
    const late = consent(world, await person.get(sent.authorize_url))
    await world.timePasses(601)
    isFailurePage(t, await person.get(late), 'state_expired')
    t.match(await statusOf(world, sent.id), { status: 'authorizing' }, 'and may set out again')
    const back = consent(world, await person.get(sent.authorize_url))
    const confirm = confirmIn(await person.get(back))
    await world.timePasses(601)
    t.match(await complete(world, sent.id, 'user_42', confirm), { status: 410, body: { code: 'session_expired' } })

    await world.timePasses(3600 - 1202 - 60)
    t.match(await statusOf(world, other.id), { status: 'pending' })
    const inTime = world.browser()
    const callback = consent(world, await inTime.get(other.authorize_url))
    await world.timePasses(61)
    isFailurePage(t, await world.browser().get(other.authorize_url), 'session_expired', 410)
    t.equal((await complete(world, other.id, 'user_42', confirmIn(await inTime.get(callback)))).status, 201)
  },
)

t.test('how long a link may be good is a whole number of seconds up to four hours', async (t) => {
  const body = { owner_id: 'user_42', return_url: returnUrl }
  for (const expires_in of [14_401, 0, -1, 1.5, '600', null])
    t.match(await world.call('POST', '/connect-sessions', { body: { ...body, expires_in } }), {
      status: 400,
      body: { errors: [{ pointer: '/expires_in' }] },
    })
  const { body: opened } = await world.call('POST', '/connect-sessions', { body: { ...body, expires_in: 14_400 } })
  t.match(Math.round((Date.parse(String(opened.expires_at)) - Date.now()) / 600_000), 24)
})

t.test('callback mode: the account is connected when the browser is back', async (t) => {
  const { id, authorize_url } = await world.openSession({ completion: 'callback', owner_id: 'direct', label: 'Mine' })
  const back = await world.browser().walk(authorize_url, { person: 'noura' })
  const { connect_session, status, account_id } = Object.fromEntries(back.searchParams)
  t.match({ connect_session, status }, { connect_session: id, status: 'connected' })
  t.equal(back.searchParams.get('confirm'), null)
  t.match(await statusOf(world, id), { status: 'completed', account_id, error: null })
  t.match(await world.call('GET', `/accounts/${account_id}`), { status: 200, body: { owner_id: 'direct', label: 'Mine' } })
  t.match(await world.call('POST', `/connect-sessions/${id}/complete`, { body: { owner_id: 'direct', confirm: 'x' } }), {
    status: 409,
    body: { code: 'session_not_ready' },
  })
})

t.test('callback mode: a refusal and a TikTok that is away come back as failed, and the session says the same', async (t) => {
  const declined = await world.openSession({ completion: 'callback', owner_id: 'declining' })
  const back = await world.browser().walk(declined.authorize_url, { person: 'newcomer', decline: ['video.upload'] })
  t.match(Object.fromEntries(back.searchParams), { status: 'failed', error: 'scope_not_granted' })
  t.match(await statusOf(world, declined.id), { status: 'failed', error: 'scope_not_granted' })

  world.tiktok.faults.add({ route: 'exchange', status: 429, headers: { 'Retry-After': '5' } })
  const away = await world.openSession({ completion: 'callback', owner_id: 'declining' })
  const failed = await world.browser().walk(away.authorize_url, { person: 'newcomer' })
  t.match(Object.fromEntries(failed.searchParams), { status: 'failed', error: 'tiktok_unavailable' })
  t.match(await statusOf(world, away.id), { status: 'failed', error: 'tiktok_unavailable' })
})

t.test('F37: a callback replayed elsewhere, with the cookie or without, is refused', async (t) => {
  const { browser, callback, session } = await consented(world)
  const stolen = new Map(browser.cookies)
  t.equal((await browser.get(callback)).status, 303)
  const thief = world.browser()
  isFailurePage(t, await thief.get(callback), 'browser_mismatch')
  // With its cookie a browser is the one that started, as far as anybody can see. What it gets is of use to the owner only.
  for (const [name, value] of stolen) thief.cookies.set(name, value)
  const confirm = confirmIn(await thief.get(callback))
  t.match(await complete(world, session.id, 'thief', confirm), { status: 403, body: { code: 'owner_mismatch' } })
})

t.test('F38: after a crash during the exchange the session fails clearly and the code is never used again', async (t) => {
  const { browser, callback, session } = await consented(world, { owner_id: 'crashed' })
  const confirm = new URL(String((await browser.get(callback)).headers.location)).searchParams.get('confirm')
  // What a process leaves behind that died between its claim and its record.
  await world.parts.db.run(
    'crash',
    (sql) =>
      sql`update connect_sessions set status = 'exchanging', attempt_id = 'att_of_the_dead', lease_until = now() + interval '30 seconds' where id = ${session.id}`,
  )
  const before = world.tiktok.stats.report()
  const complete = () =>
    world.call('POST', `/connect-sessions/${session.id}/complete`, { body: { owner_id: 'crashed', confirm } })
  world.parts.timings.completionPatienceMs = 100
  t.match(await complete(), { status: 503, body: { code: 'tiktok_unavailable' } })
  t.match((await statusOf(world, session.id)).status, 'awaiting_completion')
  await world.timePasses(91)
  const { recording } = world.parts
  let databaseIsAway = true
  const saving = recording.untilSaved({ subject: session.id, attemptId: 'att_waiting' }, async () => {
    if (databaseIsAway) throw new ServiceError('storage_unavailable', 'The database is away.')
  })
  await eventually('its answer waits here', () => recording.isUnsaved(session.id))
  t.match(await statusOf(world, session.id), { status: 'awaiting_completion' }, 'its answer waits here for the database (F04)')
  t.match(await complete(), { status: 503, body: { code: 'tiktok_unavailable' } })
  databaseIsAway = false
  await saving
  t.match(await statusOf(world, session.id), { status: 'failed', error: 'tiktok_rejected' })
  t.match(await complete(), { status: 502, body: { code: 'tiktok_rejected', mended_by: 'user' } })
  await world.parts.exchanges.exchange(session.id, 'test')
  t.strictSame(world.tiktok.stats.report().exchanges, before.exchanges)
  t.notMatch(await dump(world, 'connect_sessions', session.id), /"sealed_code": *"v1/)
})

function confirmIn({ headers }: Answer<string>): string | null {
  return new URL(String(headers.location)).searchParams.get('confirm')
}

function complete(world: World, sessionId: string, owner: string, confirm: string | null) {
  return world.call('POST', `/connect-sessions/${sessionId}/complete`, { body: { owner_id: owner, confirm } })
}

/** A session whose person has said yes at TikTok; the browser stands before our callback. */
async function consented(world: World, session: Record<string, unknown> = {}, person = 'mara') {
  const out = await setOut(world, session)
  return { ...out, callback: consent(world, out.visited, person) }
}

async function setOut(world: World, body: Record<string, unknown> = {}) {
  const session = await world.openSession(body)
  const browser: Browser = world.browser()
  const visited = await browser.setOut(session.authorize_url)
  return { session, browser, visited, state: stateIn(visited) }
}

function consent(world: World, visited: Answer<string>, person = 'mara'): string {
  const decided = world.tiktok.authorize({ authorize_url: String(visited.headers.location), person })
  if (!('redirect_to' in decided)) throw new Error(JSON.stringify(decided))
  return decided.redirect_to
}

function stateIn(visited: Answer<string>): string {
  return new URL(String(visited.headers.location)).searchParams.get('state') ?? ''
}

function cookieIn(visited: Answer<string>) {
  const [line = '', ...more] = [visited.headers['set-cookie'] ?? []].flat()
  if (more.length > 0) throw new Error('one cookie at a time')
  const [pair = '', ...rest] = line.split('; ')
  const [name = '', value = ''] = pair.split('=')
  const attributes = Object.fromEntries(
    rest.map((part) => {
      const [key = '', said = ''] = part.split('=')
      return [key.toLowerCase(), said]
    }),
  )
  return { name, value, attributes }
}

async function statusOf(world: World, id: string) {
  const { body } = await world.call<{ status: string; account_id: string | null; error: string | null }>(
    'GET',
    `/connect-sessions/${id}`,
  )
  return body
}

async function dump({ parts }: World, table: string, id?: string): Promise<string> {
  const rows = await parts.db.run('dump', (sql) =>
    sql.unsafe<{ row: string }[]>(`select to_jsonb(t)::text as row from ${table} t`),
  )
  return rows
    .map(({ row }) => row)
    .filter((row) => id === undefined || row.includes(id))
    .join('\n')
}

function isFailurePage(t: Test, answer: Answer<string>, code: string, status = 400): void {
  t.equal(answer.status, status, `${code} is a ${status}`)
  t.match(answer.headers['content-type'], /^text\/html/)
  t.equal(answer.headers.location, undefined)
  t.ok(answer.text.includes(code), `the page says ${code}`)
}

async function secretsOf(world: World, sessionId: string) {
  return world.parts.db.run(
    'secrets',
    (sql) => sql`select sealed_code as code, sealed_verifier as verifier from connect_sessions where id = ${sessionId}`,
  )
}
