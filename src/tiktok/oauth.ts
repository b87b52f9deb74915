// TikTok's OAuth in the words of RFC 6749. TikTok says client_key where the RFC says client_id, and joins scopes with commas
// where RFC 6749 §3.3 has spaces. Both are translated here and nowhere else.

import type { CallOutcome, NotSentReason, Send } from '../outbound/call.ts'
import { type AmbiguousReason, describe, errorCodeOf, isRateLimit, logIdOf, readObject } from './answer.ts'
import { type Blame, type ClientError, judgeToken, type TokenAnswer } from './token-answer.ts'

export interface App {
  authBaseUrl: string
  apiBaseUrl: string
  clientKey: string
  clientSecret: string
}

export type RevokeAnswer =
  | { kind: 'revoked' }
  /** Believable of an access token that has not expired; TikTok does not document what it says of one that has. Refresh first. */
  | { kind: 'already_gone' }
  | { kind: 'client_refused'; error: ClientError; blame: Blame; description?: string; logId?: string }
  | { kind: 'unavailable'; reason: NotSentReason | AmbiguousReason | 'throttled'; retryAfterSeconds?: number; logId?: string }

export interface AuthorizationRequest {
  state: string
  redirectUri: string
  scopes: readonly string[]
  codeChallenge?: string | undefined
}

export interface CodeExchange {
  code: string
  redirectUri: string
  codeVerifier?: string | undefined
}

/** @see RFC 6749 §4.1.1; docs/tiktok.md §1 */
export function authorizationUrl({ authBaseUrl, clientKey }: App, request: AuthorizationRequest): string {
  const url = new URL('/v2/auth/authorize/', authBaseUrl)
  url.search = new URLSearchParams({
    client_key: clientKey,
    scope: request.scopes.join(','),
    response_type: 'code',
    redirect_uri: request.redirectUri,
    state: request.state,
    // Always show the consent page: otherwise TikTok silently sends back the account that was used last, and a second one
    // cannot be connected.
    disable_auto_auth: '1',
    ...(request.codeChallenge !== undefined && { code_challenge: request.codeChallenge, code_challenge_method: 'S256' }),
  }).toString()
  return url.href
}

/** An authorization response (RFC 6749 §4.1.2), and what TikTok says about a refusal beside it. */
export interface AuthorizationResponse {
  state: string | undefined
  code: string | undefined
  error: string | undefined
  /** RFC 9207 */
  issuer: string | undefined
  /** TikTok refused because of a scope, and not the person */
  isScopeRefusal: boolean
  words: RefusalWords
}

/** Fit for a log line: TikTok's own codes name the parameter that it did not like (observed, docs/tiktok.md §1). */
export interface RefusalWords {
  /** `error` once more, also where it is none of the RFC's */
  reason: string | undefined
  errCode: string | undefined
  errorType: string | undefined
  logId: string | undefined
}

/** @param query what TikTok sent the browser back with; a parameter that is empty is one that is absent */
export function readAuthorizationResponse(query: Record<string, unknown>): AuthorizationResponse {
  const named = (...names: string[]) =>
    names.map((name) => query[name]).find((value): value is string => typeof value === 'string' && value.trim() !== '')
  const word = (...names: string[]) => {
    const value = named(...names)
    return value !== undefined && /^[\w.-]{1,128}$/.test(value) ? value : undefined
  }
  const error = named('error')
  const said = [error, word('error_type', 'errorType'), named('error_description')].join(' ')
  return {
    state: named('state'),
    code: named('code'),
    error,
    issuer: named('iss'),
    // `invalid_scope`, `scope_not_authorized`, or a code with the word beside it; `access_denied` is the person's own decision.
    isScopeRefusal: error !== undefined && error !== 'access_denied' && /(^|[^a-z])scopes?([^a-z]|$)/i.test(said),
    words: {
      reason: word('error'),
      errCode: word('errCode', 'err_code', 'error_code'),
      errorType: word('error_type', 'errorType'),
      logId: word('log_id', 'logid', 'logId'),
    },
  }
}

