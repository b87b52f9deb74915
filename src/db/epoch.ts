// Which database this is and how far along: read and moved by each journal's process, so that one that went back is noticed (F28).
import type { Db } from './client.ts'
import type { journals, Row } from './schema.ts'

export interface ServerIdentity {
  /** of the cluster; null where the role may not ask */
  systemIdentifier: string | null
  /** raised by each promotion; null where the role may not ask */
  timeline: string | null
}

export type JournalRow = Row<typeof journals, 'id' | 'mark' | 'seenAt'>

/** What the database says about itself and about the journals that were asked for. */
export interface Sighting {
  databaseId: string
  /** the database's clock */
  readAt: Date
  /** of those asked for: the ones the database knows */
  known: JournalRow[]
  /** journals whose processes beat within the last minutes */
  lively: JournalRow[]
  /** accounts that were asked for and are further back than that: an older database */
  behind: string[]
  recovery: { id: string; rewoundTo: Date | null } | null
}

export async function readDatabaseId(db: Db): Promise<string> {
  const rows = await db.run('read_database_id', (sql) => sql<{ databaseId: string }[]>`select database_id from epoch`)
  const id = rows[0]?.databaseId
  if (id === undefined) throw new Error('The migration leaves a row in epoch')
  return id
}

/** @param recorded what this process has seen recorded lately; of a disconnected account the generation is null */
export async function sightEpoch(
  db: Db,
  journalIds: readonly string[],
  recorded: readonly { accountId: string; generation: number | null }[],
): Promise<Sighting> {
  const rows = await db.run(
    'sight_epoch',
    (sql) => sql<Sighting[]>`
      with recorded as (
        select * from unnest(${recorded.map((each) => each.accountId)}::text[], ${recorded.map((each) => each.generation ?? 0)}::integer[]) as r (account_id, generation)
      )
      select e.database_id, now() as read_at,
        (select array_agg(r.account_id) from recorded r left join accounts a on a.id = r.account_id left join token_sets t on t.account_id = r.account_id
          where a.id is null or (r.generation = 0 and a.status <> 'disconnected') or t.generation < r.generation) as behind,
        (select jsonb_agg(jsonb_build_object('id', j.id, 'mark', j.mark, 'seenAt', j.seen_at)) from journals j where j.id = any(${[...journalIds]}::text[])) as known,
        (select jsonb_agg(jsonb_build_object('id', j.id, 'mark', j.mark, 'seenAt', j.seen_at)) from journals j where j.seen_at > now() - interval '2 minutes') as lively,
        (select jsonb_build_object('id', r.id, 'rewoundTo', r.rewound_to) from recoveries r where r.ended_at is null) as recovery
      from epoch e`,
  )
  const row = rows[0]
  if (!row) throw new Error('The migration leaves a row in epoch')
  const dated = (list: JournalRow[] | null) => (list ?? []).map((each) => ({ ...each, seenAt: new Date(each.seenAt) }))
  const recovery = row.recovery && { ...row.recovery, rewoundTo: row.recovery.rewoundTo && new Date(row.recovery.rewoundTo) }
  return { ...row, known: dated(row.known), lively: dated(row.lively), behind: row.behind ?? [], recovery }
}

/**
 * Moves this journal's mark from the one before; repeating it after a lost answer is harmless. The marks of journals that have been silent for
 * a season go.
 *
 * @returns false when the database is not where this journal left it, or a recovery is open: nothing was moved
 */
export async function moveMark(db: Db, journalId: string, mark: number): Promise<boolean> {
  const rows = await db.run(
    'move_mark',
    (sql) => sql`
      with forgotten as (delete from journals where seen_at < now() - interval '90 days' and id <> ${journalId}),
      begun as (
        insert into journals (id, mark) select ${journalId}, ${mark}::bigint where ${mark}::bigint = 1 and not exists (select 1 from recoveries where ended_at is null)
        on conflict (id) do nothing returning 1
      ), moved as (
        update journals set mark = ${mark}, seen_at = now() where id = ${journalId} and mark in (${mark}::bigint - 1, ${mark}::bigint)
          and not exists (select 1 from recoveries where ended_at is null) returning 1
      )
      select 1 from begun union all select 1 from moved`,
  )
  return rows.length > 0
}

/**
 * A promoted standby shows by its timeline, and a restore into another cluster by its system identifier.
 *
 * @returns nulls where the role may not ask, or the server takes no writes just now
 */
export async function readServerIdentity(db: Db): Promise<ServerIdentity> {
  const ask = async (name: string, text: string) =>
    db
      .run(name, (sql) => sql.unsafe<{ value: string | null }[]>(text))
      .then(([row]) => row?.value ?? null)
      .catch(() => null)
  const [systemIdentifier, timeline] = await Promise.all([
    ask('read_system_identifier', 'select system_identifier::text as value from pg_control_system()'),
    ask(
      'read_timeline_id',
      'select case when pg_is_in_recovery() then null else left(pg_walfile_name(pg_current_wal_lsn()), 8) end as value',
    ),
  ])
  return { systemIdentifier, timeline }
}
