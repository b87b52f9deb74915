// Upload slots of one TikTok account in rolling 24 hours, as the outside sees them.
import { z } from 'zod'
import { findQuotas, type QuotaRow } from '../db/uploads.ts'
import type { Parts } from '../parts.ts'

export const UploadQuota = z
  .object({
    limit: z.int(),
    used: z.int().describe('Committed in the last 24 hours'),
    reserved: z.int(),
    remaining: z.int(),
    window_seconds: z.int(),
    next_slot_at: z.iso.datetime().nullable().describe('When the next slot is free; null while one is'),
    closed_by: z.string().optional().describe("Only while TikTok's own refusal overrides our count: its error code"),
  })
  .meta({
    id: 'UploadQuota',
    examples: [{ limit: 20, used: 3, reserved: 1, remaining: 16, window_seconds: 86_400, next_slot_at: null }],
  })
export type UploadQuota = z.infer<typeof UploadQuota>

const windowSeconds = 86_400

/** The quotas of several accounts in one statement; unknown ids are left out, a disconnected account has no slots. */
export async function quotasOf({ db, config }: Parts, accountIds: string[]): Promise<Map<string, UploadQuota>> {
  if (accountIds.length === 0) return new Map()
  const limit = config.uploadLimitPerDay
  const rows = await findQuotas(db, accountIds, limit)
  return new Map(rows.map((row) => [row.accountId, toQuota(row, limit)]))
}

function toQuota(row: QuotaRow, limit: number): UploadQuota {
  return {
    limit,
    used: row.used,
    reserved: row.reserved,
    remaining: row.remaining,
    window_seconds: windowSeconds,
    next_slot_at: row.remaining > 0 ? null : (row.freeAt?.toISOString() ?? null),
    ...(row.closedBy === null ? {} : { closed_by: row.closedBy }),
  }
}
