// A database whose service role may do its work and no more, as `cli roles` makes it.
import { openDb } from '../../src/db/client.ts'
import { grantRole } from '../../src/db/roles.ts'

export const serviceRole = 'tiktok_oauth_service'

/** @returns the database's URL for the service; `ownerUrl` stays what commands use */
export async function restrictService(ownerUrl: string): Promise<string> {
  const db = openDb({ url: ownerUrl, poolSize: 1 })
  await grantRole(db, serviceRole, 'only-in-tests').finally(() => db.close())
  return Object.assign(new URL(ownerUrl), { username: serviceRole, password: 'only-in-tests' }).href
}
