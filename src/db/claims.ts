// Who may spend a refresh token: a lease on its row, taken before it is sent and given back, left or lost afterwards. Each is one
// statement, and every time in them is the database's.
import type { Db, Sql } from './client.ts'
import type { accounts, OuterRow, Row, tokenSets } from './schema.ts'

/** Who asks for a claim, and when a claim ends by itself. */
export interface ClaimTerms {
  attemptId: string
  leaseSeconds: number
  /** how far this process's journal had counted here: where the database is older than that, nothing is claimed */
  mark?: { journalId: string; mark: number }
}

/**
 * One refresh token, claimed: nobody else sends it until the lease ran out. `generation` is about to be spent; with more than one of
 * `unsettledAttempts` it may be spent already.
 */
export type Claim = Row<typeof tokenSets, 'accountId' | 'generation' | 'sealedRefreshToken' | 'unsettledAttempts' | 'failures'> &
  Row<typeof accounts, 'scopes' | 'ownerId' | 'sealedIdentity'> & {
    attemptId: string
    openId: string
    /** the earlier holder's lease ended without a word; the timeline says so */
    leaseRanOut: boolean
    refreshTokenExpired: boolean
    /** the one refresh that tries whether TikTok is back (half-open circuit breaker) */
    probing: boolean
    /** somebody reads its tokens: within the last day, and not only just now */
    inUse: boolean
    secondsUntilExpiry: number
    /** the database's clock at the claim; together with a monotonic clock it dates the answer without trusting ours */
    claimedAt: Date
  }

/** When an open circuit breaker's time is over it is half open: one claim goes out as its probe. */
const probe = `probe as (
        update circuit_breakers set open_until = now() + case name when 'token' then interval '15 seconds' else interval '1 minute' end
        where name in ('token', 'token_refused') and failures > 0 and open_until <= now() and exists (select 1 from candidate)
          and not exists (select 1 from circuit_breakers b where b.name in ('token', 'token_refused') and b.failures > 0 and b.open_until > now())
        returning 1
      )`

/** Nothing is claimed while a recovery is open, nor from a database that is older than this process left it (F28). */
const trusted = (sql: Sql, { mark = { journalId: '', mark: 0 } }: ClaimTerms) => sql`
  not exists (select 1 from recoveries where ended_at is null)
  and (${mark.mark}::bigint = 0 or exists (select 1 from journals j where j.id = ${mark.journalId} and j.mark >= ${mark.mark}::bigint))`

/** What a lease that ran out leaves in the timeline, and the claims as they are handed on. */
const journalAndClaims = `journal as (
        insert into timeline (account_id, kind, generation, attempt_id, code, actor)
        select account_id, 'refresh_abandoned', generation, left_by, 'lease_ran_out', 'service' from claimed where lease_ran_out
      )
      select c.account_id, c.attempt_id, c.generation, a.open_id, a.owner_id, a.sealed_identity, a.scopes,
        c.sealed_refresh_token, c.unsettled_attempts, c.lease_ran_out,
        coalesce(c.refresh_expires_at <= now(), false) as refresh_token_expired, exists (select 1 from probe) as probing, c.failures, now() as claimed_at,
        c.last_read_at between now() - interval '1 day' and now() - interval '1 minute' as in_use,
        extract(epoch from c.access_expires_at - now())::float8 as seconds_until_expiry
      from claimed c join accounts a on a.id = c.account_id`

