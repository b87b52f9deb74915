// Looks at every profile about once a day, with tokens that are live anyway, and slower than TikTok's limit allows.
import { fetchProfile, type ProfileOutcome } from '../account/profile.ts'
import { claimDueProfiles, type DueProfile, postponeProfile } from '../db/profiles.ts'
import type { Parts } from '../parts.ts'
import { refresh } from '../token/refresh.ts'
import { Bucket } from './bucket.ts'

/** TikTok takes 600 user infos a minute for the whole app, which connects and `verify` need too: half of that in one replica. */
const perSecond = 5
const idleMs = 5000
const unreadableRetrySeconds = 3600

/** @returns one round of the loop: looks at what is due, and says how long to rest */
export function createProfiler(parts: Parts, bucket: Bucket = new Bucket(perSecond, 2 * perSecond)): () => Promise<number> {
  /** A TikTok that hangs does not hold up the end of the process: nothing of a profile has to be finished. */
  const stopped = new Promise<ProfileOutcome[]>((resolve) => {
    parts.stopping.addEventListener('abort', () => resolve([]), { once: true })
  })

  return async () => {
    const room = bucket.available
    if (room < 1) return bucket.waitMs
    const { profiles, looked } = await claimDueProfiles(parts.db, room)
    bucket.take(profiles.length)
    const outcomes = await Promise.race([Promise.all(profiles.map((due) => lookAt(parts, due))), stopped])
    if (outcomes.includes('throttled')) return 60_000 // TikTok's windows are a minute wide
    return looked === room ? bucket.waitMs : idleMs
  }
}

async function lookAt(parts: Parts, due: DueProfile): Promise<ProfileOutcome> {
  const { accountId, openId, scopes, generation } = due
  try {
    const accessToken = parts.vault.open({ purpose: 'access_token', subject: accountId, generation }, due.sealedAccessToken)
    const outcome = await fetchProfile(parts, { accountId, openId, accessToken, scopes })
    // TikTok refused a token whose time is not over: a grant that was taken back without a notice. A refresh tells, today and not when an upload fails.
    if (outcome === 'token_invalid') await refresh(parts, accountId, generation)
    return outcome
  } catch (error) {
    parts.log.error('profile was not looked at', { accountId, error })
    await postponeProfile(parts.db, accountId, unreadableRetrySeconds)
    return 'unavailable'
  }
}
