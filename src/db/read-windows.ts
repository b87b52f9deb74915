// The accounts each key has read in the last ten minutes, counted in the database: exact over all replicas.
import type { Db } from './client.ts'

/** @returns null: go on; otherwise in how many seconds the next place comes free. @see functions/admit_read.sql */
export async function admitRead(db: Db, keyId: string, accountId: string, cap: number): Promise<number | null> {
  const rows = await db.run(
    'admit_read',
    (sql) => sql<{ waitSeconds: number | null }[]>`select admit_read(${keyId}, ${accountId}, ${cap}) as wait_seconds`,
  )
  return rows[0]?.waitSeconds ?? null
}
