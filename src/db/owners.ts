// The statements of owners: whoever the web app connects accounts for, and the tier that says how many.

import { ownerInAuditLog } from './audit.ts'
import type { Db } from './client.ts'
import type { owners, Row } from './schema.ts'

export type OwnerRow = Row<typeof owners, 'id' | 'tier'> & { accountsConnected: number }

/** Who sets a tier decides how many accounts an owner may have: a change is in the audit log. */
export async function saveOwner(db: Db, id: string, tier: string, actor: string): Promise<void> {
  await db.run(
    'save_owner',
    (sql) => sql`
      with saved as (
        insert into owners (id, tier) values (${id}, ${tier})
        on conflict (id) do update set tier = excluded.tier, updated_at = now() where excluded.tier is distinct from owners.tier
        returning tier
      )
      insert into audit_log (actor, action, object, detail) select ${actor}, 'tier_set', ${ownerInAuditLog(id)}, tier from saved`,
  )
}

export async function findOwner(db: Db, id: string): Promise<OwnerRow | undefined> {
  const rows = await db.run(
    'find_owner',
    (sql) => sql<OwnerRow[]>`
      select o.id, o.tier, (select count(*)::int from accounts a where a.owner_id = o.id and a.status <> 'disconnected') as accounts_connected
      from owners o where o.id = ${id}`,
  )
  return rows[0]
}

/** Owns the tombstones of erased owners. No caller may name it, and none is told it: answers say null. */
export const noOwner = '(erased)'

/** Oldest first. */
export async function liveAccountsOf(db: Db, ownerId: string, limit: number): Promise<string[]> {
  const rows = await db.run(
    'live_accounts_of_owner',
    (sql) => sql<{ id: string }[]>`
      select id from accounts where owner_id = ${ownerId} and status <> 'disconnected' order by id limit ${limit}`,
  )
  return rows.map(({ id }) => id)
}

/**
 * Forgets an owner: connect sessions, tier, and whose the tombstones were.
 *
 * @returns false, with the owner kept, when an account is live (again): disconnect it first
 * @see functions/erase_owner.sql
 */
export async function eraseOwner(db: Db, ownerId: string): Promise<boolean> {
  const rows = await db.run(
    'erase_owner',
    (sql) => sql<{ erased: boolean }[]>`select erase_owner(${ownerId}, ${noOwner}) as erased`,
  )
  return rows[0]?.erased ?? false
}
