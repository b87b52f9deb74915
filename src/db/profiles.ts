// The statements of what a person looks like: name, counts, badge, picture. They never touch a token row.
import type { Db } from './client.ts'

export interface ProfileFields {
  username: string | null
  displayName: string | null
  followerCount: number | null
  isVerified: boolean | null
}

/**
 * @param pictureSource which picture the profile names; null: none
 * @returns whether that picture is here and younger than a day; undefined when the account was disconnected meanwhile: an erased profile
 *   stays erased
 */
export async function saveProfile(
  db: Db,
  accountId: string,
  profile: ProfileFields,
  pictureSource: string | null,
  nextInSeconds: number,
): Promise<{ pictureIsFresh: boolean } | undefined> {
  const rows = await db.run(
    'save_profile',
    (sql) => sql<{ pictureIsFresh: boolean }[]>`
      update accounts set username = ${profile.username}, display_name = ${profile.displayName}, follower_count = ${profile.followerCount},
        is_verified = ${profile.isVerified}, profile_fetched_at = now(), profile_due_at = now() + make_interval(secs => ${nextInSeconds})
      where id = ${accountId} and status <> 'disconnected'
      returning exists (
        select 1 from avatars v where v.account_id = accounts.id and v.source = ${pictureSource} and v.fetched_at > now() - interval '1 day'
      ) as "pictureIsFresh"`,
  )
  return rows[0]
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
  avatar: { contentType: string; etag: string; picture: Buffer; source: string },
): Promise<void> {
  await db.run(
    'save_avatar',
    (sql) => sql`
      insert into avatars (account_id, content_type, etag, picture, source)
      select id, ${avatar.contentType}, ${avatar.etag}, ${avatar.picture}, ${avatar.source} from accounts where id = ${accountId} and status <> 'disconnected'
      on conflict (account_id) do update set content_type = excluded.content_type, etag = excluded.etag, picture = excluded.picture,
        source = excluded.source, fetched_at = now()`,
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

export interface DueProfile {
  accountId: string
  openId: string
  scopes: string[]
  generation: number
  sealedAccessToken: string
}

/**
 * Accounts whose profile is due, taken for ten minutes so that replicas share the work. A token is never refreshed for a picture: an account whose
 * access token is dead waits for its next refresh, which a cold one gets once a day.
 *
 * @returns those with a live token, and how many were looked at
 */
export async function claimDueProfiles(db: Db, limit: number): Promise<{ profiles: DueProfile[]; looked: number }> {
  const rows = await db.run(
    'claim_due_profiles',
    (sql) => sql<(DueProfile & { live: boolean })[]>`
      with due as (
        select id from accounts where profile_due_at <= now() and status = 'active' order by profile_due_at limit ${limit} for update skip locked
      ), standing as (
        select d.id, t.*, t.access_expires_at > now() + interval '1 minute' as live from due d join token_sets t on t.account_id = d.id
      )
      update accounts a set profile_due_at = greatest(now() + interval '10 minutes', case when not s.live then s.due_at + interval '1 minute' end)
      from standing s where a.id = s.id
      returning a.id as "accountId", a.open_id as "openId", a.scopes, s.generation, s.sealed_access_token as "sealedAccessToken", s.live`,
  )
  return { profiles: rows.filter((row) => row.live), looked: rows.length }
}
