// What invalid_grant does to a token set: suspected first, believed when its grace is over, with the reason in the account, the
// timeline and the event.
import type { Claim } from './claims.ts'
import type { Db } from './client.ts'
import type { StatusReason } from './codes.ts'

/** What is said of accounts that need their person now, in the account and the timeline; from `settled`, the token sets that gave it up. */
export const markSettled = `marked as (
        update accounts a set status = 'reauthorization_required', status_reason = s.reason, status_changed_at = now()
        from settled s where a.id = s.account_id and a.status = 'active' returning a.id, a.owner_id, s.reason, s.generation, s.given_up_by
      ), journal as (
        insert into timeline (account_id, kind, generation, attempt_id, code, actor)
        select id, 'reauthorization_required', generation, given_up_by, reason, 'service' from marked
      )`

/**
 * Of a token set `t`. More than one attempt: an earlier one may have been processed and its answer lost, so it is not TikTok or the person who
 * ended the grant.
 */
export const reasonOfRejection = `case when t.unsettled_attempts > 1 then 'refresh_outcome_unknown' else 'refresh_token_rejected' end`

/** As `markSettled`, and in the event. */
const markAndTell = `${markSettled}, announced as (
        insert into events (type, account_id, data)
        select 'account.reauthorization_required', id, jsonb_build_object('account_id', id, 'owner_id', owner_id, 'reason', reason) from marked
      )
      select id as account_id, reason from marked`

/**
 * TikTok answered invalid_grant. Not believed yet: a paused sibling may still write, so grace runs first (S45).
 *
 * @returns false when the generation had moved on, or another attempt holds the claim by now: a sibling won
 */
export async function suspectRejection(db: Db, claim: Claim, graceSeconds: number): Promise<boolean> {
  const rows = await db.run(
    'suspect_rejection',
    (sql) => sql`
      with suspected as (
        -- Asked again by the brake's probe: that attempt leaves nothing unknown.
        update token_sets set rejected_at = now(), unsettled_attempts = unsettled_attempts - case when rejected_at is null then 0 else 1 end, attempt_id = null, lease_until = null,
          next_attempt_at = now() + make_interval(secs => ${graceSeconds}), due_at = now() + make_interval(secs => ${graceSeconds})
        where account_id = ${claim.accountId} and generation = ${claim.generation} and attempt_id = ${claim.attemptId}
        returning account_id, generation
      ), counted as (
        insert into refusals (endpoint, account_id, generation) select 'token', account_id, generation from suspected
        on conflict (endpoint, account_id, generation) do update set refused_at = now()
      ), journal as (
        insert into timeline (account_id, kind, generation, attempt_id, code, actor)
        select account_id, 'refresh_rejected', generation, ${claim.attemptId}, 'invalid_grant', 'service' from suspected
      )
      select account_id from suspected`,
  )
  return rows.length > 0
}

/** The refresh token's own time is over, by TikTok's own figure: nothing is sent, the person has to act. */
export async function recordExpiry(db: Db, claim: Claim): Promise<void> {
  await db.run(
    'record_expiry',
    (sql) => sql`
      with settled as (
        update token_sets set attempt_id = null, lease_until = null, unsettled_attempts = greatest(0, unsettled_attempts - 1), due_at = null,
          rejected_at = now(), next_attempt_at = 'infinity'
        where account_id = ${claim.accountId} and generation = ${claim.generation} and attempt_id = ${claim.attemptId}
        returning account_id, generation, 'refresh_token_expired' as reason, ${claim.attemptId}::text as given_up_by
      ), ${sql.unsafe(markAndTell)}`,
  )
}

/**
 * Believes rejections whose grace is over and whose generation nobody moved. While the brake holds nobody is told anything (F66).
 *
 * @param accountId only this one; null: whatever is due
 * @returns the accounts that now need their person, with the reason
 */
export async function settleRejections(
  db: Db,
  accountId: string | null,
  limit: number,
): Promise<{ accountId: string; reason: StatusReason }[]> {
  return db.run(
    'settle_rejections',
    (sql) => sql<{ accountId: string; reason: StatusReason }[]>`
      with due as (
        select account_id from token_sets
        where rejected_at is not null and due_at <= now() and (${accountId}::text is null or account_id = ${accountId})
          and not exists (select 1 from circuit_breakers where name = 'token_refused' and failures > 0)
        order by due_at limit ${limit} for update skip locked
      ), settled as (
        update token_sets t set due_at = null, next_attempt_at = 'infinity' from due d where t.account_id = d.account_id
        returning t.account_id, t.generation, null::text as given_up_by,
          ${sql.unsafe(reasonOfRejection)} as reason
      ), ${sql.unsafe(markAndTell)}`,
  )
}
