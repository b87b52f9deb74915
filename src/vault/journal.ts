// Where a token answer outlives us until PostgreSQL has it: one sealed file per answer, gone as soon as it is recorded.
import { z } from 'zod'
import { within } from '../waiting.ts'
import { openDurableDirectory } from './durable.ts'
import type { SealPlace, Vault } from './vault.ts'

const JournalEntry = z.object({
  /** The attempt it answers; by this, whoever replays it twice recognises the first time. */
  id: z.string().regex(/^[A-Za-z0-9_-]+$/),
  kind: z.enum(['refresh', 'exchange']),
  /** The account (refresh) or the connect session (exchange). */
  subject: z.string(),
  /** TikTok's answer and what else recording it needs: JSON, known only to whoever wrote it. */
  body: z.unknown(),
})
export type JournalEntry = z.infer<typeof JournalEntry>

export interface JournalTrouble {
  readonly doing: 'write' | 'remove' | 'sweep'
  /** The entry's id, or the name of the file that could not be swept. */
  readonly about: string
  readonly error: unknown
}

export interface Journal {
  /**
   * Resolves when the answer is on disk. Never rejects: a full or hanging disk must not stop a refresh whose token is spent.
   *
   * @returns false when the disk refuses or takes too long, which `onTrouble` hears. Call `remove` in either case: a late
   *   write may still land.
   */
  write(entry: JournalEntry): Promise<boolean>
  /** Forgets an answer that is recorded. Never rejects; a missing file is fine: another process may have replayed it. */
  remove(id: string): Promise<void>
  /**
   * Everything that waits, of all processes that share the directory, what they are about to record included.
   *
   * @returns `unreadable`: names of files that do not open (a key taken away too early, a bad disk). They stay where they are.
   * @throws the file system's error when the directory cannot be read: that is not an empty list
   */
  list(): Promise<{ entries: JournalEntry[]; unreadable: string[] }>
  /** Answers that this process has written or listed, and not removed. */
  count(): number
  /** The vault keys that the oldest two hundred files are sealed with, those included that do not open; none while the disk is away. */
  keyIds(): Promise<string[]>
}

const fileName = /^((?:refresh|exchange)-[A-Za-z0-9_-]+)\.spill$/

/**
 * @param onTrouble to be logged and counted
 * @param timeoutMs how long a refresh waits for the disk
 * @throws the file system's error when the directory can be neither made nor read: a setting to correct, at start
 */
export async function openJournal(options: {
  dir: string
  vault: Vault
  onTrouble: (trouble: JournalTrouble) => void
  timeoutMs?: number
}): Promise<Journal> {
  const { dir, vault, onTrouble, timeoutMs = 2_000 } = options
  const directory = await openDurableDirectory(dir)
  const known = new Map<string, { kind: JournalEntry['kind']; isStored: boolean }>()

  async function store(entry: JournalEntry): Promise<void> {
    const stem = stemOf(entry)
    await directory.write(`${stem}.spill`, vault.seal(placeOf(stem), JSON.stringify(entry)), () => known.has(entry.id))
    const noted = known.get(entry.id)
    if (noted) noted.isStored = true
    else await directory.remove(`${stem}.spill`) // recorded and removed while it was being written
  }

  async function read(name: string, stem: string): Promise<JournalEntry | 'gone' | 'unreadable'> {
    try {
      const sealed = await directory.read(name)
      return sealed === null ? 'gone' : JournalEntry.parse(JSON.parse(vault.open(placeOf(stem), sealed)))
    } catch {
      return 'unreadable'
    }
  }

  let overdue = 0
  /** Work goes on when its time is over. While any is overdue nobody waits for the disk again: one slow refresh is enough. */
  async function inTime(work: Promise<unknown>): Promise<void> {
    const patienceMs = overdue > 0 ? 0 : timeoutMs
    const isLate = await within(
      work.then(() => false),
      patienceMs,
      () => true,
    )
    if (!isLate) return
    if (patienceMs > 0) {
      overdue += 1
      const settle = () => {
        overdue -= 1
      }
      work.then(settle, settle)
    }
    throw new Error('The disk does not answer in time')
  }

  const sweep = () => directory.sweep((about, error) => onTrouble({ doing: 'sweep', about, error }))
  await sweep()

  return {
    async write(entry) {
      try {
        const { id, kind } = JournalEntry.parse(entry)
        known.set(id, { kind, isStored: false })
        const stored = store(entry)
        stored.catch(() => known.delete(id)) // however late: what never landed does not wait
        await inTime(stored)
        return true
      } catch (error) {
        onTrouble({ doing: 'write', about: entry.id, error })
        return false
      }
    },

    async remove(id) {
      try {
        const kinds = JournalEntry.shape.kind.options.filter((kind) => kind === (known.get(id)?.kind ?? kind))
        known.delete(id)
        await inTime(Promise.all(kinds.map((kind) => directory.remove(`${stemOf({ kind, id })}.spill`))))
      } catch (error) {
        onTrouble({ doing: 'remove', about: id, error })
      }
    },

    async list() {
      await sweep()
      const entries: JournalEntry[] = []
      const unreadable: string[] = []
      const notFound = new Set([...known].filter(([, { isStored }]) => isStored).map(([id]) => id))
      for (const name of (await directory.names()).sort()) {
        const stem = fileName.exec(name)?.[1]
        if (!stem) continue
        const entry = await read(name, stem)
        if (entry === 'unreadable') unreadable.push(name)
        if (typeof entry === 'string') continue
        entries.push(entry)
        notFound.delete(entry.id)
        known.set(entry.id, { kind: entry.kind, isStored: true })
      }
      for (const id of notFound) known.delete(id) // a neighbour has replayed and removed it
      return { entries, unreadable }
    },

    count: () => known.size,

    async keyIds() {
      const keyIds = new Set<string>()
      try {
        const names = (await directory.names()).filter((name) => fileName.test(name)).sort()
        for (const name of names.slice(0, 200)) {
          const sealed = await directory.read(name)
          if (sealed !== null) keyIds.add(vault.keyIdOf(sealed))
        }
      } catch {
        // A bad disk is heard of by those who write to it; a file that is no sealed text waits for nobody's key.
      }
      return [...keyIds]
    },
  }
}

/** @throws ZodError for an id that is not one: it becomes part of a path */
function stemOf({ kind, id }: Pick<JournalEntry, 'kind' | 'id'>): string {
  return `${kind}-${JournalEntry.shape.id.parse(id)}`
}

/** Bound to the file's name: one renamed to another attempt does not open. */
function placeOf(stem: string): SealPlace {
  return { purpose: 'spill', subject: stem, generation: 0 }
}
