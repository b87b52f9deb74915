// `audit`: what key K read between A and B, who read account X, who changed what. Results can be long, so they are read and
// written in pieces.
import { once } from 'node:events'
import { type Change, ownerInAuditLog, readChanges, readTokenReads, type TokenRead } from '../db/audit.ts'
import { onDatabase } from './database.ts'
import { moment, parse, say, UsageError } from './terminal.ts'

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
    default:
      throw new UsageError('audit knows reads and changes.')
  }
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
