// What TikTok's answer to a token request means: a grant, a refusal and of whom, or nothing that can be relied on.
import { z } from 'zod'
import type { CallOutcome, NotSentReason } from '../outbound/call.ts'
import {
  type AmbiguousReason,
  type Answered,
  describe,
  errorCodeOf,
  isRateLimit,
  logIdOf,
  readObject,
  throttledForSeconds,
  troubleOf,
  wholeNumber,
} from './answer.ts'

export interface TokenSet {
  accessToken: string
  /** null: none came, or nothing usable: the old one stays (RFC 6749 §6: issuing a new one is optional). */
  refreshToken: string | null
  /** null: TikTok stated none, or nonsense: the token is good for a while that is assumed (token/expiry.ts). */
  expiresInSeconds: number | null
  refreshExpiresInSeconds: number | null
  openId: string
  /** null: not stated, so what was granted before still stands (RFC 6749 §5.1, §6). Never an empty list by omission. */
  scopes: string[] | null
}

/** `credentials`: no call of ours will succeed until somebody mends them. `request`: this one call was not to TikTok's liking. */
export type Blame = 'credentials' | 'request'

export type TokenAnswer =
  | { kind: 'granted'; tokenSet: TokenSet; logId?: string }
  /** Not a byte left us: the same code or token is safe to send again. */
  | { kind: 'not_sent'; reason: NotSentReason; cause: unknown }
  /** TikTok may have spent the code or token. */
  | { kind: 'ambiguous'; reason: AmbiguousReason; status?: number; retryAfterSeconds?: number; logId?: string }
  | { kind: 'throttled'; retryAfterSeconds: number }
  /** About this code or refresh token, and only the person can help. `access_denied` answers an exchange only. */
  | { kind: 'refused'; error: 'invalid_grant' | 'access_denied'; description?: string; logId?: string }
  /** About us, never about the account. */
  | { kind: 'client_refused'; error: ClientError; blame: Blame; description?: string; logId?: string }

export type ClientError = Exclude<keyof typeof meanings, 'invalid_grant'>

/**
 * What each error is about. The names are RFC 6749 §4.1.2.1 and §5.2. invalid_request is a malformed request: it says nothing
 * about the grant (so it must not cost a person a reconnect) and nothing about our credentials (so one odd token must not stop
 * everybody's refresh); TikTok uses it for a redirect_uri or verifier that does not fit, too.
 */
const meanings = {
  invalid_grant: 'grant',
  access_denied: 'grant',
  invalid_client: 'credentials',
  unauthorized_client: 'credentials',
  invalid_request: 'request',
  invalid_scope: 'request',
  unsupported_grant_type: 'request',
  unsupported_response_type: 'request',
} as const

const tokenText = z.string().regex(/^[\x21-\x7e]{1,2048}$/)
const secondsUpTo = (days: number) => wholeNumber(1, days * 86_400)

/**
 * A grant stands on its access token and open_id. Nonsense in the other fields becomes null instead of sinking the answer: when it
 * arrives, TikTok has already killed the old refresh token, and the new one in it may be the only live one.
 */
const Grant = z.object({
  access_token: tokenText,
  open_id: z.string().regex(/^[\x21-\x7e]{1,128}$/),
  refresh_token: tokenText.nullable().catch(null),
  expires_in: secondsUpTo(366), // documented: 2 hours, formerly a day
  refresh_expires_in: secondsUpTo(5 * 366), // documented: 180 days, formerly 365
  scope: z.string().max(4096).nullable().catch(null),
})

/** Judges a token answer by its body, whatever the status: errors in a 200 are the rule at TikTok. */
export function judgeToken(outcome: CallOutcome, request: { exchange: boolean; secrets: string[] }): TokenAnswer {
  if (outcome.kind === 'not_sent') return outcome
  if (outcome.kind === 'broken') return { ...outcome, kind: 'ambiguous' }

  const answer = readObject(outcome)
  if (typeof answer !== 'object') return withoutWords(outcome, answer)
  const code = errorCodeOf(answer)
  if (code !== undefined) return judgeError(outcome, answer, code, request)

  const grant = Grant.safeParse(answer)
  if (!grant.success) return withoutWords(outcome, 'foreign_body', answer)
  const { access_token, refresh_token, expires_in, refresh_expires_in, open_id, scope } = grant.data
  const tokenSet: TokenSet = {
    accessToken: access_token,
    refreshToken: refresh_token,
    expiresInSeconds: expires_in,
    refreshExpiresInSeconds: refresh_expires_in,
    openId: open_id,
    scopes: scope === null ? null : scopesOf(scope),
  }
  return { kind: 'granted', tokenSet, ...logIdOf(outcome, answer) }
}

function judgeError(
  outcome: Answered,
  answer: Record<string, unknown>,
  code: string,
  { exchange, secrets }: { exchange: boolean; secrets: string[] },
): TokenAnswer {
  // A refusal inside a 429 is not believed: waiting costs a minute, a wrong invalid_grant costs a person a reconnect.
  if (isRateLimit(outcome.status, code)) return { kind: 'throttled', retryAfterSeconds: throttledForSeconds(outcome) }
  if (!isMeaningful(code)) return withoutWords(outcome, serverErrors.has(code) ? 'server_error' : 'foreign_body', answer)

  const details = { ...describe(answer.error_description, secrets), ...logIdOf(outcome, answer) }
  if (code === 'invalid_grant') return { kind: 'refused', error: code, ...details }
  if (code === 'access_denied' && exchange) return { kind: 'refused', error: code, ...details }
  // In an exchange TikTok also says unauthorized_client of one person who is not a target user of the sandbox; and of a
  // refresh, only invalid_grant speaks about the person.
  const aboutCredentials = meanings[code] === 'credentials' && !(exchange && code === 'unauthorized_client')
  return { kind: 'client_refused', error: code, blame: aboutCredentials ? 'credentials' : 'request', ...details }
}

/** No word to judge by: only the status is left. Whatever it is, TikTok may have acted, except on a 429. */
function withoutWords(outcome: Answered, otherwise: AmbiguousReason, answer?: Record<string, unknown>): TokenAnswer {
  if (isRateLimit(outcome.status)) return { kind: 'throttled', retryAfterSeconds: throttledForSeconds(outcome) }
  return { kind: 'ambiguous', status: outcome.status, ...troubleOf(outcome, otherwise, answer) }
}

const serverErrors: ReadonlySet<string> = new Set(['server_error', 'temporarily_unavailable', 'internal_error'])

const isMeaningful = (code: string): code is keyof typeof meanings => Object.hasOwn(meanings, code)

/** Commas are TikTok's, spaces the RFC's. An empty list is a statement nobody makes: taken for none. */
function scopesOf(text: string): string[] | null {
  const scopes = [...new Set(text.split(/[\s,]+/).filter((scope) => /^[\x21-\x7e]{1,64}$/.test(scope)))]
  return scopes.length === 0 ? null : scopes
}
