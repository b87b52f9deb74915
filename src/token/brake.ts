// The brake: when TikTok refuses many tokens at once, it is not the people who left. Then nothing is spent and nobody is told, until a
// probe says so (F66).
import { setTimeout as sleep } from 'node:timers/promises'
import type { Db } from '../db/client.ts'
import type { BrakedEndpoint } from '../db/codes.ts'
import { type Admitted, admitRefreshes, countRefusedAccessToken, countTakenAccessToken, releaseRefusals } from '../db/refusals.ts'
import { ServiceError } from '../errors.ts'
import type { Log } from '../telemetry.ts'
import type { TokenMetrics } from './metrics.ts'
import type { Timings } from './timings.ts'

/** With this much room a replica takes some in advance, so that not every refresh costs a statement. */
const plentyOfRoom = 1000
const takenInAdvance = 64
/** Neighbours wait for room that a landed refresh gave back; with plenty of it nobody waits. */
const reportAfterMs = 50
const reportAfterMsWithPlenty = 1000
const reportAgainAfterMs = 500
const askAgainAfterMs = 25

export interface Brake {
  /** Lets one refresh be sent that somebody waits for; it ends with `landed`. @returns false when there was no room in time */
  admitOne(): Promise<boolean>
  /** As `admitOne`, for up to so many that are due. `full`: more may be due than there is room for */
  admitDue(most: number): Promise<{ admitted: number; full: boolean }>
  /** An operator's command sends one whatever holds; it ends with `landed`. */
  admitByHand(): void
  /** One is over: its token was taken, or it was not */
  landed(outcome: 'taken' | 'not_taken', count?: number): void
  /** TikTok took the token of a probe. */
  probed(): Promise<void>
  /** @returns whether it may be believed that TikTok refuses this access token */
  accessTokenRefused(accountId: string, generation: number): Promise<boolean>
  accessTokenTaken(): Promise<void>
  /** Nothing is in flight any more: the neighbours need not wait until that is noticed. */
  close(): Promise<void>
}

export function createBrake({
  db,
  log,
  metrics,
  replicaId,
  timings,
}: {
  db: Db
  log: Log
  metrics: TokenMetrics
  replicaId: string
  timings: Pick<Timings, 'patienceMs'>
}): Brake {
  let inFlight = 0
  let spare = 0
  let accepted = 0
  let waiting = 0
  let plenty = false
  let closed = false
  let refusedAtMs = Number.NEGATIVE_INFINITY
  let queue: Promise<unknown> = Promise.resolve()
  let reporting: NodeJS.Timeout | undefined

  function held(endpoint: BrakedEndpoint): void {
    metrics.brakes.inc({ endpoint })
    const event =
      endpoint === 'token'
        ? 'brake holds: TikTok refuses the refresh tokens of many accounts; nothing is spent and nobody is asked to come back'
        : 'brake holds: TikTok refuses the access tokens of many accounts; this is not believed of any of them'
    log.error(event, { name: `${endpoint}_refused` })
  }

  function released(endpoint: BrakedEndpoint, again: number | undefined): void {
    log.warn('brake released: TikTok took the token of a probe', { name: `${endpoint}_refused`, count: again })
  }

  async function report(wanted: number, onlyDue = false): Promise<Admitted> {
    const reported = accepted
    accepted = 0
    try {
      const answer = await admitRefreshes(db, { replicaId, inFlight: inFlight + spare, accepted: reported, wanted, onlyDue })
      plenty = answer.room > plentyOfRoom && !answer.braked
      if (answer.brakedNow) held('token')
      return answer
    } catch (error) {
      accepted += reported
      throw error
    }
  }

  /** One question at a time: the next one may find its answer in what the last one brought. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = queue.then(work)
    queue = turn.catch(() => {})
    return turn
  }

  async function takeOne(): Promise<boolean> {
    waiting++
    return inTurn(async () => {
      try {
        if (spare === 0 && performance.now() - refusedAtMs >= askAgainAfterMs) {
          spare = (await report(waiting + (plenty ? takenInAdvance : 0))).admitted
          if (spare === 0) refusedAtMs = performance.now()
        }
        if (spare === 0) return false
        spare--
        inFlight++
        return true
      } finally {
        waiting--
        if (spare > 0) reportSoon()
      }
    })
  }

  function reportSoon(afterMs = plenty ? reportAfterMsWithPlenty : reportAfterMs): void {
    if (closed) return
    reporting ??= setTimeout(() => {
      reporting = undefined
      if (!plenty) spare = waiting > 0 ? spare : 0
      // Neighbours count on what was said last: what could not be said is said again, or they would wait for room that there is.
      report(0).catch((error) => {
        log.debug('refreshes were not reported', { error })
        reportSoon(reportAgainAfterMs)
      })
    }, afterMs).unref()
  }

  return {
    async admitOne() {
      const deadline = performance.now() + timings.patienceMs
      while (!(await takeOne())) {
        if (performance.now() > deadline) return false
        await sleep(askAgainAfterMs)
      }
      return true
    },
    admitDue: (most) =>
      inTurn(async () => {
        const { admitted, room } = await report(most, true)
        inFlight += admitted
        return { admitted, full: admitted >= room }
      }),
    admitByHand() {
      inFlight++
    },
    landed(outcome, count = 1) {
      inFlight -= count
      if (outcome === 'taken') accepted += count
      if (count > 0) reportSoon()
    },
    async probed() {
      try {
        const again = await releaseRefusals(db, 'token', 'service')
        if (again !== null) released('token', again)
      } catch (error) {
        // The next probe does it: what TikTok just answered must still be recorded.
        if (!(error instanceof ServiceError)) throw error
        log.warn('brake was not released', { error })
      }
    },
    async accessTokenRefused(accountId, generation) {
      const { believed, brakedNow } = await countRefusedAccessToken(db, accountId, generation)
      if (brakedNow) held('user_info')
      return believed
    },
    async accessTokenTaken() {
      if (await countTakenAccessToken(db, replicaId)) released('user_info', undefined)
    },
    async close() {
      closed = true
      clearTimeout(reporting)
      inFlight = 0
      spare = 0
      await report(0).catch((error) => log.debug('refreshes were not reported', { error }))
    },
  }
}
