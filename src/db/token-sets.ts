// The statements of a token's life: vend, claim, and the ways a claim is settled. Each is one statement, so that nothing is
// ever half done; every time in them is the database's. Locks are taken in one order everywhere: token set, then account.
import type { Db } from './client.ts'

export type AccountStatus = 'active' | 'reauthorization_required' | 'disconnected'

/** What a vend found. `audited` is true when the audit row was written in the same statement: no row, no token (S27). */
export interface Vended {
  status: AccountStatus
  statusReason: string | null
  openId: string | null
  scopes: string[]
  generation: number | null
  sealedAccessToken: string | null
  accessExpiresAt: Date | null
  secondsLeft: number
  /** min_ttl after the clamp to half of the token's life */
  neededSeconds: number
  audited: boolean
}

/**
 * Reads a sealed access token and writes the audit row, in one statement; the row is written only when the token is good for
 * `minTtlSeconds` (clamped to half its life), so that a row always stands for a token that left.
 *
 * The commit is asynchronous: a crash of the database may lose the last milliseconds of audit rows, whose tokens most likely
 * died in the same crash; a flush per read would halve the rate.
 *
 * @param read.degraded also takes a token of an account whose refresh outcome is unknown (F01)
 * @returns undefined when there is no such account
 */
export async function vendTokenSet(
  db: Db,
  read: { accountId: string; minTtlSeconds: number; keyId: string; requestId: string; degraded: boolean },
): Promise<Vended | undefined> {
  const rows = await db.run(
    'vend_token_set',
    (sql) => sql<Vended[]>`
      with found as (
        select a.id, a.status, a.status_reason, a.open_id, a.scopes, t.generation, t.sealed_access_token, t.access_expires_at,
          coalesce(extract(epoch from t.access_expires_at - now()), 0)::float8 as seconds_left,
          least(${read.minTtlSeconds}::float8, t.lifetime_seconds / 2.0)::float8 as needed_seconds,
          set_config('synchronous_commit', 'off', true) as asynchronous
        from accounts a left join token_sets t on t.account_id = a.id
        where a.id = ${read.accountId}
      ), audit as (
        insert into token_reads (account_id, key_id, generation, degraded, request_id)
        select id, ${read.keyId}, generation, ${read.degraded}, ${read.requestId} from found
        where generation is not null and seconds_left > 0 and seconds_left >= needed_seconds
          and (status = 'active' or (${read.degraded} and status_reason = 'refresh_outcome_unknown'))
        returning 1
      ), warmed as (
        -- At most once an hour: a cold account that is read becomes one that is refreshed ahead.
        update token_sets t set last_read_at = now(),
          due_at = case when t.due_at is null then null else least(t.due_at, refresh_due_at(t.access_expires_at, t.lifetime_seconds, now())) end
        from found f where t.account_id = f.id and t.last_read_at < now() - interval '1 hour'
        returning 1
      )
      select status, status_reason as "statusReason", open_id as "openId", scopes, generation, sealed_access_token as "sealedAccessToken",
        access_expires_at as "accessExpiresAt", seconds_left as "secondsLeft", needed_seconds as "neededSeconds",
        exists (select 1 from audit) as audited
      from found`,
  )
  return rows[0]
}

/** What a vend would find, without vending. */
export async function peekTokenSet(db: Db, accountId: string): Promise<Vended | undefined> {
  const rows = await db.run(
    'peek_token_set',
    (sql) => sql<Vended[]>`
      select a.status, a.status_reason as "statusReason", a.open_id as "openId", a.scopes, t.generation, null as "sealedAccessToken",
        t.access_expires_at as "accessExpiresAt", coalesce(extract(epoch from t.access_expires_at - now()), 0)::float8 as "secondsLeft",
        0::float8 as "neededSeconds", false as audited
      from accounts a left join token_sets t on t.account_id = a.id where a.id = ${accountId}`,
  )
  return rows[0]
}

/** Who asks for a claim, and when a claim ends by itself. */
export interface ClaimTerms {
  attemptId: string
  leaseSeconds: number
}

