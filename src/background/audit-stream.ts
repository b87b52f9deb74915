// The audit to a place that operators of the database do not reach: JSON lines to a file or to a collector, at least once, in order. One replica
// writes; the others take over when it falls silent.

import { everything } from '../access/reach.ts'
import { auditLagSeconds, holdAuditStream, moveAuditStream, readTrail, type TrailEntry } from '../db/audit-trail.ts'
import type { Db } from '../db/client.ts'
import { linesTo } from '../outbound/lines.ts'
import type { Config } from '../settings/config.ts'
import { digest } from '../vault/digest.ts'
import type { LoopMetrics } from './metrics.ts'

const batch = 1000
const restMs = 5000

export interface AuditStreamDeps {
  db: Db
  metrics: LoopMetrics
  replicaId: string
}

/** @returns one round: what is new since the last one; how long to rest then */
export function createAuditStream(
  { db, metrics, replicaId }: AuditStreamDeps,
  target: NonNullable<Config['auditStream']>,
  proxy?: Config['proxy'],
): () => Promise<number> {
  const id = digest(target.href).slice(0, 32)
  const write = linesTo(target, proxy)

  return async () => {
    const after = await holdAuditStream(db, id, replicaId)
    if (!after) return restMs
    const entries = await readTrail(db, after, batch, everything)
    const last = entries.at(-1)
    if (last) {
      await write(`${entries.map(lineOf).join('\n')}\n`)
      // Behind the write: a process that dies in between has its successor write the batch again.
      await moveAuditStream(db, id, replicaId, last)
    }
    const isFull = entries.length === batch
    metrics.auditStreamLag.set(isFull && last ? await auditLagSeconds(db, last) : 0)
    return isFull ? 0 : restMs
  }
}

function lineOf({
  at,
  source,
  key,
  action,
  actor,
  object,
  code,
  generation,
  degraded,
  viaSessionId,
  viaKeyId,
  requestId,
}: TrailEntry): string {
  return JSON.stringify({
    id: `${source}.${key}`,
    at: at.toISOString(),
    ...{ action, actor, object, code, generation, degraded, via_session: viaSessionId, via_key: viaKeyId, request_id: requestId },
  })
}
