// The statements of API keys. Only a hash is stored; the key itself is shown once, by the command that creates it.
import type { Db, StatementOptions } from './client.ts'
import type { apiKeys, Row } from './schema.ts'

export type ApiKeyRow = Row<typeof apiKeys> & {
  /** neither revoked nor expired, by the database's clock */
  live: boolean
}

const columns = `id, name, secret_hash, scopes, owner_prefixes, account_ids, networks, sealed_facts, created_at, expires_at, revoked_at,
  last_used_at, (revoked_at is null and (expires_at is null or expires_at > now())) as live`

export async function insertApiKey(
  db: Db,
  key: Row<
    typeof apiKeys,
    'id' | 'name' | 'secretHash' | 'scopes' | 'ownerPrefixes' | 'accountIds' | 'networks' | 'sealedFacts' | 'expiresAt'
  > & { actor: string },
): Promise<void> {
  await db.run(
    'insert_api_key',
    (sql) => sql`
      with made as (
        insert into api_keys (id, name, secret_hash, scopes, owner_prefixes, account_ids, networks, sealed_facts, expires_at)
        values (${key.id}, ${key.name}, ${key.secretHash}, ${key.scopes}, ${key.ownerPrefixes}, ${key.accountIds}, ${key.networks}, ${key.sealedFacts}, ${key.expiresAt})
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
        update api_keys set revoked_at = now() where revoked_at is null and (expires_at is null or expires_at > now()) and id not like 'jwt:%' and id <> all(${kept}::text[]) returning id
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
export function admitRead(db: Db, keyId: string, accountId: string, cap: number): Promise<number | null> {
  return db.batched(admitReads, { keyId, accountId, cap })
}

async function admitReads(
  db: Db,
  reads: { keyId: string; accountId: string; cap: number }[],
  options: StatementOptions,
): Promise<(number | null)[]> {
  const rows = await db.run(
    'admit_reads',
    // Key by key in one order, so that two of these never wait for each other. A crash may forget some of the last reads: no reason to flush each.
    (sql) => sql<{ place: number; waitSeconds: number | null }[]>`
      select r.place::int as place, admit_read(r.key_id, r.account_id, r.cap::int) as wait_seconds, set_config('synchronous_commit', 'off', true) as asynchronous
      from (
        select * from unnest(${reads.map((read) => read.keyId)}::text[], ${reads.map((read) => read.accountId)}::text[], ${reads.map((read) => String(read.cap))}::text[])
          with ordinality as w (key_id, account_id, cap, place) order by w.key_id, w.place
      ) r`,
    options,
  )
  const answers = new Array<number | null>(reads.length).fill(null)
  for (const { place, waitSeconds } of rows) answers[place - 1] = waitSeconds
  return answers
}

/**
 * JWT callers that are denied, or kept while all others are. They have no row of their own otherwise; these hold no secret, and no key can
 * name them.
 */
export async function listJwtCallers(db: Db): Promise<Row<typeof apiKeys, 'id' | 'revokedAt'>[]> {
  return db.run(
    'list_jwt_callers',
    (sql) =>
      sql<Row<typeof apiKeys, 'id' | 'revokedAt'>[]>`select id, revoked_at from api_keys where id like 'jwt:%' order by id`,
  )
}

/** @param denied false keeps this one while `jwt:*` denies all */
export async function decideJwtCaller(db: Db, id: string, denied: boolean, actor: string): Promise<void> {
  await db.run(
    'decide_jwt_caller',
    (sql) => sql`
      with decided as (
        insert into api_keys as k (id, name, secret_hash, scopes, revoked_at) values (${id}, ${id}, '', '{}', case when ${denied} then now() end)
        on conflict (id) do update set revoked_at = case when ${denied} then coalesce(k.revoked_at, now()) end
        returning id
      )
      insert into audit_log (actor, action, object) select ${actor}, ${denied ? 'jwt_caller_denied' : 'jwt_caller_allowed'}, id from decided`,
  )
}

/** @returns false when nothing was decided about this caller */
export async function forgetJwtCaller(db: Db, id: string, actor: string): Promise<boolean> {
  const rows = await db.run(
    'forget_jwt_caller',
    (sql) => sql`
      with forgotten as (delete from api_keys where id = ${id} and id like 'jwt:%' returning id), told as (
        insert into audit_log (actor, action, object) select ${actor}, 'jwt_caller_allowed', id from forgotten
      )
      select 1 from forgotten`,
  )
  return rows.length > 0
}
