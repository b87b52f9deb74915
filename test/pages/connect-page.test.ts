// The hosted page at the level of HTTP; what people see of it is in test/browser.
import t from 'tap'
import { attestationVersion } from '../../src/account/attestation.ts'
import type { KeyScope } from '../../src/http/api-keys.ts'
import { languageCodes } from '../../src/pages/languages.ts'
import { returnUrl, startWorld } from '../world.ts'

const unasked = { account_type: undefined, age_confirmed: undefined }
const answers = { account_type: 'creator', age_confirmed: 'yes' }

t.test('authorize_url of a session that was told nothing leads to the page, and the page to TikTok', async (t) => {
  const { openSession, browser, tiktok, config } = await startWorld(t)
  const opened = await openSession(unasked)
  const person = browser()
  const asked = await person.get(opened.authorize_url)
  t.match([asked.status, asked.headers.location], [303, opened.connect_url])

  const entered = await person.get(opened.connect_url)
  const location = String(entered.headers.location)
  t.equal(entered.status, 303)
  t.ok(location.startsWith(`${config.publicUrl}/connect?visit=`))
  t.notMatch(location, new URL(opened.connect_url).searchParams.get('session') ?? '', 'the secret has left the address')
  const page = await person.get(`${config.publicUrl}/connect`)
  t.match(
    page.headers['content-security-policy'],
    /^default-src 'none'; style-src 'sha256-[^']+'; img-src 'self'; form-action 'self' /,
  )
  t.notMatch(page.text, /<script|style="|\son[a-z]+="|https?:\/\/(?!127\.0\.0\.1)/)
  const answered = await person.post(`${config.publicUrl}/connect`, { ...answers, form_token: tokenIn(page.text) })
  t.match([answered.status, answered.headers.location], [303, opened.authorize_url])
  const out = await person.get(opened.authorize_url)
  t.ok(String(out.headers.location).startsWith(tiktok.url))
})

t.test('the link’s secret in the form is as good as its cookie, until a browser has the session', async (t) => {
  const { openSession, browser, config } = await startWorld(t)
  const opened = await openSession(unasked)
  const session = new URL(opened.connect_url).searchParams.get('session') ?? ''
  const post = () => browser().post(`${config.publicUrl}/connect`, { ...answers, session })
  t.match(await post(), { status: 303, headers: { location: opened.authorize_url } })
  t.equal((await browser().post(`${config.publicUrl}/connect`, { ...answers, session, account_type: 'personal' })).status, 422)

  const person = browser()
  await person.get(opened.connect_url)
  const page = await person.get(`${config.publicUrl}/connect`)
  await person.post(`${config.publicUrl}/connect`, { ...answers, form_token: tokenIn(page.text) })
  t.match(await post(), { status: 400, text: /browser_mismatch/ })
})

t.test('over https the cookie is one that no subdomain can set', async (t) => {
  const { openSession, browser } = await startWorld(t, { env: { PUBLIC_URL: 'https://oauth.example.com' } })
  const entered = await browser().get((await openSession(unasked)).connect_url)
  t.match(
    entered.headers['set-cookie'],
    /^__Host-tts-visit-[0-9a-f]{16}=[\w-]{43}\.[\w-]{43}\.[0-9a-z]{8}; Max-Age=3600; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
  )
})

