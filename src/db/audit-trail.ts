// The audit as one trail: tokens that were handed out, what happened to accounts, and what operators did, in one order that never changes. A row
// appears once nothing can come before it any more.
import { type Reach, reachAsJson } from '../access/reach.ts'
import type { Db, Sql } from './client.ts'

/** Where a reader stands: after this row. The moment is in microseconds, which a Date would cut off. */
export interface TrailPosition {
  atMicros: string
  source: number
  key: string
}

export interface TrailEntry extends TrailPosition {
  at: Date
  action: string
  actor: string
  object: string
  code: string | null
  generation: number | null
  degraded: boolean | null
  viaSessionId: string | null
  viaKeyId: string | null
  requestId: string | null
}

export const trailStart: TrailPosition = { atMicros: '0', source: 0, key: '' }

/** Longer than the longest statement that writes to the audit: a row has the time at which its statement began. */
const settled = `now() - interval '40 seconds'`

/** Each source with its number, and a key that orders rows of one moment. */
const sources = [
  `select 1 as source, request_id || ' ' || account_id || ' ' || generation || ' ' || key_id as key, at, 'token_handed_out' as action, key_id as actor,
    account_id as object, null::text as code, generation, degraded, null::text as via_session_id, null::text as via_key_id, request_id, account_id from token_reads`,
  `select 2, lpad(seq::text, 19, '0'), at, kind, actor, coalesce(account_id, session_id), code, generation, null::boolean, via_session_id, via_key_id, request_id, account_id from timeline`,
  `select 3, lpad(seq::text, 19, '0'), at, action, actor, object, detail, null::integer, null::boolean, null::text, null::text, null::text, null::text from audit_log`,
]

const named =
  's (source, key, at, action, actor, object, code, generation, degraded, via_session_id, via_key_id, request_id, account_id)'
const columns = `source, key, (extract(epoch from at) * 1000000)::bigint::text as at_micros, at, action, actor, object, code, generation, degraded, via_session_id, via_key_id, request_id`
const order = `order by at, source, key collate "C"`

/** @param reach whoever is narrowed sees what happened to accounts within it, and nothing of keys and operators */
export async function readTrail(db: Db, after: TrailPosition, limit: number, reach: Reach): Promise<TrailEntry[]> {
  return db.run('read_audit_trail', (sql) => {
    const moment = sql`timestamptz 'epoch' + ${after.atMicros}::bigint * interval '1 microsecond'`
    const seen = reachAsJson(reach)
    const branches = sources
      .map(
        (source) => sql`(
          select s.* from (${sql.unsafe(source)}) ${sql.unsafe(named)}
          where s.at >= ${moment} and s.at < ${sql.unsafe(settled)} and (s.at, s.source, s.key collate "C") > (${moment}, ${after.source}::int, ${after.key}::text)
            and (${seen}::jsonb is null or exists (select 1 from accounts a where a.id = s.account_id and in_reach(${seen}::jsonb, a.owner_id, a.id)))
          ${sql.unsafe(order)} limit ${limit})`,
      )
      .reduce((a, b) => sql`${a} union all ${b}`)
    return sql<TrailEntry[]>`select ${sql.unsafe(columns)} from (${branches}) trail ${sql.unsafe(order)} limit ${limit}`
  })
}

/** All rows of one day (UTC), piece by piece: a day may be longer than memory. */
export async function readTrailOfDay(db: Db, day: string, take: (entries: TrailEntry[]) => void): Promise<void> {
  await db.run(
    'read_audit_day',
    async (sql) => {
      const during = (sql: Sql) =>
        sql`s.at >= ${`${day}T00:00:00Z`}::timestamptz and s.at < ${`${day}T00:00:00Z`}::timestamptz + interval '1 day'`
      const branches = sources
        .map((source) => sql`select s.* from (${sql.unsafe(source)}) ${sql.unsafe(named)} where ${during(sql)}`)
        .reduce((a, b) => sql`${a} union all ${b}`)
      const query = sql<TrailEntry[]>`select ${sql.unsafe(columns)} from (${branches}) trail ${sql.unsafe(order)}`
      for await (const entries of query.cursor(500)) take(entries)
    },
    { deadlineMs: 3_600_000 },
  )
}

export interface AuditDay {
  day: string
  rows: number
  hash: string
  sealedHash: string
}

/** Days that were closed, oldest first. */
export async function listAuditDays(db: Db): Promise<AuditDay[]> {
  return db.run('list_audit_days', (sql) => sql<AuditDay[]>`select day, rows, hash, sealed_hash from audit_days order by day`)
}

/** @returns the days that are over for good and not closed yet, oldest first; none before anything was recorded */
export async function openAuditDays(db: Db): Promise<string[]> {
  const rows = await db.run(
    'open_audit_days',
    (sql) => sql<{ day: string }[]>`
      with first as (
        select coalesce((select max(day)::date + 1 from audit_days), (
          select min(at)::date from (select min(at at time zone 'UTC') as at from token_reads union all select min(at at time zone 'UTC') from timeline
            union all select min(at at time zone 'UTC') from audit_log) oldest)) as day
      )
      select to_char(d, 'YYYY-MM-DD') as day
      from first, generate_series(first.day, ((now() - interval '1 hour') at time zone 'UTC')::date - 1, interval '1 day') d`,
  )
  return rows.map(({ day }) => day)
}

/** Of several replicas that close a day the first one does. */
export async function closeAuditDay(db: Db, { day, rows, hash, sealedHash }: AuditDay): Promise<void> {
  await db.run(
    'close_audit_day',
    (sql) =>
      sql`insert into audit_days (day, rows, hash, sealed_hash) values (${day}, ${rows}, ${hash}, ${sealedHash}) on conflict (day) do nothing`,
  )
}

/** Takes or keeps the one right to write a stream, until a few seconds after the last round. @returns where it stands; undefined: a neighbour has it */
export async function holdAuditStream(db: Db, id: string, holder: string): Promise<TrailPosition | undefined> {
  const rows = await db.run(
    'hold_audit_stream',
    (sql) => sql<TrailPosition[]>`
      insert into audit_streams as s (id, at_micros, source, key, holder, lease_until) values (${id}, '0', 0, '', ${holder}, now() + interval '20 seconds')
      on conflict (id) do update set holder = ${holder}, lease_until = now() + interval '20 seconds' where s.holder = ${holder} or s.lease_until < now()
      returning s.at_micros, s.source, s.key`,
  )
  return rows[0]
}

export async function moveAuditStream(
  db: Db,
  id: string,
  holder: string,
  { atMicros, source, key }: TrailPosition,
): Promise<void> {
  await db.run(
    'move_audit_stream',
    (sql) =>
      sql`update audit_streams set at_micros = ${atMicros}, source = ${source}, key = ${key} where id = ${id} and holder = ${holder}`,
  )
}

/** How old the oldest row is that a stream has not had; 0 when it has all. */
export async function auditLagSeconds(db: Db, after: TrailPosition): Promise<number> {
  const rows = await db.run(
    'audit_lag',
    (sql) => sql<{ lag: number }[]>`
      select greatest(0, extract(epoch from now() - (timestamptz 'epoch' + ${after.atMicros}::bigint * interval '1 microsecond')))::float8 as lag`,
  )
  return rows[0]?.lag ?? 0
}
