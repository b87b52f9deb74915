// The statements of TikTok's notices: kept before they are answered, claimed, settled once, forgotten after a month. What is
// kept is the body as it was signed, until nobody needs it any more.
import type { Db } from './client.ts'
import type { accounts, notices, Row, tokenSets } from './schema.ts'
import { refusedColumn } from './token-sets.ts'

export type NewNotice = Row<typeof notices, 'bodyHash' | 'event' | 'openId' | 'saidAt'> & { body: Buffer }

/** @returns false for a replay */
export async function storeNotice(db: Db, notice: NewNotice): Promise<boolean> {
  const { bodyHash, event, openId, saidAt, body } = notice
  const rows = await db.run(
    'store_notice',
    (sql) => sql`
      insert into notices (body_hash, event, open_id, said_at, body) values (${bodyHash}, ${event}, ${openId}, ${saidAt}, ${body})
      on conflict (body_hash) do nothing returning 1`,
  )
  return rows.length > 0
}

/** The clock that decides what is too old, for a process whose own clock may be wrong (F29). */
export async function databaseSeconds(db: Db): Promise<number> {
  const rows = await db.run('database_clock', (sql) => sql<{ at: Date }[]>`select now() as at`)
  return (rows[0]?.at.getTime() ?? Number.NaN) / 1000
}

export type ClaimedNotice = Row<typeof notices, 'bodyHash' | 'saidAt' | 'attempts'> & { body: Buffer }

/** Takes notices for one try each; one that cannot be settled comes back after 15 seconds, then later and later up to an hour. */
export async function claimNotices(db: Db, limit: number): Promise<ClaimedNotice[]> {
  return db.run(
    'claim_notices',
    (sql) => sql<ClaimedNotice[]>`
      with due as (
        select body_hash from notices where settled_at is null and next_attempt_at <= now()
        order by next_attempt_at limit ${limit} for update skip locked
      )
      update notices n set attempts = n.attempts + 1,
        next_attempt_at = now() + least(interval '1 hour', interval '15 seconds' * power(2, least(n.attempts, 10)))
      from due d where n.body_hash = d.body_hash
      returning n.body_hash, n.said_at, n.body, n.attempts`,
  )
}

/** The live account a notice is about, and what tells whether the notice is about its present grant. */
export type PresentGrant = Row<typeof tokenSets, 'accountId' | 'generation' | 'sealedAccessToken'> &
  Row<typeof accounts, 'authorizedAt' | 'scopes'> & {
    /** the account's first grant: there is no earlier one that a notice could be about */
    isFirst: boolean
    accessExpired: boolean
  }

export async function findPresentGrant(db: Db, openId: string): Promise<PresentGrant | undefined> {
  const rows = await db.run(
    'find_present_grant',
    (sql) => sql<PresentGrant[]>`
      select a.id as account_id, t.generation, a.authorized_at, a.authorized_at = a.connected_at as is_first,
        t.access_expires_at <= now() or ${sql.unsafe(refusedColumn)} as access_expired, t.sealed_access_token, a.scopes
      from accounts a join token_sets t on t.account_id = a.id
      where a.open_id = ${openId} and a.status <> 'disconnected'`,
  )
  return rows[0]
}

export type Settlement = Row<typeof notices, 'accountId'> & {
  outcome: string
  /** shown in the account's timeline */
  told: boolean
  /** nobody here understood it: ops may want to read it */
  kept: boolean
}

/** Once: a second settling changes nothing. The person's id and the body go, unless the body is kept for ops. */
export async function settleNotice(db: Db, bodyHash: string, { outcome, accountId, told, kept }: Settlement): Promise<void> {
  await db.run(
    'settle_notice',
    (sql) => sql`
      with settled as (
        update notices set settled_at = now(), outcome = ${outcome}, account_id = ${accountId},
          open_id = case when ${kept} then open_id end, body = case when ${kept} then body end
        where body_hash = ${bodyHash} and settled_at is null
        returning account_id, event
      )
      insert into timeline (account_id, kind, code, actor)
      select account_id, 'tiktok_notice', event, 'tiktok' from settled where ${told} and account_id is not null`,
  )
}

export type NoticeRow = Omit<Row<typeof notices>, 'openId' | 'nextAttemptAt'>

/** The newest first. `which`: not settled yet; those whose body was kept because nobody here understood them; all. */
export async function listNotices(db: Db, which: 'unsettled' | 'kept' | 'all', limit: number): Promise<NoticeRow[]> {
  return db.run(
    'list_notices',
    (sql) => sql<NoticeRow[]>`
      select body_hash, event, said_at, received_at, settled_at, outcome,
        account_id, attempts, body
      from notices
      where case ${which}::text when 'unsettled' then settled_at is null when 'kept' then settled_at is not null and body is not null else true end
      order by received_at desc limit ${limit}`,
  )
}

/** Settled or not: after a month TikTok has long stopped repeating it, and its signature is refused as too old. */
export async function purgeNotices(db: Db, keptDays: number, limit: number): Promise<number> {
  const rows = await db.run(
    'purge_notices',
    (sql) => sql`
      delete from notices where body_hash in (
        select body_hash from notices where received_at < now() - make_interval(days => ${keptDays}) order by received_at limit ${limit}
      ) returning 1`,
  )
  return rows.length
}
