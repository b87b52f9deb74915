// Spends a refresh token that works once. Claim, spend, record: one statement takes the lease, no connection is held while
// TikTok thinks, and what TikTok answered is made durable before anything else looks at it.
import { type Claim, claimStands, claimTokenSet, parkClaim, releaseClaim, sightTokenSet, standingOf } from '../db/claims.ts'
import { recordExpiry, settleRejections, suspectRejection } from '../db/rejections.ts'
import { newId } from '../ids.ts'
import type { Parts, RefreshOutcome, Sighting } from '../parts.ts'
import type { TokenAnswer } from '../tiktok/client.ts'
import { holdBack, reached, stumble } from './circuit-breaker.ts'
import { backoffSeconds, datesOf } from './expiry.ts'
import { keep } from './record.ts'
import { step } from './steps.ts'
import { onceMore } from './until-saved.ts'

/** A claim used this quickly is believed; after a longer wait it is looked at again before the token is sent. */
const surelyOursSeconds = 0.5

/**
 * Refreshes one account's token set, unless it moved past `generation` already. In normal running one refresh is in flight per account,
 * over all processes: callers in this one join the same flight, other processes see the claim.
 *
 * @returns what became of it; every refusal of TikTok's is a value
 * @throws ServiceError storage_unavailable | overloaded: nothing was spent; credential_unreadable: the vault cannot open the token
 * @see RFC 6749 §6; RFC 9700 §4.14
 */
export function refresh(parts: Parts, accountId: string, generation: number): Promise<RefreshOutcome> {
  return parts.refreshes.join(accountId, async () => {
    const heldSince = performance.now()
    const claim = await claimOnce(parts, accountId, generation)
    return claim ? spend(parts, claim, heldSince) : explain(parts, accountId, generation)
  })
}

/**
 * Spends a claim: sends the refresh token, judges the answer, records it.
 *
 * @param heldSince performance.now() from before the claim was made: the lease is at least that old
 */
export async function spend(parts: Parts, claim: Claim, heldSince: number): Promise<RefreshOutcome> {
  const { db, vault, tiktok, log, metrics, timings } = parts
  const claimedAtMark = performance.now()
  step('refresh.claimed', claim.accountId)
  if (claim.leaseRanOut) {
    metrics.leasesRunOut.inc()
    log.warn('refresh lease had run out', {
      accountId: claim.accountId,
      generation: claim.generation,
      count: claim.unsettledAttempts,
    })
    // Its holder may be alive with the answer in hand, and only wait for the database that has just come back, as we did: its save comes first.
    await new Promise((resolve) => setTimeout(resolve, timings.lateSaveMs))
  }
  if (claim.refreshTokenExpired) {
    await recordExpiry(db, claim)
    return count(parts, { kind: 'rejected' })
  }

  let refreshToken: string
  try {
    refreshToken = vault.open(
      { purpose: 'refresh_token', subject: claim.accountId, generation: claim.generation },
      claim.sealedRefreshToken,
    )
  } catch (error) {
    // One unreadable row must not stop the others, and must not be tried in a loop.
    await releaseClaim(db, claim, 'credential_unreadable', 300)
    log.error('credential was unreadable', { accountId: claim.accountId, generation: claim.generation, error })
    throw error
  }

  // A process that was paused between claim and here may have lost its lease to a neighbour: then nothing is sent (F03). And nothing while
  // this process holds the answer to this very token, which the database did not take yet (F05).
  step('refresh.sending', claim.accountId)
  const heldForSeconds = (performance.now() - heldSince) / 1000
  if (heldForSeconds > timings.leaseSeconds - timings.sendMarginSeconds) {
    await releaseClaim(db, claim, 'held_too_long', 0)
    return count(parts, { kind: 'transient', code: 'held_too_long', retryAfterSeconds: 1 })
  }
  const doubtful = heldForSeconds > surelyOursSeconds || parts.savedLate.has(claim.accountId)
  if (parts.unsaved.has(claim.accountId) || (doubtful && !(await claimStands(db, claim))))
    return count(parts, { kind: 'yielded' })

  // No transaction is open here: TikTok may take ten seconds, and no lock should wait on a stranger.
  const issuedAt = new Date(claim.claimedAt.getTime() + (performance.now() - claimedAtMark))
  const answer = await tiktok.refresh(refreshToken)
  step('refresh.answered', claim.accountId)
  const outcome = await settle(parts, claim, answer, issuedAt, refreshToken)
  metrics.refreshSeconds.observe((performance.now() - heldSince) / 1000)
  return count(parts, outcome)
}

