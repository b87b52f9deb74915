// Whether any replica may call TikTok's token endpoint. Trouble opens the breaker in the database; one successful probe closes
// it.
import { closeBreaker, openBreaker } from '../db/circuit-breakers.ts'
import type { Db } from '../db/client.ts'
import type { BreakerReason } from '../db/codes.ts'
import { ServiceError } from '../errors.ts'
import type { Log } from '../telemetry.ts'

/** Five failures in a row are not one account's bad luck. */
const failuresBeforeOpening = 5
const firstOpenSeconds = 2
/** However long TikTok tells one account to wait: then a probe with another one finds out whether it meant everybody. */
const longestOpenSeconds = 60

export interface CircuitBreaker {
  /** TikTok could not be reached or made no sense. */
  failed(attempt: { probing: boolean }): Promise<void>
  /** TikTok gave an answer that can be judged. */
  answered(attempt: { probing: boolean }): Promise<void>
  /** Stops refreshes on all replicas for at least so long, or for a minute if that is less. */
  open(reason: BreakerReason, seconds: number): Promise<void>
}

export function createCircuitBreaker({ db, log }: { db: Db; log: Log }): CircuitBreaker {
  let failuresInARow = 0

  /** The breaker is an aid: when it cannot be written, the refresh that TikTok just answered must still be recorded. */
  async function quietly(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error
      log.warn('circuit breaker was not written', { error })
    }
  }

  const open = (reason: BreakerReason, askedSeconds: number) =>
    quietly(async () => {
      const seconds = Math.min(askedSeconds, longestOpenSeconds)
      await openBreaker(db, reason, seconds)
      log.warn('circuit breaker opened: refreshes wait', { reason, retryAfterSeconds: seconds })
    })

  return {
    open,
    async failed({ probing }) {
      failuresInARow++
      if (failuresInARow >= failuresBeforeOpening || probing) await open('unavailable', firstOpenSeconds)
    },
    async answered({ probing }) {
      failuresInARow = 0
      // Only the probe writes: while the breaker is closed there is nothing to close.
      if (!probing) return
      await quietly(async () => {
        if (await closeBreaker(db)) log.info('circuit breaker closed: TikTok answers again')
      })
    },
  }
}
