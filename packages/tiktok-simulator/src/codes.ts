/** Authorization codes: what each stands for, used once, within `code_seconds`. */
import { hash } from 'node:crypto'
import type { Clock } from './clock.ts'
import { newCode } from './opaque.ts'
import type { Person } from './person.ts'
import type { Settings } from './settings.ts'

export interface Authorization {
  readonly person: Person
  readonly asked: readonly string[]
  readonly scopes: readonly string[]
  readonly redirectUri: string
  readonly codeChallenge: string | undefined
}

export class Codes {
  readonly kept = { codes: new Map<string, { authorization: Authorization; expiresAt: number; used: boolean }>() }
  readonly #clock: Clock
  readonly #settings: Settings

  constructor(clock: Clock, settings: Settings) {
    this.#clock = clock
    this.#settings = settings
  }

  issue(authorization: Authorization): string {
    const code = newCode()
    this.kept.codes.set(code, { authorization, expiresAt: this.#clock.now() + this.#settings.code_seconds * 1000, used: false })
    return code
  }

  /** @returns what the code stands for, the first time; the code is spent then, whatever becomes of the exchange */
  spend(code: string): Authorization | undefined {
    const record = this.kept.codes.get(code)
    if (!record || record.used) return undefined
    record.used = true
    return this.#clock.now() < record.expiresAt ? record.authorization : undefined
  }

  /** Whose code it is, without spending it. */
  personOf(code: string): Person | undefined {
    return this.kept.codes.get(code)?.authorization.person
  }
}

/**
 * Whether the verifier belongs to the challenge. RFC 7636 §4.2 encodes the hash as base64url, TikTok's desktop page as
 * lower-case hex; an app that demands no PKCE is believed in either. TikTok is seen to take verifiers shorter than the RFC's 43.
 */
export function challengeMatches(mode: Settings['pkce'], challenge: string, verifier: string): boolean {
  if (verifier === '') return false
  const encoding = mode === 's256-hex' || (mode === 'off' && challenge.length === 64) ? 'hex' : 'base64url'
  return hash('sha256', verifier, encoding) === challenge
}