async function settle(
  parts: Parts,
  claim: Claim,
  answer: TokenAnswer,
  issuedAt: Date,
  spentToken: string,
): Promise<RefreshOutcome> {
  const { db, log, timings } = parts
  const about = { accountId: claim.accountId, generation: claim.generation }
  const backoff = backoffSeconds(claim.failures, timings)

  switch (answer.kind) {
    case 'granted': {
      if (answer.tokenSet.openId !== claim.openId) {
        // Not stored, and not revoked either: revoking would disconnect whoever this is (S10, F18).
        log.error('refresh answered for another TikTok account', { ...about, logId: answer.logId })
        await parkClaim(db, claim, 'foreign_open_id', backoff)
        return { kind: 'ambiguous', retryAfterSeconds: timings.leaseSeconds }
      }
      const outcome = await keep(parts, {
        accountId: claim.accountId,
        generation: claim.generation,
        attemptId: claim.attemptId,
        openId: claim.openId,
        accessToken: answer.tokenSet.accessToken,
        refreshToken: answer.tokenSet.refreshToken ?? spentToken, // RFC 6749 §6: none issued, the old one stays
        scopes: answer.tokenSet.scopes ?? claim.scopes,
        ...datesOf(answer.tokenSet, issuedAt),
      })
      await reached(parts, claim)
      return outcome
    }
    case 'refused': {
      await reached(parts, claim)
      const believed = await suspectRejection(db, claim, timings.graceSeconds)
      if (believed) log.warn('refresh token was rejected', { ...about, count: claim.unsettledAttempts, logId: answer.logId })
      return { kind: believed ? 'rejected' : 'sibling_won' }
    }
    case 'client_refused': {
      // About us, not about this account (S44): its token is untouched, and everybody waits.
      log.error('TikTok refused our client', { ...about, code: answer.error, reason: answer.blame, logId: answer.logId })
      await releaseClaim(db, claim, answer.error, answer.blame === 'credentials' ? 0 : 300)
      if (answer.blame === 'credentials') await holdBack(parts, 'client_refused', 5)
      return { kind: 'client_refused', retryAfterSeconds: answer.blame === 'credentials' ? 5 : 300 }
    }
    case 'throttled': {
      await releaseClaim(db, claim, 'throttled', 0)
      await holdBack(parts, 'throttled', answer.retryAfterSeconds)
      return { kind: 'transient', code: 'throttled', retryAfterSeconds: answer.retryAfterSeconds }
    }
    case 'not_sent': {
      await releaseClaim(db, claim, answer.reason, backoff)
      await stumble(parts, claim)
      return { kind: 'transient', code: answer.reason, retryAfterSeconds: backoff }
    }
    case 'ambiguous': {
      const waitSeconds = Math.max(backoff, answer.retryAfterSeconds ?? 0)
      log.warn('refresh outcome was ambiguous', {
        ...about,
        reason: answer.reason,
        count: claim.unsettledAttempts,
        logId: answer.logId,
      })
      await parkClaim(db, claim, answer.reason, waitSeconds)
      if (answer.retryAfterSeconds !== undefined) await holdBack(parts, 'unavailable', answer.retryAfterSeconds)
      else await stumble(parts, claim)
      return { kind: 'ambiguous', retryAfterSeconds: Math.max(waitSeconds, timings.leaseSeconds) }
    }
  }
}

/** Why there was no claim, as an outcome; a rejection whose grace is over is believed on the way. */
async function explain(parts: Parts, accountId: string, generation: number): Promise<RefreshOutcome> {
  const standing = await standingOf(parts.db, accountId)
  if (!standing || standing.status === 'disconnected' || standing.generation === null) return { kind: 'discarded' }
  if (standing.generation > generation) return count(parts, { kind: 'sibling_won' })
  if (standing.rejected) {
    await believeRejections(parts, accountId, 1)
    return { kind: 'rejected' }
  }
  if (standing.leased) return count(parts, { kind: 'yielded' })
  return { kind: 'transient', code: 'waiting', retryAfterSeconds: Math.max(0.1, standing.waitSeconds) }
}

/** Marks accounts whose grace is over; also what the background does. */
export async function believeRejections(parts: Parts, accountId: string | null, limit: number): Promise<number> {
  const settled = await settleRejections(parts.db, accountId, limit)
  for (const { accountId, reason } of settled) parts.log.warn('account needs reauthorization', { accountId, reason })
  return settled.length
}

/**
 * Waits for a neighbour's answer to show up, or for its claim to end. One asks the database, however many readers of this process wait.
 *
 * @returns 'moved' when the generation moved past `generation`; 'free' when nobody holds the claim any more: then ask again
 */
export function watch(parts: Parts, accountId: string, generation: number): Promise<Sighting> {
  return parts.watches.join(`${accountId}:${generation}`, async () => {
    const deadline = performance.now() + parts.timings.patienceMs
    // Quick at first, because TikTok usually answers in tenths of a second; slower later, because then it is in trouble.
    for (let pauseMs = 25; performance.now() < deadline; pauseMs = Math.min(250, pauseMs * 1.5)) {
      const present = await sightTokenSet(parts.db, accountId)
      if (present === undefined || present.generation > generation) return 'moved'
      if (!present.leased) return 'free'
      await new Promise((resolve) => setTimeout(resolve, pauseMs))
    }
    return 'nothing'
  })
}

/** When the database's answer is lost, the next try asks under the same attempt: it finds the claim instead of waiting for itself. */
async function claimOnce(parts: Parts, accountId: string, generation: number): Promise<Claim | undefined> {
  const { db, claimsInDoubt, timings } = parts
  const attemptId = claimsInDoubt.get(accountId) ?? newId('att')
  claimsInDoubt.set(accountId, attemptId)
  const claim = await onceMore(() => claimTokenSet(db, accountId, generation, { attemptId, leaseSeconds: timings.leaseSeconds }))
  claimsInDoubt.delete(accountId)
  return claim
}

function count(parts: Parts, outcome: RefreshOutcome): RefreshOutcome {
  parts.metrics.refreshes.inc({ outcome: outcome.kind })
  return outcome
}
