// Turns an authorization code into an account (RFC 6749 §4.1.3). A code works once and an answer comes once: the code is never sent
// twice, and what TikTok answered is kept before it is looked at, like a refresh.
import { z } from 'zod'
import { limitOf, requireTier } from '../account/limits.ts'
import { fetchProfile } from '../account/profile.ts'
import { type ConnectOutcome, connectAccount, findByOpenId } from '../db/accounts.ts'
import {
  beginExchange,
  type ConnectSession,
  type ExchangeClaim,
  failSession,
  findSession,
  releaseExchange,
} from '../db/connect-sessions.ts'
import { closeGate } from '../db/gates.ts'
import { type FailureCode, failures, ServiceError } from '../errors.ts'
import { within } from '../flights.ts'
import { newId } from '../ids.ts'
import type { Parts } from '../parts.ts'
import type { TokenAnswer } from '../tiktok/client.ts'
import { digest, sameDigest } from '../vault/digest.ts'
import { errorOf, getConnectSession } from './connect.ts'
import { datesOf } from './expiry.ts'
import { revokeRefused } from './revoke.ts'
import { step } from './steps.ts'
import { tracked, untilSaved } from './until-saved.ts'

/** One answered exchange. It can wait in a spill file for hours, so it says everything a connect needs. */
const AnsweredExchange = z.object({
  sessionId: z.string(),
  attemptId: z.string(),
  openId: z.string(),
  accessToken: z.string(),
  refreshToken: z.string(),
  scopes: z.array(z.string()),
  accessExpiresAt: z.coerce.date(),
  refreshExpiresAt: z.coerce.date().nullable(),
  lifetimeSeconds: z.int(),
})
type AnsweredExchange = z.infer<typeof AnsweredExchange>

/**
 * Finishes a connect session: whoever started must be who finishes (S05). Only now is the code exchanged.
 *
 * @returns the account's id, and whether this call connected it (a repeat finds it connected)
 * @throws ServiceError connect_session_not_found | owner_mismatch | confirm_invalid | session_not_ready | session_expired
 * @throws ServiceError account_limit_reached | account_already_connected | account_mismatch | scope_not_granted | tiktok_rejected: the session failed
 * @throws ServiceError tiktok_unavailable | storage_unavailable: may be repeated
 */
export async function completeConnect(
  parts: Parts,
  sessionId: string,
  claim: { ownerId: string; confirm: string },
  actor: string,
): Promise<{ accountId: string; connectedNow: boolean }> {
  const session = await getConnectSession(parts, sessionId)
  if (session.ownerId !== claim.ownerId) {
    parts.log.warn('connect session was claimed by another owner', { sessionId, actor, outcome: 'refused' })
    throw new ServiceError(
      'owner_mismatch',
      'Complete it for the owner who is logged in and who started it; nothing was connected.',
    )
  }
  if (session.completion !== 'confirm' || session.status === 'pending' || session.status === 'authorizing') {
    if (session.over && session.status !== 'completed') throw expired()
    throw new ServiceError('session_not_ready', 'Wait until the person is back with `confirm` in the return URL.')
  }
  if (session.confirmHash === null && session.status === 'failed') throw failure(session)
  if (session.confirmHash === null || !sameDigest(digest(claim.confirm), session.confirmHash)) {
    parts.log.warn('connect session was claimed with a wrong confirm token', { sessionId, actor, outcome: 'refused' })
    throw new ServiceError('confirm_invalid', 'Send the `confirm` value from the return URL of this very session.')
  }
  if (session.status === 'completed' && session.accountId !== null) return { accountId: session.accountId, connectedNow: false }

  const after = await exchangedSession(parts, sessionId, actor)
  if (after.status === 'completed' && after.accountId !== null)
    return { accountId: after.accountId, connectedNow: session.status === 'awaiting_completion' }
  if (after.status === 'failed') throw failure(after)
  if (after.abandoned) {
    await failSession(parts.db, sessionId, 'tiktok_rejected')
    throw failure({ ...after, status: 'failed' })
  }
  if (after.over && after.status === 'awaiting_completion') throw expired()
  throw new ServiceError('tiktok_unavailable', 'The exchange with TikTok is not through yet; repeat this call.', {
    retryAfterSeconds: 2,
  })
}

