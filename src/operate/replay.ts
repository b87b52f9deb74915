// Brings home, at start, what an earlier process had been told by TikTok and could not record.

import { replayExchange } from '../connect/grant.ts'
import type { Parts } from '../parts.ts'
import { replayRefresh } from '../token/record.ts'

/**
 * Replays every spill file there is, other replicas' too when they share the directory: the saves recognise what is done already. A file that cannot be
 * opened stays where it is and is reported.
 */
export async function replaySpills(parts: Parts): Promise<void> {
  const { entries, unreadable } = await parts.spill.list()
  for (const name of unreadable) parts.log.error('spill file was unreadable', { name })
  for (const { id, kind, body } of entries) {
    try {
      await (kind === 'refresh' ? replayRefresh(parts, id, body) : replayExchange(parts, id, body))
    } catch (error) {
      parts.log.error('spill file was not replayed', { attemptId: id, error })
    }
  }
  parts.metrics.spillFiles.set(parts.spill.count())
}
