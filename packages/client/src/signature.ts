// Events that are pushed are signed as Standard Webhooks says; WebCrypto compares in constant time, in Node and in browsers.
import { CallerError, isObject } from './errors.ts'
import { renamed, toCamel } from './names.ts'
import type { ServiceEvent } from './wire.ts'

export interface VerifyOptions {
  /** how far the sender's clock and ours may differ, and how long a delivery may take: 300 unless said */
  toleranceSeconds?: number | undefined
  /** unless it is now */
  now?: Date | undefined
}

export type HeadersLike = Headers | Record<string, string | string[] | undefined>

/**
 * @param rawBody the bytes as they came, before any JSON parser
 * @param secrets `whsec_…`, the new one and the old one while it is being changed
 * @returns the event; its `id` is the same over all deliveries, so remember it
 * @throws CallerError invalid_signature: answer 401
 */
export async function verifyEvent(
  rawBody: string | Uint8Array,
  headers: HeadersLike,
  secrets: string | readonly string[],
  { toleranceSeconds = 300, now = new Date() }: VerifyOptions = {},
): Promise<ServiceEvent> {
  const [id, timestamp, signatures] = ['id', 'timestamp', 'signature'].map((name) => headerOf(headers, `webhook-${name}`))
  if (!id || !timestamp || !signatures) throw refused('The webhook- headers are missing.')
  if (!/^\d{1,12}$/.test(timestamp) || Math.abs(now.getTime() / 1000 - Number(timestamp)) > toleranceSeconds)
    throw refused('It is too old, or the clocks differ.')

  const body = typeof rawBody === 'string' ? new TextEncoder().encode(rawBody) : rawBody
  const head = new TextEncoder().encode(`${id}.${timestamp}.`)
  const signed = new Uint8Array(head.length + body.length)
  signed.set(head)
  signed.set(body, head.length)

  const given = signatures
    .split(' ')
    .flatMap((signature) => (signature.startsWith('v1,') ? [bytesOf(signature.slice(3)) ?? []] : []))
  for (const secret of typeof secrets === 'string' ? [secrets] : secrets) {
    const key = await keyOf(secret)
    for (const signature of given) {
      if (await crypto.subtle.verify('HMAC', key, new Uint8Array(signature), signed)) return eventIn(body)
    }
  }
  throw refused('None of the secrets made this signature.')
}

function eventIn(body: Uint8Array): ServiceEvent {
  const event = renamed(JSON.parse(new TextDecoder().decode(body)), toCamel)
  if (!isObject(event) || typeof event.type !== 'string') throw refused('The body is not an event.')
  return event as ServiceEvent
}

async function keyOf(secret: string) {
  const bytes = bytesOf(secret.replace(/^whsec_/, ''))
  if (!bytes || bytes.length < 16) throw new TypeError('secrets: each is whsec_ and at least 16 bytes in base64')
  return crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['verify'])
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
  } catch {
    return undefined
  }
}

function headerOf(headers: HeadersLike, name: string): string | undefined {
  if (isHeaders(headers)) return headers.get(name) ?? undefined
  const [, value] = Object.entries(headers).find(([key]) => key.toLowerCase() === name) ?? []
  return Array.isArray(value) ? value[0] : value
}

/** Another library's are no instance of ours. */
const isHeaders = (headers: HeadersLike): headers is Headers => typeof headers.get === 'function'

const refused = (why: string) => new CallerError({ code: 'invalid_signature', detail: `This event is not the service's. ${why}` })
