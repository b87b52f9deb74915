// The emergency stop for one owner or everybody: first no token leaves any more, then TikTok is told at a bearable rate. Each
// revocation's time is in the database, so replicas keep the rate and finish the work.
import { setTimeout as sleep } from 'node:timers/promises'
import { endAccount } from '../account/end.ts'
import { forEachAtMost } from '../concurrency/in-flight.ts'
import { ownerInAuditLog } from '../db/audit.ts'
import { readBreaker } from '../db/circuit-breakers.ts'
import type { Db } from '../db/client.ts'
import {
  countLiveAccounts,
  listLiveAccountIds,
  noteDisconnects,
  pendingRevocations,
  spreadRevocations,
} from '../db/disconnects.ts'
import { newId } from '../ids.ts'
import type { Journal } from '../journal/journal.ts'
import type { Log } from '../telemetry.ts'
import type { Revocations } from '../token/revoke.ts'
import type { Timings } from '../token/timings.ts'

const emergencyReason = 'disconnected_by_operator' as const

export interface Emergency {
  /** null: everybody */
  ownerId: string | null
  actor: string
  /** revocations at TikTok; it states no limit for them */
  perSecond: number
}

const pageSize = 200
const atOnce = 4

/**
 * Ends the accounts on our side: when it returns, no replica hands out a token of theirs. After an interruption, run it again.
 *
 * @returns how many this call ended
 */
export async function disconnectMany(
  {
    db,
    journal,
    log,
    timings,
  }: { db: Db; journal: Pick<Journal, 'write'>; log: Log; timings: Pick<Timings, 'disconnectFenceMs'> },
  { ownerId, actor, perSecond }: Emergency,
  onProgress: (done: number, total: number) => void,
): Promise<number> {
  const total = await countLiveAccounts(db, ownerId)
  await spreadRevocations(db, emergencyReason, perSecond) // those of a run that was interrupted may all be due by now
  const { lastInSeconds } = await pendingRevocations(db, emergencyReason, null)
  let done = 0
  let found = 0
  const disconnect = async (accountId: string) => {
    found++
    const revokeAfterSeconds = lastInSeconds + found / perSecond
    const end = { accountId, reason: emergencyReason, actor, requestId: null, revocationId: newId('rev'), revokeAfterSeconds }
    if (!(await endAccount({ db, journal }, end))) return
    done++
    log.info('account disconnected', { accountId, reason: emergencyReason, actor })
    onProgress(done, Math.max(total, done))
  }
  for (let after = ''; ; ) {
    const ids = await listLiveAccountIds(db, ownerId, after, pageSize)
    await forEachAtMost(atOnce, ids, disconnect)
    const last = ids.at(-1)
    if (last === undefined) break
    after = last
  }
  await sleep(timings.disconnectFenceMs)
  if (done > 0) await noteDisconnects(db, actor, ownerId === null ? 'all' : ownerInAuditLog(ownerId), `${done} accounts`)
  return done
}

/**
 * Tells TikTok, together with all running replicas, until nothing of this emergency is left. While the circuit breaker is open it
 * waits.
 */
export async function revokeMany(
  { db, revocations, stopping }: { db: Db; revocations: Pick<Revocations, 'attemptDue'>; stopping: AbortSignal },
  { ownerId, perSecond }: Pick<Emergency, 'ownerId' | 'perSecond'>,
  onProgress: (done: number, total: number, note?: string) => void,
): Promise<void> {
  let total = 0
  while (!stopping.aborted) {
    const startedAt = performance.now()
    const { count } = await pendingRevocations(db, emergencyReason, ownerId)
    total = Math.max(total, count)
    const { openForSeconds, reason } = await readBreaker(db)
    const note = openForSeconds > 0 ? `TikTok is left alone for ${Math.ceil(openForSeconds)} s: ${reason}` : ''
    onProgress(total - count, total, note)
    if (count === 0) return
    if (openForSeconds === 0) await revocations.attemptDue(perSecond)
    await sleep(Math.max(0, 1000 - (performance.now() - startedAt)))
  }
}
