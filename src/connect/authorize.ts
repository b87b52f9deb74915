// The way to TikTok and back (RFC 6749 §4.1.1, §4.1.2): a fresh state bound to this browser going out, and its one use coming in.

import { beginAuthorization, type ConsumedState, consumeState } from '../db/authorization-requests.ts'
import type { Db } from '../db/client.ts'
import { type ConnectSession, failSession, findSession, holdCode, replaceConfirm } from '../db/connect-sessions.ts'
import { ServiceError } from '../errors.ts'
import type { Refusals } from '../refusals.ts'
import type { Config } from '../settings/config.ts'
import type { Log } from '../telemetry.ts'
import type { TikTok } from '../tiktok/client.ts'
import type { AuthorizationResponse, RefusalWords } from '../tiktok/oauth.ts'
import { challengeOf, createVerifier } from '../tiktok/pkce.ts'
import { digest, keyedDigest, randomToken } from '../vault/digest.ts'
import type { Vault } from '../vault/vault.ts'
import { errorOf, onPageOf, returnUrl, statusOf, wayBackForStrangers } from './connect-session.ts'
import type { Exchanges } from './exchange.ts'
import type { ConnectMetrics } from './metrics.ts'
import { rememberRefusal, scopeQuestion, scopesAsked } from './scopes.ts'

export interface AuthorizeDeps {
  db: Db
  vault: Vault
  tiktok: Pick<TikTok, 'authorizationUrl'>
  log: Log
  metrics: ConnectMetrics
  config: Pick<Config, 'redirectUri' | 'tiktok'>
}

export type ReceiveAuthorizationDeps = AuthorizeDeps & { refusals: Refusals; exchanges: Exchanges }

export interface AuthorizationStart {
  location: string
  /** for the cookie that binds the state to this browser; its name is derived from the state, so that two tabs do not fight */
  state: string
  bindingSecret: string
}

/**
 * Starts one authorization request (S01): fresh state of 256 bits, fresh browser secret, fresh PKCE verifier.
 *
 * @param from.reconnectAccountId the account the person asked to reconnect on the connect page; no other may come back with this state
 * @param from.bindings what this browser keeps of earlier departures: one without a return is answered with the required scopes alone
 * @param from.scopesRefused TikTok has just refused the optional scopes
 * @throws ServiceError session_invalid: used up, or visited too often
 */
export async function startAuthorization(
  { db, vault, tiktok, config, metrics }: Omit<AuthorizeDeps, 'log'>,
  session: ConnectSession,
  from: { bindings: readonly string[]; reconnectAccountId?: string | null; scopesRefused?: boolean },
): Promise<AuthorizationStart> {
  const state = randomToken()
  const bindingSecret = randomToken()
  const { pkce } = config.tiktok
  const verifier = pkce === 'off' ? null : createVerifier()
  const begun = await beginAuthorization(db, {
    sessionId: session.id,
    stateHash: digest(state),
    bindingHash: digest(bindingSecret),
    sealedVerifier:
      verifier === null ? null : vault.seal({ purpose: 'code_verifier', subject: session.id, generation: 0 }, verifier),
    reconnectAccountId: from.reconnectAccountId ?? null,
    scopes: scopeQuestion(config.tiktok, from.bindings, from.scopesRefused ?? false),
  })
  if (!begun)
    throw new ServiceError('session_invalid', 'This link was used already. Go back to where you came from and start again.', {
      ...onPageOf(session),
    })
  if (begun.narrowed !== null) metrics.narrowed.inc({ cause: begun.narrowed })
  const location = tiktok.authorizationUrl({
    state,
    redirectUri: config.redirectUri,
    scopes: scopesAsked(config.tiktok, begun.narrowed !== null),
    codeChallenge: verifier === null || pkce === 'off' ? undefined : challengeOf(verifier, pkce),
  })
  return { location, state, bindingSecret }
}

export interface BrowserResponse extends AuthorizationResponse {
  state: string
  bindingSecret: string | null
}

