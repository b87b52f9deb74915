// For a database that was restored without a journal: finds out, account by account and at a rate, whose refresh token TikTok still takes.
// What was found is in the database, so that an interrupted run goes on.
import { setTimeout as sleep } from 'node:timers/promises'
import { InFlight } from '../concurrency/in-flight.ts'
import { readBreaker } from '../db/circuit-breakers.ts'
import { claimToReconcile } from '../db/claims.ts'
import type { Db } from '../db/client.ts'
import type { ReconciledOutcome } from '../db/codes.ts'
import {
  announceReconciled,
  countUntried,
  endReconciliation,
  listUntried,
  openReconciliation,
  type Reconciliation,
  recordReconciled,
  settleReconciled,
  type Untried,
} from '../db/reconciliations.ts'
import { readRecovery } from '../db/recoveries.ts'
import { releaseRefusals } from '../db/refusals.ts'
import { ServiceError } from '../errors.ts'
import { newId } from '../ids.ts'
import type { Epoch } from '../journal/epoch.ts'
import type { Log } from '../telemetry.ts'
import type { TikTok } from '../tiktok/client.ts'
import type { Brake } from '../token/brake.ts'
import type { Refresher } from '../token/refresh.ts'
import type { Timings } from '../token/timings.ts'
import type { Vault } from '../vault/vault.ts'

export interface ReconcileDeps {
  db: Db
  vault: Vault
  tiktok: Pick<TikTok, 'userInfo'>
  refresher: Pick<Refresher, 'spendClaim'>
  epoch: Pick<Epoch, 'mark'>
  brake: Pick<Brake, 'admitByHand' | 'landed'>
  timings: Pick<Timings, 'leaseSeconds' | 'graceSeconds'>
  log: Log
}

export interface ReconcileWish {
  /** asks with the access tokens that still live, and spends nothing */
  dryRun: boolean
  /** begins anew although a run was over within the hour; a dry run always does */
  again: boolean
  /** events go out for those who must come back, also of an earlier call */
  notify: boolean
  perSecond: number
  actor: string
  /** aborted: finishes what is in flight, and a later call goes on */
  stopping: AbortSignal
}

/** What TikTok needs at most at once; it states no limit. */
const atOnce = 50
const pageSize = 500

interface Found {
  outcome: ReconciledOutcome
  reason: string | null
}

/**
 * Tries every active account that was not tried yet in this run, then marks those whose refresh token was refused. Nobody is told unless
 * `notify` asks for it; the brake is let go of at the end, because everybody was tried.
 *
 * @returns the run, and how many events went out
 * @throws ServiceError database_rewound: a recovery is open, whose journals come first
 */
export async function reconcile(
  deps: ReconcileDeps,
  wish: ReconcileWish,
  onProgress: (done: number, total: number, note?: string) => void,
): Promise<{ run: Reconciliation; announced: number }> {
  const { db, timings } = deps
  const recovery = await readRecovery(db)
  if (!wish.dryRun && recovery?.endedAt === null)
    throw new ServiceError(
      'database_rewound',
      'A recovery is open: `journal replay` first, with `--accept-missing` if its journals are lost.',
    )
  const run = await openReconciliation(db, { id: newId('rcn'), ...wish, again: wish.again || wish.dryRun })
  if (run.endedAt === null) {
    await tryAll(deps, run, wish, onProgress)
    if (wish.stopping.aborted) return { run, announced: 0 }
    for (let suspected = 0; ; ) {
      const left = await settleReconciled(db, run, timings.graceSeconds)
      if (left === 0) break
      suspected = Math.max(suspected, left)
      onProgress(suspected - left, suspected, 'a minute is waited before refusals are believed')
      await sleep(1000, undefined, { signal: wish.stopping }).catch(() => {})
      if (wish.stopping.aborted) return { run, announced: 0 }
    }
    await endReconciliation(db, run, wish.actor)
    if (!wish.dryRun) await releaseRefusals(db, 'token', wish.actor)
    run.endedAt = new Date()
  }
  return { run, announced: wish.notify ? await announceReconciled(db, run) : 0 }
}

