// Spends a refresh token, which works once: claim, check, spend, judge, record. No connection is held while TikTok thinks, and
// its answer is made durable before anything else.
import { setTimeout as sleep } from 'node:timers/promises'
import { openPoll } from '../concurrency/poll.ts'
import { SingleFlight } from '../concurrency/single-flight.ts'
import {
  type Claim,
  claimStands,
  claimTokenSet,
  type HeldGeneration,
  parkClaim,
  readGenerations,
  releaseClaim,
  standingOf,
} from '../db/claims.ts'
import type { Db } from '../db/client.ts'
import { recordExpiry, settleRejections, suspectRejection } from '../db/rejections.ts'
import { presentGeneration } from '../db/token-sets.ts'
import { newId } from '../ids.ts'
import type { Epoch } from '../journal/epoch.ts'
import type { Log } from '../telemetry.ts'
import type { TikTok } from '../tiktok/client.ts'
import { checkIdentity } from '../vault/deciding-rows.ts'
import type { Brake } from './brake.ts'
import type { CircuitBreaker } from './circuit-breaker.ts'
import { keep, type RecordDeps } from './record.ts'
import { onceMore } from './recording.ts'
import { step } from './steps.ts'
import type { Timings } from './timings.ts'
import { type BreakerNews, judge, type RefreshOutcome, type Verdict } from './verdict.ts'

/** A claim used this quickly is believed; after a longer wait it is looked at again before the token is sent. */
const surelyOursSeconds = 0.5

/** Nothing is spent while the database is older than the journals. */
const rewound: RefreshOutcome = { kind: 'transient', code: 'database_rewound', retryAfterSeconds: 5 }

/** Few are sent at once until TikTok has taken some: this one found no room, or the brake holds. */
const noRoom: RefreshOutcome = { kind: 'transient', code: 'waiting', retryAfterSeconds: 1 }

/** What waiting for a neighbour's refresh led to: its token set, its claim given up, or nothing within the time. */
export type Waited = 'moved' | 'free' | 'nothing'

export interface Refresher {
  /**
   * Refreshes one account's token set, unless it moved past `generation` already. One refresh runs per account over all
   * processes: callers here join it, other processes see the claim.
   *
   * @returns what became of it; every refusal of TikTok's is a value
   * @throws ServiceError storage_unavailable | overloaded: nothing was spent; credential_unreadable: the vault cannot open the token
   * @see RFC 6749 §6; RFC 9700 §4.14
   */
  refresh(accountId: string, generation: number): Promise<RefreshOutcome>
  /**
   * Spends a claim made by the background, which has been admitted by the brake, after any refresh of this account that is in flight here.
   *
   * @param heldSince performance.now() from before the claim was made: the lease is at least that old
   */
  spendClaim(claim: Claim, heldSince: number): Promise<RefreshOutcome>
  /**
   * Waits until another replica's answer shows up or its claim ends. One poll serves all readers of this process.
   *
   * @returns 'moved' when the generation moved past `generation`; 'free' when nobody holds the claim any more: then ask again
   */
  waitForGeneration(accountId: string, generation: number): Promise<Waited>
  /** how many accounts this process is refreshing just now */
  readonly inFlight: number
  /** how many refreshes were ever started here */
  readonly started: number
  /** Waits until all that is in flight has landed. */
  landed(): Promise<void>
}

export interface RefresherDeps extends RecordDeps {
  epoch: Pick<Epoch, 'mark' | 'rewound' | 'suspect' | 'trusted' | 'metOlderRow'>
  tiktok: TikTok
  breaker: CircuitBreaker
  brake: Pick<Brake, 'admitOne' | 'landed' | 'probed'>
  timings: Timings
}

