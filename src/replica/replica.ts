// This process among its neighbours. Each announces which vault keys it can open, so that no key is taken into use that one of them lacks,
// and none is dropped that one of them still seals with.

import { within } from '../concurrency/waiting.ts'
import type { Db } from '../db/client.ts'
import { announceReplica, forgetReplica } from '../db/replicas.ts'
import { addSeals } from '../db/vault-keys.ts'
import type { Journal } from '../journal/journal.ts'
import type { Meter } from '../meter.ts'
import type { Log } from '../telemetry.ts'
import type { Vault } from '../vault/vault.ts'
import { version } from '../version.ts'

const diskPatienceMs = 1000

export type ReplicaMetrics = ReturnType<typeof replicaMetrics>

export function replicaMetrics({ gauge }: Meter) {
  const build = gauge({
    name: 'service_build_info',
    help: 'Always 1: which release this is, and under which Node it runs',
    labels: { version: [version], node: [process.version] },
    query: 'count by (version) (service_build_info)',
  })
  build.set({ version, node: process.version }, 1)
  const replica = gauge({
    name: 'service_replica_info',
    help: 'Always 1: the name of this process, as in its log and its journal; it changes with every start',
    labels: { replica: null },
    query: 'changes(process_start_time_seconds[1h]) * on (instance) group_left (replica) service_replica_info',
  })
  return {
    isReplica: (replicaId: string) => replica.set({ replica: replicaId }, 1),
    primaryKeySeals: gauge({
      name: 'vault_primary_key_seals',
      help: 'Seals made with the primary vault key, by all replicas; make another key well before 2^32',
      query: 'max(vault_primary_key_seals) / 2^32',
    }),
  }
}

/** Says that this process lives, and with which keys; at start before anything is sealed, and every few seconds from then on. */
export async function announce({
  db,
  vault,
  journal,
  replicaId,
}: {
  db: Db
  vault: Vault
  journal: Pick<Journal, 'keyIds'>
  replicaId: string
}): Promise<void> {
  const keyIds = [...vault.keyIds]
  // A disk that hangs must not make a live process silent: what is on it may be sealed with any of its keys.
  const journalKeyIds = (await within(journal.keyIds(), diskPatienceMs)) ?? keyIds
  await announceReplica(db, { id: replicaId, keyIds, primaryKeyId: keyIds[0] ?? '', journalKeyIds })
}

/** Random nonces allow 2^32 seals under one key (NIST SP 800-38D §8.3); half of that leaves time to make another. */
const mostSeals = 2 ** 31
let warnedAtMs = Number.NEGATIVE_INFINITY

/** Adds what this process has sealed to the count of all. What a process that is killed had not told is missing, some seconds' worth. */
export async function countSeals({
  db,
  vault,
  log,
  metrics,
}: {
  db: Db
  vault: Vault
  log: Log
  metrics: ReplicaMetrics
}): Promise<void> {
  const [primary = ''] = vault.keyIds
  const count = await addSeals(db, primary, vault.takeSealCount(primary))
  if (count === undefined) return
  metrics.primaryKeySeals.set(count)
  if (count < mostSeals || performance.now() - warnedAtMs < 3_600_000) return
  warnedAtMs = performance.now()
  log.warn(
    'the primary vault key has sealed half of what one key may: make another with `vault keygen`, put it first and `vault reseal`',
    { count },
  )
}

/** At the end, after everything is recorded; a process that cannot say goodbye is forgotten by its silence. */
export async function leave({ db, replicaId, log }: { db: Db; replicaId: string; log: Log }): Promise<void> {
  await forgetReplica(db, replicaId).catch((error) => log.debug('replica could not say goodbye', { error }))
}
