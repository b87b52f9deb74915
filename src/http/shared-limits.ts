// Rate limits that all replicas share, when REDIS_URL is set. Limits protect the service; they must not be what takes it down: while Redis
// is away each request passes, and that is logged. What must be exact (quota, places) lives in PostgreSQL.
import type { Redis } from 'ioredis'
import type { Log } from '../telemetry.ts'
import type { HttpMetrics } from './metrics.ts'

/** A limit is worth no more waiting than this. */
const patienceMs = 250

/** @returns a connection for @fastify/rate-limit; it reconnects by itself and never holds up a request */
export async function openSharedLimits(
  url: string,
  { log, metrics }: { log: Log; metrics: Pick<HttpMetrics, 'redis'> },
): Promise<Redis> {
  // Only who shares limits pays for loading it.
  const { Redis } = await import('ioredis')
  const redis = new Redis(url, {
    connectTimeout: 2000,
    commandTimeout: patienceMs,
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    retryStrategy: (tries) => Math.min(5000, 100 * tries),
  })
  let away = false
  const is = (state: 'up' | 'away') => {
    for (const each of ['off', 'up', 'away'] as const) metrics.redis.set({ state: each }, each === state ? 1 : 0)
  }
  is('away')
  redis.on('error', (error) => {
    if (!away) log.error('rate limits are not shared: Redis is away', { error })
    away = true
    is('away')
  })
  redis.on('ready', () => {
    log.info('rate limits are shared through Redis')
    away = false
    is('up')
  })
  redis.on('close', () => is('away'))
  return redis
}

/**
 * One question to Redis, over a connection that is gone afterwards: for `doctor`, which has no use for one that comes back by itself.
 *
 * @returns `well`, what is in the way in one word, or the code of the network's error
 */
export async function askRedis(url: string): Promise<string> {
  const { Redis } = await import('ioredis')
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: 3000,
    commandTimeout: 3000,
    maxRetriesPerRequest: 0,
    enableReadyCheck: false,
    retryStrategy: () => null,
  })
  let trouble: unknown
  redis.on('error', (error) => {
    trouble = error
  })
  try {
    await redis.connect()
    await redis.ping()
    const [role] = (await redis.role().catch(() => [])) as unknown[]
    return role === 'slave' ? 'replica' : await mayScript(redis)
  } catch (error) {
    return redisTrouble(trouble ?? error)
  } finally {
    redis.disconnect()
  }
}

/** Limits are counted by a script that is sent along: EVALSHA of one that nobody has is refused for the right or for the script, and runs nothing. */
async function mayScript(redis: Redis): Promise<string> {
  return redis.evalsha('0'.repeat(40), 0).then(
    () => 'well',
    (error: unknown) => (String(error).includes('NOSCRIPT') ? 'well' : redisTrouble(error)),
  )
}

function redisTrouble(error: unknown): string {
  if (!(error instanceof Error)) return 'no answer'
  if (/NOAUTH|WRONGPASS|invalid (username|password)|without any password/i.test(error.message)) return 'password'
  if (/NOPERM/.test(error.message)) return 'rights'
  if (/LOADING/.test(error.message)) return 'loading'
  return 'code' in error && typeof error.code === 'string' ? error.code : 'no answer'
}
