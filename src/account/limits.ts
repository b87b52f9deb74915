// How many accounts an owner may connect. The tier is what the web app last said, or the default; the limit is held by
// the statement that connects, not here.
import { findOwner } from '../db/owners.ts'
import { ServiceError } from '../errors.ts'
import type { Parts } from '../parts.ts'

export interface Allowance {
  tier: string
  accountLimit: number
  accountsConnected: number
}

/** @throws ServiceError storage_unavailable: no answer is a refusal (S60) */
export async function allowanceOf({ db, config }: Parts, ownerId: string): Promise<Allowance> {
  const owner = await findOwner(db, ownerId)
  const tier = owner?.tier ?? config.tiers.defaultTier
  return { tier, accountLimit: config.tiers.limits.get(tier) ?? 0, accountsConnected: owner?.accountsConnected ?? 0 }
}

/** @throws ServiceError validation_failed: a tier that TIER_LIMITS does not know */
export function checkTier({ config }: Parts, tier: string): string {
  if (!config.tiers.limits.has(tier)) {
    throw new ServiceError('validation_failed', `tier: known tiers are ${[...config.tiers.limits.keys()].join(', ')}.`)
  }
  return tier
}
