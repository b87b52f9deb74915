// How an account is doing, in a verdict and reasons, and who can mend each.
import { z } from 'zod'
import type { AccountRow, TroubleRow } from '../db/accounts.ts'
import { MendedBy } from '../failures.ts'

export const verdicts = ['healthy', 'expiring', 'degraded', 'reauthorization_required', 'disconnected'] as const

export const AccountHealth = z
  .object({
    verdict: z.enum(verdicts),
    reasons: z.array(z.object({ code: z.string(), mended_by: MendedBy })),
    reauthorize_by: z.iso.datetime().nullable().describe("The refresh token's end: before it the person has to connect again"),
    checked_at: z.iso
      .datetime()
      .describe(
        "When this was judged: by the database's clock, at this read, from what is recorded. When TikTok was last heard is `refreshed_at` of the token and `fetched_at` of the profile; `verify` asks it now",
      ),
  })
  .meta({
    id: 'AccountHealth',
    examples: [
      { verdict: 'healthy', reasons: [], reauthorize_by: '2027-05-21T12:00:00.000Z', checked_at: '2026-11-22T12:00:00.000Z' },
    ],
  })
export type AccountHealth = z.infer<typeof AccountHealth>

/** When people are told, in days before the end: a month ahead they can be asked kindly, a day ahead they have to be. */
export const warningDays = [30, 7, 1] as const

type Reason = AccountHealth['reasons'][number]

/** What may keep refreshes from working. */
export const troubleCodes = [
  'tiktok_unavailable',
  'client_refused',
  'refresh_token_rejected',
  'credential_unreadable',
  'foreign_open_id',
] as const

export interface Trouble extends Reason {
  code: (typeof troubleCodes)[number]
}

/** Judged by the database's clock as it stood when the row was read. The worst reason first. */
export function healthOf(row: AccountRow, missingScopes: readonly string[]): AccountHealth {
  const active = row.status === 'active'
  const troubles = active ? troublesOf(row) : []
  const end = active ? endOf(row) : undefined
  const reasons: Reason[] = active ? [] : [{ code: row.statusReason ?? row.status, mended_by: 'user' }]
  reasons.push(...troubles)
  if (end) reasons.push(end)
  if (active && missingScopes.length > 0) reasons.push({ code: 'scope_not_granted', mended_by: 'user' })
  return {
    verdict: row.status !== 'active' ? row.status : troubles.length > 0 ? 'degraded' : end ? 'expiring' : 'healthy',
    reasons,
    reauthorize_by: row.status === 'disconnected' ? null : (row.refreshExpiresAt?.toISOString() ?? null),
    checked_at: row.readAt.toISOString(),
  }
}

/** What keeps refreshes from working just now; a token that is still live is served all the same. */
export function troublesOf(row: TroubleRow): Trouble[] {
  const troubles: Trouble[] = []
  if (row.clientRefused) troubles.push(clientRefused)
  if (row.rejected)
    troubles.push({ code: 'refresh_token_rejected', mended_by: 'time' }) // in its grace: not believed yet
  else if ((row.failures ?? 0) > 0)
    troubles.push(operatorTroubles[row.failureCode ?? ''] ?? { code: 'tiktok_unavailable', mended_by: 'time' })
  else if (row.dry && !row.clientRefused) troubles.push({ code: 'tiktok_unavailable', mended_by: 'time' })
  return troubles.filter(({ code }, index) => troubles.findIndex((other) => other.code === code) === index)
}

function endOf({ refreshExpiresAt, readAt }: AccountRow): Reason | undefined {
  if (refreshExpiresAt === null) return undefined
  const daysLeft = (refreshExpiresAt.getTime() - readAt.getTime()) / 86_400_000
  if (daysLeft > warningDays[0]) return undefined
  return { code: daysLeft > 0 ? 'refresh_token_expires' : 'refresh_token_expired', mended_by: 'user' }
}

const clientRefused: Trouble = { code: 'client_refused', mended_by: 'operator' }

/** By the code of the last failed refresh; every other one is TikTok being away, and time mends it. */
const operatorTroubles: Record<string, Trouble> = {
  credential_unreadable: { code: 'credential_unreadable', mended_by: 'operator' },
  foreign_open_id: { code: 'foreign_open_id', mended_by: 'operator' },
  invalid_client: clientRefused,
  unauthorized_client: clientRefused,
  invalid_request: clientRefused,
  invalid_scope: clientRefused,
  unsupported_grant_type: clientRefused,
  unsupported_response_type: clientRefused,
}
