// The person's profile at TikTok, as far as the granted scopes open it. It never gets in the way of a token: a failure leaves the
// account connected and the profile as it was.
import type { Db } from '../db/client.ts'
import { awaitPicture, pauseProfiles, postponeProfile, saveAvatar, saveProfile } from '../db/profiles.ts'
import { refuseAccessToken } from '../db/token-sets.ts'
import type { Log } from '../telemetry.ts'
import type { TikTok, UserInfoAnswer } from '../tiktok/client.ts'
import { scopeOfField } from '../tiktok/user-info.ts'
import { digest } from '../vault/digest.ts'

export type ProfileOutcome =
  | 'fetched'
  /** TikTok refuses this access token; only a refresh can tell whether the grant is alive */
  | 'token_invalid'
  /** TikTok accepts the token but not the question; asking again changes nothing */
  | 'refused'
  /** no user.info scope was granted, so there is nothing to ask */
  | 'not_granted'
  | 'throttled'
  | 'unavailable'

const daySeconds = 86_400
/** The first wait after a failure. Later waits are as long as the failures have lasted, up to a day. */
const firstRetrySeconds = 900
/** The profile is stored but its picture is not: a new link to it comes only with the whole profile. */
const firstPictureRetrySeconds = 3600
/** TikTok's rate limits count per minute, for the whole app: the background does not ask within that minute. */
const throttledSeconds = 60

export interface Holder {
  accountId: string
  openId: string
  /** of the access token; null: not known any more */
  generation: number | null
  accessToken: string
  scopes: readonly string[]
}

export interface ProfileDeps {
  db: Db
  tiktok: Pick<TikTok, 'userInfo' | 'avatar'>
  log: Log
  brake: { accessTokenRefused(accountId: string, generation: number): Promise<boolean>; accessTokenTaken(): Promise<void> }
}

/**
 * Asks TikTok who this is, copies the picture (TikTok's own URLs expire within hours) and stores both. A picture younger than a day
 * is not fetched again.
 */
export async function fetchProfile(
  deps: ProfileDeps,
  holder: Holder,
  asked: Promise<UserInfoAnswer> = deps.tiktok.userInfo(holder.accessToken, holder.scopes),
): Promise<ProfileOutcome> {
  const { db, log, brake } = deps
  const { accountId } = holder
  const about = { accountId }
  // Up to an hour of jitter, so that accounts that were connected together are not fetched together every day.
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

  const answer = await asked
  switch (answer.kind) {
    case 'ok':
      break
    case 'token_invalid':
      // This leads to a refresh, which tells more. A day, so that a wrong answer of TikTok's costs one refresh a day.
      if (holder.generation !== null && !(await brake.accessTokenRefused(accountId, holder.generation)))
        return later('refused_for_many', 'unavailable', firstRetrySeconds)
      if (holder.generation !== null) await refuseAccessToken(db, accountId, holder.generation, 'service')
      return later(answer.kind, 'token_invalid', nextInSeconds)
    case 'refused':
      return later(answer.error, 'refused', nextInSeconds)
    case 'throttled':
      // A longer wait is kept by this account; the next account to ask finds out whether everybody is meant.
      await pauseProfiles(db, throttledSeconds)
      return later(answer.kind, 'throttled', Math.max(firstRetrySeconds, answer.retryAfterSeconds))
    case 'unavailable':
      return later(answer.reason, 'unavailable', Math.max(firstRetrySeconds, answer.retryAfterSeconds ?? 0))
  }
  await brake.accessTokenTaken()
  const { refusedFields } = answer
  const { openId, avatarUrl, ...told } = answer.user
  // TikTok sends open_id with user.info.basic unless it refuses it. Without it the answer is not trusted, and nothing is replaced.
  if (openId === null && holder.scopes.includes('user.info.basic') && !refusedFields.includes('open_id'))
    return later('foreign_body', 'unavailable', firstRetrySeconds)
  if (openId !== null && openId !== holder.openId) {
    log.error('user info was about another TikTok account', { ...about, logId: answer.logId })
    return later('foreign_open_id', 'unavailable', nextInSeconds)
  }

  if (refusedFields.length > 0)
    log.warn('TikTok refused fields of a profile', { ...about, reason: refusedFields.join(), logId: answer.logId })
  const profile = { ...told, refusedFields }
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

/** A digest of the link without its signature, which differs every time. */
const sourceOf = (url: string) => digest(url.split('?', 1)[0] ?? '')