/**
 * Takes the authorization response: checks and consumes the state before anything is sent to TikTok, then keeps the code for `complete` or
 * exchanges it at once. The same browser that comes again (reload, back, twice at once) is sent on to where it belongs; in `confirm` mode with a new
 * confirm token, and the old one is void.
 *
 * @returns where the browser goes: the return URL that was fixed when the session was made; or, when TikTok refused the optional scopes, to
 *   TikTok once more with the required ones
 * @throws ServiceError state_invalid | state_expired | browser_mismatch | session_invalid: cannot be tied to a session, so nothing is redirected
 */
export async function receiveAuthorization(
  deps: ReceiveAuthorizationDeps,
  response: BrowserResponse,
): Promise<string | AuthorizationStart> {
  const { db, config } = deps
  const state = await consumeState(
    db,
    digest(response.state),
    response.bindingSecret === null ? null : digest(response.bindingSecret),
  )
  const session = state && (await findSession(db, state.sessionId))
  if (!state || !session || session.disowned)
    throw new ServiceError(
      'state_invalid',
      'TikTok sent you back with a link we did not make. Start again from where you came from.',
    )
  const { bindingSecret } = response
  if (bindingSecret === null || !state.browserFits) throw otherBrowser(deps, session, state)
  // Neither consumed nor used nor expired: an equal request had the row locked, and this one saw it as it was before.
  if (!state.consumed && !state.used && state.expired)
    throw new ServiceError('state_expired', 'That took more than ten minutes. Start again from where you came from.', {
      ...onPageOf(session),
    })
  if (session.status !== 'authorizing') return sendOn(deps, session, { ...response, bindingSecret })

  const fail = (error: string) => failAuthorization(deps, session, error, response.words)
  // RFC 9207 §2.4: an answer that names another issuer is another server's.
  if (response.issuer !== undefined && response.issuer !== config.tiktok.authBaseUrl) return fail('issuer_mismatch')
  if (response.isScopeRefusal && !state.requiredOnly && scopeQuestion(config.tiktok, [], true).memory !== null) {
    deps.log.warn('TikTok refused the scopes: the required ones are asked for alone', {
      sessionId: session.id,
      ...response.words,
    })
    await rememberRefusal(deps)
    const { reconnectAccountId } = state
    return startAuthorization(deps, session, { bindings: [], reconnectAccountId, scopesRefused: true })
  }
  if (response.error !== undefined) return fail(knownError(response.error))
  if (response.code === undefined) return fail('code_missing')

  const proven = { ...response, bindingSecret }
  const confirm = session.completion === 'confirm' ? confirmOf(null, proven) : null
  const held = await hold(deps, session, state, { ...proven, code: response.code }, confirm)
  const now = (held && confirm !== null ? undefined : await findSession(db, session.id)) ?? session
  // An equal request that was quicker by a moment has made the same token.
  if (confirm !== null && (held || now.confirmHash === digest(confirm))) return returnUrl(now, { confirm })
  return sendOn(deps, now, proven)
}

/** Whoever came with the state of another browser, or with one whose session has gone on with another state, is told so and nothing else. */
function otherBrowser({ refusals }: ReceiveAuthorizationDeps, session: ConnectSession, state: ConsumedState): ServiceError {
  const onPage = onPageOf(session, wayBackForStrangers(session))
  if (state.superseded)
    return new ServiceError(
      'session_invalid',
      'This was finished in another tab. Go back to where you came from to see the result.',
      onPage,
    )
  const { sessionId } = state
  const event = 'authorization response came from another browser'
  refusals.note({ kind: 'browser_mismatch', event, who: sessionId, facts: { sessionId } })
  return new ServiceError(
    'browser_mismatch',
    'Please finish in the browser in which you started, with cookies allowed, or start again.',
    onPage,
  )
}

