// From TikTok's "seconds remaining" to dates on the database's clock. Everything comes from the answer and nothing from a
// constant: TikTok's lifetimes changed once already, from a day to two hours.
import type { TokenSet } from '../tiktok/client.ts'

export interface TokenDates {
  accessExpiresAt: Date
  /** null: TikTok did not say */
  refreshExpiresAt: Date | null
  /** expires_in, or 0 when TikTok stated nonsense: such an access token is never handed out */
  lifetimeSeconds: number
  /** how long to wait before refreshing again although the token is not good: nonsense must not become a storm */
  waitSeconds: number
}

const waitAfterNonsenseSeconds = 60

/** @param issuedAt when the request left us, on the database's clock: the earliest moment the token can have been issued */
export function datesOf(tokenSet: Pick<TokenSet, 'expiresInSeconds' | 'refreshExpiresInSeconds'>, issuedAt: Date): TokenDates {
  const { expiresInSeconds, refreshExpiresInSeconds } = tokenSet
  const after = (seconds: number) => new Date(issuedAt.getTime() + seconds * 1000)
  return {
    accessExpiresAt: after(expiresInSeconds ?? 0),
    refreshExpiresAt: refreshExpiresInSeconds === null ? null : after(refreshExpiresInSeconds),
    lifetimeSeconds: expiresInSeconds ?? 0,
    waitSeconds: expiresInSeconds === null ? waitAfterNonsenseSeconds : 0,
  }
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
