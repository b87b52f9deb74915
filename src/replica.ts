// This process among its neighbours. Each announces which vault keys it can open, so that no key is taken into use that one of them lacks,
// and none is dropped that one of them still seals with.
import { announceReplica, forgetReplica } from './db/replicas.ts'
import type { Parts } from './parts.ts'
import { within } from './single-flight.ts'

const diskPatienceMs = 1000

/** Says that this process lives, and with which keys; at start before anything is sealed, and every few seconds from then on. */
export async function announce({ db, vault, spill, replicaId }: Parts): Promise<void> {
  const keyIds = [...vault.keyIds]
  // A disk that hangs must not make a live process silent: what is on it may be sealed with any of its keys.
  const spillKeyIds = (await within(spill.keyIds(), diskPatienceMs)) ?? keyIds
  await announceReplica(db, { id: replicaId, keyIds, primaryKeyId: keyIds[0] ?? '', spillKeyIds })
}

/** At the end, after everything is recorded; a process that cannot say goodbye is forgotten by its silence. */
export async function leave({ db, replicaId, log }: Parts): Promise<void> {
  await forgetReplica(db, replicaId).catch((error) => log.debug('replica could not say goodbye', { error }))
}