/** One refresh token, claimed: nobody else sends it until the lease ran out. */
export interface Claim {
  accountId: string
  attemptId: string
  /** the generation that is about to be spent */
  generation: number
  openId: string
  scopes: string[]
  sealedRefreshToken: string
  /** attempts that may have been sent and never settled, this one included; above 1 the token may be spent already */
  unsettledAttempts: number
  /** the earlier holder's lease ended without a word */
  leaseRanOut: boolean
  refreshTokenExpired: boolean
  /** the one refresh that tries whether TikTok is back (half-open gate) */
  probing: boolean
  failures: number
  /** the database's clock at the claim; together with a monotonic clock it dates the answer without trusting ours */
  claimedAt: Date
}

/**
 * Takes the lease on one account's refresh token. It also proves that the database takes writes before the single-use token
 * is spent. Repeating it with the same attempt id finds the claim it made.
 *
 * @returns undefined when somebody holds it, it moved on, has to wait, or the gate is closed: ask `standingOf` why
 */
export async function claimTokenSet(
  db: Db,
  accountId: string,
  generation: number,
  terms: ClaimTerms,
): Promise<Claim | undefined> {
  const rows = await db.run(
    'claim_token_set',
    (sql) => sql<Claim[]>`
      with candidate as (
        select account_id, lease_until is not null as lease_ran_out from token_sets
        where account_id = ${accountId} and generation = ${generation} and rejected_at is null and next_attempt_at <= now()
          and (lease_until is null or lease_until <= now() or attempt_id = ${terms.attemptId})
        for update
      ), probe as (
        update gates set closed_until = now() + interval '15 seconds'
        where name = 'token' and failures > 0 and closed_until <= now() and exists (select 1 from candidate)
        returning 1
      ), claimed as (
        update token_sets t set attempt_id = ${terms.attemptId}, lease_until = now() + make_interval(secs => ${terms.leaseSeconds}),
          unsettled_attempts = t.unsettled_attempts + case when t.attempt_id = ${terms.attemptId} then 0 else 1 end,
          due_at = now() + make_interval(secs => ${terms.leaseSeconds})
        from candidate c where t.account_id = c.account_id
          and (exists (select 1 from probe) or not exists (select 1 from gates where name = 'token' and failures > 0))
        returning t.*, c.lease_ran_out
      )
      select c.account_id as "accountId", c.attempt_id as "attemptId", c.generation, a.open_id as "openId", a.scopes,
        c.sealed_refresh_token as "sealedRefreshToken", c.unsettled_attempts as "unsettledAttempts", c.lease_ran_out as "leaseRanOut",
        coalesce(c.refresh_expires_at <= now(), false) as "refreshTokenExpired", exists (select 1 from probe) as probing, c.failures, now() as "claimedAt"
      from claimed c join accounts a on a.id = c.account_id`,
  )
  return rows[0]
}

/**
 * Takes leases on token sets that are due, the longest due first; rows another replica is just taking are skipped, so several
 * replicas share the work without talking to each other. While the gate is half open it takes one.
 */
export async function claimDueTokenSets(db: Db, limit: number, terms: ClaimTerms): Promise<Claim[]> {
  return db.run(
    'claim_due_token_sets',
    (sql) => sql<Claim[]>`
      with gate as (
        select coalesce(max(failures), 0) as failures, coalesce(bool_and(closed_until <= now()), true) as passable from gates where name = 'token'
      ), candidate as (
        select account_id, lease_until is not null as lease_ran_out from token_sets
        where due_at <= now() and rejected_at is null and next_attempt_at <= now() and (lease_until is null or lease_until <= now())
          and (select passable from gate)
        order by due_at
        limit (select case when failures > 0 then 1 else ${limit}::int end from gate)
        for update skip locked
      ), probe as (
        update gates set closed_until = now() + interval '15 seconds'
        where name = 'token' and failures > 0 and closed_until <= now() and exists (select 1 from candidate)
        returning 1
      ), claimed as (
        update token_sets t set attempt_id = ${terms.attemptId} || '-' || c.account_id, lease_until = now() + make_interval(secs => ${terms.leaseSeconds}),
          unsettled_attempts = t.unsettled_attempts + 1, due_at = now() + make_interval(secs => ${terms.leaseSeconds})
        from candidate c where t.account_id = c.account_id
          and (exists (select 1 from probe) or (select failures from gate) = 0)
        returning t.*, c.lease_ran_out
      )
      select c.account_id as "accountId", c.attempt_id as "attemptId", c.generation, a.open_id as "openId", a.scopes,
        c.sealed_refresh_token as "sealedRefreshToken", c.unsettled_attempts as "unsettledAttempts", c.lease_ran_out as "leaseRanOut",
        coalesce(c.refresh_expires_at <= now(), false) as "refreshTokenExpired", exists (select 1 from probe) as probing, c.failures, now() as "claimedAt"
      from claimed c join accounts a on a.id = c.account_id`,
  )
}

