// The statements of upload slots. What has to lock before it looks is a function of the database: functions/reserve_upload.sql says why
// nothing is oversold. Every time is the database's.
import { type TroubleRow, troubleColumns } from './accounts.ts'
import type { Db, StatementOptions } from './client.ts'
import type { AccountStatus, UploadStatus } from './codes.ts'
import type { accounts, OuterRow, Row, tokenSets, uploads } from './schema.ts'
import { snakeCased } from './wire-types.ts'

export interface QuotaRow {
  used: number
  reserved: number
  remaining: number
  /** when as many slots as were asked for are free; null: never */
  freeAt: Date | null
  /** TikTok's own refusal, while it is believed */
  closedBy: string | null
}

export type UploadRow = Row<
  typeof uploads,
  'id' | 'reservedAt' | 'expiresAt' | 'committedAt' | 'late' | 'publishId' | 'releasedAt' | 'tiktokError'
>

/** What became of a change, the upload as it then stands (null: there is none), and the window. */
export interface Decided<Outcome> extends QuotaRow {
  outcome: Outcome
  upload: UploadRow | null
  /** the database's clock when it was decided; null when there was nothing to decide on */
  judgedAt: Date | null
}

/** Who asks: the key for the timeline, its name for what outlives a change of the key. */
export interface Actor {
  keyId: string
  name: string
  requestId: string
}

export type NoAccount = 'account_not_found' | 'account_disconnected'
export type ReserveOutcome =
  | NoAccount
  | 'reserved'
  | 'repeated'
  | 'key_reused'
  | 'exhausted'
  | 'reauthorization_required'
  | 'token_refused'
export type CommitOutcome = NoAccount | 'committed' | 'repeated' | 'released' | 'publish_id_differs' | 'upload_not_found'
export type ReleaseOutcome = NoAccount | 'released' | 'repeated' | 'committed' | 'upload_not_found'

/** How long a refusal of TikTok's closes a person's uploads: doubled with every one in a row, up to the last wait. */
export interface Closure {
  firstWaitSeconds: number
  lastWaitSeconds: number
  /** not before the oldest upload we know of has left the window */
  untilWindowMoves: boolean
}

const quota = `q.used, q.reserved, q.remaining, q.free_at, q.closed_by`

const decided = `d.outcome, d.judged_at, d.used, d.reserved, d.remaining, d.free_at, d.closed_by, d.id,
  d.reserved_at, d.expires_at, d.committed_at, d.late, d.publish_id,
  d.released_at, d.tiktok_error`

/** The windows of several accounts as they stand now; an account that never reserved anything has an empty one. */
export async function findQuotas(
  db: Db,
  accountIds: readonly string[],
  limit: number,
): Promise<(QuotaRow & { accountId: string; status: AccountStatus })[]> {
  return db.run(
    'find_quotas',
    (sql) => sql<(QuotaRow & { accountId: string; status: AccountStatus })[]>`
      select a.id as account_id, a.status, ${sql.unsafe(quota)}
      from accounts a cross join lateral quota_at(tiktok_user_of(a.open_id), ${limit}, now(), now(), 1) q
      where a.id = any(${[...accountIds]})`,
  )
}

/** When one slot more than now will be free, of the accounts that have some and not all of theirs. */
export async function findNextSlots(
  db: Db,
  accountIds: readonly string[],
  limit: number,
): Promise<{ accountId: string; freeAt: Date }[]> {
  return db.run(
    'find_next_slots',
    (sql) => sql<{ accountId: string; freeAt: Date }[]>`
      select a.id as account_id, later.free_at
      from accounts a cross join lateral quota_at(tiktok_user_of(a.open_id), ${limit}, now(), now(), 1) q
        cross join lateral quota_at(tiktok_user_of(a.open_id), ${limit}, now(), now(), q.remaining + 1) later
      where a.id = any(${[...accountIds]}) and q.remaining between 1 and ${limit} - 1 and later.free_at is not null`,
  )
}

export type Reservation = Row<typeof uploads, 'accountId' | 'idempotencyKey' | 'ttlSeconds'> & {
  /** the id that a new reservation gets */
  uploadId: string
  limit: number
  actor: Pick<Actor, 'keyId' | 'name'>
}

/** Takes one slot; with whatever else is reserved at the same moment, in one statement. */
export function reserveUpload(db: Db, reservation: Reservation): Promise<Decided<ReserveOutcome>> {
  return db.batched(reserveUploads, reservation)
}

