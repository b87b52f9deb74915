// Looks at every profile about once a day, with tokens that are live anyway, and slower than TikTok's limit allows.
import { fetchProfile } from '../account/profile.ts'
import { claimDueProfiles, type DueProfile, postponeProfile } from '../db/profiles.ts'
import type { Parts } from '../parts.ts'
import { refresh } from '../token/refresh.ts'

/** TikTok takes 600 user infos a minute for the whole app, which connects and `verify` need too: half of that, for all replicas together. */
const perSecond = 5
const atOnce = 10
const idleMs = 5000
const unreadableRetrySeconds = 3600

/** @returns one round of the loop: looks at what is due, and says how long to rest */
export function createProfiler(parts: Parts): () => Promise<number> {
  return async () => {
    const { profiles, looked } = await claimDueProfiles(parts.db, { limit: atOnce, perSecond })
    await unlessStopping(parts.stopping, Promise.all(profiles.map((due) => lookAt(parts, due))))
    return looked === atOnce ? (profiles.length / perSecond) * 1000 : idleMs
  }
}

async function lookAt(parts: Parts, due: DueProfile): Promise<void> {
  const { accountId, openId, scopes, generation } = due
  try {
    const accessToken = parts.vault.open({ purpose: 'access_token', subject: accountId, generation }, due.sealedAccessToken)
    const outcome = await fetchProfile(parts, { accountId, openId, accessToken, scopes })
    // TikTok refused a token whose time is not over: a grant that was taken back without a notice. A refresh tells, today and not when an upload fails.
    if (outcome === 'token_invalid') await refresh(parts, accountId, generation)
  } catch (error) {
    parts.log.error('profile was not looked at', { accountId, error })
    await postponeProfile(parts.db, accountId, unreadableRetrySeconds)
  }
}

/**
 * A TikTok that hangs does not hold up the end of the process: nothing of a profile has to be finished. A listener of its own for every round, because
 * each race with a promise that lives as long as the process would leave something on it.
 */
async function unlessStopping(stopping: AbortSignal, work: Promise<unknown>): Promise<void> {
  const { promise: stopped, resolve } = Promise.withResolvers<void>()
  const listener = () => resolve()
  stopping.addEventListener('abort', listener, { once: true })
  if (stopping.aborted) resolve()
  try {
    await Promise.race([work, stopped])
  } finally {
    stopping.removeEventListener('abort', listener)
  }
}
