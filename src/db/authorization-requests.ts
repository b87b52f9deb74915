// The statements of an authorization request: its state goes out with a browser and comes back with the same one, once.
import type { Db } from './client.ts'
import type { Sql } from './connection.ts'
import type { authorizationRequests, Row } from './schema.ts'

/** However long its link is good: a state goes to TikTok and comes back, and no more (S03). */
const stateLifeSeconds = 600
/** A session that is visited more often than this in as many seconds is no person's; a link that lives long is looked at more often. */
const mostVisits = 50

/** Why TikTok is asked for the required scopes alone: it refused the others to this person, to somebody lately, or did not bring this browser back. */
export type Narrowed = 'refused' | 'remembered' | 'returned'

/** What decides whether the optional scopes are asked for. */
export interface ScopeQuestion {
  /** under which a refusal is remembered; null: there are no optional scopes */
  memory: string | null
  refused: boolean
  /** of every state that this browser brings along */
  bindingHashes: string[]
}

/** A departure counts for the browser that left only: a link preview that looked before must not cost the person a scope (S14). */
const narrowedIn = (sql: Sql, sessionId: string, { memory, refused, bindingHashes }: ScopeQuestion) => sql`
  case when ${memory}::text is null then null
    when ${refused}::boolean then 'refused'
    when exists (select 1 from circuit_breakers b where b.name = ${memory} and b.open_until > now()) then 'remembered'
    when exists (select 1 from authorization_requests r
      where r.session_id = ${sessionId} and r.binding_hash = any(${bindingHashes}::text[]) and r.consumed_at is null) then 'returned' end`

/** What the next visit of /authorize would find. */
export async function readNarrowed(db: Db, sessionId: string, question: ScopeQuestion): Promise<Narrowed | null> {
  const rows = await db.run(
    'read_narrowed',
    (sql) => sql<{ narrowed: Narrowed | null }[]>`select ${narrowedIn(sql, sessionId, question)} as narrowed`,
  )
  return rows[0]?.narrowed ?? null
}

/** For all replicas: whoever comes next is not sent to TikTok with scopes that it does not give. @returns false when that was known */
export async function rememberRefusedScopes(db: Db, memory: string, seconds: number): Promise<boolean> {
  const rows = await db.run(
    'remember_refused_scopes',
    (sql) => sql`
      insert into circuit_breakers as b (name, open_until) values (${memory}, now() + make_interval(secs => ${seconds}))
      on conflict (name) do update set open_until = excluded.open_until where b.open_until <= now() returning 1`,
  )
  return rows.length > 0
}

/**
 * How many people in a row have left for TikTok and not come back, two minutes and more ago. Any return ends the run.
 *
 * @returns `first`: of all replicas this is the one that says so, once in a run and once a day
 */
export async function countDepartures(db: Db, tellFrom: number): Promise<{ count: number; first: boolean }> {
  const rows = await db.run(
    'count_departures',
    (sql) => sql<{ count: number; first: boolean }[]>`
      with lately as (
        select * from authorization_requests where expires_at > now() - interval '1 day'
      ), run as (
        select count(distinct session_id)::int as count from lately
        where created_at < now() - interval '2 minutes' and created_at > coalesce((select max(consumed_at) from lately), '-infinity')
      ), told as (
        insert into circuit_breakers as b (name, open_until) select 'departures', now() + interval '1 day' from run where count >= ${tellFrom}
        on conflict (name) do update set open_until = excluded.open_until where b.open_until <= now() returning 1
      ), ended as (
        update circuit_breakers set open_until = '-infinity'
        where name = 'departures' and open_until > now() and (select count from run) < ${tellFrom}
      )
      select count, exists (select 1 from told) as first from run`,
  )
  return rows[0] ?? { count: 0, first: false }
}

/**
 * A visit of /authorize: a fresh state for this browser. The session stays usable, so that a link preview spends nothing (S14).
 *
 * @param request.reconnectAccountId chosen on the connect page: one of the owner's accounts. What was attested for it still holds, so the session
 *   need not be; and the choice stays with this state, so that it cannot be completed as something else
 * @returns undefined when the session is over, is not attested, has gone on, or was visited implausibly often; or such an account may not come back in it
 */
export async function beginAuthorization(
  db: Db,
  request: {
    sessionId: string
    stateHash: string
    bindingHash: string
    sealedVerifier: string | null
    reconnectAccountId: string | null
    scopes: ScopeQuestion
  },
): Promise<{ narrowed: Narrowed | null } | undefined> {
  const reconnect = request.reconnectAccountId
  const rows = await db.run(
    'begin_authorization',
    (sql) => sql<{ narrowed: Narrowed | null }[]>`
      with session as (
        update connect_sessions s set status = 'authorizing', visits = visits + 1
        where id = ${request.sessionId} and status in ('pending', 'authorizing') and expires_at > now()
          and case when ${reconnect}::text is null then account_type is not null and age_confirmed_at is not null
            else coalesce(s.reconnect_account_id, ${reconnect}) = ${reconnect}
              and exists (select 1 from accounts a where a.id = ${reconnect} and a.owner_id = s.owner_id and a.status <> 'disconnected') end
          and visits < ${mostVisits} * (1 + floor(extract(epoch from now() - created_at) / ${stateLifeSeconds}))
        returning id, created_by
      ), journal as (
        insert into timeline (account_id, kind, actor, via_session_id, via_key_id)
        select ${reconnect}::text, 'reconnect_started', 'owner', id, created_by from session where ${reconnect}::text is not null
      ), asked as (
        select id, ${narrowedIn(sql, request.sessionId, request.scopes)} as narrowed from session
      ), begun as (
        insert into authorization_requests (state_hash, session_id, binding_hash, sealed_verifier, reconnect_account_id, expires_at, required_only)
        select ${request.stateHash}, id, ${request.bindingHash}, ${request.sealedVerifier}, ${reconnect}, now() + make_interval(secs => ${stateLifeSeconds}),
          narrowed is not null from asked
      )
      select narrowed from asked`,
  )
  return rows[0]
}

export type ConsumedState = Row<
  typeof authorizationRequests,
  'sessionId' | 'sealedVerifier' | 'reconnectAccountId' | 'requiredOnly'
> & {
  consumed: boolean
  /** already consumed before */
  used: boolean
  expired: boolean
  browserFits: boolean
  /** another state of the session brought the code */
  superseded: boolean
}

/**
 * Consumes a state, once, before anything is sent to TikTok (S02). A browser other than the one that started does not consume it:
 * whoever saw a link must not be able to spoil it.
 */
export async function consumeState(db: Db, stateHash: string, bindingHash: string | null): Promise<ConsumedState | undefined> {
  const rows = await db.run(
    'consume_state',
    (sql) => sql<ConsumedState[]>`
      with consumed as (
        update authorization_requests set consumed_at = now()
        where state_hash = ${stateHash} and binding_hash = ${bindingHash} and consumed_at is null and expires_at > now()
        returning state_hash
      )
      select r.session_id, r.sealed_verifier, r.reconnect_account_id, r.required_only, exists (select 1 from consumed) as consumed,
        r.consumed_at is not null as used, r.expires_at <= now() as expired, coalesce(r.binding_hash = ${bindingHash}, false) as browser_fits, r.binding_hash = '' as superseded
      from authorization_requests r where r.state_hash = ${stateHash}`,
  )
  return rows[0]
}
