// What the journals of a directory noted last: how far their database was, and which tokens it had recorded by then.
import type { Vault } from '../vault/vault.ts'
import { foreignness, type JournalOnDisk, readSegment } from './disk.ts'
import { Sighting } from './entries.ts'
import { decodeSequences } from './frames.ts'
import type { Journal } from './journal.ts'
import { openFrame } from './sealing.ts'

export interface LastNote {
  mark: number
  systemIdentifier: string | null
  timeline: string | null
  atMs: number
}

export interface LastNotes {
  /** by journal; one without a note is not among them */
  notes: Map<string, LastNote>
  /** the newest recorded token sets, few of each journal; of a disconnected account the generation is null */
  recorded: { accountId: string; generation: number | null }[]
}

/** A restore takes what was recorded last before anything else: a few of the last are enough to notice it. */
const recordedAtMost = 100

/** How far a server's clock may be ahead of ours before an entry counts as from the future. */
const clockMarginMs = 15 * 60_000

/**
 * @param since the end of the last recovery. What was noted before it says no more than how far the journal had counted: the database was
 *   brought up to date since, or what it lacks was given up. An entry from the future was there as well, or it would begin a recovery at
 *   every start.
 */
export async function lastNotes(journal: Journal, vault: Vault, since: Date | null): Promise<LastNotes> {
  const found: LastNotes = { notes: new Map(), recorded: [] }
  const futureMs = Date.now() + clockMarginMs
  const stillTells = (atMs: number) => since === null || (atMs > since.getTime() && atMs < futureMs)
  for (const each of await journal.journals())
    if (each.id !== journal.id) await readLast(each, vault, { databaseId: journal.databaseId, stillTells }, found)
  return found
}

/** From the last segment back to the one that holds a note. */
async function readLast(
  journal: JournalOnDisk,
  vault: Vault,
  { databaseId, stillTells }: { databaseId: string; stillTells: (atMs: number) => boolean },
  found: LastNotes,
): Promise<void> {
  const recorded = new Map<string, number | null>()
  const settled = new Set<number>()
  for (const file of journal.segments.toReversed()) {
    const segment = await readSegment(file)
    if (!segment || foreignness(segment, databaseId) !== undefined) continue
    for (const frame of segment.frames.toReversed()) {
      if (frame.kind === 'recorded') for (const sequence of decodeSequences(frame.payload)) settled.add(sequence)
      if (stillTells(frame.atMs) && recorded.size < recordedAtMost && !recorded.has(frame.subject)) {
        if (frame.kind === 'disconnected') recorded.set(frame.subject, null)
        if (frame.kind === 'refresh' && settled.has(frame.sequence)) recorded.set(frame.subject, frame.generation)
      }
      if (frame.kind !== 'sighting' || found.notes.has(journal.id) || !vault.keyIds.includes(frame.keyId)) continue
      const { mark, systemIdentifier, timeline } = Sighting.parse(openFrame(vault, journal.id, frame).body)
      const server = stillTells(frame.atMs) ? { systemIdentifier, timeline } : { systemIdentifier: null, timeline: null }
      found.notes.set(journal.id, { mark, ...server, atMs: frame.atMs })
    }
    if (found.notes.has(journal.id)) break
  }
  for (const [accountId, generation] of recorded) found.recorded.push({ accountId, generation })
}
