// One-way keeping: what we must recognise but never need back (states, API keys, confirm tokens) is stored as a digest.
import { hash, randomBytes, timingSafeEqual } from 'node:crypto'

/** @returns a secret of `bytes` random bytes as base64url: 43 characters for the usual 32 */
export function randomToken(bytes = 32): string {
  return randomBytes(bytes).toString('base64url')
}

/**
 * SHA-256 in hex, as `sha256sum` and PostgreSQL print it. No salt and no slow hash: what is digested here has 128 random
 * bits or more, so there is nothing to guess.
 */
export function digest(text: string | Uint8Array): string {
  return hash('sha256', text, 'hex')
}

/**
 * Compares two digests (or two signatures) in a time that does not tell where they differ. The lengths are public: to compare
 * secrets that may differ in length, digest both first.
 */
export function sameDigest(a: string | Uint8Array, b: string | Uint8Array): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}
