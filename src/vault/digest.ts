// Digests of what we must recognise but never need back: states, API keys, confirm tokens.
import { createHmac, hash, randomBytes, timingSafeEqual } from 'node:crypto'

/** @returns a secret of `bytes` random bytes as base64url: 43 characters for the usual 32 */
export function randomToken(bytes = 32): string {
  return randomBytes(bytes).toString('base64url')
}

/**
 * SHA-256 in hex, as `sha256sum` and PostgreSQL print it. Without salt or slow hashing, because everything digested here has
 * 128 random bits or more.
 */
export function digest(text: string | Uint8Array): string {
  return hash('sha256', text, 'hex')
}

/** A token made of a secret and a text: whoever has both makes the same one again, and nobody else can. */
export function keyedDigest(secret: string, text: string): string {
  return createHmac('sha256', secret).update(text).digest('base64url')
}

/**
 * Compares two digests or signatures in constant time. Lengths are not hidden: to compare secrets that may differ in length,
 * digest both first.
 */
export function sameDigest(a: string | Uint8Array, b: string | Uint8Array): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}
