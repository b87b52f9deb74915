// Refreshes ahead of expiry: accounts in use in time, the others once a day. Replicas share the work through the claims.

import { InFlight } from '../concurrency/in-flight.ts'
import { readBreaker } from '../db/circuit-breakers.ts'
import { type ClaimTerms, claimDueTokenSets, reclaimDueTokenSets } from '../db/claims.ts'
import type { Db } from '../db/client.ts'
import { type BrakedEndpoint, type BreakerReason, breakerReasons } from '../db/codes.ts'
import { readBrakes } from '../db/refusals.ts'
import { dueBacklog } from '../db/token-sets.ts'
import { newId } from '../ids.ts'
import type { Epoch } from '../journal/epoch.ts'
import type { Log } from '../telemetry.ts'
import type { Brake } from '../token/brake.ts'
import type { TokenMetrics } from '../token/metrics.ts'
import { believeRejections, type Refresher } from '../token/refresh.ts'
import type { Timings } from '../token/timings.ts'
import { Bucket } from './bucket.ts'

/** TikTok states no limit for its token endpoint; this is what one replica asks for when it may. */
const perSecond = 1000
/**
 * In flight at once, out of 256 connections to TikTok: the rest is for callers who wait. `npm run bench:refresh` tells what that
 * makes per second.
 */
const concurrency = 192
/** Claimed in batches, not one by one as flights land: a claim of thirty costs little more than a claim of one. */
const smallestBatch = 32
const idleMs = 1000
/** Few are sent at once until TikTok has taken some; those under way make room when they land. */
const waitForRoomMs = 50

export interface RefreshAheadDeps {
  db: Db
  refresher: Pick<Refresher, 'spendClaim' | 'started'>
  epoch: Pick<Epoch, 'mark' | 'trusted'>
  brake: Pick<Brake, 'admitDue' | 'landed'>
  log: Log
  timings: Pick<Timings, 'leaseSeconds'>
  stopping: AbortSignal
}

/** @returns one round of the loop: claims what is due and may be started now, starts it, and says how long to rest */
export function createRefreshAhead(
  { db, refresher, epoch, brake, log, timings, stopping }: RefreshAheadDeps,
  bucket: Bucket = new Bucket(perSecond, perSecond / 5),
): () => Promise<number> {
  const inFlight = new InFlight()
  let onDemandSeen = refresher.started
  let inDoubt: { terms: ClaimTerms; heldSince: number; admitted: number; full: boolean } | undefined

  return async () => {
    // Refreshes somebody is waiting for come out of the same bucket, without asking it.
    bucket.take(refresher.started - onDemandSeen)
    onDemandSeen = refresher.started

    await inFlight.fewerThan(concurrency - smallestBatch + 1)
    const room = Math.min(concurrency - inFlight.size, bucket.available)
    if (stopping.aborted) return idleMs
    if (room < 1) return bucket.waitMs
    if (!(await epoch.trusted())) return idleMs
    // A round whose answer was lost on the way may have claimed: those come first, or they would be nobody's for a lease.
    const again = inDoubt
    const heldSince = again?.heldSince ?? performance.now()
    const terms = again?.terms ?? { attemptId: newId('att'), leaseSeconds: timings.leaseSeconds, mark: epoch.mark }
    const { admitted, full } = again ?? (await brake.admitDue(room))
    if (admitted === 0) {
      await believeRejections({ db, log }, null, 100)
      return full ? waitForRoomMs : idleMs
    }
    inDoubt = { terms, heldSince, admitted, full }
    const claims = await (again ? reclaimDueTokenSets(db, terms) : claimDueTokenSets(db, admitted, terms))
    inDoubt = undefined
    brake.landed('not_taken', admitted - claims.length)
    for (const claim of claims) {
      inFlight.add(refresher.spendClaim(claim, heldSince)).catch((error) => {
        log.error('background refresh failed', { accountId: claim.accountId, error })
      })
    }
    bucket.take(claims.length)
    onDemandSeen += claims.length // what readers started meanwhile is taken in the next round
    if (claims.length === room || again) return 0
    if (claims.length === admitted && full) return waitForRoomMs
    await believeRejections({ db, log }, null, 100)
    return idleMs
  }
}

const refusalOf: Record<BrakedEndpoint, BreakerReason> = { token: 'invalid_grant', user_info: 'access_token_invalid' }

/** What ops see of the backlog and of the circuit breaker. */
export async function measureRefreshing({ db, metrics }: { db: Db; metrics: TokenMetrics }): Promise<void> {
  const [backlog, breaker, brakes] = await Promise.all([dueBacklog(db), readBreaker(db), readBrakes(db)])
  const held = brakes.filter(({ holds }) => holds).map(({ endpoint }) => refusalOf[endpoint])
  metrics.dueBacklog.set(backlog.count)
  metrics.oldestDueSeconds.set(backlog.oldestSeconds)
  for (const reason of breakerReasons) {
    metrics.breakerOpen.set({ reason }, (breaker.failures > 0 && breaker.reason === reason) || held.includes(reason) ? 1 : 0)
  }
}