/**
 * Takes slots, in the order of the list for each account. The same caller, key and time to live find the reservation they made. The locks are taken in
 * one order, whoever asks, so two of these never wait for each other in a circle.
 *
 * @returns what became of each, in the order of the list
 */
export async function reserveUploads(
  db: Db,
  reservations: Reservation[],
  options: StatementOptions = {},
): Promise<Decided<ReserveOutcome>[]> {
  const rows = await db.run(
    'reserve_uploads',
    (sql) => sql<(Flat<ReserveOutcome> & { place: number })[]>`
      select w.place::int as place, ${sql.unsafe(decided)}
      from (
        select w.* from unnest(${reservations.map((r) => r.accountId)}::text[], ${reservations.map((r) => r.uploadId)}::text[],
          ${reservations.map((r) => r.idempotencyKey)}::text[], ${reservations.map((r) => String(r.ttlSeconds))}::text[],
          ${reservations.map((r) => String(r.limit))}::text[], ${reservations.map((r) => r.actor.keyId)}::text[],
          ${reservations.map((r) => r.actor.name)}::text[])
          with ordinality as w (account_id, upload_id, key, ttl_seconds, upload_limit, key_id, caller, place)
        order by (select hashtext(a.open_id) from accounts a where a.id = w.account_id), w.place
      ) w cross join lateral reserve_upload(p_account => w.account_id, p_upload => w.upload_id, p_key => w.key,
        p_ttl_seconds => w.ttl_seconds::int, p_limit => w.upload_limit::int, p_actor => w.key_id, p_caller => w.caller) d`,
    options,
  )
  const answers: Decided<ReserveOutcome>[] = []
  for (const row of rows) answers[row.place - 1] = toDecided(row)
  return answers
}

/** An account's uploads as they stand now, newest first. Ids sort by time. */
export async function findUploads(
  db: Db,
  filter: {
    accountId: string
    uploadId: string | null
    statuses: readonly UploadStatus[] | null
    before: string | null
    limit: number
  },
): Promise<(UploadRow & { status: UploadStatus })[]> {
  const { accountId, uploadId, before, limit } = filter
  const statuses = filter.statuses === null ? null : [...filter.statuses]
  return db.run(
    'find_uploads',
    (sql) => sql<(UploadRow & { status: UploadStatus })[]>`
      select u.* from (
        select id, reserved_at, expires_at, committed_at, late, publish_id, released_at, tiktok_error,
          case when committed_at is not null then 'committed' when released_at is not null then 'released'
            when expires_at <= now() then 'expired' else 'reserved' end as status
        from uploads where account_id = ${accountId}
          and (${uploadId}::text is null or id = ${uploadId}) and (${before}::text is null or id < ${before})
      ) u where ${statuses}::text[] is null or u.status = any(${statuses}::text[])
      order by u.id desc limit ${limit}`,
  )
}

/** The video is at TikTok: its slot stays taken for 24 hours from now. */
export async function commitUpload(
  db: Db,
  c: { accountId: string; uploadId: string; publishId: string | null; limit: number; actor: Actor },
): Promise<Decided<CommitOutcome>> {
  const rows = await db.run(
    'commit_upload',
    (sql) => sql<Flat<CommitOutcome>[]>`
      select ${sql.unsafe(decided)}
      from commit_upload(p_account => ${c.accountId}, p_upload => ${c.uploadId}, p_publish_id => ${c.publishId}, p_limit => ${c.limit},
        p_actor => ${c.actor.keyId}, p_request => ${c.actor.requestId}) d`,
  )
  return only(rows)
}

/** @param r.closure null: the error says nothing about the next upload */
export async function releaseUpload(
  db: Db,
  r: {
    accountId: string
    uploadId: string
    tiktokError: string | null
    closure: Closure | null
    limit: number
    actor: Actor
  },
): Promise<Decided<ReleaseOutcome>> {
  const { accountId, uploadId, tiktokError, closure, limit: uploadLimit, actor } = r
  const release = { accountId, uploadId, tiktokError, ...closure, uploadLimit, actor: actor.keyId, requestId: actor.requestId }
  const rows = await db.run(
    'release_upload',
    (sql) => sql<Flat<ReleaseOutcome>[]>`
      select ${sql.unsafe(decided)}
      from release_upload(${sql.json(snakeCased(release))}) d`,
  )
  return only(rows)
}

