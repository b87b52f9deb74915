// For what must not be lost while the database is away: repeated until it is saved, and counted, so that the process is not
// ready and does not end before.
import { ServiceError } from '../errors.ts'
import type { Parts } from '../parts.ts'

/**
 * Repeats a save until it is in the database. Only the storage being away is waited for; anything else is thrown.
 *
 * @throws ServiceError storage_unavailable when the process is asked to end first
 */
export async function untilSaved<T>(
  parts: Parts,
  about: { accountId?: string; attemptId: string },
  save: () => Promise<T>,
): Promise<T> {
  const { log, metrics, stopping } = parts
  for (let tries = 0, waiting = false; ; tries++) {
    try {
      const outcome = await save()
      if (waiting) metrics.unsavedTokens.dec()
      return outcome
    } catch (error) {
      const away = error instanceof ServiceError && (error.code === 'storage_unavailable' || error.code === 'overloaded')
      if (!away || stopping.aborted) {
        if (waiting) metrics.unsavedTokens.dec()
        log.error('token answer was not saved', { ...about, count: tries, error })
        throw error
      }
      if (!waiting) metrics.unsavedTokens.inc()
      waiting = true
      await pause(Math.min(2000, 50 * 2 ** Math.min(tries, 6)), stopping)
    }
  }
}

/** Counts work that must be done before the process may end. */
export function tracked<T>(parts: Parts, work: Promise<T>): Promise<T> {
  const settled: Promise<void> = work.then(
    () => undefined,
    () => undefined,
  )
  parts.unsaved.add(settled)
  void settled.then(() => parts.unsaved.delete(settled))
  return work
}

async function pause(ms: number, stopping: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = () => {
      clearTimeout(timer)
      stopping.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    stopping.addEventListener('abort', done, { once: true })
  })
}
