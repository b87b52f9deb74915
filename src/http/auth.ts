// Who may call what. Every route names a scope or says `public`; one that says neither fails the start (S31). Credentials are taken
// from the Authorization header only (S37).
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { ServiceError } from '../errors.ts'
import type { Parts } from '../parts.ts'
import { type ApiKeys, type Caller, type KeyScope, keyScopes } from './api-keys.ts'
import { type JwtCallers, looksLikeJwt, openJwtCallers } from './jwt-callers.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** the scope a key needs */
    scope?: KeyScope
    /** for everybody */
    public?: true
    /** for browsers: failures are pages, not problem+json */
    page?: true
  }
  interface FastifyRequest {
    caller: Caller | null
  }
}

/** Closes every route of this instance, and opens it for keys that have its scope. Has to be called before the routes are added. */
export function guardRoutes(app: FastifyInstance, { log, config, keyring }: Parts, apiKeys: ApiKeys): void {
  app.decorateRequest('caller', null)
  const jwtCallers = config.jwt === undefined ? undefined : openJwtCallers(config.jwt)

  app.addHook('onRoute', (route) => {
    const { scope, public: open } = route.config ?? {}
    if (!open && (scope === undefined || !keyScopes.includes(scope))) {
      throw new Error(`Route ${route.method} ${route.url} names no scope and is not public`)
    }
  })

  const failures = app.createRateLimit({
    max: Math.max(1, Math.floor(config.rateLimitPerMinute / 100)),
    timeWindow: 60_000,
    keyGenerator: (request) => `failed:${request.ip}`,
  })

  app.addHook('onRequest', async (request) => {
    const { scope, public: open, page } = request.routeOptions.config
    if (request.is404 || (open && !page)) return
    if (!keyring.fits)
      throw new ServiceError('keyring_mismatch', 'An operator has to put the right vault keys in place; nothing is lost.', {
        retryAfterSeconds: 30,
      })
    if (open) return
    const caller = await callerOf(request, apiKeys, jwtCallers)
    if (!caller) {
      const limit = await failures(request)
      log.warn('authentication failed', { requestId: request.id, route: request.routeOptions.url ?? '', outcome: 'refused' })
      if (!limit.isAllowed && limit.isExceeded) {
        throw new ServiceError(
          'rate_limited',
          'Too many requests without a valid key from this address; mend the key and wait.',
          {
            retryAfterSeconds: limit.ttlInSeconds,
          },
        )
      }
      throw new ServiceError(
        'unauthenticated',
        'Send `Authorization: Bearer KEY` with a live key; make one with `cli keys create`.',
      )
    }
    request.caller = caller
    if (scope === undefined || !caller.scopes.includes(scope)) {
      log.warn('scope was missing', {
        requestId: request.id,
        keyId: caller.keyId,
        route: request.routeOptions.url ?? '',
        outcome: 'refused',
      })
      throw new ServiceError('insufficient_scope', `This needs a key with the scope ${scope}.`)
    }
  })
}

/** @throws Error when the route is public: then nobody was asked */
export function requireCaller(request: FastifyRequest): Caller {
  if (!request.caller) throw new Error('A guarded route has a caller')
  return request.caller
}

async function callerOf(request: FastifyRequest, apiKeys: ApiKeys, jwtCallers?: JwtCallers): Promise<Caller | undefined> {
  const [, credential] = /^Bearer ([\x21-\x7e]{1,4096})$/i.exec(request.headers.authorization ?? '') ?? []
  if (credential === undefined) return undefined
  if (jwtCallers && looksLikeJwt(credential)) return jwtCallers.verify(credential)
  return apiKeys.verify(credential)
}
