// The way to the database: what a refused connection means, whether a pooler stands in it that was not named, and whether the way past it is one.
import type { Connection } from '../db/connection.ts'
import { backendOf, type Memory, openForReading, read, readMemory } from '../db/examination.ts'
import { remedyOf } from '../db/fault.ts'
import type { DatabaseLink } from '../settings/database-url.ts'
import { type Finding, fault, faultFrom } from './finding.ts'

export const connectMs = 3_000

/** What a refused connection means, in the words that a start has for it. */
export function ofRefusal(error: unknown): Finding {
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? ` (${error.code})` : ''
  const sentence =
    remedyOf(error) ?? `The database cannot be asked${code}: look into the log of PostgreSQL, and at what DATABASE_URL says.`
  return faultFrom(sentence, 'Without its database the service does not start.')
}

/**
 * Two connections that are served by one process of PostgreSQL share it: a pooler hands it from one to the other. What stands between is
 * then compared with what DATABASE_POOLER says.
 */
export async function examineWay(link: DatabaseLink, first: Connection): Promise<Finding[]> {
  const isShared = await sharesSessions(link, first)
  if (isShared && link.pooler !== 'transaction')
    return [
      faultFrom(
        'DATABASE_URL leads through a pooler that gives each transaction another session, as PgBouncer does with pool_mode=transaction: set DATABASE_POOLER=transaction, and DATABASE_DIRECT_URL to the address of PostgreSQL itself.',
        'Settings and prepared statements of one session turn up in another, and statements fail.',
      ),
    ]
  if (link.pooler !== undefined || isShared) return []
  // As the service opens it: a pooler that stands between and was not named refuses that.
  const usual = await openForReading(link, undefined, connectMs).catch((error: unknown) => ofRefusal(error))
  if ('level' in usual) return [usual]
  usual.destroy()
  return []
}

async function sharesSessions(link: DatabaseLink, first: Connection): Promise<boolean> {
  const second = await openForReading(link, 'transaction', connectMs)
  try {
    for (let tries = 0; tries < 3; tries++) if ((await read(first, backendOf)) === (await read(second, backendOf))) return true
    return false
  } finally {
    second.destroy()
  }
}

/** The way past the pooler: it has to be one, and to lead to the same database. */
export async function examineDirect(link: DatabaseLink): Promise<Finding[] | Memory> {
  const why = 'Migrations and commands go this way: they hold a lock that belongs to their session.'
  const asDirect = (finding: Finding) => ({
    ...finding,
    what: finding.what.replaceAll('DATABASE_URL', 'DATABASE_DIRECT_URL'),
    why,
  })
  let connection: Connection | undefined
  try {
    connection = await openForReading(link, 'transaction', connectMs)
    if (await sharesSessions(link, connection))
      return [
        fault(
          'DATABASE_DIRECT_URL leads through a pooler, too.',
          why,
          'Set it to the address of PostgreSQL itself, usually port 5432 of the same host.',
        ),
      ]
    return await read(connection, readMemory)
  } catch (error) {
    return [asDirect(ofRefusal(error))]
  } finally {
    connection?.destroy()
  }
}

export function ofDirect(memory: Memory, direct: Finding[] | Memory): Finding[] {
  if (Array.isArray(direct)) return direct
  if (direct.databaseId === memory.databaseId || !direct.databaseId || !memory.databaseId) return []
  return [
    fault(
      'DATABASE_URL and DATABASE_DIRECT_URL lead to different databases.',
      'One is migrated, and the other one is served.',
      'Set both to the same database, with and without the pooler.',
    ),
  ]
}
