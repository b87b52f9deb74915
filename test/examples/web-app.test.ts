// The example web app against the real service: what an integrator would copy has to be right.
import t from 'tap'
import { freePort } from '../../examples/demo/ports.ts'
import { startWebApp } from '../../examples/web-app/server.ts'
import type { Account } from '../../src/account/account.ts'
import { type Answer, type Browser, startWorld, type World } from '../world.ts'

interface Person {
  browser: Browser
  see(path?: string): Promise<Answer<string>>
  /** Posts one of the page's forms, with the token that is on the page. */
  send(path: string, form?: Record<string, string>): Promise<Answer<string>>
  /** Connects through TikTok. @returns the page people see in the end */
  connect(decision: { person?: string; decline?: string[]; deny?: boolean }): Promise<string>
  /** Reconnects an account, by way of the service's page. @returns the page people see in the end */
  reconnect(id: string, decision: { person: string }): Promise<string>
}

let world: World
let app = ''
const cookieSecret = 'a cookie secret for tests'

t.before(async () => {
  const port = await freePort(0)
  app = `http://127.0.0.1:${port}`
  world = await startWorld(t, { env: { ALLOWED_RETURN_URLS: `${app}/tiktok/return`, DEFAULT_TIER: 'free' } })
  const webApp = await startWebApp({
    port,
    serviceUrl: world.app.url,
    tiktokUrl: world.tiktok.url,
    webAppKey: await world.key('connect:write', 'accounts:read', 'accounts:write', 'owners:write'),
    uploadKey: await world.key('tokens:read'),
    cookieSecret,
  })
  t.teardown(() => webApp.close())
})

async function visitor(): Promise<Person> {
  const browser = world.browser()
  const see = (path = '/') => browser.get(`${app}${path}`)
  const person: Person = {
    browser,
    see,
    async send(path, form = {}) {
      const { text } = await see()
      return browser.post(`${app}${path}`, { csrf: csrfOn(text), ...form })
    },
    async connect(decision) {
      const sent = await person.send('/connect', { account_type: 'creator', age_confirmed: 'yes', label: 'Main <b>shop</b>' })
      return comeBack(person, await browser.walk(String(sent.headers.location), decision))
    },
    async reconnect(id, decision) {
      const page = `${world.config.publicUrl}/connect`
      await browser.get(String((await person.send(`/accounts/${id}/reconnect`)).headers.location))
      const token = /name="form_token" value="(\w+)"/.exec((await browser.get(page)).text)?.[1] ?? ''
      const out = await browser.post(`${page}/accounts/${id}/reconnect`, { form_token: token })
      const decided = await world.tiktok.authorize({ authorize_url: String(out.headers.location), ...decision })
      if (!('redirect_to' in decided)) throw new Error(`TikTok refused: ${JSON.stringify(decided)}`)
      return comeBack(person, new URL(String((await browser.get(decided.redirect_to)).headers.location)))
    },
  }
  return person
}

async function loggedIn(user: 'user_ada' | 'user_ben'): Promise<Person> {
  const person = await visitor()
  const answer = await person.send('/login', { user })
  if (answer.status !== 303) throw new Error(`login answered ${answer.status}`)
  return person
}

async function comeBack(person: Person, back: URL): Promise<string> {
  const answer = await person.browser.get(back.href)
  return answer.status === 303 ? (await person.see()).text : answer.text
}

const csrfOn = (page: string) => /name="csrf" value="([\w-]+)"/.exec(page)?.[1] ?? ''
const idOn = (page: string) => /id="(acc_\w+)"/.exec(page)?.[1] ?? ''

t.test('a person connects, sees the account with its picture, and no token is on any page', async (t) => {
  const ada = await loggedIn('user_ada')
  const page = await ada.connect({ person: 'jonas' })
  t.match(page, 'Jonas Lindqvist is connected')
  t.match(page, '@jonaslindqvist')
  t.match(page, 'Verified badge')
  t.match(page, '4,812,337')
  t.match(page, 'your own statement')
  t.match(page, '20 of 20 left')
  t.match(page, 'Main &#60;b&#62;shop&#60;/b&#62;', 'what people type is text')
  t.notMatch((await ada.see()).text, 'is connected', 'said once')

  const id = idOn(page)
  const picture = await ada.see(`/accounts/${id}/picture`)
  t.match(picture.headers, { 'content-type': 'image/png', 'x-content-type-options': 'nosniff' })

  const token = await ada.send(`/accounts/${id}/token`)
  t.match(token.text, /<code>act\.\S{4}…<\/code>/)
  t.match(token.text, 'Generation')
  t.notMatch(token.text, /act\.[\w-]{8}/, 'a prefix is shown, never the token')
  t.match((await ada.send(`/accounts/${id}/verify`)).status, 303)

  const labelled = await ada.send(`/accounts/${id}/label`, { label: 'Second shop' })
  t.equal(labelled.status, 303)
  t.match((await ada.see()).text, 'It is called Second shop now.')

  t.match((await ada.see(`/accounts/${id}/disconnect`)).text, 'Disconnect Jonas Lindqvist?')
  await ada.send(`/accounts/${id}/disconnect`)
  const after = await ada.see()
  t.match(after.text, 'TikTok confirmed that our access has ended')
  t.match(after.text, 'Disconnected (1)')
  t.match((await ada.send(`/accounts/${id}/token`)).status, 200)
})

