// The statements of accounts: found, listed, labelled, connected, disconnected. What the outside sees is made in
// account/account.ts.
import { type Reach, reachAsJson } from '../access/reach.ts'
import type { Db } from './client.ts'
import type { AccountStatus, StatusReason } from './codes.ts'
import { type ProfileFields, profileColumns } from './profiles.ts'
import type { accounts, OuterRow, Row, timeline, tokenSets } from './schema.ts'
import { refusedColumn, type SealedTokenSet } from './token-sets.ts'
import { snakeCased } from './wire-types.ts'

export type AccountRow = TroubleRow &
  Omit<Row<typeof accounts>, 'statusChangedAt' | 'profileDueAt' | 'expiryAnnouncedDays'> &
  ProfileFields &
  OuterRow<typeof tokenSets, 'generation' | 'accessExpiresAt' | 'refreshExpiresAt' | 'refreshedAt'> & {
    profileFetchedAt: Date | null
    hasAvatar: boolean
    /** the database's clock at the read */
    readAt: Date
  }

/** What keeps refreshes of an account from working. */
export interface TroubleRow {
  failures: Row<typeof tokenSets>['failures'] | null
  /** why the last refresh failed, while refreshes fail */
  failureCode: string | null
  /** TikTok refuses our client, for everybody */
  clientRefused: boolean
  /** TikTok refused the refresh token, and it is not believed yet */
  rejected: boolean
  /** the access token is over, and no refresh is tried yet: nothing can be handed out */
  dry: boolean
  /** TikTok did not take the present access token: a new one has to come first */
  refused: boolean
}

/** of the account `a` and its token set `t` */
export const troubleColumns = `t.failures, t.rejected_at is not null as rejected,
  coalesce(t.access_expires_at <= now() and greatest(t.next_attempt_at, (select max(g.open_until) from circuit_breakers g where g.name in ('token', 'token_refused') and g.failures > 0)) > now(), false) as dry, ${refusedColumn} as refused,
  case when t.failures > 0 then (select j.code from timeline j where j.account_id = a.id and j.kind in ('refresh_failed', 'refresh_ambiguous')
    and j.at > now() - interval '7 days' order by j.at desc limit 1) end as failure_code,
  exists (select 1 from circuit_breakers g where g.name = 'token' and g.failures > 0 and g.reason = 'client_refused') as client_refused`

const columns = `a.id, a.owner_id, a.open_id, a.label, a.status, a.status_reason, a.account_type,
  a.attested_at, a.attestation_version, a.attestation_source, a.age_confirmed_at, a.scopes,
  ${profileColumns}, p.fetched_at as profile_fetched_at, p.picture is not null as has_avatar, a.authorized_at, a.connected_at,
  a.disconnected_at, t.generation, t.access_expires_at, t.refresh_expires_at,
  t.refreshed_at, ${troubleColumns}, now() as read_at`

const source = `from accounts a left join token_sets t on t.account_id = a.id left join profiles p on p.account_id = a.id`

export async function findAccount(db: Db, id: string): Promise<AccountRow | undefined> {
  const rows = await db.run(
    'find_account',
    (sql) => sql<AccountRow[]>`select ${sql.unsafe(columns)} ${sql.unsafe(source)} where a.id = ${id}`,
  )
  return rows[0]
}

/** Oldest first; `after` is the last id of the page before. */
export async function listAccounts(
  db: Db,
  filter: {
    ownerId: string | null
    statuses: readonly AccountStatus[] | null
    after: string | null
    limit: number
    reach: Reach
  },
): Promise<AccountRow[]> {
  const { ownerId, statuses, after, reach, limit } = filter
  // A condition that is not asked for is left out: with `is null or` the planner cannot know that the index is what it takes.
  return db.run(
    'list_accounts',
    (sql) => sql<AccountRow[]>`
      select ${sql.unsafe(columns)} ${sql.unsafe(source)}
      where in_reach(${reachAsJson(reach)}::jsonb, a.owner_id, a.id)
        ${ownerId === null ? sql`` : sql`and a.owner_id = ${ownerId}`}
        ${statuses === null ? sql`` : sql`and a.status = any(${[...statuses]}::text[])`}
        ${after === null ? sql`` : sql`and a.id > ${after}`}
      order by a.id limit ${limit}`,
  )
}

