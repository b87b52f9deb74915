// What a person looks like at TikTok, as far as the granted scopes tell. Never in the way of a token: every failure here
// leaves the account connected and the profile as it was.
import { postponeProfile, saveAvatar, saveProfile } from '../db/profiles.ts'
import type { Parts } from '../parts.ts'
import { digest } from '../vault/digest.ts'

export type ProfileOutcome = 'fetched' | 'token_invalid' | 'unavailable'

const daySeconds = 86_400
const retrySeconds = 900

/**
 * Asks TikTok who this is, copies the picture (TikTok's own URLs die within hours) and stores both.
 *
 * @returns 'token_invalid' when TikTok does not take the access token; 'unavailable' for everything else that went wrong
 */
export async function fetchProfile(
  parts: Parts,
  account: { accountId: string; accessToken: string; scopes: readonly string[] },
): Promise<ProfileOutcome> {
  const { db, tiktok, log } = parts
  const answer = await tiktok.userInfo(account.accessToken, account.scopes)
  if (answer.kind !== 'ok') {
    await postponeProfile(db, account.accountId, answer.kind === 'throttled' ? answer.retryAfterSeconds : retrySeconds)
    log.warn('profile was not fetched', { accountId: account.accountId, reason: answer.kind })
    return answer.kind === 'token_invalid' ? 'token_invalid' : 'unavailable'
  }
  const { displayName, username, followerCount, isVerified, avatarUrl } = answer.user
  // Up to an hour of jitter: accounts that were connected together need not be asked for together every day.
  const saved = await saveProfile(
    db,
    account.accountId,
    { displayName, username, followerCount, isVerified },
    daySeconds + Math.random() * 3600,
  )
  if (saved && avatarUrl !== null) {
    const picture = await tiktok.avatar(avatarUrl)
    if (picture.kind === 'ok') {
      await saveAvatar(db, account.accountId, {
        contentType: picture.contentType,
        etag: digest(picture.bytes),
        picture: picture.bytes,
      })
    } else {
      log.warn('avatar was not copied', { accountId: account.accountId, reason: picture.kind })
    }
  }
  return 'fetched'
}
