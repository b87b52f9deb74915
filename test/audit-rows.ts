// Rows of the audit as time leaves them: the database writes `now()` and nothing else, so a test moves them as their owner.
import type { Parts } from '../src/app.ts'

/** Everything that was written so far was written that much earlier. */
export async function ageAudit({ db }: Pick<Parts, 'db'>, span: string): Promise<void> {
  for (const table of ['token_reads', 'timeline', 'audit_log'])
    await db.run('age', (sql) => sql.unsafe(`update ${table} set at = at - interval '${span}'`))
}