t.test('two pages in one browser: each keeps its person, its forms and its way through TikTok', async (t) => {
  const { openSession, browser, config, connect, call, tiktok } = await startWorld(t)
  const account = await connect({ owner: 'first' })
  const agency = browser()
  const open = async (owner_id: string, more = {}) => {
    const opened = await openSession({ ...unasked, owner_id, ...more })
    const address = String((await agency.get(opened.connect_url)).headers.location)
    return { ...opened, address, token: tokenIn((await agency.get(address)).text) }
  }
  const [first, second] = [await open('first'), await open('second', { completion: 'callback', expires_in: 7200 })]
  t.match((await agency.get(`${config.publicUrl}/connect`)).text, 'known as second', 'without a name it is the one opened last')
  t.match(
    await agency.get(first.connect_url),
    { headers: { location: first.address, 'set-cookie': undefined } },
    'a reload of the link',
  )
  for (const [page, other] of [
    [first, second],
    [second, first],
  ] as const) {
    const { text } = await agency.get(page.address)
    t.match(text, `known as ${page === first ? 'first' : 'second'}`)
    t.equal(tokenIn(text), page.token)
    t.not(page.token, other.token)
  }

  const disconnect = `${config.publicUrl}/connect/accounts/${account.id}/disconnect`
  const asks = /href="(\/connect\/accounts\/[^"]+)"/.exec((await agency.get(first.address)).text)?.[1] ?? ''
  t.match(
    (await agency.get(config.publicUrl + asks)).text,
    `href="${first.address.replace(config.publicUrl, '')}"`,
    'no leads back',
  )
  t.match(await agency.get(`${disconnect}?visit=${visitIn(second.address)}`), {
    headers: { location: /failed=account_not_found$/ },
  })
  const wrong = await agency.post(disconnect, { form_token: second.token })
  t.match(wrong, { headers: { location: `${second.address}&failed=account_not_found` } }, 'a form is of the page it stands on')
  t.match((await call('GET', `/accounts/${account.id}`)).body, { status: 'active' })
  const refused = await agency.post(disconnect, { form_token: first.token.replace(/^./, 'x') })
  t.match(refused, { status: 400, text: /Nothing was changed.*Open the page again/s })
  const renamed = await agency.post(disconnect.replace('disconnect', 'label'), { form_token: first.token, label: 'Mine' })
  t.match(renamed, { headers: { location: `${first.address}&done=label_saved` } })

  // Both leave for TikTok before either is back.
  const leave = async ({ token, authorize_url }: typeof first, person: string) => {
    const answered = await agency.post(`${config.publicUrl}/connect`, { ...answers, form_token: token })
    t.equal(answered.headers.location, authorize_url)
    const decided = tiktok.authorize({ authorize_url: String((await agency.get(authorize_url)).headers.location), person })
    return 'redirect_to' in decided ? decided.redirect_to : ''
  }
  const [back, sooner] = [await leave(first, 'jonas'), await leave(second, 'noura')]
  t.match((await agency.get(sooner)).headers.location, /status=connected/)
  const confirm = new URL(String((await agency.get(back)).headers.location)).searchParams.get('confirm')
  const completed = await call('POST', `/connect-sessions/${first.id}/complete`, { body: { owner_id: 'first', confirm } })
  t.match(completed, { status: 201, body: { owner_id: 'first' } })
  t.match((await call('GET', `/connect-sessions/${second.id}`)).body, { status: 'completed', owner_id: 'second' })
  t.match((await agency.get(first.address)).text, 'Your account is connected')
  t.match((await agency.get(second.address)).text, 'Your account is connected')
  for (const { authorize_url, address } of [first, second])
    t.match(
      (await agency.get(authorize_url)).text,
      `href="${address.replace(config.publicUrl, '')}"`,
      'a dead end leads to its own page',
    )
  t.notMatch((await agency.get(`${config.redirectUri}?state=unknown`)).text, 'visit=', 'and one that is of neither, to none')
})

t.test('a browser keeps twenty pages and twenty departures; the oldest go', async (t) => {
  const { openSession, browser, config } = await startWorld(t)
  const agency = browser()
  const addresses: string[] = []
  for (let page = 0; page < 23; page++) {
    const opened = await openSession({ owner_id: `client-${page}` })
    addresses.push(String((await agency.get(opened.connect_url)).headers.location))
    await agency.get(opened.authorize_url)
    // Opened one by one, not within a millisecond.
    for (const [name, value] of agency.cookies) agency.cookies.set(name, value.replace(/[0-9a-z]{8}$/, aSecondBefore))
  }
  t.equal(agency.cookies.size, 40)
  t.ok([...agency.cookies].join('; ').length < 5000)
  t.same(await Promise.all(addresses.map(async (address) => (await agency.get(address)).status)), [
    ...[400, 400, 400],
    ...Array.from({ length: 20 }, () => 200),
  ])
  t.match((await agency.get(`${config.publicUrl}/connect`)).text, 'known as client-22')
})

