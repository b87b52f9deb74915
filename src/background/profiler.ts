// Looks at every profile about once a day, with tokens that are live anyway, and slower than TikTok's limit allows.
import { fetchProfile, type ProfileDeps } from '../account/profile.ts'
import { unlessAborted } from '../concurrency/waiting.ts'
import { claimDueProfiles, type DueProfile, postponeProfile } from '../db/profiles.ts'
import type { Refresher } from '../token/refresh.ts'
import type { Vault } from '../vault/vault.ts'

/** TikTok allows the app 600 user infos a minute, for connects and `verify` too: half of that for all replicas together. */
const perSecond = 5
const atOnce = 10
const idleMs = 5000
const unreadableRetrySeconds = 3600

export interface ProfilerDeps extends ProfileDeps {
  vault: Vault
  refresher: Pick<Refresher, 'refresh'>
  stopping: AbortSignal
}

/** @returns one round of the loop: looks at what is due, and says how long to rest */
export function createProfiler(deps: ProfilerDeps): () => Promise<number> {
  return async () => {
    const { profiles, looked } = await claimDueProfiles(deps.db, { limit: atOnce, perSecond })
    // A TikTok that hangs does not hold up the end of the process: nothing of a profile has to be finished.
    await unlessAborted(Promise.all(profiles.map((due) => lookAt(deps, due))), deps.stopping)
    return looked === atOnce ? (profiles.length / perSecond) * 1000 : idleMs
  }
}

async function lookAt(deps: ProfilerDeps, due: DueProfile): Promise<void> {
  const { accountId, openId, scopes, generation } = due
  try {
    const accessToken = deps.vault.open({ purpose: 'access_token', subject: accountId, generation }, due.sealedAccessToken)
    const outcome = await fetchProfile(deps, { accountId, openId, generation, accessToken, scopes })
    // The grant may have been taken back without a notice. A refresh finds out now, not when an upload fails.
    if (outcome === 'token_invalid') await deps.refresher.refresh(accountId, generation)
  } catch (error) {
    deps.log.error('profile was not looked at', { accountId, error })
    await postponeProfile(deps.db, accountId, unreadableRetrySeconds)
  }
}
