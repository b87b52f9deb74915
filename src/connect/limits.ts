// How many accounts an owner may connect. The tier service decides if there is one, else the web app's last word, else the
// default; the statement that connects enforces it.

import type { Db } from '../db/client.ts'
import { findOwner, saveOwner } from '../db/owners.ts'
import { misfit, ownerNotFound, ServiceError } from '../errors.ts'
import type { Config } from '../settings/config.ts'
import type { Log } from '../telemetry.ts'
import type { TierService } from './tier-service.ts'

export interface TierDeps {
  db: Db
  log: Log
  config: Pick<Config, 'tiers'>
  /** undefined: TIER_SERVICE_URL is not set, we decide ourselves */
  tierService: TierService | undefined
}

export interface Allowance {
  /** null: the tier service states a limit of its own and no tier */
  tier: string | null
  accountLimit: number
  accountsConnected: number
}

/**
 * What an owner may have, and has.
 *
 * @throws ServiceError storage_unavailable: the database, or the tier service, which is where tiers are stored then. No answer is a refusal (S60)
 */
export async function allowanceOf(deps: TierDeps, ownerId: string): Promise<Allowance> {
  const owner = await findOwner(deps.db, ownerId)
  const granted = await grantedTo(deps, ownerId, owner?.tier ?? null)
  if (!granted) throw tierUnknown()
  return { ...granted, accountsConnected: owner?.accountsConnected ?? 0 }
}

/** The same for an owner this service has heard of. @throws ServiceError owner_not_found | storage_unavailable */
export async function knownAllowanceOf(deps: TierDeps, ownerId: string): Promise<Allowance> {
  if (!(await findOwner(deps.db, ownerId))) throw ownerNotFound()
  return allowanceOf(deps, ownerId)
}

/**
 * The limit alone, for a connect that needs a place. An absent tier service is a value here: a fresh grant must be refused, not
 * kept waiting.
 *
 * @returns undefined when nobody can say
 * @throws ServiceError storage_unavailable: the database
 */
export async function limitOf(deps: TierDeps, ownerId: string): Promise<number | undefined> {
  const owner = await findOwner(deps.db, ownerId)
  return (await grantedTo(deps, ownerId, owner?.tier ?? null))?.accountLimit
}

/**
 * Before a code is spent: can this owner's limit be known? Without it a new grant could only be revoked; a reconnect needs no
 * limit.
 *
 * @throws ServiceError storage_unavailable: nothing was spent, try again
 */
export async function requireTier(deps: TierDeps, ownerId: string): Promise<void> {
  if (!deps.tierService || (await limitOf(deps, ownerId)) !== undefined) return
  const owner = await findOwner(deps.db, ownerId)
  if ((owner?.accountsConnected ?? 0) === 0) throw tierUnknown()
}

/** @throws ServiceError validation_failed: a tier that TIER_LIMITS does not know */
export async function setTier(deps: TierDeps, ownerId: string, tier: string, actor: string): Promise<void> {
  await saveOwner(deps.db, ownerId, checkTier(deps, tier), actor)
  deps.log.info('tier was set', { ownerId, actor, code: tier })
}

/** @throws ServiceError validation_failed: a tier that TIER_LIMITS does not know */
export function checkTier({ config }: Pick<TierDeps, 'config'>, tier: string): string {
  if (!config.tiers.limits.has(tier)) {
    throw misfit('validation_failed', {
      pointer: '/tier',
      detail: `tier: known tiers are ${[...config.tiers.limits.keys()].join(', ')}.`,
    })
  }
  return tier
}

/** @param storedTier what the web app last said; it decides only where there is no tier service */
async function grantedTo(
  { config, tierService, log }: TierDeps,
  ownerId: string,
  storedTier: string | null,
): Promise<{ tier: string | null; accountLimit: number } | undefined> {
  const { limits, defaultTier } = config.tiers
  if (!tierService) {
    const tier = storedTier ?? defaultTier
    return { tier, accountLimit: limits.get(tier) ?? 0 }
  }
  const answer = await tierService.tierOf(ownerId)
  if (answer.kind === 'silent') {
    log.warn('tier service did not answer', { ownerId, reason: answer.reason })
    return undefined
  }
  const accountLimit = answer.accountLimit ?? limits.get(answer.tier ?? '')
  if (accountLimit === undefined) {
    log.warn('tier service named an unknown tier', { ownerId })
    return undefined
  }
  return { tier: answer.tier, accountLimit }
}

// Not `overloaded`, which calls for more replicas, nor `account_limit_reached`, which nobody knows. Tiers are storage that cannot
// be reached, and waiting mends it.
const tierUnknown = () =>
  new ServiceError('storage_unavailable', 'The tier service did not say what this owner may have; try again in a moment.', {
    retryAfterSeconds: 5,
  })
