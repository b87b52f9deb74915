// What ops look at: is the process alive, may it be given work, what is it doing.
import type { FastifyReply } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { Exposition } from '../meter.ts'
import { checkReadiness, type Readiness, type ReadinessDeps } from '../replica/readiness.ts'
import { answerAs, failuresOf } from './openapi.ts'

const Health = z
  .object({
    status: z.enum(['ok', 'unavailable']).describe('Whether it may be given work'),
    checks: z
      .object({
        database: z.enum(['ok', 'unavailable']).describe('Whether it answers'),
        keyring: z.enum(['ok', 'mismatch', 'unknown']).describe('Whether the vault keys fit the database'),
        migrations: z.enum(['ok', 'pending', 'unknown']).describe('Whether the database is as this release needs it'),
        journal: z.enum(['ok', 'database_rewound', 'unknown']).describe('Whether the database is where the journals left it'),
      })
      .meta({ id: 'HealthChecks', description: 'Each part by itself' }),
    unsaved_tokens: z.int().describe('Token answers that wait for the database; not 0 means not ready'),
  })
  .meta({
    id: 'Health',
    description: 'How the service is',
    examples: [{ status: 'ok', checks: { database: 'ok', keyring: 'ok', migrations: 'ok', journal: 'ok' }, unsaved_tokens: 0 }],
  })

const Liveness = z
  .object({ status: z.literal('ok').describe('The only answer of a process that lives') })
  .meta({ id: 'Liveness', description: 'It is alive' })

/** Probes come from many sides at once; the database is asked at most twice a second. */
const rememberedForMs = 500

export type OperationRouteDeps = ReadinessDeps & { metrics: { registry: Exposition } }

export const operationRoutes: FastifyPluginAsyncZod<OperationRouteDeps> = async (app, deps) => {
  let last: { at: number; readiness: Promise<Readiness> } | undefined
  const readiness = () => {
    if (!last || performance.now() - last.at > rememberedForMs) last = { at: performance.now(), readiness: checkReadiness(deps) }
    return last.readiness
  }
  const health = async () => {
    const { ready, checks, unsaved } = await readiness()
    // Asked anew each time: what was remembered a moment ago may be from before the end began.
    const well = ready && unsaved === 0 && !deps.leaving.aborted
    return {
      code: well ? (200 as const) : (503 as const),
      body: { status: well ? ('ok' as const) : ('unavailable' as const), checks, unsaved_tokens: unsaved },
    }
  }

  for (const url of ['/health', '/health/ready']) {
    app.get(
      url,
      {
        config: { public: true, bucket: 'none' },
        schema: {
          tags: ['probes'],
          operationId: url === '/health' ? 'getHealth' : 'getReadiness',
          summary: url === '/health' ? 'How the service is' : 'May this process be given work?',
          description: 'Asks the database, at most twice a second, and never TikTok.',
          response: { 200: Health, 503: Health.describe('Not ready') },
        },
      },
      async (_request, reply) => {
        const { code, body } = await health()
        if (code === 503) reply.header('retry-after', '1')
        return reply.code(code).header('cache-control', 'no-store').send(body)
      },
    )
  }

  app.get(
    '/health/live',
    {
      config: { public: true, bucket: 'none' },
      schema: {
        tags: ['probes'],
        operationId: 'getLiveness',
        summary: 'Is the process alive?',
        description: 'Looks at nothing outside the process.',
        response: { 200: Liveness },
      },
    },
    async () => ({ status: 'ok' as const }),
  )

  app.get(
    '/metrics',
    {
      config: { scope: 'ops:read', reach: 'nothing', withoutDatabase: true },
      schema: {
        tags: ['probes'],
        operationId: 'getMetrics',
        summary: 'Metrics in Prometheus format',
        description:
          'Also for `METRICS_TOKEN`. While the database is away it goes on: with the last values of what comes from there (`database_gauges_age_seconds` says how old), for that token and for keys that were live when they were last looked up.',
        response: { 200: answerAs('Prometheus text', 'text/plain'), ...failuresOf([]) },
      },
    },
    async (_request, reply) => {
      return sendMetrics(deps.metrics, reply)
    },
  )
}

export async function sendMetrics({ registry }: { registry: Exposition }, reply: FastifyReply): Promise<FastifyReply> {
  return reply
    .type(registry.contentType)
    .serializer(String)
    .send(await registry.metrics())
}