t.test('failures come back as sentences', async (t) => {
  const ben = await loggedIn('user_ben')
  t.match(await ben.connect({ person: 'noura', deny: true }), 'You declined at TikTok')
  t.match(await ben.connect({ person: 'noura', decline: ['video.upload'] }), 'You switched off a permission')
  t.match((await ben.send('/connect', { account_type: 'personal', age_confirmed: 'yes' })).status, 303)
  t.match((await ben.see()).text, 'Choose Creator or Business')
  await ben.send('/connect', { account_type: 'creator' })
  t.match((await ben.see()).text, 'confirm that you are 18')

  const first = await ben.connect({ person: 'noura', decline: ['user.info.stats'] })
  t.match(first, 'Works. Not allowed yet: followers.')
  t.match(first, 'not shared')
  t.match(await ben.connect({ person: 'quiet' }), 'Your plan has no place left')

  t.match(await ben.reconnect(idOn(first), { person: 'quiet' }), 'a different TikTok account')
  const whole = await ben.reconnect(idOn(first), { person: 'noura' })
  t.match(whole, 'is connected')
  t.notMatch(whole, 'Not allowed yet')

  world.tiktok.removeApp('noura')
  await world.timePasses(3 * 3600)
  t.match((await ben.send(`/accounts/${idOn(first)}/token`)).text, 'No token')
  const ada = await loggedIn('user_ada')
  t.match(await ada.connect({ person: 'noura' }), 'Somebody else has connected this TikTok account')
})

t.test('a reconnect asks nobody for type and age, and leaves what was attested as it was', async (t) => {
  const ada = await loggedIn('user_ada')
  const id = idOn(await ada.connect({ person: 'mara' }))
  await world.timePasses(3 * 86_400)
  const before = (await world.call<Account>('GET', `/accounts/${id}`)).body
  t.match(await ada.reconnect(id, { person: 'mara' }), 'is connected')
  const after = (await world.call<Account>('GET', `/accounts/${id}`)).body
  t.equal(after.token?.generation, (before.token?.generation ?? 0) + 1, 'the grant is another one')
  t.same(after.account_type, before.account_type)
  t.equal(after.age_confirmed_at, before.age_confirmed_at)
})

t.test('the hosted page is the other way', async (t) => {
  const ada = await loggedIn('user_ada')
  const { status, headers } = await ada.send('/connect/hosted')
  t.equal(status, 303)
  t.match(headers.location, /\/connect\?session=/)
})

t.test('a way back that was sent to somebody else connects nothing', async (t) => {
  const ada = await loggedIn('user_ada')
  const sent = await ada.send('/connect', { account_type: 'creator', age_confirmed: 'yes' })
  const back = await ada.browser.walk(String(sent.headers.location), { person: 'zsofia' })

  const stranger = await visitor()
  const asked = await stranger.browser.get(back.href)
  t.equal(asked.status, 401)
  t.match(asked.text, 'Please log in first')
  const ben = await loggedIn('user_ben')
  await ben.browser.get(back.href)
  t.match((await ben.see()).text, 'Somebody else started this')
  t.match((await ben.see()).text, /^(?!.*Zsófia)/s)

  // It was opened by somebody who is not Ada, so what it brought is not connected for her either: she starts again.
  await ada.browser.get(back.href)
  t.match((await ada.see()).text, /^(?!.*Zsófia)/s)
  await ada.connect({ person: 'zsofia' })
  t.match((await ada.see()).text, 'Zsófia')
})

t.test('a reload of the way back is harmless', async (t) => {
  const ada = await loggedIn('user_ada')
  const sent = await ada.send('/connect', { account_type: 'creator', age_confirmed: 'yes' })
  const back = await ada.browser.walk(String(sent.headers.location), { person: 'zsofia' })
  await ada.browser.get(back.href)
  t.equal((await ada.browser.get(back.href)).status, 303)
  t.match((await ada.see()).text, 'Zsófia')
})

t.test('an account is shown to its owner only, and forms of other sites do nothing', async (t) => {
  const ada = await loggedIn('user_ada')
  const id = idOn(await ada.connect({ person: 'brightlane' }))
  const ben = await loggedIn('user_ben')
  for (const path of [`/accounts/${id}/picture`, `/accounts/${id}/disconnect`, '/accounts/nonsense/disconnect']) {
    t.equal((await ben.see(path)).status, 404, path)
  }
  t.equal((await ben.send(`/accounts/${id}/disconnect`)).status, 404)
  t.equal((await ben.send(`/accounts/${id}/token`)).status, 404)

  const forged = await ada.browser.post(`${app}/accounts/${id}/disconnect`, { csrf: 'forged' })
  t.equal(forged.status, 403)
  t.match((await ada.see()).text, 'Bright Lane Ceramics')

  const [name, value] = [...ada.browser.cookies].find(([name]) => name === 'example_session') ?? []
  ben.browser.cookies.set(String(name), String(value).replace('user_ada', 'user_ben'))
  t.match((await ben.see()).text, 'Who are you?', 'a cookie that was changed is none')
})

t.test('pages keep to themselves', async (t) => {
  const { headers } = await (await visitor()).see()
  t.match(headers, {
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
  })
  const policy = String(headers['content-security-policy'])
  t.match(policy, "default-src 'none'")
  t.notMatch(policy, 'unsafe-inline')
  t.match([headers['set-cookie']].flat().join(), /HttpOnly; SameSite=Lax/)
})

t.test('what an address says of a failure is shown only if it is a code of ours', async (t) => {
  const ada = await loggedIn('user_ada')
  for (const error of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'Call 0900 for a prize', '<b>x</b>', '']) {
    const answer = await ada.browser.get(`${app}/tiktok/return?status=failed&error=${encodeURIComponent(error)}`)
    t.equal(answer.status, 303, error)
    const shown = (await ada.see()).text
    t.match(shown, 'Please start again.', error)
    if (error !== '') t.notMatch(shown, error)
  }
  await ada.browser.get(`${app}/tiktok/return?status=failed&error=access_denied`)
  t.match((await ada.see()).text, 'You declined at TikTok')
})
