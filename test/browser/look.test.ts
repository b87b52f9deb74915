// How the pages look, and whether everybody can use them: every page wide and narrow, in light and dark, with axe, which finds what a machine can find.
// PICTURES=on keeps pictures of them; `npm run pages` takes all, in every language.
import t from 'tap'
import type { Account } from '../../src/account/account.ts'
import { disconnectAccount } from '../../src/db/accounts.ts'
import { statusReasons } from '../../src/db/codes.ts'
import { failSession } from '../../src/db/connect-sessions.ts'
import { ServiceError } from '../../src/errors.ts'
import { eventTypes } from '../../src/events/events.ts'
import { failureCodes } from '../../src/failures.ts'
import { brandOf } from '../../src/pages/brand.ts'
import { languageCodes } from '../../src/pages/languages.ts'
import { failurePage } from '../../src/pages/page.ts'
import { tongueOf } from '../../src/pages/tongue.ts'
import { failureInWords } from '../../src/pages/words.ts'
import { reserve } from '../../src/uploads/reservations.ts'
import { type BrowserWorld, sizes, startBrowserWorld } from '../rig/browser-world.ts'
import { noChromium } from '../rig/chromium.ts'
import { findings, tooWide } from '../rig/page.ts'

const english = await tongueOf('en')
/** RFC 6749 §4.1.2.1, and what we find wrong with an answer ourselves. */
const authorizationErrors = [
  'access_denied',
  'invalid_request',
  'unauthorized_client',
  'unsupported_response_type',
  'invalid_scope',
  'server_error',
  'temporarily_unavailable',
  'authorization_failed',
  'issuer_mismatch',
  'code_missing',
]

const looks = [
  { size: 'desktop', colorScheme: 'light', examined: true },
  { size: 'phone', colorScheme: 'dark', examined: true },
  { size: 'narrow', colorScheme: 'light', examined: false },
] as const

