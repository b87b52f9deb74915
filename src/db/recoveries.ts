// The statements of a recovery: begun by whoever notices that the database went back, joined by every journal, ended when all that are
// needed were replayed. What they bring back is restored forward only, and tells nobody (F28).
import type { EndedAccount } from './accounts.ts'
import type { Db } from './client.ts'
import type { StatusReason } from './codes.ts'
import type { accounts, Row, recoveries, recoveryJournals, tokenSets } from './schema.ts'
import type { SealedTokenSet } from './token-sets.ts'
import { snakeCased } from './wire-types.ts'

export type JournalState = Row<typeof recoveryJournals>['state']

export type RecoveryJournal = Row<typeof recoveryJournals, 'journalId' | 'state' | 'lastSeenAt'>

export type Recovery = Row<typeof recoveries, 'id' | 'reason' | 'beganAt' | 'rewoundTo' | 'endedAt'> & {
  journals: RecoveryJournal[]
}

/** @returns the open recovery, this one or the one a neighbour has just begun */
export async function beginRecovery(
  db: Db,
  begin: { reason: string; journalId: string; rewoundTo: Date | null },
): Promise<{ id: string; begun: boolean }> {
  const rows = await db.run(
    'begin_recovery',
    (sql) => sql<{ id: string; begun: boolean }[]>`
      with begun as (
        insert into recoveries (reason, begun_by, rewound_to) values (${begin.reason}, ${begin.journalId}, ${begin.rewoundTo})
        on conflict ((ended_at is null)) where ended_at is null do nothing returning id
      )
      select id, true as begun from begun union all select id, false from recoveries where ended_at is null and not exists (select 1 from begun)`,
  )
  const row = rows[0]
  if (!row) return beginRecovery(db, begin) // a neighbour's began or ended in between
  return row
}

/** Says which journals this process knows to be needed. One that is known already stays as it stands. */
export async function joinRecovery(
  db: Db,
  recoveryId: string,
  journals: readonly { journalId: string; lastSeenAt: Date | null }[],
): Promise<void> {
  await db.run(
    'join_recovery',
    (sql) => sql`
      insert into recovery_journals (recovery_id, journal_id, state, last_seen_at)
      select ${recoveryId}, * from (
        select journal_id, 'awaited', last_seen_at
        from unnest(${journals.map((each) => each.journalId)}::text[], ${sql.array(journals.map((each) => each.lastSeenAt))}::timestamptz[]) as j (journal_id, last_seen_at)
      ) needed
      on conflict (recovery_id, journal_id) do update set last_seen_at = greatest(recovery_journals.last_seen_at, excluded.last_seen_at)`,
  )
}

export async function reportJournals(
  db: Db,
  recoveryId: string,
  journalIds: readonly string[],
  state: JournalState,
  counts: Record<string, number> = {},
): Promise<void> {
  await db.run(
    'report_journals',
    (sql) => sql`
      insert into recovery_journals (recovery_id, journal_id, state, counts)
      select ${recoveryId}, id, ${state}, ${sql.json(counts)} from unnest(${[...journalIds]}::text[]) id
      on conflict (recovery_id, journal_id) do update set state = excluded.state, counts = excluded.counts, updated_at = now()
      where recovery_journals.state <> 'replayed'`,
  )
}

/** An operator goes on without the journals that nobody has, or has finished. @returns which */
export async function acceptMissing(db: Db, recoveryId: string, actor: string): Promise<string[]> {
  const rows = await db.run(
    'accept_missing_journals',
    (sql) => sql<{ journalId: string }[]>`
      with accepted as (
        update recovery_journals set state = 'accepted', updated_at = now() where recovery_id = ${recoveryId} and state in ('awaited', 'protected') returning journal_id
      ), told as (
        insert into audit_log (actor, action, object, detail) select ${actor}, 'journal_given_up', journal_id, ${recoveryId}::text from accepted
      )
      select journal_id from accepted`,
  )
  return rows.map(({ journalId }) => journalId)
}

/** The one of this id; without an id the open one or, if there is none, the last. */
export async function readRecovery(db: Db, id: string | null = null): Promise<Recovery | undefined> {
  const rows = await db.run(
    'read_recovery',
    (sql) => sql<Recovery[]>`
      select r.id, r.reason, r.began_at, r.rewound_to, r.ended_at,
        coalesce((select jsonb_agg(jsonb_build_object('journalId', j.journal_id, 'state', j.state, 'lastSeenAt', j.last_seen_at) order by j.journal_id)
          from recovery_journals j where j.recovery_id = r.id), '[]') as journals
      from recoveries r where ${id}::text is null or r.id = ${id} order by ended_at is null desc, began_at desc limit 1`,
  )
  const row = rows[0]
  return (
    row && {
      ...row,
      journals: row.journals.map((each) => ({ ...each, lastSeenAt: each.lastSeenAt && new Date(each.lastSeenAt) })),
    }
  )
}

/**
 * Ends a recovery whose journals are all replayed or given up; revocations that waited for it are due.
 *
 * @returns whether it is over, by this call or an earlier one
 */
export async function finishRecovery(db: Db, recoveryId: string, journalId: string, gatheringSeconds: number): Promise<boolean> {
  const rows = await db.run(
    'finish_recovery',
    (sql) => sql<{ over: boolean }[]>`
      with ended as (
        update recoveries set ended_at = now(), ended_by = ${journalId} where id = ${recoveryId} and ended_at is null
          and began_at <= now() - make_interval(secs => ${gatheringSeconds})
          and not exists (select 1 from recovery_journals where recovery_id = ${recoveryId} and state in ('awaited', 'protected'))
        returning id
      ), told as (
        insert into audit_log (actor, action, object, detail)
        select 'service', 'database_recovered', id, (select string_agg(journal_id || ' ' || state, ', ' order by journal_id) from recovery_journals where recovery_id = id) from ended
      )
      select exists (select 1 from ended) or exists (select 1 from recoveries where id = ${recoveryId} and ended_at is not null) as over`,
  )
  return rows[0]?.over ?? true
}

