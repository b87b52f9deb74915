// `audit`: what key K read between A and B, who read account X, who changed what. Results can be long, so they are read and
// written in pieces.
import { once } from 'node:events'
import { type Change, ownerInAuditLog, readChanges, readTokenReads, type TokenRead } from '../db/audit.ts'
import { type Verdict, verifyAudit } from '../operate/audit-chain.ts'
import { keptDays } from '../operate/retention.ts'
import { onDatabase, onVault } from './database.ts'
import { moment, parse, print, say, Unfinished, UsageError } from './terminal.ts'

export async function audit(argv: string[]): Promise<void> {
  const { values, positionals } = parse(argv, {
    key: { type: 'string' },
    actor: { type: 'string' },
    account: { type: 'string' },
    owner: { type: 'string' },
    from: { type: 'string' },
    to: { type: 'string' },
    json: { type: 'boolean', default: false },
  })
  const { account: accountId = null, key: keyId = null, actor = null, json } = values
  const object = values.owner === undefined ? accountId : ownerInAuditLog(values.owner)
  const span = {
    from: values.from === undefined ? null : moment('--from', values.from),
    to: values.to === undefined ? null : moment('--to', values.to),
  }
  switch (positionals[0]) {
    case 'reads':
      if (keyId === null && accountId === null && span.from === null)
        throw new UsageError('audit reads needs --key, --account or --from; without one it would print everything.')
      return onDatabase(async (db) => {
        const write = writer(json, readLine)
        say(`${await readTokenReads(db, { ...span, keyId, accountId }, write)} tokens were handed out`)
      })
    case 'changes':
      if (actor === null && object === null && span.from === null)
        throw new UsageError('audit changes needs --account, --owner, --actor or --from; without one it would print everything.')
      return onDatabase(async (db) => {
        const write = writer(json, changeLine)
        say(`${await readChanges(db, { ...span, actor, object }, write)} changes`)
      })
    case 'verify':
      return verify()
    default:
      throw new UsageError('audit knows reads, changes and verify.')
  }
}

/** Counts the days again and holds them against their seals. Exit code 1: somebody changed the audit. */
async function verify(): Promise<void> {
  return onVault(async (db, vault) => {
    const keptSince = new Date(Date.now() - (keptDays.audit - 1) * 86_400_000).toISOString().slice(0, 10)
    const counts = new Map<Verdict, number>()
    for await (const { day, rows, verdict } of verifyAudit({ db, vault }, keptSince)) {
      counts.set(verdict, (counts.get(verdict) ?? 0) + 1)
      print([day, verdict, `${rows} rows`].join('\t'))
    }
    const bad = (['changed', 'not_ours', 'missing'] as const).filter((verdict) => counts.has(verdict))
    if (bad.length === 0) {
      say(`${counts.get('ok') ?? 0} days are as they were closed; today's is closed an hour after its end`)
      return
    }
    say(
      `The audit was changed past the service (${bad.join(', ')}): keep a copy of the database, and hold these days against AUDIT_STREAM`,
    )
    throw new Unfinished()
  })
}

interface Line {
  at: string
  [field: string]: string | number | boolean | null
}

const readLine = (read: TokenRead): Line => ({
  at: read.at.toISOString(),
  key_id: read.keyId,
  account_id: read.accountId,
  generation: read.generation,
  degraded: read.degraded,
  request_id: read.requestId,
})

const changeLine = (change: Change): Line => ({
  at: change.at.toISOString(),
  actor: change.actor,
  action: change.action,
  object: change.object,
  code: change.code,
  via_session: change.viaSessionId,
  via_key: change.viaKeyId,
  request_id: change.requestId,
})

/** JSON lines, or a table with names in the first line; waits for a slow reader. */
function writer<Row>(json: boolean, lineOf: (row: Row) => Line): (rows: Row[]) => Promise<void> {
  let first = true
  return async (rows) => {
    const lines = rows.map(lineOf)
    const names = Object.keys(lines[0] ?? {})
    const texts = lines.map((line) => (json ? JSON.stringify(line) : Object.values(line).map(cell).join('\t')))
    if (first && !json && names.length > 0) texts.unshift(names.join('\t'))
    first = false
    if (texts.length > 0 && !process.stdout.write(`${texts.join('\n')}\n`)) await once(process.stdout, 'drain')
  }
}

const cell = (value: string | number | boolean | null) => (value === null ? '-' : String(value))
