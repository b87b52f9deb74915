// Work that is under way, counted: so much at once and no more, and an end that waits for all of it.
export class InFlight {
  readonly #running = new Set<Promise<void>>()

  get size(): number {
    return this.#running.size
  }

  /** @returns the work itself: its failure is the caller's to handle */
  add<T>(work: Promise<T>): Promise<T> {
    const settled: Promise<void> = work.then(
      () => undefined,
      () => undefined,
    )
    this.#running.add(settled)
    void settled.then(() => this.#running.delete(settled))
    return work
  }

  /** Waits until fewer than `limit` are under way. */
  async fewerThan(limit: number): Promise<void> {
    while (this.#running.size >= limit) await Promise.race(this.#running)
  }

  /** Waits until nothing is under way. */
  async landed(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running)
  }
}

/** Does the work for every item, at most `limit` at once. After a failure nothing new is begun; the first one is thrown at the end. */
export async function forEachAtMost<T>(limit: number, items: Iterable<T>, work: (item: T) => Promise<unknown>): Promise<void> {
  const inFlight = new InFlight()
  const failures: unknown[] = []
  for (const item of items) {
    await inFlight.fewerThan(limit)
    if (failures.length > 0) break
    inFlight.add(work(item)).catch((error) => failures.push(error))
  }
  await inFlight.landed()
  if (failures.length > 0) throw failures[0]
}
