// Turns an authorization code into a grant (RFC 6749 §4.1.3). A code works once and an answer comes once: the code is never sent
// twice, and what TikTok answered is kept before it is looked at, like a refresh.

import { closeGate } from '../db/circuit-breakers.ts'
import {
  beginExchange,
  type ConnectSession,
  type ExchangeClaim,
  failSession,
  findSession,
  releaseExchange,
} from '../db/connect-sessions.ts'
import { ServiceError } from '../errors.ts'
import { newId } from '../ids.ts'
import type { Parts } from '../parts.ts'
import { within } from '../single-flight.ts'
import type { TokenAnswer } from '../tiktok/client.ts'
import { datesOf } from '../token/expiry.ts'
import { revokeRefused } from '../token/revoke.ts'
import { step } from '../token/steps.ts'
import { onceMore, tracked, untilSaved } from '../token/until-saved.ts'
import { getConnectSession } from './connect-session.ts'
import { type AnsweredExchange, connectGrant } from './grant.ts'
import { requireTier } from './limits.ts'

/**
 * The session after its exchange, which may be in flight here or at a neighbour, or may be ours to start. Waits no longer than a
 * caller should; the exchange itself goes on.
 *
 * @returns `exchangedHere`: it was this very call that began it
 */
export async function exchangedSession(
  parts: Parts,
  sessionId: string,
  actor: string,
): Promise<ConnectSession & { exchangedHere: boolean }> {
  const deadline = performance.now() + parts.timings.completionPatienceMs
  let exchangedHere = false
  const begun = () => {
    exchangedHere = true
  }
  await within(exchangeOnce(parts, sessionId, actor, begun), parts.timings.completionPatienceMs)
  for (;;) {
    const session = await getConnectSession(parts, sessionId)
    const leftMs = deadline - performance.now()
    if (session.status !== 'exchanging' || session.abandoned || leftMs <= 0) return { ...session, exchangedHere }
    await new Promise((resolve) => setTimeout(resolve, Math.min(100, leftMs)))
  }
}

/**
 * Exchanges a session's code, once over all processes and callers; joins the exchange when it is in flight here. It belongs to the
 * process: closing the tab or a caller's timeout does not abort it (S13). The result is in the session.
 *
 * @param begun called at most once, and for one caller only: whoever got the right to the exchange
 */
export function exchangeOnce(parts: Parts, sessionId: string, actor: string, begun = () => {}): Promise<void> {
  return parts.exchanges.join(sessionId, async () => {
    if (!(await mayExchange(parts, sessionId))) return
    const attemptId = newId('att')
    // Under the same attempt: otherwise the session would wait for an exchange that nobody does.
    const claim = await onceMore(() => beginExchange(parts.db, sessionId, attemptId, parts.timings.leaseSeconds))
    if (!claim) return
    begun()
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
      await connectGrant(parts, claim, answered, actor, spilled)
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
