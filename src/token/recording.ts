// TikTok's answers on their way into the database, retried while it is away. The process is not ready, and does not end, while
// one is pending.
import { setTimeout as sleep } from 'node:timers/promises'
import { InFlight } from '../concurrency/in-flight.ts'
import { isPostgresError } from '../db/client.ts'
import { ServiceError } from '../errors.ts'
import type { Log } from '../telemetry.ts'
import type { TokenMetrics } from './metrics.ts'

/** The pauses between tries stay short: when the database is back, a neighbour may claim what we hold the answer to. */
const longestPauseMs = 400
/** Longer than any statement: a claim that was asked for before the save was taken has been answered by then. */
const savedLateForMs = 10_000

export interface Recording {
  /**
   * Repeats a save until it is in the database, which may be away, or refuse it until an operator has mended something. What is wrong
   * with the answer itself is thrown.
   *
   * @param about.subject the account or connect session: nobody in this process spends its token or code again meanwhile
   * @param about.inJournal false: it is nowhere but in this memory, so it is tried even while the process ends
   * @throws ServiceError storage_unavailable when the process is asked to end first
   */
  untilSaved<T>(
    about: { subject: string; attemptId: string; inJournal?: boolean },
    save: (again: boolean) => Promise<T>,
  ): Promise<T>
  /** Counts work that must be done before the process may end. */
  track<T>(work: Promise<T>): Promise<T>
  /** The database has refused to take the answer about this subject so far. */
  isUnsaved(subject: string): boolean
  /** Its answer was taken late, a moment ago: a claim from before that is looked at again before it is used. */
  wasSavedLate(subject: string): boolean
  /** how many subjects wait for the database */
  readonly unsavedCount: number
  /** Waits for everything that is tracked. */
  landed(): Promise<void>
}

/** @param options.stopping aborted when the process is asked to end: what is in the journal is left to the next start */
export function createRecording(options: { log: Log; metrics: TokenMetrics; stopping: AbortSignal }): Recording {
  const { log, metrics, stopping } = options
  const inFlight = new InFlight()
  const unsaved = new Set<string>()
  const savedLate = new Map<string, number>()

  function mark(subject: string, waits: boolean): void {
    if (waits) unsaved.add(subject)
    else unsaved.delete(subject)
    metrics.unsavedTokens.set(unsaved.size)
  }

  /** Until the last of several saves has been taken for the whole time. */
  function rememberSavedLate(subject: string): void {
    const savedAtMs = performance.now()
    savedLate.set(subject, savedAtMs)
    setTimeout(() => savedLate.get(subject) === savedAtMs && savedLate.delete(subject), savedLateForMs).unref()
  }

  return {
    async untilSaved({ subject, attemptId, inJournal = true }, save) {
      let told = false
      for (let tries = 1; ; tries++) {
        try {
          const outcome = await save(tries > 1)
          if (tries > 1) {
            mark(subject, false)
            rememberSavedLate(subject)
          }
          return outcome
        } catch (error) {
          if (!maySucceedLater(error) || (stopping.aborted && inJournal)) {
            if (tries > 1) mark(subject, false)
            log.error('token answer was not saved', { attemptId, count: tries, error })
            throw error
          }
          if (isPostgresError(error) && !told)
            log.error('token answer waits: the database refuses to take it', { attemptId, error })
          told ||= isPostgresError(error)
          mark(subject, true)
          const pauseMs = Math.min(longestPauseMs, 25 * 2 ** Math.min(tries, 6)) * (0.5 + Math.random() / 2)
          // Being asked to end cuts one pause short; after that the pauses are whole again, or the tries would spin.
          await sleep(pauseMs, undefined, stopping.aborted ? {} : { signal: stopping }).catch(() => undefined)
        }
      }
    },
    track: (work) => inFlight.add(work),
    isUnsaved: (subject) => unsaved.has(subject),
    wasSavedLate: (subject) => savedLate.has(subject),
    get unsavedCount() {
      return unsaved.size
    },
    landed: () => inFlight.landed(),
  }
}

/** An error about the values (classes 22 and 23) comes again; a right that is missing or a failing disk is somebody's to mend, and the token is spent. */
function maySucceedLater(error: unknown): boolean {
  if (isPostgresError(error)) return !/^2[23]/.test(error.code)
  return error instanceof ServiceError && (error.code === 'storage_unavailable' || error.code === 'overloaded')
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
