// A notice as TikTok would send it, from a test that wants every byte of it in its hand.
import { createHmac } from 'node:crypto'
import { request } from 'undici'
import { holdToDescription } from '../described.ts'
import type { World } from '../world.ts'

export interface Sent {
  body?: string | Buffer
  secret?: string
  /** unix seconds in the signature */
  t?: number
  signature?: string | null
  contentType?: string | null
}

export interface Fields {
  event?: string
  user_openid?: string | null
  /** as TikTok writes it: JSON in a string */
  content?: unknown
  create_time?: unknown
  client_key?: string
}

export const nowSeconds = () => Math.floor(Date.now() / 1000)

export function noticeBody({ tiktok }: World, fields: Fields): string {
  const { content = {}, ...others } = fields
  return JSON.stringify({
    client_key: tiktok.clientKey,
    event: 'authorization.removed',
    create_time: nowSeconds(),
    ...others,
    content: typeof content === 'string' ? content : JSON.stringify(content),
  })
}

/** @param url of the replica that takes it; the world's own when not given */
export async function sendNotice(world: World, sent: Sent, url = world.app.url) {
  const { body = noticeBody(world, {}), secret = world.tiktok.clientSecret, t = nowSeconds(), contentType } = sent
  const signed = createHmac('sha256', secret).update(`${t}.`).update(body).digest('hex')
  const signature = sent.signature === undefined ? `t=${t},s=${signed}` : sent.signature
  const answer = await request(new URL('/webhooks/tiktok', url), {
    method: 'POST',
    headers: {
      ...(contentType !== null && { 'content-type': contentType ?? 'application/json' }),
      ...(signature !== null && { 'TikTok-Signature': signature }),
    },
    body,
  })
  const heard = { status: answer.statusCode, headers: answer.headers, text: await answer.body.text() }
  holdToDescription('POST', '/webhooks/tiktok', heard)
  return heard
}
