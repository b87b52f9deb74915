// A service that answers what a test says, in order, and remembers what it was asked.
import { TikTokAccounts } from '../src/client.ts'
import type { TransportOptions } from '../src/transport.ts'

export interface Asked {
  method: string
  path: string
  headers: Headers
  body: unknown
}
export type Reply = (asked: Asked) => Response | Promise<Response>

export const key = 'tts_a-secret-key'

/** @param replies one after the other; the last one stays */
export function scripted(replies: Reply[], options: Partial<TransportOptions> = {}): { tiktok: TikTokAccounts; asked: Asked[] } {
  const asked: Asked[] = []
  const fetch: typeof globalThis.fetch = async (input, init) => {
    const { pathname, search } = new URL(String(input))
    const body: unknown = typeof init?.body === 'string' ? JSON.parse(init.body) : undefined
    const call = { method: init?.method ?? 'GET', path: pathname + search, headers: new Headers(init?.headers), body }
    asked.push(call)
    const reply = replies.length > 1 ? replies.shift() : replies[0]
    init?.signal?.throwIfAborted()
    if (!reply) throw new Error('nobody asked for this')
    return reply(call)
  }
  return { tiktok: new TikTokAccounts({ url: 'https://oauth.example.com', key, fetch, ...options }), asked }
}

export const json =
  (value: unknown, status = 200, headers: Record<string, string> = {}): Reply =>
  () =>
    new Response(JSON.stringify(value), { status, headers: { 'content-type': 'application/json', ...headers } })

export const problem = (
  status: number,
  code: string,
  mendedBy: string,
  headers: Record<string, string> = {},
  more: object = {},
): Reply =>
  json(
    {
      type: 'x',
      title: 'x',
      status,
      detail: `what to do about ${code}`,
      code,
      mended_by: mendedBy,
      request_id: 'req_1',
      ...more,
    },
    status,
    {
      'content-type': 'application/problem+json',
      ...headers,
    },
  )

export const token = (generation: number, expiresIn = 7200) => ({
  access_token: `act.${generation}`,
  token_type: 'Bearer',
  expires_at: '2026-11-22T14:00:00.000Z',
  expires_in: expiresIn,
  scopes: ['video.upload'],
  open_id: 'person',
  generation,
})

export const lost: Reply = () => {
  throw new TypeError('fetch failed')
}
