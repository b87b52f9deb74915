// Brings home, at start, what an earlier process had been told by TikTok and could not record.
import { type GrantDeps, replayExchange } from '../connect/grant.ts'
import { type RecordDeps, replayRefresh } from '../token/record.ts'

/**
 * Replays every journal file, other replicas' too when they share the directory. A file that cannot be opened stays and is
 * reported.
 */
export async function replayJournal(deps: GrantDeps & RecordDeps): Promise<void> {
  const { entries, unreadable } = await deps.journal.list()
  for (const name of unreadable) deps.log.error('journal file was unreadable', { name })
  for (const { id, kind, body } of entries) {
    try {
      await (kind === 'refresh' ? replayRefresh(deps, id, body) : replayExchange(deps, id, body))
    } catch (error) {
      deps.log.error('journal file was not replayed', { attemptId: id, error })
    }
  }
  deps.metrics.journalFiles.set(deps.journal.count())
}
