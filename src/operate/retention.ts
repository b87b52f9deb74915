// Retention: partitions are created ahead, secrets of dead sessions erased, and nothing is kept longer than promised.

import { dropOldAuditLog, dropOldPartitions, ensurePartitions } from '../db/audit.ts'
import type { Db } from '../db/client.ts'
import { eraseStaleCodes, purgeSessions } from '../db/connect-sessions.ts'
import { purgeEvents } from '../db/events.ts'
import { purgeNotices } from '../db/notices.ts'
import { purgeRefusals } from '../db/refusals.ts'
import { purgeUploadGates, purgeUploads } from '../db/uploads.ts'
import type { Log } from '../telemetry.ts'

const batch = 500

/** As docs/operators.md tells it. */
export const keptDays = {
  /** Every handed-out token and every account's timeline can be looked up for three months. */
  audit: 90,
  /** Who made a key, who disconnected everybody: for the audit of a year, and a month to write it. */
  auditLog: 400,
  sessions: 1,
  /** Ten delivery attempts take three days. A reader that was away for longer than this lists the accounts again. */
  events: 30,
  /** Replays are recognised for longer than their signature would be believed (S52). */
  notices: 30,
  /** From when the slot is free again; until then and a week on, a repeated Idempotency-Key finds its reservation. */
  uploads: 7,
}

/** Stops after the current batch when the process is asked to end; the next start continues. */
export async function applyRetention({ db, log, stopping }: { db: Db; log: Log; stopping: AbortSignal }): Promise<void> {
  /** In batches, so that no statement holds many rows for long. @returns how many in all */
  async function whole(purge: (limit: number) => Promise<number>): Promise<number> {
    let count = 0
    for (let last = batch; last === batch && !stopping.aborted; count += last) last = await purge(batch)
    return count
  }

  await ensurePartitions(db)
  await eraseStaleCodes(db)
  let purged = await whole((limit) => purgeSessions(db, keptDays.sessions * 24, limit))
  purged += await whole((limit) => purgeEvents(db, keptDays.events, limit))
  purged += await whole((limit) => purgeNotices(db, keptDays.notices, limit))
  purged += await whole((limit) => purgeUploads(db, keptDays.uploads, limit))
  await purgeRefusals(db)
  purged += await purgeUploadGates(db, keptDays.uploads)
  purged += await whole((limit) => dropOldAuditLog(db, keptDays.auditLog, limit))
  const { audit } = keptDays
  const dropped = (await dropOldPartitions(db, 'token_reads', audit)) + (await dropOldPartitions(db, 'timeline', audit))
  if (purged + dropped > 0) log.info('retention was applied', { count: purged + dropped })
}
