// The statements of the feed. Rows are ordered by the transaction that made them and shown once every transaction before has ended:
// a reader that has seen one row can never have missed an earlier one, however late its transaction commits.
import { type Reach, reachAsJson } from '../access/reach.ts'
import type { Db } from './client.ts'
import type { events, Row } from './schema.ts'

/** Where a reader stands: after this row. */
export type EventPosition = Row<typeof events, 'xid' | 'seq'>

export type EventRow = EventPosition & Row<typeof events, 'id' | 'type' | 'data' | 'occurredAt'>

export interface EventFilter {
  accountId: string | null
  ownerId: string | null
  types: readonly string[] | null
  reach: Reach
}

/**
 * Reads on from a position.
 *
 * @returns the rows, and where the next page begins: after the last row of a full page, otherwise after the newest row that can be shown at all,
 *   so that a filter which finds little does not look through the same rows again. That row is committed and flushed: a crash brings no other
 *   one before it.
 */
export async function readEvents(
  db: Db,
  after: EventPosition,
  limit: number,
  filter: EventFilter,
): Promise<{ events: EventRow[]; next: EventPosition }> {
  const { accountId, ownerId, types, reach } = filter
  const rows = await db.run('read_events', (sql) => {
    // A condition that is not asked for is left out: with `is null or` the planner cannot know that an index is what it takes.
    const page = sql`
        select e.xid, e.seq, e.id, e.type, e.data, e.occurred_at from events e
        where (e.xid, e.seq) > (${after.xid}::text::xid8, ${after.seq}::bigint) and e.xid < pg_snapshot_xmin(pg_current_snapshot())
          and in_reach(${reachAsJson(reach)}::jsonb, e.data ->> 'owner_id', e.account_id)
          ${accountId === null ? sql`` : sql`and e.account_id = ${accountId}`}
          ${ownerId === null ? sql`` : sql`and e.data ->> 'owner_id' = ${ownerId}`}
          ${types === null ? sql`` : sql`and e.type = wanted.type`}
        order by e.xid, e.seq limit ${limit}`
    // Type by type, each in the order of its index; several in one condition would have to be sorted.
    const pages =
      types === null
        ? page
        : sql`select p.* from unnest(${[...new Set(types)]}::text[]) as wanted (type) cross join lateral (${page}) p`
    return sql<(EventRow & { lastXid: string; lastSeq: number })[]>`
        with last as (
          select xid, seq from events where xid < pg_snapshot_xmin(pg_current_snapshot()) order by xid desc, seq desc limit 1
        ), page as (${pages})
        select p.xid::text as xid, p.seq, p.id, p.type, p.data, p.occurred_at, last.xid::text as last_xid, last.seq as last_seq
        from last left join page p on true order by p.xid, p.seq limit ${limit}` // by the number: a bare `xid` would be the text that was selected
  })
  const events = rows.filter(({ id }) => id !== null)
  const [end] = rows
  const newest = end && { xid: end.lastXid, seq: end.lastSeq }
  return { events, next: (events.length === limit ? events.at(-1) : later(after, newest)) ?? after }
}

/** Where a reader begins who wants only what happens from now on. */
export async function lastEvent(db: Db): Promise<EventPosition | undefined> {
  const rows = await db.run(
    'last_event',
    (sql) => sql<EventPosition[]>`
      select e.xid::text as xid, e.seq from events e where e.xid < pg_snapshot_xmin(pg_current_snapshot()) order by e.xid desc, e.seq desc limit 1`,
  )
  return rows[0]
}

function later(one: EventPosition, other: EventPosition | undefined): EventPosition {
  if (!other || BigInt(other.xid) < BigInt(one.xid)) return one
  return other.xid === one.xid && other.seq < one.seq ? one : other
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