/**
 * The session after its exchange, which may be in flight here or at a neighbour, or may be ours to start. Waits no longer than a
 * caller should; the exchange itself goes on.
 */
export async function exchangedSession(parts: Parts, sessionId: string, actor: string): Promise<ConnectSession> {
  const deadline = performance.now() + parts.timings.completionPatienceMs
  await within(exchangeOnce(parts, sessionId, actor), parts.timings.completionPatienceMs)
  for (;;) {
    const session = await getConnectSession(parts, sessionId)
    const leftMs = deadline - performance.now()
    if (session.status !== 'exchanging' || session.abandoned || leftMs <= 0) return session
    await new Promise((resolve) => setTimeout(resolve, Math.min(100, leftMs)))
  }
}

/**
 * Exchanges a session's code, once over all processes and callers; joins the exchange when it is in flight here. It belongs to the
 * process: closing the tab or a caller's timeout does not abort it (S13). The result is in the session.
 */
export function exchangeOnce(parts: Parts, sessionId: string, actor: string): Promise<void> {
  return parts.exchanges.join(sessionId, async () => {
    if (!(await mayExchange(parts, sessionId))) return
    const attemptId = newId('att')
    const claim = await beginExchange(parts.db, sessionId, attemptId, parts.timings.leaseSeconds)
    if (!claim) return
    const mark = performance.now()
    step('exchange.begun', sessionId)

    const { vault, tiktok } = parts
    const place = { subject: sessionId, generation: 0 }
    let code: string
    let codeVerifier: string | undefined
    try {
      code = vault.open({ purpose: 'authorization_code', ...place }, claim.sealedCode)
      if (claim.sealedVerifier !== null) codeVerifier = vault.open({ purpose: 'code_verifier', ...place }, claim.sealedVerifier)
    } catch (error) {
      // Not spent: with the right key back in place, `complete` may be repeated while the session lives.
      await releaseExchange(parts.db, sessionId, attemptId)
      throw error
    }
    step('exchange.sending', sessionId)
    const issuedAt = new Date(claim.claimedAt.getTime() + (performance.now() - mark))
    const answer = await tiktok.exchangeCode({ code, redirectUri: parts.config.redirectUri, codeVerifier })
    step('exchange.answered', sessionId)
    parts.metrics.exchanges.inc({ outcome: answer.kind })
    await tracked(parts, settle(parts, claim, attemptId, answer, issuedAt, actor))
  })
}

/** Brings back an exchange that an earlier process had been answered and could not record. */
export async function replayExchange(parts: Parts, id: string, body: unknown): Promise<void> {
  const answer = AnsweredExchange.parse(body)
  const session = await findSession(parts.db, answer.sessionId)
  parts.log.warn('spilled exchange was replayed', { sessionId: answer.sessionId, outcome: session?.status ?? 'purged' })
  if (session && session.status !== 'completed') await connect(parts, session, answer, session.createdBy, true)
  // Purged, or erased with its owner: nobody is waiting for this grant, so it does not live on.
  if (!session) await revokeRefused(parts, answer.openId, { accountId: answer.sessionId, reason: 'session_gone', ...answer })
  await parts.spill.remove(id)
}

/**
 * Without a word about the owner's tier a grant for a new account could only be refused, so its code is not spent: `complete` may be repeated, and
 * in callback mode, where nobody repeats, the session fails at once.
 *
 * @throws ServiceError storage_unavailable
 */
async function mayExchange(parts: Parts, sessionId: string): Promise<boolean> {
  if (!parts.tierService) return true
  const session = await findSession(parts.db, sessionId)
  if (session?.status !== 'awaiting_completion' || session.reconnectAccountId !== null) return true
  try {
    await requireTier(parts, session.ownerId)
    return true
  } catch (error) {
    if (session.completion === 'confirm' || !(error instanceof ServiceError)) throw error
    await failSession(parts.db, sessionId, error.code)
    return false
  }
}

