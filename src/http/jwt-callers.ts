// Callers that come with a JWT of their own identity provider (RFC 9068) instead of an API key. What is believed is pinned here and in our
// configuration: algorithms, type, issuer, audience, and which caller may do what. A token cannot grant itself a scope.
import { createRemoteJWKSet, customFetch, errors, type JWTVerifyGetKey, jwtVerify } from 'jose'
import { everything, isFrom, narrower, type Reach } from '../access/reach.ts'
import { listJwtCallers } from '../db/api-keys.ts'
import type { Db } from '../db/client.ts'
import { ServiceError } from '../errors.ts'
import type { Config } from '../settings/config.ts'
import { digest } from '../vault/digest.ts'
import type { Caller } from './api-keys.ts'
import type { HttpMetrics } from './metrics.ts'

export interface JwtCallers {
  /** whether this process has found the token good before; `verify` says whether it still is */
  knows(token: string): boolean
  /**
   * @returns the caller, with the scopes our configuration gives it; undefined for anything but a live token for us
   * @throws ServiceError storage_unavailable: the provider's keys cannot be had, so nobody is believed (S60)
   */
  verify(token: string, address: string): Promise<Caller | undefined>
}

export interface JwtDenials {
  /**
   * Whether an operator denied the caller, or everybody and not this one.
   *
   * @throws ServiceError storage_unavailable: who cannot be looked up is refused, not believed (S60)
   */
  include(callerId: string): Promise<boolean>
}

/** Denied callers stop on every replica within 5 s, as revoked keys do. There are few, so all are read at once. */
export function openJwtDenials(db: Db, { cachedForMs = 4000 } = {}): JwtDenials {
  let known: { readAtMs: number; rows: Promise<Map<string, boolean>> } | undefined
  const read = async () => new Map((await listJwtCallers(db)).map(({ id, revokedAt }) => [id, revokedAt !== null]))

  return {
    async include(callerId) {
      if (!known || performance.now() - known.readAtMs > cachedForMs) {
        const rows = read()
        known = { readAtMs: performance.now(), rows }
        rows.catch(() => {
          known = undefined
        })
      }
      const decided = await known.rows
      return decided.get(callerId) ?? decided.get('jwt:*') ?? false
    },
  }
}

/** Signatures with a public key only: with `none` anybody signs, with HS256 whoever can read the JWKS does (RFC 8725 §3.1). */
const algorithms = ['RS256', 'ES256', 'EdDSA', 'Ed25519']
/** An ID token of the same provider is not meant for an API (RFC 9068 §2.1). */
const type = 'at+jwt'
const clockToleranceSeconds = 5
const rememberedTokens = 10_000

type JwksMetrics = Pick<HttpMetrics, 'jwksFetches' | 'jwksFetchedAt'>

/**
 * @param timings.cooldownMs an unknown key id makes us ask the provider again, but not more often than this
 */
export function openJwtCallers(
  settings: NonNullable<Config['jwt']>,
  denials: JwtDenials,
  {
    timeoutMs = 3000,
    cooldownMs = 10_000,
    afterFailureMs = 2000,
    metrics,
  }: { timeoutMs?: number; cooldownMs?: number; afterFailureMs?: number; metrics?: JwksMetrics } = {},
): JwtCallers {
  const { jwksUrl, issuer, audience, claim, maxAgeSeconds, scopes, reaches } = settings
  const keys = createRemoteJWKSet(new URL(jwksUrl), {
    timeoutDuration: timeoutMs,
    cooldownDuration: cooldownMs,
    [customFetch]: fetchCounted,
  })
  let leftAloneUntil = 0
  const good = new Set<string>()

  async function fetchCounted(url: string, options: RequestInit): Promise<Response> {
    const answer = await fetch(url, options).catch((error) => {
      metrics?.jwksFetches.inc({ outcome: 'failed' })
      throw error
    })
    metrics?.jwksFetches.inc({ outcome: answer.ok ? 'fetched' : 'failed' })
    if (answer.ok) metrics?.jwksFetchedAt.set(Date.now() / 1000)
    return answer
  }

  const keyOf: JWTVerifyGetKey = async (header, token) => {
    // A provider that is down is not asked once per request: whoever sends rubbish would decide how often.
    const isAtHand = keys.fresh && keys.jwks()?.keys.some(({ kid }) => kid === header.kid)
    if (!isAtHand && performance.now() < leftAloneUntil) throw unavailable()
    try {
      return await keys(header, token)
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) throw error
      leftAloneUntil = performance.now() + afterFailureMs
      throw unavailable(error)
    }
  }

  /** The oldest goes when it gets crowded: forgotten means counted among guesses, no more. */
  function remember(token: string): void {
    good.add(token)
    const [oldest] = good
    if (good.size > rememberedTokens && oldest !== undefined) good.delete(oldest)
  }

  return {
    knows: (token) => good.has(digest(token)),

    async verify(token, address) {
      try {
        const { payload } = await jwtVerify(token, keyOf, {
          algorithms,
          typ: type,
          issuer,
          audience,
          clockTolerance: clockToleranceSeconds,
          requiredClaims: ['exp', 'iat', 'sub'],
          maxTokenAge: maxAgeSeconds,
        })
        if (typeof payload.sub !== 'string' || payload.sub === '') return undefined
        const values = textsOf(payload[claim])
        const granted = values.flatMap((text) => scopes.get(text) ?? [])
        // Whoever is several is held to what narrows any of them: otherwise a role that reads tokens would do so everywhere.
        const narrowed = values.flatMap((text) => reaches.get(text) ?? [])
        if (!narrowed.every(({ networks }) => isFrom(networks, address))) return undefined
        const reach = narrowed.reduce<Reach>(narrower, everything)
        const keyId = `jwt:${auditableSubject(payload.sub)}`
        if (await denials.include(keyId)) return undefined
        remember(digest(token))
        return { keyId, name: keyId, scopes: [...new Set(granted)], reach }
      } catch (error) {
        if (error instanceof ServiceError) throw error
        return undefined // which check failed helps only whoever is trying
      }
    },
  }
}

/** One caller, or the roles and groups of one. */
function textsOf(value: unknown): string[] {
  return (Array.isArray(value) ? value : [value]).filter((text) => typeof text === 'string')
}

/** What an operator means by `jwt:SUBJECT`: a hash that the audit showed stands for itself, and `*` for everybody. */
export function jwtCallerNamed(text: string): string {
  const subject = text.slice('jwt:'.length)
  return /^(~\w{32}|\*)$/.test(subject) ? text : `jwt:${auditableSubject(subject)}`
}

/** What stands in the audit: the subject as it is, or its hash when it is long or holds what a log should not. */
function auditableSubject(subject: string): string {
  return /^[\w.:@|/-]{1,96}$/.test(subject) ? subject : `~${digest(subject).slice(0, 32)}`
}

const unavailable = (cause?: unknown) =>
  new ServiceError('storage_unavailable', "The identity provider's keys cannot be had just now; try again in a moment.", {
    cause,
    retryAfterSeconds: 2,
  })
