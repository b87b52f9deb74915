// The statements of the brake: what TikTok refused lately, how many refreshes may be sent before that is known, and what holds then (F66).
import type { Db } from './client.ts'
import type { BrakedEndpoint } from './codes.ts'
import type { admissions, Row } from './schema.ts'
import { snakeCased } from './wire-types.ts'

/** `braked`: the brake holds; `brakedNow`: by this very question */
export interface Admitted {
  admitted: number
  room: number
  braked: boolean
  brakedNow: boolean
}

/** @see functions/admit_refreshes.sql */
export async function admitRefreshes(
  db: Db,
  report: Row<typeof admissions, 'replicaId' | 'inFlight'> & { accepted: number; wanted: number; onlyDue: boolean },
): Promise<Admitted> {
  const rows = await db.run(
    'admit_refreshes',
    (sql) => sql<Admitted[]>`select admitted, room, braked, braked_now from admit_refreshes(${sql.json(snakeCased(report))})`,
  )
  const row = rows[0]
  if (!row) throw new Error('admit_refreshes answered nothing')
  return row
}

/**
 * TikTok did not take an access token of ours. Counted; when that makes too many, the brake holds and takes back what was believed.
 *
 * @returns whether it may be believed, and whether the brake holds since this very call
 */
export async function countRefusedAccessToken(
  db: Db,
  accountId: string,
  generation: number,
): Promise<{ believed: boolean; brakedNow: boolean }> {
  await db.run(
    'count_refused_access_token',
    (sql) => sql`
      insert into refusals (endpoint, account_id, generation)
      select 'user_info', account_id, generation from token_sets
      where account_id = ${accountId} and generation = ${generation} and refused_generation is distinct from generation
      on conflict (endpoint, account_id, generation) do update set refused_at = now()`,
  )
  const rows = await db.run(
    'hold_user_info',
    (sql) => sql<{ believed: boolean; brakedNow: boolean }[]>`
      with held as (select hold_refusals('user_info') as braked_now from refusals_lately('user_info') l where l.refused > l.allowed)
      select not exists (select 1 from held)
          and not exists (select 1 from circuit_breakers where name = 'user_info_refused' and failures > 0) as believed,
        coalesce((select braked_now from held), false) as braked_now`,
  )
  return rows[0] ?? { believed: false, brakedNow: false }
}

/** TikTok took an access token. @returns whether that let go of the brake */
export async function countTakenAccessToken(db: Db, replicaId: string): Promise<boolean> {
  const rows = await db.run(
    'count_taken_access_token',
    (sql) => sql<{ released: boolean }[]>`
      with counted as (
        insert into acceptances as a (endpoint, slot, replica_id, count)
        values ('user_info', date_bin(interval '10 seconds', now(), timestamptz '2000-01-01 00:00:00Z'), ${replicaId}, 1)
        on conflict (endpoint, slot, replica_id) do update set count = a.count + 1
      )
      select release_refusals('user_info', 'service') is not null as released
      from circuit_breakers where name = 'user_info_refused' and failures > 0`,
  )
  return rows[0]?.released === true
}

/** @returns how many suspected refresh tokens are asked about once more; null when the brake did not hold */
export async function releaseRefusals(db: Db, endpoint: BrakedEndpoint, actor: string): Promise<number | null> {
  const rows = await db.run(
    'release_refusals',
    (sql) => sql<{ again: number | null }[]>`select release_refusals(${endpoint}, ${actor}) as again`,
  )
  return rows[0]?.again ?? null
}

export interface BrakeState {
  endpoint: BrakedEndpoint
  holds: boolean
  /** until the next probe may go out */
  probeInSeconds: number
  refused: number
  allowed: number
}

export async function readBrakes(db: Db): Promise<BrakeState[]> {
  return db.run(
    'read_brakes',
    (sql) => sql<BrakeState[]>`
      select e.endpoint, coalesce(b.failures > 0, false) as holds,
        coalesce(greatest(0, extract(epoch from greatest(b.open_until, now()) - now())), 0)::float8 as probe_in_seconds,
        l.refused, l.allowed
      from unnest(array['token', 'user_info']) e (endpoint)
      left join circuit_breakers b on b.name = e.endpoint || '_refused', lateral refusals_lately(e.endpoint) l
      order by 1`,
  )
}

/** What is older than any decision; while the brake holds, the refusals it holds for stay. */
export async function purgeRefusals(db: Db): Promise<void> {
  await db.run(
    'purge_refusals',
    (sql) => sql`
      with old_slots as (delete from acceptances where slot < now() - interval '10 minutes'),
        old_reports as (delete from admissions where reported_at < now() - interval '1 hour')
      delete from refusals r where refused_at < now() - interval '1 hour'
        and not exists (select 1 from circuit_breakers where name = r.endpoint || '_refused' and failures > 0)`,
  )
}
