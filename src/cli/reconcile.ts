// `accounts reconcile`: who is fine, who must come back and who is unknown, after a restore without a journal.

import type { Db } from '../db/client.ts'
import { countReconciled, countUntried, listReconciled, type Reconciled, type Reconciliation } from '../db/reconciliations.ts'
import { ServiceError } from '../errors.ts'
import { onParts, operator } from './database.ts'
import { print, say, startProgress, Unfinished } from './terminal.ts'

const pageSize = 1000

export async function reconcileAccounts(wish: {
  dryRun: boolean
  again: boolean
  notify: boolean
  json: boolean
  perSecond: number
}): Promise<void> {
  const { reconcile } = await import('../operate/reconcile.ts')
  return onParts(async (parts) => {
    await parts.keyring.check()
    if (!parts.keyring.fits)
      throw new ServiceError('keyring_mismatch', 'VAULT_KEYS has to be that of the service: nothing was tried.')
    const stopping = new AbortController()
    // A refresh token is spent the moment TikTok reads it: what is in flight has to be recorded first.
    const stop = () => {
      say('Finishing what is in flight; run the same command again to go on.')
      stopping.abort()
    }
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop)
    const progress = startProgress(wish.dryRun ? 'looking' : 'trying')
    const { run, announced } = await reconcile(
      parts,
      { ...wish, actor: operator, stopping: stopping.signal },
      progress.show,
    ).finally(() => progress.end())
    await tell(parts.db, run, announced, wish.json)
    if (run.endedAt === null) throw new Unfinished()
  })
}

async function tell(db: Db, run: Reconciliation, announced: number, json: boolean): Promise<void> {
  const counts = await countReconciled(db, run)
  const untried = run.endedAt === null ? await countUntried(db, run) : 0
  if (json) {
    const accounts: ReturnType<typeof lineOf>[] = []
    await eachPage(db, run, (rows) => accounts.push(...rows.map(lineOf)))
    print(
      JSON.stringify({
        id: run.id,
        dry_run: run.dryRun,
        began_at: run.beganAt,
        ended_at: run.endedAt,
        untried,
        counts,
        announced,
        accounts,
      }),
    )
    return
  }
  await eachPage(db, run, (rows) => {
    for (const row of rows)
      print(
        Object.values(lineOf(row))
          .map((value) => value ?? '-')
          .join('\t'),
      )
  })
  const table = [
    ['outcome', 'reason', 'accounts'],
    ...counts.map(({ outcome, reason, count }) => [outcome, reason ?? '-', `${count}`]),
  ]
  for (const [outcome = '', reason = '', count = ''] of table) print(`${outcome.padEnd(15)}${reason.padEnd(26)}${count}`)
  if (untried > 0) print(`${'untried'.padEnd(41)}${untried}`)
  if (announced > 0) print(`${announced} events went out`)
  if (run.endedAt !== null)
    say(`This run is over since ${run.endedAt.toISOString()}; --again begins another, --notify tells who must come back.`)
}

const lineOf = ({ accountId, ownerId, outcome, reason, lastReadAt, announcedAt }: Reconciled) => ({
  account_id: accountId,
  owner_id: ownerId,
  outcome,
  reason,
  last_read_at: lastReadAt?.toISOString() ?? null,
  announced_at: announcedAt?.toISOString() ?? null,
})

async function eachPage(db: Db, run: Reconciliation, use: (rows: Reconciled[]) => void): Promise<void> {
  for (let after = 0; ; after += pageSize) {
    const rows = await listReconciled(db, run, after, pageSize)
    use(rows)
    if (rows.length < pageSize) return
  }
}