async function settle(
  parts: Parts,
  claim: ExchangeClaim,
  attemptId: string,
  answer: TokenAnswer,
  issuedAt: Date,
  actor: string,
): Promise<void> {
  const { log } = parts
  const about = { sessionId: claim.id }
  // Whether it is recorded or not, nothing more can happen here: a database that is away is waited for.
  const recorded = (work: () => Promise<unknown>) => untilSaved(parts, { subject: claim.id, attemptId }, work)

  switch (answer.kind) {
    case 'granted': {
      const { openId, accessToken, refreshToken, scopes } = answer.tokenSet
      const { accessExpiresAt, refreshExpiresAt, lifetimeSeconds } = datesOf(answer.tokenSet, issuedAt)
      if (refreshToken === null) {
        // Of no use to us, and nobody would end it.
        log.error('TikTok granted without a refresh token', { ...about, logId: answer.logId })
        await recorded(() => failSession(parts.db, claim.id, 'tiktok_rejected'))
        const grant = { accountId: claim.id, reason: 'tiktok_rejected', accessToken, refreshToken: '', accessExpiresAt }
        await recorded(() => revokeRefused(parts, openId, grant))
        return
      }
      const answered: AnsweredExchange = {
        sessionId: claim.id,
        attemptId,
        openId,
        accessToken,
        refreshToken,
        scopes: scopes ?? [...parts.config.tiktok.scopes], // RFC 6749 §5.1: not stated means as asked for
        accessExpiresAt,
        refreshExpiresAt,
        lifetimeSeconds,
      }
      const spilled = await parts.spill.write({ id: attemptId, kind: 'exchange', subject: claim.id, body: answered })
      step('exchange.spilled', claim.id)
      await connect(parts, claim, answered, actor, spilled)
      step('exchange.saved', claim.id)
      await parts.spill.remove(attemptId)
      return
    }
    case 'not_sent':
    case 'throttled':
      // The code was not looked at: `complete` may be repeated while it lives.
      log.warn('code exchange was not sent', { ...about, reason: answer.kind })
      await recorded(() => releaseExchange(parts.db, claim.id, attemptId))
      return
    case 'client_refused':
      log.error('TikTok refused our client', { ...about, code: answer.error, reason: answer.blame, logId: answer.logId })
      if (answer.blame === 'credentials') {
        await recorded(() => closeGate(parts.db, 'client_refused', 5))
        await recorded(() => releaseExchange(parts.db, claim.id, attemptId))
      } else {
        await recorded(() => failSession(parts.db, claim.id, 'tiktok_rejected'))
      }
      return
    case 'refused':
    case 'ambiguous':
      // Ambiguous: the code may be spent, and a used code is never sent again (RFC 6749 §4.1.2), so the person starts anew.
      log.warn('code exchange failed', {
        ...about,
        reason: answer.kind === 'refused' ? answer.error : answer.reason,
        logId: answer.logId,
      })
      await recorded(() =>
        failSession(
          parts.db,
          claim.id,
          answer.kind === 'refused' && answer.error === 'access_denied' ? 'access_denied' : 'tiktok_rejected',
        ),
      )
      return
  }
}

/** Gives the grant its account, or refuses it and revokes it. Repeats itself while the database is away. */
async function connect(
  parts: Parts,
  session: ConnectSession,
  answer: AnsweredExchange,
  actor: string,
  spilled: boolean,
): Promise<void> {
  const { config, log } = parts
  const { requiredScopes, scopes: askedScopes } = config.tiktok
  const about = { subject: session.id, attemptId: answer.attemptId, spilled }
  const refuse = async (code: FailureCode) => {
    log.info('grant was refused', { sessionId: session.id, code })
    await untilSaved(parts, about, () => failSession(parts.db, session.id, code))
    const { accessToken, refreshToken, accessExpiresAt } = answer
    await untilSaved(parts, about, () =>
      revokeRefused(parts, answer.openId, { accountId: session.id, reason: code, accessToken, refreshToken, accessExpiresAt }),
    )
  }

  if (requiredScopes.some((scope) => !answer.scopes.includes(scope))) return refuse('scope_not_granted')
  const missingScopes = askedScopes.filter((scope) => !answer.scopes.includes(scope))
  const { outcome, accountId } = await untilSaved(parts, about, () => place(parts, session, answer, missingScopes, actor))
  if (outcome === 'connected') {
    if (accountId === null) throw new Error('What was connected has an account')
    log.info('account connected', { accountId, ownerId: session.ownerId, sessionId: session.id })
    // After the token is safe, and never in its way: a profile that fails, hangs or is rubbish costs a picture.
    const { openId, accessToken, scopes } = answer
    const profile = fetchProfile(parts, { accountId, openId, accessToken, scopes })
    await within(
      profile.catch((error) => log.warn('profile was not fetched', { accountId, error })),
      parts.timings.profilePatienceMs,
    )
    return
  }
  return refuse(refusals[outcome])
}

