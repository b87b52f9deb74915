// A TikTok app that has not all of the scopes asked for: people connect all the same, nobody is sent twice for long, and operators hear of it.
import t, { type Test } from 'tap'
import type { Account } from '../../src/account/account.ts'
import { startApp } from '../../src/app.ts'
import { measureDepartures } from '../../src/connect/scopes.ts'
import { type Browser, startWorld, type World } from '../world.ts'

const newApp = ['user.info.basic', 'video.upload'] as const
const all = 'user.info.basic,user.info.profile,user.info.stats,video.upload'
const required = newApp.join()

const appWithout = (t: Test, scope_refusal: 'page' | 'callback', env: Record<string, string> = {}) =>
  startWorld(t, { env, simulator: { settings: { app_scopes: [...newApp], scope_refusal } } })

const scopesIn = (location: unknown) => new URL(String(location)).searchParams.get('scope')
const leave = async (browser: Browser, authorizeUrl: string) => String((await browser.get(authorizeUrl)).headers.location)
const narrowed = async (world: World, cause: string) =>
  (await world.parts.metrics.narrowed.get()).values.find(({ labels }) => labels.cause === cause)?.value ?? 0
const timesLogged = (world: World, text: string) => world.logged().split(text).length - 1

/** Where TikTok sends a person who says yes; undefined from its own error page. */
async function consent(world: World, toTikTok: string, person = 'mara'): Promise<string | undefined> {
  const decided = await world.tiktok.authorize({ authorize_url: toTikTok, person })
  return 'redirect_to' in decided ? decided.redirect_to : undefined
}

async function completed(world: World, id: string, returnLocation: unknown): Promise<Account> {
  const confirm = new URL(String(returnLocation)).searchParams.get('confirm')
  const { status, body } = await world.call<Account>('POST', `/connect-sessions/${id}/complete`, {
    body: { owner_id: 'user_42', confirm },
  })
  if (status !== 201) throw new Error(`not connected: ${JSON.stringify(body)}`)
  return body
}

t.test('invalid_scope at the callback: once more with the required scopes, in the same walk', async (t) => {
  const world = await appWithout(t, 'callback')
  const { id, authorize_url } = await world.openSession()
  const browser = world.browser()
  const first = await leave(browser, authorize_url)
  t.equal(scopesIn(first), all)
  const refused = (await consent(world, first)) ?? ''
  t.match(refused, /error=invalid_scope/)
  const onward = await browser.get(refused)
  t.equal(onward.status, 303)
  const again = String(onward.headers.location)
  t.equal(new URL(again).origin, world.tiktok.url)
  t.equal(scopesIn(again), required)
  t.not(new URL(again).searchParams.get('state'), new URL(first).searchParams.get('state'))
  t.match((await world.call('GET', `/connect-sessions/${id}`)).body, { status: 'authorizing', error: null })
  const back = await browser.get((await consent(world, again)) ?? '')
  const account = await completed(world, id, back.headers.location)
  t.match(account, { status: 'active', scopes: [...newApp], missing_scopes: ['user.info.profile', 'user.info.stats'] })
  t.match(account.profile, { display_name: 'Mara Cooks', unavailable: { username: 'user.info.profile' } })
  t.match(world.logged(), /"level":"error"[^\n]*TIKTOK_SCOPES/)
  t.equal(await narrowed(world, 'refused'), 1)
})

t.test('the next person is not sent twice, on any replica, for an hour; then all are asked for again', async (t) => {
  const world = await appWithout(t, 'callback')
  const neighbour = await startApp({ ...world.config, port: 0 }, { background: false, log: world.parts.log })
  t.teardown(() => neighbour.close())
  const browser = world.browser()
  await browser.get((await consent(world, await leave(browser, (await world.openSession()).authorize_url))) ?? '')
  const next = await world.openSession()
  t.equal(scopesIn(await leave(world.browser(), next.authorize_url)), required)
  const there = await fetch(new URL(new URL(next.authorize_url).pathname + new URL(next.authorize_url).search, neighbour.url), {
    redirect: 'manual',
  })
  t.equal(scopesIn(there.headers.get('location')), required)
  t.equal(timesLogged(world, 'TikTok does not give this app all of TIKTOK_SCOPES'), 1)

  await world.timePasses(3601)
  t.equal(scopesIn(await leave(world.browser(), (await world.openSession()).authorize_url)), all)
})

t.test('every way of saying that a scope is refused is understood, and others are not', async (t) => {
  const onward = async (query: string) => {
    const world = await appWithout(t, 'callback')
    const browser = world.browser()
    const state = new URL(await leave(browser, (await world.openSession()).authorize_url)).searchParams.get('state')
    const { headers } = await browser.get(`${world.config.redirectUri}?state=${state}&${query}`)
    return new URL(String(headers.location))
  }
  for (const query of [
    'error=invalid_scope',
    'error=scope_not_authorized',
    'error=unauthorized_scope&errCode=10004',
    'error=param_error&errCode=10004&error_type=scope',
    'error=unauthorized_client&error_description=The%20requested%20scope%20is%20not%20authorized',
  ])
    t.equal(scopesIn(await onward(query)), required, query)
  for (const query of ['error=access_denied&error_description=scope', 'error=server_error', 'error=unauthorized_client'])
    t.equal((await onward(query)).searchParams.get('status'), 'failed', query)
})

