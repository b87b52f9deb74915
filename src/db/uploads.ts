// The statements of upload slots. What has to lock before it looks is a function of the database (drizzle/0003, which also
// says why nothing is oversold); every time is the database's.
import type { Db } from './client.ts'

export interface QuotaRow {
  used: number
  reserved: number
  remaining: number
  /** when as many slots as were asked for are free; null: never */
  freeAt: Date | null
  /** TikTok's own refusal, while it is believed */
  closedUntil: Date | null
  closedBy: string | null
}

/** The windows of several accounts as they stand now; an account that never reserved anything has an empty one. */
export async function findQuotas(
  db: Db,
  accountIds: readonly string[],
  limit: number,
): Promise<(QuotaRow & { accountId: string })[]> {
  return db.run(
    'find_quotas',
    (sql) => sql<(QuotaRow & { accountId: string })[]>`
      select a.id as "accountId", q.used, q.reserved, q.remaining, q.free_at as "freeAt", q.closed_until as "closedUntil", q.closed_by as "closedBy"
      from accounts a cross join lateral quota_at(tiktok_user_of(a.open_id), ${limit}, now(), now(), 1) q
      where a.id = any(${sql.array([...accountIds])})`,
  )
}