export type Ended = Row<typeof accounts, 'id' | 'connectedAt'> & { reason: StatusReason | null; disconnectedAt: Date }

/** The tombstones of an owner that somebody else made, TikTok or an operator, newest first. They hold nothing personal. */
export async function listEnded(db: Db, ownerId: string, days: number, limit: number, reach: Reach): Promise<Ended[]> {
  return db.run(
    'list_ended_accounts',
    (sql) => sql<Ended[]>`
      select id, status_reason as reason, connected_at, disconnected_at from accounts
      where owner_id = ${ownerId} and status = 'disconnected' and status_reason is distinct from 'disconnected_by_owner'
        and disconnected_at > now() - make_interval(days => ${days}) and in_reach(${reachAsJson(reach)}::jsonb, owner_id, id)
      order by disconnected_at desc, id desc limit ${limit}`,
  )
}

/** Who did something: a key, `service`, `tiktok`, `operator`, or `owner` on the hosted page, through the link that a key made. */
export interface Doer {
  actor: string
  via?: { sessionId: string; keyId: string } | undefined
}

export async function setLabel(db: Db, id: string, label: string | null, { actor, via }: Doer): Promise<boolean> {
  const rows = await db.run(
    'set_label',
    (sql) => sql`
      with labelled as (update accounts set label = ${label} where id = ${id} and status <> 'disconnected' returning id)
      , journal as (insert into timeline (account_id, kind, actor, via_session_id, via_key_id)
        select id, 'label_changed', ${actor}, ${via?.sessionId ?? null}, ${via?.keyId ?? null} from labelled)
      select id from labelled`,
  )
  return rows.length > 0
}

/** The live account of a TikTok person, if any: where a fresh grant for them belongs. */
export async function findByOpenId(
  db: Db,
  openId: string,
): Promise<{ id: string; ownerId: string; generation: number } | undefined> {
  const rows = await db.run(
    'find_account_by_open_id',
    (sql) => sql<{ id: string; ownerId: string; generation: number }[]>`
      select a.id, a.owner_id, t.generation from accounts a join token_sets t on t.account_id = a.id
      where a.open_id = ${openId} and a.status <> 'disconnected'`,
  )
  return rows[0]
}

/** Whom a fresh grant is of, and who connects. */
export type Comer = Pick<Connect, 'openId' | 'unionId' | 'ownerId' | 'reconnectAccountId'>

/**
 * The live account a fresh grant belongs to, if any: the one of this open_id, else of the same person under another app (docs/tiktok.md §5).
 * The same as connect_account looks for.
 */
export async function findSamePerson(db: Db, comer: Comer): Promise<{ id: string; generation: number } | undefined> {
  const rows = await db.run(
    'find_same_person',
    (sql) => sql<{ id: string; generation: number }[]>`
      select p.id, t.generation from same_person(${comer.openId}, ${comer.unionId}, ${comer.ownerId}, ${comer.reconnectAccountId}) p
        join token_sets t on t.account_id = p.id`,
  )
  return rows[0]
}

/** Whether it matters who somebody new is: nobody can be the same person as an account whose union_id is not known. */
export async function knowsUnionIds(db: Db): Promise<boolean> {
  const rows = await db.run('knows_union_ids', (sql) => sql`select 1 from profiles where union_id is not null limit 1`)
  return rows.length > 0
}

