/**
 * Codes and tokens as TikTok's look: a prefix, a long random middle, and an exclamation mark with a number and a region.
 * A client that mangles such a string on its way should find out here.
 */
import { hash, randomBytes, randomFillSync } from 'node:crypto'

const randomBytesPerString = 42
/** Filled in one go: asking the system for every string takes longer than all the rest of a refresh. */
const pool = Buffer.alloc(randomBytesPerString * 1024)
let used = pool.length

/** It says whose it is, because nothing else in a call of the API does. */
export function newAccessToken(appMark: string): string {
  return `act.${appMark}${opaque().slice(appMark.length)}!6431.u1`
}

export function appMarkOf(clientKey: string): string {
  return hash('sha256', clientKey, 'base64url').slice(0, 8)
}

/** @returns undefined for what has not the shape of an access token */
export function appMarkIn(accessToken = ''): string | undefined {
  return /^act\.([\w-]{8})/.exec(accessToken)?.[1]
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
