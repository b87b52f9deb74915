// A fixed number of permits and a fair queue before them. Whoever waits too long is sent away: a caller that hears `overloaded` at
// once can do something about it, one that stands in an endless queue cannot (F26).
import { ServiceError } from '../errors.ts'

export const overloaded = () => new ServiceError('overloaded', 'All database connections are busy; try again in a moment.')

export interface Semaphore {
  /** @throws ServiceError overloaded when no permit came free in time; `withinMs` for whoever has waited elsewhere already */
  acquire(withinMs?: number): Promise<void>
  /** Hands the permit to whoever has waited longest. */
  release(): void
  /** Resolves once no permit is taken. */
  empty(): Promise<void>
  readonly taken: number
  readonly waiting: number
}

export function openSemaphore(size: number, queueMs: number): Semaphore {
  const waiters = new Set<() => void>()
  const quiet: (() => void)[] = []
  let taken = 0

  return {
    acquire(withinMs = queueMs) {
      if (taken < size) {
        taken += 1
        return Promise.resolve()
      }
      return new Promise((resolve, reject) => {
        const enter = () => {
          clearTimeout(timer)
          resolve()
        }
        const timer = setTimeout(() => {
          waiters.delete(enter)
          reject(overloaded())
        }, withinMs)
        waiters.add(enter)
      })
    },
    release() {
      const [next] = waiters
      if (next) {
        waiters.delete(next)
        next()
        return
      }
      taken -= 1
      if (taken === 0) for (const tell of quiet.splice(0)) tell()
    },
    async empty() {
      if (taken > 0) await new Promise<void>((resolve) => quiet.push(resolve))
    },
    get taken() {
      return taken
    },
    get waiting() {
      return waiters.size
    },
  }
}
