// What TikTok's answer means for the refresh token that was sent: spent, safe, refused or in doubt. Nothing is written here.

import type { Claim } from '../db/claims.ts'
import type { BreakerReason } from '../db/codes.ts'
import type { AnsweredRefresh } from '../journal/entries.ts'
import type { Log } from '../telemetry.ts'
import type { TokenAnswer } from '../tiktok/client.ts'
import { backoffSeconds, datesOf, tellAssumedLifetime } from './expiry.ts'
import type { RefreshKind, TokenMetrics } from './metrics.ts'
import type { Timings } from './timings.ts'

/** What became of one try to refresh an account's token set, and when it can be tried again. Expected outcomes are values; surprises are errors. */
export type RefreshOutcome =
  | { kind: Exclude<RefreshKind, 'transient' | 'ambiguous' | 'client_refused'> }
  | { kind: Extract<RefreshKind, 'ambiguous' | 'client_refused'>; retryAfterSeconds: number }
  | { kind: Extract<RefreshKind, 'transient'>; code: string; retryAfterSeconds: number }

/** What the circuit breaker hears: it opens for a reason and a time, or counts a failure. */
export type BreakerNews = 'failed' | { reason: BreakerReason; seconds: number } | undefined

export type Verdict =
  /** the token is spent, and this is what it bought */
  | { kind: 'granted'; answer: AnsweredRefresh }
  /** TikTok does not take the token */
  | { kind: 'rejected'; logId: string | undefined }
  /** the token is safe: the claim is given back, and the next try may come after the wait */
  | { kind: 'unspent'; code: string; waitSeconds: number; breaker: BreakerNews; outcome: RefreshOutcome }
  /** the token may be spent: the claim stays until its lease runs out */
  | { kind: 'in_doubt'; code: string; waitSeconds: number; breaker: BreakerNews; outcome: RefreshOutcome }

/** @param sent.issuedAt when the request left us, on the database's clock */
export function judge(
  deps: { log: Log; metrics: TokenMetrics; timings: Timings },
  claim: Claim,
  answer: TokenAnswer,
  sent: { refreshToken: string; issuedAt: Date },
): Verdict {
  const { log, timings } = deps
  const about = { accountId: claim.accountId, generation: claim.generation }
  const backoff = backoffSeconds(claim.failures, timings)
  switch (answer.kind) {
    case 'granted': {
      const { tokenSet } = answer
      if (tokenSet.openId !== claim.openId) {
        // Not stored, and not revoked either: revoking would disconnect whoever this is (S10, F18).
        log.error('refresh answered for another TikTok account', { ...about, logId: answer.logId })
        const outcome = { kind: 'ambiguous', retryAfterSeconds: timings.leaseSeconds } as const
        return { kind: 'in_doubt', code: 'foreign_open_id', waitSeconds: backoff, breaker: undefined, outcome }
      }
      tellAssumedLifetime(deps, tokenSet, { ...about, logId: answer.logId })
      return {
        kind: 'granted',
        answer: {
          ...about,
          attemptId: claim.attemptId,
          openId: claim.openId,
          accessToken: tokenSet.accessToken,
          refreshToken: tokenSet.refreshToken ?? sent.refreshToken, // RFC 6749 §6: none issued, the old one stays
          scopes: tokenSet.scopes ?? claim.scopes,
          ...datesOf(tokenSet, sent.issuedAt),
        },
      }
    }
    case 'refused':
      return { kind: 'rejected', logId: answer.logId }
    case 'client_refused': {
      // About us, not about this account (S44): its token is untouched, and everybody waits.
      log.error('TikTok refused our client', { ...about, code: answer.error, reason: answer.blame, logId: answer.logId })
      const everybody = answer.blame === 'credentials'
      return {
        kind: 'unspent',
        code: answer.error,
        waitSeconds: everybody ? 0 : 300,
        breaker: everybody ? { reason: 'client_refused', seconds: 5 } : undefined,
        outcome: { kind: 'client_refused', retryAfterSeconds: everybody ? 5 : 300 },
      }
    }
    case 'throttled': {
      const seconds = answer.retryAfterSeconds
      const outcome = { kind: 'transient', code: 'throttled', retryAfterSeconds: seconds } as const
      return { kind: 'unspent', code: 'throttled', waitSeconds: seconds, breaker: { reason: 'throttled', seconds }, outcome }
    }
    case 'not_sent': {
      const outcome = { kind: 'transient', code: answer.reason, retryAfterSeconds: backoff } as const
      return { kind: 'unspent', code: answer.reason, waitSeconds: backoff, breaker: 'failed', outcome }
    }
    case 'ambiguous': {
      const { reason, retryAfterSeconds, logId } = answer
      const waitSeconds = Math.max(backoff, retryAfterSeconds ?? 0)
      log.warn('refresh outcome was ambiguous', { ...about, reason, count: claim.unsettledAttempts, logId })
      return {
        kind: 'in_doubt',
        code: reason,
        waitSeconds,
        breaker: retryAfterSeconds === undefined ? 'failed' : { reason: 'unavailable', seconds: retryAfterSeconds },
        outcome: { kind: 'ambiguous', retryAfterSeconds: Math.max(waitSeconds, timings.leaseSeconds) },
      }
    }
  }
}
