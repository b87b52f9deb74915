// The journal: TikTok's token answers on disk until PostgreSQL has them, so that they outlive this process. One sealed file each.
import { z } from 'zod'
import { within } from '../waiting.ts'
import { openDurableDirectory } from './durable.ts'
import type { SealPlace, Vault } from './vault.ts'

const JournalEntry = z.object({
  /** The attempt it answers; a second replay recognises the first by it. */
  id: z.string().regex(/^[A-Za-z0-9_-]+$/),
  kind: z.enum(['refresh', 'exchange']),
  /** The account (refresh) or the connect session (exchange). */
  subject: z.string(),
  /** TikTok's answer and whatever recording it needs: JSON that only its writer understands. */
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
   * Resolves when the answer is on disk. Never rejects: a full or hanging disk must not stop a refresh whose token is already spent.
   *
   * @returns false when the disk refuses or takes too long; `onTrouble` is told. Call `remove` in either case, because a late
   *   write may still land.
   */
  write(entry: JournalEntry): Promise<boolean>
  /** Deletes an answer that is recorded. Never rejects; the file may be missing, because another process replayed it. */
  remove(id: string): Promise<void>
  /**
   * Everything that waits, from all processes that share the directory, including what they are recording right now.
   *
   * @returns `unreadable`: names of files that do not open (a key removed too early, a bad disk). They are left alone.
   * @throws the file system's error when the directory cannot be read, which is not the same as an empty list
   */
  list(): Promise<{ entries: JournalEntry[]; unreadable: string[] }>
  /** Answers that this process has written or listed and not yet removed. */
  count(): number
  /** The vault keys that the oldest two hundred files are sealed with, even unreadable ones; empty while the disk is away. */
  keyIds(): Promise<string[]>
}

const fileName = /^((?:refresh|exchange)-[A-Za-z0-9_-]+)\.spill$/

/**
 * @param onTrouble is told of everything that should be logged and counted
 * @param timeoutMs how long a refresh waits for the disk
 * @throws the file system's error when the directory can be neither created nor read: a setting to correct at start
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
  /** Late work still finishes. While any is late, nobody waits for the disk again: one slow refresh is enough. */
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
    throw new Error('The disk did not answer in time')
  }

  const sweep = () => directory.sweep((about, error) => onTrouble({ doing: 'sweep', about, error }))
  await sweep()

  return {
    async write(entry) {
      try {
        const { id, kind } = JournalEntry.parse(entry)
        known.set(id, { kind, isStored: false })
        const stored = store(entry)
        stored.catch(() => known.delete(id)) // however late: what was never stored is not waiting
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
      for (const id of notFound) known.delete(id) // another replica has replayed and removed it
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
        // Writers report a bad disk; a file that is not sealed text needs no key.
      }
      return [...keyIds]
    },
  }
}

/** @throws ZodError for a malformed id, because it becomes part of a path */
function stemOf({ kind, id }: Pick<JournalEntry, 'kind' | 'id'>): string {
  return `${kind}-${JournalEntry.shape.id.parse(id)}`
}

/** Bound to the file's name, so a file renamed to another attempt does not open. */
function placeOf(stem: string): SealPlace {
  return { purpose: 'spill', subject: stem, generation: 0 }
}