async function tryAll(
  deps: ReconcileDeps,
  run: Reconciliation,
  { perSecond, stopping }: ReconcileWish,
  onProgress: (done: number, total: number, note?: string) => void,
): Promise<void> {
  const { db, log } = deps
  const inFlight = new InFlight()
  const total = await countUntried(db, run)
  let done = 0
  let nextAtMs = performance.now()
  onProgress(done, total)
  for (;;) {
    const page = await listUntried(db, run, pageSize)
    for (const account of page) {
      await leaveAlone(db, stopping, (note) => onProgress(done, total, note))
      // What needs no question to TikTok needs no turn either.
      if (asksTikTok(run, account)) {
        await sleep(Math.max(0, nextAtMs - performance.now()))
        nextAtMs = Math.max(nextAtMs, performance.now()) + 1000 / perSecond
      }
      await inFlight.fewerThan(atOnce)
      if (stopping.aborted) break
      inFlight
        .add(tryOne(deps, run, account))
        .catch((error) => log.error('account was not reconciled', { accountId: account.id, error }))
        .finally(() => onProgress(++done, Math.max(done, total)))
    }
    await inFlight.fewerThan(1)
    if (page.length < pageSize || stopping.aborted) return
  }
}

/** While the circuit breaker is open TikTok is down or asked for a pause: a try would say nothing about an account. */
async function leaveAlone(db: Db, stopping: AbortSignal, tell: (note: string) => void): Promise<void> {
  while (!stopping.aborted) {
    const { openForSeconds, reason } = await readBreaker(db)
    if (openForSeconds === 0) return
    tell(`TikTok is left alone for ${Math.ceil(openForSeconds)} s: ${reason}`)
    await sleep(Math.min(openForSeconds, 1) * 1000)
  }
}

const asksTikTok = ({ dryRun }: Reconciliation, account: Untried) =>
  !account.freshSince && !account.refreshTokenExpired && (!dryRun || account.accessTokenLives)

async function tryOne(deps: ReconcileDeps, run: Reconciliation, account: Untried): Promise<void> {
  const { id: accountId, generation } = account
  const found: Found | undefined = account.freshSince
    ? { outcome: 'fine', reason: 'refreshed_since' }
    : account.refreshTokenExpired
      ? { outcome: 'must_come_back', reason: 'refresh_token_expired' }
      : await (run.dryRun ? look(deps, account) : spend(deps, account)).catch((error): Found => {
          deps.log.error('account was not tried', { accountId, error })
          return { outcome: 'unknown', reason: error instanceof ServiceError ? error.code : 'internal_error' }
        })
  if (!found) return
  const held = found.outcome === 'must_come_back' && !account.refreshTokenExpired
  await recordReconciled(deps.db, run, { accountId, generation, ...found, held })
}

/** With the access token: a live one shows that the grant lives, though not that our refresh token is the last one. */
async function look({ vault, tiktok }: ReconcileDeps, account: Untried): Promise<Found> {
  const { id: subject, generation, scopes, sealedAccessToken } = account
  if (!account.accessTokenLives) return { outcome: 'unknown', reason: 'access_token_expired' }
  const answer = await tiktok.userInfo(vault.open({ purpose: 'access_token', subject, generation }, sealedAccessToken), scopes)
  switch (answer.kind) {
    case 'ok':
    case 'refused':
      return { outcome: 'fine', reason: 'access_token_taken' }
    case 'token_invalid':
      return { outcome: 'unknown', reason: 'access_token_refused' }
    default:
      return { outcome: 'unknown', reason: answer.kind }
  }
}

/** @returns undefined when the account is gone meanwhile */
async function spend({ db, refresher, epoch, brake, timings }: ReconcileDeps, account: Untried): Promise<Found | undefined> {
  const heldSince = performance.now()
  const terms = { attemptId: newId('att'), leaseSeconds: timings.leaseSeconds, mark: epoch.mark }
  const claim = await claimToReconcile(db, account.id, account.generation, terms)
  if (!claim) return { outcome: 'unknown', reason: 'in_use' }
  brake.admitByHand()
  const outcome = await refresher.spendClaim(claim, heldSince)
  switch (outcome.kind) {
    case 'refreshed':
    case 'sibling_won':
      return { outcome: 'fine', reason: null }
    case 'rejected':
      return { outcome: 'must_come_back', reason: 'refresh_token_rejected' }
    case 'discarded':
      return undefined
    case 'transient':
      return { outcome: 'unknown', reason: outcome.code }
    default:
      return { outcome: 'unknown', reason: outcome.kind }
  }
}
