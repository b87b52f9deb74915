// Proof Key for Code Exchange (RFC 7636), in the standard's spelling and in TikTok's.
import { createHash, randomBytes } from 'node:crypto'

export type ChallengeMethod = 's256' | 's256-hex'

/** @returns 64 unreserved characters from 384 random bits; §4.1 asks for 43 to 128 characters and §7.1 for 256 bits */
export const createVerifier = (): string => randomBytes(48).toString('base64url')

/**
 * @param method `s256` is RFC 7636 §4.2; `s256-hex` is what TikTok checks for desktop apps, the lower-case hex of the same digest
 *   (/doc/login-kit-desktop). Both are announced as S256. `plain` does not exist here (§7.2).
 */
export const challengeOf = (verifier: string, method: ChallengeMethod): string =>
  createHash('sha256')
    .update(verifier, 'ascii')
    .digest(method === 's256' ? 'base64url' : 'hex')
