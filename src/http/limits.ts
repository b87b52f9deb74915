// How often who may come: a bucket for callers with a key, others for people, readers of the documentation and forgers. Each has its own memory, so
// that a crowd in one cannot make another forget, and none holds up the health checks.
import rateLimit, { normalizeIP } from '@fastify/rate-limit'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ServiceError } from '../errors.ts'
import type { Refusals } from '../refusals.ts'
import type { Config } from '../settings/config.ts'
import type { Log } from '../telemetry.ts'
import type { HttpMetrics } from './metrics.ts'
import { openSharedLimits } from './shared-limits.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** who counts an anonymous request; `none`: it is never limited here. A guarded route counts per key. */
    bucket?: 'pages' | 'docs' | 'none'
  }
}

/** A window's state of one caller; `ttlSeconds` until it is over. */
export interface State {
  isExceeded: boolean
  max: number
  remaining: number
  ttlSeconds: number
}

/** Counts a request; or with `increment: false` only looks. */
type Bucket = (request: FastifyRequest, options?: { increment: boolean }) => Promise<State>

export interface Limits {
  /** attempts that failed to prove who they are, by address */
  failures: Bucket
  /** notices that TikTok did not sign, by address */
  forgeries: Bucket
}

const windowMs = 60_000
/** Some 200 bytes each. Who comes from more networks than this in a minute has a share for each anyway. */
const rememberedAddresses = 50_000

/** An IPv6 address is one of the 2^64 that its owner has (a /64 counts as one), and an IPv4 address stays one however it is written. */
export function addressOf(request: FastifyRequest): string {
  return normalizeIP(request.ip ?? '')
}

/** Counts every request that comes through the guard, before its body costs anything. Has to be called before the routes are added. */
export async function limitRequests(
  app: FastifyInstance,
  { config, log, refusals, metrics }: { config: Config; log: Log; refusals: Refusals; metrics: Pick<HttpMetrics, 'redis'> },
): Promise<Limits> {
  if (config.redisUrl === undefined) metrics.redis.set({ state: 'off' }, 1)
  const redis = config.redisUrl === undefined ? undefined : await openSharedLimits(config.redisUrl, { log, metrics })
  if (redis) app.addHook('onClose', async () => redis.disconnect())
  await app.register(rateLimit, {
    global: false,
    timeWindow: windowMs,
    skipOnError: true,
    ...(redis ? { redis, nameSpace: 'tts-limit-' } : {}),
  })

  const bucket = (name: string, max: number, whose: (request: FastifyRequest) => string): Bucket => {
    // The type does not know it, the plugin does: without it each bucket would remember 5,000.
    const options = { max, cache: rememberedAddresses, keyGenerator: (request: FastifyRequest) => `${name}:${whose(request)}` }
    const count = app.createRateLimit(options)
    return async (request, call) => {
      const state = await count(request, call)
      if (state.isAllowed) throw new Error('No bucket has an allow-list')
      return { isExceeded: state.isExceeded, max, remaining: state.remaining, ttlSeconds: state.ttlInSeconds }
    }
  }
  const perMinute = config.rateLimitPerMinute
  const keys = bucket('key', perMinute, (request) => request.caller?.keyId ?? '')
  const crowds = { pages: bucket('pages', perMinute, addressOf), docs: bucket('docs', perMinute, addressOf) }

  app.addHook('preParsing', async (request, reply) => {
    if (request.is404) return
    const { caller, routeOptions } = request
    const { bucket: crowd = 'pages' } = routeOptions.config
    if (caller === null && crowd === 'none') return
    const state = await (caller === null ? crowds[crowd as 'pages' | 'docs'] : keys)(request)
    sayWhereItStands(reply, state)
    if (!state.isExceeded) return
    const who = caller?.keyId ?? addressOf(request)
    const facts = { requestId: request.id, route: routeOptions.url ?? '', ...(caller ? { keyId: who } : { address: who }) }
    refusals.note({ kind: 'rate_limited', event: 'rate limit was exceeded', who, facts })
    const whose = caller === null ? 'address' : 'key'
    throw tooMany(`Slow down; the limit is per ${whose} and minute.`, state)
  })

  return {
    failures: bucket('failed', Math.max(1, Math.floor(perMinute / 100)), addressOf),
    forgeries: bucket('forged', Math.max(10, Math.floor(perMinute / 100)), addressOf),
  }
}

/** @returns the failure for whoever has to wait until the window is over */
export function tooMany(sentence: string, { ttlSeconds }: Pick<State, 'ttlSeconds'>): ServiceError {
  return new ServiceError('rate_limited', sentence, { retryAfterSeconds: Math.max(1, ttlSeconds) })
}

function sayWhereItStands(reply: FastifyReply, { max, remaining, ttlSeconds }: State): void {
  reply.headers({ 'x-ratelimit-limit': max, 'x-ratelimit-remaining': remaining, 'x-ratelimit-reset': ttlSeconds })
}
