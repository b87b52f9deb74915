// All that happens when nobody asks, started and stopped together.
import { warnExpiring } from '../account/health.ts'
import type { GrantDeps } from '../connect/grant.ts'
import type { ConnectMetrics } from '../connect/metrics.ts'
import { measureDepartures } from '../connect/scopes.ts'
import type { Db } from '../db/client.ts'
import { createDispatcher, measureDeliveries } from '../events/dispatcher.ts'
import type { DeliveryMetrics } from '../events/metrics.ts'
import { type SettleDeps, settleNotices } from '../inbound/notices.ts'
import type { Epoch } from '../journal/epoch.ts'
import { type JournalMetrics, measureJournal } from '../journal/metrics.ts'
import { closeAuditDays } from '../operate/audit-chain.ts'
import { replayJournal } from '../operate/replay.ts'
import { applyRetention } from '../operate/retention.ts'
import { type KeyringCheck, measureReadiness, type ReadinessDeps, type ReadinessMetrics } from '../replica/readiness.ts'
import { announce, countSeals, type ReplicaMetrics } from '../replica/replica.ts'
import type { Config } from '../settings/config.ts'
import type { RecordDeps } from '../token/record.ts'
import type { Revocations } from '../token/revoke.ts'
import { createAuditStream } from './audit-stream.ts'
import { type FleetMetrics, measureTheFleet } from './fleet.ts'
import { startLoop } from './loop.ts'
import type { LoopMetrics, LoopName } from './metrics.ts'
import { createProfiler, type ProfilerDeps } from './profiler.ts'
import { createRefreshAhead, measureRefreshing, type RefreshAheadDeps } from './refresh-ahead.ts'

export interface Background {
  stop(): Promise<void>
}

/** What the loops use, each of it: see there. */
type BackgroundDeps = RefreshAheadDeps &
  SettleDeps &
  GrantDeps &
  RecordDeps &
  ProfilerDeps &
  ReadinessDeps & {
    db: Db
    metrics: FleetMetrics & LoopMetrics & DeliveryMetrics & ConnectMetrics & JournalMetrics & ReadinessMetrics & ReplicaMetrics
    config: Pick<Config, 'auditStream' | 'eventWebhooks' | 'journal' | 'proxy'>
    keyring: KeyringCheck
    revocations: Pick<Revocations, 'attemptDue'>
    replicaId: string
    epoch: Pick<Epoch, 'beat'>
  }

export function startBackground(deps: BackgroundDeps): Background {
  const { keyring, revocations } = deps
  const loop = (name: LoopName, round: () => Promise<number>) => startLoop(deps, name, round)
  /** For work that opens or seals anything: it waits for the right keys. */
  const loopWithKeys = (name: LoopName, round: () => Promise<number>) => loop(name, async () => (keyring.fits ? round() : 1000))
  /** After each round the same rest. */
  const then = (restMs: number, work: () => Promise<unknown>) => async () => {
    await work()
    return restMs
  }
  const dispatchers = deps.config.eventWebhooks.map((target) => createDispatcher(deps, target, { proxy: deps.config.proxy }))
  const loops = [
    loopWithKeys('refresher', createRefreshAhead(deps)),
    // What the process that took them could not settle itself.
    loopWithKeys(
      'notices',
      then(600, () => settleNotices(deps)),
    ),
    ...dispatchers.map((dispatcher) => loopWithKeys('dispatcher', dispatcher.round)),
    loopWithKeys('revoker', async () => ((await revocations.attemptDue(20)) === 20 ? 0 : 2000)),
    // A neighbour that shares the directory may have died.
    loopWithKeys(
      'replayer',
      then(60_000, () => replayJournal(deps)),
    ),
    loopWithKeys(
      'epoch',
      then(3000, () => deps.epoch.beat()),
    ),
    loopWithKeys(
      'journal',
      then(5000, async () => {
        await deps.journal.keepHouse(deps.config.journal.hours)
        await measureJournal(deps)
      }),
    ),
    loopWithKeys('profiler', createProfiler(deps)),
    loop(
      'expiry',
      then(600_000, () => warnExpiring(deps)),
    ),
    loop(
      'departures',
      then(60_000, () => measureDepartures(deps)),
    ),
    loop(
      'measures',
      then(5000, async () => {
        await measureRefreshing(deps)
        await measureDeliveries(deps, dispatchers)
        deps.metrics.databaseGauges.wereRead()
      }),
    ),
    loop(
      'fleet',
      then(10_000, () => measureTheFleet(deps)),
    ),
    loop(
      'readiness',
      then(5000, () => measureReadiness(deps)),
    ),
    loop(
      'keyring',
      then(5000, () => keyring.check()),
    ),
    loop(
      'replica',
      then(3000, () => announce(deps)),
    ),
    loopWithKeys(
      'seals',
      then(60_000, () => countSeals(deps)),
    ),
    loopWithKeys(
      'retention',
      then(600_000, () => applyRetention(deps)),
    ),
    loopWithKeys(
      'audit',
      then(600_000, () => closeAuditDays(deps)),
    ),
    ...(deps.config.auditStream === undefined
      ? []
      : [loop('audit-stream', createAuditStream(deps, deps.config.auditStream, deps.config.proxy))]),
  ]
  return {
    async stop() {
      await Promise.all([...loops, ...dispatchers].map((each) => each.stop()))
    },
  }
}