export function createRefresher(deps: RefresherDeps): Refresher {
  const { db, vault, tiktok, journal, epoch, recording, breaker, brake, log, metrics, timings } = deps
  const flights = new SingleFlight<RefreshOutcome>(timings.flightDeadlineMs, () => ({ kind: 'yielded' }))
  // Quick at first, because TikTok usually answers in tenths of a second; slower later, because then it is in trouble.
  const generations = openPoll((ids: string[]) => readGenerations(db, ids), { firstMs: 25, longestMs: 250 })
  /** Attempt ids of claims whose database answer was lost: asking again under the same id finds the claim. */
  const claimsInDoubt = new Map<string, string>()

  /** The whole life of a refresh. Each step says what to do next or ends it with an outcome. */
  async function refreshOnce(accountId: string, generation: number): Promise<RefreshOutcome> {
    if (!(await epoch.trusted())) return counted(rewound)
    if (!(await brake.admitOne())) return counted(noRoom)
    const heldSince = performance.now()
    const claim = await claimOnce(accountId, generation).catch((error) => {
      brake.landed('not_taken')
      throw error
    })
    if (claim) return spend(claim, heldSince)
    brake.landed('not_taken')
    return explain(accountId, generation)
  }

  /** @param claim of one that the brake admitted */
  async function spend(claim: Claim, heldSince: number): Promise<RefreshOutcome> {
    let taken: 'taken' | 'not_taken' = 'not_taken'
    try {
      const outcome = await send(claim, heldSince)
      if (outcome.kind === 'refreshed') taken = 'taken'
      return outcome
    } finally {
      brake.landed(taken)
    }
  }

  async function send(claim: Claim, heldSince: number): Promise<RefreshOutcome> {
    const claimedAtMark = performance.now()
    step('refresh.claimed', claim.accountId)
    const checked = await check(claim, heldSince)
    if ('outcome' in checked) return counted(checked.outcome)

    // No transaction is open here: TikTok may take ten seconds, and no lock should wait on a stranger.
    const issuedAt = new Date(claim.claimedAt.getTime() + (performance.now() - claimedAtMark))
    const sentAtMark = performance.now()
    const answer = await tiktok.refresh(checked.refreshToken)
    metrics.refreshTikTokSeconds.observe((performance.now() - sentAtMark) / 1000)
    step('refresh.answered', claim.accountId)

    const verdict = judge(deps, claim, answer, { refreshToken: checked.refreshToken, issuedAt })
    const outcome = await record(claim, verdict)
    metrics.refreshSeconds.observe((performance.now() - heldSince) / 1000)
    if (claim.inUse && outcome.kind === 'refreshed') {
      const inTime = (performance.now() - claimedAtMark) / 1000 < claim.secondsUntilExpiry
      metrics.refreshedInTime.inc({ timeliness: inTime ? 'before_expiry' : 'after_expiry' })
    }
    return counted(outcome)
  }

  async function claimOnce(accountId: string, generation: number): Promise<Claim | undefined> {
    const attemptId = claimsInDoubt.get(accountId) ?? newId('att')
    claimsInDoubt.set(accountId, attemptId)
    const claim = await onceMore(() =>
      claimTokenSet(db, accountId, generation, { attemptId, leaseSeconds: timings.leaseSeconds, mark: epoch.mark }),
    )
    claimsInDoubt.delete(accountId)
    return claim
  }

  /** Whether the claimed token may be sent, and the token itself. */
  async function check(claim: Claim, heldSince: number): Promise<{ refreshToken: string } | { outcome: RefreshOutcome }> {
    const { accountId, generation } = claim
    const known = journal.known.of(accountId)
    if (known > generation) {
      // The claim may be from just before that was recorded: only a row that is older even now is one that somebody put back.
      const present = await presentGeneration(db, accountId)
      if (present === null) return { outcome: { kind: 'discarded' } }
      if (present >= known) return { outcome: { kind: 'sibling_won' } }
      if (await epoch.metOlderRow(accountId)) return { outcome: rewound }
    }
    if (claim.leaseRanOut) {
      metrics.leasesRunOut.inc()
      log.warn('refresh lease had run out', { accountId, generation, count: claim.unsettledAttempts })
      // Its holder may hold TikTok's answer and only be waiting for a database that has just come back: its save goes first.
      await sleep(timings.lateSaveMs)
    }
    if (claim.refreshTokenExpired) {
      await recordExpiry(db, claim)
      return { outcome: { kind: 'rejected' } }
    }
    const refreshToken = await open(claim)

    // A process paused since its claim may have lost the lease: then nothing is sent (F03). Nor is anything sent while the answer
    // to this very token waits here for the database (F05).
    step('refresh.sending', accountId)
    const heldForSeconds = (performance.now() - heldSince) / 1000
    if (heldForSeconds > timings.leaseSeconds - timings.sendMarginSeconds) {
      await releaseClaim(db, claim, 'held_too_long', 0)
      return { outcome: { kind: 'transient', code: 'held_too_long', retryAfterSeconds: 1 } }
    }
    const doubtful = heldForSeconds > surelyOursSeconds || recording.wasSavedLate(accountId)
    if (recording.isUnsaved(accountId) || (doubtful && !(await claimStands(db, claim)))) return { outcome: { kind: 'yielded' } }
    return { refreshToken }
  }

  /** One unreadable row must not stop the others, and must not be tried in a loop. */
  async function open(claim: Claim): Promise<string> {
    const { accountId, generation } = claim
    try {
      checkIdentity(vault, claim, claim.sealedIdentity)
      return vault.open({ purpose: 'refresh_token', subject: accountId, generation }, claim.sealedRefreshToken)
    } catch (error) {
      await releaseClaim(db, claim, 'credential_unreadable', 300)
      log.error('credential was unreadable', { accountId, generation, error })
      throw error
    }
  }

  async function record(claim: Claim, verdict: Verdict): Promise<RefreshOutcome> {
    switch (verdict.kind) {
      case 'granted': {
        const kind = await keep(deps, verdict.answer)
        await breaker.answered(claim)
        if (claim.probing) await brake.probed()
        return { kind }
      }
      case 'rejected': {
        await breaker.answered(claim)
        const believed = await suspectRejection(db, claim, timings.graceSeconds)
        const { accountId, generation, unsettledAttempts } = claim
        if (believed)
          log.warn('refresh token was rejected', { accountId, generation, count: unsettledAttempts, logId: verdict.logId })
        return { kind: believed ? 'rejected' : 'sibling_won' }
      }
      case 'unspent':
        await releaseClaim(db, claim, verdict.code, verdict.waitSeconds)
        await tellBreaker(claim, verdict.breaker)
        return verdict.outcome
      case 'in_doubt':
        await parkClaim(db, claim, verdict.code, verdict.waitSeconds)
        await tellBreaker(claim, verdict.breaker)
        return verdict.outcome
    }
  }

  async function tellBreaker(claim: Claim, news: BreakerNews): Promise<void> {
    if (news === 'failed') await breaker.failed(claim)
    else if (news) await breaker.open(news.reason, news.seconds)
  }

  /** Why there was no claim, as an outcome; a rejection whose grace is over is believed on the way. */
  async function explain(accountId: string, generation: number): Promise<RefreshOutcome> {
    const standing = await standingOf(db, accountId)
    if (!standing || standing.status === 'disconnected' || standing.generation === null) return { kind: 'discarded' }
    if (standing.generation > generation) return counted({ kind: 'sibling_won' })
    if (standing.rejected) {
      await believeRejections({ db, log }, accountId, 1)
      return { kind: 'rejected' }
    }
    if (standing.leased) return counted({ kind: 'yielded' })
    // Nothing about the account is in the way: a neighbour may have noticed before us that the database went back.
    if (standing.waitSeconds === 0) epoch.suspect()
    if (!(await epoch.trusted())) return counted(rewound)
    return { kind: 'transient', code: 'waiting', retryAfterSeconds: Math.max(0.1, standing.waitSeconds) }
  }

  async function waitForGeneration(accountId: string, generation: number): Promise<Waited> {
    const hasMoved = (present: HeldGeneration | undefined) => present === undefined || present.generation > generation
    const wait = { timeoutMs: timings.patienceMs }
    const found = await generations.until(accountId, (present) => hasMoved(present) || !present?.leased, wait)
    if (!found) return 'nothing'
    return hasMoved(found.state) ? 'moved' : 'free'
  }

  function counted(outcome: RefreshOutcome): RefreshOutcome {
    metrics.refreshes.inc({ outcome: outcome.kind })
    return outcome
  }

  return {
    refresh: (accountId, generation) => flights.join(accountId, () => refreshOnce(accountId, generation)),
    spendClaim: (claim, heldSince) => flights.follow(claim.accountId, () => spend(claim, heldSince)),
    waitForGeneration,
    get inFlight() {
      return flights.size
    },
    get started() {
      return flights.started
    },
    landed: () => flights.landed(),
  }
}

/** Marks accounts whose grace is over; also what the background does. */
export async function believeRejections(
  { db, log }: { db: Db; log: Log },
  accountId: string | null,
  limit: number,
): Promise<number> {
  const settled = await settleRejections(db, accountId, limit)
  for (const { accountId, reason } of settled) log.warn('account needs reauthorization', { accountId, reason })
  return settled.length
}
