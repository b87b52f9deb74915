// The feed shows an event once every transaction before it has ended, in any database of the server: those of other tests too.
import type { Db } from '../../src/db/client.ts'
import { eventually } from './eventually.ts'

export async function everythingShown(db: Db): Promise<void> {
  const hidden = () =>
    db.run('hidden_events', (sql) => sql`select from events where xid >= pg_snapshot_xmin(pg_current_snapshot()) limit 1`)
  await eventually('every event is shown', async () => (await hidden()).length === 0)
}
