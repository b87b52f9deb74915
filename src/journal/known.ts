// Which generation of each account this process has seen recorded, in twelve bytes an account: whoever meets a lower one in the database
// knows at once that it went back.

const slotWords = 3
const firstSlots = 1 << 10
/** 96 MiB. Accounts beyond are not remembered: their restore is noticed by the next look at the database's mark. */
const mostSlots = 1 << 23

export class KnownGenerations {
  #words = new Uint32Array(firstSlots * slotWords)
  #slots = firstSlots
  #size = 0

  get size(): number {
    return this.#size
  }

  /** Remembers the higher one. */
  note(accountId: string, generation: number): void {
    const [high, low] = hash(accountId)
    const isFull = this.#size * 2 >= this.#slots && !this.#grow()
    if (isFull && this.#words[this.#find(high, low) + 2] === 0) return
    this.#put(high, low, generation)
  }

  /** @returns 0 for an account that was not seen */
  of(accountId: string): number {
    const [high, low] = hash(accountId)
    return this.#words[this.#find(high, low) + 2] ?? 0
  }

  #put(high: number, low: number, generation: number): void {
    const at = this.#find(high, low)
    const known = this.#words[at + 2] ?? 0
    if (known === 0) this.#size++
    this.#words[at] = high
    this.#words[at + 1] = low
    this.#words[at + 2] = Math.max(known, generation)
  }

  /** The slot of the account, or the free one where it would go; a generation of 0 is a free slot. */
  #find(high: number, low: number): number {
    for (let slot = low & (this.#slots - 1); ; slot = (slot + 1) & (this.#slots - 1)) {
      const at = slot * slotWords
      if (this.#words[at + 2] === 0 || (this.#words[at] === high && this.#words[at + 1] === low)) return at
    }
  }

  #grow(): boolean {
    if (this.#slots >= mostSlots) return false
    const old = this.#words
    this.#slots *= 2
    this.#words = new Uint32Array(this.#slots * slotWords)
    this.#size = 0
    for (let at = 0; at < old.length; at += slotWords) {
      if (old[at + 2] !== 0) this.#put(old[at] ?? 0, old[at + 1] ?? 0, old[at + 2] ?? 0)
    }
    return true
  }
}

/** Sixty-four bits of two multiplicative hashes: two accounts of a million share them once in some million services. */
function hash(text: string): [number, number] {
  let high = 0x811c9dc5
  let low = 0x9e3779b9
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    high = Math.imul(high ^ code, 0x01000193)
    low = Math.imul(low ^ code, 0x85ebca6b)
    low ^= low >>> 13
  }
  high ^= high >>> 16
  return [high >>> 0, (low ^ (low >>> 16)) >>> 0]
}
