// The statements of what a person looks like: name, counts, badge, picture. They never touch a token row.
import type { Db } from './client.ts'

export interface ProfileFields {
  username: string | null
  displayName: string | null
  followerCount: number | null
  isVerified: boolean | null
}

/** @returns false when the account was disconnected meanwhile: an erased profile stays erased */
export async function saveProfile(db: Db, accountId: string, profile: ProfileFields, nextInSeconds: number): Promise<boolean> {
  const rows = await db.run(
    'save_profile',
    (sql) => sql`
      update accounts set username = ${profile.username}, display_name = ${profile.displayName}, follower_count = ${profile.followerCount},
        is_verified = ${profile.isVerified}, profile_fetched_at = now(), profile_due_at = now() + make_interval(secs => ${nextInSeconds})
      where id = ${accountId} and status <> 'disconnected' returning 1`,
  )
  return rows.length > 0
}

export async function postponeProfile(db: Db, accountId: string, seconds: number): Promise<void> {
  await db.run(
    'postpone_profile',
    (sql) =>
      sql`update accounts set profile_due_at = now() + make_interval(secs => ${seconds}) where id = ${accountId} and status <> 'disconnected'`,
  )
}

export async function saveAvatar(
  db: Db,
  accountId: string,
  avatar: { contentType: string; etag: string; picture: Buffer },
): Promise<void> {
  await db.run(
    'save_avatar',
    (sql) => sql`
      insert into avatars (account_id, content_type, etag, picture)
      select id, ${avatar.contentType}, ${avatar.etag}, ${avatar.picture} from accounts where id = ${accountId} and status <> 'disconnected'
      on conflict (account_id) do update set content_type = excluded.content_type, etag = excluded.etag, picture = excluded.picture, fetched_at = now()`,
  )
}

export async function findAvatar(
  db: Db,
  accountId: string,
): Promise<{ contentType: string; etag: string; picture: Buffer } | undefined> {
  const rows = await db.run(
    'find_avatar',
    (sql) => sql<{ contentType: string; etag: string; picture: Buffer }[]>`
      select content_type as "contentType", etag, picture from avatars where account_id = ${accountId}`,
  )
  return rows[0]
}

/** Accounts whose profile is due, taken for ten minutes so that replicas share the work. */
export async function claimDueProfiles(db: Db, limit: number): Promise<{ accountId: string; scopes: string[] }[]> {
  return db.run(
    'claim_due_profiles',
    (sql) => sql<{ accountId: string; scopes: string[] }[]>`
      with due as (
        select id from accounts where profile_due_at <= now() and status = 'active' order by profile_due_at limit ${limit} for update skip locked
      )
      update accounts a set profile_due_at = now() + interval '10 minutes' from due d where a.id = d.id
      returning a.id as "accountId", a.scopes`,
  )
}
