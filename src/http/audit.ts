// The audit over HTTP, for whoever keeps it out of the operators' reach: tokens handed out, changes of accounts, deeds of operators.
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { readTrail, type TrailEntry, type TrailPosition, trailStart } from '../db/audit-trail.ts'
import type { Db } from '../db/client.ts'
import { requireCaller } from './auth.ts'
import { failuresOf } from './openapi.ts'
import { Via, wholeNumber } from './shapes.ts'

/** Opaque to callers: a moment, a source and a key of it. */
const Cursor = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,512}$/)
  .transform((text, check): TrailPosition => {
    const [, atMicros, source, key = ''] =
      /^(\d{1,18})\.([0-3])\.([\x20-\x7e]{0,320})$/.exec(Buffer.from(text, 'base64url').toString('latin1')) ?? []
    if (atMicros !== undefined && source !== undefined) return { atMicros, source: Number(source), key }
    check.addIssue({ code: 'custom', message: 'is not a cursor of the audit' })
    return z.NEVER
  })
const toCursor = ({ atMicros, source, key }: TrailPosition) =>
  Buffer.from(`${atMicros}.${source}.${key}`, 'latin1').toString('base64url')

const AuditPage = z
  .object({
    entries: z
      .array(
        z
          .object({
            at: z.iso.datetime().describe('When'),
            action: z.string().describe('`token_handed_out`, a kind of the timeline, or what an operator did'),
            actor: z.string().describe('A key id, `jwt:SUBJECT`, `service`, `tiktok`, `owner` or `operator`'),
            object: z.string().describe('The account, connect session, API key or vault key, or an owner by its hash'),
            code: z.string().nullable().describe('Why or what, as the action says'),
            generation: z.int().nullable().describe('Of the token set it was about'),
            degraded: z.boolean().nullable().describe('Whether the token had less time than was asked for'),
            via: Via.nullable().describe('Through which link it was done; null: through none'),
            request_id: z.string().nullable().describe('The request that did it'),
          })
          .meta({ id: 'AuditEntry', description: 'Who did what' }),
      )
      .describe('Oldest first'),
    next_cursor: z.string().describe('Never null: ask again with it as `after`, at once after a full page'),
  })
  .meta({
    id: 'AuditPage',
    description: 'A page of the audit',
    examples: [
      {
        entries: [
          {
            at: '2026-11-22T12:00:00.000Z',
            action: 'token_handed_out',
            actor: 'key_01k9z3m8r0000000000000000',
            object: 'acc_01k9z3m8r0000000000000000',
            code: null,
            generation: 7,
            degraded: false,
            via: null,
            request_id: 'req_01k9z3m8r0000000000000000',
          },
        ],
        next_cursor: toCursor({ atMicros: '1795348800000000', source: 1, key: 'req_01k9z3' }),
      },
    ],
  })

export const auditRoutes: FastifyPluginAsyncZod<{ db: Db }> = async (app, { db }) => {
  app.get(
    '/audit',
    {
      config: { scope: 'audit:read', reach: 'filtered' },
      schema: {
        tags: ['operations'],
        operationId: 'listAudit',
        summary: 'Who did what, oldest first',
        description:
          'A row appears forty seconds after it was written, when nothing can come before it any more: reading on from `next_cursor` skips nothing. Token reads and timelines are kept for 90 days, what operators did for 400. A narrowed caller sees what happened to the accounts it reaches.',
        querystring: z.strictObject({
          after: Cursor.optional().describe('`next_cursor` of the page before; without it from the oldest row there is'),
          limit: wholeNumber({ minimum: 1, maximum: 1000, usual: 100 }, 'How many on a page'),
        }),
        response: { 200: AuditPage, ...failuresOf([]) },
      },
    },
    async (request) => {
      const { after = trailStart, limit } = request.query
      const entries = await readTrail(db, after, limit, requireCaller(request).reach)
      return { entries: entries.map(asCallersSeeIt), next_cursor: toCursor(entries.at(-1) ?? after) }
    },
  )
}

function asCallersSeeIt({
  at,
  action,
  actor,
  object,
  code,
  generation,
  degraded,
  viaSessionId,
  viaKeyId,
  requestId,
}: TrailEntry) {
  const via = viaSessionId === null || viaKeyId === null ? null : { connect_session: viaSessionId, key_id: viaKeyId }
  return { at: at.toISOString(), action, actor, object, code, generation, degraded, via, request_id: requestId }
}
