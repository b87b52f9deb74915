// Refreshes ahead of expiry, for accounts that are used, and once a day for the others. Replicas share the work through the claims alone.

import { readGate } from '../db/gates.ts'
import { claimDueTokenSets, dueBacklog } from '../db/token-sets.ts'
import { newId } from '../ids.ts'
import type { Parts } from '../parts.ts'
import { believeRejections, spend } from '../token/refresh.ts'
import { Bucket } from './bucket.ts'

/** TikTok states no limit for its token endpoint; this is what one replica asks for when it may. */
const perSecond = 1000
/** In flight at once: 100 at TikTok's usual tenth of a second are a thousand a second. */
const concurrency = 128
const idleMs = 1000

/** @returns one round of the loop: claims what is due and may be started now, starts it, and says how long to rest */
export function createRefresher(parts: Parts, bucket: Bucket = new Bucket(perSecond, perSecond / 5)): () => Promise<number> {
  const inFlight = new Set<Promise<unknown>>()
  let onDemandSeen = parts.refreshes.started

  return async () => {
    // Refreshes somebody is waiting for come out of the same bucket, without asking it.
    bucket.take(parts.refreshes.started - onDemandSeen)
    onDemandSeen = parts.refreshes.started

    const room = Math.min(concurrency - inFlight.size, bucket.available)
    if (room < 1) {
      if (inFlight.size >= concurrency) await Promise.race(inFlight)
      return bucket.waitMs
    }
    const heldSince = performance.now()
    const claims = await claimDueTokenSets(parts.db, room, { attemptId: newId('att'), leaseSeconds: parts.timings.leaseSeconds })
    for (const claim of claims) {
      // After a reader's flight, if one is up: it has found our claim and will yield.
      const flight = parts.refreshes
        .join(claim.accountId, () => spend(parts, claim, heldSince))
        .catch((error) => {
          parts.log.error('background refresh failed', { accountId: claim.accountId, error })
        })
      inFlight.add(flight)
      void flight.finally(() => inFlight.delete(flight))
    }
    bucket.take(claims.length)
    onDemandSeen = parts.refreshes.started
    if (claims.length === room) return 0
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
