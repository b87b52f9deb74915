// The statements of an authorization request: its state goes out with a browser and comes back with the same one, once.
import type { Db } from './client.ts'
import { sessionLifeSeconds } from './connect-sessions.ts'
import type { authorizationRequests, Row } from './schema.ts'

/**
 * A visit of /authorize: a fresh state for this browser. The session stays usable, so that a link preview spends nothing (S14).
 *
 * @param request.reconnectAccountId chosen on the connect page: one of the owner's accounts. What was attested for it still holds, so the session
 *   need not be; and the choice stays with this state, so that it cannot be completed as something else
 * @returns false when the session is over, is not attested, has gone on, or was visited implausibly often; or such an account may not come back in it
 */
export async function beginAuthorization(
  db: Db,
  request: {
    sessionId: string
    stateHash: string
    bindingHash: string
    sealedVerifier: string | null
    reconnectAccountId: string | null
  },
): Promise<boolean> {
  const reconnect = request.reconnectAccountId
  const rows = await db.run(
    'begin_authorization',
    (sql) => sql`
      with session as (
        update connect_sessions s set status = 'authorizing', visits = visits + 1
        where id = ${request.sessionId} and status in ('pending', 'authorizing') and expires_at > now()
          and case when ${reconnect}::text is null then account_type is not null and age_confirmed_at is not null
            else coalesce(s.reconnect_account_id, ${reconnect}) = ${reconnect}
              and exists (select 1 from accounts a where a.id = ${reconnect} and a.owner_id = s.owner_id and a.status <> 'disconnected') end
          and visits < 50
        returning id
      ), journal as (
        insert into timeline (account_id, kind, actor) select ${reconnect}::text, 'reconnect_started', 'owner' from session where ${reconnect}::text is not null
      )
      insert into authorization_requests (state_hash, session_id, binding_hash, sealed_verifier, reconnect_account_id, expires_at)
      select ${request.stateHash}, id, ${request.bindingHash}, ${request.sealedVerifier}, ${reconnect}, now() + make_interval(secs => ${sessionLifeSeconds}) from session
      returning 1`,
  )
  return rows.length > 0
}

export type ConsumedState = Row<typeof authorizationRequests, 'sessionId' | 'sealedVerifier' | 'reconnectAccountId'> & {
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
      select r.session_id, r.sealed_verifier, r.reconnect_account_id, exists (select 1 from consumed) as consumed,
        r.consumed_at is not null as used, r.expires_at <= now() as expired, coalesce(r.binding_hash = ${bindingHash}, false) as browser_fits, r.binding_hash = '' as superseded
      from authorization_requests r where r.state_hash = ${stateHash}`,
  )
  return rows[0]
}
