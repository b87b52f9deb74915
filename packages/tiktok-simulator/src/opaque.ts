/**
 * Codes and tokens as TikTok's look: a prefix, a long random middle, and an exclamation mark with a number and a region.
 * A client that mangles such a string on its way should find out here.
 */
import { randomBytes, randomFillSync } from 'node:crypto'

const randomBytesPerString = 42
/** Filled in one go: asking the system for every string takes longer than all the rest of a refresh. */
const pool = Buffer.alloc(randomBytesPerString * 1024)
let used = pool.length

export function newAccessToken(): string {
  return `act.${opaque()}!6431.u1`
}

export function newRefreshToken(): string {
  return `rft.${opaque()}!6432.u1`
}

export function newClientToken(): string {
  return `clt.${opaque()}`
}

/** Neither the star nor the exclamation mark is safe in a URL unencoded. */
export function newCode(): string {
  return `${opaque()}*1!6431.u1`
}

/** As TikTok names publications, uploads and posts: more digits than a number of JavaScript holds. */
export function someDigits(count: number): string {
  return Array.from(randomBytes(count), (byte, index) => (index === 0 ? 1 + (byte % 9) : byte % 10)).join('')
}

function opaque(): string {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  used += randomBytesPerString
  return pool.toString('base64url', used - randomBytesPerString, used)
}
