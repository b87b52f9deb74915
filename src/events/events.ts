// Everything we announce: name and payload. The feed, the push and the outbox all speak these; payloads carry ids and
// codes, never a token.
import { z } from 'zod'
import { statusReasons } from '../db/codes.ts'
import { growingList } from '../growing-list.ts'

const about = {
  account_id: z.string().describe('The account, `acc_…`'),
  owner_id: z.string().describe("The caller's own id of the person or team that it belongs to"),
}
const sessionId = z.string().describe('The connect session, `cs_…`')
const scopes = {
  connect_session_id: sessionId,
  scopes: z.array(z.string()).describe('What the person granted'),
  missing_scopes: z.array(z.string()).describe('What was asked for and not granted'),
}
const example = { account_id: 'acc_01k9z3m8r0000000000000000', owner_id: 'user_42' }
const granted = {
  ...example,
  connect_session_id: 'cs_01k9z3m8r0000000000000000',
  scopes: ['user.info.basic', 'video.upload'],
  missing_scopes: ['user.info.stats'],
}

export const eventPayloads = {
  'account.connected': z
    .strictObject({ ...about, ...scopes })
    .meta({ description: 'An account was connected', examples: [granted] }),
  'account.reconnected': z
    .strictObject({ ...about, ...scopes })
    .meta({ description: 'A person connected an account again', examples: [granted] }),
  'account.reauthorization_required': z
    .strictObject({ ...about, reason: growingList(statusReasons, 'The `status_reason` of the account') })
    .meta({
      description: 'Only the person can help: the account has to be connected again',
      examples: [{ ...example, reason: 'refresh_token_rejected' }],
    }),
  'account.recovered': z
    .strictObject({ ...about })
    .meta({ description: 'An account works again, and nobody had to help', examples: [example] }),
  'account.expiring': z
    .strictObject({
      ...about,
      reauthorize_by: z.iso.datetime().describe('When the grant ends'),
      days_left: z.int().describe('Which warning it is: 30, 7 or 1 days before the end'),
    })
    .meta({
      description: 'The grant ends soon: the person should connect again before that',
      examples: [{ ...example, reauthorize_by: '2026-11-29T12:00:00.000Z', days_left: 7 }],
    }),
  'account.disconnected': z
    .strictObject({ ...about, reason: growingList(statusReasons, 'The `status_reason` of the account') })
    .meta({ description: 'An account was disconnected', examples: [{ ...example, reason: 'removed_by_user' }] }),
  'upload_quota.exhausted': z
    .strictObject({
      ...about,
      next_slot_at: z.iso.datetime().nullable().describe('When the next slot is free; null when nobody knows'),
    })
    .meta({
      description: 'Every upload slot of an account is taken',
      examples: [{ ...example, next_slot_at: '2026-11-23T09:30:00.000Z' }],
    }),
  'connect_session.failed': z
    .strictObject({
      ...about,
      account_id: z.string().nullable().describe('The one that was to come back, if it was about one'),
      connect_session_id: sessionId,
      error: z.string().describe('A code of this service, or an OAuth error of TikTok such as `access_denied`'),
    })
    .meta({
      description: 'A connect session ended without an account',
      examples: [{ ...example, account_id: null, connect_session_id: 'cs_01k9z3m8r0000000000000000', error: 'access_denied' }],
    }),
} as const

export type EventType = keyof typeof eventPayloads
export const eventTypes = Object.keys(eventPayloads) as [EventType, ...EventType[]]

const id = z.string().describe('`evt_…`; the same over all deliveries of this event')
const occurredAt = z.iso.datetime().describe('When it happened')

/** `account.connected` is an `AccountConnectedEvent`. */
export const nameOfEvent = (type: EventType): string =>
  `${type.replace(/(?:^|[._])([a-z])/g, (_match, letter: string) => letter.toUpperCase())}Event`

/** Each event as a schema with a name, for whoever generates code: `type` tells them apart. */
export const typedEvents = Object.fromEntries(
  eventTypes.map((type) => {
    const { description = '', examples = [] } = eventPayloads[type].meta() ?? {}
    const example = { id: 'evt_5f0c3b1e8d2a4f6b9c7d0e1f2a3b4c5d', type, occurred_at: '2026-11-22T12:00:00.000Z' }
    const schema = z
      .object({
        id,
        type: z.literal(type).describe('What happened'),
        occurred_at: occurredAt,
        data: eventPayloads[type].meta({ id: `${nameOfEvent(type)}Data` }),
      })
      .meta({ id: nameOfEvent(type), description, examples: [{ ...example, data: (examples as unknown[])[0] }] })
    return [type, schema]
  }),
) as unknown as Record<EventType, z.ZodObject>

/** One announced change, as the feed and the push show it. */
export const ServiceEvent = z
  .object({
    id,
    // Open, because an older replica shows what a younger one wrote. The description has the named events instead.
    type: z.union([z.enum(eventTypes), z.string()]),
    occurred_at: occurredAt,
    data: z.record(z.string(), z.unknown()),
  })
  .meta({
    id: 'ServiceEvent',
    description: 'One of the events, by its `type`. More types may come: leave alone what you do not know',
  })
export type ServiceEvent = z.infer<typeof ServiceEvent>

/** The feed and the push say the same, byte for byte over all retries. */
export function serviceEvent(row: { id: string; type: string; data: Record<string, unknown>; occurredAt: Date }): ServiceEvent {
  return { id: row.id, type: row.type, occurred_at: row.occurredAt.toISOString(), data: row.data }
}