/** What connect_account takes: the columns of a token set and of its account, and what decides. */
export type Connect = SealedTokenSet &
  Row<typeof tokenSets, 'accountId' | 'generation' | 'clientKey'> &
  Row<typeof accounts, 'ownerId' | 'sealedIdentity' | 'label' | 'accountType' | 'attestedAt' | 'attestationVersion'> & {
    openId: string
    /** null: not known */
    unionId: string | null
    reconnectAccountId: string | null
    accountLimit: number
    missingScopes: string[]
    attemptId: string
    sessionId: string
    actor: string
  }

export type ConnectOutcome = 'connected' | 'already_connected' | 'mismatch' | 'moved' | 'limit_reached' | 'session_gone'

/**
 * Connecting also drops what is yet to be revoked of the same person: at TikTok a revocation ends all grants of a person, this new one too.
 *
 * @see functions/connect_account.sql, which locks the owner, looks again and decides
 */
export async function connectAccount(db: Db, grant: Connect): Promise<{ outcome: ConnectOutcome; accountId: string | null }> {
  const rows = await db.run(
    'connect_account',
    (sql) => sql<{ outcome: ConnectOutcome; accountId: string | null }[]>`
      select outcome, account_id from connect_account(${sql.json(snakeCased(grant))})`,
  )
  const row = rows[0]
  if (!row) throw new Error('connect_account answered nothing')
  return row
}

export interface MadeConnect {
  generation: number
  ownerId: string
  label: string | null
  accountType: string
  attestedAt: Date
  attestationVersion: string
  connectedAt: Date
}

/** What a connect has made, or made anew; by its attempt, so that a later one is not taken for it. */
export async function findConnect(db: Db, accountId: string, attemptId: string): Promise<MadeConnect | undefined> {
  const rows = await db.run(
    'find_connect',
    (sql) => sql<MadeConnect[]>`
      select j.generation, a.owner_id, a.label, a.account_type, a.attested_at, a.attestation_version, j.at as connected_at
      from timeline j join accounts a on a.id = j.account_id
      where j.account_id = ${accountId} and j.attempt_id = ${attemptId} and j.kind in ('connected', 'reconnected') and a.status <> 'disconnected'`,
  )
  return rows[0]
}

export type LiveGrant = Row<
  typeof tokenSets,
  'accountId' | 'generation' | 'sealedAccessToken' | 'sealedRefreshToken' | 'accessExpiresAt'
>

/** The sealed tokens of one account, for the service's own use: a disconnect, a profile. Nothing of it leaves, so no audit row. */
export async function findGrant(db: Db, accountId: string): Promise<LiveGrant | undefined> {
  const rows = await db.run(
    'find_grant',
    (sql) => sql<LiveGrant[]>`
      select account_id, generation, sealed_access_token, sealed_refresh_token,
        access_expires_at from token_sets where account_id = ${accountId}`,
  )
  return rows[0]
}

/** What is left of an account that was ended: enough for its tombstone. */
export type EndedAccount = Row<
  typeof accounts,
  'ownerId' | 'accountType' | 'attestedAt' | 'attestationVersion' | 'scopes' | 'connectedAt'
> &
  Row<typeof tokenSets, 'generation'> & { disconnectedAt: Date }

/**
 * Ends an account, in one statement: its tokens move, sealed as they are, to the list of those to revoke; the profile goes with the token set it
 * hangs on, and who it was in notices that were kept; a tombstone stays, the event is out.
 *
 * @param end.revocationId null: TikTok has ended the grant itself, nothing is to be revoked
 * @param end.generation only while this is the present token set: what was judged is what is ended. A time could not guard it: after
 *   the wait for a reconnect that is being recorded, PostgreSQL looks at the token set anew, but not at the account beside it.
 * @param end.revokeAfterSeconds TikTok is told no earlier: in an emergency thousands are to be revoked, at a rate it stands
 * @param end.silent no event goes out: whoever had to be told was told before the database went back
 * @returns what there was of it; undefined when there was nothing to end: unknown, a tombstone already, or another token set
 */