t.test('while the tier service is silent the page shows the accounts and does not offer to connect', async (t) => {
  const { openSession, browser, config } = await startWorld(t, { env: { TIER_SERVICE_URL: 'http://127.0.0.1:9/' } })
  const person = browser()
  await person.get((await openSession(unasked)).connect_url)
  const page = await person.get(`${config.publicUrl}/connect`)
  t.match(page, { status: 200, text: /Connecting is not possible right now/ })
  t.notMatch(page.text, 'Connect TikTok</button>')
})

t.test('a page that cannot show all accounts says so, and shows the one its session is for', async (t) => {
  const { openSession, browser, config, connect, parts } = await startWorld(t)
  const account = await connect({ owner: 'many' })
  const see = async (session = {}) => {
    const visitor = browser()
    await visitor.get((await openSession({ ...unasked, owner_id: 'many', ...session })).connect_url)
    return (await visitor.get(`${config.publicUrl}/connect`)).text
  }
  const cards = (page: string) => page.match(/<article /g)?.length
  const add = (count: number) =>
    parts.db.run(
      'add_accounts',
      (sql) => sql`
        insert into accounts (id, owner_id, open_id, label, status, account_type, attested_at, attestation_version, age_confirmed_at, scopes)
        select 'acc_' || gen_random_uuid(), owner_id, gen_random_uuid(), 'One of many', status, account_type, now(), attestation_version, now(), scopes
        from accounts, generate_series(1, ${count}) where id = ${account.id}`,
    )
  await add(99)
  t.notMatch(await see(), 'Look for the others')
  await add(1)
  const page = await see()
  t.match(page, 'Only 100 of your accounts are shown here. Look for the others at 127.0.0.1:5999.')
  t.equal(cards(page), 100)

  // Sorts behind the hundred that are shown.
  const [last] = await parts.db.run(
    'last_account',
    (sql) => sql<{ id: string }[]>`
      with last as (select id from accounts where id <> ${account.id} order by id desc limit 1)
      update accounts a set label = 'The one that is meant' from last where a.id = last.id returning a.id`,
  )
  t.notMatch(await see(), 'The one that is meant')
  const meant = await see({ reconnect_account_id: last?.id })
  t.match(meant, 'This link is for The one that is meant only')
  t.equal(cards(meant), 101)
})

t.test('the badge says how old it is where there are no followers to say it', async (t) => {
  const { openSession, browser, config, connect, timePasses } = await startWorld(t)
  await connect({ owner: 'badge', person: 'jonas', decline: ['user.info.stats'] })
  await timePasses(3 * 3600)
  const visitor = browser()
  await visitor.get((await openSession({ ...unasked, owner_id: 'badge' })).connect_url)
  const { text } = await visitor.get(`${config.publicUrl}/connect`)
  t.match(text, 'Verified badge</span> <span class="small">(seen 3 hours ago)</span>')
})

