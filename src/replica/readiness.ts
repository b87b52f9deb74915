// Whether this process may be given work: the database answers, its schema is ours, and the vault's keys are the ones it was
// sealed with. TikTok is not asked: when it is away, tokens that live are still served (S64).
import type { Db } from '../db/client.ts'
import { migrationsApplied } from '../db/migrate.ts'
import { readCanaries, saveCanary } from '../db/vault-keys.ts'
import { ServiceError } from '../errors.ts'
import type { Epoch } from '../journal/epoch.ts'
import type { Meter } from '../meter.ts'
import type { Log } from '../telemetry.ts'
import type { Vault } from '../vault/vault.ts'

export interface Readiness {
  ready: boolean
  checks: {
    database: 'ok' | 'unavailable'
    keyring: 'ok' | 'mismatch' | 'unknown'
    migrations: 'ok' | 'pending' | 'unknown'
    /** whether the database is where the journals left it */
    journal: 'ok' | 'database_rewound' | 'unknown'
  }
  /** token answers that the database refused to take so far: only in memory and on disk */
  unsaved: number
}

export type ReadinessMetrics = ReturnType<typeof readinessMetrics>

export function readinessMetrics({ gauge }: Meter) {
  return {
    ready: gauge({
      name: 'service_ready',
      help: '1 while this process may be given work, as `/health/ready` says; looked at every five seconds',
      query: 'sum(service_ready)',
    }),
    readinessChecks: gauge({
      name: 'service_check',
      help: '1 while a part of that is well: the database answers, the vault has its keys, the migrations are applied, the journals are replayed',
      labels: { check: ['database', 'keyring', 'migrations', 'journal'] },
      query: 'min by (check) (service_check) == 0',
    }),
  }
}

/** Whether the vault's keys are those of the database. While they are not, nothing is written and nobody is served. */
export interface KeyringCheck {
  /** what the last `check` found; true before the first */
  fits: boolean
  /**
   * Holds the keyring against the database. When it fits, leaves a canary for the primary key if it has none. Not for the others: a key that
   * seals nothing yet must not make replicas unready that do not know it.
   *
   * A new primary that a live replica does not know is not taken into use: this process stays unready, and its neighbours go on.
   */
  check(): Promise<void>
}

export function createKeyringCheck({ db, vault, log }: { db: Db; vault: Vault; log: Log }): KeyringCheck {
  const keyring: KeyringCheck = {
    fits: true,
    async check() {
      const [primary] = vault.keyIds
      const mismatched = await mismatchedKeys({ db, vault })
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
    },
  }
  return keyring
}

export interface ReadinessDeps {
  db: Db
  vault: Vault
  keyring: { readonly fits: boolean }
  epoch: Pick<Epoch, 'serves'>
  recording: { readonly unsavedCount: number }
  /** aborted when the process is asked to end */
  leaving: AbortSignal
}

/**
 * Looks at everything a request needs. A key that is missing, or has other bytes under a known id, is noticed by its canary before anything
 * is written with it (S20).
 */
export async function checkReadiness({ db, vault, keyring, epoch, recording, leaving }: ReadinessDeps): Promise<Readiness> {
  const unsaved = recording.unsavedCount
  try {
    const [applied, mismatched, serves] = await Promise.all([
      migrationsApplied(db),
      mismatchedKeys({ db, vault }),
      epoch.serves(),
    ])
    const checks = {
      database: 'ok',
      keyring: mismatched.length === 0 && keyring.fits ? 'ok' : 'mismatch',
      migrations: applied ? 'ok' : 'pending',
      journal: serves ? 'ok' : 'database_rewound',
    } as const
    return { ready: applied && serves && checks.keyring === 'ok' && !leaving.aborted, checks, unsaved }
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error
    return {
      ready: false,
      checks: { database: 'unavailable', keyring: 'unknown', migrations: 'unknown', journal: 'unknown' },
      unsaved,
    }
  }
}

export async function measureReadiness(deps: ReadinessDeps & { metrics: ReadinessMetrics }): Promise<void> {
  const { ready, checks, unsaved } = await checkReadiness(deps)
  deps.metrics.ready.set(ready && unsaved === 0 ? 1 : 0)
  for (const check of ['database', 'keyring', 'migrations', 'journal'] as const)
    deps.metrics.readinessChecks.set({ check }, checks[check] === 'ok' ? 1 : 0)
}

/** @returns the ids of keys that the database needs and the vault has not, or has with other bytes */
async function mismatchedKeys({ db, vault }: { db: Db; vault: Vault }): Promise<string[]> {
  const canaries = await readCanaries(db)
  return canaries.filter(({ keyId, sealedCanary }) => !vault.checkCanary(keyId, sealedCanary)).map(({ keyId }) => keyId)
}
