// For what must not be lost while the database is away: repeated until it is saved, and counted, so that the process is not
// ready and does not end before.
import { ServiceError } from '../errors.ts'
import type { Parts } from '../parts.ts'

/** The pauses between tries stay short: when the database is back, a neighbour may claim what we hold the answer to. */
const longestPauseMs = 400
/** Longer than any statement: a claim that was asked for before the save was taken has been answered by then. */
const savedLateForMs = 10_000

/**
 * Repeats a save until it is in the database. Only the storage being away is waited for; anything else is thrown.
 *
 * @param about.subject the account or connect session: nobody in this process spends its token or code again meanwhile
 * @param about.spilled false: it is nowhere but in this memory, so it is tried even while the process ends
 * @throws ServiceError storage_unavailable when the process is asked to end first
 */
export async function untilSaved<T>(
  parts: Parts,
  about: { subject: string; attemptId: string; spilled?: boolean },
  save: () => Promise<T>,
): Promise<T> {
  const { log, metrics, stopping, unsaved, savedLate } = parts
  const { subject, attemptId, spilled = true } = about
  const waits = (so: boolean) => {
    if (so) unsaved.add(subject)
    else unsaved.delete(subject)
    metrics.unsavedTokens.set(unsaved.size)
  }
  for (let tries = 1; ; tries++) {
    try {
      const outcome = await save()
      if (tries > 1) {
        waits(false)
        rememberSavedLate(savedLate, subject)
      }
      return outcome
    } catch (error) {
      const away = error instanceof ServiceError && (error.code === 'storage_unavailable' || error.code === 'overloaded')
      if (!away || (stopping.aborted && spilled)) {
        if (tries > 1) waits(false)
        log.error('token answer was not saved', { attemptId, count: tries, error })
        throw error
      }
      waits(true)
      await pause(Math.min(longestPauseMs, 25 * 2 ** Math.min(tries, 6)) * (0.5 + Math.random() / 2), stopping)
    }
  }
}

/** Asks once more when the database's answer is lost. Only for what finds what it did the first time. */
export async function onceMore<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    if (error instanceof ServiceError && error.code === 'storage_unavailable') return ask()
    throw error
  }
}

/** Until the last of several has been so for the whole time. */
function rememberSavedLate(savedLate: Map<string, number>, subject: string): void {
  const savedAtMs = performance.now()
  savedLate.set(subject, savedAtMs)
  setTimeout(() => savedLate.get(subject) === savedAtMs && savedLate.delete(subject), savedLateForMs).unref()
}

/** Counts work that must be done before the process may end. */
export function tracked<T>(parts: Parts, work: Promise<T>): Promise<T> {
  const settled: Promise<void> = work.then(
    () => undefined,
    () => undefined,
  )
  parts.recording.add(settled)
  void settled.then(() => parts.recording.delete(settled))
  return work
}

/** Ends early when the process is asked to end, once. */
async function pause(ms: number, stopping: AbortSignal): Promise<void> {
  if (stopping.aborted) return new Promise((resolve) => setTimeout(resolve, ms))
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
