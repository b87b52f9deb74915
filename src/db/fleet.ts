// What is counted over all accounts, for the metrics. One replica counts, the others read what it found; nothing here looks at every row.
import type { Db } from './client.ts'
import type { AccountStatus, StatusReason } from './codes.ts'

export interface FleetFigures {
  accounts: { status: AccountStatus; reason: StatusReason | 'none'; count: number }[]
  /** grants that end within so many days */
  grantsEnding: { in7Days: number; in30Days: number }
  uploads: { exhausted: number; closed: number }
  revocations: { waiting: number; oldestSeconds: number }
  notices: { waiting: number; oldestSeconds: number }
  replicas: number
  seals: { keyId: string; seals: number }[]
}

/** @returns whether it is this process's turn to count: one of all has it for so long */
export async function claimFleet(db: Db, seconds: number): Promise<boolean> {
  const rows = await db.run(
    'claim_fleet',
    (sql) =>
      sql`update fleet_figures set lease_until = now() + make_interval(secs => ${seconds}) where lease_until <= now() returning 1`,
  )
  return rows.length > 0
}

/** More than this is not counted: the figure says "at least". */
const mostCounted = 100_000
const mostWaiting = 10_000
/** The first fold after a million changes takes seconds, and must not be begun again and again. */
const patience = { deadlineMs: 60_000 }

/** Counts, and folds the tallies of accounts together, so that few of them have to be added up. */
export async function measureFleet(db: Db): Promise<FleetFigures> {
  const [rows] = await Promise.all([
    db.run(
      'measure_fleet',
      (sql) => sql<FleetFigures[]>`
        with revocation as (select created_at from revocations order by next_attempt_at limit ${mostWaiting}),
          notice as (select received_at from notices where settled_at is null order by next_attempt_at limit ${mostWaiting})
        select
          (select coalesce(jsonb_agg(a), '[]') from (
            select status, reason, sum(delta)::bigint as count from account_tallies group by status, reason) as a) as accounts,
          jsonb_build_object(
            'in7Days', (select count(*) from (select 1 from token_sets where due_at is not null
              and refresh_expires_at between now() and now() + interval '7 days' limit ${mostCounted}) as g),
            'in30Days', (select count(*) from (select 1 from token_sets where due_at is not null
              and refresh_expires_at between now() and now() + interval '30 days' limit ${mostCounted}) as g)) as grants_ending,
          jsonb_build_object(
            'exhausted', (select count(*) from (select 1 from upload_gates where exhausted_until > now() limit ${mostCounted}) as g),
            'closed', (select count(*) from (select 1 from upload_gates
              where closed_until > now() and closed_until > '-infinity' limit ${mostCounted}) as g)) as uploads,
          (select jsonb_build_object('waiting', count(*), 'oldestSeconds', coalesce(extract(epoch from now() - min(created_at)), 0))
            from revocation) as revocations,
          (select jsonb_build_object('waiting', count(*), 'oldestSeconds', coalesce(extract(epoch from now() - min(received_at)), 0))
            from notice) as notices,
          (select count(*)::int from replicas where seen_at > now() - interval '15 seconds') as replicas,
          (select coalesce(jsonb_agg(jsonb_build_object('keyId', key_id, 'seals', seals)), '[]') from vault_keys) as seals`,
      patience,
    ),
    db.run(
      'fold_account_tallies',
      (sql) => sql`
        with gone as (delete from account_tallies returning status, reason, delta)
        insert into account_tallies (status, reason, delta)
        select status, reason, sum(delta) from gone group by status, reason having sum(delta) <> 0`,
      patience,
    ),
  ])
  if (!rows[0]) throw new Error('A statement without a table has one row')
  return rows[0]
}

export async function storeFleet(db: Db, figures: FleetFigures): Promise<void> {
  const text = JSON.stringify(figures)
  await db.run('store_fleet', (sql) => sql`update fleet_figures set figures = ${text}::text::jsonb, measured_at = now()`)
}

/** @returns undefined before anybody has counted */
export async function readFleet(db: Db): Promise<{ figures: FleetFigures; ageSeconds: number } | undefined> {
  const rows = await db.run(
    'read_fleet',
    (sql) => sql<{ figures: FleetFigures; ageSeconds: number }[]>`
      select figures, extract(epoch from now() - measured_at)::float8 as age_seconds from fleet_figures where figures is not null`,
  )
  return rows[0]
}
