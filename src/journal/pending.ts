// Finds the answers in a journal that may not be in the database, and says what in it cannot be used.
import type { Vault } from '../vault/vault.ts'
import { foreignness, type JournalOnDisk, readSegment } from './disk.ts'
import { decodeSequences, type Frame, type Kind } from './frames.ts'
import { openFrame, type StoredEntry } from './sealing.ts'

/** What cannot be used, and why; it stays where it is. */
export interface Unreadable {
  journalId: string
  segment: number
  /** the end of a sentence that begins with the segment */
  reason: string
  entries: number
}

export interface Pending {
  entries: StoredEntry[]
  unreadable: Unreadable[]
}

/** Kinds whose entries are written before the database is asked. */
export const awaited: ReadonlySet<Kind> = new Set<Kind>(['refresh', 'exchange'])

/** @param isSettled whether the reader knows that an entry is recorded, beside what the journal itself says */
export async function pendingOf(
  journal: JournalOnDisk,
  { vault, databaseId, isSettled }: { vault: Vault; databaseId: string; isSettled: (sequence: number) => boolean },
): Promise<Pending> {
  const found: Pending = { entries: [], unreadable: [] }
  const recorded = new Set<number>()
  const waiting: { frame: Frame; segment: number }[] = []
  for (const file of journal.segments.filter(({ open }) => open)) {
    const segment = await readSegment(file)
    if (!segment) continue
    const about = { journalId: journal.id, segment: file.number }
    const foreign = foreignness(segment, databaseId)
    if (foreign !== undefined) {
      found.unreadable.push({ ...about, reason: foreign, entries: segment.frames.length })
      continue
    }
    const damaged = segment.damage.filter(({ torn }) => !torn).length
    if (damaged > 0) found.unreadable.push({ ...about, reason: 'has damaged bytes', entries: damaged })
    for (const frame of segment.frames) {
      if (frame.kind === 'recorded') for (const sequence of decodeSequences(frame.payload)) recorded.add(sequence)
      else if (awaited.has(frame.kind)) waiting.push({ frame, segment: file.number })
    }
  }
  for (const { frame, segment } of waiting) {
    if (recorded.has(frame.sequence) || isSettled(frame.sequence)) continue
    try {
      found.entries.push(openFrame(vault, journal.id, frame))
    } catch (error) {
      const reason = error instanceof Error ? error.message : 'does not open'
      found.unreadable.push({ journalId: journal.id, segment, reason, entries: 1 })
    }
  }
  return found
}
