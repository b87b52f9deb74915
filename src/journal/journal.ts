// The rotation journal: what TikTok answered and what must not be undone, sealed and on disk before or beside the database, and kept long
// enough to bring a restored database up to date. Written to by this process, read from all that share the directory.
import { readdir } from 'node:fs/promises'
import { within } from '../concurrency/waiting.ts'
import type { Vault } from '../vault/vault.ts'
import { startCopy } from './copy.ts'
import { beat, endBeat, type JournalOnDisk, listJournals, makeJournalDir } from './disk.ts'
import { encodeFrame, encodeHeader, encodeSequences } from './frames.ts'
import { KnownGenerations } from './known.ts'
import { awaited, type Pending, pendingOf } from './pending.ts'
import { type Entry, type StoredEntry, sealEntry } from './sealing.ts'
import { forgetSpillFile, readSpillFiles } from './spill-files.ts'
import { createUpkeep } from './upkeep.ts'
import { openWriter } from './writer.ts'

export interface Written {
  sequence: number
  /** false: the disk refused or took too long, which `onTrouble` heard; a late write may still land */
  durable: boolean
}

export interface RecordedToken {
  accountId: string
  generation: number
}

export interface JournalTrouble {
  readonly doing: 'write' | 'keep' | 'copy'
  readonly about: string
  readonly error: unknown
}

export interface Journal {
  readonly id: string
  readonly dir: string
  readonly databaseId: string
  /** the generations this process has seen recorded */
  readonly known: KnownGenerations
  /** the database's clock, as well as it is known */
  now(): Date
  /** Learns what the database's clock says just now. */
  syncClock(databaseNow: Date): void
  /** Resolves when it is on disk. Never rejects: a full or hanging disk must not stop a refresh whose token is spent. */
  write(entry: Entry): Promise<Written>
  /** For what may be lost with the last second. */
  note(entry: Entry): void
  /**
   * The database has it, or it is nobody's any more. Nobody waits for this: a repeat finds itself recorded.
   *
   * @param what of which account it holds which generation
   */
  recorded(written: Pick<Written, 'sequence'>, what?: RecordedToken): void
  /** The token sets that were recorded last, few; of a disconnected account the generation is null. */
  lately(): { accountId: string; generation: number | null }[]
  /** Those are history: a recovery is over. */
  forgetLately(): void
  /** something was written since that moment of performance.now() */
  wroteSince(markMs: number): boolean
  /** The same for an entry that `pending` has found. */
  settled(entry: StoredEntry): void
  /** Answers that the database does not have yet: of this process, and those found of others. */
  count(): number
  /**
   * Answers, of all processes that share the directory, that may not be in the database; those of live neighbours included.
   *
   * @throws the file system's error when the directory cannot be read: that is not an empty list
   */
  pending(): Promise<Pending>
  /**
   * All that can be read: those of the directory, and of the second place those that nobody writes to.
   *
   * @throws the file system's error
   */
  journals(): Promise<JournalOnDisk[]>
  /** The vault keys that segments are sealed with; none while the disk is away. */
  keyIds(): Promise<string[]>
  /** Keeps what is settled, seals anew what is under an old key, and drops what is older than so long. */
  keepHouse(keptHours: number): Promise<void>
  measure(): Promise<{ bytes: number; segments: number; oldestAtMs: number | null }>
  /** how far the second place is behind; null without one */
  readonly copyLagSeconds: number | null
  close(): Promise<void>
}

export interface JournalOptions {
  dir: string
  id: string
  databaseId: string
  vault: Vault
  /** to be logged and counted */
  onTrouble: (trouble: JournalTrouble) => void
  /** a second place for it */
  copyDir?: string | undefined
  /** bytes have reached the disk */
  onWritten?: () => void
  /** how long a refresh waits for the disk */
  timeoutMs?: number
  /** where a release before this one may have left spill files */
  spillDirs?: readonly string[]
  segmentBytes?: number
  nameBelievedMs?: number
}

const beatMs = 5_000
const latelyAtMost = 50
const copyPatienceMs = 5_000
/** Recorded entries are told of together. A crash before that costs a replay that changes nothing. */
const tellMs = 250
const tellAtMost = 1_000

