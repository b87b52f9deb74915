// The statements of a token's life that hold one: vend and save. Each is one statement, so that nothing is ever half done; every
// time in them is the database's. Locks are taken in one order everywhere: token set, then account.
import { type Reach, reachAsJson } from '../access/reach.ts'
import type { Db, StatementOptions } from './client.ts'
import { isPostgresError } from './fault.ts'
import type { accounts, OuterRow, Row, tokenReads, tokenSets } from './schema.ts'
import { snakeCased } from './wire-types.ts'

/** Whether TikTok did not take the present access token, by the caller's word or our own eyes; of the token set `t`. */
export const refusedColumn = `coalesce(t.refused_generation = t.generation, false)`
/** A refused token has no time left, whatever its expiry says: no way leads to handing it out again. */
const secondsLeft = `case when ${refusedColumn} then 0 else coalesce(extract(epoch from t.access_expires_at - now()), 0) end::float8 as seconds_left`

/** What a vend found. `audited` is true when the audit row was written in the same statement: no row, no token (S27). */
export type Vended = Row<typeof accounts, 'status' | 'statusReason' | 'openId' | 'ownerId' | 'sealedIdentity' | 'scopes'> &
  OuterRow<typeof tokenSets, 'generation' | 'sealedAccessToken' | 'sealedExpiry' | 'accessExpiresAt'> & {
    secondsLeft: number
    audited: boolean
  }

/** `degraded` also takes a token of an account whose refresh outcome is unknown (F01). */
export type VendRead = Row<typeof tokenReads, 'accountId' | 'keyId' | 'requestId' | 'degraded'> & {
  minTtlSeconds: number
  reach: Reach
}

/**
 * Reads one sealed access token and writes its audit row; with whatever else is read at the same moment, in one statement.
 *
 * @returns undefined when there is no such account, or none for this reader
 */
export function vendTokenSet(db: Db, read: VendRead): Promise<Vended | undefined> {
  return db.batched(vendTokenSets, read)
}

/**
 * Reads sealed access tokens and writes their audit rows, in one statement: no row, no token. A row is written only when the token is good for
 * `minTtlSeconds` (clamped to half its life), so that a row always stands for a token that left.
 *
 * The commit is asynchronous: a crash of the database may lose the last milliseconds of audit rows, whose tokens most likely
 * died in the same crash; a flush per read would halve the rate.
 *
 * @returns in the order of the reads; undefined where there is no such account
 */
export async function vendTokenSets(db: Db, reads: VendRead[], options: StatementOptions = {}): Promise<(Vended | undefined)[]> {
  const rows = await db.run(
    'vend_token_sets',
    (sql) => sql<(Vended & { place: number; cold: boolean | null })[]>`
      with wanted as (
        select * from unnest(${reads.map((read) => read.accountId)}::text[], ${reads.map((read) => String(read.minTtlSeconds))}::text[],
          ${reads.map((read) => read.keyId)}::text[], ${reads.map((read) => read.requestId)}::text[], ${reads.map((read) => (read.degraded ? 't' : 'f'))}::text[],
          ${reads.map((read) => reachAsJson(read.reach) ?? '')}::text[])
          with ordinality as w (account_id, min_ttl, key_id, request_id, degraded, reach, place)
      ), found as (
        select w.place, w.key_id, w.request_id, w.degraded::bool, a.id, a.status, a.status_reason, a.open_id, a.owner_id, a.sealed_identity, a.scopes, t.generation,
          t.sealed_access_token, t.sealed_expiry,
          t.access_expires_at, t.last_read_at < now() - interval '1 hour' and t.rejected_at is null as cold, ${sql.unsafe(secondsLeft)},
          least(w.min_ttl::float8, t.lifetime_seconds / 2.0)::float8 as needed_seconds,
          set_config('synchronous_commit', 'off', true) as asynchronous
        from wanted w cross join lateral (
          select * from accounts a where a.id = w.account_id and (w.reach = '' or in_reach(w.reach::jsonb, a.owner_id, a.id)) limit 1
        ) a left join lateral (select * from token_sets t where t.account_id = a.id limit 1) t on true
      ), audit as (
        insert into token_reads (account_id, key_id, generation, degraded, request_id)
        select id, key_id, generation, degraded, request_id from found
        where generation is not null and seconds_left > 0 and seconds_left >= needed_seconds
          and (status = 'active' or (degraded and status_reason = 'refresh_outcome_unknown'))
        returning account_id, request_id
      )
      select place::int as place, status, status_reason, open_id, owner_id, sealed_identity, scopes, generation, sealed_access_token, sealed_expiry,
        access_expires_at, seconds_left, cold,
        exists (select 1 from audit r where r.request_id = found.request_id and r.account_id = found.id) as audited
      from found`,
    options,
  )
  const answers = new Array<Vended | undefined>(reads.length).fill(undefined)
  for (const row of rows) answers[row.place - 1] = row
  const cold = rows.filter((row) => row.cold).map(({ place }) => reads[place - 1]?.accountId ?? '')
  if (cold.length > 0) warmTokenSets(db, cold).catch(() => {}) // the next read finds them cold again
  return answers
}

