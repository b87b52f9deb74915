// Spreads refreshes after an outage: so many a second, with a small burst. Callers who wait for their token are served at once and
// leave less for the background (F55).
export class Bucket {
  readonly #perSecond: number
  readonly #burst: number
  readonly #now: () => number
  #level: number
  #filledAt: number

  /** @param now a monotonic clock in milliseconds */
  constructor(perSecond: number, burst: number, now: () => number = () => performance.now()) {
    this.#perSecond = perSecond
    this.#burst = burst
    this.#now = now
    this.#level = burst
    this.#filledAt = now()
  }

  /** What the background may take just now, a whole number from 0. */
  get available(): number {
    this.#fill()
    return Math.max(0, Math.floor(this.#level))
  }

  take(count: number): void {
    this.#fill()
    this.#level -= count
  }

  /** How long until there is one to take. */
  get waitMs(): number {
    this.#fill()
    return this.#level >= 1 ? 0 : ((1 - this.#level) / this.#perSecond) * 1000
  }

  #fill(): void {
    const now = this.#now()
    this.#level = Math.min(this.#burst, this.#level + ((now - this.#filledAt) / 1000) * this.#perSecond)
    this.#filledAt = now
  }
}