type PlaceOutcome = Exclude<ConnectOutcome, 'moved'> | 'limit_unknown'

const refusals: Record<Exclude<PlaceOutcome, 'connected'>, FailureCode> = {
  limit_reached: 'account_limit_reached',
  limit_unknown: 'storage_unavailable',
  mismatch: 'account_mismatch',
  already_connected: 'account_already_connected',
  session_gone: 'connect_session_not_found',
}

/** Seals the tokens for where they belong and connects; when the place moved in between, once more. */
async function place(
  parts: Parts,
  session: ConnectSession,
  answer: AnsweredExchange,
  missingScopes: string[],
  actor: string,
): Promise<{ outcome: PlaceOutcome; accountId: string | null }> {
  const { db, vault } = parts
  const { accountType, ageConfirmedAt, attestationVersion } = session
  if (accountType === null || ageConfirmedAt === null || attestationVersion === null)
    throw new Error('A session that was authorized is attested')
  // The same id on every try: a repeat after a lost answer recognises the account it made.
  const newAccountId = `acc_${answer.attemptId.slice('att_'.length)}`
  for (let tries = 0; tries < 10; tries++) {
    const present = await findByOpenId(db, answer.openId)
    // An account that is there needs no place, whatever the tier and whether or not anybody can tell it.
    const limit = present ? 0 : await limitOf(parts, session.ownerId)
    if (limit === undefined) return { outcome: 'limit_unknown', accountId: null }
    const spot = { subject: present?.id ?? newAccountId, generation: (present?.generation ?? 0) + 1 }
    const answered = await connectAccount(db, {
      ownerId: session.ownerId,
      accountId: spot.subject,
      generation: spot.generation,
      openId: answer.openId,
      reconnectAccountId: session.reconnectAccountId,
      limit,
      label: session.label,
      accountType,
      attestedAt: ageConfirmedAt,
      attestationVersion,
      scopes: answer.scopes,
      missingScopes,
      sealedAccessToken: vault.seal({ purpose: 'access_token', ...spot }, answer.accessToken),
      sealedRefreshToken: vault.seal({ purpose: 'refresh_token', ...spot }, answer.refreshToken),
      accessExpiresAt: answer.accessExpiresAt,
      refreshExpiresAt: answer.refreshExpiresAt,
      lifetimeSeconds: answer.lifetimeSeconds,
      attemptId: answer.attemptId,
      sessionId: session.id,
      actor,
    })
    if (answered.outcome !== 'moved') return { outcome: answered.outcome, accountId: answered.accountId }
  }
  throw new ServiceError('storage_unavailable', 'The account is being changed over and over; try again.')
}

function failure(session: ConnectSession): ServiceError {
  const error = errorOf(session)
  const code = error !== null && error in failures ? (error as FailureCode) : 'tiktok_rejected'
  return new ServiceError(code, sentences[code] ?? 'TikTok did not grant the connection; open a new connect session.', {
    facts: { connect_session: session.id },
  })
}

const sentences: Partial<Record<FailureCode, string>> = {
  storage_unavailable:
    'The tier service did not say whether there is a place, so the fresh grant was revoked; open a new connect session in a moment.',
  account_limit_reached: 'Disconnect an account or raise the tier, then open a new connect session; the fresh grant was revoked.',
  account_already_connected: 'Another owner has connected this TikTok account; they have to disconnect it first.',
  account_mismatch:
    'The person chose another TikTok account than the one to reconnect; open a new connect session and choose that one.',
  scope_not_granted:
    'The person declined a permission that is needed; open a new connect session and ask them to leave it ticked.',
}

const expired = () => new ServiceError('session_expired', 'The ten minutes are over; open a new connect session.')