/** Why a token set cannot be claimed just now. */
export interface Standing {
  status: AccountStatus
  generation: number | null
  leased: boolean
  rejected: boolean
  /** until whichever wait ends last: backoff or the gate */
  waitSeconds: number
}

export async function standingOf(db: Db, accountId: string): Promise<Standing | undefined> {
  const rows = await db.run(
    'standing_of_token_set',
    (sql) => sql<Standing[]>`
      select a.status, t.generation, coalesce(t.lease_until > now(), false) as leased, t.rejected_at is not null as rejected,
        greatest(0, extract(epoch from t.next_attempt_at - now()),
          (select extract(epoch from closed_until - now()) from gates where name = 'token' and failures > 0))::float8 as "waitSeconds"
      from accounts a left join token_sets t on t.account_id = a.id where a.id = ${accountId}`,
  )
  return rows[0]
}

/** A new token set, sealed for the generation after the one spent. */
export interface SealedTokenSet {
  sealedAccessToken: string
  sealedRefreshToken: string
  accessExpiresAt: Date
  /** null: TikTok did not say; the date that is known stays */
  refreshExpiresAt: Date | null
  lifetimeSeconds: number
  scopes: string[]
  lostRequiredScope: boolean
}

export type SaveOutcome = 'saved' | 'recovered' | 'double_spend' | 'replaced' | 'gone'

/**
 * Records a refresh: journal row, token set, scopes, status and event in one statement, guarded by the generation that was
 * spent and not by the lease. A holder that was paused past its lease may hold the only live refresh token, and its late save
 * has to win, even over a mark of reauthorization_required.
 *
 * @returns 'saved', also when this very attempt had been saved before its answer was lost; 'recovered' when the save undid a mark;
 *   'replaced' when the person connected again meanwhile; 'double_spend' when another refresh of the same generation was recorded, which must
 *   never happen; 'gone' when the account was disconnected
 */
