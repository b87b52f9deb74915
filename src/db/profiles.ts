// The statements of what is known of a person: name, counts, badge, picture. They never write a token.
import type { Db } from './client.ts'
import type { accounts, profiles, Row, tokenSets } from './schema.ts'
import { refusedColumn } from './token-sets.ts'
import { columnName, snakeCased } from './wire-types.ts'

/** What TikTok tells in words and numbers. The compiler asks for a new column of `profiles` to be listed here. */
export type ProfileFields = Omit<Row<typeof profiles>, 'accountId' | 'fetchedAt' | `picture${string}`>
const listed: Record<keyof ProfileFields, true> = {
  unionId: true,
  username: true,
  displayName: true,
  followerCount: true,
  isVerified: true,
  refusedFields: true,
}
const columns = Object.keys(listed).map(columnName)
const columnsOf = (table: string) => columns.map((column) => `${table}.${column}`).join(', ')
/** Who a person is does not change: a union_id that TikTok leaves out this time is the one that is known. */
const renewed = columnsOf('excluded').replace('excluded.union_id', 'coalesce(excluded.union_id, p.union_id)')
/** of the profile `p`, read together with its account */
export const profileColumns = columnsOf('p')

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
      with live as (
        -- A disconnect that is being recorded is waited for, and then there is nothing to hang a profile on.
        select account_id from token_sets where account_id = ${accountId} for key share
      ), scheduled as (
        update accounts a set profile_due_at = now() + make_interval(secs => ${nextInSeconds}) from live l where a.id = l.account_id
      )
      insert into profiles as p (account_id, ${sql.unsafe(columns.join(', '))})
      select l.account_id, ${sql.unsafe(columnsOf('told'))} from live l, jsonb_populate_record(null::profiles, ${sql.json(snakeCased(profile))}) told
      on conflict (account_id) do update set (${sql.unsafe(columns.join(', '))}, fetched_at) = row(${sql.unsafe(renewed)}, now())
      returning coalesce(p.picture_source = ${pictureSource} and p.picture_fetched_at > now() - interval '1 day', false) as picture_is_fresh`,
  )
  return rows[0]
}

/**
 * Once more after as long as the profile has been missing, so that the waits double, up to a day. Never earlier than it was due anyway: a `verify`
 * that fails does not make the background ask.
 */
export async function postponeProfile(db: Db, accountId: string, atLeastSeconds: number): Promise<void> {
  await db.run(
    'postpone_profile',
    (sql) => sql`
      update accounts a set profile_due_at = greatest(profile_due_at, now() + make_interval(secs => ${atLeastSeconds}),
        now() + least(interval '1 day', now() - greatest((select p.fetched_at + interval '1 day' from profiles p where p.account_id = a.id), a.authorized_at)))
      where a.id = ${accountId} and a.status <> 'disconnected'`,
  )
}

/** For a profile that was saved just now, without its picture: once more before the next day, after as long as the one that is here is old. */
export async function awaitPicture(db: Db, accountId: string, atLeastSeconds: number): Promise<void> {
  await db.run(
    'await_picture',
    (sql) => sql`
      update accounts a set profile_due_at = least(profile_due_at, now() + greatest(make_interval(secs => ${atLeastSeconds}),
        now() - greatest((select p.picture_fetched_at from profiles p where p.account_id = a.id), a.authorized_at)))
      where a.id = ${accountId} and a.status <> 'disconnected'`,
  )
}

/** No replica's background looks at a profile for so long. */
export async function pauseProfiles(db: Db, seconds: number): Promise<void> {
  await db.run(
    'pause_profiles',
    (sql) => sql`
      insert into circuit_breakers as b (name, open_until) values ('user_info', now() + make_interval(secs => ${seconds}))
      on conflict (name) do update set open_until = greatest(b.open_until, excluded.open_until)`,
  )
}

export interface Avatar {
  contentType: string
  etag: string
  picture: Buffer
}

/** Into the profile that names it; of an account that was disconnected meanwhile there is none. */
export async function saveAvatar(db: Db, accountId: string, avatar: Avatar & { source: string }): Promise<void> {
  await db.run(
    'save_avatar',
    (sql) => sql`
      update profiles set picture = ${avatar.picture}, picture_type = ${avatar.contentType}, picture_etag = ${avatar.etag},
        picture_source = ${avatar.source}, picture_fetched_at = now()
      where account_id = ${accountId}`,
  )
}

export async function findAvatar(db: Db, accountId: string): Promise<Avatar | undefined> {
  const rows = await db.run(
    'find_avatar',
    (sql) => sql<Avatar[]>`
      select picture_type as content_type, picture_etag as etag, picture from profiles where account_id = ${accountId} and picture is not null`,
  )
  return rows[0]
}

export type DueProfile = Row<typeof tokenSets, 'accountId' | 'generation' | 'sealedAccessToken'> &
  Row<typeof accounts, 'scopes'> & { openId: string }

/**
 * Accounts whose profile is due, taken for ten minutes so that replicas share the work. They share the rate as well: each claim opens
 * the breaker for as long as its calls may take.
 *
 * While the brake holds, one a minute is looked at as its probe (F66).
 *
 * No token is refreshed for a picture: an account whose access token is dead waits for its next refresh.
 *
 * @returns those with a live token, and how many were looked at
 */
export async function claimDueProfiles(
  db: Db,
  { limit, perSecond }: { limit: number; perSecond: number },
): Promise<{ profiles: DueProfile[]; looked: number }> {
  const rows = await db.run(
    'claim_due_profiles',
    (sql) => sql<(DueProfile & { live: boolean })[]>`
      with due as (
        select id from accounts where profile_due_at <= now() and status = 'active'
          and not exists (select 1 from circuit_breakers where name in ('user_info', 'user_info_refused') and open_until > now())
        order by profile_due_at
        limit (select case when exists (select 1 from circuit_breakers where name = 'user_info_refused' and failures > 0) then 1 else ${limit}::int end)
        for update skip locked
      ), standing as (
        select d.id, t.*, t.access_expires_at > now() + interval '1 minute' and not ${sql.unsafe(refusedColumn)} as live from due d join token_sets t on t.account_id = d.id
      ), claimed as (
        update accounts a set profile_due_at = greatest(now() + interval '10 minutes', case when not s.live then s.due_at + interval '1 minute' end)
        from standing s where a.id = s.id
        returning a.id as account_id, a.open_id, a.scopes, s.generation, s.sealed_access_token, s.live
      ), probing as (
        update circuit_breakers set open_until = now() + interval '1 minute'
        where name = 'user_info_refused' and failures > 0 and exists (select 1 from claimed where live)
      ), paced as (
        insert into circuit_breakers as b (name, open_until)
        select 'user_info', now() + make_interval(secs => count(*) / ${perSecond}::float8) from claimed where live having count(*) > 0
        on conflict (name) do update set open_until = greatest(b.open_until, now()) + (excluded.open_until - now())
      )
      select * from claimed`,
  )
  return { profiles: rows.filter((row) => row.live), looked: rows.length }
}
