// What happened, as a feed: read from a cursor, in an order that never changes and skips nothing.
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { Db } from '../db/client.ts'
import { type EventPosition, lastEvent, readEvents } from '../db/events.ts'
import { eventTypes, ServiceEvent, serviceEvent } from '../events/events.ts'
import { requireCaller } from './auth.ts'
import { failuresOf } from './openapi.ts'
import { Id, OwnerId, oneOrMoreOf, pageLimit } from './shapes.ts'

const start: EventPosition = { xid: '0', seq: 0 }

/** Opaque to callers: a transaction id and a row number. */
const Cursor = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,64}$/)
  .transform((text, check): EventPosition | 'latest' => {
    if (text === 'latest') return text
    const [, xid, seq] = /^(\d{1,19})\.(\d{1,15})$/.exec(Buffer.from(text, 'base64url').toString('latin1')) ?? []
    if (xid !== undefined && seq !== undefined) return { xid, seq: Number(seq) }
    check.addIssue({ code: 'custom', message: 'is not a cursor of this feed' })
    return z.NEVER
  })
const toCursor = ({ xid, seq }: EventPosition) => Buffer.from(`${xid}.${seq}`).toString('base64url')

const EventPage = z
  .object({
    events: z.array(ServiceEvent).describe('Oldest first'),
    next_cursor: z
      .string()
      .describe('Never null: ask again with it as `after`, at once after a full page, after a while when the page was empty'),
  })
  .meta({
    id: 'EventPage',
    description: 'A page of events',
    examples: [
      {
        events: [
          {
            id: 'evt_5f0c3b1e8d2a4f6b9c7d0e1f2a3b4c5d',
            type: 'account.disconnected',
            occurred_at: '2026-11-22T12:00:00.000Z',
            data: { account_id: 'acc_01k9z3m8r0000000000000000', owner_id: 'user_42', reason: 'removed_by_user' },
          },
        ],
        next_cursor: toCursor({ xid: '90417', seq: 3184 }),
      },
    ],
  })

export const eventRoutes: FastifyPluginAsyncZod<{ db: Db }> = async (app, { db }) => {
  app.get(
    '/events',
    {
      config: { scope: 'events:read', reach: 'filtered' },
      schema: {
        tags: ['events'],
        operationId: 'listEvents',
        summary: 'What happened, oldest first',
        description:
          'Events are kept for 30 days. A filter leaves out events and changes neither their order nor the cursor: it is good for another filter too. Keep `next_cursor` with what you made of the events: reading on from it skips nothing and repeats nothing, whatever was going on at the same time.',
        querystring: z.strictObject({
          after: Cursor.optional().describe(
            '`next_cursor` of the page before; without it from the oldest event there is. `latest`: no events, and the cursor of now',
          ),
          limit: pageLimit(50),
          account_id: Id.optional().describe('Only what happened to this account'),
          owner_id: OwnerId.optional().describe('Only what happened to accounts and connect sessions of this owner'),
          type: oneOrMoreOf(eventTypes),
        }),
        response: { 200: EventPage, ...failuresOf([]) },
      },
    },
    async (request) => {
      const { after = start, limit, account_id: accountId = null, owner_id: ownerId = null, type: types = null } = request.query
      if (after === 'latest') return { events: [], next_cursor: toCursor((await lastEvent(db)) ?? start) }
      const filter = { accountId, ownerId, types, reach: requireCaller(request).reach }
      const { events, next } = await readEvents(db, after, limit, filter)
      return { events: events.map(serviceEvent), next_cursor: toCursor(next) }
    },
  )
}
