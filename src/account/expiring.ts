// Tells in time that a person has to connect again: a refresh token ends on a day that is known months ahead.
import type { Db } from '../db/client.ts'
import { announceExpiring } from '../db/expiring.ts'
import type { Log } from '../telemetry.ts'
import { warningDays } from './health.ts'

/** No statement locks many accounts, whatever ends on the same day. */
const batch = 500

/** One round of the background. @returns how many warnings were given */
export async function warnExpiring({ db, log, stopping }: { db: Db; log: Log; stopping: AbortSignal }): Promise<number> {
  for (let count = 0; ; ) {
    const warned = await announceExpiring(db, warningDays, batch)
    for (const { accountId, warningDays: days } of warned) log.info('account expiry was announced', { accountId, count: days })
    count += warned.length
    if (warned.length < batch || stopping.aborted) return count
  }
}
