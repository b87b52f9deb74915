// Brings every event to every configured endpoint, at least once: each endpoint on a round of its own, a few deliveries at a time,
// again and again for three days. Replicas share the work through the rows alone.

import { InFlight } from '../concurrency/in-flight.ts'
import type { Db } from '../db/client.ts'
import {
  type ClaimedDelivery,
  claimDeliveries,
  deliveryBacklog,
  disableEndpoint,
  failDelivery,
  listNewDeliveries,
  registerEndpoint,
  settleDelivery,
} from '../db/deliveries.ts'
import type { Log } from '../telemetry.ts'
import { digest } from '../vault/digest.ts'
import { serviceEvent } from './events.ts'
import type { DeliveryMetrics } from './metrics.ts'
import { openReceiver, type Receipt, type ReceiverOptions } from './receiver.ts'
import { signEvent } from './signature.ts'

/** What a receiver has from us at once, per replica. */
const concurrency = 8
const idleMs = 1000
/** At the end of the process: whoever has not answered by then gets the event again from somebody else. */
const patienceMs = 5000

/** The waits after a failed try, as Standard Webhooks suggests; with the first one that makes ten tries in three days. */
const waitsSeconds = [5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600] as const
const longestWaitSeconds = 24 * 3600

export interface Target {
  url: string
  secrets: readonly string[]
}

/** One endpoint's dispatcher. */
export interface Dispatcher {
  endpointId: string
  /** @returns how long to rest until the next */
  round(): Promise<number>
  /** Waits for what is under way. */
  settled(): Promise<void>
  /** Takes nothing new, and waits a little for what is under way. */
  stop(): Promise<void>
}

export function createDispatcher(
  { db, log, metrics }: { db: Db; log: Log; metrics: DeliveryMetrics },
  target: Target,
  options: Pick<ReceiverOptions, 'timeoutMs' | 'proxy'> = {},
): Dispatcher {
  const endpoint = {
    id: endpointIdOf(target.url),
    origin: new URL(target.url).origin,
    fingerprint: digest([target.url, ...target.secrets].join('|')),
  }
  const receiver = openReceiver(target.url, { connections: concurrency, ...options })
  const inFlight = new InFlight()
  const stopping = new AbortController()
  let isRegistered = false
  let isEnding = false

  async function deliver(delivery: ClaimedDelivery, claimedAtMark: number): Promise<void> {
    const sentAt = new Date(delivery.claimedAt.getTime() + (performance.now() - claimedAtMark))
    const sentAtMark = performance.now()
    const receipt = await receiver.post(signEvent(serviceEvent(delivery), target.secrets, sentAt), stopping.signal)
    metrics.deliverySeconds.observe((performance.now() - sentAtMark) / 1000)
    await record(delivery, receipt)
  }

  async function record(delivery: ClaimedDelivery, receipt: Receipt): Promise<void> {
    const { attempts } = delivery
    const tried = { endpointId: endpoint.id, eventId: delivery.id, attempts }
    const about = { eventId: delivery.id, target: endpoint.origin, count: attempts }
    if (receipt.kind === 'delivered') {
      await settleDelivery(db, tried)
      metrics.deliveries.inc({ outcome: 'delivered' })
      log.debug('event delivered', about)
    } else if (receipt.kind === 'gone') {
      await disableEndpoint(db, tried, 'status_410')
      metrics.deliveries.inc({ outcome: 'gone' })
      log.error('event receiver wants no more: nothing is sent there until it is configured anew', about)
    } else {
      const waitSeconds = waitAfter(attempts, receipt.retryAfterSeconds)
      await failDelivery(db, tried, receipt.code, waitSeconds)
      metrics.deliveries.inc({ outcome: waitSeconds === null ? 'dead' : 'failed' })
      if (waitSeconds === null) log.error('event delivery was given up', { ...about, code: receipt.code })
      else log.warn('event was not delivered', { ...about, code: receipt.code, retryAfterSeconds: Math.ceil(waitSeconds) })
    }
  }

  return {
    endpointId: endpoint.id,
    settled: () => inFlight.landed(),
    async round() {
      if (!isRegistered) await registerEndpoint(db, endpoint)
      isRegistered = true
      await inFlight.fewerThan(concurrency)
      if (isEnding) return idleMs
      const listed = await listNewDeliveries(db, endpoint.id)
      const room = concurrency - inFlight.size
      const claimedAtMark = performance.now()
      const claimed = await claimDeliveries(db, endpoint.id, room)
      for (const delivery of claimed) {
        inFlight.add(deliver(delivery, claimedAtMark)).catch((error) => {
          // Not recorded: the lease runs out, and the receiver gets it again under the same id.
          log.warn('event delivery was not recorded', { eventId: delivery.id, target: endpoint.origin, error })
        })
      }
      return claimed.length === room || listed > claimed.length ? 0 : idleMs
    },
    async stop() {
      isEnding = true
      const timer = setTimeout(() => stopping.abort(), patienceMs)
      await inFlight.landed()
      clearTimeout(timer)
      await receiver.close()
    },
  }
}

/** What an endpoint is called in the database and on the command line. */
function endpointIdOf(url: string): string {
  return `ep_${digest(url).slice(0, 24)}`
}

/** @returns null after the last try; up to a fifth of jitter, so that a receiver that comes back is not met by everything at once */
export function waitAfter(attempts: number, retryAfterSeconds = 0, random = Math.random()): number | null {
  const wait = waitsSeconds[attempts - 1]
  if (wait === undefined) return null
  return Math.max(wait * (1 + random / 5), Math.min(retryAfterSeconds, longestWaitSeconds))
}

export async function measureDeliveries(
  { db, metrics }: { db: Db; metrics: DeliveryMetrics },
  dispatchers: readonly Dispatcher[],
): Promise<void> {
  if (dispatchers.length === 0) return
  const { waiting, oldestSeconds, dead } = await deliveryBacklog(
    db,
    dispatchers.map(({ endpointId }) => endpointId),
  )
  metrics.deliveriesWaiting.set(waiting)
  metrics.oldestDeliverySeconds.set(oldestSeconds)
  metrics.deadLetters.set(dead)
}
