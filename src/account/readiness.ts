// "Can this account take an upload, or several, now or later?" answered in one call and one statement. It asks what a reservation
// and a vend would ask, in their words, but takes and hands out nothing.
import { z } from 'zod'
import { findOutlook, type Outlook } from '../db/uploads.ts'
import { MendedBy } from '../failures.ts'
import { menderOf } from '../uploads/closures.ts'
import { noAccount, type QuotaDeps, toQuota, UploadQuota } from '../uploads/quota.ts'
import { type Trouble, troubleCodes, troublesOf } from './health.ts'

export const UploadReadiness = z
  .object({
    ready: z.boolean(),
    blockers: z.array(
      z.object({
        code: z.enum([
          'reauthorization_required',
          'refresh_token_expired',
          'scope_not_granted',
          'upload_quota_exhausted',
          ...troubleCodes,
        ]),
        mended_by: MendedBy,
        retry_at: z.iso.datetime().nullable().describe('When time may have mended it; null: time alone does not'),
      }),
    ),
    token_valid_until: z.iso
      .datetime()
      .nullable()
      .describe('Until when access tokens can be had without the person; null: there is none, or TikTok named no end'),
    upload_quota: UploadQuota.describe(
      'As it stands at that moment, if nobody reserves in between; looking ahead, what is reserved now counts as uploaded',
    ),
  })
  .meta({
    id: 'UploadReadiness',
    examples: [
      {
        ready: true,
        blockers: [],
        token_valid_until: '2027-05-21T12:00:00.000Z',
        upload_quota: { limit: 20, used: 3, reserved: 1, remaining: 16, window_seconds: 86_400, next_slot_at: null },
      },
    ],
  })
export type UploadReadiness = z.infer<typeof UploadReadiness>
type Blocker = UploadReadiness['blockers'][number]

export const uploadScope = 'video.upload'
const away: Trouble = { code: 'tiktok_unavailable', mended_by: 'time' }

/**
 * @param question.count uploads that are wanted
 * @param question.at when; a moment that has passed means now
 * @throws ServiceError account_not_found | account_disconnected
 */
export async function readinessOf(
  { db, config }: QuotaDeps,
  accountId: string,
  question: { count: number; at?: Date | undefined },
): Promise<UploadReadiness> {
  const { count, at = null } = question
  const limit = config.uploadLimitPerDay
  const outlook = await findOutlook(db, { accountId, at, count, limit })
  if (!outlook) throw noAccount('account_not_found')
  if (outlook.status === 'disconnected') throw noAccount('account_disconnected')
  const blockers = [...tokenBlockers(outlook), ...quotaBlockers(outlook, count)]
  return {
    ready: blockers.length === 0,
    blockers,
    token_valid_until: tokenEnd(outlook)?.toISOString() ?? null,
    upload_quota: toQuota(outlook, limit),
  }
}

function tokenBlockers(outlook: Outlook): Blocker[] {
  const { at, scopes } = outlook
  const blockers: Blocker[] = []
  const end = tokenEnd(outlook)
  const needsPerson = outlook.status !== 'active' && (end === null || end <= at)
  if (needsPerson) {
    blockers.push({ code: 'reauthorization_required', mended_by: 'user', retry_at: null })
  } else if (end !== null && end <= at) {
    blockers.push({ code: 'refresh_token_expired', mended_by: 'user', retry_at: null })
  } else {
    blockers.push(...refreshBlockers(outlook))
  }
  if (!scopes.includes(uploadScope)) blockers.push({ code: 'scope_not_granted', mended_by: 'user', retry_at: null })
  return blockers
}

/** What a vend would meet that has to refresh first, because the present token is over by then. */
function refreshBlockers(outlook: Outlook): Blocker[] {
  const { at, accessExpiresAt, nextRefreshAt } = outlook
  if (accessExpiresAt === null || accessExpiresAt > at) return []
  const retryAt = nextRefreshAt !== null && nextRefreshAt > at ? nextRefreshAt.toISOString() : null
  // Whether TikTok is still away when it is asked next, nobody knows; of the other troubles time alone mends none.
  const lasting = troublesOf(outlook).filter(({ code }) => code !== away.code)
  if (lasting.length > 0)
    return lasting.map((trouble) => ({ ...trouble, retry_at: trouble.mended_by === 'time' ? retryAt : null }))
  return retryAt === null ? [] : [{ ...away, retry_at: retryAt }]
}

function quotaBlockers({ remaining, allFreeAt, closedBy }: Outlook, count: number): Blocker[] {
  if (remaining >= count) return []
  // More than a day's limit at once: no waiting makes that fit.
  const mendedBy = allFreeAt === null ? 'caller' : menderOf(closedBy)
  return [{ code: 'upload_quota_exhausted', mended_by: mendedBy, retry_at: allFreeAt?.toISOString() ?? null }]
}

/** The refresh token's end; with an unknown outcome of the last refresh the present token's, which is still handed out (F01). */
function tokenEnd({ status, statusReason, accessExpiresAt, refreshExpiresAt }: Outlook): Date | null {
  if (status === 'active') return refreshExpiresAt
  return statusReason === 'refresh_outcome_unknown' ? accessExpiresAt : null
}
