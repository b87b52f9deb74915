// Refreshes ahead of expiry, for accounts that are used, and once a day for the others. Replicas share the work through the claims alone.

import { readGate } from '../db/circuit-breakers.ts'
import { type ClaimTerms, claimDueTokenSets, reclaimDueTokenSets } from '../db/claims.ts'
import { dueBacklog } from '../db/token-sets.ts'
import { newId } from '../ids.ts'
import type { Parts } from '../parts.ts'
import { believeRejections, spend } from '../token/refresh.ts'
import { Bucket } from './bucket.ts'

/** TikTok states no limit for its token endpoint; this is what one replica asks for when it may. */
const perSecond = 1000
/**
 * In flight at once, out of 256 connections to TikTok (tiktok/client.ts): the rest is for those who wait. How many a second that makes on this
 * machine, `npm run bench:refresh` tells.
 */
const concurrency = 192
/** Claimed in batches, not one by one as flights land: a claim of thirty costs little more than a claim of one. */
const smallestBatch = 32
const idleMs = 1000

/** @returns one round of the loop: claims what is due and may be started now, starts it, and says how long to rest */
export function createRefresher(parts: Parts, bucket: Bucket = new Bucket(perSecond, perSecond / 5)): () => Promise<number> {
  const inFlight = new Set<Promise<unknown>>()
  let onDemandSeen = parts.refreshes.started
  let inDoubt: { terms: ClaimTerms; heldSince: number } | undefined

  return async () => {
    // Refreshes somebody is waiting for come out of the same bucket, without asking it.
    bucket.take(parts.refreshes.started - onDemandSeen)
    onDemandSeen = parts.refreshes.started

    while (concurrency - inFlight.size < smallestBatch) await Promise.race(inFlight)
    const room = Math.min(concurrency - inFlight.size, bucket.available)
    if (parts.stopping.aborted) return idleMs
    if (room < 1) return bucket.waitMs
    // A round whose answer was lost on the way may have claimed: those come first, or they would be nobody's for a lease.
    const again = inDoubt
    const heldSince = again?.heldSince ?? performance.now()
    const terms = again?.terms ?? { attemptId: newId('att'), leaseSeconds: parts.timings.leaseSeconds }
    inDoubt = { terms, heldSince }
    const claims = await (again ? reclaimDueTokenSets(parts.db, terms) : claimDueTokenSets(parts.db, room, terms))
    inDoubt = undefined
    for (const claim of claims) {
      // After a reader's flight, if one is up: it has found our claim and yields, or it has just landed and our claim is over.
      const flight = parts.refreshes
        .follow(claim.accountId, () => spend(parts, claim, heldSince))
        .catch((error) => {
          parts.log.error('background refresh failed', { accountId: claim.accountId, error })
        })
      inFlight.add(flight)
      void flight.finally(() => inFlight.delete(flight))
    }
    bucket.take(claims.length)
    onDemandSeen += claims.length // what readers started meanwhile is taken in the next round
    if (claims.length === room || again) return 0
    await believeRejections(parts, null, 100)
    return idleMs
  }
}

/** What ops see of the backlog and of the gate. */
export async function measureRefreshing({ db, metrics, spill }: Parts): Promise<void> {
  const [backlog, gate] = await Promise.all([dueBacklog(db), readGate(db)])
  metrics.dueBacklog.set(backlog.count)
  metrics.oldestDueSeconds.set(backlog.oldestSeconds)
  metrics.spillFiles.set(spill.count())
  for (const reason of ['client_refused', 'unavailable', 'throttled'] as const) {
    metrics.gateClosed.set({ reason }, gate.failures > 0 && gate.reason === reason ? 1 : 0)
  }
}