t.test('how the pages look', { skip: noChromium }, async (t) => {
  const logo = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><circle cx="4.5" cy="4.5" r="4" fill="#7a2e9d"/></svg>'
  const world = await startBrowserWorld(t, {
    TIER_LIMITS: 'free:1,creator:3,business:10',
    APP_NAME: 'Acme Studio',
    APP_LOGO: `${t.testdir({ 'acme.svg': logo })}/acme.svg`,
    BRAND_COLOR: '#ff9f1c',
    PRIVACY_URL: 'https://acme.example/privacy',
    TERMS_URL: 'https://acme.example/terms',
    SUPPORT_URL: 'mailto:help@acme.example',
  })
  const { link, visitor, picture, config, parts } = world
  const { down } = await furnish(world)

  for (const { size, colorScheme, examined } of looks) {
    t.test(`on a ${size} screen, ${colorScheme}, nothing is too wide${examined ? ', and axe finds nothing' : ''}`, async (t) => {
      const page = await visitor(t, { viewport: sizes[size], colorScheme, reducedMotion: 'reduce' })
      const look = async (name: string) => {
        await picture(page, `${name}-${size}-${colorScheme}`)
        t.equal(await tooWide(page), 0, `${name} fits`)
        if (examined) t.same(await findings(page), [], `${name} is accessible`)
      }
      await page.goto((await link('nobody', { label: 'Spring campaign' })).connect_url)
      await look('first')
      await page.goto(`${config.publicUrl}/connect?failed=account_type_not_supported`)
      await look('wrong-type')

      await page.goto((await link('everyone')).connect_url)
      await page
        .getByText(/^Rename/)
        .first()
        .click()
      await look('accounts')
      await page.goto(`${config.publicUrl}/connect?done=label_saved`)
      await look('done')
      await page
        .getByRole('link', { name: /^Disconnect/ })
        .first()
        .click()
      await look('disconnect')
      await page.goto(`${config.publicUrl}/callback?state=unknown`)
      await look('failure')
      if (!examined) return

      await page.goto((await link('full')).connect_url)
      await look('full')
      await page.goto((await link('everyone', { reconnect_account_id: down.id })).connect_url)
      await look('reconnect-only')
      await page.goto((await link('gone')).connect_url)
      await look('ended')
      parts.tierService = { tierOf: async () => ({ kind: 'silent', reason: 'test' }), close: async () => undefined }
      await page.goto((await link('everyone')).connect_url)
      await look('tier-unknown')
      parts.tierService = undefined
      const late = await link('nobody')
      await page.goto(late.connect_url)
      await parts.db.run('test', (sql) => sql`update connect_sessions set expires_at = now() where id = ${late.id}`)
      await page.goto(`${config.publicUrl}/connect`)
      await look('expired')
      const failed = await link('nobody')
      await page.goto(failed.connect_url)
      await failSession(parts.db, failed.id, 'access_denied')
      await page.goto(`${config.publicUrl}/connect`)
      await look('session-failed')
    })
  }

  t.test(
    'in every language the button is one swipe away at most, also at 200 %, and a returning owner sees accounts first',
    async (t) => {
      const page = await visitor(t, { viewport: sizes.phone, reducedMotion: 'reduce' })
      for (const locale of languageCodes) {
        const { say, dir } = await tongueOf(locale)
        await page.goto((await link('nobody', { locale })).connect_url)
        t.equal(await page.locator('html').getAttribute('dir'), dir)
        const box = await page.getByRole('button', { name: say('connect.button') }).boundingBox()
        t.ok(box && box.y + box.height <= 2 * sizes.phone.height, `${locale}: the button ends at ${box && box.y + box.height}`)
        t.same(await findings(page), [], `${locale} is accessible`)
        const small = await page.locator('h1').boundingBox()
        await page.locator('html').evaluate((element) => {
          element.style.fontSize = '200%' // by script, as the page's policy takes no style attribute
        })
        const large = await page.locator('h1').boundingBox()
        t.equal(await tooWide(page), 0, `${locale} fits with letters of double size`)
        t.ok(large && small && large.height > 1.9 * small.height)
        await page.goto((await link('everyone', { locale })).connect_url)
        const [accounts, form] = await Promise.all(['.accounts', '#connect'].map((place) => page.locator(place).boundingBox()))
        t.ok(accounts && form && accounts.y < form.y && accounts.y < sizes.phone.height / 2, `${locale}: accounts first`)
        t.equal(await tooWide(page), 0, `${locale} fits`)
      }
    },
  )

  t.test('every way a session can fail has its own words, and the way back', async (t) => {
    const page = await visitor(t, { viewport: sizes.phone })
    const codes = [
      'scope_not_granted',
      'account_limit_reached',
      'account_already_connected',
      'account_mismatch',
      'tiktok_rejected',
      'tiktok_unavailable',
    ]
    for (const code of [...codes, ...authorizationErrors]) {
      const opened = await link('nobody')
      await page.goto(opened.connect_url)
      await failSession(parts.db, opened.id, code)
      await page.goto(`${config.publicUrl}/connect`)
      t.equal(await page.locator('h1').textContent(), failureInWords(english, code).title)
      t.equal(await page.getByRole('link', { name: /^Back to/ }).count(), 1)
      await picture(page, `session-failed-${code}`)
    }
  })

  t.test(
    "the API's page: closed at first, a link opens its operation, events are on it, and the console is silent",
    async (t) => {
      const page = await visitor(t)
      const said: string[] = []
      page.on('console', (message) => said.push(message.text()))
      page.on('pageerror', (error) => said.push(error.message))
      await page.goto(`${config.publicUrl}/docs/`)
      await page.getByText('An account was connected', { exact: true }).waitFor()
      t.equal(await page.locator('.webhooks .opblock').count(), eventTypes.length)
      t.equal(await page.locator('.opblock-tag-section.is-open').count(), 0)
      await picture(page, 'docs')
      await page.goto(`${config.publicUrl}/docs/#/uploads/reserveUpload`)
      await page.reload()
      const operation = page.locator('#operations-uploads-reserveUpload')
      await operation.getByText('upload_quota_exhausted', { exact: true }).first().waitFor()
      t.same(said, [])
    },
  )

  t.test('every failure of the service has a page', async (t) => {
    const page = await visitor(t, { viewport: sizes.phone })
    const brand = brandOf(config, null)
    for (const code of failureCodes) {
      await page.setContent(
        failurePage(
          new ServiceError(code, 'for callers'),
          { brand, tongue: english },
          { requestId: 'req_01k9z3m8r0000000000000000' },
        ).markup,
      )
      t.equal(await page.locator('h1').textContent(), failureInWords(english, code).title)
      t.notMatch(await page.locator('main').textContent(), 'for callers')
      await picture(page, `failure-${code}`)
    }
  })
})

