// The statements of replicas: each says every few seconds that it lives, and which vault keys it can open.
import type { Db } from './client.ts'
import type { Row, replicas } from './schema.ts'

/** `keyIds` it can open, `primaryKeyId` it seals with, `journalKeyIds` seal what is in its journal. */
export type Replica = Omit<Row<typeof replicas>, 'seenAt'>

/** Four heartbeats missed: a process that is silent for so long is taken for gone. */
const silentAfter = `interval '15 seconds'`

export async function announceReplica(db: Db, replica: Omit<Replica, 'startedAt'>): Promise<void> {
  await db.run(
    'announce_replica',
    (sql) => sql`
      with forgotten as (delete from replicas where seen_at < now() - interval '1 day' and id <> ${replica.id})
      insert into replicas (id, key_ids, primary_key_id, journal_key_ids) values (${replica.id}, ${replica.keyIds}, ${replica.primaryKeyId}, ${replica.journalKeyIds})
      on conflict (id) do update set seen_at = now(), journal_key_ids = excluded.journal_key_ids`,
  )
}

export async function forgetReplica(db: Db, id: string): Promise<void> {
  await db.run('forget_replica', (sql) => sql`delete from replicas where id = ${id}`)
}

export async function liveReplicas(db: Db): Promise<Replica[]> {
  return db.run(
    'live_replicas',
    (sql) => sql<Replica[]>`
      select id, started_at, key_ids, primary_key_id, journal_key_ids
      from replicas where seen_at > now() - ${sql.unsafe(silentAfter)} order by started_at`,
  )
}
