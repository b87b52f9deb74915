// From TikTok's "seconds remaining" to dates on the database's clock. Everything comes from the answer and nothing from a
// constant: TikTok's lifetimes changed once already, from a day to two hours. Only where it names none is one assumed, and said loudly.
import type { Log } from '../telemetry.ts'
import type { TokenSet } from '../tiktok/client.ts'
import type { TokenMetrics } from './metrics.ts'

export interface TokenDates {
  accessExpiresAt: Date
  /** null: TikTok did not say */
  refreshExpiresAt: Date | null
  /** expires_in, or what is assumed */
  lifetimeSeconds: number
}

/** Shorter than any life TikTok was seen to give, so that the token is good, and long enough for refreshes not to become a storm. */
const assumedLifetimeSeconds = 600

/** @param issuedAt when the request left us, on the database's clock: the earliest moment the token can have been issued */
export function datesOf(tokenSet: Pick<TokenSet, 'expiresInSeconds' | 'refreshExpiresInSeconds'>, issuedAt: Date): TokenDates {
  const { expiresInSeconds, refreshExpiresInSeconds } = tokenSet
  const after = (seconds: number) => new Date(issuedAt.getTime() + seconds * 1000)
  const lifetimeSeconds = expiresInSeconds ?? assumedLifetimeSeconds
  return {
    accessExpiresAt: after(lifetimeSeconds),
    refreshExpiresAt: refreshExpiresInSeconds === null ? null : after(refreshExpiresInSeconds),
    lifetimeSeconds,
  }
}

/** Somebody has to hear that TikTok names no lifetime that can be: what it named is not quoted, it is anybody's text. */
export function tellAssumedLifetime(
  { log, metrics }: { log: Log; metrics: TokenMetrics },
  { expiresInSeconds }: Pick<TokenSet, 'expiresInSeconds'>,
  about: { accountId?: string; sessionId?: string; logId?: string | undefined },
): void {
  if (expiresInSeconds !== null) return
  metrics.assumedLifetimes.inc()
  log.error('TikTok named no lifetime of an access token: ten minutes were assumed; ask TikTok about this log id', about)
}

/** @returns the wait before try number `failures + 1`: doubling, bounded, and with up to a half of jitter so that crowds disperse */
export function backoffSeconds(
  failures: number,
  timings: { firstBackoffSeconds: number; lastBackoffSeconds: number },
  random = Math.random(),
): number {
  const whole = Math.min(timings.lastBackoffSeconds, timings.firstBackoffSeconds * 2 ** Math.min(failures, 20))
  return whole * (0.5 + random / 2)
}
