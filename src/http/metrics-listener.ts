// /metrics on a port of its own (METRICS_PORT): for a scraper inside the network, which needs no key and no database.
import Fastify from 'fastify'
import { ServiceError } from '../errors.ts'
import type { Exposition } from '../meter.ts'
import type { Config } from '../settings/config.ts'
import type { Log } from '../telemetry.ts'
import { hasMetricsToken } from './auth.ts'
import { answerFailure, routeNotFound } from './failures.ts'
import { listen } from './listen.ts'
import { sendMetrics } from './operations.ts'

export interface MetricsListener {
  url: string
  close(): Promise<void>
}

/** @throws ConfigError about HOST and METRICS_PORT */
export async function openMetricsListener(
  deps: { config: Config; metrics: { registry: Exposition }; log: Log },
  port: number,
): Promise<MetricsListener> {
  const { config, metrics, log } = deps
  const app = Fastify({
    logger: false,
    bodyLimit: 1024,
    http: { headersTimeout: 4000, connectionsCheckingInterval: 1000 },
    requestTimeout: 5000,
    connectionTimeout: 30_000,
    keepAliveTimeout: 30_000,
    forceCloseConnections: true,
  })
  app.setErrorHandler((error, request, reply) => answerFailure(deps, error, request, reply))
  app.setNotFoundHandler((request, reply) => answerFailure(deps, routeNotFound(), request, reply))
  app.get('/metrics', async (request, reply) => {
    if (config.metrics.token !== undefined && !hasMetricsToken(request, config))
      throw new ServiceError('unauthenticated', 'Send `Authorization: Bearer METRICS_TOKEN`.')
    return sendMetrics(metrics, reply)
  })
  const url = await listen(app, { host: config.host, port, variable: 'METRICS_PORT' })
  log.info('metrics are served on a port of their own', { url })
  return { url, close: () => app.close() }
}
