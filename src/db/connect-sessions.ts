// The statements of a connect session: made, attested, come back, exchanged. Each step is one statement that checks where the session
// stands, so that equal requests at once take a step once. What happens at TikTok in between is authorization-requests.ts.
import { type Reach, reachAsJson } from '../access/reach.ts'
import { ownerInAuditLog } from './audit.ts'
import type { Db } from './client.ts'
import type { connectSessions, Row } from './schema.ts'

export type ConnectSession = Row<
  typeof connectSessions,
  | ('id' | 'ownerId' | 'returnUrl' | 'completion' | 'accountType' | 'ageConfirmedAt' | 'attestationVersion' | 'label')
  | ('reconnectAccountId' | 'status' | 'error' | 'accountId' | 'confirmHash' | 'createdBy' | 'visitorHash' | 'expiresAt')
  | ('rights' | 'reachedAccountIds' | 'createdAt' | 'ownerName' | 'locale' | 'prompt' | 'branding')
> & {
  /** until it expires, by the database's clock; negative when it is over */
  secondsLeft: number
  /** its time is over by the database's clock */
  over: boolean
  /** the key that made its link was revoked since: whoever has the link has nothing */
  disowned: boolean
  /** an exchange was begun so long ago that its process must be gone */
  abandoned: boolean
}

export type NewConnectSession = Row<
  typeof connectSessions,
  | ('id' | 'linkSecretHash' | 'ownerId' | 'returnUrl' | 'completion' | 'accountType' | 'attestationVersion' | 'label')
  | ('reconnectAccountId' | 'createdBy' | 'rights' | 'reachedAccountIds' | 'ownerName' | 'locale' | 'prompt' | 'branding')
> & { ageConfirmed: boolean; lifeSeconds: number }

/** After the person came back, the web app's backend has at least this long to complete, */
const completionLifeSeconds = 300
/** and at most this long, however long the link was good: TikTok's code is not. */
const longestCompletionSeconds = 600
/** An exchange whose lease ended this long ago was lost with its process; before that it may still be saved late. */
const abandonedAfter = '60 seconds'

const columns = `id, owner_id, return_url, completion, account_type, age_confirmed_at,
  attestation_version, label, owner_name, locale, prompt, branding, reconnect_account_id, status, error, account_id,
  confirm_hash, created_by, rights, reached_account_ids, visitor_hash, created_at, expires_at, extract(epoch from expires_at - now())::int as seconds_left, expires_at <= now() as over,
  (status = 'exchanging' and lease_until < now() - interval '${abandonedAfter}') as abandoned,
  case when created_by like 'jwt:%'
    then coalesce((select k.revoked_at is not null from api_keys k where k.id in (created_by, 'jwt:*') order by k.id = 'jwt:*' limit 1), false)
    else exists (select 1 from api_keys k where k.id = created_by and k.revoked_at is not null) end as disowned`

export async function createSession(db: Db, session: NewConnectSession): Promise<Date> {
  const rows = await db.run(
    'create_connect_session',
    (sql) => sql<{ expiresAt: Date }[]>`
      with opened as (
      insert into connect_sessions (id, link_secret_hash, owner_id, return_url, completion, account_type, age_confirmed_at, attestation_version, label,
        owner_name, locale, prompt, branding, reconnect_account_id, status, created_by, rights, reached_account_ids, expires_at)
      values (${session.id}, ${session.linkSecretHash}, ${session.ownerId}, ${session.returnUrl}, ${session.completion}, ${session.accountType},
        case when ${session.ageConfirmed} then now() end, ${session.attestationVersion}, ${session.label},
        ${session.ownerName}, ${session.locale}, ${session.prompt}, ${session.branding === null ? null : JSON.stringify(session.branding)}::jsonb, ${session.reconnectAccountId},
        'pending', ${session.createdBy}, ${session.rights}, ${session.reachedAccountIds}, now() + make_interval(secs => ${session.lifeSeconds}))
      returning id, owner_id, created_by, rights, expires_at
      ), told as (
        insert into audit_log (actor, action, object, detail)
        select created_by, 'connect_session_opened', id, concat_ws(' ', ${ownerInAuditLog(session.ownerId)}::text, array_to_string(rights, ' ')) from opened
      )
      select expires_at from opened`,
  )
  const row = rows[0]
  if (!row) throw new Error('An insert returned no row')
  return row.expiresAt
}

export async function findSession(db: Db, id: string): Promise<ConnectSession | undefined> {
  const rows = await db.run(
    'find_connect_session',
    (sql) => sql<ConnectSession[]>`select ${sql.unsafe(columns)} from connect_sessions where id = ${id}`,
  )
  return rows[0]
}

/** Those of these that there are. */
export async function findSessions(db: Db, ids: string[]): Promise<Map<string, ConnectSession>> {
  const rows = await db.run(
    'find_connect_sessions',
    (sql) => sql<ConnectSession[]>`select ${sql.unsafe(columns)} from connect_sessions where id = any(${ids}::text[])`,
  )
  return new Map(rows.map((session) => [session.id, session]))
}

