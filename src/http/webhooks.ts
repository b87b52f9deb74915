// TikTok's notices come in here: raw bytes, because the signature is over them, whatever they say they are.
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { ServiceError } from '../errors.ts'
import { type ReceiveDeps, receiveNotice, type SettleDeps, settleNotices } from '../inbound/notices.ts'
import { addressOf, type Limits, tooMany } from './limits.ts'
import { responsesOf } from './openapi.ts'

const rawType = 'application/octet-stream'

const Taken = z.strictObject({}).meta({ id: 'NoticeTaken', description: 'The notice was kept', examples: [{}] })

export type WebhookRouteDeps = ReceiveDeps & SettleDeps

export const webhookRoutes: FastifyPluginAsyncZod<WebhookRouteDeps & { forgeries: Limits['forgeries'] }> = async (app, deps) => {
  const { log, forgeries } = deps
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(rawType, { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  app.addHook('onRequest', async (request) => {
    request.raw.headers['content-type'] = rawType
  })

  // Acted upon right after the answer, by this process; the background is for what this process could not do.
  let settling: Promise<void> | undefined
  let more = false
  const settleSoon = () => {
    more = true
    settling ??= (async () => {
      for (; more; await settleNotices(deps)) more = false
    })()
      .catch((error) => log.error('TikTok notices were not settled', { error }))
      .finally(() => {
        settling = undefined
      })
  }
  app.addHook('onClose', async () => settling)

  app.post(
    '/webhooks/tiktok',
    {
      bodyLimit: 64 * 1024,
      config: { public: true, bucket: 'none' },
      schema: {
        tags: ['tiktok'],
        operationId: 'takeNotice',
        summary: "Take TikTok's notices",
        description:
          'For TikTok only: `TikTok-Signature: t=SECONDS,s=HEX` over the raw body. Every validly signed notice is answered with exactly 200, known or not, new or repeated; 503 when it could not be kept, so that TikTok sends it again.',
        body: z.unknown().meta({
          id: 'Notice',
          description: 'What TikTok tells, as it is: the signature is over its bytes',
          examples: [
            {
              client_key: 'awclientkey0001',
              event: 'authorization.removed',
              create_time: 1_795_348_800,
              user_openid: '7e1a0000-0000-4000-8000-000000000001',
              content: '{"reason":1}',
            },
          ],
        }),
        response: {
          200: Taken,
          ...responsesOf([
            'invalid_signature',
            'payload_too_large',
            'rate_limited',
            'storage_unavailable',
            'overloaded',
            'keyring_mismatch',
          ]),
        },
      },
    },
    async (request) => {
      const { body } = request
      try {
        const rawBody = Buffer.isBuffer(body) ? body : Buffer.alloc(0)
        await receiveNotice(deps, request.headers['tiktok-signature'], rawBody, addressOf(request))
      } catch (error) {
        if (!(error instanceof ServiceError))
          throw new ServiceError('storage_unavailable', 'The notice was not kept; send it again.', { cause: error })
        if (error.code === 'invalid_signature') {
          // Genuine notices are never turned away; whoever sends others is soon.
          const limit = await forgeries(request)
          if (limit.isExceeded) throw tooMany('Too many notices that TikTok did not sign.', limit)
        }
        throw error
      }
      settleSoon()
      return {}
    },
  )
}