/** @throws the file system's error when the directory can be neither made nor read: a setting to correct, at start */
export async function openJournal(options: JournalOptions): Promise<Journal> {
  const { dir, id, databaseId, vault, onTrouble, onWritten, timeoutMs = 2_000, spillDirs = [] } = options
  const { copyDir, segmentBytes, nameBelievedMs } = options
  const [keyId = ''] = vault.keyIds
  await makeJournalDir(dir, id)
  await readdir(dir)
  await beat(dir, id)
  const beating = setInterval(() => {
    beat(dir, id).catch((error) => onTrouble({ doing: 'keep', about: id, error }))
  }, beatMs)
  beating.unref()
  let clockOffsetMs = 0
  const now = () => Date.now() + clockOffsetMs

  const copyTrouble = (error: unknown) => onTrouble({ doing: 'copy', about: id, error })
  const copy = copyDir === undefined ? undefined : startCopy({ from: dir, to: copyDir, journalId: id, onTrouble: copyTrouble })
  const writer = openWriter({
    dir,
    journalId: id,
    header: (segment) => encodeHeader({ journalId: id, segment, databaseId, keyId }, now()),
    onTrouble: (error) => onTrouble({ doing: 'keep', about: id, error }),
    onWritten(segment, length) {
      copy?.written(segment, length)
      onWritten?.()
    },
    onKept: (segment) => copy?.kept(segment),
    ...(segmentBytes === undefined ? {} : { segmentBytes }),
    ...(nameBelievedMs === undefined ? {} : { nameBelievedMs }),
  })
  const inTime = patience(timeoutMs)
  const known = new KnownGenerations()
  const lately = new Map<string, number | null>()
  const recordedLately: number[] = []
  /** of other journals, by journal and sequence */
  const settledElsewhere = new Set<string>()
  let foundElsewhere = 0
  let sequences = 0
  let writtenAtMs = Number.NEGATIVE_INFINITY
  const pendingIn = (journal: JournalOnDisk) =>
    pendingOf(journal, {
      vault,
      databaseId,
      isSettled: (sequence) => (journal.id === id ? !writer.has(sequence) : settledElsewhere.has(`${journal.id}:${sequence}`)),
    })
  const upkeepOf = (place: string) => createUpkeep({ dir: place, own: id, vault, databaseId, pendingOf: pendingIn })
  const upkeep = upkeepOf(dir)
  const copyUpkeep = copyDir === undefined ? undefined : upkeepOf(copyDir)

  /** Journals of machines that are lost: nobody has the original, and nobody writes to the copy. */
  async function copiedOnly(originals: readonly JournalOnDisk[]): Promise<JournalOnDisk[]> {
    if (copyDir === undefined) return []
    const copies = await within(listJournals(copyDir), copyPatienceMs).catch(copyTrouble)
    return (copies ?? []).filter((found) => !found.beats && !originals.some((original) => original.id === found.id))
  }

  function recorded({ sequence }: Pick<Written, 'sequence'>, what?: RecordedToken): void {
    if (what) remember(what.accountId, what.generation)
    if (sequence === 0) return // it was never written
    writer.settle(sequence)
    if (recordedLately.push(sequence) >= tellAtMost) tellRecorded()
    else if (recordedLately.length === 1) setTimeout(tellRecorded, tellMs).unref()
  }

  function remember(accountId: string, generation: number | null): void {
    if (generation !== null) known.note(accountId, generation)
    lately.delete(accountId)
    lately.set(accountId, generation)
    const [oldest] = lately.keys()
    if (lately.size > latelyAtMost && oldest !== undefined) lately.delete(oldest)
  }

  function tellRecorded(): void {
    if (recordedLately.length === 0) return
    const payload = encodeSequences(recordedLately.splice(0))
    writer.accompany(encodeFrame({ kind: 'recorded', sequence: 0, atMs: now(), generation: 0, subject: '', keyId: '', payload }))
  }

  let closing: Promise<void> | undefined
  async function shutDown(): Promise<void> {
    clearInterval(beating)
    tellRecorded()
    await inTime(writer.close()).catch((error) => onTrouble({ doing: 'write', about: id, error }))
    await copy?.close()
    await endBeat(dir, id).catch(() => {}) // silence says the same, half a minute later
  }

  return {
    id,
    dir,
    databaseId,
    known,
    now: () => new Date(now()),
    syncClock(databaseNow) {
      clockOffsetMs = databaseNow.getTime() - Date.now()
    },

    async write(entry) {
      let sequence = 0
      try {
        const bytes = sealEntry(vault, id, entry, sequences + 1, now())
        sequence = ++sequences
        writtenAtMs = performance.now()
        if (entry.kind === 'disconnected') remember(entry.subject, null)
        if (entry.kind === 'connected') remember(entry.subject, entry.generation)
        await inTime(writer.append(bytes, { sequence, pending: awaited.has(entry.kind) }))
        return { sequence, durable: true }
      } catch (error) {
        onTrouble({ doing: 'write', about: entry.subject, error })
        return { sequence, durable: false }
      }
    },

    note: (entry) => writer.accompany(sealEntry(vault, id, entry, ++sequences, now())),
    recorded,
    lately: () => Array.from(lately, ([accountId, generation]) => ({ accountId, generation })),
    forgetLately: () => lately.clear(),
    wroteSince: (markMs) => writtenAtMs > markMs,

    settled(entry) {
      foundElsewhere = Math.max(0, foundElsewhere - (entry.journalId === id ? 0 : 1))
      if (entry.journalId === id) return recorded(entry)
      forgetSpillFile(entry).catch((error) => onTrouble({ doing: 'keep', about: entry.journalId, error }))
      settledElsewhere.add(`${entry.journalId}:${entry.sequence}`)
    },

    count: () => writer.pending + foundElsewhere,

    async pending() {
      const all: Pending = { entries: [], unreadable: [] }
      const originals = await listJournals(dir)
      for (const journal of [...originals, ...(await copiedOnly(originals))]) {
        const { entries, unreadable } = await pendingIn(journal)
        all.entries.push(...entries)
        all.unreadable.push(...unreadable)
      }
      for (const spillDir of spillDirs) {
        const { entries, unreadable } = await readSpillFiles(spillDir, vault)
        all.entries.push(...entries)
        all.unreadable.push(...unreadable)
      }
      all.entries.sort((a, b) => a.atMs - b.atMs || a.sequence - b.sequence)
      foundElsewhere = all.entries.filter(({ journalId }) => journalId !== id).length
      return all
    },

    async journals() {
      const originals = await listJournals(dir)
      return [...originals, ...(await copiedOnly(originals))]
    },
    get copyLagSeconds() {
      return copy === undefined ? null : copy.lagSeconds
    },
    keyIds: () => upkeep.keyIds().catch(() => []), // a bad disk is heard of by those who write to it

    async keepHouse(keptHours) {
      try {
        tellRecorded()
        await upkeep.adopt()
        await upkeep.reseal()
        await upkeep.prune(keptHours)
      } catch (error) {
        onTrouble({ doing: 'keep', about: id, error })
      }
      // A second place that hangs must not hold up the first.
      const copied = async () => {
        await copyUpkeep?.adopt()
        await copyUpkeep?.reseal()
        await copyUpkeep?.prune(keptHours)
      }
      await within(copied().catch(copyTrouble), copyPatienceMs)
    },

    async measure() {
      const segments = (await listJournals(dir)).flatMap((journal) => journal.segments)
      const bytes = segments.reduce((sum, segment) => sum + segment.bytes, 0)
      const oldestAtMs = segments.reduce((least, { changedAtMs }) => Math.min(least, changedAtMs), Number.POSITIVE_INFINITY)
      return { bytes, segments: segments.length, oldestAtMs: Number.isFinite(oldestAtMs) ? oldestAtMs : null }
    },

    close() {
      closing ??= shutDown()
      return closing
    },
  }
}

/** Work goes on when its time is over. While any is overdue nobody waits for the disk again: one slow refresh is enough. */
function patience(timeoutMs: number): (work: Promise<unknown>) => Promise<void> {
  let overdue = 0
  return async (work) => {
    const patienceMs = overdue > 0 ? 0 : timeoutMs
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(resolve, patienceMs, 'late')
    })
    const first = await Promise.race([work, late]).finally(() => clearTimeout(timer))
    if (first !== 'late') return
    if (patienceMs > 0) {
      overdue += 1
      const settle = () => {
        overdue -= 1
      }
      work.then(settle, settle)
    }
    throw new Error('The disk does not answer in time')
  }
}
