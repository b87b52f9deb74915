// What releases before the journal left: one sealed file for each answer that the database did not have. They are read until they are gone.
import { readdir, readFile, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { Vault } from '../vault/vault.ts'
import { isMissing, nullIfMissing } from './disk.ts'
import type { Pending } from './pending.ts'
import type { StoredEntry } from './sealing.ts'

const SpillFile = z.object({ id: z.string(), kind: z.enum(['refresh', 'exchange']), subject: z.string(), body: z.unknown() })
const fileName = /^((?:refresh|exchange)-[A-Za-z0-9_-]+)\.spill$/

/** Entries of such files have the directory for their journal; they count nothing. */
export async function readSpillFiles(dir: string, vault: Vault): Promise<Pending> {
  const found: Pending = { entries: [], unreadable: [] }
  const names = await readdir(dir).catch((error) => {
    if (isMissing(error)) return []
    throw error
  })
  for (const name of names.sort()) {
    const stem = fileName.exec(name)?.[1]
    const text = stem === undefined ? null : await readFile(join(dir, name), 'utf8').catch(nullIfMissing)
    if (stem === undefined || text === null) continue
    try {
      const place = { purpose: 'spill', subject: stem, generation: 0 } as const
      const { kind, subject, body } = SpillFile.parse(JSON.parse(vault.open(place, text.trimEnd())))
      found.entries.push({ kind, subject, generation: 0, body, journalId: join(dir, name), sequence: 0, atMs: 0 })
    } catch {
      found.unreadable.push({ journalId: name, segment: 0, reason: 'does not open', entries: 1 })
    }
  }
  return found
}

/** @returns false for an entry that stands in a segment */
export async function forgetSpillFile(entry: Pick<StoredEntry, 'journalId' | 'sequence'>): Promise<boolean> {
  if (entry.sequence !== 0 || !entry.journalId.endsWith('.spill')) return false
  await unlink(entry.journalId).catch(nullIfMissing)
  return true
}
