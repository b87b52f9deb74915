// Takes part in a recovery: says which journals it needs, replays those of this process's directories, and waits for the others. It ends by
// itself when every journal was replayed; what nobody has is named, and an operator decides.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Db } from '../db/client.ts'
import { sightEpoch } from '../db/epoch.ts'
import { finishRecovery, joinRecovery, type Recovery, readRecovery, reportJournals, restoreMarks } from '../db/recoveries.ts'
import type { Log } from '../telemetry.ts'
import type { Vault } from '../vault/vault.ts'
import { type JournalOnDisk, listJournals } from './disk.ts'
import type { Journal } from './journal.ts'
import { emptyTally, type Learnt, type OnProgress, restoreProtections, restoreTokens, type Tally } from './replay.ts'

export interface RecoveryReport {
  recovery: Recovery | undefined
  tally: Tally
  seconds: number
}

export interface Recoverer {
  /** What must not be undone is done again, from every journal: tokens that live may be handed out. */
  readonly isProtected: boolean
  /** Every journal that anybody knows of was replayed: the database is as it was, and only what may be spent waits for latecomers. */
  readonly isReplayed: boolean
  /** Resolves when everything is protected, or that takes long: a start does not wait for ever for a neighbour. */
  protectedOrSlow(): Promise<void>
  /**
   * Replays this process's journals and waits for those of the others.
   *
   * @param own.mark of this process's journal, to be there again afterwards
   * @throws ServiceError storage_unavailable for longer than a while; Error when the process is asked to end first
   */
  take(recoveryId: string, options: TakeOptions): Promise<RecoveryReport>
}

export interface TakeOptions {
  mark: number
  /** who it is done by, for timelines and the audit log */
  actor?: string
  /** how long the others are waited for; for ever without it */
  patienceMs?: number
  /** since the recovery began, before it may end; an operator who replays by hand knows who is missing */
  gatheringSeconds?: number
  onProgress?: (doing: string, done: number, total: number) => void
}

export interface RecovererDeps {
  db: Db
  vault: Vault
  journal: Journal
  log: Log
  requiredScopes: readonly string[]
  /** a second place where journals of lost machines may lie */
  copyDir: string | undefined
  stopping: AbortSignal
}

const pollMs = 500
/**
 * A process that was killed together with the database may be unknown to everybody: the database forgot it, and its neighbours had not seen
 * it yet. It is started again within this, and its leases, which were forgotten too, have run out.
 */
const usualGatheringSeconds = 30
const slowStartMs = 30_000
/** Neighbours are noted every half minute, and a process says that it lives every few seconds. */
const lastSeenMarginMs = 90_000
/** A journal that is only in the second place may lack its last second: whoever has the original comes first. */
const copyPatienceMs = 60_000
const complainEveryMs = 30_000
/** A neighbour's disconnects are waited for so long before tokens that a journal of ours vouches for are handed out. */
const protectionPatienceMs = 5_000