export async function disconnectAccount(
  db: Db,
  end: {
    accountId: string
    reason: StatusReason
    actor: string
    via?: Doer['via']
    requestId: string | null
    revocationId: string | null
    generation?: number
    revokeAfterSeconds?: number
    silent?: boolean
  },
): Promise<EndedAccount | undefined> {
  const { generation = null, revokeAfterSeconds = 0, silent = false } = end
  const rows = await db.run(
    'disconnect_account',
    (sql) => sql<EndedAccount[]>`
      with erased as (
        delete from token_sets t
        where t.account_id = ${end.accountId} and (${generation}::integer is null or t.generation = ${generation})
        returning t.*
      ), ended as (
        update accounts a set status = 'disconnected', status_reason = ${end.reason}, status_changed_at = now(), disconnected_at = now(), open_id = null, sealed_identity = null,
          label = null, profile_due_at = null
        from erased e where a.id = e.account_id
        returning a.id, a.owner_id, e.generation, a.account_type, a.attested_at, a.attestation_version, a.scopes, a.connected_at, a.disconnected_at
      ), held as (
        -- Whoever reserved may upload yet, and is not heard any more: should this person connect again, those slots are taken.
        update uploads u set held_until = now() + interval '24 hours' from ended e
        where u.account_id = e.id and u.committed_at is null and u.released_at is null and u.held_until > now()
      ), notices_kept as (
        -- The hash of the body stays: a replay is still a no-op. One that is locked is being forgotten as a whole.
        update notices set open_id = null, body = null where body_hash in (
          select n.body_hash from notices n
          where n.open_id = (select b.open_id from ended e join accounts b on b.id = e.id) and n.settled_at is not null for update skip locked
        )
      ), pending as (
        insert into revocations (id, account_id, owner_id, tiktok_user, reason, subject, generation, sealed_access_token, sealed_refresh_token, access_expires_at, next_attempt_at)
        select ${end.revocationId}::text, account_id, n.owner_id, (select tiktok_user_of(b.open_id) from accounts b where b.id = e.account_id), ${end.reason}::text, account_id, e.generation, sealed_access_token, sealed_refresh_token,
          -- An expired token has to be refreshed to be revoked, and its refresh token may be at TikTok just now: whoever holds it comes first.
          access_expires_at, greatest(now() + make_interval(secs => ${revokeAfterSeconds}),
            case when access_expires_at <= now() and e.attempt_id is not null then e.lease_until end)
        from erased e join ended n on n.id = e.account_id where ${end.revocationId}::text is not null
      ), journal as (
        insert into timeline (account_id, kind, code, generation, actor, via_session_id, via_key_id, request_id)
        select id, 'disconnected', ${end.reason}::text, generation, ${end.actor}::text, ${end.via?.sessionId ?? null}::text, ${end.via?.keyId ?? null}::text,
          ${end.requestId}::text from ended
      ), announced as (
        insert into events (type, account_id, data)
        select 'account.disconnected', id, jsonb_build_object('account_id', id, 'owner_id', owner_id, 'reason', ${end.reason}::text) from ended where not ${silent}::boolean
      )
      select generation, owner_id, account_type, attested_at, attestation_version, scopes, connected_at, disconnected_at from ended`,
  )
  return rows[0]
}

export type TimelineEntry = Row<
  typeof timeline,
  'seq' | 'at' | 'kind' | 'code' | 'generation' | 'actor' | 'viaSessionId' | 'viaKeyId' | 'requestId'
>

/** The newest first; `before` is the `seq` of the last entry of the page before. A time would not do: entries of one statement share theirs. */
export async function readTimeline(db: Db, accountId: string, before: number | null, limit: number): Promise<TimelineEntry[]> {
  return db.run(
    'read_timeline',
    (sql) => sql<TimelineEntry[]>`
      select seq, at, kind, code, generation, actor, via_session_id, via_key_id, request_id from timeline
      where account_id = ${accountId} and (${before}::bigint is null
        or (at, seq) < (select b.at, b.seq from timeline b where b.account_id = ${accountId} and b.seq = ${before})) order by at desc, seq desc limit ${limit}`,
  )
}
