// What a start has left in memory, given back. Flags that let V8 keep less altogether cost the hot path 5 % (docs/scaling.md).
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** After the probes have found the process ready, and before it has much to do. */
const settledAfterMs = 1_000

/** Gives back what the start has left, which an idle process would keep. It takes some 50 ms, once. */
export function dropStartUpGarbage(): void {
  setTimeout(() => {
    setFlagsFromString('--expose-gc')
    const collect: NodeJS.GCFunction = runInNewContext('gc')
    setFlagsFromString('--no-expose-gc') // compiled code is read back under the flags it was kept with, also what is loaded later
    collect({ type: 'major', execution: 'sync', flavor: 'last-resort' })
  }, settledAfterMs).unref()
}
