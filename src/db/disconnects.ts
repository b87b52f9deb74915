// The statements of an emergency: whom it concerns, and how many TikTok has still to be told about.
import type { Db } from './client.ts'
import { tryLeaseSeconds } from './revocations.ts'

/** Accounts that can still hand out a token; of one owner, or of all. Oldest first. */
export async function listLiveAccountIds(db: Db, ownerId: string | null, after: string, limit: number): Promise<string[]> {
  const rows = await db.run(
    'list_live_account_ids',
    (sql) => sql<{ id: string }[]>`
      select id from accounts where status <> 'disconnected' and id > ${after} ${ownerId === null ? sql`` : sql`and owner_id = ${ownerId}`}
      order by id limit ${limit}`,
  )
  return rows.map(({ id }) => id)
}

export async function countLiveAccounts(db: Db, ownerId: string | null): Promise<number> {
  const rows = await db.run(
    'count_live_accounts',
    (sql) => sql<{ count: number }[]>`
      select count(*) as count from accounts where status <> 'disconnected' ${ownerId === null ? sql`` : sql`and owner_id = ${ownerId}`}`,
    { deadlineMs: 60_000 },
  )
  return rows[0]?.count ?? 0
}

/** Revocations that wait at this moment for a reason, and when the last of them may be tried. */
export async function pendingRevocations(
  db: Db,
  reason: string,
  ownerId: string | null,
): Promise<{ count: number; lastInSeconds: number }> {
  const rows = await db.run(
    'pending_revocations',
    (sql) => sql<{ count: number; lastInSeconds: number }[]>`
      select count(*) as count, greatest(0, coalesce(extract(epoch from max(next_attempt_at) - now()), 0))::float8 as last_in_seconds
      from revocations where reason = ${reason} and (${ownerId}::text is null or owner_id = ${ownerId})`,
    { deadlineMs: 60_000 },
  )
  return rows[0] ?? { count: 0, lastInSeconds: 0 }
}

/**
 * Gives every revocation of this reason its moment: so many a second from now on, whoever carries them out. One that is being tried keeps its
 * lease: a second try beside it would send the same refresh token.
 */
export async function spreadRevocations(db: Db, reason: string, perSecond: number): Promise<void> {
  await db.run(
    'spread_revocations',
    (sql) => sql`
      with ordered as (
        select id, row_number() over (order by next_attempt_at, id) as place from revocations where reason = ${reason}
          and not (attempts > 0 and next_attempt_at between now() and now() + make_interval(secs => ${tryLeaseSeconds}))
      )
      update revocations r set next_attempt_at = now() + make_interval(secs => o.place / ${perSecond}::float8) from ordered o where r.id = o.id`,
    { deadlineMs: 60_000 },
  )
}

export async function noteDisconnects(db: Db, actor: string, object: string, detail: string): Promise<void> {
  await db.run(
    'note_disconnects',
    (sql) =>
      sql`insert into audit_log (actor, action, object, detail) values (${actor}, 'accounts_disconnected', ${object}, ${detail})`,
  )
}
