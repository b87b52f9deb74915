/** Requests of the last minute, counted for whatever they are limited by: the app, or one token. */
import type { Clock } from './clock.ts'

const minuteMs = 60_000
/** Tokens come and go; those that were silent for a minute are forgotten when so many have gathered. */
const maxKeysKept = 1000

export class Rates {
  readonly kept = { times: new Map<string, number[]>() }
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Counts this request, unless it is one too many. @param limit null: not limited, and not counted */
  exceeded(what: string, limit: number | null): boolean {
    if (limit === null) return false
    const now = this.#clock.now()
    if (this.kept.times.size > maxKeysKept) this.#forgetSilent(now)
    const times = (this.kept.times.get(what) ?? []).filter((time) => time > now - minuteMs)
    const exceeded = times.length >= limit
    if (!exceeded) times.push(now)
    this.kept.times.set(what, times)
    return exceeded
  }

  #forgetSilent(now: number): void {
    for (const [what, times] of this.kept.times) if ((times.at(-1) ?? 0) <= now - minuteMs) this.kept.times.delete(what)
  }
}
