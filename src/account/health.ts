// How an account is doing: a verdict, the reasons, who can fix each, and a warning before its grant expires.
import { z } from 'zod'
import type { AccountRow, TroubleRow } from '../db/accounts.ts'
import type { Db } from '../db/client.ts'
import { statusReasons } from '../db/codes.ts'
import { announceExpiring } from '../db/expiring.ts'
import { MendedBy } from '../failures.ts'
import { growingList } from '../growing-list.ts'
import type { Log } from '../telemetry.ts'

export const verdicts = ['healthy', 'expiring', 'degraded', 'reauthorization_required', 'disconnected'] as const

/** What can keep refreshes from working. */
export const troubleCodes = [
  'tiktok_unavailable',
  'client_refused',
  'refresh_token_rejected',
  'credential_unreadable',
  'foreign_open_id',
] as const

const reasonCodes = [
  ...new Set([...troubleCodes, ...statusReasons, 'refresh_token_expires', 'refresh_token_expired', 'scope_not_granted'] as const),
] as [string, ...string[]]

export const AccountHealth = z
  .object({
    verdict: z.enum(verdicts).describe('In one word'),
    reasons: z
      .array(
        z
          .object({ code: growingList(reasonCodes, 'What it is'), mended_by: MendedBy })
          .meta({ id: 'HealthReason', description: 'A reason, and who can mend it' }),
      )
      .describe('Why, the worst first'),
    reauthorize_by: z.iso
      .datetime()
      .nullable()
      .describe('When the refresh token expires: the person has to connect again before that'),
    checked_at: z.iso
      .datetime()
      .describe(
        "The time of this read, by the database's clock; the verdict is made from what is recorded. `refreshed_at` of the token and `fetched_at` of the profile say when TikTok was last asked; `verify` asks it now",
      ),
  })
  .meta({
    id: 'AccountHealth',
    description: 'How an account is doing, and why',
    examples: [
      { verdict: 'healthy', reasons: [], reauthorize_by: '2027-05-21T12:00:00.000Z', checked_at: '2026-11-22T12:00:00.000Z' },
    ],
  })
export type AccountHealth = z.infer<typeof AccountHealth>

/** Days before the end on which people are warned. */
export const warningDays = [30, 7, 1] as const

type Reason = AccountHealth['reasons'][number]

export interface Trouble extends Reason {
  code: (typeof troubleCodes)[number]
}

/** Judged by the database's clock at the time of the read. The worst reason comes first. */
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

/** What keeps refreshes from working now. A token that is still valid is handed out all the same. */
export function troublesOf(row: TroubleRow): Trouble[] {
  const troubles: Trouble[] = []
  if (row.clientRefused) troubles.push(clientRefused)
  if (row.rejected)
    troubles.push({ code: 'refresh_token_rejected', mended_by: 'time' }) // within the grace time: not believed yet
  else if ((row.failures ?? 0) > 0)
    troubles.push(operatorTroubles[row.failureCode ?? ''] ?? { code: 'tiktok_unavailable', mended_by: 'time' })
  else if ((row.dry || row.refused) && !row.clientRefused) troubles.push({ code: 'tiktok_unavailable', mended_by: 'time' })
  return troubles.filter(({ code }, index) => troubles.findIndex((other) => other.code === code) === index)
}

function endOf({ refreshExpiresAt, readAt }: AccountRow): Reason | undefined {
  if (refreshExpiresAt === null) return undefined
  const daysLeft = (refreshExpiresAt.getTime() - readAt.getTime()) / 86_400_000
  if (daysLeft > warningDays[0]) return undefined
  return { code: daysLeft > 0 ? 'refresh_token_expires' : 'refresh_token_expired', mended_by: 'user' }
}

const clientRefused: Trouble = { code: 'client_refused', mended_by: 'operator' }

/** By the code of the last failed refresh. Every other code means that TikTok is away, which time fixes. */
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

/** At once: no statement should lock many accounts when many expire on the same day. */
const batch = 500

/** Warns people ahead of time that they have to connect again; a round of the background. @returns how many were warned */
export async function warnExpiring({ db, log, stopping }: { db: Db; log: Log; stopping: AbortSignal }): Promise<number> {
  for (let count = 0; ; ) {
    const warned = await announceExpiring(db, warningDays, batch)
    for (const { accountId, warningDays: days } of warned) log.info('account expiry was announced', { accountId, count: days })
    count += warned.length
    if (warned.length < batch || stopping.aborted) return count
  }
}