/**
 * A draft frees its share once, however often its person posts it: the first notice of it keeps the draft's hash. One that was posted
 * before TikTok refused was free by then, and TikTok refused all the same.
 *
 * @param post.at in whole seconds, as TikTok states it
 * @returns false when nothing was closed for this reason, or the post is no reason to open it
 */
export async function reopenUploads(
  db: Db,
  closedBy: string,
  post: { openId: string; bodyHash: string; draftHash: string; at: Date },
): Promise<boolean> {
  const rows = await db.run(
    'reopen_uploads',
    (sql) => sql`
      with freed as (
        update notices set draft_hash = ${post.draftHash} where body_hash = ${post.bodyHash}
          and not exists (select from notices where draft_hash = ${post.draftHash})
        returning 1
      )
      update upload_gates set closed_until = now(), refusals = 0, exhausted_until = null
      where tiktok_user = tiktok_user_of(${post.openId}) and closed_by = ${closedBy} and closed_until > now()
        and refused_at < ${post.at}::timestamptz + interval '1 second' and exists (select from freed)
      returning 1`,
  )
  return rows.length > 0
}

/** An account as seen by somebody who wants to upload at a moment, now or ahead. */
export type Outlook = QuotaRow &
  TroubleRow &
  Row<typeof accounts, 'status' | 'statusReason' | 'scopes'> &
  OuterRow<typeof tokenSets, 'accessExpiresAt' | 'refreshExpiresAt'> & {
    /** no refresh is tried before it, for the account's own sake or because TikTok is left alone by everybody */
    nextRefreshAt: Date | null
    /** the moment asked about, or now if that is later */
    at: Date
    isNow: boolean
    /** when as many slots as were asked for are free; null: never. `freeAt` is about one */
    allFreeAt: Date | null
  }

/** @returns undefined when there is no such account */
export async function findOutlook(
  db: Db,
  look: { accountId: string; at: Date | null; count: number; limit: number },
): Promise<Outlook | undefined> {
  const rows = await db.run(
    'find_outlook',
    (sql) => sql<Outlook[]>`
      select a.status, a.status_reason, a.scopes, t.access_expires_at, t.refresh_expires_at,
        greatest(t.next_attempt_at, (select max(open_until) from circuit_breakers where name in ('token', 'token_refused') and failures > 0)) as next_refresh_at,
        ${sql.unsafe(troubleColumns)}, moment.at, moment.at <= now() as is_now, ${sql.unsafe(quota)}, wanted.free_at as all_free_at
      from accounts a cross join (select greatest(${look.at}::timestamptz, now()) as at) moment
        cross join lateral quota_at(tiktok_user_of(a.open_id), ${look.limit}, now(), moment.at, 1) q
        cross join lateral quota_at(tiktok_user_of(a.open_id), ${look.limit}, now(), moment.at, ${look.count}) wanted
        left join token_sets t on t.account_id = a.id
      where a.id = ${look.accountId}`,
  )
  return rows[0]
}

/** Forgets reservations whose hold ended so long ago, and with them their idempotency keys. @returns how many, at most `limit` */
export async function purgeUploads(db: Db, keptDays: number, limit: number): Promise<number> {
  const rows = await db.run(
    'purge_uploads',
    (sql) => sql`
      delete from uploads where id in (
        select id from uploads
        where reserved_at < now() - make_interval(days => ${keptDays}) and held_until < now() - make_interval(days => ${keptDays})
        limit ${limit} for update skip locked
      ) returning 1`,
  )
  return rows.length
}

/** Forgets what TikTok said long ago. What a reservation holds is left for the next time: neither waits for the other. */
export async function purgeUploadGates(db: Db, keptDays: number): Promise<number> {
  const rows = await db.run(
    'purge_upload_gates',
    (sql) => sql`
      delete from upload_gates where tiktok_user in (
        select tiktok_user from upload_gates
        where greatest(closed_until, refused_at, exhausted_until) < now() - make_interval(days => ${keptDays})
        for update skip locked
      ) returning 1`,
  )
  return rows.length
}

/** One row of a change: the upload's columns beside the others, all null when there is none. */
type Flat<Outcome> = Omit<Decided<Outcome>, 'upload'> & (UploadRow | { [Column in keyof UploadRow]: null })

function only<Outcome>(rows: Flat<Outcome>[]): Decided<Outcome> {
  const [row] = rows
  if (!row) throw new Error('A change of an upload answers with one row')
  return toDecided(row)
}

function toDecided<Outcome>(row: Flat<Outcome>): Decided<Outcome> {
  return { ...row, upload: row.id === null ? null : row }
}
