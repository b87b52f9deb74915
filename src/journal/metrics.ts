// What operators see of the rotation journal on this replica's disk, and of a database that is older than it.
import type { Meter } from '../meter.ts'
import type { Journal } from './journal.ts'

/** What takes a look at the disk. */
export async function measureJournal({
  journal,
  metrics,
}: {
  journal: Pick<Journal, 'measure'>
  metrics: JournalMetrics
}): Promise<void> {
  const { bytes, oldestAtMs } = await journal.measure()
  metrics.journalBytes.set(bytes)
  metrics.journalOldestSeconds.set(oldestAtMs === null ? 0 : Math.max(0, (Date.now() - oldestAtMs) / 1000))
}

export type JournalMetrics = ReturnType<typeof journalMetrics>

export function journalMetrics({ counter, gauge }: Meter) {
  let present: Pick<Journal, 'count' | 'copyLagSeconds'> = { count: () => 0, copyLagSeconds: null }
  return {
    /** From here on it is asked at every scrape: what it knows, it knows without the database. */
    watchJournal(journal: Pick<Journal, 'count' | 'copyLagSeconds'>): void {
      present = journal
    },
    journalFiles: gauge({
      name: 'spill_files',
      help: 'Sealed token answers on disk that the database does not have yet',
      query: 'sum(spill_files) > 0',
      read: (files) => files.set(present.count()),
    }),
    journalFailures: counter({
      name: 'spill_write_failures_total',
      help: 'Token answers that could not be written to disk before being recorded',
      query: 'sum(increase(spill_write_failures_total[15m])) > 0',
    }),
    databaseRewound: gauge({
      name: 'database_rewound',
      help: '1 while the database is older than the journals: nothing is spent until they are replayed',
      query: 'max(database_rewound) == 1',
    }),
    journalBytes: gauge({
      name: 'journal_bytes',
      help: 'Size of the rotation journal on this disk, of all processes that share it',
      query: 'max by (instance) (journal_bytes)',
    }),
    journalOldestSeconds: gauge({
      name: 'journal_oldest_entry_age_seconds',
      help: 'How far back the journal on this disk reaches; 0 when it is empty. JOURNAL_HOURS bounds it',
      query: 'min(journal_oldest_entry_age_seconds) / 3600',
    }),
    journalCopyLag: gauge({
      name: 'journal_copy_lag_seconds',
      help: 'How far the second place of the journal is behind',
      query: 'max by (instance) (journal_copy_lag_seconds) > 60',
      read: (lag) => lag.set(present.copyLagSeconds ?? 0),
    }),
    journalCopyFailures: counter({
      name: 'journal_copy_failures_total',
      help: 'Tries to write to the second place of the journal that failed',
      query: 'sum(increase(journal_copy_failures_total[15m]))',
    }),
  }
}
