// The statements of the feed. Rows are ordered by the transaction that made them and shown once every transaction before has ended:
// a reader that has seen one row can never have missed an earlier one, however late its transaction commits.
import { type Reach, reachAsJson } from '../reach.ts'
import type { Db } from './client.ts'
import type { events, Row } from './schema.ts'

/** Where a reader stands: after this row. */
export type EventPosition = Row<typeof events, 'xid' | 'seq'>

export type EventRow = EventPosition & Row<typeof events, 'id' | 'type' | 'data' | 'occurredAt'>

export async function readEvents(db: Db, after: EventPosition, limit: number, reach: Reach): Promise<EventRow[]> {
  return db.run(
    'read_events',
    (sql) => sql<EventRow[]>`
      select e.xid::text as xid, e.seq, e.id, e.type, e.data, e.occurred_at from events e
      where (e.xid, e.seq) > (${after.xid}::text::xid8, ${after.seq}::bigint) and e.xid < pg_snapshot_xmin(pg_current_snapshot())
        and in_reach(${reachAsJson(reach)}::jsonb, e.data ->> 'owner_id', e.account_id)
      order by e.xid, e.seq limit ${limit}`, // by the number: a bare `xid` would be the text that was selected
  )
}

/** The oldest first, with their deliveries. The order of rows is the order of time, near enough to look at the first ones only. */
export async function purgeEvents(db: Db, keptDays: number, limit: number): Promise<number> {
  const rows = await db.run(
    'purge_events',
    (sql) => sql`
      delete from events e using (select xid, seq from events order by xid, seq limit ${limit}) first
      where e.xid = first.xid and e.seq = first.seq and e.occurred_at < now() - make_interval(days => ${keptDays})
      returning 1`,
  )
  return rows.length
}
