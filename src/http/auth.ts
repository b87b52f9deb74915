// Who may call what. Every route names a scope or says `public`; one that says neither fails the start (S31). Credentials are taken
// from the Authorization header only (S37).
import type { FastifyContextConfig, FastifyInstance, FastifyRequest } from 'fastify'
import { everything, isNarrow, reachesOwner } from '../access/reach.ts'
import { within } from '../concurrency/waiting.ts'
import type { Db } from '../db/client.ts'
import { accountInReach, sessionInReach } from '../db/reach.ts'
import { accountNotFound, ownerNotFound, ServiceError, sessionNotFound } from '../errors.ts'
import type { Epoch } from '../journal/epoch.ts'
import type { Refusals } from '../refusals.ts'
import type { Config } from '../settings/config.ts'
import { digest, sameDigest } from '../vault/digest.ts'
import { type ApiKeys, type Caller, type KeyScope, keyScopes } from './api-keys.ts'
import type { JwtCallers } from './jwt-callers.ts'
import { addressOf, type Limits, type State, tooMany } from './limits.ts'
import type { HttpMetrics } from './metrics.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** the scope a key needs; of several, any one */
    scope?: KeyScope | readonly [KeyScope, ...KeyScope[]]
    /** answered also while the database is away: to METRICS_TOKEN, and to keys that were live when they were last looked up */
    withoutDatabase?: true
    /** for everybody */
    public?: true
    /**
     * How a narrowed caller is kept within its reach. Unless it is said, by the account, owner or session in the path; `filtered`: the
     * statement leaves out what is outside; `nothing`: the route tells of no account and no owner (S74).
     */
    reach?: 'filtered' | 'nothing'
    /** what a HEAD does instead of the handler, where a GET takes something that can be taken once, or is written down */
    onHead?: (request: FastifyRequest) => unknown
    /** for browsers: failures are pages, not problem+json */
    page?: true
  }
  interface FastifyRequest {
    caller: Caller | null
  }
}

export interface GuardDeps {
  db: Db
  refusals: Refusals
  metrics: Pick<HttpMetrics, 'jwksFetches' | 'jwksFetchedAt'>
  config: Pick<Config, 'jwt' | 'metrics'>
  keyring: { readonly fits: boolean }
  epoch: Pick<Epoch, 'admit'>
}

/** Closes every route of this instance, and opens it for keys that have its scope. Has to be called before the routes are added. */
export async function guardRoutes(
  app: FastifyInstance,
  { db, refusals, metrics, config, keyring, epoch }: GuardDeps,
  { apiKeys, failures }: { apiKeys: ApiKeys; failures: Limits['failures'] },
): Promise<void> {
  app.decorateRequest('caller', null)
  let jwtCallers: JwtCallers | undefined
  if (config.jwt !== undefined) {
    const { openJwtCallers, openJwtDenials } = await import('./jwt-callers.ts')
    jwtCallers = openJwtCallers(config.jwt, openJwtDenials(db), { metrics })
  }
  const prove = proofs(failures)

  app.addHook('onRoute', (route) => {
    const { public: open } = route.config ?? {}
    const scopes = scopesOf(route.config)
    if (!open && (scopes.length === 0 || !scopes.every((scope) => keyScopes.includes(scope)))) {
      throw new Error(`Route ${route.method} ${route.url} names no scope and is not public`)
    }
    if (!open && route.config?.reach === undefined && !/:(account_id|owner_id|session_id)\b/.test(route.url))
      throw new Error(`Route ${route.method} ${route.url} does not say how it keeps a narrowed caller within its reach`)
  })

  app.addHook('onRequest', async (request) => {
    const { public: open, page, withoutDatabase } = request.routeOptions.config
    const scopes = scopesOf(request.routeOptions.config)
    if (request.is404 || (open && !page)) return
    if (withoutDatabase && hasMetricsToken(request, config)) {
      request.caller = metricsCaller
      return
    }
    if (!keyring.fits)
      throw new ServiceError('keyring_mismatch', 'An operator has to put the right vault keys in place; nothing is lost.', {
        retryAfterSeconds: 30,
      })
    // Before the key is looked up: it may be one that was revoked after the moment the database went back to.
    if (!scopes.includes('ops:read')) await epoch.admit(scopes.includes('tokens:read') ? 'vend' : 'anything')
    if (open) return
    const facts = { requestId: request.id, route: request.routeOptions.url ?? '' }
    const outcome = await prove(request, credentialOf(request, apiKeys, jwtCallers))
    if ('failed' in outcome) {
      const who = addressOf(request)
      refusals.note({ kind: 'unauthenticated', event: 'authentication failed', who, facts: { ...facts, address: who } })
      throw outcome.failed
    }
    const { caller } = outcome
    request.caller = caller
    if (!scopes.some((scope) => caller.scopes.includes(scope))) {
      const { keyId } = caller
      refusals.note({ kind: 'insufficient_scope', event: 'scope was missing', who: keyId, facts: { ...facts, keyId } })
      throw new ServiceError('insufficient_scope', `This needs a key with the scope ${scopes.join(' or ')}.`, {
        scope: scopes[0] ?? '',
      })
    }
  })

  // After the validation: what is outside is answered like what does not exist, word for word.
  app.addHook('preHandler', async ({ caller, params, routeOptions }) => {
    if (caller === null || routeOptions.config.reach !== undefined || !isNarrow(caller.reach)) return
    const { accountId, ownerId, sessionId } = params as { accountId?: string; ownerId?: string; sessionId?: string }
    const { reach } = caller
    if (accountId !== undefined && !(await accountInReach(db, reach, accountId))) throw accountNotFound()
    if (ownerId !== undefined && !reachesOwner(reach, ownerId)) throw ownerNotFound()
    if (sessionId !== undefined && !(await sessionInReach(db, reach, sessionId))) throw sessionNotFound()
  })
}

