// Ends grants: at our side at once, at TikTok as soon as it listens. What is to be revoked waits sealed in a row of its own, so
// that a disconnect can be promised while TikTok is away.
import { disconnectAccount, findAccount } from '../db/accounts.ts'
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
import type { Parts } from '../parts.ts'
import { within } from '../single-flight.ts'
import { holdBack } from './circuit-breaker.ts'
import { backoffSeconds, datesOf } from './expiry.ts'
import { untilSaved } from './until-saved.ts'

export type Revocation = 'confirmed' | 'already_gone' | 'pending'

export interface Grant {
  accountId: string
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

/**
 * Disconnects an account: from the moment this is recorded no token leaves. Then TikTok is told, for a few seconds.
 *
 * @param end.reason the account's status_reason from now on
 * @returns how the revocation stands; for an account that was disconnected before 'pending' while TikTok has not been told, then 'already_gone'
 * @throws ServiceError account_not_found
 */
export async function disconnect(
  parts: Parts,
  accountId: string,
  end: { reason: string; actor: string; requestId: string | null },
): Promise<Revocation> {
  const { db, log } = parts
  const revocationId = newId('rev')
  const ended = await disconnectAccount(db, { accountId, ...end, revocationId })
  if (!ended) {
    if (!(await findAccount(db, accountId))) throw accountNotFound()
    const pending = await pendingRevocationOf(db, accountId)
    return pending === undefined ? 'already_gone' : revokeNow(parts, pending)
  }
  log.info('account disconnected', { accountId, reason: end.reason, actor: end.actor })
  return revokeNow(parts, revocationId)
}

/** A try that somebody waits for, who hears after a few seconds how it stands. */
async function revokeNow(parts: Parts, revocationId: string): Promise<Revocation> {
  return (await within(attemptRevocation(parts, revocationId), disconnectPatienceMs)) ?? 'pending'
}

/**
 * Revokes a fresh grant that we refuse or cannot keep, unless its TikTok account is connected here: a revocation is per person and
 * app (docs/tiktok.md §3) and would end that account too. Starts at once; the background retries until TikTok confirms.
 */
export async function revokeRefused(parts: Parts, openId: string, grant: Grant): Promise<void> {
  const id = newId('rev')
  const { accountId, reason, accessExpiresAt } = grant
  const sealed = sealTokens(parts, id, 0, grant)
  const wanted = await untilSaved(parts, { subject: id, attemptId: id }, () =>
    insertRevocation(parts.db, { id, accountId, openId, reason, subject: id, generation: 0, ...sealed, accessExpiresAt }),
  )
  if (wanted) await revokeNow(parts, id)
  else parts.log.warn('refused grant was left alone', { reason: 'its TikTok account is connected here' })
}

/** One round of the background: whatever is due. @returns how many were tried */
export async function attemptDueRevocations(parts: Parts, limit: number): Promise<number> {
  const due = await claimRevocations(parts.db, null, limit)
  // At once: one after the other, a TikTok that hangs would hold up the end of the process, and others would take the last rows again.
  const tried = await Promise.allSettled(due.map((row) => attempt(parts, row)))
  for (const { reason } of tried.filter((result) => result.status === 'rejected')) throw reason
  return due.length
}

/** One try now, unless another replica is at it. */
export async function attemptRevocation(parts: Parts, id: string): Promise<Revocation> {
  const [row] = await claimRevocations(parts.db, id, 1)
  return row ? attempt(parts, row) : 'pending'
}

async function attempt(parts: Parts, row: RevocationRow): Promise<Revocation> {
  const mark = performance.now()
  const { db, vault, tiktok, log, metrics, timings } = parts
  const about = { accountId: row.accountId, reason: row.reason }
  const settle = async (code: 'confirmed' | 'already_gone' | 'given_up') => {
    await settleRevocation(db, row.id, code)
    metrics.revocations.inc({ outcome: code })
    log.info('grant revocation was settled', { ...about, outcome: code })
  }
  const postpone = async (code: string, waitSeconds: number): Promise<Revocation> => {
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
    const sealed = sealTokens(parts, row.subject, generation, { accessToken, refreshToken })
    const { accessExpiresAt } = datesOf(answer.tokenSet, issuedAt)
    // A pair that cannot be recorded is revoked all the same, from this memory: it is the only one that lives.
    await renewRevocation(db, row.id, { generation, ...sealed, accessExpiresAt }).catch((error) =>
      log.error('renewed grant was not recorded', { ...about, error }),
    )
  }

  // The person may have connected anew while TikTok was answering: then their new grant would end with this one.
  if (!(await stands(parts, row.id))) return 'already_gone'
  const answer = await tiktok.revoke(accessToken)
  if (answer.kind === 'revoked' || answer.kind === 'already_gone') {
    const code = answer.kind === 'revoked' ? 'confirmed' : 'already_gone'
    await settle(code)
    return code
  }
  // TikTok counts calls per app: what it says of one holds for all, on all replicas.
  if (answer.kind === 'unavailable' && answer.reason === 'throttled')
    await holdBack(parts, 'throttled', answer.retryAfterSeconds ?? throttledSeconds)
  return postpone(answer.kind === 'unavailable' ? answer.reason : answer.error, backoff)
}

/** Unless the database says that it was dropped, it is to be revoked. */
async function stands({ db }: Parts, id: string): Promise<boolean> {
  try {
    return await revocationStands(db, id)
  } catch (error) {
    if (error instanceof ServiceError) return true
    throw error
  }
}

function sealTokens(parts: Parts, subject: string, generation: number, tokens: { accessToken: string; refreshToken: string }) {
  const place = { subject, generation }
  return {
    sealedAccessToken: parts.vault.seal({ purpose: 'access_token', ...place }, tokens.accessToken),
    sealedRefreshToken: parts.vault.seal({ purpose: 'refresh_token', ...place }, tokens.refreshToken),
  }
}
