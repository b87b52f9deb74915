// The daily partitions of the audit and the timeline: made ahead, dropped when their time is over.
import type { Db } from './client.ts'

const daysAhead = 7

export async function ensurePartitions(db: Db): Promise<number> {
  const rows = await db.run(
    'ensure_partitions',
    (sql) => sql<{ made: number }[]>`select ensure_daily_partitions(${daysAhead}) as made`,
  )
  return rows[0]?.made ?? 0
}

export async function dropOldPartitions(db: Db, parent: 'token_reads' | 'timeline', keptDays: number): Promise<number> {
  const rows = await db.run(
    'drop_partitions',
    (sql) => sql<{ dropped: number }[]>`select drop_daily_partitions(${parent}, ${keptDays}) as dropped`,
  )
  return rows[0]?.dropped ?? 0
}
