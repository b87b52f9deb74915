// Reading what TikTok's servers (or something in front of them) sent back. Nothing here trusts a status, a length or a word.
import { z } from 'zod'
import { type BrokenReason, type CallOutcome, headerOf } from '../outbound/call.ts'
import { textOf } from '../outbound/coding.ts'

export type Answered = Extract<CallOutcome, { kind: 'answered' }>

/** Why nobody can tell whether TikTok acted. */
export type AmbiguousReason = BrokenReason | 'server_error' | 'redirect'

/** A rate limit that does not say how long: TikTok's windows are one minute wide (docs/tiktok.md §5). */
const defaultRetryAfterSeconds = 60
const maxRetryAfterSeconds = 3600

/** @returns the JSON object in the body; 'cut_body' when it begins like one and does not end; 'foreign_body' for anything else */
export function readObject({ body, headers }: Answered): Record<string, unknown> | 'cut_body' | 'foreign_body' {
  const text = textOf(body, headerOf(headers, 'content-type'))
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : 'foreign_body'
  } catch {
    return text === '' || text.startsWith('{') ? 'cut_body' : 'foreign_body'
  }
}

/**
 * TikTok has two shapes for a failure, and each was seen where the other is documented: flat `"error": "invalid_grant"`
 * (docs/tiktok.md §2) and `"error": {"code": "access_token_invalid"}`, which says "ok" on success
 * (docs/tiktok.md §5).
 *
 * @returns undefined when the answer does not say that it failed; 'unknown' when it does in words we cannot read
 */
export function errorCodeOf(answer: Record<string, unknown>): string | undefined {
  const { error } = answer
  const code = isObject(error) ? (error.code ?? 'unknown') : error
  if (code === undefined || code === null || code === '' || code === 'ok') return undefined
  return typeof code === 'string' && /^[a-z0-9_.-]{1,64}$/i.test(code) ? code : 'unknown'
}

export const isRateLimit = (status: number, code?: string) => status === 429 || code === 'rate_limit_exceeded'

/** A number however it is written: 7200, "7200" and " 7200.0 " are one. @returns undefined for what is none */
export function numberOf(value: unknown): number | undefined {
  const isNumeric = typeof value === 'string' && /^\s*[+-]?\d{1,20}(\.\d{0,20})?\s*$/.test(value)
  const number = isNumeric ? Number(value) : value
  return typeof number === 'number' && Number.isFinite(number) ? number : undefined
}

/** A whole number within bounds, less any fraction; whatever else comes is null and sinks nothing. */
export const wholeNumber = (min: number, max: number) =>
  z
    .unknown()
    .transform((value): number | null => {
      const whole = Math.floor(numberOf(value) ?? Number.NaN)
      return whole >= min && whole <= max ? whole : null
    })
    .catch(null) // a field that is missing

/**
 * @returns whole seconds from 1 to 3600; undefined when there is no wait in it. A date is measured against the answer's own `Date` header,
 *   so that a wrong clock of ours does not stretch the wait (RFC 9110 §10.2.3).
 */
export function retryAfterSeconds({ headers }: Answered): number | undefined {
  const text = headerOf(headers, 'retry-after')?.trim()
  if (!text) return undefined
  const seconds = numberOf(text) ?? (httpDate(text) - answeredAt(headers)) / 1000
  const isWait = seconds >= 0 || (numberOf(text) === undefined && !Number.isNaN(seconds)) // a date may have passed on the way
  return isWait ? Math.min(Math.max(Math.ceil(seconds), 1), maxRetryAfterSeconds) : undefined
}

/** Date.parse reads a date into almost anything ("-5" too), so only dates get there; without a zone they are in GMT (RFC 9110 §5.6.7). */
function httpDate(text: string): number {
  if (/^(mon|tue|wed|thu|fri|sat|sun)[a-z]*,? /i.test(text)) return Date.parse(/ (GMT|UTC)$/i.test(text) ? text : `${text} GMT`)
  return /^\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)$/i.test(text) ? Date.parse(text) : Number.NaN
}

export const throttledForSeconds = (answered: Answered) => retryAfterSeconds(answered) ?? defaultRetryAfterSeconds

/** TikTok's support asks for it. In the body of either shape, or in a header (observed). */
export function logIdOf({ headers }: Answered, answer?: Record<string, unknown>): { logId?: string } {
  const inError = isObject(answer?.error) ? answer.error.log_id : undefined
  const logId = [answer?.log_id, inError, headerOf(headers, 'x-tt-logid')].find(
    (id): id is string => typeof id === 'string' && /^[\w-]{1,128}$/.test(id),
  )
  return logId === undefined ? {} : { logId }
}

/** @returns why an answer is not one, from its status; `otherwise` when its status was fine or a refusal without words */
export function troubleOf(
  answered: Answered,
  otherwise: AmbiguousReason,
  answer?: Record<string, unknown>,
): { reason: AmbiguousReason; retryAfterSeconds?: number; logId?: string } {
  const { status } = answered
  const reason = status >= 500 ? 'server_error' : status >= 300 && status < 400 ? 'redirect' : otherwise
  const wait = retryAfterSeconds(answered)
  return { reason, ...(wait !== undefined && { retryAfterSeconds: wait }), ...logIdOf(answered, answer) }
}

/**
 * TikTok's sentence about a failure, fit for a log line: one line, bounded, and without anything that could be a secret, be it
 * one we sent or a long run of token characters.
 */
export function describe(sentence: unknown, secretsSent: readonly string[]): { description?: string } {
  if (typeof sentence !== 'string' || sentence === '') return {}
  let text = sentence.slice(0, 2000)
  for (const secret of secretsSent) if (secret !== '') text = text.replaceAll(secret, '…')
  text = text
    .replace(/\p{C}+/gu, ' ')
    .replace(/\b(act|rft|clt)[.!]\S+/g, '…')
    .replace(/[\w!*.~+/=%-]{24,}/g, '…')
    .trim()
  return { description: text.slice(0, 200) }
}

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function answeredAt(headers: Answered['headers']): number {
  const stated = Date.parse(headerOf(headers, 'date') ?? '')
  return Number.isNaN(stated) ? Date.now() : stated
}
