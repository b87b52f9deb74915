// Turns an authorization code into a grant (RFC 6749 §4.1.3). A code works once and an answer comes once: the code is never sent
// twice, and what TikTok answered is kept before it is looked at, like a refresh.
import { setTimeout as sleep } from 'node:timers/promises'
import { SingleFlight } from '../concurrency/single-flight.ts'
import { within } from '../concurrency/waiting.ts'
import { openBreaker } from '../db/circuit-breakers.ts'
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
import type { AnsweredExchange } from '../journal/entries.ts'
import { databaseRewound, type Epoch } from '../journal/epoch.ts'
import type { Config } from '../settings/config.ts'
import type { TikTok, TokenAnswer } from '../tiktok/client.ts'
import { datesOf, tellAssumedLifetime } from '../token/expiry.ts'
import type { TokenMetrics } from '../token/metrics.ts'
import { onceMore } from '../token/recording.ts'
import { step } from '../token/steps.ts'
import type { Timings } from '../token/timings.ts'
import { getConnectSession } from './connect-session.ts'
import { connectGrant, type GrantDeps } from './grant.ts'
import { requireTier } from './limits.ts'
import type { ConnectMetrics } from './metrics.ts'
import { scopesAsked } from './scopes.ts'

export interface Exchanges {
  /**
   * The session after its exchange, which may be in flight here or at a neighbour, or may be ours to start. Waits no longer than a
   * caller should; the exchange itself goes on.
   *
   * @returns `exchangedHere`: it was this very call that began it
   */
  exchangedSession(sessionId: string, actor: string): Promise<ConnectSession & { exchangedHere: boolean }>
  /**
   * Exchanges a session's code once over all processes; callers here join the exchange in flight. It belongs to the process: a
   * caller that hangs up does not abort it (S13). The result is in the session.
   *
   * @param begun called at most once, and for one caller only: whoever got the right to the exchange
   */
  exchange(sessionId: string, actor: string, begun?: () => void): Promise<void>
  /** how many are in flight in this process */
  readonly inFlight: number
  /** Waits until all that is in flight has landed. */
  landed(): Promise<void>
}

export interface ExchangeDeps extends GrantDeps {
  tiktok: TikTok
  epoch: Pick<Epoch, 'trusted'>
  metrics: ConnectMetrics & TokenMetrics
  timings: Timings
  config: Pick<Config, 'redirectUri' | 'tiers' | 'tiktok'>
}

export function createExchanges(deps: ExchangeDeps): Exchanges {
  const { db, vault, tiktok, epoch, recording, metrics, timings, config } = deps
  const flights = new SingleFlight<void>(timings.flightDeadlineMs, () => undefined)

  async function exchangeOnce(sessionId: string, actor: string, begun: () => void): Promise<void> {
    if (!(await epoch.trusted())) throw databaseRewound() // a code works once, like a refresh token
    if (!(await mayExchange(sessionId))) return
    const attemptId = newId('att')
    // Under the same attempt: otherwise the session would wait for an exchange that nobody does.
    const claim = await onceMore(() => beginExchange(db, sessionId, attemptId, timings.leaseSeconds))
    if (!claim) return
    begun()
    const mark = performance.now()
    step('exchange.begun', sessionId)

    const place = { subject: sessionId, generation: 0 }
    let code: string
    let codeVerifier: string | undefined
    try {
      code = vault.open({ purpose: 'authorization_code', ...place }, claim.sealedCode)
      if (claim.sealedVerifier !== null) codeVerifier = vault.open({ purpose: 'code_verifier', ...place }, claim.sealedVerifier)
    } catch (error) {
      // Not spent: with the right key back in place, `complete` may be repeated while the session lives.
      await releaseExchange(db, sessionId, attemptId)
      throw error
    }
    step('exchange.sending', sessionId)
    const issuedAt = new Date(claim.claimedAt.getTime() + (performance.now() - mark))
    const answer = await tiktok.exchangeCode({ code, redirectUri: config.redirectUri, codeVerifier })
    step('exchange.answered', sessionId)
    metrics.exchanges.inc({ outcome: answer.kind })
    await recording.track(settle(deps, claim, attemptId, answer, issuedAt, actor))
  }

  /**
   * Without the owner's tier a new grant could only be refused, so the code is not spent and `complete` may be repeated. In
   * callback mode nobody repeats it, so the session fails at once.
   *
   * @throws ServiceError storage_unavailable
   */
  async function mayExchange(sessionId: string): Promise<boolean> {
    if (!deps.tierService) return true
    const session = await findSession(db, sessionId)
    if (session?.status !== 'awaiting_completion' || session.reconnectAccountId !== null) return true
    try {
      await requireTier(deps, session.ownerId)
      return true
    } catch (error) {
      if (session.completion === 'confirm' || !(error instanceof ServiceError)) throw error
      await failSession(db, sessionId, error.code)
      return false
    }
  }

  const exchange = (sessionId: string, actor: string, begun = () => {}) =>
    flights.join(sessionId, () => exchangeOnce(sessionId, actor, begun))

  return {
    exchange,
    async exchangedSession(sessionId, actor) {
      const deadline = performance.now() + timings.completionPatienceMs
      let exchangedHere = false
      const begun = () => {
        exchangedHere = true
      }
      await within(exchange(sessionId, actor, begun), timings.completionPatienceMs)
      for (;;) {
        const session = await getConnectSession({ db, recording }, sessionId)
        const leftMs = deadline - performance.now()
        if (session.status !== 'exchanging' || session.abandoned || leftMs <= 0) return { ...session, exchangedHere }
        await sleep(Math.min(100, leftMs))
      }
    },
    get inFlight() {
      return flights.size
    },
    landed: () => flights.landed(),
  }
}

