// The statements of owners: whoever the web app connects accounts for, and the tier that says how many.
import type { Db } from './client.ts'

export interface OwnerRow {
  id: string
  tier: string | null
  accountsConnected: number
}

/** @param tier null leaves what is there */
export async function saveOwner(db: Db, id: string, tier: string | null): Promise<void> {
  await db.run(
    'save_owner',
    (sql) => sql`
      insert into owners (id, tier) values (${id}, ${tier})
      on conflict (id) do update set tier = coalesce(excluded.tier, owners.tier), updated_at = now()
      where excluded.tier is not null and excluded.tier is distinct from owners.tier`,
  )
}

export async function findOwner(db: Db, id: string): Promise<OwnerRow | undefined> {
  const rows = await db.run(
    'find_owner',
    (sql) => sql<OwnerRow[]>`
      select o.id, o.tier, (select count(*)::int from accounts a where a.owner_id = o.id and a.status <> 'disconnected') as "accountsConnected"
      from owners o where o.id = ${id}`,
  )
  return rows[0]
}