/** Newest first. A session is within a reach as its owner is and, if it is for one, the account that it may bring back. */
export async function listSessions(
  db: Db,
  { ownerId, before, limit, reach }: { ownerId: string | null; before: string | null; limit: number; reach: Reach },
): Promise<ConnectSession[]> {
  return db.run(
    'list_connect_sessions',
    (sql) => sql<ConnectSession[]>`
      select ${sql.unsafe(columns)} from connect_sessions
      where in_reach(${reachAsJson(reach)}::jsonb, owner_id, reconnect_account_id)
        ${ownerId === null ? sql`` : sql`and owner_id = ${ownerId}`}
        ${before === null ? sql`` : sql`and id < ${before}`}
      order by id desc limit ${limit}`,
  )
}

export async function findSessionByLinkSecret(db: Db, linkSecretHash: string): Promise<ConnectSession | undefined> {
  const rows = await db.run(
    'find_connect_session_by_secret',
    (sql) =>
      sql<ConnectSession[]>`select ${sql.unsafe(columns)} from connect_sessions where link_secret_hash = ${linkSecretHash}`,
  )
  return rows[0]
}

/** The person says what the account is and that they are of age; later answers replace earlier ones until TikTok was asked. */
export async function attestSession(db: Db, id: string, accountType: string, attestationVersion: string): Promise<boolean> {
  const rows = await db.run(
    'attest_connect_session',
    (sql) => sql`
      with attested as (
        update connect_sessions set account_type = ${accountType}, age_confirmed_at = now(), attestation_version = ${attestationVersion}
        where id = ${id} and status in ('pending', 'authorizing') and expires_at > now() returning id, created_by
      ), told as (
        insert into audit_log (actor, action, object, detail) select 'owner', 'attested', id, created_by from attested
      )
      select 1 from attested`,
  )
  return rows.length > 0
}

/** Gives the connect page of a session to one browser, for good. @returns false when another one has it, or the session went on or is over */
export async function bindSession(db: Db, id: string, visitorHash: string): Promise<boolean> {
  const rows = await db.run(
    'bind_connect_session',
    (sql) => sql`
      update connect_sessions set visitor_hash = ${visitorHash}
      where id = ${id} and (visitor_hash is null or visitor_hash = ${visitorHash}) and status in ('pending', 'authorizing') and expires_at > now() returning 1`,
  )
  return rows.length > 0
}

/**
 * The person is back with a code: it is kept sealed until whoever started says so (S05).
 *
 * @param held.reconnectAccountId chosen on the connect page: from here on only this account may come out of the session, with what was attested for
 *   it, unless the web app brought newer words for this very account
 */
export async function holdCode(
  db: Db,
  held: {
    sessionId: string
    stateHash: string
    sealedCode: string
    sealedVerifier: string | null
    confirmHash: string | null
    reconnectAccountId: string | null
    requiredOnly: boolean
  },
): Promise<boolean> {
  const rows = await db.run(
    'hold_code',
    (sql) => sql`
      with chosen as (
        select s.id, a.account_type, a.age_confirmed_at, a.attestation_version from connect_sessions s join accounts a on a.id = ${held.reconnectAccountId}
        where s.id = ${held.sessionId} and (s.reconnect_account_id is null or s.account_type is null or s.age_confirmed_at is null)
      ), unchosen as (
        select id, account_type, age_confirmed_at, attestation_version from connect_sessions where id = ${held.sessionId} and not exists (select 1 from chosen)
      ), held as (
      update connect_sessions s set status = 'awaiting_completion', sealed_code = ${held.sealedCode}, sealed_verifier = ${held.sealedVerifier},
        confirm_hash = ${held.confirmHash}, required_only = ${held.requiredOnly}, 
        expires_at = greatest(least(expires_at, now() + make_interval(secs => ${longestCompletionSeconds})), now() + make_interval(secs => ${completionLifeSeconds})),
        reconnect_account_id = coalesce(s.reconnect_account_id, ${held.reconnectAccountId}), account_type = said.account_type,
        age_confirmed_at = said.age_confirmed_at, attestation_version = said.attestation_version
      from (select * from chosen union all select * from unchosen) said
      where s.id = said.id and s.status = 'authorizing' returning s.id
      ), superseded as (
        -- From here on the session belongs to the browser that brought the code: no other may come again in its name.
        update authorization_requests r set binding_hash = '' from held where r.session_id = held.id and r.state_hash <> ${held.stateHash}
      )
      select 1 from held`,
  )
  return rows.length > 0
}

/**
 * A confirm token in place of the present one, for the browser that brought the code.
 *
 * @returns false when the present one is another by now, another state brought the code, or the session can no longer be completed
 */
