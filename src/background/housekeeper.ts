// Keeps the house: partitions ahead, dead sessions and their secrets gone, retention kept.
import { eraseStaleCodes, purgeSessions } from '../db/connect-sessions.ts'
import { dropOldPartitions, ensurePartitions } from '../db/partitions.ts'
import type { Parts } from '../parts.ts'

/** Every handed-out token can be looked up for three months, every account's story for as long. */
const keptDays = 90
const sessionsKeptHours = 24

export async function keepHouse({ db, log }: Parts): Promise<void> {
  await ensurePartitions(db)
  await eraseStaleCodes(db)
  let purged = 0
  for (let batch = 500; batch === 500; purged += batch) batch = await purgeSessions(db, sessionsKeptHours, 500)
  const dropped = (await dropOldPartitions(db, 'token_reads', keptDays)) + (await dropOldPartitions(db, 'timeline', keptDays))
  if (purged + dropped > 0) log.info('house was kept', { count: purged + dropped })
}
