// Keeps the journals of a directory in order: what dead processes left is settled or waits, old keys go out of use, old segments go.
import { rm, rmdir } from 'node:fs/promises'
import type { Vault } from '../vault/vault.ts'
import {
  endBeat,
  type JournalOnDisk,
  journalDir,
  keepSegment,
  listJournals,
  readHeader,
  readSegment,
  replaceSegment,
  type SegmentFile,
} from './disk.ts'
import { encodeHeader } from './frames.ts'
import type { Pending } from './pending.ts'
import { resealFrame } from './sealing.ts'

export interface Upkeep {
  /** What a dead process left open and nothing in it waits any more: it is kept, and the next start does not read it. */
  adopt(): Promise<void>
  /** Seals segments that are under another key with the primary one. Those that live processes write to are theirs. */
  reseal(): Promise<void>
  /** Drops segments whose last entry is older than so long. */
  prune(keptHours: number): Promise<void>
  /** The vault keys that segments of this database are sealed with. */
  keyIds(): Promise<string[]>
}

/** A header changes only when its segment is sealed anew, by us or by a neighbour. */
const headerBelievedMs = 60_000

/** @param own the journal that this process writes to */
export function createUpkeep(options: {
  dir: string
  own: string
  vault: Vault
  databaseId: string
  pendingOf: (journal: JournalOnDisk) => Promise<Pending>
}): Upkeep {
  const { dir, own, vault, databaseId, pendingOf } = options
  const [primary = ''] = vault.keyIds
  const headers = new Map<string, { keyId: string | undefined; readAtMs: number }>()

  async function keyIdOf(segment: SegmentFile): Promise<string | undefined> {
    const seen = headers.get(segment.path)
    if (seen && performance.now() - seen.readAtMs < headerBelievedMs) return seen.keyId
    const header = await readHeader(segment)
    const keyId = header?.databaseId === databaseId ? header.keyId : undefined
    headers.set(segment.path, { keyId, readAtMs: performance.now() })
    return keyId
  }

  async function resealSegment(file: SegmentFile): Promise<void> {
    const segment = await readSegment(file)
    // A damaged one stays as it is: what cannot be read today, somebody may know how to read tomorrow.
    if (!segment?.header || segment.damage.some(({ torn }) => !torn)) return
    const { format: _, ...header } = segment.header
    const frames = segment.frames.map((frame) => resealFrame(vault, file.journalId, frame))
    await replaceSegment(file.path, Buffer.concat([encodeHeader({ ...header, keyId: primary }, Date.now()), ...frames]))
    headers.delete(file.path)
  }

  return {
    async adopt() {
      for (const journal of await listJournals(dir)) {
        if (journal.id === own || journal.beats || !journal.segments.some((segment) => segment.open)) continue
        const { entries, unreadable } = await pendingOf(journal)
        if (entries.length > 0 || unreadable.length > 0) continue
        for (const segment of journal.segments.filter(({ open }) => open)) await keepSegment(segment)
      }
    },

    async reseal() {
      for (const journal of await listJournals(dir)) {
        for (const segment of journal.segments) {
          if (segment.open && (journal.id === own || journal.beats)) continue
          const keyId = await keyIdOf(segment)
          if (keyId === undefined || keyId === primary || !vault.keyIds.includes(keyId)) continue
          await resealSegment(segment)
        }
      }
    },

    async prune(keptHours) {
      const before = Date.now() - keptHours * 3_600_000
      for (const journal of await listJournals(dir)) {
        const old = journal.segments.filter((segment) => !segment.open && segment.changedAtMs < before)
        for (const { path } of old) {
          await rm(path, { force: true })
          headers.delete(path)
        }
        const isEmpty = old.length === journal.segments.length && journal.changedAtMs < before
        if (journal.id === own || journal.beats || !isEmpty) continue
        await endBeat(dir, journal.id)
        await rmdir(journalDir(dir, journal.id)).catch(() => {})
      }
    },

    async keyIds() {
      const found = new Set<string>()
      for (const { segments } of await listJournals(dir)) {
        for (const segment of segments) {
          const keyId = await keyIdOf(segment)
          if (keyId !== undefined) found.add(keyId)
        }
      }
      return [...found]
    },
  }
}
