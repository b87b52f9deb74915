// Erases an owner: disconnect every account, tell TikTok, forget the person. Every step is idempotent, so a call that breaks off
// is finished by repeating it.
import { setTimeout as sleep } from 'node:timers/promises'
import { endAccount } from '../account/end.ts'
import { forEachAtMost } from '../concurrency/in-flight.ts'
import { within } from '../concurrency/waiting.ts'
import type { Db } from '../db/client.ts'
import type { RevocationState } from '../db/codes.ts'
import { eraseOwner as forgetOwner, liveAccountsOf } from '../db/owners.ts'
import { pendingRevocationsOf } from '../db/revocations.ts'
import { newId } from '../ids.ts'
import { hashOwner } from '../journal/entries.ts'
import type { Journal } from '../journal/journal.ts'
import type { Log } from '../telemetry.ts'
import type { Revocations } from '../token/revoke.ts'
import type { Timings } from '../token/timings.ts'

export interface Erasure {
  /** false: accounts were connected faster than they could be disconnected; repeat */
  erased: boolean
  accountsDisconnected: number
  /** `pending` counts what earlier calls left, too */
  revocations: Record<RevocationState, number>
}

/** TikTok is told for so long; the background tells it the rest. */
const revocationPatienceMs = 8000
/** At TikTok at once: an owner with hundreds of accounts must not look like an attack. */
const revocationsAtOnce = 4
/** After this no further batch is begun: the caller's request has an end. */
const erasurePatienceMs = 12_000
const batch = 100

export interface EraseDeps {
  db: Db
  journal: Pick<Journal, 'write' | 'now'>
  log: Log
  revocations: Pick<Revocations, 'attempt'>
  timings: Pick<Timings, 'disconnectFenceMs'>
}

/** Disconnects and erases everything of an owner. Repeating it is harmless, and for an owner nobody knows it is done already. */
export async function eraseOwner(
  { db, journal, log, revocations, timings }: EraseDeps,
  ownerId: string,
  by: { actor: string; requestId: string },
): Promise<Erasure> {
  const deadline = performance.now() + erasurePatienceMs
  const disconnected: string[] = []
  let erased = false
  while (!erased && performance.now() < deadline) {
    const accountIds = await liveAccountsOf(db, ownerId, batch)
    for (const accountId of accountIds) {
      const revocationId = newId('rev')
      if (await endAccount({ db, journal }, { accountId, reason: 'disconnected_by_owner', ...by, revocationId }))
        disconnected.push(revocationId)
    }
    // False when a connect that was in flight has just been recorded: once more.
    erased = accountIds.length < batch && (await forgetOwner(db, ownerId))
  }
  if (erased) await journal.write({ kind: 'erased', subject: '', generation: 0, body: hashOwner(ownerId, journal.now()) })
  const [told] = await Promise.all([revokeAll(revocations, disconnected), sleep(timings.disconnectFenceMs)])
  told.pending = await pendingRevocationsOf(db, ownerId)
  log.info('owner was erased', {
    ownerId,
    actor: by.actor,
    count: disconnected.length,
    outcome: erased ? 'erased' : 'unfinished',
  })
  return { erased, accountsDisconnected: disconnected.length, revocations: told }
}

/** A few at a time; whoever is late is pending, and its own try goes on. */
async function revokeAll(revocations: EraseDeps['revocations'], ids: string[]): Promise<Record<RevocationState, number>> {
  const told = { confirmed: 0, already_gone: 0, pending: 0 }
  const deadline = performance.now() + revocationPatienceMs
  await forEachAtMost(revocationsAtOnce, ids, async (id) => {
    const leftMs = deadline - performance.now()
    if (leftMs > 0) told[(await within(revocations.attempt(id), leftMs)) ?? 'pending']++
  })
  return told
}
