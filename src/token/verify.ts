// Asks TikTok whether a grant lives, by using it: the profile is fetched with the access token, after a refresh when TikTok
// does not take it. An account that needs its person has no refresh left; its token is used while it is still handed out.
import { fetchProfile, type ProfileDeps } from '../account/profile.ts'
import { within } from '../concurrency/waiting.ts'
import { findAccount, findGrant } from '../db/accounts.ts'
import { accountNotFound, ServiceError } from '../errors.ts'
import type { Vault } from '../vault/vault.ts'
import type { Refresher } from './refresh.ts'
import type { Timings } from './timings.ts'

export interface VerifyDeps extends ProfileDeps {
  vault: Vault
  refresher: Pick<Refresher, 'refresh'>
  timings: Pick<Timings, 'patienceMs' | 'verifyPatienceMs'>
}

/**
 * Uses the grant once. Afterwards the account's status and profile say what TikTok said; a dead grant is no failure of this call.
 *
 * @throws ServiceError account_not_found | account_disconnected | tiktok_unavailable | credential_unreadable
 */
export async function verify(deps: VerifyDeps, accountId: string): Promise<void> {
  const { db, vault, refresher, timings } = deps
  for (const mayRefresh of [true, false]) {
    const account = await findAccount(db, accountId)
    if (!account) throw accountNotFound()
    if (account.status === 'disconnected')
      throw new ServiceError('account_disconnected', 'This account was disconnected; there is nothing to verify.')
    const mayVend = account.status === 'active' || account.statusReason === 'refresh_outcome_unknown' // F01
    if (!mayVend) return
    const grant = await findGrant(db, accountId)
    if (!grant) throw new ServiceError('account_disconnected', 'This account was disconnected; there is nothing to verify.')

    const live = grant.accessExpiresAt > account.readAt && !account.refused
    if (live) {
      const accessToken = vault.open(
        { purpose: 'access_token', subject: accountId, generation: grant.generation },
        grant.sealedAccessToken,
      )
      const { openId, scopes } = account
      const holder = { accountId, generation: grant.generation, accessToken, scopes }
      const asked = openId !== null && fetchProfile(deps, { ...holder, openId })
      const outcome = asked ? await within(asked, timings.verifyPatienceMs) : 'not_granted'
      // `refused`: TikTok took the token, and not the question.
      if (outcome === 'fetched' || outcome === 'refused') return
      if (outcome !== 'token_invalid' && outcome !== 'not_granted')
        throw new ServiceError('tiktok_unavailable', 'TikTok did not answer; the profile is as it was.', {
          retryAfterSeconds: outcome === 'throttled' ? 60 : 30,
        })
      if (outcome === 'not_granted' && !mayRefresh) return // nothing can be asked, and the refresh just went well
    }
    if (account.status !== 'active') return
    if (!mayRefresh) break
    const refreshed = await within(refresher.refresh(accountId, grant.generation), timings.patienceMs)
    if (refreshed?.kind === 'rejected' || refreshed?.kind === 'discarded') return
    if (refreshed?.kind !== 'refreshed' && refreshed?.kind !== 'sibling_won') break
  }
  throw new ServiceError('tiktok_unavailable', 'TikTok did not take the token and gave no new one yet; try again.', {
    retryAfterSeconds: 30,
  })
}