/**
 * Takes the lease on one account's refresh token. It also proves that the database takes writes before the single-use token
 * is spent. Repeating it with the same attempt id finds the claim it made.
 *
 * @returns undefined when somebody holds it, it moved on, has to wait, or the circuit breaker is open: ask `standingOf` why
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
        select account_id, attempt_id as left_by, attempt_id is not null and attempt_id <> ${terms.attemptId} as lease_ran_out from token_sets
        where account_id = ${accountId} and generation = ${generation} and rejected_at is null and next_attempt_at <= now()
          and (lease_until is null or lease_until <= now() or attempt_id = ${terms.attemptId}) and (select ${trusted(sql, terms)})
        for update
      ), ${sql.unsafe(probe)}, claimed as (
        update token_sets t set attempt_id = ${terms.attemptId}, lease_until = now() + make_interval(secs => ${terms.leaseSeconds}),
          unsettled_attempts = t.unsettled_attempts + case when t.attempt_id = ${terms.attemptId} then 0 else 1 end,
          due_at = now() + make_interval(secs => ${terms.leaseSeconds})
        from candidate c where t.account_id = c.account_id
          and (exists (select 1 from probe) or not exists (select 1 from circuit_breakers where name in ('token', 'token_refused') and failures > 0))
        returning t.*, c.lease_ran_out, c.left_by
      ), ${sql.unsafe(journalAndClaims)}`,
  )
  return rows[0]
}

/**
 * As `claimTokenSet`, for an operator who has every account tried once: past the brake, its suspicions and all waits, but not past
 * another holder, nor into a database that is being recovered.
 */
export async function claimToReconcile(
  db: Db,
  accountId: string,
  generation: number,
  terms: ClaimTerms,
): Promise<Claim | undefined> {
  const rows = await db.run(
    'claim_to_reconcile',
    (sql) => sql<Claim[]>`
      with candidate as (
        select t.account_id, t.attempt_id as left_by, t.attempt_id is not null as lease_ran_out from token_sets t
        where account_id = ${accountId} and generation = ${generation} and (lease_until is null or lease_until <= now())
          and (select ${trusted(sql, terms)}) and exists (select 1 from accounts a where a.id = t.account_id and a.status = 'active')
        for update
      ), probe as (
        select 1 where false
      ), claimed as (
        update token_sets t set attempt_id = ${terms.attemptId}, lease_until = now() + make_interval(secs => ${terms.leaseSeconds}),
          unsettled_attempts = t.unsettled_attempts + 1, due_at = now() + make_interval(secs => ${terms.leaseSeconds})
        from candidate c where t.account_id = c.account_id
        returning t.*, c.lease_ran_out, c.left_by
      ), ${sql.unsafe(journalAndClaims)}`,
  )
  return rows[0]
}

/**
 * Takes leases on token sets that are due, the longest due first; rows another replica is just taking are skipped, so several
 * replicas share the work without talking to each other. While the circuit breaker is half open it takes one.
 */
export async function claimDueTokenSets(db: Db, limit: number, terms: ClaimTerms): Promise<Claim[]> {
  return db.run(
    'claim_due_token_sets',
    (sql) => sql<Claim[]>`
      with breaker as (
        select coalesce(max(failures), 0) as failures, coalesce(bool_and(open_until <= now()), true) as passable,
          coalesce(bool_or(name = 'token_refused' and failures > 0), false) as braked
        from circuit_breakers where name in ('token', 'token_refused')
      ), candidate as (
        select account_id, attempt_id as left_by, attempt_id is not null as lease_ran_out from token_sets
        where due_at <= now() and next_attempt_at <= now() and (lease_until is null or lease_until <= now())
          -- While the brake holds, one that was refused is the probe when nothing else is due.
          and (rejected_at is null or ((select braked from breaker) and not exists (select 1 from token_sets o
            where o.due_at <= now() and o.rejected_at is null and o.next_attempt_at <= now() and (o.lease_until is null or o.lease_until <= now()))))
          and (select passable from breaker) and (select ${trusted(sql, terms)})
        order by due_at
        limit (select case when failures > 0 then 1 else ${limit}::int end from breaker)
        for update skip locked
      ), ${sql.unsafe(probe)}, claimed as (
        update token_sets t set attempt_id = ${terms.attemptId} || '-' || c.account_id, lease_until = now() + make_interval(secs => ${terms.leaseSeconds}),
          unsettled_attempts = t.unsettled_attempts + 1, due_at = now() + make_interval(secs => ${terms.leaseSeconds})
        from candidate c where t.account_id = c.account_id
          and (exists (select 1 from probe) or (select failures from breaker) = 0)
        returning t.*, c.lease_ran_out, c.left_by
      ), ${sql.unsafe(journalAndClaims)}`,
  )
}

