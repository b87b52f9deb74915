// Limits what a stolen key can read: a number of different accounts in ten minutes, counted over all replicas.
import type { Config } from '../config.ts'
import { admitRead } from '../db/api-keys.ts'
import type { Db } from '../db/client.ts'
import { ServiceError } from '../errors.ts'
import type { Refusals } from '../refusals.ts'

export interface ReadCapDeps {
  db: Db
  config: Pick<Config, 'readCapAccountsPerKey'>
  refusals: Refusals
}

/**
 * Lets a key read one more account, or one it has read recently. Costs nothing while it is off.
 *
 * @throws ServiceError rate_limited with the time until the key may read another account
 */
export async function admitReader(
  { db, config, refusals }: ReadCapDeps,
  accountId: string,
  reader: { keyId: string; requestId: string },
): Promise<void> {
  const cap = config.readCapAccountsPerKey
  if (cap === 0) return
  const waitSeconds = await admitRead(db, reader.keyId, accountId, cap)
  if (waitSeconds === null) return
  refusals.note({ kind: 'read_cap', event: 'read cap was reached', who: reader.keyId, facts: { ...reader, accountId } })
  throw new ServiceError(
    'rate_limited',
    `This key has read ${cap} different accounts within ten minutes, which is its cap (READ_CAP_ACCOUNTS_PER_KEY).`,
    { retryAfterSeconds: waitSeconds },
  )
}