t.test('every reason an account can be in its state for is told in words', async (t) => {
  for (const reason of statusReasons) t.ok(english.sayIfKnown(`health.${reason}`), reason)
})

/** Accounts in every state there is. */
async function furnish({ connect, tiktok, parts }: BrowserWorld): Promise<{ down: Account }> {
  const owner = 'everyone'
  const state = async (id: string, status: string, reason: string) =>
    parts.db.run('test', (sql) => sql`update accounts set status = ${status}, status_reason = ${reason} where id = ${id}`)
  const upload = async (accountId: string, times: number) => {
    for (let i = 0; i < times; i++)
      await reserve(
        parts,
        accountId,
        { idempotencyKey: `upload-${i}`, ttlSeconds: 1800 },
        { keyId: 'key_test', name: 'uploader', requestId: 'req_test' },
      )
  }
  const shop = await connect({ owner, person: 'brightlane', session: { label: 'Main shop', account_type: 'business' } })
  await upload(shop.id, 3)
  const jonas = await connect({ owner, person: 'jonas' })
  await upload(jonas.id, 20)
  await connect({ owner, person: 'quiet', decline: ['user.info.stats', 'user.info.profile'] })
  await connect({ owner, person: 'noura' })
  const rejected = await connect({ owner, person: 'mara' })
  await state(rejected.id, 'reauthorization_required', 'refresh_token_rejected')
  const expiring = await connect({
    owner,
    person: 'zsofia',
    session: { label: 'A name as long as people sometimes choose one, with-a-word-that-does-not-end-where-you-hope' },
  })
  await parts.db.run(
    'test',
    (sql) => sql`update token_sets set refresh_expires_at = now() + interval '6 days' where account_id = ${expiring.id}`,
  )
  tiktok.people.add({ id: 'pictureless', display_name: 'Pia Pictureless', username: 'pia' })
  const degraded = await connect({ owner, person: 'pictureless' })
  await parts.db.run('test', (sql) => sql`update token_sets set failures = 2 where account_id = ${degraded.id}`)
  await parts.db.run('test', (sql) => sql`update profiles set picture = null where account_id = ${degraded.id}`)
  for (const [holder, person, reason] of [
    [owner, 'ended-1', 'removed_by_user'],
    [owner, 'ended-2', 'tiktok_account_banned'],
    ['gone', 'ended-3', 'tiktok_account_deleted'],
  ] as const) {
    tiktok.people.add({ id: person })
    const { id } = await connect({ owner: holder, person })
    await disconnectAccount(parts.db, { accountId: id, reason, actor: 'tiktok', requestId: null, revocationId: null })
  }
  await connect({ owner: 'full', person: 'newcomer', session: { tier: 'free' } })
  await parts.db.run(
    'test',
    (sql) =>
      sql`update profiles set fetched_at = now() - interval '3 hours' where account_id in (select id from accounts where owner_id = ${owner})`,
  )
  return { down: rejected }
}
