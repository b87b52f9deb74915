// Whether TikTok is to be asked at all, for all replicas: a gate in the database that trouble closes and one successful probe opens.
import { closeGate, type GateReason, openGate } from '../db/circuit-breakers.ts'
import { ServiceError } from '../errors.ts'
import type { Parts } from '../parts.ts'

/** Five failures in a row are not one account's bad luck. */
const stumblesBeforeClosing = 5
const firstClosedSeconds = 2

/** Consecutive failures of each process part to reach TikTok. */
const stumbles = new WeakMap<Parts, number>()

/** TikTok could not be reached or made no sense. */
export async function stumble(parts: Parts, { probing }: { probing: boolean }): Promise<void> {
  const inARow = (stumbles.get(parts) ?? 0) + 1
  stumbles.set(parts, inARow)
  if (inARow >= stumblesBeforeClosing || probing) await holdBack(parts, 'unavailable', firstClosedSeconds)
}

/** TikTok gave an answer that can be judged. */
export async function reached(parts: Parts, { probing }: { probing: boolean }): Promise<void> {
  stumbles.set(parts, 0)
  // Only the probe has to say so: without a closed gate there is nothing to open.
  if (!probing) return
  await quietly(parts, async () => {
    if (await openGate(parts.db)) parts.log.info('TikTok answers again')
  })
}

/** Holds all refreshes back on all replicas. */
export async function holdBack(parts: Parts, reason: GateReason, seconds: number): Promise<void> {
  await quietly(parts, async () => {
    await closeGate(parts.db, reason, seconds)
    parts.log.warn('refreshes were held back', { reason, retryAfterSeconds: seconds })
  })
}

/** The gate is an aid: when it cannot be written, the refresh that TikTok just answered must still be recorded. */
async function quietly(parts: Parts, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error
    parts.log.warn('gate was not written', { error })
  }
}
