// Waiting for what another replica does: one statement asks for everybody here who waits, soon at first and then less often. No connection is
// held in between.
import { within } from './waiting.ts'

export interface Poll<Key, State> {
  /**
   * Looks until what is seen is enough.
   *
   * @param wait.timeoutMs then it is given up
   * @param wait.signals any of them ends the wait, too
   * @returns what was enough; undefined when it was given up
   * @throws what a look throws
   */
  until(
    key: Key,
    isEnough: (state: State | undefined) => boolean,
    wait: { timeoutMs: number; signals?: readonly AbortSignal[] },
  ): Promise<{ state: State | undefined } | undefined>
  /** how many wait */
  readonly size: number
}

/**
 * @param look asks for all of these; what is not there is undefined
 * @param pauses each who waits is looked for after the first, then half as much later each time, up to the longest
 */
export function openPoll<Key, State>(
  look: (keys: Key[]) => Promise<ReadonlyMap<Key, State>>,
  pauses: { firstMs: number; longestMs: number },
): Poll<Key, State> {
  interface Waiter {
    key: Key
    pauseMs: number
    dueAtMs: number
    isEnough: (state: State | undefined) => boolean
    found: PromiseWithResolvers<{ state: State | undefined } | undefined>
  }
  const waiters = new Set<Waiter>()
  let timer: NodeJS.Timeout | undefined
  let looking = false

  function schedule(): void {
    clearTimeout(timer)
    if (looking || waiters.size === 0) return
    let dueAtMs = Number.POSITIVE_INFINITY
    for (const waiter of waiters) dueAtMs = Math.min(dueAtMs, waiter.dueAtMs)
    timer = setTimeout(() => void round(), Math.max(0, dueAtMs - performance.now()))
  }

  async function round(): Promise<void> {
    // Whoever is due soon comes along: better one statement than two.
    const soonMs = performance.now() + pauses.firstMs
    const due = [...waiters].filter(({ dueAtMs }) => dueAtMs <= soonMs)
    looking = true
    try {
      const states = await look([...new Set(due.map(({ key }) => key))])
      for (const waiter of due) {
        const state = states.get(waiter.key)
        if (waiter.isEnough(state)) waiter.found.resolve({ state })
      }
    } catch (error) {
      for (const { found } of due) found.reject(error)
    }
    for (const waiter of due) {
      waiter.pauseMs = Math.min(pauses.longestMs, waiter.pauseMs * 1.5)
      waiter.dueAtMs = performance.now() + waiter.pauseMs
    }
    looking = false
    schedule()
  }

  return {
    async until(key, isEnough, { timeoutMs, signals = [] }) {
      const found = Promise.withResolvers<{ state: State | undefined } | undefined>()
      const giveUp = () => found.resolve(undefined)
      const waiter = { key, pauseMs: pauses.firstMs, dueAtMs: performance.now(), isEnough, found }
      waiters.add(waiter)
      for (const signal of signals) signal.addEventListener('abort', giveUp, { once: true })
      if (signals.some(({ aborted }) => aborted)) giveUp()
      else schedule()
      try {
        return await within(found.promise, timeoutMs)
      } finally {
        waiters.delete(waiter)
        for (const signal of signals) signal.removeEventListener('abort', giveUp)
        schedule()
      }
    },
    get size() {
      return waiters.size
    },
  }
}
