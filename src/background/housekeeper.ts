// Keeps the house: partitions ahead, dead sessions and their secrets gone, retention kept.
import { eraseStaleCodes, purgeSessions } from '../db/connect-sessions.ts'
import { purgeEvents } from '../db/events.ts'
import { purgeNotices } from '../db/notices.ts'
import { dropOldPartitions, ensurePartitions } from '../db/partitions.ts'
import { purgeUploadGates, purgeUploads } from '../db/uploads.ts'
import type { Parts } from '../parts.ts'

/** Every handed-out token can be looked up for three months, every account's story for as long. */
const keptDays = 90
const sessionsKeptHours = 24
/** Ten tries at a delivery take three days; a reader that was away for longer than this lists the accounts anew. */
const eventsKeptDays = 30
/** Replays are recognised for longer than their signature would be believed (S52). */
const noticesKeptDays = 30
/** A slot is counted for a day; a repeated Idempotency-Key finds its reservation for a week. */
const uploadsKeptDays = 7

export async function keepHouse({ db, log }: Parts): Promise<void> {
  await ensurePartitions(db)
  await eraseStaleCodes(db)
  let purged = await whole((limit) => purgeSessions(db, sessionsKeptHours, limit))
  purged += await whole((limit) => purgeEvents(db, eventsKeptDays, limit))
  purged += await whole((limit) => purgeNotices(db, noticesKeptDays, limit))
  purged += await whole((limit) => purgeUploads(db, uploadsKeptDays, limit))
  purged += await purgeUploadGates(db, uploadsKeptDays)
  const dropped = (await dropOldPartitions(db, 'token_reads', keptDays)) + (await dropOldPartitions(db, 'timeline', keptDays))
  if (purged + dropped > 0) log.info('house was kept', { count: purged + dropped })
}

/** In batches, so that no statement holds many rows for long. @returns how many in all */
async function whole(purge: (limit: number) => Promise<number>): Promise<number> {
  let count = 0
  for (let batch = 500; batch === 500; count += batch) batch = await purge(500)
  return count
}