t.test('what was not allowed is named, and uploads are promised to nobody who did not allow them', async (t) => {
  const { openSession, browser, config, connect } = await startWorld(t, { env: { TIKTOK_REQUIRED_SCOPES: 'user.info.basic' } })
  const page = async (owner: string, person: string, decline: string[]) => {
    await connect({ owner, person, decline })
    const visitor = browser()
    await visitor.get((await openSession({ ...unasked, owner_id: owner })).connect_url)
    return (await visitor.get(`${config.publicUrl}/connect`)).text
  }
  const few = await page('few', 'mara', ['user.info.profile', 'user.info.stats'])
  t.match(few, 'so far: “See your @username and your verified badge” and “See how many followers you have”. To change it')
  t.match(few, '20 of 20 uploads left')
  const none = await page('none', 'jonas', ['video.upload'])
  t.match(none, 'so far: “Send videos to your TikTok inbox”. Nothing can be uploaded like this.')
  t.notMatch(none, /uploads left|Uploads work/)
  t.match(none, 'Ask TikTok again')
})

t.test('a card says how many uploads are left, and when there is one more', async (t) => {
  const { openSession, browser, config, connect, call, timePasses } = await startWorld(t)
  const account = await connect({ owner: 'busy', person: 'mara' })
  const upload = async (key: string) => {
    const wish = { headers: { 'idempotency-key': key } }
    const { body } = await call<{ id: string }>('POST', `/accounts/${account.id}/uploads`, wish)
    t.match(await call('POST', `/accounts/${account.id}/uploads/${body.id}/commit`), { status: 200 })
  }
  await upload('first')
  await timePasses(2 * 3600)
  await upload('second')
  await upload('third')
  const visitor = browser()
  await visitor.get((await openSession({ ...unasked, owner_id: 'busy' })).connect_url)
  const { text } = await visitor.get(`${config.publicUrl}/connect`)
  t.match(text, /17 of 20 uploads left<.*<time datetime="[^"]+">next slot in 22 hours/s)
})

