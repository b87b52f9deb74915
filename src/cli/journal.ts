// `journal`: what lies in JOURNAL_DIR, and a restored database brought up to date by hand where the replicas cannot do it alone.
import { acceptMissing, beginRecovery, type Recovery, readRecovery } from '../db/recoveries.ts'
import { readSegment } from '../journal/disk.ts'
import { countsOf, type RecoveryReport } from '../journal/recovery.ts'
import { openFrame } from '../journal/sealing.ts'
import { onParts, operator } from './database.ts'
import { nothingMore, parse, print, say, startProgress, Unfinished, UsageError, wholeNumber } from './terminal.ts'

export async function journal(argv: string[]): Promise<void> {
  const { values, positionals } = parse(argv, {
    json: { type: 'boolean', default: false },
    'accept-missing': { type: 'boolean', default: false },
    hours: { type: 'string' },
    wait: { type: 'string', default: '45' },
  })
  nothingMore(positionals.slice(1))
  switch (positionals[0]) {
    case 'status':
      return status(values.json)
    case 'replay':
      return replay({
        json: values.json,
        acceptMissing: values['accept-missing'],
        patienceMs: wholeNumber('--wait', values.wait, 0, 86_400) * 1000,
      })
    case 'export':
      return exportEntries()
    case 'prune':
      return prune(values.hours)
    default:
      throw new UsageError('journal knows status, replay, export and prune.')
  }
}

/** @throws Unfinished while a recovery waits, or when something cannot be read */
async function status(json: boolean): Promise<void> {
  return onParts(async ({ journal, db }) => {
    const journals = (await journal.journals()).filter(({ id }) => id !== journal.id)
    const { entries, unreadable } = await journal.pending()
    const recovery = await readRecovery(db)
    const isOpen = recovery !== undefined && recovery.endedAt === null
    const rows = journals.map(({ id, segments, alive }) => ({
      id,
      state: alive ? 'written' : 'of a process that is gone',
      segments: segments.length,
      bytes: segments.reduce((sum, { bytes }) => sum + bytes, 0),
      oldest: isoOf(Math.min(...segments.map(({ changedAtMs }) => changedAtMs))),
      newest: isoOf(Math.max(...segments.map(({ changedAtMs }) => changedAtMs))),
    }))
    if (json)
      print(
        JSON.stringify({
          directory: journal.dir,
          journals: rows,
          unrecorded: entries.length,
          unreadable,
          recovery: recovery ?? null,
        }),
      )
    else {
      table([
        ['journal', 'state', 'segments', 'MiB', 'last entries from', 'to'],
        ...rows.map((row) => [row.id, row.state, `${row.segments}`, (row.bytes / 2 ** 20).toFixed(1), row.oldest, row.newest]),
      ])
      print(`${entries.length} entries are not in the database yet`)
      for (const { journalId, segment, reason, entries } of unreadable)
        print(`segment ${segment} of ${journalId} ${reason} (${entries} entries)`)
      if (recovery) describeRecovery(recovery)
      else print('The database was never brought up to date by a journal.')
    }
    if (isOpen || unreadable.length > 0) throw new Unfinished()
  })
}

function describeRecovery({ id, reason, beganAt, endedAt, rewoundTo, journals }: Recovery): void {
  const to = rewoundTo === null ? '' : `, the database remembers nothing after ${rewoundTo.toISOString()}`
  print(
    `${id} (${reason}) began ${beganAt.toISOString()}${to}; ${endedAt ? `over since ${endedAt.toISOString()}` : 'it is open: nothing is spent'}`,
  )
  for (const { journalId, state, lastSeenAt } of journals) {
    const seen = lastSeenAt === null ? '' : `, last seen ${lastSeenAt.toISOString()}`
    print(`  ${journalId}: ${state}${seen}`)
    if (state === 'protected' && endedAt === null)
      print('    not finished: start its replica, or run `journal replay` where its JOURNAL_DIR is')
    if (state === 'awaited' && endedAt === null)
      print(
        '    missing: start its replica, or run `journal replay` where its JOURNAL_DIR is; `--accept-missing` goes on without it',
      )
  }
}

