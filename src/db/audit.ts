// What operators ask of the audit, read with a cursor: an answer may be longer than memory.
import { hash } from 'node:crypto'
import type { Db } from './client.ts'
import type { Row, timeline, tokenReads } from './schema.ts'

/** One access token that was handed out. */
export type TokenRead = Row<typeof tokenReads>

/** One change: of an account (its timeline) or of what belongs to none (the operator audit log). */
export type Change = Row<typeof timeline, 'at' | 'actor' | 'code' | 'viaSessionId' | 'viaKeyId' | 'requestId'> & {
  action: string
  /** the account, the connect session whose grant was refused, the API key, the vault key, or an owner by its hash */
  object: string
}

export interface Span {
  from: Date | null
  to: Date | null
}

/** An owner by the hash of its id: the audit log is never changed, so it must not hold what has to be erased one day. */
export function ownerInAuditLog(ownerId: string): string {
  return `owner:${hash('sha256', ownerId, 'hex').slice(0, 32)}`
}

const rowsAtOnce = 500
/** Whoever pipes an answer into a pager may take an hour over it. */
const patience = { deadlineMs: 3_600_000 }

/** Oldest first; `from` is included, `to` is not. @returns how many there were */
export async function readTokenReads(
  db: Db,
  filter: Span & { keyId: string | null; accountId: string | null },
  take: (reads: TokenRead[]) => Promise<void>,
): Promise<number> {
  const { keyId, accountId, from, to } = filter
  return db.run(
    'read_token_reads',
    async (sql) => {
      let count = 0
      const query = sql<TokenRead[]>`
        select at, key_id, account_id, generation, degraded, request_id from token_reads
        where ${keyId === null ? sql`true` : sql`key_id = ${keyId}`} and ${accountId === null ? sql`true` : sql`account_id = ${accountId}`}
          and ${from === null ? sql`true` : sql`at >= ${from}`} and ${to === null ? sql`true` : sql`at < ${to}`}
        order by at, request_id`
      for await (const reads of query.cursor(rowsAtOnce)) {
        count += reads.length
        await take(reads)
      }
      return count
    },
    patience,
  )
}

/** Oldest first, from the timelines and the operator audit log together. @returns how many there were */
export async function readChanges(
  db: Db,
  filter: Span & { actor: string | null; object: string | null },
  take: (changes: Change[]) => Promise<void>,
): Promise<number> {
  const { actor, object, from, to } = filter
  return db.run(
    'read_changes',
    async (sql) => {
      let count = 0
      const during = sql`${from === null ? sql`true` : sql`at >= ${from}`} and ${to === null ? sql`true` : sql`at < ${to}`}
        and ${actor === null ? sql`true` : sql`actor = ${actor} and actor <> 'service'`}`
      const query = sql<Change[]>`
        select at, seq, actor, kind as action, coalesce(account_id, session_id) as object, code, via_session_id, via_key_id, request_id from timeline
        where ${during} and ${object === null ? sql`true` : sql`(account_id = ${object} or session_id = ${object} or via_session_id = ${object})`}
        union all
        select at, seq, actor, action, object, detail, null, null, null from audit_log
        where ${during} and ${object === null ? sql`true` : sql`object = ${object}`}
        order by at, seq`
      for await (const changes of query.cursor(rowsAtOnce)) {
        count += changes.length
        await take(changes)
      }
      return count
    },
    patience,
  )
}

/** The audit and the timeline have daily partitions: created ahead, dropped when their time is over. */
const daysAhead = 7

export async function ensurePartitions(db: Db): Promise<number> {
  const rows = await db.run(
    'ensure_partitions',
    (sql) => sql<{ made: number }[]>`select ensure_daily_partitions(${daysAhead}) as made`,
  )
  return rows[0]?.made ?? 0
}

export async function dropOldPartitions(db: Db, parent: 'token_reads' | 'timeline', keptDays: number): Promise<number> {
  const rows = await db.run(
    'drop_partitions',
    (sql) => sql<{ dropped: number }[]>`select drop_daily_partitions(${parent}, ${keptDays}) as dropped`,
  )
  return rows[0]?.dropped ?? 0
}

/** @returns how many rows of the audit log were deleted. @see functions/drop_old_audit_log.sql */
export async function dropOldAuditLog(db: Db, keptDays: number, limit: number): Promise<number> {
  const rows = await db.run(
    'drop_old_audit_log',
    (sql) => sql<{ dropped: number }[]>`select drop_old_audit_log(${keptDays}, ${limit}) as dropped`,
  )
  return rows[0]?.dropped ?? 0
}
