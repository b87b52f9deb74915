// The statements of API keys. Only a hash is stored; the key itself is shown once, by the command that creates it.
import type { Db } from './client.ts'
import type { apiKeys, Row } from './schema.ts'

export type ApiKeyRow = Row<typeof apiKeys> & {
  /** neither revoked nor expired, by the database's clock */
  live: boolean
}

const columns = `id, name, secret_hash, scopes, owner_prefixes, account_ids, networks, created_at, expires_at, revoked_at,
  last_used_at, (revoked_at is null and (expires_at is null or expires_at > now())) as live`

export async function insertApiKey(
  db: Db,
  key: Row<
    typeof apiKeys,
    'id' | 'name' | 'secretHash' | 'scopes' | 'ownerPrefixes' | 'accountIds' | 'networks' | 'expiresAt'
  > & { actor: string },
): Promise<void> {
  await db.run(
    'insert_api_key',
    (sql) => sql`
      with made as (
        insert into api_keys (id, name, secret_hash, scopes, owner_prefixes, account_ids, networks, expires_at)
        values (${key.id}, ${key.name}, ${key.secretHash}, ${key.scopes}, ${key.ownerPrefixes}, ${key.accountIds}, ${key.networks}, ${key.expiresAt})
        returning id, scopes
      )
      insert into audit_log (actor, action, object, detail) select ${key.actor}, 'api_key_created', id, array_to_string(scopes, ' ') from made`,
  )
}

export async function findApiKey(db: Db, id: string): Promise<ApiKeyRow | undefined> {
  const rows = await db.run(
    'find_api_key',
    (sql) => sql<ApiKeyRow[]>`select ${sql.unsafe(columns)} from api_keys where id = ${id}`,
  )
  return rows[0]
}

export async function listApiKeys(db: Db): Promise<ApiKeyRow[]> {
  return db.run('list_api_keys', (sql) => sql<ApiKeyRow[]>`select ${sql.unsafe(columns)} from api_keys order by id`)
}

/** @returns false when there is no such key; repeating it is harmless */
export async function revokeApiKey(db: Db, id: string, actor: string): Promise<boolean> {
  const rows = await db.run(
    'revoke_api_key',
    (sql) => sql`
      with revoked as (
        update api_keys set revoked_at = now() where id = ${id} and revoked_at is null returning id
      ), told as (
        insert into audit_log (actor, action, object) select ${actor}, 'api_key_revoked', id from revoked
      )
      select id from api_keys where id = ${id}`,
  )
  return rows.length > 0
}

/** @returns the keys that were revoked: all live ones but these */
export async function revokeOtherApiKeys(db: Db, kept: string[], actor: string): Promise<string[]> {
  const rows = await db.run(
    'revoke_other_api_keys',
    (sql) => sql<{ id: string }[]>`
      with revoked as (
        update api_keys set revoked_at = now() where revoked_at is null and (expires_at is null or expires_at > now()) and id <> all(${kept}::text[]) returning id
      ), told as (
        insert into audit_log (actor, action, object, detail) select ${actor}, 'api_key_revoked', id, 'all but ' || ${kept.join(' ')}::text from revoked
      )
      select id from revoked order by id`,
  )
  return rows.map(({ id }) => id)
}

/** Coarse on purpose: once a minute and process is enough to see which keys are dead. */
export async function touchApiKey(db: Db, id: string): Promise<void> {
  await db.run('touch_api_key', (sql) => sql`update api_keys set last_used_at = now() where id = ${id}`)
}

/**
 * Counts the accounts that a key has read in the last ten minutes, in the database, so that the count is exact over all replicas.
 *
 * @returns null: go on; otherwise in how many seconds the next place is free
 * @see functions/admit_read.sql
 */
export async function admitRead(db: Db, keyId: string, accountId: string, cap: number): Promise<number | null> {
  const rows = await db.run(
    'admit_read',
    (sql) => sql<{ waitSeconds: number | null }[]>`select admit_read(${keyId}, ${accountId}, ${cap}) as wait_seconds`,
  )
  return rows[0]?.waitSeconds ?? null
}