t.test('a name that nobody sees falls back to the @username, and one in Arabic turns no sentence around', async (t) => {
  const { openSession, browser, config, connect, parts } = await startWorld(t)
  const account = await connect({ owner: 'names', person: 'mara' })
  const see = async (names: { label?: string | null; displayName?: string; ownerName?: string }) => {
    const { label = null, displayName = 'Mara', ownerName } = names
    await parts.db.run('test', (sql) => sql`update accounts set label = ${label} where id = ${account.id}`)
    await parts.db.run(
      'test',
      (sql) => sql`update profiles set display_name = ${displayName}, picture = null where account_id = ${account.id}`,
    )
    const visitor = browser()
    const opened = await openSession({ ...unasked, owner_id: 'names', owner_name: ownerName })
    const { text } = await visitor.get(String((await visitor.get(opened.connect_url)).headers.location))
    const asks = /href="(\/connect\/accounts\/[^"]+disconnect[^"]+)"/.exec(text)?.[1] ?? ''
    return { text, asked: (await visitor.get(config.publicUrl + asks)).text }
  }
  for (const unseen of ['\u200b\u2060', '\u3164', '\u2800 \u00ad']) {
    const { text, asked } = await see({ displayName: unseen, label: unseen, ownerName: unseen })
    t.match(text, '<bdi>@maracooks</bdi></h3>')
    t.match(text, 'aria-hidden="true">m</span>')
    t.match(text, 'known as names.', 'and the owner is shown by their id')
    t.match(asked, '<h1>Disconnect @maracooks?</h1>')
  }
  const [arabic, apart] = ['نورة', '\u2068نورة\u2069']
  const { text, asked } = await see({ displayName: 'Mara', label: `\u202e${arabic}`, ownerName: arabic })
  t.match(text, `<bdi>${arabic}</bdi></h3>`)
  t.match(text, `known as ${apart}.`)
  t.match(text, '<li><bdi>Mara</bdi></li>')
  t.match(asked, `<h1>Disconnect ${apart}?</h1>`)
  t.notMatch((text + asked).replace(/ value="[^"]*"/g, ''), '\u202e', 'but where they edit it')
})

t.test('the picture is shown to the visitor and to nobody else', async (t) => {
  const { openSession, browser, config, connect } = await startWorld(t)
  const account = await connect()
  const person = browser()
  const url = `${config.publicUrl}/connect/accounts/${account.id}/avatar`
  t.equal((await person.get(url)).status, 400)
  await person.get((await openSession(unasked)).connect_url)
  t.match(await person.get(url), {
    status: 200,
    headers: { 'content-type': 'image/png', 'cache-control': 'private, max-age=600' },
  })
})

const tokenIn = (page: string): string => /name="form_token" value="([0-9a-f]{64})"/.exec(page)?.[1] ?? ''

t.test('S73: on the page of a link nothing is seen or done that its key may not', async (t) => {
  const world = await startWorld(t)
  const { browser, config, connect, call, key } = world
  const account = await connect({ owner: 'watched', session: { label: 'Secret shop' } })
  const page = `${config.publicUrl}/connect`
  const enter = async (...scopes: KeyScope[]) => {
    const body = { owner_id: 'watched', return_url: returnUrl }
    const { body: opened } = await call<{ connect_url: string; id: string }>('POST', '/connect-sessions', {
      key: await key('connect:write', ...scopes),
      body,
    })
    const person = browser()
    await person.get(opened.connect_url)
    const shown = await person.get(page)
    return { person, shown, id: opened.id, form_token: tokenIn(shown.text) }
  }
  const act = (visit: Awaited<ReturnType<typeof enter>>, what: string, more = {}) =>
    visit.person.post(`${page}/accounts/${account.id}/${what}`, { form_token: visit.form_token, ...more })
  const unchanged = async (why: string) =>
    t.match((await call('GET', `/accounts/${account.id}`)).body, { label: 'Secret shop', status: 'active' }, why)

  const blind = await enter()
  t.notMatch(blind.shown.text, /Secret shop|Mara|acc_/, 'it lists nothing')
  for (const path of ['avatar', 'disconnect'])
    t.match(await blind.person.get(`${page}/accounts/${account.id}/${path}`), { status: 403, text: /insufficient_scope/ }, path)
  t.equal((await act(blind, 'label', { label: 'mine' })).status, 403)
  t.equal((await act(blind, 'disconnect')).status, 403)
  await unchanged('with connect:write alone')

  const reader = await enter('accounts:read')
  t.match(reader.shown.text, 'Secret shop')
  t.notMatch(reader.shown.text, /\/(label|disconnect)"/, 'it offers no change')
  t.equal((await act(reader, 'label', { label: 'mine' })).status, 403)
  t.equal((await act(reader, 'disconnect')).status, 403)
  await unchanged('with accounts:read')

  const writer = await enter('accounts:read', 'accounts:write')
  t.equal((await act(writer, 'label', { label: 'Renamed' })).status, 303)
  t.match((await call('GET', `/accounts/${account.id}`)).body, { label: 'Renamed' })
  const { body: timeline } = await call('GET', `/accounts/${account.id}/timeline`)
  t.match(timeline, {
    entries: [{ kind: 'label_changed', actor: 'owner', via: { connect_session: writer.id, key_id: /^key_/ } }],
  })
  const opened = await world.parts.db.run(
    'audit',
    (sql) => sql`select actor from audit_log where action = 'connect_session_opened' and object = ${writer.id}`,
  )
  t.equal(opened[0]?.actor, timelineKey(timeline))
  t.equal((await act(writer, 'disconnect')).status, 303)
  t.match((await call('GET', `/accounts/${account.id}/timeline`)).body, {
    entries: [{ kind: String }, { kind: 'disconnected', actor: 'owner', via: { connect_session: writer.id } }],
  })
})

t.test('S73: with its key revoked a link opens nothing, and connects nothing', async (t) => {
  const { browser, config, openSession, parts } = await startWorld(t)
  const opened = await openSession({ completion: 'callback' })
  const person = browser()
  await person.get(opened.connect_url)
  t.equal((await person.get(`${config.publicUrl}/connect`)).status, 200)
  await parts.db.run('revoke', (sql) => sql`update api_keys set revoked_at = now()`)
  for (const url of [`${config.publicUrl}/connect`, opened.authorize_url])
    t.match(await person.get(url), { status: 400, text: /session_invalid/ })
  t.match(await browser().get(opened.connect_url), { status: 400, text: /session_invalid/ })
})

t.test('completion: callback has to be allowed, and the person is shown first who gets access', async (t) => {
  const careful = await startWorld(t, { env: { ALLOWED_COMPLETIONS: 'confirm' } })
  const body = {
    owner_id: 'anybody',
    return_url: returnUrl,
    completion: 'callback',
    account_type: 'creator',
    age_confirmed: true,
  }
  t.match(await careful.call('POST', '/connect-sessions', { body }), {
    status: 400,
    body: { code: 'validation_failed', detail: /ALLOWED_COMPLETIONS/ },
  })
  t.notMatch(careful.logged(), /ALLOWED_COMPLETIONS/)

  const { browser, config, openSession, logged, tiktok } = await startWorld(t)
  t.match(logged(), /ALLOWED_COMPLETIONS has callback/)
  const opened = await openSession({ completion: 'callback', owner_id: 'mallory' })
  const victim = browser()
  for (let tries = 0; tries < 2; tries++)
    t.match(
      await victim.get(opened.authorize_url),
      { status: 303, headers: { location: opened.connect_url } },
      'the link leads to the page',
    )
  await victim.get(opened.connect_url)
  const page = await victim.get(`${config.publicUrl}/connect`)
  t.match(page.text, /127\.0\.0\.1:5999 gets access to your TikTok account, for mallory/)
  t.match(await victim.get(opened.authorize_url), { headers: { location: opened.connect_url } }, 'seen is not agreed to')
  const session = new URL(opened.connect_url).searchParams.get('session') ?? ''
  await victim.post(`${config.publicUrl}/connect`, { ...answers, session })
  t.match(
    await victim.get(opened.authorize_url),
    { headers: { location: opened.connect_url } },
    'nor is a form that knows the link alone',
  )
  await victim.post(`${config.publicUrl}/connect`, { ...answers, form_token: tokenIn(page.text) })
  t.ok(String((await victim.get(opened.authorize_url)).headers.location).startsWith(tiktok.url))
  t.match(await browser().get(opened.authorize_url), { status: 400, text: /browser_mismatch/ }, 'and for nobody else')
})

t.test(
  'the page says who gets access before TikTok where the web app asks for it, and calls the person by their name',
  async (t) => {
    const { browser, config, openSession, call, connect, tiktok } = await startWorld(t)
    const opened = await openSession({
      prompt: 'consent',
      owner_name: 'Dana <dana@example.com>',
      owner_id: 'u-8f3a',
      expires_in: 14_400,
    })
    const person = browser()
    t.match(await person.get(opened.authorize_url), { status: 303, headers: { location: opened.connect_url } })
    await person.get(opened.connect_url)
    const page = await person.get(`${config.publicUrl}/connect`)
    t.match(page.text, 'gets access to your TikTok account, for Dana &#60;dana@example.com&#62;')
    t.notMatch(page.text, 'u-8f3a')
    t.match(page.text, /open for [34] hours/)
    t.match(page.text, 'value="creator" required checked', 'what the web app has told stands there')
    await person.post(`${config.publicUrl}/connect`, { ...answers, form_token: tokenIn(page.text) })
    t.ok(String((await person.get(opened.authorize_url)).headers.location).startsWith(tiktok.url))

    const account = await connect({ owner: 'u-8f3a' })
    const again = await openSession({ owner_id: 'u-8f3a', prompt: 'consent', reconnect_account_id: account.id })
    const returning = browser()
    t.match(await returning.get(again.authorize_url), { headers: { location: again.connect_url } }, 'also who comes back')
    const asked = await returning.get(String((await returning.get(again.connect_url)).headers.location))
    t.match(asked.text, 'gets access to your TikTok account, for u-8f3a')
    const reconnect = `${config.publicUrl}/connect/accounts/${account.id}/reconnect`
    const gone = await returning.post(reconnect, { form_token: tokenIn(asked.text) })
    t.ok(String(gone.headers.location).startsWith(tiktok.url))

    const body = { owner_id: 'u-8f3a', return_url: returnUrl }
    for (const locale of ['de', 'de-AT', 'pt-br', 'it', 'zh-Hant-TW'])
      t.equal((await call('POST', '/connect-sessions', { body: { ...body, locale } })).status, 201, locale)
    for (const locale of ['', 'pt_BR', 'x', 'de-', 'German!', 'a'.repeat(101)])
      t.match(await call('POST', '/connect-sessions', { body: { ...body, locale } }), {
        status: 400,
        body: { errors: [{ pointer: '/locale' }] },
      })
  },
)

t.test('the page speaks the language of the session, else the browser’s, and what is chosen on it holds', async (t) => {
  const { openSession, browser, config, call } = await startWorld(t)
  const open = async (locale: string | undefined, acceptLanguage?: string) => {
    const person = browser(acceptLanguage)
    const entered = await person.get((await openSession({ ...unasked, locale })).connect_url)
    const address = String(entered.headers.location)
    return { person, address, page: await person.get(address) }
  }
  const spoken = async (locale: string | undefined, acceptLanguage?: string) =>
    /<html lang="([^"]+)" dir="[^"]+">/.exec((await open(locale, acceptLanguage)).page.text)?.[1]
  t.equal(await spoken('de-AT', 'fr'), 'de', 'the session goes before the browser')
  t.equal(await spoken('pt', 'fr'), 'pt-BR', 'any Portuguese is nearer than English')
  t.equal(await spoken('it', 'da, fr;q=0.2, es-MX;q=0.7, en;q=0.1'), 'es', 'where the session asks for none of ours, by weight')
  t.equal(await spoken(undefined, 'ja;q=0, de;q=0.001, *;q=0'), 'de')
  t.equal(await spoken(undefined, 'nl, *;q=0.5'), 'en')
  t.equal(await spoken(undefined, ';;,q=1,de;q=2,\u00e4,-'), 'en', 'nonsense asks for nothing')
  t.equal(await spoken(undefined), 'en')

  const { person, address, page } = await open('de', 'fr')
  t.match(page.headers, { 'content-language': 'de', vary: 'Accept-Language, Cookie', 'cache-control': 'no-store' })
  const href = /<a href="([^"]+)" lang="ar"/.exec(page.text)?.[1]?.replaceAll('&#38;', '&') ?? ''
  const arabic = await person.get(config.publicUrl + href)
  t.match(arabic.text, /<html lang="ar" dir="rtl">/)
  t.match(arabic.headers['set-cookie'], /^tts-language=ar; Path=\/; HttpOnly; SameSite=Lax$/)
  t.match((await person.get(address)).text, '<html lang="ar"', 'it is remembered')
  const form = { form_token: tokenIn(page.text) }
  const refused = await person.post(`${config.publicUrl}/connect`, { ...form, account_type: 'other', age_confirmed: 'yes' })
  t.match((await person.get(String(refused.headers.location))).text, 'صناعة محتوى')
  t.match(
    (await person.get(`${config.publicUrl}/callback?state=${'x'.repeat(43)}`)).text,
    /<html lang="ar" dir="rtl">.*state_invalid/s,
  )
  t.equal((await person.get(`${address}&lang=tlh`)).status, 400, 'there are seven')

  const denied = await browser('es').get(`${config.publicUrl}/callback`)
  t.match(denied, { status: 400, text: /TikTok te devolvió sin tu comprobante/, headers: { 'content-language': 'es' } })
  const wrong = await call('GET', '/connect-sessions/cs_unknown', { headers: { 'accept-language': 'de' } })
  t.match(wrong, { status: 404, body: { title: 'No such connect session' } }, 'problems for programs stay English')
})

