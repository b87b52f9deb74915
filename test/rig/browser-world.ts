// A world with people in it: the service on a port that browsers reach, TikTok's simulator, and the page of a web app that people are sent back to,
// whose backend completes the connection.
import { mkdir } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core'
import { freePort } from '../../examples/demo/ports.ts'
import { returnUrl, startWorld, type World } from '../world.ts'
import { startChromium } from './chromium.ts'

export const sizes = {
  desktop: { width: 1280, height: 900 },
  phone: { width: 390, height: 844 },
  narrow: { width: 320, height: 640 },
} as const

export interface BrowserWorld extends World {
  chromium: Browser
  /** A browser window of its own, with its own cookies; closed with the test. */
  visitor(t: Teardown, options?: BrowserContextOptions): Promise<Page>
  /** A session that asks the person everything. */
  link(owner: string, session?: Record<string, unknown>): Promise<{ id: string; connect_url: string; authorize_url: string }>
  /** With PICTURES=on in the environment, keeps a picture of the whole page under test/screenshots, for people to look at. */
  picture(page: Page, name: string): Promise<void>
}

interface Teardown {
  teardown(work: () => unknown): unknown
}

const pictures = join(import.meta.dirname, '../screenshots')

export async function startBrowserWorld(t: Teardown, env: Record<string, string> = {}): Promise<BrowserWorld> {
  const webApp = createServer()
  const webAppUrl = `http://127.0.0.1:${await listening(webApp)}/tiktok/return`
  t.teardown(() => new Promise((done) => webApp.close(done)))
  const [chromium, world] = await Promise.all([
    startChromium(t),
    startWorld(t, { env: { ALLOWED_RETURN_URLS: `${returnUrl},${webAppUrl}`, PORT: String(await freePort(0)), ...env } }),
    mkdir(pictures, { recursive: true }),
  ])
  webApp.on('request', async (request, response) => {
    const said = await answerOf(world, new URL(request.url ?? '', webAppUrl)).catch((error: unknown) => String(error))
    response
      .setHeader('content-type', 'text/html; charset=utf-8')
      .end(`<!doctype html><html lang="en"><title>Web app</title><h1>${said}</h1></html>`)
  })

  return {
    ...world,
    chromium,
    async visitor(t, options = {}) {
      const context: BrowserContext = await chromium.newContext({ viewport: sizes.desktop, ...options })
      context.setDefaultTimeout(60_000)
      t.teardown(() => context.close())
      return context.newPage()
    },
    link: (owner, session = {}) =>
      world.openSession({
        owner_id: owner,
        return_url: webAppUrl,
        account_type: undefined,
        age_confirmed: undefined,
        ...session,
      }),
    async picture(page, name) {
      if (process.env.PICTURES !== 'on') return
      await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true, animations: 'disabled' })
    },
  }
}

/** What the web app makes of a person who comes back. */
async function answerOf(world: World, url: URL): Promise<string> {
  const [id, confirm, status] = ['connect_session', 'confirm', 'status'].map((name) => url.searchParams.get(name))
  if (!confirm) return `${status} ${url.searchParams.get('error') ?? ''}`.trim()
  const session = await world.call<{ owner_id: string }>('GET', `/connect-sessions/${id}`)
  const completed = await world.call<{ code?: string }>('POST', `/connect-sessions/${id}/complete`, {
    body: { owner_id: session.body.owner_id, confirm },
  })
  return completed.body.code ?? 'connected'
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return (server.address() as AddressInfo).port
}