/**
 * Remembers that they are read, at most once an hour each: a cold account that is read becomes one that is refreshed ahead. Rows that are locked
 * are left for the next read, so that two of these never wait for each other. The commit is asynchronous: a read never costs a flush.
 */
async function warmTokenSets(db: Db, accountIds: string[]): Promise<void> {
  await db.run(
    'warm_token_sets',
    (sql) => sql`
      update token_sets t set last_read_at = now(),
        due_at = case when t.due_at is null then null else least(t.due_at, refresh_due_at(t.access_expires_at, t.lifetime_seconds, now())) end
      from (select set_config('synchronous_commit', 'off', true)) as asynchronous
      where t.account_id in (
        select account_id from token_sets where account_id = any(${accountIds}) and last_read_at < now() - interval '1 hour'
          and rejected_at is null -- its due time is the end of its grace (S45)
        for update skip locked
      )`,
  )
}

/** The present generation of an account, together with all that are asked about at the same moment; null for one without a token set. */
export function presentGeneration(db: Db, accountId: string): Promise<number | null> {
  return db.batched(presentGenerations, accountId)
}

async function presentGenerations(db: Db, accountIds: string[], options: StatementOptions): Promise<(number | null)[]> {
  const rows = await db.run(
    'present_generations',
    (sql) => sql<Row<typeof tokenSets, 'accountId' | 'generation'>[]>`
      select account_id, generation from token_sets where account_id = any(${[...new Set(accountIds)]})`,
    options,
  )
  const generations = new Map(rows.map(({ accountId, generation }) => [accountId, generation]))
  return accountIds.map((accountId) => generations.get(accountId) ?? null)
}

/** What a vend would find, without vending. */
export async function peekTokenSet(db: Db, accountId: string): Promise<Vended | undefined> {
  const rows = await db.run(
    'peek_token_set',
    (sql) => sql<Vended[]>`
      select a.status, a.status_reason, a.open_id, a.owner_id, null as sealed_identity, a.scopes, t.generation, null as sealed_access_token, null as sealed_expiry,
        t.access_expires_at, ${sql.unsafe(secondsLeft)}, false as audited
      from accounts a left join token_sets t on t.account_id = a.id where a.id = ${accountId}`,
  )
  return rows[0]
}

/**
 * TikTok did not take this access token: it is not handed out again. The next generation is another token and starts clean.
 *
 * @param actor whose word it is: a key, or `service` when TikTok said so to us
 */
