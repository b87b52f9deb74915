// Grants that are to die at TikTok: kept sealed in a row of their own until TikTok has confirmed, because the account they
// came from is erased already.
import type { Db } from './client.ts'
import type { RevocationEnd } from './codes.ts'
import type { Row, revocations } from './schema.ts'

/** How long a try has before another replica may take the row. */
export const tryLeaseSeconds = 30

type SealedColumns =
  | ('id' | 'accountId' | 'sessionId' | 'reason' | 'subject')
  | ('generation' | 'sealedAccessToken' | 'sealedRefreshToken')

export type RevocationRow = Row<typeof revocations, SealedColumns | 'attempts'> & {
  accessExpired: boolean
  /** the database's clock at the claim; dates a renewed token without trusting ours (F29) */
  claimedAt: Date
}

export type NewRevocation = Row<typeof revocations, SealedColumns | 'accessExpiresAt'> & { openId: string }

/**
 * Takes the place of what waits for the same account or session: those tokens were replaced by these.
 *
 * @returns false when the TikTok account is connected here: at TikTok a revocation ends all grants of a person
 */
export async function insertRevocation(db: Db, r: NewRevocation): Promise<boolean> {
  const rows = await db.run(
    'insert_revocation',
    (sql) => sql`
      with wanted as (
        select ${r.id}::text as id where not exists (select 1 from accounts where open_id = ${r.openId} and status <> 'disconnected')
      ), replaced as (
        delete from revocations r using wanted w where (r.account_id = ${r.accountId} or r.session_id = ${r.sessionId}) and r.id <> w.id
      ), inserted as (
        insert into revocations (id, account_id, session_id, tiktok_user, reason, subject, generation, sealed_access_token, sealed_refresh_token, access_expires_at)
        select id, ${r.accountId}::text, ${r.sessionId}::text, tiktok_user_of(${r.openId}), ${r.reason}::text, ${r.subject}::text, ${r.generation}::integer, ${r.sealedAccessToken}::text,
          ${r.sealedRefreshToken}::text, ${r.accessExpiresAt}::timestamptz from wanted
        on conflict (id) do nothing
      )
      select 1 from wanted`,
  )
  return rows.length > 0
}

/**
 * Takes revocations for one try each: whoever takes one has half a minute before another replica may. While the circuit breaker is open nothing
 * is taken but the one that is asked for by its id, because somebody waits for it. While a recovery is open
 * nothing is: to revoke, an expired token has to be refreshed.
 */
export async function claimRevocations(db: Db, id: string | null, limit: number): Promise<RevocationRow[]> {
  return db.run(
    'claim_revocations',
    (sql) => sql<RevocationRow[]>`
      with due as (
        select id from revocations where next_attempt_at <= now() and not exists (select 1 from recoveries where ended_at is null)
          and case when ${id}::text is null then not exists (select 1 from circuit_breakers where name in ('token', 'token_refused') and open_until > now()) else id = ${id} end
        order by next_attempt_at limit ${limit} for update skip locked
      )
      update revocations r set attempts = attempts + 1, next_attempt_at = now() + make_interval(secs => ${tryLeaseSeconds})
      from due d where r.id = d.id
      returning r.id, account_id, session_id, reason, subject, generation, sealed_access_token,
        sealed_refresh_token, access_expires_at <= now() as access_expired, attempts, now() as claimed_at`,
  )
}

/** @returns false when it was dropped since, because the person connected anew, or settled by another replica */
export async function revocationStands(db: Db, id: string): Promise<boolean> {
  const rows = await db.run('revocation_stands', (sql) => sql`select 1 from revocations where id = ${id}`)
  return rows.length > 0
}

/** An expired access token was refreshed so that it can be revoked: the row now holds the new pair. */
export async function renewRevocation(
  db: Db,
  id: string,
  renewed: Row<typeof revocations, 'generation' | 'sealedAccessToken' | 'sealedRefreshToken' | 'accessExpiresAt'>,
): Promise<void> {
  await db.run(
    'renew_revocation',
    (sql) => sql`
      update revocations set generation = ${renewed.generation}, sealed_access_token = ${renewed.sealedAccessToken},
        sealed_refresh_token = ${renewed.sealedRefreshToken}, access_expires_at = ${renewed.accessExpiresAt}
      where id = ${id}`,
  )
}

export async function postponeRevocation(db: Db, id: string, waitSeconds: number): Promise<void> {
  await db.run(
    'postpone_revocation',
    (sql) => sql`update revocations set next_attempt_at = now() + make_interval(secs => ${waitSeconds}) where id = ${id}`,
  )
}

/** Confirmed, already gone, or given up: the secrets go and the timeline says which. */
export async function settleRevocation(db: Db, id: string, code: RevocationEnd): Promise<void> {
  await db.run(
    'settle_revocation',
    (sql) => sql`
      with settled as (delete from revocations where id = ${id} returning account_id, session_id)
      insert into timeline (account_id, session_id, kind, code, actor) select account_id, session_id, 'grant_revoked', ${code}, 'service' from settled`,
  )
}

/** @returns the id of what TikTok has not confirmed dead yet of this account; undefined when nothing waits */
export async function pendingRevocationOf(db: Db, accountId: string): Promise<string | undefined> {
  const rows = await db.run(
    'pending_revocation_of_account',
    (sql) => sql<{ id: string }[]>`select id from revocations where account_id = ${accountId} order by next_attempt_at limit 1`,
  )
  return rows[0]?.id
}

/** How many grants of an owner's accounts TikTok has not confirmed dead yet, the owner erased or not. */
export async function pendingRevocationsOf(db: Db, ownerId: string): Promise<number> {
  const rows = await db.run(
    'pending_revocations_of_owner',
    (sql) => sql<{ count: number }[]>`select count(*)::int as count from revocations where owner_id = ${ownerId}`,
  )
  return rows[0]?.count ?? 0
}