t.test('what was attested names the wording and the language it was asked in', async (t) => {
  const { openSession, browser, config, tiktok, call } = await startWorld(t)
  const opened = await openSession({ ...unasked, locale: 'ja' })
  const person = browser()
  await person.get(opened.connect_url)
  const page = await person.get(`${config.publicUrl}/connect`)
  await person.post(`${config.publicUrl}/connect`, { ...answers, form_token: tokenIn(page.text) })
  const decided = tiktok.authorize({
    authorize_url: String((await person.get(opened.authorize_url)).headers.location),
    person: 'mara',
  })
  const back = await person.get('redirect_to' in decided ? decided.redirect_to : '')
  const confirm = new URL(String(back.headers.location)).searchParams.get('confirm')
  const completed = await call('POST', `/connect-sessions/${opened.id}/complete`, { body: { owner_id: 'user_42', confirm } })
  t.match(completed.body, { account_type: { wording: `${attestationVersion}.ja` } })
})

t.test('S73: a tier needs owners:write, also with a connect session', async (t) => {
  const { call, key } = await startWorld(t)
  const body = { owner_id: 'climber', return_url: returnUrl, tier: 'business' }
  t.match(await call('POST', '/connect-sessions', { key: await key('connect:write'), body }), {
    status: 403,
    body: { code: 'insufficient_scope' },
  })
  t.equal((await call('GET', '/owners/climber')).status, 404)
  t.equal((await call('POST', '/connect-sessions', { key: await key('connect:write', 'owners:write'), body })).status, 201)
})