/** @returns false when an equal request was quicker, or the session has gone on */
async function hold(
  { db, vault, log }: ReceiveAuthorizationDeps,
  session: ConnectSession,
  state: ConsumedState,
  response: ProvenResponse & { code: string },
  confirm: string | null,
): Promise<boolean> {
  const held = await holdCode(db, {
    sessionId: session.id,
    stateHash: digest(response.state),
    sealedCode: vault.seal({ purpose: 'authorization_code', subject: session.id, generation: 0 }, response.code),
    sealedVerifier: state.sealedVerifier,
    confirmHash: confirm === null ? null : digest(confirm),
    reconnectAccountId: state.reconnectAccountId,
    requiredOnly: state.requiredOnly,
  })
  if (held) log.info('authorization response was received', { sessionId: session.id })
  return held
}

type ProvenResponse = BrowserResponse & { bindingSecret: string }

/** Where a browser goes that has come back with its code before, or in `callback` mode just now. */
async function sendOn(deps: ReceiveAuthorizationDeps, session: ConnectSession, response: ProvenResponse): Promise<string> {
  const { exchanges } = deps
  const status = statusOf(session)
  if (status === 'failed') return returnUrl(session, { status: 'failed', error: errorOf(session) ?? 'tiktok_rejected' })
  if (status === 'expired') return failAuthorization(deps, session, 'session_expired', response.words)
  if (session.status === 'pending' || session.status === 'authorizing')
    throw new ServiceError('session_invalid', 'This connection is over. Start again from where you came from.', {
      ...onPageOf(session),
    })
  if (session.completion === 'confirm') return returnUrl(session, { confirm: await newConfirm(deps, session, response) })

  const after = await exchanges.exchangedSession(session.id, 'callback')
  if (after.status === 'completed' && after.accountId !== null)
    return returnUrl(session, { status: 'connected', account_id: after.accountId })
  // Nothing reached TikTok, and in this mode nobody can ask for another try: said to the browser and to the session alike.
  if (after.status === 'awaiting_completion') return failAuthorization(deps, session, 'tiktok_unavailable', response.words)
  return returnUrl(session, { status: 'failed', error: after.error ?? 'tiktok_unavailable' })
}

/**
 * A confirm token in place of the present one. Requests that overlap saw the same present token, so they make the same new one, and it does not matter
 * whose answer the browser takes.
 */
async function newConfirm({ db }: ReceiveAuthorizationDeps, session: ConnectSession, response: ProvenResponse): Promise<string> {
  for (let present = session.confirmHash; present !== null; ) {
    const confirm = confirmOf(present, response)
    const replacement = { stateHash: digest(response.state), presentHash: present, confirmHash: digest(confirm) }
    if (await replaceConfirm(db, session.id, replacement)) return confirm
    const now = (await findSession(db, session.id))?.confirmHash ?? null
    if (now === digest(confirm)) return confirm
    if (now === present) break
    present = now
  }
  throw new ServiceError('session_invalid', 'This connection is over. Start again from where you came from.', {
    ...onPageOf(session),
  })
}

/** Made of what only this browser has, its cookie and its state; neither is stored anywhere but as a hash. */
function confirmOf(presentHash: string | null, { state, bindingSecret }: ProvenResponse): string {
  return keyedDigest(bindingSecret, `confirm.${state}.${presentHash ?? ''}`)
}

async function failAuthorization(
  { db, log }: { db: Db; log: Log },
  session: ConnectSession,
  error: string,
  words: RefusalWords,
): Promise<string> {
  await failSession(db, session.id, error)
  log.info('authorization was refused', { sessionId: session.id, code: error, ...words })
  return returnUrl(session, { status: 'failed', error })
}

/** RFC 6749 §4.1.2.1 names these; whatever else comes is not echoed. */
function knownError(error: string): string {
  const known = [
    'access_denied',
    'invalid_request',
    'unauthorized_client',
    'unsupported_response_type',
    'invalid_scope',
    'server_error',
    'temporarily_unavailable',
  ]
  return known.includes(error) ? error : 'authorization_failed'
}
