// TikTok's notices: whose they are, and what they say. The signature comes before everything, parsing included.
import { createHmac, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { isObject, numberOf } from './answer.ts'

export type WebhookVerdict =
  | { ok: true; t: number }
  | { ok: false; reason: 'missing' | 'malformed' | 'forged' | 'too_old' | 'too_far_ahead' }

/** What `authorization.removed` can mean (docs/tiktok.md §8). */
export const removalReasons = {
  unknown: 0,
  userDisconnected: 1,
  accountDeleted: 2,
  ageChanged: 3,
  accountBanned: 4,
  developerRevoked: 5,
} as const

export interface Notice {
  clientKey: string | null
  event: string
  /** Absent from data portability's notices. */
  userOpenId: string | null
  /** When it happened at TikTok, or when TikTok signed it if it does not say; order of arrival is not order of events. */
  createTimeSeconds: number
  /** Empty when TikTok's string in the string could not be read. */
  content: Record<string, unknown>
  /** Only with `authorization.removed`; one of `removalReasons`, or a number TikTok adds later. */
  removalReason?: number
}

/** Our clock and TikTok's may differ. */
const maxAheadSeconds = 5 * 60
/** TikTok repeats a notice for 72 hours (docs/tiktok.md §8) and does not say whether a repeat is signed anew. */
const maxBehindSeconds = 73 * 60 * 60

/**
 * Verifies `TikTok-Signature: t=<unix seconds>,s=<hex>`, where s is the HMAC-SHA256 of `t.` and the raw body under the client
 * secret (docs/tiktok.md §8).
 *
 * @param secrets the current client secret and, while it is being changed, the previous one
 */
export function verifyWebhook(request: {
  signatureHeader: string | string[] | undefined
  rawBody: Buffer
  secrets: readonly string[]
  nowSeconds: number
}): WebhookVerdict {
  const { signatureHeader, rawBody, secrets, nowSeconds } = request
  if (signatureHeader === undefined || signatureHeader === '') return { ok: false, reason: 'missing' }
  const signed = typeof signatureHeader === 'string' ? readSignature(signatureHeader) : undefined
  if (!signed) return { ok: false, reason: 'malformed' }

  // Over `t` as it was written, and against every secret without stopping, so that the time taken tells nothing. A secret that is
  // not set would be a key anybody has.
  let genuine = false
  for (const secret of secrets) {
    const expected = createHmac('sha256', secret).update(`${signed.t}.`).update(rawBody).digest()
    if (timingSafeEqual(expected, signed.digest) && secret !== '') genuine = true
  }
  if (!genuine) return { ok: false, reason: 'forged' }

  const t = Number(signed.t)
  if (t > nowSeconds + maxAheadSeconds) return { ok: false, reason: 'too_far_ahead' }
  if (t < nowSeconds - maxBehindSeconds) return { ok: false, reason: 'too_old' }
  return { ok: true, t }
}

/**
 * Reads a verified notice.
 *
 * @param signedAtSeconds the signature's `t`, which serves where the notice names no time that can be
 * @returns null when it is not a notice at all. It was signed, so the answer is 200 all the same: a repeat would not read better.
 */
export function parseNotice(rawBody: Buffer, signedAtSeconds: number): Notice | null {
  const parsed = WireNotice.safeParse(readJson(rawBody.toString('utf8')))
  if (!parsed.success) return null
  const { client_key, event, user_openid, create_time, content: text } = parsed.data
  const value = typeof text === 'string' ? readJson(text) : text
  const content = isObject(value) ? value : {}
  const createTimeSeconds = happenedAt(create_time, signedAtSeconds)
  const notice: Notice = { clientKey: client_key, event, userOpenId: user_openid, createTimeSeconds, content }
  const reason = numberOf(content.reason)
  if (event === 'authorization.removed' && reason !== undefined && Number.isInteger(reason)) notice.removalReason = reason
  return notice
}

const WireNotice = z.object({
  client_key: z.string().max(128).nullable().catch(null),
  event: z.string().regex(/^[a-z0-9_.]{1,100}$/i),
  user_openid: z
    .string()
    .regex(/^[\x21-\x7e]{1,128}$/)
    .nullable()
    .catch(null),
  create_time: z.unknown().optional(),
  content: z.unknown().optional(),
})

/** TikTok's first year: no notice is about an earlier one. */
const firstMomentSeconds = Date.UTC(2016) / 1000

/** Seconds, or a finer unit, which would be thousands of years away; nothing happens after it was signed. */
function happenedAt(createTime: unknown, signedAtSeconds: number): number {
  let seconds = numberOf(createTime) ?? (typeof createTime === 'string' ? Date.parse(createTime) / 1000 : Number.NaN)
  while (seconds > 99_999_999_999) seconds /= 1000
  const isMoment = seconds >= firstMomentSeconds && seconds <= signedAtSeconds + maxAheadSeconds
  return isMoment ? Math.floor(seconds) : signedAtSeconds
}

/** Names we do not know are left room for; each of ours must stand there once. */
function readSignature(header: string): { t: string; digest: Buffer } | undefined {
  const parts = header.split(',').map((part) => part.trim())
  const [t, secondT] = parts.filter((part) => part.startsWith('t='))
  const [s, secondS] = parts.filter((part) => part.startsWith('s='))
  if (secondT !== undefined || secondS !== undefined) return undefined
  if (!/^t=\d{1,11}$/.test(t ?? '') || !/^s=[0-9a-f]{64}$/i.test(s ?? '')) return undefined
  return { t: (t ?? '').slice(2), digest: Buffer.from((s ?? '').slice(2), 'hex') }
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
