// How an account is doing, in a verdict and reasons, and who can mend each.
import { z } from 'zod'
import type { AccountRow } from '../db/accounts.ts'
import { MendedBy } from '../errors.ts'

export const verdicts = ['healthy', 'expiring', 'degraded', 'reauthorization_required', 'disconnected'] as const

export const AccountHealth = z
  .object({
    verdict: z.enum(verdicts),
    reasons: z.array(z.object({ code: z.string(), mended_by: MendedBy })),
    reauthorize_by: z.iso.datetime().nullable().describe("The refresh token's end: before it the person has to connect again"),
    checked_at: z.iso.datetime(),
  })
  .meta({
    id: 'AccountHealth',
    examples: [
      { verdict: 'healthy', reasons: [], reauthorize_by: '2027-05-21T12:00:00.000Z', checked_at: '2026-11-22T12:00:00.000Z' },
    ],
  })
export type AccountHealth = z.infer<typeof AccountHealth>

/** A month ahead people can still be asked kindly. */
const expiringDays = 30

/** Judged by the database's clock as it stood when the row was read. */
export function healthOf(row: AccountRow, missingScopes: readonly string[]): AccountHealth {
  const reasons: AccountHealth['reasons'] = []
  if (row.status !== 'active') {
    reasons.push({ code: row.statusReason ?? row.status, mended_by: 'user' })
  } else {
    if (row.rejected) reasons.push({ code: 'refresh_token_rejected', mended_by: 'time' })
    else if ((row.failures ?? 0) > 0) reasons.push({ code: 'tiktok_unavailable', mended_by: 'time' })
    if (missingScopes.length > 0) reasons.push({ code: 'scope_not_granted', mended_by: 'user' })
  }
  const daysLeft = row.refreshExpiresAt === null ? null : (row.refreshExpiresAt.getTime() - row.readAt.getTime()) / 86_400_000
  const expiring = row.status === 'active' && daysLeft !== null && daysLeft <= expiringDays
  if (expiring) reasons.push({ code: 'refresh_token_expires', mended_by: 'user' })
  const degraded = row.rejected || (row.failures ?? 0) > 0
  const verdict = row.status !== 'active' ? row.status : degraded ? 'degraded' : expiring ? 'expiring' : 'healthy'
  return {
    verdict,
    reasons,
    reauthorize_by: row.status === 'disconnected' ? null : (row.refreshExpiresAt?.toISOString() ?? null),
    checked_at: row.readAt.toISOString(),
  }
}
