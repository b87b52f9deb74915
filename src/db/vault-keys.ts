// The canaries of the vault's keys: one sealed text per key id that has sealed anything.
import type { Db } from './client.ts'
import type { Row, vaultKeys } from './schema.ts'

export async function readCanaries(db: Db): Promise<Row<typeof vaultKeys, 'keyId' | 'sealedCanary'>[]> {
  return db.run(
    'read_canaries',
    (sql) => sql<Row<typeof vaultKeys, 'keyId' | 'sealedCanary'>[]>`select key_id, sealed_canary from vault_keys`,
  )
}

/**
 * Leaves a canary for a key, unless a live replica does not know that key: it could not open what is sealed with it. The first canary of a key stays.
 *
 * @returns the replicas that are in the way; none when the canary is there
 */
export async function saveCanary(db: Db, keyId: string, sealedCanary: string): Promise<string[]> {
  const rows = await db.run(
    'save_canary',
    (sql) => sql<{ strangers: string[] }[]>`
      with present as (
        select 1 from vault_keys where key_id = ${keyId}
      ), strangers as (
        select id from replicas
        where seen_at > now() - interval '15 seconds' and not key_ids @> array[${keyId}::text] and not exists (select 1 from present)
      ), saved as (
        insert into vault_keys (key_id, sealed_canary) select ${keyId}, ${sealedCanary}
        where not exists (select 1 from present) and not exists (select 1 from strangers)
        on conflict (key_id) do nothing
      )
      select array(select id from strangers) as strangers`,
  )
  return rows[0]?.strangers ?? []
}

/**
 * Forgets a key that seals nothing any more, so that it can be taken out of VAULT_KEYS; the audit log remembers.
 *
 * @returns false when a live replica seals with it, or has a journal that is sealed with it
 */
export async function retireCanary(db: Db, keyId: string, actor: string): Promise<boolean> {
  const rows = await db.run(
    'retire_canary',
    (sql) => sql`
      with retired as (
        delete from vault_keys where key_id = ${keyId} and not exists (
          select 1 from replicas where seen_at > now() - interval '15 seconds' and (primary_key_id = ${keyId} or journal_key_ids @> array[${keyId}::text])
        )
        returning key_id
      )
      insert into audit_log (actor, action, object) select ${actor}, 'vault_key_retired', key_id from retired returning 1`,
  )
  return rows.length > 0
}

/** @returns how often all have sealed with the key by now; undefined before its canary is there */
export async function addSeals(db: Db, keyId: string, count: number): Promise<number | undefined> {
  const rows = await db.run(
    'add_seals',
    (sql) =>
      sql<
        Row<typeof vaultKeys, 'seals'>[]
      >`update vault_keys set seals = seals + ${count} where key_id = ${keyId} returning seals`,
  )
  return rows[0]?.seals
}
