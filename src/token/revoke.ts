// Ends grants: at our side at once, at TikTok as soon as it listens. What is to be revoked waits sealed in a row of its own, so
// that a disconnect can be promised while TikTok is away.
import { setTimeout as sleep } from 'node:timers/promises'
import { confirmEnd, endAccount } from '../account/end.ts'
import { within } from '../concurrency/waiting.ts'
import type { Doer } from '../db/accounts.ts'
import type { Db } from '../db/client.ts'
import type { RevocationEnd, RevocationState, StatusReason } from '../db/codes.ts'
import {
  claimRevocations,
  insertRevocation,
  pendingRevocationOf,
  postponeRevocation,
  type RevocationRow,
  renewRevocation,
  revocationStands,
  settleRevocation,
} from '../db/revocations.ts'
import { accountNotFound, ServiceError } from '../errors.ts'
import { newId } from '../ids.ts'
import type { Journal } from '../journal/journal.ts'
import type { Log } from '../telemetry.ts'
import type { TikTok } from '../tiktok/client.ts'
import type { Vault } from '../vault/vault.ts'
import type { CircuitBreaker } from './circuit-breaker.ts'
import { backoffSeconds, datesOf } from './expiry.ts'
import type { TokenMetrics } from './metrics.ts'
import type { Recording } from './recording.ts'
import type { Timings } from './timings.ts'

export interface Grant {
  /** a grant that was refused never had an account, only the session it came from */
  holder: { accountId: string } | { sessionId: string }
  reason: string
  accessToken: string
  refreshToken: string
  accessExpiresAt: Date
}

/** A TikTok that hangs must not hold up a disconnect: the background goes on. */
const disconnectPatienceMs = 5000
/** Ten days of trying; by then the access token is long dead and so, most likely, is TikTok's interest. */
const lastAttempt = 300
/** When TikTok asks for a pause and does not say how long. */
const throttledSeconds = 5

export interface Revocations {
  /** A try that somebody waits for, who hears after a few seconds how it stands; the try itself goes on. */
  now(id: string): Promise<RevocationState>
  /** One try, unless another replica is at it. */
  attempt(id: string): Promise<RevocationState>
  /** One round of the background: whatever is due. @returns how many were tried */
  attemptDue(limit: number): Promise<number>
  /**
   * Revokes a fresh grant that we refuse or cannot keep, unless its TikTok account is connected here: a revocation is per person and
   * app (docs/tiktok.md §3) and would end that account too. Starts at once; the background retries until TikTok confirms.
   */
  refuse(openId: string, grant: Grant): Promise<void>
}

export interface DisconnectDeps {
  db: Db
  journal: Pick<Journal, 'write'>
  log: Log
  revocations: Pick<Revocations, 'now'>
  timings: Pick<Timings, 'disconnectFenceMs'>
}

/**
 * Disconnects an account: from the moment this is recorded no token leaves. Then TikTok is told, for a few seconds.
 *
 * @param end.reason the account's status_reason from now on
 * @returns how the revocation stands; for an account that was disconnected before 'pending' while TikTok has not been told, then 'already_gone'
 * @throws ServiceError account_not_found
 */
export async function disconnect(
  { db, journal, log, revocations, timings }: DisconnectDeps,
  accountId: string,
  end: { reason: StatusReason; requestId: string | null } & Doer,
): Promise<RevocationState> {
  const revocationId = newId('rev')
  const ended = await endAccount({ db, journal }, { accountId, ...end, revocationId })
  const fence = sleep(timings.disconnectFenceMs)
  if (!ended) {
    if (!(await confirmEnd({ db, journal }, accountId))) throw accountNotFound()
    await fence
    const pending = await pendingRevocationOf(db, accountId)
    return pending === undefined ? 'already_gone' : revocations.now(pending)
  }
  log.info('account disconnected', { accountId, reason: end.reason, actor: end.actor, ...end.via })
  const [revocation] = await Promise.all([revocations.now(revocationId), fence])
  return revocation
}

