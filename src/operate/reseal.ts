// Reseals everything to the primary key while the service runs, page by page. A text is replaced only if it still stands, and new
// ones use the primary key already.
import { setTimeout as rest } from 'node:timers/promises'
import type { Db } from '../db/client.ts'
import { liveReplicas, type Replica } from '../db/replicas.ts'
import { countSealedTexts, readSealedRows, replaceSealedRows, type SealedTable, sealedTables } from '../db/sealed-texts.ts'
import { readCanaries, retireCanary, saveCanary } from '../db/vault-keys.ts'
import { ServiceError } from '../errors.ts'
import type { Vault } from '../vault/vault.ts'

export interface ResealOptions {
  actor: string
  /** opens and counts, writes nothing */
  dryRun?: boolean
  /** rows to a statement: small enough that nobody waits for their locks */
  pageSize?: number
  /** how long replicas may take to seal their journals anew */
  journalPatienceMs?: number
  onProgress?: (done: number, total: number) => void
}

export interface ResealReport {
  /** texts that were moved, or would be */
  resealed: number
  /** texts that do not open: they stay as they are, and so does their key */
  unreadable: { table: string; row: string; keyId: string }[]
  /** what is left under each key but the primary */
  left: { keyId: string; count: number }[]
  /** keys that seal nothing any more and can be taken out of VAULT_KEYS */
  retired: string[]
  /** keys without a row that cannot be retired yet: the journal of a replica is sealed with them */
  inJournal: string[]
}

interface ResealDeps {
  db: Db
  vault: Vault
}

/**
 * Reseals until nothing but the unreadable is left under another key. Stop it at any time and run it again: what is done is done.
 *
 * @throws ServiceError keyring_mismatch: the keys here are not the database's, or a live replica still seals with another key
 */
export async function reseal({ db, vault }: ResealDeps, options: ResealOptions): Promise<ResealReport> {
  const { actor, dryRun = false, pageSize = 200, journalPatienceMs = 30_000, onProgress = () => {} } = options
  const [primary = ''] = vault.keyIds
  await refuseUnlessReady({ db, vault }, primary, dryRun)

  const total = foreignTo(primary, await countSealedTexts(db)).reduce((sum, { count }) => sum + count, 0)
  let resealed = 0
  let unreadable: ResealReport['unreadable'] = []
  let left: ResealReport['left'] = []
  // A second walk finds what was changed under the first; a replica that was paused for long can make a third necessary.
  for (let moved = 1; moved > 0; ) {
    moved = 0
    unreadable = []
    for (const table of sealedTables) {
      let pageBegunAt = performance.now()
      for await (const page of pagesOf(db, table, primary, pageSize)) {
        const rows = page.map((row) => resealRow(vault, table, row, unreadable))
        const ready = rows.filter((row) => row.count > 0)
        const placed = dryRun || ready.length === 0 ? null : await replaceSealedRows(db, table, ready)
        for (const row of ready) {
          if (placed?.has(row.key) !== false) resealed += row.count
          if (placed) moved++ // also where somebody was quicker: looked at again, most likely to find it done
        }
        onProgress(resealed, Math.max(total, resealed))
        // As much rest as work: callers get at least half of the database, and more when it is slow.
        await rest(performance.now() - pageBegunAt)
        pageBegunAt = performance.now()
      }
    }
    left = foreignTo(primary, await countSealedTexts(db))
    if (left.length === 0) break
    if (!dryRun) await refuseUnlessReady({ db, vault }, primary, dryRun)
  }
  const { retired, inJournal } = dryRun
    ? { retired: [], inJournal: [] }
    : await retire(db, primary, left, actor, journalPatienceMs)
  return { resealed, unreadable, left, retired, inJournal }
}

/** Why a reseal to this key cannot begin: whoever seals with another key would put it back while we walk. */
function objectionsOf(replicas: readonly Replica[], primary: string): string[] {
  return replicas.flatMap(({ id, keyIds, primaryKeyId }) => {
    if (primaryKeyId === primary) return []
    return keyIds.includes(primary)
      ? [
          `${id} knows "${primary}" but still seals with "${primaryKeyId}": put "${primary}" first in its VAULT_KEYS and restart it`,
        ]
      : [
          `${id} does not know "${primary}": put it behind the primary in its VAULT_KEYS and restart it, then make it first everywhere`,
        ]
  })
}

async function refuseUnlessReady({ db, vault }: ResealDeps, primary: string, dryRun: boolean): Promise<void> {
  const strange = (await readCanaries(db)).filter(({ keyId, sealedCanary }) => !vault.checkCanary(keyId, sealedCanary))
  if (strange.length > 0) {
    const ids = strange.map(({ keyId }) => `"${keyId}"`).join(', ')
    throw new ServiceError(
      'keyring_mismatch',
      `The database needs ${ids}: missing from VAULT_KEYS here, or with other bytes under the same id.`,
    )
  }
  if (dryRun) return
  const objections = objectionsOf(await liveReplicas(db), primary)
  const strangers = objections.length > 0 ? [] : await saveCanary(db, primary, vault.sealCanary(primary))
  objections.push(...strangers.map((id) => `${id} does not know "${primary}"`))
  if (objections.length > 0) {
    const again = 'Run this again then; a process that was killed is forgotten after 15 s.'
    throw new ServiceError('keyring_mismatch', `Not every replica is ready for it:\n  ${objections.join('\n  ')}\n${again}`)
  }
}

async function* pagesOf(db: Db, table: SealedTable, notUnder: string, limit: number) {
  for (let after = ''; ; ) {
    const page = await readSealedRows(db, table, { notUnder, after, limit })
    if (page.length > 0) yield page
    const last = page.at(-1)
    if (page.length < limit || last === undefined) return
    after = last.key
  }
}

function resealRow(
  vault: Vault,
  table: SealedTable,
  row: { key: string; subject: string; generation: number; texts: (string | null)[] },
  unreadable: ResealReport['unreadable'],
) {
  let count = 0
  const fresh = row.texts.map((text, index) => {
    const purpose = table.columns[index]?.purpose
    if (text === null || purpose === undefined) return text
    try {
      const resealed = vault.reseal({ purpose, subject: row.subject, generation: row.generation }, text)
      if (resealed !== null) count++
      return resealed ?? text
    } catch (error) {
      if (!(error instanceof ServiceError) || error.code !== 'credential_unreadable') throw error
      unreadable.push({ table: table.name, row: row.key, keyId: text.split('.')[1] ?? '' })
      return text
    }
  })
  return { key: row.key, old: row.texts, fresh, count }
}

/** A replica needs some seconds to seal its journal anew, and to say so. */
async function retire(db: Db, primary: string, left: ResealReport['left'], actor: string, patienceMs: number) {
  const deadline = performance.now() + patienceMs
  const retired: string[] = []
  for (;;) {
    const inJournal: string[] = []
    for (const { keyId } of await readCanaries(db)) {
      if (keyId === primary || left.some((key) => key.keyId === keyId)) continue
      if (await retireCanary(db, keyId, actor)) retired.push(keyId)
      else inJournal.push(keyId)
    }
    if (inJournal.length === 0 || performance.now() >= deadline) return { retired, inJournal }
    await rest(1000)
  }
}

function foreignTo(primary: string, counts: ReadonlyMap<string, number>): ResealReport['left'] {
  return [...counts].filter(([keyId]) => keyId !== primary).map(([keyId, count]) => ({ keyId, count }))
}