async function settle(
  deps: ExchangeDeps,
  claim: ExchangeClaim,
  attemptId: string,
  answer: TokenAnswer,
  issuedAt: Date,
  actor: string,
): Promise<void> {
  const { db, log, config, journal, recording, revocations } = deps
  const about = { sessionId: claim.id }
  // Whether it is recorded or not, nothing more can happen here: a database that is away is waited for.
  const recorded = (work: () => Promise<unknown>) => recording.untilSaved({ subject: claim.id, attemptId }, work)

  switch (answer.kind) {
    case 'granted': {
      const { openId, accessToken, refreshToken, scopes } = answer.tokenSet
      const { accessExpiresAt, refreshExpiresAt, lifetimeSeconds } = datesOf(answer.tokenSet, issuedAt)
      if (refreshToken === null) {
        // Of no use to us, and nobody would end it.
        log.error('TikTok granted without a refresh token', { ...about, logId: answer.logId })
        await recorded(() => failSession(db, claim.id, 'tiktok_rejected'))
        const grant = {
          holder: { sessionId: claim.id },
          reason: 'tiktok_rejected',
          accessToken,
          refreshToken: '',
          accessExpiresAt,
        }
        await recorded(() => revocations.refuse(openId, grant))
        return
      }
      tellAssumedLifetime(deps, answer.tokenSet, { ...about, logId: answer.logId })
      const answered: AnsweredExchange = {
        sessionId: claim.id,
        attemptId,
        clientKey: config.tiktok.clientKey,
        openId,
        accessToken,
        refreshToken,
        scopes: scopes ?? [...scopesAsked(config.tiktok, claim.requiredOnly)], // RFC 6749 §5.1: not stated means as asked for
        accessExpiresAt,
        refreshExpiresAt,
        lifetimeSeconds,
      }
      const written = await journal.write({ kind: 'exchange', subject: claim.id, generation: 0, body: answered })
      step('exchange.journalled', claim.id)
      await connectGrant(deps, claim, answered, actor, written.durable)
      step('exchange.saved', claim.id)
      journal.recorded(written)
      return
    }
    case 'not_sent':
    case 'throttled':
      // The code was not looked at: `complete` may be repeated while it lives.
      log.warn('code exchange was not sent', { ...about, reason: answer.kind })
      await recorded(() => releaseExchange(db, claim.id, attemptId))
      return
    case 'client_refused':
      log.error('TikTok refused our client', { ...about, code: answer.error, reason: answer.blame, logId: answer.logId })
      if (answer.blame === 'credentials') {
        await recorded(() => openBreaker(db, 'client_refused', 5))
        await recorded(() => releaseExchange(db, claim.id, attemptId))
      } else {
        await recorded(() => failSession(db, claim.id, 'tiktok_rejected'))
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
          db,
          claim.id,
          answer.kind === 'refused' && answer.error === 'access_denied' ? 'access_denied' : 'tiktok_rejected',
        ),
      )
      return
  }
}