t.test('a refusal of the required scopes themselves ends the session: nobody is sent in a circle', async (t) => {
  const world = await startWorld(t, { simulator: { settings: { app_scopes: ['user.info.basic'], scope_refusal: 'callback' } } })
  const { id, authorize_url } = await world.openSession()
  const browser = world.browser()
  const again = await browser.get((await consent(world, await leave(browser, authorize_url))) ?? '')
  const over = await browser.get((await consent(world, String(again.headers.location))) ?? '')
  t.match(Object.fromEntries(new URL(String(over.headers.location)).searchParams), { status: 'failed', error: 'invalid_scope' })
  t.match((await world.call('GET', `/connect-sessions/${id}`)).body, { status: 'failed', error: 'invalid_scope' })

  const strict = await appWithout(t, 'callback', { TIKTOK_SCOPES: all, TIKTOK_REQUIRED_SCOPES: all })
  const other = strict.browser()
  const failed = await other.get((await consent(strict, await leave(other, (await strict.openSession()).authorize_url))) ?? '')
  t.match(String(failed.headers.location), /status=failed&error=invalid_scope/, 'where nothing is optional')
})

t.test("TikTok's own error page: whoever comes to the link again is asked for less, and connects", async (t) => {
  const world = await appWithout(t, 'page')
  const { id, authorize_url } = await world.openSession()
  const browser = world.browser()
  const first = await leave(browser, authorize_url)
  t.equal(scopesIn(first), all)
  t.equal(await consent(world, first), undefined, 'and nobody comes back')
  const again = await leave(browser, authorize_url)
  t.equal(scopesIn(again), required)
  t.equal(await narrowed(world, 'returned'), 1)
  const back = await browser.get((await consent(world, again)) ?? '')
  t.match(await completed(world, id, back.headers.location), { status: 'active', scopes: [...newApp] })
})

t.test('S14: a preview of the link that nobody saw costs the person no scope', async (t) => {
  const world = await startWorld(t)
  const { authorize_url } = await world.openSession()
  for (let previews = 0; previews < 3; previews++) await leave(world.browser(), authorize_url)
  t.equal(scopesIn(await leave(world.browser(), authorize_url)), all)
})

t.test('the connect page says so and goes the same way', async (t) => {
  const world = await appWithout(t, 'page')
  const { connect_url } = await world.openSession({ account_type: undefined, age_confirmed: undefined })
  const browser = world.browser()
  await browser.get(connect_url)
  const page = async () => (await browser.get(`${world.config.publicUrl}/connect`)).text
  const depart = async () => {
    const form_token = /name="form_token" value="([^"]+)"/.exec(await page())?.[1] ?? ''
    const posted = await browser.post(`${world.config.publicUrl}/connect`, {
      form_token,
      account_type: 'creator',
      age_confirmed: 'yes',
    })
    return leave(browser, String(posted.headers.location))
  }
  t.match(await page(), /class="tag open"/)
  t.equal(scopesIn(await depart()), all)
  const offered = await page()
  t.match(offered, /only what is needed is asked for/)
  t.notMatch(offered, /class="tag open"/)
  t.equal(scopesIn(await depart()), required)
})

t.test('a code that was asked for with less is worth less, when TikTok does not say what it granted', async (t) => {
  const world = await appWithout(t, 'page')
  const { id, authorize_url } = await world.openSession()
  const browser = world.browser()
  await leave(browser, authorize_url)
  const back = await browser.get((await consent(world, await leave(browser, authorize_url))) ?? '')
  world.tiktok.faults.add({ route: 'exchange', omit: ['scope'] })
  t.match(await completed(world, id, back.headers.location), { scopes: [...newApp] })
})

t.test('a run of people who leave and do not come back is counted, and said once by all replicas', async (t) => {
  const world = await appWithout(t, 'page')
  const measure = async () => {
    await Promise.all([measureDepartures(world.parts), measureDepartures(world.parts)])
    const { values } = await world.parts.metrics.departures.get()
    return [values[0]?.value, timesLogged(world, 'people left for TikTok and none came back')]
  }
  const departs = async () => leave(world.browser(), (await world.openSession()).authorize_url)
  for (let people = 0; people < 4; people++) await departs()
  t.same(await measure(), [0, 0], 'they may be reading TikTok’s page')
  await world.timePasses(121)
  t.same(await measure(), [4, 0])
  await departs()
  await world.timePasses(121)
  t.same(await measure(), [5, 1])
  t.match(world.logged(), /"level":"error"[^\n]*"reason":"scopes, redirect_uri, client_key, sandbox_user"/)
  await departs()
  await world.timePasses(121)
  t.same(await measure(), [6, 1], 'once')

  world.tiktok.changeSettings({ app_scopes: ['user.info.basic', 'user.info.profile', 'user.info.stats', 'video.upload'] })
  await world.connect()
  t.same(await measure(), [0, 1], 'one who comes back ends it')
  for (let people = 0; people < 5; people++) await departs()
  await world.timePasses(121)
  t.same(await measure(), [5, 2], 'and another run is another alarm')
})
