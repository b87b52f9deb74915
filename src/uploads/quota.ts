// How many upload slots of a TikTok account are taken in the rolling 24 hours, and when the next one is free.
import { z } from 'zod'
import type { Db } from '../db/client.ts'
import { findNextSlots, findQuotas, type NoAccount, type QuotaRow } from '../db/uploads.ts'
import { accountNotFound, ServiceError } from '../errors.ts'
import { growingList } from '../growing-list.ts'
import type { Config } from '../settings/config.ts'
import { closingErrors } from './closures.ts'

export const windowSeconds = 86_400

export const UploadQuota = z
  .object({
    limit: z.int().describe('Uploads in any 24 hours'),
    used: z.int().describe('Committed in the last 24 hours'),
    reserved: z.int().describe('Reserved and neither committed, released nor expired'),
    remaining: z.int().describe('Slots that are free now'),
    window_seconds: z.int().describe('How long a slot stays used'),
    next_slot_at: z.iso.datetime().nullable().describe('When the next slot is free; null while one is'),
    closed_by: growingList(closingErrors, "Only while TikTok's own refusal overrides our count: its error code").optional(),
  })
  .meta({
    id: 'UploadQuota',
    description: 'How many upload slots are left',
    examples: [{ limit: 20, used: 3, reserved: 1, remaining: 16, window_seconds: 86_400, next_slot_at: null }],
  })
export type UploadQuota = z.infer<typeof UploadQuota>

export interface QuotaDeps {
  db: Db
  config: Pick<Config, 'uploadLimitPerDay'>
}

/** The quotas of several accounts in one statement. Unknown ids are left out; a disconnected account has no slots. */
export async function quotasOf({ db, config }: QuotaDeps, accountIds: string[]): Promise<Map<string, UploadQuota>> {
  if (accountIds.length === 0) return new Map()
  const limit = config.uploadLimitPerDay
  const rows = await findQuotas(db, accountIds, limit)
  return new Map(rows.map((row) => [row.accountId, toQuota(row, limit)]))
}

/** For the page: when there will be one slot more than now. `next_slot_at` is null while a slot is free. */
export async function nextSlotsOf({ db, config }: QuotaDeps, accountIds: string[]): Promise<Map<string, Date>> {
  if (accountIds.length === 0) return new Map()
  const rows = await findNextSlots(db, accountIds, config.uploadLimitPerDay)
  return new Map(rows.map(({ accountId, freeAt }) => [accountId, freeAt]))
}

/** @throws ServiceError account_not_found | account_disconnected */
export async function quotaOf({ db, config }: QuotaDeps, accountId: string): Promise<UploadQuota> {
  const limit = config.uploadLimitPerDay
  const [row] = await findQuotas(db, [accountId], limit)
  if (!row) throw noAccount('account_not_found')
  if (row.status === 'disconnected') throw noAccount('account_disconnected')
  return toQuota(row, limit)
}

export function toQuota(row: QuotaRow, limit: number): UploadQuota {
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

export function noAccount(code: NoAccount): ServiceError {
  return code === 'account_not_found'
    ? accountNotFound()
    : new ServiceError(code, 'This account was disconnected; the person can connect it anew.')
}