export function createRecoverer(deps: RecovererDeps): Recoverer {
  const { db, journal, log, copyDir, stopping } = deps
  let isProtected = false
  let isReplayed = false
  let tellProtected: (() => void)[] = []

  function protect(): void {
    isProtected = true
    for (const tell of tellProtected.splice(0)) tell()
  }

  /** Journals that this process answers for: its own, and of processes that are gone. */
  async function held(begunAtMs: number): Promise<JournalOnDisk[]> {
    const all = await listJournals(journal.dir)
    const here = all.filter(({ id, alive }) => id === journal.id || !alive)
    if (copyDir === undefined) return here
    const ids = new Set(all.map(({ id }) => id))
    const isDue = (copy: JournalOnDisk) => copy.ended || performance.now() - begunAtMs > copyPatienceMs
    const copies = await listJournals(copyDir).catch((error) => {
      log.warn('second place of the journal could not be read', { error })
      return []
    })
    return [...here, ...copies.filter((copy) => !ids.has(copy.id) && !copy.alive && isDue(copy))]
  }

  /** Neighbours whose last sign of life the database has forgotten, or who may have written after the moment it went back to. */
  async function neededOf(siblings: Learnt['siblings'], rewoundTo: Date | null): Promise<[string, Date][]> {
    const { known } = await sightEpoch(db, [...siblings.keys()], [])
    const remembered = new Map(known.map(({ id, seenAt }) => [id, seenAt.getTime()]))
    const from = rewoundTo === null ? Number.POSITIVE_INFINITY : rewoundTo.getTime() - lastSeenMarginMs
    return [...siblings].filter(([id, at]) => (remembered.get(id) ?? 0) < at.getTime() || at.getTime() >= from)
  }

  return {
    get isProtected() {
      return isProtected
    },
    get isReplayed() {
      return isReplayed
    },
    async protectedOrSlow() {
      if (isProtected) return
      await Promise.race([
        new Promise<void>((resolve) => tellProtected.push(resolve)),
        sleep(slowStartMs, undefined, { ref: false, signal: stopping }).catch(() => undefined),
      ])
    },

    async take(recoveryId, options) {
      const { mark, actor = 'service', patienceMs = Number.POSITIVE_INFINITY, gatheringSeconds = usualGatheringSeconds } = options
      const { onProgress = () => {} } = options
      const begunAtMs = performance.now()
      const tally = emptyTally()
      const parts = { ...deps, databaseId: journal.databaseId, known: journal.known, actor }
      const marks = new Map([[journal.id, mark]])
      const protectedIds = new Set<string>()
      const replayedIds = new Set<string>()
      let complainedAtMs = begunAtMs
      isProtected = false
      isReplayed = false
      tellProtected = []
      const progress =
        (doing: string): OnProgress =>
        (done, total) =>
          onProgress(doing, done, total)

      for (;;) {
        stopping.throwIfAborted()
        const recovery = await present(recoveryId)
        if (recovery.endedAt) return report(recovery)
        const here = await held(begunAtMs)

        const toProtect = here.filter(({ id }) => !protectedIds.has(id))
        if (toProtect.length > 0) {
          await joinRecovery(
            db,
            recoveryId,
            idsOf(toProtect).map((journalId) => ({ journalId, lastSeenAt: null })),
          )
          const learnt = await restoreProtections(parts, toProtect, recovery.rewoundTo, tally, progress('protecting'))
          for (const [id, noted] of learnt.marks) marks.set(id, Math.max(noted, marks.get(id) ?? 0))
          const needed = await neededOf(learnt.siblings, recovery.rewoundTo)
          await joinRecovery(
            db,
            recoveryId,
            needed.map(([journalId, lastSeenAt]) => ({ journalId, lastSeenAt })),
          )
          // Tokens too, as far as their accounts are here: those that live may be handed out while others are waited for.
          await restoreTokens(parts, toProtect, recovery.rewoundTo, tally, progress('replaying'))
          await reportJournals(db, recoveryId, idsOf(toProtect), 'protected')
          for (const id of idsOf(toProtect)) protectedIds.add(id)
          continue
        }

        const awaited = recovery.journals.filter(({ state }) => state === 'awaited')
        if (awaited.length === 0 || performance.now() - begunAtMs > protectionPatienceMs) protect()
        if (awaited.length === 0) {
          const toReplay = here.filter(({ id }) => !replayedIds.has(id))
          if (toReplay.length > 0) {
            // Once more if others were waited for: accounts that they made, or ended, are there now.
            const others = recovery.journals.some(({ journalId }) => !protectedIds.has(journalId))
            if (others) await restoreTokens(parts, toReplay, recovery.rewoundTo, tally, progress('replaying'))
            const markOf = (journalId: string) => ({ journalId, mark: marks.get(journalId) ?? 0 })
            await restoreMarks(
              db,
              idsOf(toReplay)
                .map(markOf)
                .filter((each) => each.mark > 0),
            )
            await reportJournals(db, recoveryId, idsOf(toReplay), 'replayed', countsOf(tally))
            for (const id of idsOf(toReplay)) replayedIds.add(id)
          }
          isReplayed = (await present(recoveryId)).journals.every(({ state }) => state === 'replayed' || state === 'accepted')
          if (await finishRecovery(db, recoveryId, journal.id, gatheringSeconds)) return report(await present(recoveryId))
        }
        if (performance.now() - begunAtMs > patienceMs) return report(await present(recoveryId))
        if (awaited.length > 0 && performance.now() - complainedAtMs > complainEveryMs) {
          complainedAtMs = performance.now()
          for (const { journalId, lastSeenAt } of awaited)
            log.warn('journal is awaited: start its replica, or see `cli journal status`', {
              name: journalId,
              ...(lastSeenAt ? { reason: `last seen ${lastSeenAt.toISOString()}` } : {}),
            })
        }
        await sleep(pollMs, undefined, { signal: stopping })
      }

      async function present(id: string): Promise<Recovery> {
        const recovery = await readRecovery(db, id)
        if (!recovery) throw new Error('A recovery is never deleted')
        return recovery
      }

      function report(recovery: Recovery): RecoveryReport {
        const { unreadable, withoutGrant, ...counts } = tally
        for (const { journalId, segment, reason, entries } of unreadable)
          log.error('journal segment was unreadable', { name: `${journalId}/${segment}`, reason, count: entries })
        for (const accountId of withoutGrant.slice(0, 20)) log.error('account is known by its token only', { accountId })
        log.info('journals were replayed', { count: counts.tokensRestored + counts.accountsRestored, name: recovery.id })
        return { recovery, tally, seconds: (performance.now() - begunAtMs) / 1000 }
      }
    },
  }
}

const idsOf = (journals: readonly JournalOnDisk[]) => journals.map(({ id }) => id)

export function countsOf({ unreadable, withoutGrant, ...counts }: Tally): Record<string, number> {
  const lost = unreadable.reduce((sum, { entries }) => sum + entries, 0)
  return { ...counts, accountsWithoutGrant: withoutGrant.length, entriesUnreadable: lost }
}