export async function saveTokenSet(
  db: Db,
  spent: { accountId: string; generation: number; attemptId: string },
  next: SealedTokenSet,
  waitSeconds: number,
): Promise<SaveOutcome> {
  const status = next.lostRequiredScope ? 'reauthorization_required' : 'active'
  const rows = await db.run(
    'save_token_set',
    (sql) => sql<{ saved: boolean; already: boolean; present: boolean; recovered: boolean; sibling: boolean }[]>`
      with before as (
        select id, owner_id, status, scopes from accounts where id = ${spent.accountId}
      ), saved as (
        update token_sets set generation = generation + 1, sealed_access_token = ${next.sealedAccessToken}, sealed_refresh_token = ${next.sealedRefreshToken},
          access_expires_at = ${next.accessExpiresAt}, refresh_expires_at = coalesce(${next.refreshExpiresAt}, refresh_expires_at),
          lifetime_seconds = ${next.lifetimeSeconds}, refreshed_at = now(), saved_attempt_id = ${spent.attemptId}, attempt_id = null, lease_until = null,
          unsettled_attempts = 0, rejected_at = null, failures = 0, next_attempt_at = now() + make_interval(secs => ${waitSeconds}),
          due_at = case when ${next.lostRequiredScope} then null
            else greatest(now() + make_interval(secs => ${waitSeconds}), refresh_due_at(${next.accessExpiresAt}, ${next.lifetimeSeconds}, last_read_at)) end
        where account_id = ${spent.accountId} and generation = ${spent.generation}
        returning account_id, generation
      ), changed as (
        update accounts a set scopes = ${next.scopes}, status = ${status},
          status_reason = ${next.lostRequiredScope ? 'required_scope_removed' : null},
          status_changed_at = case when a.status = ${status} then a.status_changed_at else now() end
        from saved s where a.id = s.account_id and (a.scopes is distinct from ${next.scopes} or a.status <> ${status})
        returning a.id
      ), journal as (
        insert into timeline (account_id, kind, generation, attempt_id, code, actor)
        select account_id, 'refreshed', generation, ${spent.attemptId}, ${next.lostRequiredScope ? 'required_scope_removed' : null}, 'service' from saved
      ), announced as (
        insert into events (type, account_id, data)
        select case when ${next.lostRequiredScope} then 'account.reauthorization_required' else 'account.recovered' end, b.id,
          jsonb_build_object('account_id', b.id, 'owner_id', b.owner_id)
            || case when ${next.lostRequiredScope} then jsonb_build_object('reason', 'required_scope_removed') else '{}'::jsonb end
        from saved s join before b on b.id = s.account_id where b.status <> ${status}
      )
      select exists (select 1 from saved) as saved,
        exists (select 1 from saved s join before b on b.id = s.account_id where b.status <> 'active' and not ${next.lostRequiredScope}) as recovered,
        -- The journal is asked only when nothing was saved: a branch that is not taken costs nothing.
        case when exists (select 1 from saved) then false else
          exists (select 1 from token_sets where account_id = ${spent.accountId} and saved_attempt_id = ${spent.attemptId})
          or exists (select 1 from timeline where account_id = ${spent.accountId} and attempt_id = ${spent.attemptId} and kind = 'refreshed') end as already,
        exists (select 1 from token_sets where account_id = ${spent.accountId}) as present,
        case when exists (select 1 from saved) then false else
          exists (select 1 from timeline where account_id = ${spent.accountId} and generation = ${spent.generation + 1} and kind = 'refreshed') end as sibling`,
  )
  const row = rows[0]
  if (row?.saved) return row.recovered ? 'recovered' : 'saved'
  if (row?.already) return 'saved'
  if (!row?.present) return 'gone'
  return row.sibling ? 'double_spend' : 'replaced'
}

/** Nothing reached TikTok, or TikTok said so: the same refresh token is safe and is tried again after the wait. */
export async function releaseClaim(db: Db, claim: Claim, code: string, waitSeconds: number): Promise<void> {
  await db.run(
    'release_claim',
    (sql) => sql`
      with released as (
        update token_sets set attempt_id = null, lease_until = null, unsettled_attempts = greatest(0, unsettled_attempts - 1), failures = failures + 1,
          next_attempt_at = now() + make_interval(secs => ${waitSeconds}), due_at = now() + make_interval(secs => ${waitSeconds})
        where account_id = ${claim.accountId} and generation = ${claim.generation} and attempt_id = ${claim.attemptId}
        returning account_id, generation, failures
      )
      insert into timeline (account_id, kind, generation, attempt_id, code, actor)
      select account_id, 'refresh_failed', generation, ${claim.attemptId}, ${code}, 'service' from released
      where failures <= 3 or failures % 50 = 0`, // an outage of hours must not write a row per try
  )
}