export async function replaceConfirm(
  db: Db,
  sessionId: string,
  { stateHash, presentHash, confirmHash }: { stateHash: string; presentHash: string; confirmHash: string },
): Promise<boolean> {
  const rows = await db.run(
    'replace_confirm',
    (sql) => sql`
      update connect_sessions s set confirm_hash = ${confirmHash}
      where id = ${sessionId} and confirm_hash = ${presentHash} and status in ('awaiting_completion', 'exchanging', 'completed')
        and exists (select 1 from authorization_requests r where r.state_hash = ${stateHash} and r.session_id = s.id and r.binding_hash <> '')
      returning 1`,
  )
  return rows.length > 0
}

export type ExchangeClaim = ConnectSession &
  Row<typeof connectSessions, 'sealedVerifier' | 'requiredOnly'> & { sealedCode: string; claimedAt: Date }

/** Takes the one right to exchange this session's code. Repeating it with the same attempt id finds the claim it made. */
export async function beginExchange(
  db: Db,
  sessionId: string,
  attemptId: string,
  leaseSeconds: number,
): Promise<ExchangeClaim | undefined> {
  const rows = await db.run(
    'begin_exchange',
    (sql) => sql<ExchangeClaim[]>`
      update connect_sessions set status = 'exchanging', attempt_id = ${attemptId}, lease_until = now() + make_interval(secs => ${leaseSeconds})
      where id = ${sessionId} and ((status = 'awaiting_completion' and expires_at > now()) or (status = 'exchanging' and attempt_id = ${attemptId}))
        and not exists (select 1 from recoveries where ended_at is null)
      returning ${sql.unsafe(columns)}, sealed_code, sealed_verifier, required_only, now() as claimed_at`,
  )
  return rows[0]
}

/** Nothing reached TikTok: the code is still good, and `complete` may be repeated. */
export async function releaseExchange(db: Db, sessionId: string, attemptId: string): Promise<void> {
  await db.run(
    'release_exchange',
    (sql) => sql`
      update connect_sessions set status = 'awaiting_completion', attempt_id = null, lease_until = null
      where id = ${sessionId} and status = 'exchanging' and attempt_id = ${attemptId}`,
  )
}

/** Announces what a statement before it has failed, as `failed`. */
const tellFailed = `insert into events (type, account_id, data)
  select 'connect_session.failed', reconnect_account_id,
    jsonb_build_object('account_id', reconnect_account_id, 'owner_id', owner_id, 'connect_session_id', id, 'error', error) from failed`

/** Ends a session that did not connect anything, forgets its secrets and announces it. */
export async function failSession(db: Db, sessionId: string, error: string): Promise<void> {
  await db.run(
    'fail_session',
    (sql) => sql`
      with failed as (
        update connect_sessions set status = 'failed', error = ${error}, sealed_code = null, sealed_verifier = null, attempt_id = null, lease_until = null
        where id = ${sessionId} and status not in ('completed', 'failed') returning id, owner_id, reconnect_account_id, error
      )
      ${sql.unsafe(tellFailed)}`,
  )
}

/** Counts a try to complete with a wrong confirm token, and ends the session with the last one that it stands. @returns whether that ended it */
export async function countWrongConfirm(db: Db, sessionId: string, mostTries: number): Promise<boolean> {
  const rows = await db.run(
    'count_wrong_confirm',
    (sql) => sql<{ ended: boolean }[]>`
      with counted as (
        update connect_sessions set wrong_confirms = wrong_confirms + 1,
          status = case when wrong_confirms + 1 >= ${mostTries} then 'failed' else status end,
          error = case when wrong_confirms + 1 >= ${mostTries} then 'confirm_invalid' else error end,
          sealed_code = case when wrong_confirms + 1 < ${mostTries} then sealed_code end,
          sealed_verifier = case when wrong_confirms + 1 < ${mostTries} then sealed_verifier end
        where id = ${sessionId} and status = 'awaiting_completion' returning id, owner_id, reconnect_account_id, error, status
      ), failed as (
        select * from counted where status = 'failed'
      ), told as (
        ${sql.unsafe(tellFailed)}
      )
      select status = 'failed' as ended from counted`,
  )
  return rows[0]?.ended ?? false
}

/** Dead sessions and their states go once nobody can ask for them any more (S29). */
export async function purgeSessions(db: Db, keptHours: number, limit: number): Promise<number> {
  const rows = await db.run(
    'purge_connect_sessions',
    (sql) => sql`
      with dead as (
        select id from connect_sessions where expires_at < now() - make_interval(hours => ${keptHours}) order by expires_at limit ${limit} for update skip locked
      )
      delete from connect_sessions s using dead d where s.id = d.id returning 1`,
  )
  return rows.length
}

/** Codes and verifiers of sessions that are over are erased long before the session's row is. */
export async function eraseStaleCodes(db: Db): Promise<number> {
  const rows = await db.run(
    'erase_stale_codes',
    (sql) => sql`
      update connect_sessions set sealed_code = null, sealed_verifier = null
      where expires_at < now() - interval '5 minutes' and status <> 'exchanging' and (sealed_code is not null or sealed_verifier is not null) returning 1`,
  )
  return rows.length
}
