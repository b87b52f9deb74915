// The role under which the service may do its work and no more: created and given its rights by the owner of the tables.
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Db } from './client.ts'

/** @param password none leaves the one there is */
export async function grantRole(db: Db, role: string, password?: string): Promise<void> {
  const grants = await readFile(new URL('roles.sql', import.meta.url), 'utf8')
  const statements = [`select set_config('service.role', ${literal(role)}, true)`, grants]
  if (password !== undefined)
    statements.push(
      `do $$ begin execute format('alter role %I password %L', current_setting('service.role'), '${scramSecret(password)}'); end $$`,
    )
  // One message is one transaction.
  await db.run('grant_role', (sql) => sql.unsafe(statements.join(';\n')))
}

/** The server is given what it would store, as psql's \password does: the password itself would stand in its log of statements. */
function scramSecret(password: string): string {
  const salt = randomBytes(16)
  const iterations = 4096
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256')
  const hmac = (text: string) => createHmac('sha256', salted).update(text).digest()
  const stored = createHash('sha256').update(hmac('Client Key')).digest('base64')
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${stored}:${hmac('Server Key').toString('base64')}`
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
