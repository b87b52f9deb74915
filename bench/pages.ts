// `npm run pages [-- --to FOLDER --languages de,ar]`: every page that people see, in two sizes, two themes and seven
// languages, taken in a real browser for somebody to look at; and a table of what a machine finds. The service and TikTok's simulator run here.
import { mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { BrowserContextOptions, Page } from 'playwright-core'
import { failSession } from '../src/db/connect-sessions.ts'
import { type Language, languageCodes } from '../src/pages/languages.ts'
import { sizes, startBrowserWorld } from '../test/rig/browser-world.ts'
import { offences, tooWide } from '../test/rig/page.ts'

const { values: wanted } = parseArgs({
  options: {
    to: { type: 'string', default: 'test/screenshots/pages' },
    languages: { type: 'string', default: languageCodes.join() },
  },
})
const folder = resolve(wanted.to)
const spoken = wanted.languages.split(',').map((code) => {
  const language = languageCodes.find((known) => known === code)
  if (!language) throw new Error(`--languages takes ${languageCodes.join(', ')}`)
  return language
})

const endings: (() => unknown)[] = []
const script = { teardown: (work: () => unknown) => endings.unshift(work) }
await mkdir(folder, { recursive: true })
const world = await startBrowserWorld(script, { TIER_LIMITS: 'free:1,creator:3,business:10', APP_NAME: 'Northwind Studio' })
const { link, visitor, connect, parts, config } = world

interface Row {
  page: string
  language: Language
  look: string
  serious: number
  moderate: number
  minor: number
  tooWide: number
  swipes: string
}

/** Where a page comes from: a way to it, in a browser that has seen nothing yet. */
const pages: Record<string, (page: Page, locale: Language) => Promise<void>> = {
  async fresh(page, locale) {
    await page.goto((await link('nobody', { locale, owner_name: 'Dana Okafor', label: 'Spring' })).connect_url)
  },
  async permissions(page, locale) {
    await pages.fresh?.(page, locale)
    await page.locator('.asked > summary').click()
  },
  async returning(page, locale) {
    await page.goto((await link('returning', { locale, owner_name: 'Dana Okafor' })).connect_url)
  },
  async managing(page, locale) {
    await pages.returning?.(page, locale)
    await page.locator('.actions summary').first().click()
  },
  async confirmation(page, locale) {
    await pages.returning?.(page, locale)
    await page.locator('.actions a').first().click()
  },
  async refused(page, locale) {
    await pages.fresh?.(page, locale)
    await page.goto(`${page.url()}&failed=account_type_not_supported`)
  },
  async full(page, locale) {
    await page.goto((await link('full', { locale })).connect_url)
  },
  async denied(page, locale) {
    await ended(page, locale, (id) => failSession(parts.db, id, 'access_denied'))
  },
  async expired(page, locale) {
    await ended(page, locale, (id) =>
      parts.db.run('pictures', (sql) => sql`update connect_sessions set expires_at = now() where id = ${id}`),
    )
  },
  async connected(page, locale) {
    await ended(page, locale, (id) =>
      parts.db.run('pictures', (sql) => sql`update connect_sessions set status = 'completed' where id = ${id}`),
    )
  },
  async failure(page) {
    await page.goto(`${config.publicUrl}/callback?state=${'x'.repeat(43)}`)
  },
  async invalid(page) {
    await page.goto(`${config.publicUrl}/connect?session=${'x'.repeat(43)}`)
  },
}

async function ended(page: Page, locale: Language, end: (id: string) => Promise<unknown>): Promise<void> {
  const opened = await link('nobody', { locale })
  await page.goto(opened.connect_url)
  await end(opened.id)
  await page.reload()
}

async function furnish(): Promise<void> {
  const owner = 'returning'
  const shop = await connect({ owner, person: 'brightlane', session: { label: 'Main shop', account_type: 'business' } })
  await connect({ owner, person: 'jonas' })
  await connect({ owner, person: 'noura', decline: ['user.info.stats'] })
  const down = await connect({ owner, person: 'mara' })
  await parts.db.run(
    'pictures',
    (sql) =>
      sql`update accounts set status = 'reauthorization_required', status_reason = 'refresh_token_rejected' where id = ${down.id}`,
  )
  await parts.db.run(
    'pictures',
    (sql) => sql`update profiles set fetched_at = now() - interval '3 hours' where account_id = ${shop.id}`,
  )
  await connect({ owner: 'full', person: 'newcomer', session: { tier: 'free' } })
}

/** How many screens down the main button is: 0 means that it is seen at once. */
async function swipesTo(page: Page): Promise<string> {
  const button = page.locator('button.primary.large')
  if ((await button.count()) === 0) return ''
  const { height } = page.viewportSize() ?? { height: 0 }
  const box = await button.first().boundingBox()
  const bottom = (box?.y ?? 0) + (box?.height ?? 0) + Number(await page.evaluate('scrollY'))
  return `${Math.max(0, Math.ceil(bottom / height) - 1)} (${Math.round(bottom)} px)`
}

/** From the opened link to TikTok without a mouse: how many keys, and how long they take after each other. */
async function byKeyboard(language: Language): Promise<string> {
  const page = await visitor(script, { viewport: sizes.phone })
  const opened = await link('nobody', { locale: language })
  const start = performance.now()
  await page.goto(opened.connect_url)
  let presses = 0
  const press = async (key: string) => {
    await page.keyboard.press(key)
    presses++
  }
  const isAt = (selector: string) => page.evaluate(`document.activeElement.matches('${selector}')`)
  for (const [selector, key] of [
    ['input[type=radio]', 'Space'],
    ['input[type=checkbox]', 'Space'],
    ['button.large', 'Enter'],
  ] as const) {
    while (!(await isAt(selector))) await press('Tab')
    await press(key)
  }
  await page.waitForURL(`${world.tiktok.url}/**`)
  const took = Math.round(performance.now() - start)
  await page.context().close()
  return `${presses} keys, ${took} ms`
}

const rows: Row[] = []
const keyboard: Record<string, string> = {}
try {
  await furnish()
  for (const language of spoken) {
    for (const colorScheme of ['light', 'dark'] as const) {
      for (const [size, viewport] of [
        ['phone', { width: 390, height: 844 }],
        ['desktop', { width: 1280, height: 800 }],
      ] as const) {
        for (const [name, goTo] of Object.entries(pages)) {
          const options: BrowserContextOptions = { viewport, colorScheme, reducedMotion: 'reduce', locale: language }
          const page = await visitor(script, options)
          await goTo(page, language)
          await page.screenshot({ path: join(folder, `${name}-${size}-${colorScheme}-${language}.png`), fullPage: true })
          const found = await offences(page)
          const by = (impact: string) => found.filter((offence) => offence.impact === impact).length
          rows.push({
            page: name,
            language,
            look: `${size} ${colorScheme}`,
            serious: by('serious') + by('critical'),
            moderate: by('moderate'),
            minor: by('minor'),
            tooWide: await tooWide(page),
            swipes: await swipesTo(page),
          })
          for (const { rule, place } of found) console.log(`${name} ${size} ${colorScheme} ${language}: ${rule}: ${place}`)
          await page.context().close()
        }
      }
    }
    keyboard[language] = await byKeyboard(language)
    console.log(`${language} is done`)
  }
} finally {
  for (const end of endings) await end()
}

const sum = (some: Row[], of: 'serious' | 'moderate' | 'minor' | 'tooWide') => some.reduce((total, row) => total + row[of], 0)
const summary = spoken.map((language) => {
  const own = rows.filter((row) => row.language === language)
  const way = (page: string) => own.find((row) => row.page === page && row.look === 'phone light')?.swipes
  return {
    language,
    pictures: own.length,
    serious: sum(own, 'serious'),
    moderate: sum(own, 'moderate'),
    minor: sum(own, 'minor'),
    'too wide': own.filter((row) => row.tooWide > 0).length,
    'swipes, fresh': way('fresh'),
    'swipes, returning': way('returning'),
    'link to TikTok by keyboard': keyboard[language],
  }
})
console.table(summary)
await writeFile(join(folder, 'table.json'), `${JSON.stringify({ summary, rows }, null, 2)}\n`)
const bad = rows.filter(
  ({ serious, moderate, tooWide, swipes, look, page }) =>
    serious + moderate + tooWide > 0 || (page === 'fresh' && look.startsWith('phone') && !/^[01] /.test(swipes)),
)
for (const row of bad) console.error(`not as it should be: ${row.page} ${row.look} ${row.language}`)
process.exitCode = bad.length > 0 ? 1 : 0
