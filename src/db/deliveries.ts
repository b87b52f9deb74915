// The statements of the push. Which endpoints there are is configuration, so events know nothing of them: each endpoint has a cursor of
// its own over the feed and turns what it has not seen into deliveries, a row each. A connect or a refresh writes its event and
// nothing more, however many listen; an endpoint that was taken out of the configuration goes on where it stopped when it comes back.
import type { Db } from './client.ts'
import type { EventRow } from './events.ts'
import type { deliveries, eventEndpoints, events, Row } from './schema.ts'

/** Longer than a POST may take and be recorded; then another replica may take the delivery (F52). */
const leaseSeconds = 30
/** What one replica lists at once for one endpoint. */
const listedAtOnce = 500

/** The id is a hash of the URL, which often holds a secret; the origin is what operators may see of it. */
export type Endpoint = Row<typeof eventEndpoints, 'id' | 'origin' | 'fingerprint'>

/** Makes an endpoint known; a new one starts with what happens from now on. One that had said 410 is tried again when it was configured anew. */
export async function registerEndpoint(db: Db, { id, origin, fingerprint }: Endpoint): Promise<void> {
  await db.run(
    'register_endpoint',
    (sql) => sql`
      insert into event_endpoints as p (id, origin, fingerprint, xid, seq) values (${id}, ${origin}, ${fingerprint}, pg_snapshot_xmin(pg_current_snapshot()), 0)
      on conflict (id) do update set origin = excluded.origin, fingerprint = excluded.fingerprint, disabled_at = null
      where p.fingerprint <> excluded.fingerprint`,
  )
}

/**
 * Lists what the endpoint has not seen, in the feed's order and with the feed's care for late committers. Replicas that come at the same time
 * leave it to the first.
 *
 * @returns how many deliveries are new
 */
export async function listNewDeliveries(db: Db, endpointId: string): Promise<number> {
  const rows = await db.run(
    'list_new_deliveries',
    (sql) => sql<{ count: number }[]>`
      with endpoint as (
        -- Looked at before it is locked: a lock is a write, and most rounds find nothing.
        select p.id, p.xid, p.seq from event_endpoints p
        where p.id = ${endpointId} and p.disabled_at is null
          and exists (select 1 from events e where (e.xid, e.seq) > (p.xid, p.seq) and e.xid < pg_snapshot_xmin(pg_current_snapshot()))
        for update skip locked
      ), fresh as (
        select e.xid, e.seq, e.id from endpoint p cross join lateral (
          select xid, seq, id from events
          where (xid, seq) > (p.xid, p.seq) and xid < pg_snapshot_xmin(pg_current_snapshot())
          order by xid, seq limit ${listedAtOnce}
        ) e
      ), listed as (
        insert into deliveries (endpoint_id, event_id) select ${endpointId}, id from fresh on conflict do nothing returning 1
      ), moved as (
        update event_endpoints p set xid = last.xid, seq = last.seq from (select xid, seq from fresh order by xid desc, seq desc limit 1) last
        where p.id = ${endpointId}
      )
      select count(*)::int as count from listed`,
  )
  return rows[0]?.count ?? 0
}

export type ClaimedDelivery = Pick<EventRow, 'id' | 'type' | 'data' | 'occurredAt'> & {
  /** this try included; also the fence: whoever took the delivery later has a higher one */
  attempts: number
  /** the database's clock: receivers compare the signature's time with theirs */
  claimedAt: Date
}

/** Takes deliveries for one try each, the longest due first. */
export async function claimDeliveries(db: Db, endpointId: string, limit: number): Promise<ClaimedDelivery[]> {
  return db.run(
    'claim_deliveries',
    (sql) => sql<ClaimedDelivery[]>`
      with due as (
        select event_id from deliveries
        where endpoint_id = ${endpointId} and delivered_at is null and dead_at is null and next_attempt_at <= now()
          and exists (select 1 from event_endpoints where id = ${endpointId} and disabled_at is null)
        order by next_attempt_at limit ${limit} for update skip locked
      ), claimed as (
        update deliveries d set attempts = d.attempts + 1, next_attempt_at = now() + make_interval(secs => ${leaseSeconds})
        from due where d.endpoint_id = ${endpointId} and d.event_id = due.event_id
        returning d.event_id, d.attempts
      )
      select e.id, e.type, e.data, e.occurred_at, c.attempts, now() as claimed_at
      from claimed c join events e on e.id = c.event_id order by e.xid, e.seq`,
  )
}

export type Try = Row<typeof deliveries, 'endpointId' | 'eventId' | 'attempts'>

/** Taken by the receiver, whichever try it was. */
export async function settleDelivery(db: Db, { endpointId, eventId }: Try): Promise<void> {
  await db.run(
    'settle_delivery',
    (sql) => sql`
      update deliveries set delivered_at = now(), dead_at = null, last_code = null where endpoint_id = ${endpointId} and event_id = ${eventId}`,
  )
}

