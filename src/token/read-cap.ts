// Limits what a stolen key can read: a number of different accounts in ten minutes, counted over all replicas.

import { admitRead } from '../db/api-keys.ts'
import type { Db } from '../db/client.ts'
import { ServiceError } from '../errors.ts'
import type { Refusals } from '../refusals.ts'
import type { Config } from '../settings/config.ts'

export interface ReadCap {
  /**
   * Lets a key read one more account, or one it has read recently. What was admitted here lately costs nothing.
   *
   * @throws ServiceError rate_limited with the time until the key may read another account
   */
  admit(accountId: string, reader: { keyId: string; requestId: string }): Promise<void>
}

/** The count is exact to half a minute (functions/admit_read.sql): for less than that an answer need not be asked for again. */
const rememberedForMs = 25_000
const rememberedReads = 100_000

export function createReadCap({
  db,
  config,
  refusals,
}: {
  db: Db
  config: Pick<Config, 'readCapAccountsPerKey'>
  refusals: Refusals
}): ReadCap {
  const cap = config.readCapAccountsPerKey
  const admittedAtMs = new Map<string, number>()

  return {
    async admit(accountId, { keyId, requestId }) {
      if (cap === 0) return
      const read = `${keyId} ${accountId}`
      const now = performance.now()
      if (now - (admittedAtMs.get(read) ?? Number.NEGATIVE_INFINITY) < rememberedForMs) return
      const waitSeconds = await admitRead(db, keyId, accountId, cap)
      if (waitSeconds === null) {
        admittedAtMs.delete(read) // so that the oldest stands first
        admittedAtMs.set(read, now)
        const [oldest] = admittedAtMs.keys()
        if (admittedAtMs.size > rememberedReads && oldest !== undefined) admittedAtMs.delete(oldest)
        return
      }
      const facts = { keyId, requestId, accountId }
      refusals.note({ kind: 'read_cap', event: 'read cap was reached', who: keyId, facts })
      throw new ServiceError(
        'rate_limited',
        `This key has read ${cap} different accounts within ten minutes, which is its cap (READ_CAP_ACCOUNTS_PER_KEY).`,
        { retryAfterSeconds: waitSeconds },
      )
    },
  }
}
