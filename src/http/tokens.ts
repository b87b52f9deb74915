// Access tokens over HTTP.
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { Problem } from '../errors.ts'
import type { FailureCode } from '../failures.ts'
import { lookForToken, replaceRejected, type VendDeps, VendedToken, vend, vendEach } from '../token/vend.ts'
import { requireCaller } from './auth.ts'
import { type FailureDeps, problemOf } from './failures.ts'
import { failuresOf } from './openapi.ts'
import { AccountParams, Id, wholeNumber } from './shapes.ts'

const vendFailures: FailureCode[] = [
  'account_not_found',
  'account_disconnected',
  'reauthorization_required',
  'refresh_in_progress',
  'tiktok_unavailable',
  'credential_unreadable',
  'keyring_mismatch',
]

const severalPath = '/tokens'

const minTtl = { minimum: 0, maximum: 999_999, usual: 300 }
const minTtlExplained = "Seconds the token has to be good for, clamped to half of the token's life"

const VendQuery = z.strictObject({ min_ttl: wholeNumber(minTtl, minTtlExplained) })

const VendManyTokens = z
  .strictObject({
    account_ids: z
      .array(Id)
      .min(1)
      .max(50)
      .describe('Whose tokens, 50 at most. One that is named twice is read and counted once'),
    min_ttl: z.int().min(minTtl.minimum).max(minTtl.maximum).default(minTtl.usual).describe(minTtlExplained),
  })
  .meta({
    id: 'VendManyTokens',
    description: 'Whose tokens are wanted',
    examples: [{ account_ids: ['acc_01k9z3m8r0000000000000000'], min_ttl: 900 }],
  })

const whose = z.string().describe('The account that was asked about')

const TokenGranted = z
  .object({ account_id: whose, outcome: z.literal('token').describe('There is a token'), token: VendedToken })
  .meta({ id: 'TokenGranted', description: 'The token of an account' })

const TokenRefused = z
  .object({ account_id: whose, outcome: z.literal('problem').describe('There is none'), problem: Problem })
  .meta({ id: 'TokenRefused', description: 'Why an account has no token now' })

const TokenOutcome = z
  .discriminatedUnion('outcome', [TokenGranted, TokenRefused])
  .meta({ id: 'TokenOutcome', description: 'The token of an account, or why it has none' })

const VendedTokens = z
  .object({
    tokens: z.array(TokenOutcome).describe('One for each id, in their order'),
  })
  .meta({
    id: 'VendedTokens',
    description: 'A token or a problem for each account',
    examples: [
      {
        tokens: [
          {
            account_id: 'acc_01k9z3m8r0000000000000000',
            outcome: 'token',
            token: {
              access_token: 'act.example',
              token_type: 'Bearer',
              expires_at: '2026-11-22T14:00:00.000Z',
              expires_in: 6900,
              scopes: ['user.info.basic', 'video.upload'],
              open_id: '7e1a0000-0000-4000-8000-000000000001',
              generation: 7,
            },
          },
          {
            account_id: 'acc_01k9z3m8r1111111111111111',
            outcome: 'problem',
            problem: {
              type: 'https://oauth.example.com/docs/problems#account_disconnected',
              title: 'The account was disconnected',
              status: 410,
              detail: 'This account was disconnected; the person can connect it anew.',
              code: 'account_disconnected',
              mended_by: 'user',
              request_id: 'req_01k9z3m8r0000000000000000',
            },
          },
        ],
      },
    ],
  })

const RejectedToken = z
  .strictObject({ generation: z.int().min(1).max(2_147_483_646).describe('`generation` of the token that TikTok refused') })
  .meta({ id: 'RejectedToken', description: 'Which token TikTok refused', examples: [{ generation: 7 }] })

export const tokenRoutes: FastifyPluginAsyncZod<VendDeps & FailureDeps> = async (app, deps) => {
  // Here and not in the handlers: a guard that could not ask the database has refused a token, too.
  app.addHook('onResponse', async (request, reply) => {
    if (request.method === 'HEAD') return // it asks for no token, so it is no vend
    // A call for several is counted account by account where it is answered.
    if (request.failure !== null || request.routeOptions.url !== severalPath)
      deps.metrics.vends.inc({ code: request.failure ?? 'ok' })
    deps.metrics.vendSeconds.observe(reply.elapsedTime / 1000)
  })

  app.get(
    '/accounts/:account_id/token',
    {
      config: {
        scope: 'tokens:read',
        reach: 'filtered',
        onHead: (request) =>
          lookForToken(deps, (request.params as { accountId: string }).accountId, requireCaller(request).reach),
      },
      schema: {
        tags: ['token'],
        operationId: 'getAccessToken',
        summary: 'Hand out a valid access token',
        params: AccountParams,
        querystring: VendQuery,
        response: { 200: VendedToken, ...failuresOf(vendFailures) },
      },
      // `vend` builds the answer field by field: to hold each one against the schema again takes a tenth of the whole request.
      serializerCompiler: () => JSON.stringify,
    },
    async (request, reply) => {
      reply.header('cache-control', 'no-store') // RFC 6749 §5.1
      const { keyId, reach } = requireCaller(request)
      const reader = { keyId, reach, requestId: request.id }
      return vend(deps, request.params.accountId, request.query.min_ttl, reader)
    },
  )

  app.post(
    severalPath,
    {
      config: { scope: 'tokens:read', reach: 'filtered' },
      schema: {
        tags: ['token'],
        operationId: 'getAccessTokens',
        summary: 'Hand out valid access tokens for several accounts',
        description:
          'For each account what `GET /accounts/{account_id}/token` would answer: a token, or the problem that stands against it. The answer is 200 also when no token is in it.',
        body: VendManyTokens,
        response: { 200: VendedTokens, ...failuresOf([], { body: true }) },
      },
    },
    async (request, reply) => {
      reply.header('cache-control', 'no-store')
      const { account_ids: ids, min_ttl: minTtl } = request.body
      const { keyId, reach } = requireCaller(request)
      const outcomes = await vendEach(deps, ids, minTtl, { keyId, reach, requestId: request.id })
      const tokens = outcomes.map((outcome, place) => {
        const account_id = ids[place] ?? ''
        if (outcome.status === 'fulfilled') {
          deps.metrics.vends.inc({ code: 'ok' })
          return { account_id, outcome: 'token' as const, token: outcome.value }
        }
        const problem = problemOf(deps, outcome.reason, request)
        deps.metrics.vends.inc({ code: problem.code })
        return { account_id, outcome: 'problem' as const, problem }
      })
      return { tokens }
    },
  )

  app.post(
    '/accounts/:account_id/token/rejected',
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
