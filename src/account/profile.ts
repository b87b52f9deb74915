// What a person looks like at TikTok, as far as the granted scopes tell. Never in the way of a token: every failure here
// leaves the account connected and the profile as it was.
import type { Db } from '../db/client.ts'
import { awaitPicture, pauseProfiles, postponeProfile, saveAvatar, saveProfile } from '../db/profiles.ts'
import type { Log } from '../telemetry.ts'
import type { TikTok } from '../tiktok/client.ts'
import { scopeOfField } from '../tiktok/user-info.ts'
import { digest } from '../vault/digest.ts'

export type ProfileOutcome =
  | 'fetched'
  /** TikTok does not take this access token; whether the grant lives, only a refresh can tell */
  | 'token_invalid'
  /** TikTok takes the token and not the question: nothing that asking again would change */
  | 'refused'
  /** there is nothing to ask: no user.info scope was granted */
  | 'not_granted'
  | 'throttled'
  | 'unavailable'

const daySeconds = 86_400
/** The first wait after a failure; each is as long as the failing has lasted, up to a day. */
const firstRetrySeconds = 900
/** The profile is there, only its picture is not: the question for its link is a question for the whole profile. */
const firstPictureRetrySeconds = 3600
/** TikTok's windows are a minute wide, and the app's: nobody in the background asks within it. */
const throttledSeconds = 60

export interface Holder {
  accountId: string
  openId: string
  accessToken: string
  scopes: readonly string[]
}

export interface ProfileDeps {
  db: Db
  tiktok: Pick<TikTok, 'userInfo' | 'avatar'>
  log: Log
}

/**
 * Asks TikTok who this is, copies the picture (TikTok's own URLs die within hours) and stores both. A picture that is here and younger
 * than a day is not fetched again.
 */
export async function fetchProfile(deps: ProfileDeps, holder: Holder): Promise<ProfileOutcome> {
  const { db, tiktok, log } = deps
  const { accountId } = holder
  const about = { accountId }
  // Up to an hour of jitter: accounts that were connected together need not be asked for together every day.
  const nextInSeconds = daySeconds + Math.random() * 3600
  const later = async (reason: string, outcome: ProfileOutcome, atLeastSeconds: number): Promise<ProfileOutcome> => {
    await postponeProfile(db, accountId, atLeastSeconds)
    log.warn('profile was not fetched', { ...about, reason })
    return outcome
  }
  if (!holder.scopes.some((scope) => Object.values<string>(scopeOfField).includes(scope))) {
    await postponeProfile(db, accountId, nextInSeconds)
    return 'not_granted'
  }

  const answer = await tiktok.userInfo(holder.accessToken, holder.scopes)
  switch (answer.kind) {
    case 'ok':
      break
    case 'token_invalid':
      // The refresh that this leads to will have its own word; a day, so that a TikTok that is wrong about it costs one refresh a day.
      return later(answer.kind, 'token_invalid', nextInSeconds)
    case 'refused':
      return later(answer.error, 'refused', nextInSeconds)
    case 'throttled':
      // A longer wait is this account's own: whether everybody is meant, the next one asked finds out.
      await pauseProfiles(db, throttledSeconds)
      return later(answer.kind, 'throttled', Math.max(firstRetrySeconds, answer.retryAfterSeconds))
    case 'unavailable':
      return later(answer.reason, 'unavailable', Math.max(firstRetrySeconds, answer.retryAfterSeconds ?? 0))
  }
  const { openId, avatarUrl, ...profile } = answer.user
  // Asked for with user.info.basic and then always told: without it this is no answer, and nothing of it replaces what we have.
  if (openId === null && holder.scopes.includes('user.info.basic')) return later('foreign_body', 'unavailable', firstRetrySeconds)
  if (openId !== null && openId !== holder.openId) {
    log.error('user info was about another TikTok account', { ...about, logId: answer.logId })
    return later('foreign_open_id', 'unavailable', nextInSeconds)
  }

  const source = avatarUrl === null ? null : sourceOf(avatarUrl)
  const saved = await saveProfile(db, accountId, profile, source, nextInSeconds)
  if (saved && avatarUrl !== null && source !== null && !saved.pictureIsFresh)
    await copyPicture(deps, accountId, avatarUrl, source)
  return 'fetched'
}

async function copyPicture({ db, tiktok, log }: ProfileDeps, accountId: string, url: string, source: string): Promise<void> {
  const answer = await tiktok.avatar(url)
  if (answer.kind === 'ok') {
    const { contentType, bytes: picture } = answer
    await saveAvatar(db, accountId, { contentType, etag: digest(picture), picture, source })
    return
  }
  log.warn('avatar was not copied', { accountId, reason: answer.kind === 'link_expired' ? answer.kind : answer.reason })
  if (answer.kind !== 'refused') await awaitPicture(db, accountId, firstPictureRetrySeconds)
}

/** The link without its signature, which is another one every time; hashed, because an address at a CDN is nobody's business. */
const sourceOf = (url: string) => digest(url.split('?', 1)[0] ?? '')