/** @see RFC 6749 §4.1.3. A code is used once: only `not_sent` allows the same one again. */
export async function exchangeCode(
  app: App,
  send: Send,
  { code, redirectUri, codeVerifier }: CodeExchange,
): Promise<TokenAnswer> {
  const grant = { grant_type: 'authorization_code', code, redirect_uri: redirectUri }
  const form = { ...clientOf(app), ...grant, ...(codeVerifier !== undefined && { code_verifier: codeVerifier }) }
  const outcome = await send({ url: new URL('/v2/oauth/token/', app.apiBaseUrl), method: 'POST', form })
  return judgeToken(outcome, { exchange: true, secrets: [code, codeVerifier ?? '', app.clientSecret] })
}

/** @see RFC 6749 §6. TikTok kills the old refresh token when it issues a new one. */
export async function refresh(app: App, send: Send, refreshToken: string): Promise<TokenAnswer> {
  const form = { ...clientOf(app), grant_type: 'refresh_token', refresh_token: refreshToken }
  const outcome = await send({ url: new URL('/v2/oauth/token/', app.apiBaseUrl), method: 'POST', form })
  return judgeToken(outcome, { exchange: false, secrets: [refreshToken, app.clientSecret] })
}

/** Takes the app off the person's list at TikTok: every token of this person and app dies, not only this one. */
export async function revoke(app: App, send: Send, accessToken: string): Promise<RevokeAnswer> {
  const form = { ...clientOf(app), token: accessToken }
  const outcome = await send({ url: new URL('/v2/oauth/revoke/', app.apiBaseUrl), method: 'POST', form })
  if (outcome.kind !== 'answered') return { kind: 'unavailable', reason: outcome.reason }

  const answer = readObject(outcome)
  const code = typeof answer === 'object' ? errorCodeOf(answer) : undefined
  // The documented success is `{}`; an empty body has the same nothing to say.
  const saidNothing = code === undefined && (typeof answer === 'object' || outcome.body.length === 0)
  if (saidNothing && outcome.status >= 200 && outcome.status < 300) return { kind: 'revoked' }
  // What was to be gone is gone (RFC 7009 §2.2).
  if (code === 'invalid_grant' || code === 'invalid_token' || code === 'access_token_invalid') return { kind: 'already_gone' }

  const judged = judgeToken(outcome, { exchange: false, secrets: [accessToken, app.clientSecret] })
  if (judged.kind === 'client_refused') return judged
  if (judged.kind === 'throttled') return { ...judged, kind: 'unavailable', reason: 'throttled' }
  return judged.kind === 'ambiguous' ? { ...judged, kind: 'unavailable' } : { kind: 'unavailable', reason: 'foreign_body' }
}

/** Whether TikTok takes the key and the secret; `unclear`: it did not say. */
export type ClientAnswer =
  | { kind: 'accepted' }
  | { kind: 'refused'; error: string; description?: string; logId?: string }
  | { kind: 'unclear'; reason: string }

/** A token for the app itself (RFC 6749 §4.4): it concerns nobody's account, and asking for one shows whether key and secret are right. */
export function clientRequest(app: App): { url: URL; method: 'POST'; form: Record<string, string> } {
  const form = { ...clientOf(app), grant_type: 'client_credentials' }
  return { url: new URL('/v2/oauth/token/', app.apiBaseUrl), method: 'POST', form }
}

/** The token that came is not looked at. */
export function judgeClient(outcome: CallOutcome, { clientSecret }: App): ClientAnswer {
  if (outcome.kind !== 'answered') return { kind: 'unclear', reason: outcome.reason }
  const answer = readObject(outcome)
  if (typeof answer !== 'object') return { kind: 'unclear', reason: `${answer}, status ${outcome.status}` }
  const error = errorCodeOf(answer)
  if (error === undefined) return 'access_token' in answer ? { kind: 'accepted' } : { kind: 'unclear', reason: 'foreign_body' }
  if (isRateLimit(outcome.status, error) || outcome.status >= 500) return { kind: 'unclear', reason: error }
  return { kind: 'refused', error, ...describe(answer.error_description, [clientSecret]), ...logIdOf(outcome, answer) }
}

const clientOf = ({ clientKey, clientSecret }: App) => ({ client_key: clientKey, client_secret: clientSecret })