/** @param waitSeconds until the next try; null: there is none, the delivery is a dead letter */
export async function failDelivery(db: Db, failed: Try, code: string, waitSeconds: number | null): Promise<void> {
  await db.run(
    'fail_delivery',
    (sql) => sql`
      update deliveries set last_code = ${code}, dead_at = case when ${waitSeconds}::float8 is null then now() end,
        next_attempt_at = now() + make_interval(secs => coalesce(${waitSeconds}::float8, 0))
      where endpoint_id = ${failed.endpointId} and event_id = ${failed.eventId} and attempts = ${failed.attempts} and delivered_at is null`,
  )
}

/** The receiver said 410: this delivery is dead, and nothing more is listed or sent until the endpoint is configured anew or enabled by hand. */
export async function disableEndpoint(db: Db, { endpointId, eventId }: Try, code: string): Promise<void> {
  await db.run(
    'disable_endpoint',
    (sql) => sql`
      with dead as (
        update deliveries set dead_at = now(), last_code = ${code}
        where endpoint_id = ${endpointId} and event_id = ${eventId} and delivered_at is null
      )
      update event_endpoints set disabled_at = coalesce(disabled_at, now()) where id = ${endpointId}`,
  )
}

/** @returns false when there is no such endpoint */
export async function enableEndpoint(db: Db, endpointId: string, actor: string): Promise<boolean> {
  const rows = await db.run(
    'enable_endpoint',
    (sql) => sql`
      with enabled as (
        update event_endpoints set disabled_at = null where id = ${endpointId} returning id
      ), noted as (
        insert into audit_log (actor, action, object) select ${actor}, 'event_endpoint_enabled', id from enabled
      )
      select id from enabled`,
  )
  return rows.length > 0
}

export type EndpointRow = Row<typeof eventEndpoints, 'id' | 'origin' | 'disabledAt'> & { waiting: number; dead: number }

export async function listEndpoints(db: Db): Promise<EndpointRow[]> {
  return db.run(
    'list_endpoints',
    (sql) => sql<EndpointRow[]>`
      select p.id, p.origin, p.disabled_at,
        (select count(*)::int from deliveries d where d.endpoint_id = p.id and d.delivered_at is null and d.dead_at is null) as waiting,
        (select count(*)::int from deliveries d where d.endpoint_id = p.id and d.dead_at is not null) as dead
      from event_endpoints p order by p.created_at`,
  )
}

export type DeadLetter = Try &
  Row<typeof eventEndpoints, 'origin'> &
  Row<typeof events, 'type' | 'occurredAt'> &
  Row<typeof deliveries, 'lastCode'> & { deadAt: Date }

/** The newest first. */
export async function listDeadLetters(db: Db, limit: number): Promise<DeadLetter[]> {
  return db.run(
    'list_dead_letters',
    (sql) => sql<DeadLetter[]>`
      select d.endpoint_id, p.origin, d.event_id, e.type, e.occurred_at, d.attempts,
        d.last_code, d.dead_at
      from deliveries d join event_endpoints p on p.id = d.endpoint_id join events e on e.id = d.event_id
      where d.dead_at is not null order by d.dead_at desc limit ${limit}`,
  )
}

/**
 * Sends dead letters again, with all their tries.
 *
 * @param eventId one event, to every endpoint that did not get it; null: all of them
 */
export async function resendDeadLetters(db: Db, eventId: string | null, actor: string): Promise<number> {
  const rows = await db.run(
    'resend_dead_letters',
    (sql) => sql<{ count: number }[]>`
      with resent as (
        update deliveries set dead_at = null, attempts = 0, next_attempt_at = now()
        where dead_at is not null and (${eventId}::text is null or event_id = ${eventId}) returning 1
      ), noted as (
        insert into audit_log (actor, action, object, detail)
        select ${actor}, 'event_deliveries_resent', coalesce(${eventId}::text, 'all'), count(*)::text from resent having count(*) > 0
      )
      select count(*)::int as count from resent`,
  )
  return rows[0]?.count ?? 0
}

/** More than these are not counted: a backlog that long is no less alarming. */
const mostCounted = 10_000

/** What ops see of these endpoints: how many wait, for how long the longest has, how many are dead. Others are no longer configured. */
export async function deliveryBacklog(
  db: Db,
  endpointIds: string[],
): Promise<{ waiting: number; oldestSeconds: number; dead: number }> {
  const rows = await db.run(
    'delivery_backlog',
    (sql) => sql<{ waiting: number; oldestSeconds: number; dead: number }[]>`
      select count(*)::int as waiting, coalesce(extract(epoch from now() - min(created_at)), 0)::float8 as oldest_seconds,
        (select count(*)::int from (select 1 from deliveries
          where dead_at is not null and endpoint_id = any(${endpointIds}) limit ${mostCounted}) as dead) as dead
      from (select created_at from deliveries
        where delivered_at is null and dead_at is null and endpoint_id = any(${endpointIds}) limit ${mostCounted}) as waiting`,
  )
  return rows[0] ?? { waiting: 0, oldestSeconds: 0, dead: 0 }
}
