// A database whose service role may do its work and no more, as ops/roles.sql makes it.
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import postgres from 'postgres'

const rolesFile = fileURLToPath(new URL('../../ops/roles.sql', import.meta.url))

export const serviceRole = 'tiktok_oauth_service'

/** @returns the database's URL for the service; `ownerUrl` stays what commands use */
export async function restrictService(ownerUrl: string): Promise<string> {
  const sql = postgres(ownerUrl, { max: 1, onnotice: () => {} })
  try {
    await sql.unsafe(await readFile(rolesFile, 'utf8'))
    await sql.unsafe(`alter role ${serviceRole} password 'only-in-tests'`)
  } finally {
    await sql.end()
  }
  const url = new URL(ownerUrl)
  url.username = serviceRole
  url.password = 'only-in-tests'
  return url.href
}
