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
