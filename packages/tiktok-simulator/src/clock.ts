/**
 * The simulator's own clock. Every expiry follows it, so a test can let half a year pass in one call. Webhooks do not:
 * their receiver checks them against its own, unmoved clock.
 */
import { z } from 'zod'

/** A thousand years: every moment that is reckoned with stays one that can be written down. */
export const longestSeconds = 1000 * 365 * 86_400
export const Offset = z.number().min(-longestSeconds).max(longestSeconds)

export const ClockChange = z
  .strictObject({
    advance_seconds: Offset.optional().describe('From where it is now'),
    offset_seconds: Offset.optional().describe("From the machine's clock; 0 is the present"),
  })
  .refine((change) => (change.advance_seconds === undefined) !== (change.offset_seconds === undefined), {
    message: 'give either advance_seconds or offset_seconds',
  })
export type ClockChange = z.infer<typeof ClockChange>

export class Clock {
  readonly kept = { offsetMs: 0 }
  readonly #listeners: (() => void)[] = []

  /** Milliseconds since 1970, as the simulator sees it. */
  now(): number {
    return Date.now() + this.kept.offsetMs
  }

  /** @param listener called after every step, for what has become due by it */
  onStep(listener: () => void): void {
    this.#listeners.push(listener)
  }

  /** @throws ZodError when it would leave the thousand years */
  advance(seconds: number): void {
    this.#step(this.kept.offsetMs / 1000 + seconds)
  }

  /** How far ahead of the machine's clock; 0 brings the present back. */
  setOffset(seconds: number): void {
    this.#step(seconds)
  }

  change(change: ClockChange): void {
    if (change.advance_seconds !== undefined) this.advance(change.advance_seconds)
    else this.setOffset(change.offset_seconds ?? 0)
  }

  #step(offsetSeconds: number): void {
    this.kept.offsetMs = Offset.parse(offsetSeconds) * 1000
    for (const tell of this.#listeners) tell()
  }

  report() {
    return { now: new Date(this.now()).toISOString(), offset_seconds: this.kept.offsetMs / 1000 }
  }
}
