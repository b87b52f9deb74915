// "Can this account take uploads, now or at a later time?" answered by one call and one statement. It checks what a reservation and
// a vend would check, without taking or handing out anything.
import { z } from 'zod'
import { findOutlook, type Outlook } from '../db/uploads.ts'
import { MendedBy } from '../failures.ts'
import { growingList } from '../growing-list.ts'
import { menderOf } from '../uploads/closures.ts'
import { noAccount, type QuotaDeps, toQuota, UploadQuota } from '../uploads/quota.ts'
import { type Trouble, troubleCodes, troublesOf } from './health.ts'

export const UploadReadiness = z
  .object({
    ready: z.boolean().describe('Whether nothing is in the way'),
    blockers: z
      .array(
        z
          .object({
            code: growingList(
              [
                'reauthorization_required',
                'refresh_token_expired',
                'scope_not_granted',
                'upload_quota_exhausted',
                ...troubleCodes,
              ],
              'What it is',
            ),
            mended_by: MendedBy,
            retry_at: z.iso.datetime().nullable().describe('When waiting may have fixed it; null: waiting alone does not help'),
          })
          .meta({ id: 'UploadBlocker', description: 'What is in the way of an upload, and who can mend it' }),
      )
      .describe('What is in the way; empty when ready'),
    token_valid_until: z.iso
      .datetime()
      .nullable()
      .describe('Until when access tokens are available without the person; null: there is no token, or TikTok named no end'),
    upload_quota: UploadQuota.describe(
      'As it will be at that time if nobody reserves in between; what is reserved now counts as uploaded',
    ),
  })
  .meta({
    id: 'UploadReadiness',
    description: 'Whether an upload can begin, and what is in its way',
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
 * @param question.count how many uploads are wanted
 * @param question.at when; a time in the past means now
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

/** What would stop a vend that has to refresh first, because the present token has expired by then. */
function refreshBlockers(outlook: Outlook): Blocker[] {
  const { at, accessExpiresAt, nextRefreshAt } = outlook
  if (accessExpiresAt === null || (accessExpiresAt > at && !outlook.refused)) return []
  const retryAt = nextRefreshAt !== null && nextRefreshAt > at ? nextRefreshAt.toISOString() : null
  // TikTok may be back when it is asked next; the other troubles do not end by waiting alone.
  const lasting = troublesOf(outlook).filter(({ code }) => code !== away.code)
  if (lasting.length > 0)
    return lasting.map((trouble) => ({ ...trouble, retry_at: trouble.mended_by === 'time' ? retryAt : null }))
  if (retryAt !== null) return [{ ...away, retry_at: retryAt }]
  // A refused token blocks until a refresh has brought another, which whoever reads the token sets off.
  return outlook.refused && outlook.isNow ? [{ ...away, retry_at: at.toISOString() }] : []
}

function quotaBlockers({ remaining, allFreeAt, closedBy }: Outlook, count: number): Blocker[] {
  if (remaining >= count) return []
  // More than a day's limit at once: waiting cannot help.
  const mendedBy = allFreeAt === null ? 'caller' : menderOf(closedBy)
  return [{ code: 'upload_quota_exhausted', mended_by: mendedBy, retry_at: allFreeAt?.toISOString() ?? null }]
}

/** When the refresh token expires. After an unknown outcome, when the access token does, which is still handed out (F01). */
function tokenEnd({ status, statusReason, refused, accessExpiresAt, refreshExpiresAt }: Outlook): Date | null {
  if (status === 'active') return refreshExpiresAt
  return statusReason === 'refresh_outcome_unknown' && !refused ? accessExpiresAt : null
}
