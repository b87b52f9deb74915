// The statements of `accounts reconcile`: which accounts are to be tried yet, what became of each, and who must come back.
import type { Db } from './client.ts'
import type { ReconciledOutcome } from './codes.ts'
import { markSettled, reasonOfRejection } from './rejections.ts'
import type { accounts, OuterRow, Row, reconciledAccounts, reconciliations, tokenSets } from './schema.ts'

export type Reconciliation = Row<typeof reconciliations, 'id' | 'dryRun' | 'beganAt' | 'endedAt'>

/** Goes on with the run that is open. The last one is found too if it was over within the hour, unless `again` asks for another. */
export async function openReconciliation(
  db: Db,
  run: { id: string; dryRun: boolean; again: boolean; notify: boolean },
): Promise<Reconciliation> {
  const rows = await db.run(
    'open_reconciliation',
    (sql) => sql<Reconciliation[]>`
      with last as (
        select id, dry_run, began_at, ended_at from reconciliations
        where dry_run = ${run.dryRun} and (ended_at is null or not ${run.again}::boolean and (ended_at > now() - interval '1 hour' or ${run.notify}::boolean)) order by ended_at is null desc, began_at desc limit 1
      ), begun as (
        insert into reconciliations (id, dry_run) select ${run.id}, ${run.dryRun} where not exists (select 1 from last)
        on conflict (dry_run) where ended_at is null do nothing returning id, dry_run, began_at, ended_at
      )
      select * from last union all select * from begun`,
  )
  return rows[0] ?? openReconciliation(db, run) // another command began one in between
}

export type Untried = Row<typeof accounts, 'id' | 'ownerId' | 'openId' | 'scopes'> &
  Row<typeof tokenSets, 'generation' | 'sealedAccessToken' | 'lastReadAt'> & {
    /** TikTok gave it a token set after the run began: nothing has to be tried */
    freshSince: boolean
    accessTokenLives: boolean
    refreshTokenExpired: boolean
  }

/** Those that were not tried yet, the last read first: somebody is waiting for them. */
export async function listUntried(db: Db, run: Reconciliation, limit: number): Promise<Untried[]> {
  return db.run(
    'list_untried_accounts',
    (sql) => sql<Untried[]>`
      select a.id, a.owner_id, a.open_id, a.scopes, t.generation, t.sealed_access_token, t.last_read_at, t.refreshed_at > r.began_at as fresh_since,
        t.access_expires_at > now() as access_token_lives, coalesce(t.refresh_expires_at <= now(), false) as refresh_token_expired
      from token_sets t join accounts a on a.id = t.account_id join reconciliations r on r.id = ${run.id}
      where a.status = 'active' and not exists (select 1 from reconciled_accounts d where d.reconciliation_id = r.id and d.account_id = a.id)
      order by t.last_read_at desc, a.id limit ${limit}`,
  )
}

export async function countUntried(db: Db, run: Reconciliation): Promise<number> {
  const rows = await db.run(
    'count_untried_accounts',
    (sql) => sql<{ count: number }[]>`
      select count(*)::int as count from token_sets t join accounts a on a.id = t.account_id
      where a.status = 'active' and not exists (select 1 from reconciled_accounts d where d.reconciliation_id = ${run.id} and d.account_id = a.id)`,
  )
  return rows[0]?.count ?? 0
}

/** @param found.held whether the rejection stays with this run: nobody else believes it and tells of it */
export async function recordReconciled(
  db: Db,
  run: Reconciliation,
  found: { accountId: string; generation: number; outcome: ReconciledOutcome; reason: string | null; held: boolean },
): Promise<void> {
  const { accountId, generation, outcome, reason, held } = found
  await db.run(
    'record_reconciled',
    (sql) => sql`
      with kept as (
        update token_sets set due_at = null where ${held}::boolean and account_id = ${accountId} and generation = ${generation} and rejected_at is not null
      )
      insert into reconciled_accounts (reconciliation_id, account_id, outcome, reason, generation, marked_at)
      select ${run.id}, id, ${outcome}, ${reason}, ${generation}, case when not ${held}::boolean then now() end from accounts where id = ${accountId}
      on conflict (reconciliation_id, account_id) do update set outcome = excluded.outcome, reason = excluded.reason, generation = excluded.generation, marked_at = excluded.marked_at, at = now()`,
  )
}

/**
 * Marks those who must come back and whose grace is over; one that was refreshed or connected meanwhile is fine.
 *
 * @returns how many are left in their grace
 */