/** After its entries are in the database again, so are the marks that journals had. */
export async function restoreMarks(db: Db, marks: readonly { journalId: string; mark: number }[]): Promise<void> {
  await db.run(
    'restore_marks',
    (sql) => sql`
      insert into journals (id, mark) select * from unnest(${marks.map((each) => each.journalId)}::text[], ${marks.map((each) => each.mark)}::bigint[])
      on conflict (id) do update set mark = greatest(journals.mark, excluded.mark), seen_at = now()`,
  )
}

export type RestoredTokens = SealedTokenSet & { accountId: string; generation: number; attemptId: string; actor: string }

export type RestoreOutcome = 'restored' | 'present' | 'gone' | 'unknown' | 'taken'

/** @returns of those asked for, the accounts whose token set is older, and those that are not there at all */
export async function accountsBehind(
  db: Db,
  wanted: readonly { accountId: string; generation: number }[],
): Promise<{ accountId: string; isThere: boolean }[]> {
  return db.run(
    'accounts_behind',
    (sql) => sql<{ accountId: string; isThere: boolean }[]>`
      select w.account_id, a.id is not null as is_there
      from unnest(${wanted.map((each) => each.accountId)}::text[], ${wanted.map((each) => each.generation)}::integer[]) as w (account_id, generation)
      left join accounts a on a.id = w.account_id left join token_sets t on t.account_id = w.account_id
      where a.id is null or t.generation < w.generation
        or (t.account_id is null and exists (select 1 from revocations r where r.account_id = w.account_id and r.subject = w.account_id and r.generation < w.generation))`,
  )
}

/** In the order of their ids, as everybody locks them. @see functions/restore_token_set.sql */
export async function restoreTokenSets(
  db: Db,
  sets: readonly (RestoredTokens & { lostRequiredScope: boolean })[],
): Promise<{ accountId: string; outcome: RestoreOutcome }[]> {
  const ordered = sets.toSorted((a, b) => (a.accountId < b.accountId ? -1 : 1)).map((set) => snakeCased(set))
  return db.run(
    'restore_token_sets',
    (sql) => sql<{ accountId: string; outcome: RestoreOutcome }[]>`
      select s ->> 'account_id' as account_id, restore_token_set(s) as outcome from jsonb_array_elements(${sql.json(ordered)}) s`,
    { deadlineMs: 30_000 },
  )
}

/** @see functions/restore_account.sql */
export async function restoreAccount(
  db: Db,
  account: RestoredTokens &
    Row<typeof tokenSets, 'clientKey'> &
    Row<
      typeof accounts,
      'ownerId' | 'sealedIdentity' | 'label' | 'accountType' | 'attestedAt' | 'attestationVersion' | 'connectedAt'
    > & {
      openId: string
      sessionId: string
    },
): Promise<RestoreOutcome> {
  const rows = await db.run(
    'restore_account',
    (sql) => sql<{ outcome: RestoreOutcome }[]>`select restore_account(${sql.json(snakeCased(account))}) as outcome`,
  )
  return rows[0]?.outcome ?? 'unknown'
}

/** @see functions/restore_tombstone.sql */
export async function restoreTombstone(
  db: Db,
  ended: Omit<EndedAccount, 'generation'> & { accountId: string; reason: StatusReason; actor: string },
): Promise<boolean> {
  const rows = await db.run(
    'restore_tombstone',
    (sql) => sql<{ left: boolean }[]>`select restore_tombstone(${sql.json(snakeCased(ended))}) as left`,
  )
  return rows[0]?.left ?? false
}

/** @see functions/restore_key_revocation.sql */
export async function restoreKeyRevocation(db: Db, keyId: string, revokedAt: Date, actor: string): Promise<boolean> {
  const rows = await db.run(
    'restore_key_revocation',
    (sql) => sql<{ revoked: boolean }[]>`select restore_key_revocation(${keyId}, ${revokedAt}, ${actor}) as revoked`,
  )
  return rows[0]?.revoked ?? false
}

/** Revocations at TikTok that had been settled are not sent again. */
export async function dropRevocations(db: Db, ids: readonly string[]): Promise<void> {
  await db.run('drop_revocations', (sql) => sql`delete from revocations where id = any(${[...ids]}::text[])`)
}

/** Page by page, for a hash that nobody can turn round. */
export async function listOwnerIds(db: Db, after: string, limit: number): Promise<string[]> {
  const rows = await db.run(
    'list_owner_ids',
    (sql) => sql<{ id: string }[]>`select id from owners where id > ${after} order by id limit ${limit}`,
  )
  return rows.map(({ id }) => id)
}

/** Accounts of an owner that were connected before a moment and are live. */
export async function liveAccountsFrom(db: Db, ownerId: string, before: Date): Promise<string[]> {
  const rows = await db.run(
    'live_accounts_from',
    (sql) => sql<{ id: string }[]>`
      select id from accounts where owner_id = ${ownerId} and status <> 'disconnected' and connected_at <= ${before} order by id`,
  )
  return rows.map(({ id }) => id)
}

/** Key revocations that this process has not told its journal yet. */
export async function revokedKeysSince(db: Db, since: Date): Promise<{ id: string; revokedAt: Date }[]> {
  return db.run(
    'revoked_keys_since',
    (sql) => sql<{ id: string; revokedAt: Date }[]>`
      select id, revoked_at from api_keys where revoked_at > ${since}::timestamptz order by revoked_at`,
  )
}
