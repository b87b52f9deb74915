// One promise per key in this process, with a hard deadline. A flight belongs to the process and never to the request that
// started it: a caller who hangs up does not abort a refresh (S13), and one that never settles cannot block the next (F56).
import { within } from './waiting.ts'

export class SingleFlight<T> {
  readonly #inFlight = new Map<string, Promise<T>>()
  readonly #deadlineMs: number
  readonly #onDeadline: (key: string) => T
  #started = 0

  constructor(deadlineMs: number, onDeadline: (key: string) => T) {
    this.#deadlineMs = deadlineMs
    this.#onDeadline = onDeadline
  }

  /** Joins the flight of this key or starts it. */
  join(key: string, start: () => Promise<T>): Promise<T> {
    return this.#inFlight.get(key) ?? this.#launch(key, start)
  }

  /** Starts it in any case, after the present flight of this key has landed; whoever joins from now on joins this one. */
  follow(key: string, start: () => Promise<T>): Promise<T> {
    const present = this.#inFlight.get(key)
    return this.#launch(key, present ? () => present.then(start, start) : start)
  }

  has(key: string): boolean {
    return this.#inFlight.has(key)
  }

  /** how many were ever started */
  get started(): number {
    return this.#started
  }

  get size(): number {
    return this.#inFlight.size
  }

  /** Waits until all that is in flight has landed, however it landed. */
  async landed(): Promise<void> {
    while (this.#inFlight.size > 0) await Promise.allSettled([...this.#inFlight.values()])
  }

  #launch(key: string, start: () => Promise<T>): Promise<T> {
    this.#started++
    const flight = within(start(), this.#deadlineMs, () => this.#onDeadline(key)).finally(() => {
      if (this.#inFlight.get(key) === flight) this.#inFlight.delete(key)
    })
    // A flight nobody waits for any more must not end the process when it fails; whoever joins still sees the failure.
    flight.catch(() => undefined)
    this.#inFlight.set(key, flight)
    return flight
  }
}