/** Takes part in the open recovery, or begins one, which replicas that run join within seconds; harmless when there is nothing to do. */
async function replay({
  json,
  acceptMissing: accepts,
  patienceMs,
}: {
  json: boolean
  acceptMissing: boolean
  patienceMs: number
}): Promise<void> {
  return onParts(async ({ journal, db, recoverer, keyring }) => {
    await keyring.check()
    if (!keyring.fits) throw new UsageError('VAULT_KEYS has to be that of the service: nothing was replayed.')
    const { id } = await beginRecovery(db, { reason: 'by_operator', journalId: journal.id, rewoundTo: null })
    const progress = startProgress('replaying')
    const take = (gatheringSeconds?: number) =>
      recoverer.take(id, {
        mark: 0,
        actor: operator,
        patienceMs,
        ...(gatheringSeconds === undefined ? {} : { gatheringSeconds }),
        onProgress: (doing, done, total) => progress.show(done, total, doing),
      })
    let report = await take().finally(() => progress.end())
    const missing = awaitedOf(report)
    if (missing.length > 0 && accepts) {
      const accepted = await acceptMissing(db, id, operator)
      for (const each of accepted)
        say(`going on without ${each}: accounts whose newest token was there have to be connected again`)
      report = await take(0)
    }
    tell(report, json)
    if (report.recovery?.endedAt === null) throw new Unfinished()
  })
}

const awaitedOf = ({ recovery }: RecoveryReport) =>
  recovery?.journals.filter(({ state }) => state === 'awaited' || state === 'protected') ?? []

function tell(report: RecoveryReport, json: boolean): void {
  const { recovery, tally, seconds } = report
  const counts = countsOf(tally)
  if (json) {
    const { withoutGrant, unreadable } = tally
    print(JSON.stringify({ recovery, counts, accountsWithoutGrant: withoutGrant, unreadable, seconds }))
    return
  }
  table([
    ['entries read', `${tally.entriesRead}`],
    ['token sets brought forward', `${tally.tokensRestored}`],
    ['accounts made whole from their connect', `${tally.accountsRestored}`],
    ['disconnects done again', `${tally.disconnectsRestored}`],
    ['owners erased again', `${tally.ownersErased}`],
    ['API keys revoked again', `${tally.keysRevoked}`],
    ['accounts known by their token only', `${tally.withoutGrant.length}`],
    ['entries that cannot be read', `${counts.entriesUnreadable}`],
    ['seconds', seconds.toFixed(1)],
  ])
  for (const accountId of tally.withoutGrant) print(`known by its token only: ${accountId}`)
  for (const { journalId, segment, reason } of tally.unreadable) print(`segment ${segment} of ${journalId} ${reason}`)
  if (recovery) describeRecovery(recovery)
}

/** What happened, without what is secret: a line of JSON for each entry. */
async function exportEntries(): Promise<void> {
  return onParts(async ({ journal, vault }) => {
    for (const { id, segments } of await journal.journals()) {
      for (const file of segments) {
        const segment = await readSegment(file)
        for (const frame of segment?.frames ?? []) {
          if (frame.kind === 'recorded') continue
          const { kind, subject, generation, sequence, atMs } = frame
          const line = {
            journal: id,
            segment: file.number,
            sequence,
            at: new Date(atMs).toISOString(),
            kind,
            subject,
            generation,
          }
          print(JSON.stringify({ ...line, readable: opens(() => openFrame(vault, id, frame)) }))
        }
      }
    }
  })
}

function opens(work: () => unknown): boolean {
  try {
    work()
    return true
  } catch {
    return false
  }
}

async function prune(hours: string | undefined): Promise<void> {
  return onParts(async ({ journal, config }) => {
    const kept = hours === undefined ? config.journal.hours : wholeNumber('--hours', hours, 1, 8760)
    const before = await journal.measure()
    await journal.keepHouse(kept)
    const after = await journal.measure()
    print(`${before.segments - after.segments} segments older than ${kept} h are gone, ${after.segments} are left`)
  })
}

const isoOf = (ms: number) => (Number.isFinite(ms) ? new Date(ms).toISOString().slice(0, 19) : '-')

function table(rows: string[][]): void {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? []
  for (const row of rows)
    print(
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
}
