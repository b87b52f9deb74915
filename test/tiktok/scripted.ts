// The real addresses of TikTok with scripted answers: the network is closed, and every script must have been used.
import nock from 'nock'
import type { Test } from 'tap'
import { createTikTok, type TikTok } from '../../src/tiktok/client.ts'

export const secret = 'fake-secret-of-ours'

export interface Script {
  status?: number
  body: unknown
  headers?: Record<string, string>
}

/** @returns a client for the real addresses, and the mouth of their host */
export function scriptedTikTok(t: Test): { tiktok: TikTok; api: nock.Scope } {
  nock.disableNetConnect()
  const tiktok = createTikTok({
    authBaseUrl: 'https://www.tiktok.com',
    apiBaseUrl: 'https://open.tiktokapis.com',
    clientKey: 'awkey',
    clientSecret: secret,
  })
  t.teardown(async () => {
    await tiktok.close()
    const unused = nock.pendingMocks()
    nock.cleanAll()
    nock.enableNetConnect()
    if (unused.length > 0) throw new Error(`scripted and never asked for: ${unused.join(', ')}`)
  })
  return { tiktok, api: nock('https://open.tiktokapis.com') }
}

/** A string is sent as it stands, anything else as JSON. */
export const reply = (mock: nock.Interceptor, { status = 200, body, headers = {} }: Script): nock.Scope =>
  mock.reply(status, typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body), {
    'content-type': 'application/json',
    ...headers,
  })
