// The way to TikTok and back (RFC 6749 §4.1.1, §4.1.2): a fresh state bound to this browser going out, and its one use coming in.
import type { Config } from '../config.ts'
import { beginAuthorization, consumeState } from '../db/authorization-requests.ts'
import type { Db } from '../db/client.ts'
import { type ConnectSession, failSession, findSession, holdCode } from '../db/connect-sessions.ts'
import { ServiceError } from '../errors.ts'
import type { Refusals } from '../refusals.ts'
import type { Log } from '../telemetry.ts'
import type { TikTok } from '../tiktok/client.ts'
import type { AuthorizationResponse, RefusalWords } from '../tiktok/oauth.ts'
import { challengeOf, createVerifier } from '../tiktok/pkce.ts'
import { digest, randomToken } from '../vault/digest.ts'
import type { Vault } from '../vault/vault.ts'
import type { Exchanges } from './exchange.ts'

export interface AuthorizeDeps {
  db: Db
  vault: Vault
  tiktok: Pick<TikTok, 'authorizationUrl'>
  log: Log
  config: Pick<Config, 'redirectUri' | 'tiktok'>
}

export type ReceiveAuthorizationDeps = Omit<AuthorizeDeps, 'tiktok'> & { refusals: Refusals; exchanges: Exchanges }

export interface AuthorizationStart {
  location: string
  /** for the cookie that binds the state to this browser; its name is derived from the state, so that two tabs do not fight */
  state: string
  bindingSecret: string
}

/**
 * Starts one authorization request (S01): fresh state of 256 bits, fresh browser secret, fresh PKCE verifier.
 *
 * @param reconnectAccountId the account the person asked to reconnect on the connect page; no other may come back with this state
 * @throws ServiceError session_invalid: used up, or visited too often
 */
export async function startAuthorization(
  { db, vault, tiktok, config }: Omit<AuthorizeDeps, 'log'>,
  session: ConnectSession,
  reconnectAccountId: string | null = null,
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
    reconnectAccountId,
  })
  if (!begun)
    throw new ServiceError('session_invalid', 'This link was used already. Go back to where you came from and start again.')
  const location = tiktok.authorizationUrl({
    state,
    redirectUri: config.redirectUri,
    scopes: config.tiktok.scopes,
    codeChallenge: verifier === null || pkce === 'off' ? undefined : challengeOf(verifier, pkce),
  })
  return { location, state, bindingSecret }
}

export interface BrowserResponse extends AuthorizationResponse {
  state: string
  bindingSecret: string | null
}

/**
 * Takes the authorization response. The state is checked and consumed first; then the code is kept for `complete` or exchanged at
 * once.
 *
 * @returns where the browser goes: always the return URL that was fixed when the session was made
 * @throws ServiceError state_invalid | state_expired | browser_mismatch | session_invalid: cannot be tied to a session, so nothing is redirected
 */
export async function receiveAuthorization(
  { db, vault, config, log, refusals, exchanges }: ReceiveAuthorizationDeps,
  response: BrowserResponse,
): Promise<string> {
  const fail = (session: ConnectSession, error: string) => failAuthorization({ db, log }, session, error, response.words)
  const bindingHash = response.bindingSecret === null ? null : digest(response.bindingSecret)
  const state = await consumeState(db, digest(response.state), bindingHash)
  if (!state)
    throw new ServiceError(
      'state_invalid',
      'TikTok sent you back with a link we did not make. Start again from where you came from.',
    )
  if (!state.consumed) {
    if (state.expired)
      throw new ServiceError('state_expired', 'That took more than ten minutes. Start again from where you came from.')
    if (!state.browserFits) {
      const { sessionId } = state
      const event = 'authorization response came from another browser'
      refusals.note({ kind: 'browser_mismatch', event, who: sessionId, facts: { sessionId } })
      throw new ServiceError(
        'browser_mismatch',
        'Please finish in the browser in which you started, with cookies allowed, or start again.',
      )
    }
    throw new ServiceError('state_invalid', 'This step was done already. Go back to where you came from to see the result.')
  }
  const session = await findSession(db, state.sessionId)
  if (!session) throw new ServiceError('session_invalid', 'This connection is over. Start again from where you came from.')

  // RFC 9207 §2.4: an answer that names another issuer is another server's.
  if (response.issuer !== undefined && response.issuer !== config.tiktok.authBaseUrl) return fail(session, 'issuer_mismatch')
  if (response.error !== undefined) return fail(session, knownError(response.error))
  if (response.code === undefined) return fail(session, 'code_missing')

  const confirm = session.completion === 'confirm' ? randomToken() : null
  const held = await holdCode(db, {
    sessionId: session.id,
    sealedCode: vault.seal({ purpose: 'authorization_code', subject: session.id, generation: 0 }, response.code),
    sealedVerifier: state.sealedVerifier,
    confirmHash: confirm === null ? null : digest(confirm),
    reconnectAccountId: state.reconnectAccountId,
  })
  if (!held) throw new ServiceError('session_invalid', 'This connection is over. Start again from where you came from.')
  log.info('authorization response was received', { sessionId: session.id })
  if (confirm !== null) return returnUrl(session, { confirm })

  const after = await exchanges.exchangedSession(session.id, 'callback')
  if (after.status === 'completed' && after.accountId !== null)
    return returnUrl(session, { status: 'connected', account_id: after.accountId })
  // Nothing reached TikTok, and in this mode nobody can ask for another try: said to the browser and to the session alike.
  if (after.status === 'awaiting_completion') return fail(session, 'tiktok_unavailable')
  return returnUrl(session, { status: 'failed', error: after.error ?? 'tiktok_unavailable' })
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

function returnUrl(session: ConnectSession, facts: Record<string, string>): string {
  const url = new URL(session.returnUrl)
  url.searchParams.set('connect_session', session.id)
  for (const [name, value] of Object.entries(facts)) url.searchParams.set(name, value)
  return url.href
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
