// Whether what a caller named lies within its reach; asked for callers that are narrowed, before a route does anything.
import { type Reach, reachAsJson, reachesAccount } from '../access/reach.ts'
import type { Db } from './client.ts'

/** @returns false also for an account that does not exist: outside and not there look the same */
export async function accountInReach(db: Db, reach: Reach, accountId: string): Promise<boolean> {
  const rows = await db.run(
    'account_in_reach',
    (sql) => sql`select 1 from accounts a where a.id = ${accountId} and in_reach(${reachAsJson(reach)}::jsonb, a.owner_id, a.id)`,
  )
  return rows.length > 0
}

/** A connect session belongs to its owner and, if it is for one, to the account that it may bring back. */
export async function sessionInReach(db: Db, reach: Reach, sessionId: string): Promise<boolean> {
  const [session] = await db.run(
    'session_in_reach',
    (sql) => sql<{ ownerId: string; reconnectAccountId: string | null }[]>`
      select owner_id, reconnect_account_id from connect_sessions where id = ${sessionId}`,
  )
  return session !== undefined && reachesAccount(reach, session.ownerId, session.reconnectAccountId)
}
