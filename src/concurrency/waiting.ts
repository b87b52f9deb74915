// Waiting with an end. The work itself always goes on: giving up on it is the caller's decision and never cancels it.

/**
 * Waits for work at most so long.
 *
 * @param late what to give (or throw) when time is up first; `undefined` unless said otherwise
 */
export function within<T>(work: PromiseLike<T>, timeoutMs: number): Promise<T | undefined>
export function within<T, L>(work: PromiseLike<T>, timeoutMs: number, late: () => L): Promise<T | L>
export async function within<T, L>(work: PromiseLike<T>, timeoutMs: number, late?: () => L): Promise<T | L | undefined> {
  const timeUp = Promise.withResolvers<L | undefined>()
  const timer = setTimeout(
    () => {
      try {
        timeUp.resolve(late?.())
      } catch (error) {
        timeUp.reject(error)
      }
    },
    Math.max(0, timeoutMs),
  )
  try {
    return await Promise.race([work, timeUp.promise])
  } finally {
    clearTimeout(timer)
  }
}

/** Waits for work until the signal aborts. The listener goes when the work is done, so a long-lived signal does not collect them. */
export async function unlessAborted(work: PromiseLike<unknown>, signal: AbortSignal): Promise<void> {
  const stopped = Promise.withResolvers<void>()
  const stop = () => stopped.resolve()
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  try {
    await Promise.race([work, stopped.promise])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
