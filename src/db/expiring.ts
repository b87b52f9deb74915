// The statement that warns in time: whose refresh token ends soon, and who has not been told yet.
import type { Db } from './client.ts'

export interface Warned {
  accountId: string
  /** the warning that was given: so many days ahead */
  warningDays: number
}

/**
 * Announces the ends of refresh tokens that came within a warning time, each warning once per grant; after a pause of ours only the most urgent. In the
 * same statement: a token whose end moved away again (TikTok gave a longer one) is warned anew of what it left, not of what it is still in; and one whose end
 * has come is looked at by the refresher now.
 *
 * @param warningDays how long before the end, the longest first
 */
export async function announceExpiring(db: Db, warningDays: readonly number[], limit: number): Promise<Warned[]> {
  const longest = Math.max(...warningDays)
  return db.run(
    'announce_expiring',
    (sql) => sql<Warned[]>`
      with near as (
        select t.account_id, t.refresh_expires_at, (select min(d) from unnest(${[...warningDays]}::int[]) d
          where t.refresh_expires_at <= now() + make_interval(days => d)) as warning
        from token_sets t
        where t.due_at is not null and t.refresh_expires_at > now() and t.refresh_expires_at <= now() + make_interval(days => ${longest})
      ), untold as (
        select a.id, n.warning, n.refresh_expires_at from near n join accounts a on a.id = n.account_id
        where a.status = 'active' and (a.expiry_announced_days is null or a.expiry_announced_days > n.warning)
        order by n.refresh_expires_at limit ${limit} for update of a skip locked
      ), told as (
        update accounts a set expiry_announced_days = u.warning from untold u where a.id = u.id
        returning a.id, a.owner_id, u.warning, u.refresh_expires_at
      ), journal as (
        insert into timeline (account_id, kind, code, actor) select id, 'expiring', 'refresh_token_expires', 'service' from told
      ), announced as (
        insert into events (type, account_id, data)
        select 'account.expiring', id, jsonb_build_object('account_id', id, 'owner_id', owner_id,
          'reauthorize_by', to_char(refresh_expires_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
          'days_left', ceil(extract(epoch from refresh_expires_at - now()) / 86400)::int)
        from told
      ), longer as (
        update accounts a set expiry_announced_days = (select min(d) from unnest(${[...warningDays]}::int[]) d
          where t.refresh_expires_at <= now() + make_interval(days => d))
        from token_sets t
        -- An hour more: TikTok tells the rest in whole seconds, so that every refresh moves an end by a moment.
        where a.expiry_announced_days is not null and t.account_id = a.id
          and t.refresh_expires_at > now() + make_interval(days => a.expiry_announced_days, hours => 1)
      ), ended as (
        update token_sets set due_at = now()
        where refresh_expires_at <= now() and due_at > now() and lease_until is null and rejected_at is null
      )
      select id as account_id, warning as warning_days from told`,
  )
}
