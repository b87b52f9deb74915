// The client in a browser: its modules load as they are, events are verified by the browser's WebCrypto, calls are made by its fetch.
import { createHmac } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { stripTypeScriptTypes } from 'node:module'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { noChromium, startChromium } from '../rig/chromium.ts'

const sources = join(import.meta.dirname, '../../packages/client/src')

t.test('the client works in a browser', { skip: noChromium }, async (t) => {
  const server = createServer(async (request, response) => {
    const [, module] = /^\/src\/([\w-]+\.ts)$/.exec(request.url ?? '') ?? []
    if (module !== undefined) {
      const code = stripTypeScriptTypes(await readFile(join(sources, module), 'utf8'))
      return response.writeHead(200, { 'content-type': 'text/javascript' }).end(code)
    }
    const isCall = request.url === '/accounts/acc_1' && request.headers.authorization === 'Bearer a-key'
    return isCall
      ? response.writeHead(200, { 'content-type': 'application/json' }).end('{"id":"acc_1","owner_id":"user_42"}')
      : response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>a page</title>')
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  t.teardown(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  const secret = Buffer.alloc(32, 1)
  const body = JSON.stringify({
    id: 'evt_1',
    type: 'account.recovered',
    occurred_at: '2026-11-22T12:00:00Z',
    data: { owner_id: 'Ä' },
  })
  const timestamp = String(Math.floor(Date.now() / 1000))
  const signature = `v1,${createHmac('sha256', secret).update(`evt_1.${timestamp}.${body}`).digest('base64')}`
  const headers = { 'webhook-id': 'evt_1', 'webhook-timestamp': timestamp, 'webhook-signature': signature }

  const page = await (await startChromium(t)).newPage()
  await page.goto(url)
  const script = `(async () => {
    const { TikTokAccounts, verifyEvent } = await import('/src/client.ts')
    const tiktok = new TikTokAccounts({ url: location.origin, key: 'a-key' })
    const event = await verifyEvent(${JSON.stringify(body)}, ${JSON.stringify(headers)}, ['whsec_${secret.toString('base64')}'])
    const forged = await verifyEvent('{}', ${JSON.stringify(headers)}, ['whsec_${secret.toString('base64')}']).catch((error) => error.code)
    const account = await tiktok.accounts.get('acc_1')
    const strange = await tiktok.accounts.get('acc_2').catch((error) => error.code)
    return [event.data.ownerId, forged, account.ownerId, strange]
  })()`
  t.strictSame(await page.evaluate(script), ['Ä', 'invalid_signature', 'user_42', 'not_the_service'])
})
