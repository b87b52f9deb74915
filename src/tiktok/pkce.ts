// Proof Key for Code Exchange (RFC 7636), in the standard's spelling and in TikTok's.
import { createHash, randomBytes } from 'node:crypto'

export type ChallengeMethod = 's256' | 's256-hex'

/** @returns 64 unreserved characters from 384 random bits. RFC 7636 §4.1 wants 43 to 128 characters, RFC 7636 §7.1 wants 256 bits. */
export const createVerifier = (): string => randomBytes(48).toString('base64url')

/**
 * @param method `s256` is RFC 7636 §4.2. `s256-hex` is the same digest in lower-case hex, which TikTok checks for desktop apps
 *   (docs/tiktok.md §1). Both are announced as S256; `plain` is not offered (RFC 7636 §7.2).
 */
export const challengeOf = (verifier: string, method: ChallengeMethod): string =>
  createHash('sha256')
    .update(verifier, 'ascii')
    .digest(method === 's256' ? 'base64url' : 'hex')
