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
      keyring: mismatched.length === 0 && parts.keyring.fits ? 'ok' : 'mismatch',
      migrations: applied ? 'ok' : 'pending',
    } as const
    return { ready: applied && checks.keyring === 'ok' && !parts.stopping.aborted, checks, unsaved }
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error
    return { ready: false, checks: { database: 'unavailable', keyring: 'unknown', migrations: 'unknown' }, unsaved }
  }
}

/**
 * Holds the keyring against the database and remembers the result in `parts.keyring`. When it fits, leaves a canary for the primary key if it has
 * none. Not for the others: a key that seals nothing yet must not make replicas unready that do not know it.
 *
 * A new primary that a live replica does not know is not taken into use: this process stays unready, and its neighbours go on.
 */
export async function watchKeyring(parts: Parts): Promise<void> {
  const { db, vault, log, keyring } = parts
  const [primary] = vault.keyIds
  const mismatched = await mismatchedKeys(parts)
  const strangers =
    mismatched.length === 0 && primary !== undefined ? await saveCanary(db, primary, vault.sealCanary(primary)) : []
  const fits = mismatched.length === 0 && strangers.length === 0
  if (keyring.fits && mismatched.length > 0)
    log.fatal('vault keys do not fit the database: nothing is written until they do', { keyId: mismatched.join(',') })
  if (keyring.fits && strangers.length > 0)
    log.fatal('primary vault key is not known to every replica: put it behind their primary first', {
      keyId: primary ?? '',
      reason: strangers.join(','),
    })
  if (!keyring.fits && fits) log.info('vault keys fit the database')
  keyring.fits = fits
}

/** @returns the ids of keys that the database needs and the vault has not, or has with other bytes */
async function mismatchedKeys({ db, vault }: Parts): Promise<string[]> {
  const canaries = await readCanaries(db)
  return canaries.filter(({ keyId, sealedCanary }) => !vault.checkCanary(keyId, sealedCanary)).map(({ keyId }) => keyId)
}