export async function refuseAccessToken(db: Db, accountId: string, generation: number, actor: string): Promise<void> {
  await db.run(
    'refuse_access_token',
    (sql) => sql`
      with refused as (
        update token_sets set refused_generation = generation
        where account_id = ${accountId} and generation = ${generation} and refused_generation is distinct from generation
        returning account_id, generation
      ), heard as (
        -- What a caller saw is not taken back when our own looks at profiles are all refused.
        delete from refusals where endpoint = 'user_info' and account_id = ${accountId} and generation = ${generation} and ${actor}::text <> 'service'
      )
      insert into timeline (account_id, kind, generation, actor) select account_id, 'access_token_refused', generation, ${actor} from refused`,
  )
}

/** A new token set, sealed for the generation after the one spent. */
export type SealedTokenSet = Row<
  typeof tokenSets,
  'sealedAccessToken' | 'sealedRefreshToken' | 'sealedExpiry' | 'accessExpiresAt' | 'refreshExpiresAt' | 'lifetimeSeconds'
> &
  Row<typeof accounts, 'scopes'>

/** What was answered to the token of `spentGeneration`. */
export type Save = SealedTokenSet & { accountId: string; spentGeneration: number; attemptId: string; lostRequiredScope: boolean }

export type SaveOutcome = 'saved' | 'recovered' | 'double_spend' | 'replaced' | 'gone' | 'behind'

/**
 * Records a refresh: timeline row, token set, scopes, status and event in one transaction, guarded by the generation that was
 * spent and not by the lease. A holder that was paused past its lease may hold the only live refresh token, and its late save
 * has to win, even over a mark of reauthorization_required.
 *
 * @param alone in a transaction of its own; otherwise together with all that are recorded at the same moment, in one commit
 * @returns 'saved', also when this very attempt had been saved before its answer was lost; 'recovered' when the save undid a mark;
 *   'replaced' when the person connected again meanwhile; 'double_spend' when another refresh of the same generation was recorded, which must
 *   never happen; 'gone' when the account was disconnected; 'behind' when the database went back to before the token that was spent
 * @see functions/save_token_set.sql
 */
export async function saveTokenSet(db: Db, save: Save, { alone = false } = {}): Promise<SaveOutcome> {
  const [saved] = alone ? await saveTokenSets(db, [save]) : [await db.batched(saveTokenSets, save)]
  if (saved?.status !== 'fulfilled') throw saved?.reason
  return saved.value
}

async function saveTokenSets(
  db: Db,
  saves: Save[],
  options: StatementOptions = {},
): Promise<PromiseSettledResult<SaveOutcome>[]> {
  // Account by account in one order, so that two of these never wait for each other.
  const ordered = [...saves.entries()].toSorted(([, a], [, b]) => (a.accountId < b.accountId ? -1 : 1))
  const saved = new Array<PromiseSettledResult<SaveOutcome>>(saves.length)
  try {
    const rows = await db.run(
      'save_token_set',
      (sql) => sql<{ outcome: SaveOutcome }[]>`
        select save_token_set(save) as outcome from jsonb_array_elements(${sql.json(ordered.map(([, save]) => snakeCased(save)))}) save`,
      options,
    )
    for (const [index, { outcome }] of rows.entries()) saved[ordered[index]?.[0] ?? -1] = { status: 'fulfilled', value: outcome }
    return saved
  } catch (error) {
    if (!isPostgresError(error) || saves.length === 1) throw error
    // Nothing of it counts. Apart, the one that cannot be recorded does not hold up the others.
    return Promise.allSettled(saves.map((save) => saveTokenSet(db, save, { alone: true })))
  }
}

/** How much is due, counted up to a bound, and how long the oldest has waited. */
export async function dueBacklog(db: Db): Promise<{ count: number; oldestSeconds: number }> {
  const rows = await db.run(
    'due_backlog',
    (sql) => sql<{ count: number; oldestSeconds: number }[]>`
      select (select count(*)::int from (select 1 from token_sets where due_at <= now() limit 10000) as due) as count,
        coalesce((select extract(epoch from now() - min(due_at)) from token_sets where due_at <= now()), 0)::float8 as oldest_seconds`,
  )
  return rows[0] ?? { count: 0, oldestSeconds: 0 }
}
