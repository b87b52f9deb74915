// All that happens when nobody asks, started and stopped together.
import type { Parts } from '../parts.ts'
import { watchKeyring } from '../readiness.ts'
import { replaySpills } from '../token/replay.ts'
import { attemptDueRevocations } from '../token/revoke.ts'
import { keepHouse } from './housekeeper.ts'
import { startLoop } from './loop.ts'
import { createRefresher, measureRefreshing } from './refresher.ts'

export interface Background {
  stop(): Promise<void>
}

export function startBackground(parts: Parts): Background {
  const refreshDue = createRefresher(parts)
  /** Work that opens or seals anything waits for the right keys. */
  const withKeys = (round: () => Promise<number>) => async () => (parts.keyring.fits ? round() : 1000)
  const loops = [
    startLoop(parts, 'refresher', withKeys(refreshDue)),
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
    startLoop(parts, 'measures', async () => {
      await measureRefreshing(parts)
      return 5000
    }),
    startLoop(parts, 'keyring', async () => {
      await watchKeyring(parts)
      return 5000
    }),
    startLoop(parts, 'housekeeper', async () => {
      await keepHouse(parts)
      return 600_000
    }),
  ]
  return {
    async stop() {
      await Promise.all(loops.map((loop) => loop.stop()))
    },
  }
}