/** TikTok may or may not have spent the token: the lease stays until it runs out, so that a slow answer can still be recorded. */
export async function parkClaim(db: Db, claim: Claim, code: string, waitSeconds: number): Promise<void> {
  await db.run(
    'park_claim',
    (sql) => sql`
      with parked as (
        update token_sets set failures = failures + 1,
          next_attempt_at = greatest(lease_until, now() + make_interval(secs => ${waitSeconds})),
          due_at = greatest(lease_until, now() + make_interval(secs => ${waitSeconds}))
        where account_id = ${claim.accountId} and generation = ${claim.generation} and attempt_id = ${claim.attemptId}
        returning account_id, generation, failures
      )
      insert into timeline (account_id, kind, generation, attempt_id, code, actor)
      select account_id, 'refresh_ambiguous', generation, ${claim.attemptId}, ${code}, 'service' from parked
      where failures <= 3 or failures % 50 = 0`,
  )
}

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
        update token_sets set rejected_at = now(), attempt_id = null, lease_until = null,
          next_attempt_at = now() + make_interval(secs => ${graceSeconds}), due_at = now() + make_interval(secs => ${graceSeconds})
        where account_id = ${claim.accountId} and generation = ${claim.generation} and attempt_id = ${claim.attemptId}
        returning account_id, generation
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
      with ended as (
        update token_sets set attempt_id = null, lease_until = null, unsettled_attempts = greatest(0, unsettled_attempts - 1), due_at = null,
          rejected_at = now(), next_attempt_at = 'infinity'
        where account_id = ${claim.accountId} and generation = ${claim.generation} and attempt_id = ${claim.attemptId}
        returning account_id, generation
      ), marked as (
        update accounts a set status = 'reauthorization_required', status_reason = 'refresh_token_expired', status_changed_at = now()
        from ended e where a.id = e.account_id and a.status = 'active' returning a.id, a.owner_id, e.generation
      ), journal as (
        insert into timeline (account_id, kind, generation, attempt_id, code, actor)
        select id, 'reauthorization_required', generation, ${claim.attemptId}, 'refresh_token_expired', 'service' from marked
      )
      insert into events (type, account_id, data)
      select 'account.reauthorization_required', id, jsonb_build_object('account_id', id, 'owner_id', owner_id, 'reason', 'refresh_token_expired') from marked`,
  )
}

/**
 * Believes rejections whose grace is over and whose generation nobody moved.
 *
 * @param accountId only this one; null: whatever is due
 * @returns the accounts that now need their person, with the reason
 */
export async function settleRejections(
  db: Db,
  accountId: string | null,
  limit: number,
): Promise<{ accountId: string; reason: string }[]> {
  return db.run(
    'settle_rejections',
    (sql) => sql<{ accountId: string; reason: string }[]>`
      with due as (
        select account_id from token_sets
        where rejected_at is not null and due_at <= now() and (${accountId}::text is null or account_id = ${accountId})
        order by due_at limit ${limit} for update skip locked
      ), settled as (
        update token_sets t set due_at = null, next_attempt_at = 'infinity' from due d where t.account_id = d.account_id
        returning t.account_id, t.generation,
          -- More than one attempt: an earlier one may have been processed and its answer lost, so it is not TikTok or the person who ended the grant.
          case when t.unsettled_attempts > 1 then 'refresh_outcome_unknown' else 'refresh_token_rejected' end as reason
      ), marked as (
        update accounts a set status = 'reauthorization_required', status_reason = s.reason, status_changed_at = now()
        from settled s where a.id = s.account_id and a.status = 'active' returning a.id, a.owner_id, s.reason, s.generation
      ), journal as (
        insert into timeline (account_id, kind, generation, code, actor)
        select id, 'reauthorization_required', generation, reason, 'service' from marked
      ), announced as (
        insert into events (type, account_id, data)
        select 'account.reauthorization_required', id, jsonb_build_object('account_id', id, 'owner_id', owner_id, 'reason', reason) from marked
      )
      select id as "accountId", reason from marked`,
  )
}

/** How much is due, counted up to a bound, and how long the oldest has waited. */
export async function dueBacklog(db: Db): Promise<{ count: number; oldestSeconds: number }> {
  const rows = await db.run(
    'due_backlog',
    (sql) => sql<{ count: number; oldestSeconds: number }[]>`
      select (select count(*)::int from (select 1 from token_sets where due_at <= now() limit 10000) as due) as count,
        coalesce((select extract(epoch from now() - min(due_at)) from token_sets where due_at <= now()), 0)::float8 as "oldestSeconds"`,
  )
  return rows[0] ?? { count: 0, oldestSeconds: 0 }
}

/** The generation as it stands now; what a waiting reader polls. */
export async function generationOf(db: Db, accountId: string): Promise<number | undefined> {
  const rows = await db.run(
    'generation_of',
    (sql) => sql<{ generation: number }[]>`select generation from token_sets where account_id = ${accountId}`,
  )
  return rows[0]?.generation
}
