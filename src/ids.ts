// Opaque ids with a type prefix. They sort by the time they were made, so that a list by id is a list by age and a b-tree
// grows at its end; the rest is 80 random bits. The time is for order only, nothing is decided by it.
import { randomPages } from './vault/random-pages.ts'

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz' // Crockford's base 32, lower case

const freshBytes = randomPages(16)

export type IdPrefix = 'acc' | 'cs' | 'upl' | 'evt' | 'key' | 'att' | 'rev' | 'req' | 'rep' | 'rcn'

/** @returns such as `acc_01k9z3…`: prefix, 9 characters of time (milliseconds), 16 of randomness */
export function newId(prefix: IdPrefix): string {
  let time = Date.now()
  let stamp = ''
  for (let i = 0; i < 9; i++) {
    stamp = alphabet[time % 32] + stamp
    time = Math.floor(time / 32)
  }
  let random = ''
  for (const byte of freshBytes()) random += alphabet[byte & 31]
  return `${prefix}_${stamp}${random}`
}
