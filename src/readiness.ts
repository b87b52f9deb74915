// Whether this process may be given work: the database answers, its schema is ours, and the vault's keys are the ones it was
// sealed with. TikTok is not asked: when it is away, tokens that live are still served (S64).
import { migrationsApplied } from './db/migrate.ts'
import { readCanaries, saveCanary } from './db/vault-keys.ts'
import { ServiceError } from './errors.ts'
import type { Parts } from './parts.ts'

export interface Readiness {
  ready: boolean
  checks: {
    database: 'ok' | 'unavailable'
    keyring: 'ok' | 'mismatch' | 'unknown'
    migrations: 'ok' | 'pending' | 'unknown'
  }
  /** token answers that the database refused to take so far: only in memory and on disk */
  unsaved: number
}

/**
 * Looks at everything a request needs. A key that is missing, or has other bytes under a known id, is noticed by its canary before anything
 * is written with it (S20).
 */
export async function checkReadiness(parts: Parts): Promise<Readiness> {
  const unsaved = parts.unsaved.size
  try {
    const [applied, mismatched] = await Promise.all([migrationsApplied(parts.db), mismatchedKeys(parts)])
    const checks = {
      database: 'ok',
      keyring: mismatched.length === 0 ? 'ok' : 'mismatch',
      migrations: applied ? 'ok' : 'pending',
    } as const
    return { ready: applied && mismatched.length === 0 && !parts.stopping.aborted, checks, unsaved }
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error
    return { ready: false, checks: { database: 'unavailable', keyring: 'unknown', migrations: 'unknown' }, unsaved }
  }
}

/**
 * Holds the keyring against the database and remembers the result in `parts.keyring`. When it fits, leaves a canary for the primary key if it has
 * none. Not for the others: a key that seals nothing yet must not make replicas unready that do not know it.
 */
export async function watchKeyring(parts: Parts): Promise<void> {
  const { db, vault, log, keyring } = parts
  const mismatched = await mismatchedKeys(parts)
  const fits = mismatched.length === 0
  if (keyring.fits && !fits)
    log.fatal('vault keys do not fit the database: nothing is written until they do', { keyId: mismatched.join(',') })
  keyring.fits = fits
  const [primary] = vault.keyIds
  if (fits && primary !== undefined) await saveCanary(db, primary, vault.sealCanary(primary))
}

async function mismatchedKeys({ db, vault }: Parts): Promise<string[]> {
  const canaries = await readCanaries(db)
  return canaries.filter(({ keyId, sealedCanary }) => !vault.checkCanary(keyId, sealedCanary)).map(({ keyId }) => keyId)
}
