// The audit's own seal: when a day is over, a hash over its rows and the day before is sealed. Whoever changes, adds or takes away a row
// later has to know the vault's keys to hide it (S76).
import { createHash } from 'node:crypto'
import { type AuditDay, closeAuditDay, listAuditDays, openAuditDays, readTrailOfDay, type TrailEntry } from '../db/audit-trail.ts'
import type { Db } from '../db/client.ts'
import { ServiceError } from '../errors.ts'
import type { Vault } from '../vault/vault.ts'

export type Verdict = 'ok' | 'changed' | 'not_ours' | 'missing' | 'dropped'

interface ChainDeps {
  db: Db
  vault: Vault
}

/** Closes the days that are over. @returns how many */
export async function closeAuditDays({ db, vault }: ChainDeps): Promise<number> {
  const days = await openAuditDays(db)
  if (days.length === 0) return 0
  let before = (await listAuditDays(db)).at(-1)?.hash ?? ''
  for (const day of days) {
    const { rows, hash } = await hashOf(db, day, before)
    const sealedHash = vault.seal({ purpose: 'audit', subject: day, generation: rows }, hash)
    await closeAuditDay(db, { day, rows, hash, sealedHash })
    before = hash
  }
  return days.length
}

/**
 * Counts every closed day again. Of days whose rows retention has dropped only the seal is left to look at.
 *
 * @param keptSince the first day whose rows are all there
 */
export async function* verifyAudit(
  { db, vault }: ChainDeps,
  keptSince: string,
): AsyncGenerator<{ day: string; rows: number; verdict: Verdict }> {
  let before: AuditDay | undefined
  for (const closed of await listAuditDays(db)) {
    for (let day = next(before?.day ?? closed.day); before && day < closed.day; day = next(day))
      yield { day, rows: 0, verdict: 'missing' }
    yield { day: closed.day, rows: closed.rows, verdict: await judge({ db, vault }, closed, before?.hash ?? '', keptSince) }
    before = closed
  }
}

async function judge({ db, vault }: ChainDeps, closed: AuditDay, before: string, keptSince: string): Promise<Verdict> {
  try {
    if (vault.open({ purpose: 'audit', subject: closed.day, generation: closed.rows }, closed.sealedHash) !== closed.hash)
      return 'not_ours'
  } catch (error) {
    if (error instanceof ServiceError) return 'not_ours'
    throw error
  }
  if (closed.day < keptSince) return 'dropped'
  const { rows, hash } = await hashOf(db, closed.day, before)
  return rows === closed.rows && hash === closed.hash ? 'ok' : 'changed'
}

async function hashOf(db: Db, day: string, before: string): Promise<{ rows: number; hash: string }> {
  const chain = createHash('sha256').update(`${day} ${before}\n`)
  let rows = 0
  await readTrailOfDay(db, day, (entries) => {
    rows += entries.length
    for (const entry of entries) chain.update(`${lineOf(entry)}\n`)
  })
  return { rows, hash: chain.digest('hex') }
}

function lineOf({
  source,
  key,
  atMicros,
  action,
  actor,
  object,
  code,
  generation,
  degraded,
  viaSessionId,
  viaKeyId,
  requestId,
}: TrailEntry): string {
  return JSON.stringify([
    source,
    key,
    atMicros,
    action,
    actor,
    object,
    code,
    generation,
    degraded,
    viaSessionId,
    viaKeyId,
    requestId,
  ])
}

function next(day: string): string {
  return new Date(Date.parse(`${day}T00:00:00Z`) + 86_400_000).toISOString().slice(0, 10)
}
