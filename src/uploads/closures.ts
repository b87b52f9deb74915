// What TikTok's refusal of an upload means for the next one: which codes close the account, for how long, and who can fix it.
import type { Db } from '../db/client.ts'
import { type Closure, reopenUploads } from '../db/uploads.ts'
import type { MendedBy } from '../failures.ts'
import { digest } from '../vault/digest.ts'

const hour = 3600
const day = 24 * hour

const tooManyPending = 'spam_risk_too_many_pending_share'

/**
 * Refusals by TikTok that also apply to the next upload, and how long we believe them. TikTok does not tell what is left, and other
 * tools' uploads are invisible (docs/tiktok.md §7), so we wait until our own oldest upload leaves the 24-hour window. Never less
 * than an hour, doubled by each further refusal.
 */
export const closures: ReadonlyMap<string, Closure & { mendedBy: MendedBy }> = new Map([
  ['spam_risk_too_many_posts', { firstWaitSeconds: hour, lastWaitSeconds: day, untilWindowMoves: true, mendedBy: 'time' }],
  // As above, but posting a draft frees a share at once (`reopenAfterPost`).
  [tooManyPending, { firstWaitSeconds: hour, lastWaitSeconds: day, untilWindowMoves: true, mendedBy: 'time' }],
  // Nobody tells us when a ban ends: one upload finds out after a day, the next after two, up to a week.
  [
    'spam_risk_user_banned_from_posting',
    { firstWaitSeconds: day, lastWaitSeconds: 7 * day, untilWindowMoves: false, mendedBy: 'user' },
  ],
  // A cap on people per day for the whole app; our own uploads of this person say nothing about it.
  ['reached_active_user_cap', { firstWaitSeconds: hour, lastWaitSeconds: day, untilWindowMoves: false, mendedBy: 'operator' }],
])

export const closingErrors = [...closures.keys()] as [string, ...string[]]

/** @returns null without an error, or when the error is about this video only */
export function closureOf(tiktokError: string | undefined): Closure | null {
  return (tiktokError === undefined ? undefined : closures.get(tiktokError)) ?? null
}

/** Who can fix a closure, by the error code that caused it. */
export function menderOf(closedBy: string | null): MendedBy {
  return (closedBy === null ? undefined : closures.get(closedBy)?.mendedBy) ?? 'time'
}

/**
 * The person posted a draft (TikTok's notice `post.publish.complete`), so one share is no longer pending.
 *
 * @param post.bodyHash the notice's
 * @returns whether that opened an account that was closed for its pending shares
 */
export function reopenAfterPost(
  { db }: { db: Db },
  { publishId, ...post }: { openId: string; publishId: string; bodyHash: string; at: Date },
): Promise<boolean> {
  return reopenUploads(db, tooManyPending, { ...post, draftHash: digest(`${post.openId} ${publishId}`) })
}
