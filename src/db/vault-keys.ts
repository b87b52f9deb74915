// The canaries of the vault's keys: one sealed text per key id that has sealed anything.
import type { Db } from './client.ts'

export async function readCanaries(db: Db): Promise<{ keyId: string; sealedCanary: string }[]> {
  return db.run(
    'read_canaries',
    (sql) =>
      sql<{ keyId: string; sealedCanary: string }[]>`select key_id as "keyId", sealed_canary as "sealedCanary" from vault_keys`,
  )
}

/** The first canary of a key stays. */
export async function saveCanary(db: Db, keyId: string, sealedCanary: string): Promise<void> {
  await db.run(
    'save_canary',
    (sql) =>
      sql`insert into vault_keys (key_id, sealed_canary) values (${keyId}, ${sealedCanary}) on conflict (key_id) do nothing`,
  )
}
