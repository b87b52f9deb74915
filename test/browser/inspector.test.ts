// The simulator's inspector in a browser: what is asked comes up by itself, newest first, and is found by app and path; whatever it says stays text.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { startSimulator } from 'tiktok-simulator'
import { sizes } from '../rig/browser-world.ts'
import { noChromium, startChromium } from '../rig/chromium.ts'
import { findings, tooWide } from '../rig/page.ts'

const pictures = join(import.meta.dirname, '../screenshots')

t.test('the inspector', { skip: noChromium }, async (t) => {
  const simulator = await startSimulator({ controlToken: 'let-me-in' })
  t.teardown(() => simulator.close())
  const { url, clientKey } = simulator
  const [chromium] = await Promise.all([startChromium(t), mkdir(pictures, { recursive: true })])
  const page = await chromium.newPage({ viewport: sizes.desktop, colorScheme: 'light' })
  const wrong: string[] = []
  page.on('console', (message) => message.type() === 'error' && !/401/.test(message.text()) && wrong.push(message.text()))
  page.on('pageerror', (error) => wrong.push(error.message))
  page.on('dialog', (dialog) => {
    wrong.push(`a script ran: ${dialog.message()}`)
    return dialog.dismiss()
  })
  page.on('request', (request) => new URL(request.url()).origin !== url && wrong.push(`it asked ${request.url()}`))
  const entries = page.locator('#requests > li:visible')
  const summaries = () => entries.locator('summary').allInnerTexts()
  const until = (count: number) => page.locator('#state', { hasText: new RegExp(`^${count} of `) }).waitFor()

  await page.goto(`${url}/_sim/inspector`)
  await page.getByLabel('Control token').fill('let-me-in')
  await page.getByRole('button', { name: 'Open' }).click()

  const evil = '<img src=x onerror=alert(1)>'
  const token = (form: Record<string, string>) =>
    fetch(`${url}/v2/oauth/token/`, {
      method: 'POST',
      body: new URLSearchParams(form).toString(),
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    })
  await fetch(`${url}/v2/user/info/?fields=open_id`, { headers: { authorization: 'Bearer act.dead' } })
  await until(1)
  await token({ client_key: evil, client_secret: 's', grant_type: 'refresh_token', refresh_token: evil, [evil]: evil })
  await fetch(`${url}/v2/${encodeURIComponent(evil)}/?${encodeURIComponent(evil)}=1`)
  await token({
    client_key: clientKey,
    client_secret: simulator.clientSecret,
    grant_type: 'refresh_token',
    refresh_token: 'rft.dead',
  })
  await until(4)

  t.test('shows what is asked without a reload, newest first, with why', async (t) => {
    const shown = await summaries()
    t.match(shown[0], /POST \/v2\/oauth\/token\/.*invalid_grant.*setting rotation.*documented/s)
    t.match(shown[3], /GET \/v2\/user\/info\/.*401.*access_token_invalid/s)
    await entries.first().locator('summary').click()
    const opened = await entries.first().innerText()
    t.match(opened, 'a refresh replaces the token')
    t.match(opened, 'client_secret=…')
    t.notMatch(opened, simulator.clientSecret)
    await page.screenshot({ path: join(pictures, 'inspector-desktop.png'), fullPage: true })
    t.same(await findings(page), [], 'axe finds nothing')
    await token({ client_key: clientKey, grant_type: 'refresh_token' })
    await until(5)
    t.ok((await entries.nth(1).locator('details').getAttribute('open')) !== null, 'what was opened stays open')
  })

  t.test('finds by app, by path and by what went wrong', async (t) => {
    await page.getByLabel('App').selectOption(clientKey)
    await until(3)
    await page.getByLabel('Path').fill('user/info')
    await until(1)
    t.match(await page.locator('#state').innerText(), '1 of 5')
    await page.getByLabel('App').selectOption('')
    await page.getByLabel('Path').fill('')
    await page.getByLabel('only what went wrong').check()
    await until(5)
    await fetch(
      `${url}/v2/auth/authorize/?client_key=${clientKey}&response_type=code&scope=user.info.basic&redirect_uri=http://127.0.0.1/`,
    )
    await page.getByLabel('only what went wrong').uncheck()
    await until(6)
  })

  t.test('what others wrote is text, nothing comes from elsewhere, and it fits a phone', async (t) => {
    for (const item of await entries.all())
      if ((await item.locator('details').getAttribute('open')) === null) await item.locator('summary').click()
    t.match(await page.locator('#requests').innerText(), evil)
    t.equal(await page.locator('#requests img, #requests script').count(), 0)
    await page.emulateMedia({ colorScheme: 'dark' })
    await page.setViewportSize(sizes.phone)
    t.equal(await tooWide(page), 0)
    t.same(await findings(page), [])
    await page.screenshot({ path: join(pictures, 'inspector-phone.png') })
    t.same(wrong, [])
  })

  t.test('forgets with the simulator', async (t) => {
    simulator.reset()
    await page.locator('#state', { hasText: 'Waiting' }).waitFor()
    t.equal(await entries.count(), 0)
    await token({ client_key: clientKey })
    await until(1)
    t.match(await page.locator('#state').innerText(), '1 of 1')
  })
})
