// What TikTok's own refusals of an upload mean for the next one: which of them close the account, for how long, and who can mend that.
import type { Db } from '../db/client.ts'
import { type Closure, reopenUploads } from '../db/uploads.ts'
import type { MendedBy } from '../failures.ts'

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
  // The same, until the person posts a draft: that frees a share at once (`reopenAfterPost`).
  [tooManyPending, { firstWaitSeconds: hour, lastWaitSeconds: day, untilWindowMoves: true, mendedBy: 'time' }],
  // "Do not retry": nobody tells us when a ban ends, so one upload a day finds out, then one every two, up to a week.
  [
    'spam_risk_user_banned_from_posting',
    { firstWaitSeconds: day, lastWaitSeconds: 7 * day, untilWindowMoves: false, mendedBy: 'user' },
  ],
  // The app's cap on people per day, not this person's on uploads: others drop out of it at any time, our own uploads say nothing.
  ['reached_active_user_cap', { firstWaitSeconds: hour, lastWaitSeconds: day, untilWindowMoves: false, mendedBy: 'operator' }],
])

/** @returns null without an error, or when it is about this video and not about the next one */
export function closureOf(tiktokError: string | undefined): Closure | null {
  return (tiktokError === undefined ? undefined : closures.get(tiktokError)) ?? null
}

/** Who can mend a closure, by the error code that closed. */
export function menderOf(closedBy: string | null): MendedBy {
  return (closedBy === null ? undefined : closures.get(closedBy)?.mendedBy) ?? 'time'
}

/**
 * The person posted one of their drafts (TikTok's notice `post.publish.complete`): a share that was pending is not any more.
 *
 * @returns whether that opened an account that was closed for its pending shares
 */
export function reopenAfterPost({ db }: { db: Db }, openId: string): Promise<boolean> {
  return reopenUploads(db, openId, tooManyPending)
}