const visitIn = (address: string) => new URL(address).searchParams.get('visit') ?? ''
const aSecondBefore = (time: string) => (Number.parseInt(time, 36) - 1000).toString(36)
const timelineKey = (timeline: Record<string, unknown>) => (timeline.entries as { via: { key_id: string } }[])[0]?.via.key_id

t.test('a page that tells of a failure says it in every language, and echoes nothing', async (t) => {
  const { openSession, browser, config, tiktok } = await startWorld(t)
  const nobodys = 'x'.repeat(43)
  const saidIn = (text: string) =>
    new Set(Array.from(text.matchAll(/<div lang="([^"]+)" dir="(?:ltr|rtl)"><h2>[^<]+<\/h2><p>[^<]+/g), ([, lang]) => lang))
  const others = (present: string) => new Set(languageCodes.filter((language) => language !== present))
  for (const path of [
    '/connect',
    '/connect/nowhere',
    `/connect?session=${nobodys}`,
    '/connect/accounts/acc_1/disconnect',
    `/authorize?session=${nobodys}`,
    '/authorize/',
    '/callback',
    `/callback?code=abc&state=${nobodys}`,
  ]) {
    const { text } = await browser('de').get(config.publicUrl + path)
    t.match(text, '<html lang="de"', path)
    t.same(saidIn(text), others('de'), path)
    t.notMatch(text, nobodys, path)
  }
  const { text } = await browser().get(`${config.publicUrl}/callback`)
  t.match(
    text,
    /<details name="language"><summary lang="es"[^>]*>Español<\/summary><div lang="es" dir="ltr"><h2>TikTok te devolvió sin tu comprobante/,
  )
  t.match(text, /<div lang="ar" dir="rtl">/)

  const person = browser('fr')
  t.same(saidIn((await person.post(`${config.publicUrl}/connect`, { form_token: nobodys })).text), others('fr'), 'of a form too')
  const entered = await person.get((await openSession(unasked)).connect_url)
  const page = await person.get(String(entered.headers.location))
  t.match(page.text, /<a href="[^"]+lang=ar" lang="ar"/, 'a page that can be asked for again has links')
  t.notMatch(page.text, '<details name="language">')
  t.equal(tiktok.stats.report().requests, 0)
})
