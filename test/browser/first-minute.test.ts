// The first minute of somebody who has just installed: `npm run demo`, the URL it prints, and both ways to connect, in a real browser.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { ownFolder } from '../folder.ts'
import { sizes } from '../rig/browser-world.ts'
import { noChromium, startChromium } from '../rig/chromium.ts'
import { startDemo } from '../rig/demo.ts'
import { allow, findings, tooWide } from '../rig/page.ts'

const pictures = join(import.meta.dirname, '../screenshots')

t.test('the demo, clicked through', { skip: noChromium }, async (t) => {
  const dataDir = await ownFolder(t, 'first-minute')
  const [demo, chromium] = await Promise.all([startDemo(t, dataDir), startChromium(t), mkdir(pictures, { recursive: true })])
  const context = await chromium.newContext({ viewport: sizes.desktop })
  context.setDefaultTimeout(60_000)
  const page = await context.newPage()
  const troubles: string[] = []
  page.on('pageerror', (error) => troubles.push(error.message))
  page.on('console', (message) => message.type() === 'error' && troubles.push(message.text()))
  const look = async (name: string) => {
    await page.screenshot({ path: join(pictures, `demo-${name}.png`), fullPage: true, animations: 'disabled' })
    t.equal(await tooWide(page), 0, `${name} fits`)
    t.same(await findings(page), [], `${name} is accessible`)
  }

  await page.goto(demo.webApp)
  await look('login')
  await page.getByRole('button', { name: 'Continue as Ada' }).click()

  await t.test("the app's own form", async (t) => {
    await page.getByRole('radio', { name: 'Creator' }).check()
    await page.getByRole('checkbox', { name: 'I am 18 or older.' }).check()
    await page.getByRole('textbox', { name: 'Label, if you like' }).fill('Main shop')
    await page.getByRole('button', { name: 'Connect TikTok' }).click()
    await allow(page, 'jonas')
    const card = page.getByRole('listitem').filter({ hasText: 'Jonas Lindqvist' })
    t.match(await card.textContent(), /@jonaslindqvist.*Verified badge.*Main shop.*Works\..*4,812,337.*20 of 20 left/s)
    const shown = await card.locator('img').evaluate(async (image) => {
      if (!('naturalWidth' in image && 'decode' in image)) return 0
      await (image as { decode(): Promise<void> }).decode()
      return image.naturalWidth
    })
    t.ok(Number(shown) > 0, 'the picture is there')
    await page.getByRole('button', { name: 'Fetch a token of Jonas Lindqvist' }).click()
    t.match(await card.getByRole('status').textContent(), /act\.\S{4}….*Generation1/s)
    await look('account')
  })

  await t.test('the hosted page, and back', async (t) => {
    await page.getByRole('button', { name: 'Use the hosted page' }).click()
    t.equal(new URL(page.url()).origin, new URL(demo.service).origin)
    t.match(await page.getByRole('article', { name: 'Main shop' }).textContent(), /Working.*20 of 20 uploads left/s)
    await page.getByRole('radio', { name: 'Business' }).check()
    await page.getByRole('checkbox', { name: 'I am 18 or older.' }).check()
    await look('hosted')
    await page.getByRole('button', { name: 'Connect TikTok' }).click()
    await allow(page, 'brightlane')
    t.equal(new URL(page.url()).origin, new URL(demo.webApp).origin)
    t.match(await page.getByRole('main').textContent(), /Bright Lane Ceramics/)
  })

  await t.test('on a phone, and disconnected again', async () => {
    await page.setViewportSize(sizes.phone)
    await look('phone')
    await page.getByRole('link', { name: 'Disconnect Jonas Lindqvist' }).click()
    await look('question')
    await page.getByRole('button', { name: 'Disconnect Jonas Lindqvist' }).click()
    t.match(await page.getByRole('main').textContent(), /TikTok confirmed that our access has ended.*Disconnected \(1\)/s)
  })

  t.same(troubles, [], 'the browser had nothing to complain about')
  await context.close()
})