export async function settleReconciled(db: Db, run: Reconciliation, graceSeconds: number): Promise<number> {
  const rows = await db.run(
    'settle_reconciled',
    (sql) => sql<{ left: number }[]>`
      with ripe as (
        select d.account_id, d.generation from reconciled_accounts d
        where d.reconciliation_id = ${run.id} and d.outcome = 'must_come_back' and d.marked_at is null and d.at <= now() - make_interval(secs => ${graceSeconds})
        limit 500 for update
      ), settled as (
        update token_sets t set due_at = null, next_attempt_at = 'infinity' from ripe r
        where t.account_id = r.account_id and t.generation = r.generation and t.rejected_at is not null
        returning t.account_id, t.generation, null::text as given_up_by, ${sql.unsafe(reasonOfRejection)} as reason
      ), ${sql.unsafe(markSettled)}, noted as (
        update reconciled_accounts d set marked_at = now(),
          outcome = case when exists (select 1 from settled s where s.account_id = r.account_id) then d.outcome else 'fine' end,
          reason = coalesce((select s.reason from settled s where s.account_id = r.account_id), 'moved_on')
        from ripe r where d.reconciliation_id = ${run.id} and d.account_id = r.account_id
        returning 1
      )
      select ((select count(*) from reconciled_accounts d where d.reconciliation_id = ${run.id} and d.outcome = 'must_come_back' and d.marked_at is null)
        - (select count(*) from noted))::int as left`,
  )
  return rows[0]?.left ?? 0
}

/** Tells of those who must come back and still are to. @returns how many events went out */
export async function announceReconciled(db: Db, run: Reconciliation): Promise<number> {
  const rows = await db.run(
    'announce_reconciled',
    (sql) => sql`
      with due as (
        update reconciled_accounts d set announced_at = now() from accounts a
        where d.reconciliation_id = ${run.id} and d.outcome = 'must_come_back' and d.marked_at is not null and d.announced_at is null
          and d.reason <> 'refresh_token_expired' -- the service tells of those by itself, as every day
          and a.id = d.account_id and a.status = 'reauthorization_required'
        returning a.id, a.owner_id, a.status_reason
      )
      insert into events (type, account_id, data)
      select 'account.reauthorization_required', id, jsonb_build_object('account_id', id, 'owner_id', owner_id, 'reason', status_reason) from due
      returning 1`,
  )
  return rows.length
}

export async function endReconciliation(db: Db, run: Reconciliation, actor: string): Promise<void> {
  await db.run(
    'end_reconciliation',
    (sql) => sql`
      with ended as (
        update reconciliations set ended_at = now() where id = ${run.id} and ended_at is null returning id
      ), settled as (
        -- Each of them is judged: they are no reason for the brake to hold.
        delete from refusals r using reconciled_accounts d, ended e
        where r.endpoint = 'token' and d.reconciliation_id = e.id and r.account_id = d.account_id and r.generation = d.generation
      )
      insert into audit_log (actor, action, object, detail)
      select ${actor}, 'accounts_reconciled', id, (select count(*) from reconciled_accounts where reconciliation_id = id)::text from ended`,
  )
}

export type Reconciled = Row<typeof reconciledAccounts, 'accountId' | 'outcome' | 'reason' | 'announcedAt'> &
  Row<typeof accounts, 'ownerId'> &
  OuterRow<typeof tokenSets, 'lastReadAt'>

/** Those that are not fine, the last read first; in pages. */
export async function listReconciled(db: Db, run: Reconciliation, after: number, limit: number): Promise<Reconciled[]> {
  return db.run(
    'list_reconciled_accounts',
    (sql) => sql<Reconciled[]>`
      select d.account_id, a.owner_id, d.outcome, d.reason, d.announced_at, t.last_read_at
      from reconciled_accounts d join accounts a on a.id = d.account_id left join token_sets t on t.account_id = d.account_id
      where d.reconciliation_id = ${run.id} and d.outcome <> 'fine' order by t.last_read_at desc nulls last, d.account_id offset ${after} limit ${limit}`,
  )
}

export async function countReconciled(
  db: Db,
  run: Reconciliation,
): Promise<{ outcome: ReconciledOutcome; reason: string | null; count: number }[]> {
  return db.run(
    'count_reconciled_accounts',
    (sql) => sql<{ outcome: ReconciledOutcome; reason: string | null; count: number }[]>`
      select outcome, reason, count(*)::int as count from reconciled_accounts where reconciliation_id = ${run.id} group by 1, 2 order by 1, 3 desc, 2`,
  )
}