/**
 * The claims that `claimDueTokenSets` made under this attempt, when its answer was lost on the way: without this they would be
 * nobody's until the lease ran out.
 */
export async function reclaimDueTokenSets(db: Db, terms: ClaimTerms): Promise<Claim[]> {
  return db.run(
    'reclaim_due_token_sets',
    (sql) => sql<Claim[]>`
      select t.account_id, t.attempt_id, t.generation, a.open_id, a.owner_id, a.sealed_identity, a.scopes,
        t.sealed_refresh_token, t.unsettled_attempts, false as lease_ran_out,
        coalesce(t.refresh_expires_at <= now(), false) as refresh_token_expired, false as probing, t.failures,
        t.lease_until - make_interval(secs => ${terms.leaseSeconds}) as claimed_at
      from token_sets t join accounts a on a.id = t.account_id
      -- A claim moves the due time to the end of its lease: the index finds them.
      where t.due_at > now() and t.due_at <= now() + make_interval(secs => ${terms.leaseSeconds})
        and t.attempt_id = ${terms.attemptId} || '-' || t.account_id and t.lease_until > now()`,
  )
}

/** @returns false when the claim is over: its lease ran out, its generation is spent and recorded, or the account is gone */
export async function claimStands(db: Db, claim: Claim): Promise<boolean> {
  const rows = await db.run(
    'claim_stands',
    (sql) => sql`
      select 1 from token_sets
      where account_id = ${claim.accountId} and generation = ${claim.generation} and attempt_id = ${claim.attemptId} and lease_until > now()`,
  )
  return rows.length > 0
}

/** Why a token set cannot be claimed just now. */
export type Standing = Row<typeof accounts, 'status'> &
  OuterRow<typeof tokenSets, 'generation'> & {
    leased: boolean
    rejected: boolean
    /** until whichever wait ends last: backoff or the circuit breaker */
    waitSeconds: number
  }

export async function standingOf(db: Db, accountId: string): Promise<Standing | undefined> {
  const rows = await db.run(
    'standing_of_token_set',
    (sql) => sql<Standing[]>`
      select a.status, t.generation, coalesce(t.lease_until > now(), false) as leased, t.rejected_at is not null as rejected,
        greatest(0, extract(epoch from least(t.next_attempt_at, now() + interval '1 day') - now()), -- some wait for ever, and not every PostgreSQL subtracts that
          (select max(extract(epoch from open_until - now())) from circuit_breakers where name in ('token', 'token_refused') and failures > 0))::float8 as wait_seconds
      from accounts a left join token_sets t on t.account_id = a.id where a.id = ${accountId}`,
  )
  return rows[0]
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

/**
 * TikTok may or may not have spent the token: the lease stays until it runs out, so that a slow answer can still be recorded, but
 * nobody holds it any more.
 */
export async function parkClaim(db: Db, claim: Claim, code: string, waitSeconds: number): Promise<void> {
  await db.run(
    'park_claim',
    (sql) => sql`
      with parked as (
        update token_sets set failures = failures + 1, attempt_id = null,
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

export interface HeldGeneration {
  generation: number
  leased: boolean
}

/** What readers see who wait for somebody else's refreshes. An account that is missing is gone. */
export async function readGenerations(db: Db, accountIds: string[]): Promise<Map<string, HeldGeneration>> {
  const rows = await db.run(
    'read_generations',
    (sql) => sql<(HeldGeneration & { accountId: string })[]>`
      select account_id, generation, coalesce(lease_until > now(), false) as leased from token_sets where account_id = any(${accountIds}::text[])`,
  )
  return new Map(rows.map((row) => [row.accountId, row]))
}
