// People on the hosted page, in a real browser, against the real service and TikTok's simulator.
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { request } from 'undici'
import type { Account } from '../../src/account/account.ts'
import { type BrowserWorld, sizes, startBrowserWorld } from '../rig/browser-world.ts'
import { noChromium } from '../rig/chromium.ts'
import { eventually } from '../rig/eventually.ts'
import { noticeBody, sendNotice } from '../rig/notice.ts'
import { allow, tooWide } from '../rig/page.ts'

t.test('the hosted page', { skip: noChromium }, async (t) => {
  const world = await startBrowserWorld(t)
  const { link, visitor, call, connect, picture, timePasses, parts } = world
  const open = async (t: Test, owner: string, options: Parameters<BrowserWorld['visitor']>[1] = {}, session = {}) => {
    const page = await visitor(t, options)
    const opened = await link(owner, session)
    await page.goto(opened.connect_url)
    return { page, ...opened }
  }
  const accountsOf = async (owner: string) =>
    (await call<{ accounts: Account[] }>('GET', `/accounts?owner_id=${owner}`)).body.accounts.filter(
      ({ status }) => status !== 'disconnected',
    )

  for (const size of ['desktop', 'phone'] as const) {
    // What the page can do without a script, it does on the phone without one.
    const javaScriptEnabled = size === 'desktop'
    const view = { viewport: sizes[size] }

    t.test(
      `on a ${size}, ${javaScriptEnabled ? 'with' : 'without'} JavaScript, a person connects and allows everything`,
      async (t) => {
        const owner = `everything-${size}`
        const person = size === 'desktop' ? 'jonas' : 'mara'
        const { page } = await open(t, owner, { ...view, javaScriptEnabled })
        t.match(page.url(), /\/connect\?visit=[0-9a-f]{16}$/, 'the secret has left the address')
        await answer(page, 'Creator')
        await allow(page, person)
        t.equal(await page.locator('h1').textContent(), 'connected')

        const [account] = await accountsOf(owner)
        t.match(account, { status: 'active', account_type: { value: 'creator', source: 'self_attested' }, missing_scopes: [] })
        const after = await open(t, owner, { ...view, javaScriptEnabled })
        const card = after.page.getByRole('article', { name: String(account?.profile.display_name) })
        t.match(
          await card.textContent(),
          person === 'jonas' ? /@jonaslindqvist.*Verified badge.*4,812,337 followers/s : /@maracooks.*48,210 followers/s,
        )
        t.match(await card.textContent(), /followers \(seen now\).*Creator \(your own statement\).*20 of 20 uploads left/s)
        t.equal(await tooWide(after.page), 0)
      },
    )
  }

  // How wide every page is on other screens, look.test.ts looks at.
  const phone = { viewport: sizes.phone }

  t.test('whoever declines something optional is connected, and told what is missing', async (t) => {
    const owner = 'some-declined'
    const person = someone(world, owner)
    const { page } = await open(t, owner, phone)
    await answer(page, 'Business')
    await allow(page, person, ['user.info.stats'])
    t.equal(await page.locator('h1').textContent(), 'connected')
    t.match(await accountsOf(owner), [{ account_type: { value: 'business' }, missing_scopes: ['user.info.stats'] }])
    const after = await open(t, owner, phone)
    t.match(
      await after.page.getByRole('article').textContent(),
      /Followers unknown.*Not allowed at TikTok so far: “See how many followers you have”/s,
    )
    t.equal(await tooWide(after.page), 0)

    await after.page.getByRole('button', { name: `Ask TikTok again for Person ${person}` }).click()
    await allow(after.page, person)
    t.equal(await after.page.locator('h1').textContent(), 'connected')
    t.match(await accountsOf(owner), [{ account_type: { value: 'business' }, missing_scopes: [] }])
  })

  t.test('whoever declines what is needed is not connected', async (t) => {
    const owner = 'needed-declined'
    const { page } = await open(t, owner, phone)
    await answer(page, 'Creator')
    await allow(page, 'zsofia', ['video.upload'])
    t.equal(await page.locator('h1').textContent(), 'scope_not_granted')
    t.same(await accountsOf(owner), [])
    await page.goto(`${world.config.publicUrl}/connect`)
    t.equal(await page.locator('h1').textContent(), 'A permission that is needed was not given')
    t.equal(await tooWide(page), 0)
  })

  t.test('whoever says no at TikTok is sent back with that', async (t) => {
    const { page } = await open(t, 'denied', phone)
    await answer(page, 'Creator')
    await page.getByRole('button', { name: 'Deny' }).click()
    t.equal(await page.locator('h1').textContent(), 'failed access_denied')
    await page.goto(`${world.config.publicUrl}/connect`)
    t.equal(await page.locator('h1').textContent(), 'You did not allow it at TikTok')
    t.equal(await tooWide(page), 0)
    await page.getByRole('link', { name: /^Back to/ }).click()
    t.match(page.url(), /\/tiktok\/return\?connect_session=cs_\w+&status=failed&error=access_denied$/)
  })

  t.test('where all places are used, the page says so instead of offering to connect', async (t) => {
    const owner = 'full'
    await connect({ owner, person: someone(world, owner), session: { tier: 'free' } })
    const { page } = await open(t, owner, phone)
    t.match(await page.locator('main').textContent(), /1 of 1 places used.*All places are used/s)
    t.equal(await page.getByRole('link', { name: 'Connect another account' }).count(), 0, 'and no link promises it')
    t.equal(await page.getByRole('button', { name: 'Connect TikTok' }).count(), 0)
    t.equal(await tooWide(page), 0)
  })

  t.test('a place that was taken meanwhile is not connected twice', async (t) => {
    const owner = 'meanwhile'
    const [quicker, slower] = [someone(world, `${owner}-1`), someone(world, `${owner}-2`)]
    const { page } = await open(t, owner, phone, { tier: 'free' })
    await answer(page, 'Creator')
    await connect({ owner, person: quicker })
    await allow(page, slower)
    t.equal(await page.locator('h1').textContent(), 'account_limit_reached')
    t.equal((await accountsOf(owner)).length, 1)
  })

  t.test('whoever is neither is told what to do, and stays on the page', async (t) => {
    const { page, id } = await open(t, 'personal', phone)
    await answer(page, 'Neither, or not sure')
    t.match(
      await page.getByRole('alert').textContent(),
      /If you post as yourself, choose Creator: a personal account at TikTok is right for it.*Settings and privacy/s,
    )
    t.equal(await page.locator(':focus').getAttribute('role'), 'alert', 'a screen reader starts there')
    await page.getByRole('alert').getByRole('link').click()
    await page.keyboard.press('Tab')
    t.match(await focused(page), /account_type/)
    t.equal(await tooWide(page), 0)
    t.match((await call('GET', `/connect-sessions/${id}`)).body, { status: 'pending' })
  })

  t.test('a link preview takes nothing, and many may look, but the first who acts keeps the link', async (t) => {
    const opened = await link('preview')
    for (const method of ['GET', 'HEAD', 'GET'])
      await request(opened.connect_url, { method: method as 'GET', headers: { 'user-agent': 'Slackbot-LinkExpanding 1.0' } })
    const [mine, theirs, late] = [await visitor(t, phone), await visitor(t, phone), await visitor(t, phone)]
    await mine.goto(opened.connect_url)
    await theirs.goto(opened.connect_url)
    t.equal(await theirs.locator('h1').textContent(), 'Connect a TikTok account')

    await answer(mine, 'Creator')
    t.match(mine.url(), world.tiktok.url)
    await answer(theirs, 'Creator')
    t.equal(await theirs.locator('h1').textContent(), 'This was started in another browser')
    for (const url of [opened.connect_url, opened.authorize_url]) {
      const answered = await late.goto(url)
      t.equal(answered?.status(), 400)
      t.match(await late.locator('main').textContent(), /This was started in another browser.*browser_mismatch/s)
    }
    t.equal(await tooWide(late), 0)
    await picture(late, 'another-browser')
    await mine.goto(opened.connect_url)
    t.equal(await mine.locator('h1').textContent(), 'Connect a TikTok account', 'the first browser goes on')
  })

  t.test('a name is given, changed and taken away', async (t) => {
    const owner = 'named'
    const { id } = await connect({ owner, person: someone(world, owner) })
    const { page } = await open(t, owner, { ...phone, javaScriptEnabled: false })
    const rename = async (from: string, to: string) => {
      await page.getByLabel(`Rename ${from}`).click()
      await page.getByLabel('Name for this account').fill(to)
      await page.getByRole('button', { name: 'Save' }).click()
      return page.getByRole('status').textContent()
    }
    t.equal(await rename(`Person ${owner}`, '<b>Shop</b> & "Söhne"'), 'The name was saved.')
    t.equal(await page.getByRole('article', { name: '<b>Shop</b> & "Söhne"' }).count(), 1)
    t.equal(await tooWide(page), 0)
    t.match(await accountsOf(owner), [{ label: '<b>Shop</b> & "Söhne"' }])
    t.match(await rename('<b>Shop</b>', '  '), 'The name was removed')
    t.match(await accountsOf(owner), [{ label: null }])
    t.match((await call<{ entries: object[] }>('GET', `/accounts/${id}/timeline`)).body.entries, [
      { kind: 'label_changed', actor: 'owner' },
      { kind: 'label_changed', actor: 'owner' },
      {},
    ])
  })

  t.test('an account is disconnected after being asked, and TikTok is told', async (t) => {
    const owner = 'leaving'
    const account = await connect({ owner, person: someone(world, owner), session: { label: 'Old shop' } })
    const { page } = await open(t, owner, phone)
    await page.getByRole('link', { name: 'Disconnect Old shop' }).click()
    t.equal(await tooWide(page), 0)
    await page.getByRole('link', { name: 'Keep it connected' }).click()
    t.equal((await accountsOf(owner)).length, 1)

    await page.getByRole('link', { name: 'Disconnect Old shop' }).click()
    await page.getByRole('button', { name: 'Disconnect' }).click()
    t.match(await page.getByRole('status').textContent(), 'The account was disconnected, and TikTok has confirmed it.')
    t.equal(await page.getByRole('article').count(), 0)
    t.match((await call('GET', `/accounts/${account.id}`)).body, {
      status: 'disconnected',
      status_reason: 'disconnected_by_owner',
    })
    const { entries } = (await call<{ entries: { kind: string; actor: string }[] }>('GET', `/accounts/${account.id}/timeline`))
      .body
    t.match(
      entries.find(({ kind }) => kind === 'disconnected'),
      { actor: 'owner' },
    )
    await page.goBack()
    await page.reload()
    t.match(await page.getByRole('alert').textContent(), 'This account was disconnected already.')
  })

  t.test('an account that needs its person is reconnected by that TikTok account, and by no other', async (t) => {
    const owner = 'again'
    const [person, somebodyElse] = [someone(world, `${owner}-1`), someone(world, `${owner}-2`)]
    const account = await connect({ owner, person })
    await parts.db.run(
      'test',
      (sql) =>
        sql`update accounts set status = 'reauthorization_required', status_reason = 'refresh_token_rejected' where id = ${account.id}`,
    )
    const other = await open(t, owner, phone)
    t.equal(await tooWide(other.page), 0)
    await other.page.getByRole('button', { name: `Reconnect Person ${person}` }).click()
    await allow(other.page, somebodyElse)
    t.equal(await other.page.locator('h1').textContent(), 'account_mismatch')

    const { page } = await open(t, owner, phone)
    await page.getByRole('button', { name: `Reconnect Person ${person}` }).click()
    await allow(page, person)
    t.equal(await page.locator('h1').textContent(), 'connected')
    t.match(await accountsOf(owner), [{ id: account.id, status: 'active', account_type: account.account_type }])
    const { entries } = (await call<{ entries: { kind: string; actor: string }[] }>('GET', `/accounts/${account.id}/timeline`))
      .body
    t.equal(entries.filter(({ kind, actor }) => kind === 'reconnect_started' && actor === 'owner').length, 2)
  })

  t.test('the age has to be confirmed', async (t) => {
    const { page } = await open(t, 'age')
    await page.getByRole('radio', { name: 'Creator' }).check()
    await page.getByRole('button', { name: 'Connect TikTok' }).click()
    t.match(page.url(), /\/connect\?visit=[0-9a-f]{16}$/, 'the browser itself asks first')
    await page.locator('form').evaluate((form) => form.setAttribute('novalidate', ''))
    await page.getByRole('button', { name: 'Connect TikTok' }).click()
    t.match(await page.getByRole('alert').textContent(), /18 or older/)
    t.match(await page.getByRole('group', { name: 'Your age' }).textContent(), /Confirm your age to go on/)
  })

  t.test('what TikTok ended is told, with the day and the reason, and with nothing personal', async (t) => {
    const reasons = [
      [1, /The permission was taken back at TikTok/],
      [2, /TikTok says that this account was deleted/],
      [3, /because of the age given at TikTok/],
      [4, /TikTok says that this account was banned/],
    ] as const
    const end = async (id: string, reason: number | 'by the owner') => {
      const account = await connect({ owner: 'ended', person: someone(world, id), session: { label: `Label ${id}` } })
      if (reason === 'by the owner') await call('DELETE', `/accounts/${account.id}`)
      else await sendNotice(world, { body: noticeBody(world, { user_openid: account.open_id, content: { reason } }) })
      // A notice is acted upon after its answer.
      await eventually('the account has ended', async () => (await accountsOf('ended')).length === 0)
    }
    await end('ended-0', 4)
    await timePasses(31 * 86_400)
    for (const [reason] of reasons) await end(`ended-${reason}`, reason)
    await end('ended-5', 'by the owner')

    const { page } = await open(t, 'ended')
    const ended = page.getByRole('region', { name: 'No longer connected' })
    const told = await ended.getByRole('listitem').allTextContents()
    t.equal(told.length, reasons.length, 'neither what is long ago nor what the owner did')
    for (const [index, [, words]] of [...reasons].reverse().entries()) {
      t.match(told[index], words, 'newest first')
      t.match(told[index], /^\w+ \d+, \d{4} .*It had been connected since \w+ \d+, \d{4}\.$/)
    }
    t.notMatch(await page.locator('main').textContent(), /Person ended|Label ended|@ended/)
    t.ok(await page.getByRole('button', { name: 'Connect TikTok' }).isVisible())
    await picture(page, 'ended')
  })

  t.test('what was meant as a reconnect stays one, whatever is begun in another tab', async (t) => {
    const [person, somebodyElse] = [someone(world, 'tabs-1'), someone(world, 'tabs-2')]
    const account = await connect({ owner: 'tabs', person })
    await parts.db.run('test', (sql) => sql`update accounts set status = 'reauthorization_required' where id = ${account.id}`)
    const { page } = await open(t, 'tabs')
    const tab = await page.context().newPage()
    await tab.goto(`${world.config.publicUrl}/connect`)
    await page.getByRole('button', { name: /^Reconnect/ }).click()
    await answer(tab, 'Creator')
    await allow(page, somebodyElse)
    t.equal(await page.locator('h1').textContent(), 'account_mismatch')
    t.equal((await accountsOf('tabs')).length, 1)
  })

  t.test('an agency has the pages of two clients open; each stays its own through forms, reload, Back and TikTok', async (t) => {
    const clients = ['client-a', 'client-b'] as const
    for (const owner of clients) await connect({ owner, person: someone(world, `${owner}-1`) })
    const { page: first } = await open(t, 'client-a')
    const second = await first.context().newPage()
    await second.goto((await link('client-b', { owner_name: 'Client B' })).connect_url)
    const tabs = [
      { tab: first, owner: 'client-a', name: 'client-a' },
      { tab: second, owner: 'client-b', name: 'Client B' },
    ]
    const isOf = async (tab: Page, name: string) =>
      t.match(await tab.locator('header').textContent(), new RegExp(`known as ${name}`))
    for (const { tab, owner, name } of tabs) {
      await tab.reload()
      await isOf(tab, name)
      t.match(await tab.getByRole('article').textContent(), `Person ${owner}-1`)
      await tab.getByText('Rename', { exact: false }).first().click()
      await tab.getByLabel('Name for this account').fill(`Shop of ${owner}`)
      await tab.getByRole('button', { name: 'Save' }).click()
      t.match(await tab.getByRole('status').textContent(), /name was saved/)
    }
    for (const { tab, owner, name } of tabs) {
      await tab.getByRole('link', { name: /^Disconnect/ }).click()
      t.match(await tab.locator('h1').textContent(), `Disconnect Shop of ${owner}?`)
      await tab.goBack()
      await isOf(tab, name)
      await tab.goForward()
      await tab.getByRole('link', { name: 'Keep it connected' }).click()
      await isOf(tab, name)
      t.ok(await tab.evaluate('document.querySelector("article img")?.naturalWidth !== 0'), 'with its picture')
    }
    for (const { owner } of tabs) someone(world, `${owner}-2`)
    for (const { tab } of tabs) await answer(tab, 'Creator')
    for (const { tab, owner } of tabs) {
      await allow(tab, `${owner}-2`)
      t.equal(await tab.locator('h1').textContent(), 'connected')
      t.same(
        (await accountsOf(owner)).map(({ label }) => label),
        [`Shop of ${owner}`, null],
      )
    }
  })

  t.test('a session made to reconnect one account offers nothing else', async (t) => {
    const account = await connect({ owner: 'only', person: someone(world, 'only-1') })
    await connect({ owner: 'only', person: someone(world, 'only-2') })
    const { page } = await open(t, 'only', {}, { reconnect_account_id: account.id })
    t.match(await page.locator('#connect').textContent(), /Reconnect this account.*Person only-1 only/s)
    t.equal(await page.getByRole('button', { name: 'Connect TikTok' }).count(), 0)
    await page.locator('#connect').getByRole('button', { name: 'Reconnect' }).click()
    await allow(page, 'only-1')
    t.equal(await page.locator('h1').textContent(), 'connected')
  })

  t.test('with the keyboard alone a person finds the way through, and sees where they are', async (t) => {
    const { page } = await open(t, 'keyboard', { javaScriptEnabled: false })
    await page.keyboard.press('Tab')
    t.match(await focused(page), /Skip to the content/)
    t.ok(await page.getByText('Skip to the content').isVisible())
    await page.keyboard.press('Enter')
    await page.keyboard.press('Tab')
    t.match(await focused(page), /value="creator"/)
    await picture(page, 'keyboard')
    await page.keyboard.press('ArrowDown')
    t.ok(await page.getByRole('radio', { name: 'Business' }).isChecked())
    await page.keyboard.press('Tab')
    await page.keyboard.press('Space')
    t.ok(await page.getByRole('checkbox', { name: 'I am 18 or older.' }).isChecked())
    await page.keyboard.press('Tab')
    t.match(await focused(page), /Connect TikTok/)
    await page.keyboard.press('Enter')
    await page.waitForURL(`${world.tiktok.url}/**`)
  })

  t.test('a form without its token, from elsewhere, or for somebody else’s account changes nothing', async (t) => {
    const mine = await connect({ owner: 'mine', person: someone(world, 'mine-1') })
    const theirs = await connect({ owner: 'theirs', person: someone(world, 'theirs-1'), session: { label: 'Theirs' } })
    const { page, connect_url: connectUrl } = await open(t, 'mine')
    const token = String(await page.locator('input[name=form_token]').first().inputValue())
    const send = (path: string, form: Record<string, string>, headers = {}) =>
      page.request.post(`${world.config.publicUrl}${path}`, { form, headers, maxRedirects: 0 })

    t.equal((await send(`/connect/accounts/${mine.id}/disconnect`, {})).status(), 400)
    t.equal((await send(`/connect/accounts/${mine.id}/disconnect`, { form_token: 'f'.repeat(64) })).status(), 400)
    for (const headers of [
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { origin: 'https://evil.example' },
    ])
      t.equal((await send(`/connect/accounts/${mine.id}/disconnect`, { form_token: token }, headers)).status(), 400)
    for (const path of ['disconnect', 'reconnect', 'label']) {
      const form = { form_token: token, ...(path === 'label' ? { label: 'x' } : {}) }
      const answered = await send(`/connect/accounts/${theirs.id}/${path}`, form)
      t.match(answered.headers().location, /failed=account_not_found/)
    }
    for (const path of ['disconnect', 'avatar'])
      t.not(
        (await page.request.get(`${world.config.publicUrl}/connect/accounts/${theirs.id}/${path}`, { maxRedirects: 0 })).status(),
        200,
      )
    t.match(await accountsOf('mine'), [{ id: mine.id, status: 'active' }])
    t.match(await accountsOf('theirs'), [{ id: theirs.id, status: 'active', label: 'Theirs' }])

    const [cookie] = (await page.context().cookies()).filter(({ name }) => name.startsWith('tts-visit-'))
    t.match(cookie, { httpOnly: true, sameSite: 'Lax', path: '/' })
    const secret = new URL(connectUrl).searchParams.get('session') ?? ''
    for (const hidden of [secret, token, cookie?.value ?? '']) t.notMatch(world.logged(), hidden, 'the log holds no secret')
  })

  /** The browser does so by itself, with its cookies, in both ways that a page of the same origin can ask for. */
  async function prefetch(page: Page, url: string): Promise<void> {
    const there = `${world.config.publicUrl}/page-of-a-proxy`
    const answered = new RegExp(`"route":"${new URL(url).pathname}","status":503`, 'g')
    const refused = () => world.logged().match(answered)?.length ?? 0
    const rules = JSON.stringify({ prefetch: [{ source: 'list', urls: [url], eagerness: 'immediate' }] })
    for (const body of [
      `<link rel="prefetch" href="${url.replaceAll('&', '&amp;')}">`,
      `<script type="speculationrules">${rules}</script>`,
    ]) {
      await page.route(there, (route) => route.fulfill({ contentType: 'text/html', body }))
      const before = refused()
      await page.goto(there)
      await eventually('the browser has prefetched', () => refused() > before)
    }
  }

  t.test('F63: a prefetch of the way back, a reload and the back button end where the person was going', async (t) => {
    const owner = 'reloads'
    const person = someone(world, owner)
    const { page, id, authorize_url: authorizeUrl } = await open(t, owner, {}, { account_type: 'creator', age_confirmed: true })
    await prefetch(page, authorizeUrl)
    t.match((await call('GET', `/connect-sessions/${id}`)).body, { status: 'pending' }, 'nobody has set out')
    await page.goto(authorizeUrl)
    const decided = world.tiktok.authorize({ authorize_url: page.url(), person })
    if (!('redirect_to' in decided)) throw new Error(JSON.stringify(decided))
    const callback = decided.redirect_to
    await prefetch(page, callback)
    t.match((await call('GET', `/connect-sessions/${id}`)).body, { status: 'authorizing' }, 'it took nothing')

    const arrives = async (walk: () => Promise<unknown>) => {
      await walk()
      return page.locator('h1').textContent()
    }
    t.equal(await arrives(() => page.goto(callback)), 'connected')
    t.match(page.url(), /\/tiktok\/return\?connect_session=cs_\w+&confirm=/, 'and the code has left the address')
    t.equal(await arrives(() => page.goto(callback)), 'connected', 'from the history')
    await page.goBack()
    t.equal(await arrives(() => page.goForward()), 'connected')
    t.equal((await accountsOf(owner)).length, 1)
    t.equal(world.tiktok.stats.report().exchange_refused, 0)
  })

  t.test('after ten minutes the page has closed, and says how to go on', async (t) => {
    await connect({ owner: 'late', person: someone(world, 'late-1') })
    const { page, connect_url: connectUrl } = await open(t, 'late')
    t.equal(await page.getByRole('article').count(), 1)
    await timePasses(601)
    await page.getByRole('link', { name: /^Disconnect/ }).click()
    t.equal(await page.locator('h1').textContent(), 'This link is too old')
    const answered = await page.goto(`${world.config.publicUrl}/connect`)
    t.equal(answered?.status(), 410)
    t.equal(await page.locator('h1').textContent(), 'This page has closed')
    t.equal(await page.getByRole('article').count(), 0)
    await picture(page, 'expired')
    const stranger = await visitor(t)
    await stranger.goto(connectUrl)
    t.equal(await stranger.locator('h1').textContent(), 'This link is too old')
    await stranger.goto(`${world.config.publicUrl}/connect`)
    t.equal(await stranger.locator('h1').textContent(), 'This link does not work any more')
  })
})

/** What the page asks, and the button. */
async function answer(page: Page, type: string): Promise<void> {
  await page.getByRole('radio', { name: type }).check()
  await page.getByRole('checkbox', { name: 'I am 18 or older.' }).check()
  await page.getByRole('button', { name: 'Connect TikTok' }).click()
}

/** The element that has the focus, as markup. */
const focused = (page: Page): Promise<string> => page.locator(':focus').evaluate((element) => element.outerHTML)

/** One more person at TikTok: each TikTok account can be connected once. */
function someone({ tiktok }: BrowserWorld, id: string): string {
  tiktok.people.add({ id, display_name: `Person ${id}`, username: id.replace('-', '.') })
  return id
}
