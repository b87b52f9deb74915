// Everything we announce: name and payload. The feed, the push and the outbox all speak these; payloads carry ids and
// codes, never a token.
import { z } from 'zod'

const about = { account_id: z.string(), owner_id: z.string() }
const granted = { connect_session_id: z.string(), scopes: z.array(z.string()), missing_scopes: z.array(z.string()) }

export const eventPayloads = {
  'account.connected': z.strictObject({ ...about, ...granted }),
  'account.reconnected': z.strictObject({ ...about, ...granted }),
  'account.reauthorization_required': z.strictObject({ ...about, reason: z.string() }),
  'account.recovered': z.strictObject({ ...about }),
  'account.expiring': z.strictObject({ ...about, reauthorize_by: z.iso.datetime(), days_left: z.int() }),
  'account.disconnected': z.strictObject({ ...about, reason: z.string() }),
  'upload_quota.exhausted': z.strictObject({ ...about, next_slot_at: z.iso.datetime().nullable() }),
  // The account is the one that was to come back, if it was about one.
  'connect_session.failed': z.strictObject({
    ...about,
    account_id: z.string().nullable(),
    connect_session_id: z.string(),
    error: z.string(),
  }),
} as const

export type EventType = keyof typeof eventPayloads
export const eventTypes = Object.keys(eventPayloads) as [EventType, ...EventType[]]

/** One announced change, as the feed and the push show it. */
export const ServiceEvent = z
  .object({
    id: z.string().describe('`evt_…`; the same over all deliveries of this event'),
    // Open, because an older replica shows what a younger one wrote.
    type: z.union([z.enum(eventTypes), z.string()]).describe('More may come: leave alone what you do not know'),
    occurred_at: z.iso.datetime(),
    data: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'ServiceEvent' })
export type ServiceEvent = z.infer<typeof ServiceEvent>

/** The feed and the push say the same, byte for byte over all retries. */
export function serviceEvent(row: { id: string; type: string; data: Record<string, unknown>; occurredAt: Date }): ServiceEvent {
  return { id: row.id, type: row.type, occurred_at: row.occurredAt.toISOString(), data: row.data }
}
