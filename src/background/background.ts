// All that happens when nobody asks, started and stopped together.
import { warnExpiring } from '../account/expiring.ts'
import { createDispatcher, measureDeliveries } from '../events/dispatcher.ts'
import { settleNotices } from '../inbound/notices.ts'
import { replaySpills } from '../operate/replay.ts'
import { keepHouse } from '../operate/retention.ts'
import type { Parts } from '../parts.ts'
import { watchKeyring } from '../readiness.ts'
import { announce } from '../replica.ts'
import { attemptDueRevocations } from '../token/revoke.ts'
import { startLoop } from './loop.ts'
import { createProfiler } from './profiler.ts'
import { createRefresher, measureRefreshing } from './refresher.ts'

export interface Background {
  stop(): Promise<void>
}

export function startBackground(parts: Parts): Background {
  const refreshDue = createRefresher(parts)
  /** Work that opens or seals anything waits for the right keys. */
  const withKeys = (round: () => Promise<number>) => async () => (parts.keyring.fits ? round() : 1000)
  const dispatchers = parts.config.eventWebhooks.map((target) => createDispatcher(parts, target))
  const loops = [
    startLoop(parts, 'refresher', withKeys(refreshDue)),
    // What the process that took them could not settle itself.
    startLoop(
      parts,
      'notices',
      withKeys(async () => {
        await settleNotices(parts)
        return 600
      }),
    ),
    ...dispatchers.map((dispatcher) => startLoop(parts, 'dispatcher', withKeys(dispatcher.round))),
    startLoop(
      parts,
      'revoker',
      withKeys(async () => ((await attemptDueRevocations(parts, 20)) === 20 ? 0 : 2000)),
    ),
    // A neighbour that shares the directory may have died; what it wrote half a minute before its end is listed only later.
    startLoop(
      parts,
      'replayer',
      withKeys(async () => {
        await replaySpills(parts)
        return 60_000
      }),
    ),
    startLoop(parts, 'profiler', withKeys(createProfiler(parts))),
    startLoop(parts, 'expiry', async () => {
      await warnExpiring(parts)
      return 600_000
    }),
    startLoop(parts, 'measures', async () => {
      await measureRefreshing(parts)
      await measureDeliveries(parts, dispatchers)
      return 5000
    }),
    startLoop(parts, 'keyring', async () => {
      await watchKeyring(parts)
      return 5000
    }),
    startLoop(parts, 'replica', async () => {
      await announce(parts)
      return 3000
    }),
    startLoop(
      parts,
      'housekeeper',
      withKeys(async () => {
        await keepHouse(parts)
        return 600_000
      }),
    ),
  ]
  return {
    async stop() {
      await Promise.all([...loops, ...dispatchers].map((each) => each.stop()))
    },
  }
}
