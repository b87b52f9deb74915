// Brings home, at start and every minute, what a process had been told by TikTok and could not record.
import { type GrantDeps, replayExchange } from '../connect/grant.ts'
import { type RecordDeps, replayRefresh } from '../token/record.ts'

/**
 * Replays every answer that waits in the journal, other processes' too when they share the directory: the saves recognise what is done already.
 * What cannot be opened stays where it is and is reported.
 */
export async function replayJournal(deps: GrantDeps & RecordDeps): Promise<void> {
  const { journal, log } = deps
  const { entries, unreadable } = await journal.pending()
  for (const { journalId, segment, reason, entries } of unreadable)
    log.error('journal segment was unreadable', { name: `${journalId}/${segment}`, reason, count: entries })
  for (const entry of entries) {
    try {
      await (entry.kind === 'refresh' ? replayRefresh(deps, entry) : replayExchange(deps, entry))
    } catch (error) {
      log.error('journal entry was not replayed', { name: `${entry.journalId}/${entry.sequence}`, error })
    }
  }
}
