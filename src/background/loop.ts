// Runs a round again and again, never two at once. A round that throws is counted and followed by the next.
import { setTimeout as sleep } from 'node:timers/promises'
import { ServiceError } from '../errors.ts'
import type { Log } from '../telemetry.ts'
import type { LoopMetrics, LoopName } from './metrics.ts'

export interface Loop {
  /** Waits for the round that is running. */
  stop(): Promise<void>
}

/**
 * @param round @returns how many milliseconds to rest until the next; jitter of a quarter is added, so that replicas drift apart
 */
export function startLoop(
  { log, metrics }: { log: Log; metrics: LoopMetrics },
  name: LoopName,
  round: () => Promise<number>,
): Loop {
  const stopping = new AbortController()
  const running = (async () => {
    for (let failuresInARow = 0; !stopping.signal.aborted; ) {
      let restMs: number
      try {
        restMs = await round()
        failuresInARow = 0
        metrics.loopSucceededAt.set({ loop: name }, Date.now() / 1000)
      } catch (error) {
        failuresInARow++
        metrics.loopFailures.inc({ loop: name })
        // A database that is away is everybody's trouble and logged where it happens.
        if (!(error instanceof ServiceError) || failuresInARow === 1) log.error('background round failed', { name, error })
        restMs = Math.min(10_000, 250 * 2 ** failuresInARow)
      }
      await sleep(restMs * (1 + Math.random() / 4), undefined, { signal: stopping.signal, ref: false }).catch(() => undefined)
    }
  })()
  return {
    async stop() {
      stopping.abort()
      await running
    },
  }
}