export function createRevocations(deps: {
  db: Db
  vault: Vault
  journal: Pick<Journal, 'write'>
  tiktok: TikTok
  breaker: CircuitBreaker
  recording: Recording
  log: Log
  metrics: TokenMetrics
  timings: Timings
}): Revocations {
  const { db, vault, journal, tiktok, breaker, recording, log, metrics, timings } = deps

  async function attempt(id: string): Promise<RevocationState> {
    const [row] = await claimRevocations(db, id, 1)
    return row ? revoke(row) : 'pending'
  }

  const now = async (id: string) => (await within(attempt(id), disconnectPatienceMs)) ?? 'pending'

  async function revoke(row: RevocationRow): Promise<RevocationState> {
    const mark = performance.now()
    const about = { accountId: row.accountId ?? undefined, sessionId: row.sessionId ?? undefined, reason: row.reason }
    const settle = async (code: RevocationEnd) => {
      await settleRevocation(db, row.id, code)
      await journal.write({ kind: 'revoked', subject: row.id, generation: 0, body: { outcome: code } })
      metrics.revocations.inc({ outcome: code })
      log.info('grant revocation was settled', { ...about, outcome: code })
    }
    const postpone = async (code: string, waitSeconds: number): Promise<RevocationState> => {
      metrics.revocations.inc({ outcome: 'postponed' })
      log.warn('grant revocation was postponed', { ...about, code, count: row.attempts })
      if (row.attempts >= lastAttempt) await settle('given_up')
      else await postponeRevocation(db, row.id, waitSeconds)
      return 'pending'
    }
    const backoff = backoffSeconds(row.attempts - 1, { ...timings, lastBackoffSeconds: 3600 })

    let accessToken: string
    let refreshToken: string
    try {
      const place = { subject: row.subject, generation: row.generation }
      accessToken = vault.open({ purpose: 'access_token', ...place }, row.sealedAccessToken)
      refreshToken = vault.open({ purpose: 'refresh_token', ...place }, row.sealedRefreshToken)
    } catch (error) {
      // Kept: with the key back in place it can still be revoked.
      log.error('credential was unreadable', { ...about, error })
      return postpone('credential_unreadable', 3600)
    }

    // TikTok revokes by access token, and does not say what it makes of an expired one: refresh first.
    if (row.accessExpired) {
      const issuedAt = new Date(row.claimedAt.getTime() + (performance.now() - mark))
      const answer = await tiktok.refresh(refreshToken)
      if (answer.kind === 'refused') {
        await settle('already_gone')
        return 'already_gone'
      }
      if (answer.kind !== 'granted') return postpone(answer.kind, backoff)
      accessToken = answer.tokenSet.accessToken
      refreshToken = answer.tokenSet.refreshToken ?? refreshToken
      const generation = row.generation + 1
      const sealed = sealTokens(row.subject, generation, { accessToken, refreshToken })
      const { accessExpiresAt } = datesOf(answer.tokenSet, issuedAt)
      // A pair that cannot be recorded is revoked all the same, from this memory: it is the only one that lives.
      await renewRevocation(db, row.id, { generation, ...sealed, accessExpiresAt }).catch((error) =>
        log.error('renewed grant was not recorded', { ...about, error }),
      )
    }

    // The person may have connected anew while TikTok was answering: then their new grant would end with this one.
    if (!(await stands(row.id))) return 'already_gone'
    const answer = await tiktok.revoke(accessToken)
    if (answer.kind === 'revoked' || answer.kind === 'already_gone') {
      const code = answer.kind === 'revoked' ? 'confirmed' : 'already_gone'
      await settle(code)
      return code
    }
    // TikTok counts calls per app: what it says of one holds for all, on all replicas, for as long as the breaker believes it.
    if (answer.kind === 'unavailable' && answer.reason === 'throttled')
      await breaker.open('throttled', answer.retryAfterSeconds ?? throttledSeconds)
    const waitSeconds = Math.max(backoff, (answer.kind === 'unavailable' && answer.retryAfterSeconds) || 0)
    return postpone(answer.kind === 'unavailable' ? answer.reason : answer.error, waitSeconds)
  }

  /** Unless the database says that it was dropped, it is to be revoked. */
  async function stands(id: string): Promise<boolean> {
    try {
      return await revocationStands(db, id)
    } catch (error) {
      if (error instanceof ServiceError) return true
      throw error
    }
  }

  function sealTokens(subject: string, generation: number, tokens: { accessToken: string; refreshToken: string }) {
    const place = { subject, generation }
    return {
      sealedAccessToken: vault.seal({ purpose: 'access_token', ...place }, tokens.accessToken),
      sealedRefreshToken: vault.seal({ purpose: 'refresh_token', ...place }, tokens.refreshToken),
    }
  }

  return {
    now,
    attempt,
    async attemptDue(limit) {
      const due = await claimRevocations(db, null, limit)
      // In parallel: one hanging call must neither delay shutdown nor let other replicas retry the last rows.
      const tried = await Promise.allSettled(due.map(revoke))
      for (const { reason } of tried.filter((result) => result.status === 'rejected')) throw reason
      return due.length
    },
    async refuse(openId, grant) {
      const id = newId('rev')
      const { holder, reason, accessExpiresAt } = grant
      const subject = { accountId: null, sessionId: null, ...holder }
      const sealed = sealTokens(id, 0, grant)
      const wanted = await recording.untilSaved({ subject: id, attemptId: id }, () =>
        insertRevocation(db, { id, ...subject, openId, reason, subject: id, generation: 0, ...sealed, accessExpiresAt }),
      )
      if (wanted) await now(id)
      else log.warn('refused grant was left alone', { reason: 'its TikTok account is connected here' })
    },
  }
}
