// Access tokens over HTTP.
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { FailureCode } from '../failures.ts'
import { replaceRejected, type VendDeps, VendedToken, vend } from '../token/vend.ts'
import { requireCaller } from './auth.ts'
import { failuresOf } from './openapi.ts'
import { AccountParams, wholeNumber } from './shapes.ts'

const vendFailures: FailureCode[] = [
  'account_not_found',
  'account_disconnected',
  'reauthorization_required',
  'refresh_in_progress',
  'tiktok_unavailable',
  'credential_unreadable',
  'keyring_mismatch',
]

const VendQuery = z.strictObject({
  min_ttl: wholeNumber(
    { minimum: 0, maximum: 999_999, usual: 300 },
    "Seconds the token has to be good for, clamped to half of the token's life",
  ),
})

const RejectedToken = z
  .strictObject({ generation: z.int().min(1).max(2_147_483_646) })
  .meta({ id: 'RejectedToken', examples: [{ generation: 7 }] })

export const tokenRoutes: FastifyPluginAsyncZod<VendDeps> = async (app, deps) => {
  // Here and not in the handlers: a guard that could not ask the database has refused a token, too.
  app.addHook('onResponse', async (request, reply) => {
    deps.metrics.vends.inc({ code: request.failure ?? 'ok' })
    deps.metrics.vendSeconds.observe(reply.elapsedTime / 1000)
  })

  app.get(
    '/accounts/:accountId/token',
    {
      config: { scope: 'tokens:read', reach: 'filtered' },
      schema: {
        tags: ['token'],
        operationId: 'getAccessToken',
        summary: 'Hand out a valid access token',
        params: AccountParams,
        querystring: VendQuery,
        response: { 200: VendedToken, ...failuresOf(vendFailures) },
      },
    },
    async (request, reply) => {
      reply.header('cache-control', 'no-store') // RFC 6749 §5.1
      const { keyId, reach } = requireCaller(request)
      const reader = { keyId, reach, requestId: request.id }
      return vend(deps, request.params.accountId, request.query.min_ttl, reader)
    },
  )

  app.post(
    '/accounts/:accountId/token/rejected',
    {
      config: { scope: 'tokens:read' },
      schema: {
        tags: ['token'],
        operationId: 'replaceRejectedToken',
        summary: 'Say that TikTok refused a token, and get another',
        description: 'Refreshes only if that generation is still current: a hundred callers with the same 401 cause one refresh.',
        params: AccountParams,
        body: RejectedToken,
        response: { 200: VendedToken, ...failuresOf(vendFailures, { body: true }) },
      },
    },
    async (request, reply) => {
      reply.header('cache-control', 'no-store')
      const { keyId, reach } = requireCaller(request)
      const reader = { keyId, reach, requestId: request.id }
      return replaceRejected(deps, request.params.accountId, request.body.generation, reader)
    },
  )
}
