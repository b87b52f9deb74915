// A TikTok of a test's own on loopback, for what nock cannot say: dripping, breaking off, never ending.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import { createTikTok, type TikTok } from '../../src/tiktok/client.ts'

export interface Received {
  method: string
  path: string
  headers: IncomingMessage['headers']
  body: string
}

/** @returns a client whose TikTok answers with `answer`, and everything that reached it */
export async function tiktokAnswering(
  t: Test,
  answer: (response: ServerResponse, request: Received) => void,
  timeouts: { connectMs?: number; totalMs?: number } = {},
): Promise<{ tiktok: TikTok; received: Received[]; url: string }> {
  const received: Received[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { method = '', url: path = '', headers } = request
      const whole = { method, path, headers, body: Buffer.concat(chunks).toString() }
      received.push(whole)
      answer(response, whole)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const tiktok = clientOf(t, url, timeouts)
  t.teardown(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return { tiktok, received, url }
}

export function clientOf(t: Test, url: string, timeouts: { connectMs?: number; totalMs?: number } = {}): TikTok {
  const tiktok = createTikTok({ authBaseUrl: url, apiBaseUrl: url, clientKey: 'awkey', clientSecret: 'fake-secret', timeouts })
  t.teardown(() => tiktok.close())
  return tiktok
}

/** A good token answer, as documented. */
export const grant = {
  access_token: 'act.fakeAAAA1111',
  expires_in: 7200,
  open_id: '7e1a0000-0000-4000-8000-000000000001',
  refresh_token: 'rft.fakeBBBB2222',
  refresh_expires_in: 15552000,
  scope: 'user.info.basic,video.upload',
  token_type: 'Bearer',
}

export const json = (response: ServerResponse, body: unknown, status = 200, headers: Record<string, string> = {}) =>
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