/** @returns the scopes any of which opens a route; none for a public one */
export function scopesOf(config: FastifyContextConfig | undefined): readonly KeyScope[] {
  return [config?.scope ?? []].flat()
}

/** @throws Error when the route is public: then nobody was asked */
export function requireCaller(request: FastifyRequest): Caller {
  if (!request.caller) throw new Error('A guarded route has a caller')
  return request.caller
}

interface Credential {
  /** whether it was good a moment ago: to ask for it again is no guess */
  isKnown: boolean
  verify(): Promise<Caller | undefined>
}

/** What the request carries; undefined when there is nothing that could be one. */
/** Some identity providers write twelve kilobytes of roles into a token; Node takes sixteen of headers. */
function credentialOf(request: FastifyRequest, apiKeys: ApiKeys, jwtCallers?: JwtCallers): Credential | undefined {
  const [, text] = /^Bearer ([\x21-\x7e]{1,12288})$/i.exec(request.headers.authorization ?? '') ?? []
  if (text === undefined) return undefined
  const address = request.ip
  if (jwtCallers && /^[\w-]+\.[\w-]+\.[\w-]*$/.test(text))
    return { isKnown: jwtCallers.knows(text), verify: () => jwtCallers.verify(text, address) }
  const { withoutDatabase } = request.routeOptions.config
  return {
    isKnown: apiKeys.knows(text),
    verify: () => (withoutDatabase ? verifiedOrLastKnown(apiKeys, text, address) : apiKeys.verify(text, address)),
  }
}

/** Who scrapes waits a few seconds at most, and a database that is away may take longer to be noticed. */
const scrapePatienceMs = 1000

async function verifiedOrLastKnown(apiKeys: ApiKeys, text: string, address: string): Promise<Caller | undefined> {
  const lastKnown = apiKeys.lastKnown(text, address)
  if (!lastKnown) return apiKeys.verify(text, address)
  const verified = apiKeys.verify(text, address).catch((error) => {
    if (error instanceof ServiceError) return lastKnown
    throw error
  })
  return within(verified, scrapePatienceMs, () => lastKnown)
}

const metricsCaller: Caller = { keyId: 'metrics-token', name: 'METRICS_TOKEN', scopes: ['ops:read'], reach: everything }

export function hasMetricsToken(request: FastifyRequest, { metrics }: Pick<Config, 'metrics'>): boolean {
  const [, text] = /^Bearer ([\x21-\x7e]{1,4096})$/i.exec(request.headers.authorization ?? '') ?? []
  return text !== undefined && metrics.token !== undefined && sameDigest(digest(text), digest(metrics.token))
}

type Proof = (
  request: FastifyRequest,
  credential: Credential | undefined,
) => Promise<{ caller: Caller } | { failed: ServiceError }>

/**
 * Guesses are limited per address before anything is looked up for them (S80). Those under way count as failed until they are settled, so that five
 * hundred at once cost no more look-ups than one after the other; whoever comes meanwhile waits.
 */
function proofs(failures: Limits['failures']): Proof {
  const underWay = new Map<string, { count: number; state: State; settled: PromiseWithResolvers<void> }>()

  /** @returns the refusal when the address has no guess left; otherwise one is taken, and `settle` gives it back */
  async function takeGuess(request: FastifyRequest, address: string): Promise<ServiceError | undefined> {
    for (let state = await look(request); ; ) {
      if (state.remaining === 0)
        return tooMany('Too many requests without a valid key from this address; mend the key and wait.', state)
      const present = underWay.get(address)
      if ((present?.count ?? 0) < state.remaining) {
        underWay.set(address, { settled: Promise.withResolvers(), ...present, count: (present?.count ?? 0) + 1, state })
        return undefined
      }
      await present?.settled.promise
      state = underWay.get(address)?.state ?? (await look(request))
    }
  }

  const look = (request: FastifyRequest) => failures(request, { increment: false })

  function settle(address: string, state?: State): void {
    const present = underWay.get(address)
    if (!present) return
    const count = present.count - 1
    if (count === 0) underWay.delete(address)
    else underWay.set(address, { count, state: state ?? present.state, settled: Promise.withResolvers() })
    present.settled.resolve()
  }

  return async (request, credential) => {
    if (credential?.isKnown) {
      const caller = await credential.verify()
      if (caller) return { caller }
    }
    const address = addressOf(request)
    const refusal = await takeGuess(request, address)
    if (refusal) return { failed: refusal }
    let state: State | undefined
    try {
      const caller = credential?.isKnown ? undefined : await credential?.verify()
      if (caller) return { caller }
      state = await failures(request)
    } finally {
      settle(address, state)
    }
    const sentence = 'Send `Authorization: Bearer KEY` with a live key; make one with `cli keys create`.'
    return { failed: new ServiceError('unauthenticated', sentence) }
  }
}
