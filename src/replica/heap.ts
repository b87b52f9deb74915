// How much memory V8 may keep for later. Left alone it takes what it can get: a burst of refreshes held three times what lives.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** After the probes have found the process ready, and before it has much to do. */
const settledAfterMs = 1_000

/** The old generation is collected when it has grown by so much, and not several times over: in a service it is garbage by then. */
export function boundHeap(): void {
  setFlagsFromString('--heap-growing-percent=40')
}

/** Gives back what the start has left, which an idle process would keep. It takes some 50 ms, once. */
export function dropStartUpGarbage(): void {
  setTimeout(() => {
    setFlagsFromString('--expose-gc')
    const collect: NodeJS.GCFunction = runInNewContext('gc')
    setFlagsFromString('--no-expose-gc') // compiled code is read back under the flags it was kept with, also what is loaded later
    collect({ type: 'major', execution: 'sync', flavor: 'last-resort' })
  }, settledAfterMs).unref()
}
