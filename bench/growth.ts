// Two days of a hundred thousand, a million and ten million accounts, minute by minute, with the costs that the last report measured: when
// tokens fall due, what is read, and what of it all runs out first. `npm run bench -- growth [--reads 10] [--peak 2.5]`
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { Figure } from './results.ts'

const { values } = parseArgs({
  options: {
    /** of each account in a day */
    reads: { type: 'string', default: '10' },
    /** the busiest hour beside the mean */
    peak: { type: 'string', default: '2.5' },
  },
})
const [readsADay, peak] = [Number(values.reads), Number(values.peak)]
const minutesADay = 1440
const lifetimeMinutes = minutesADay
/** As refresh_due_at.sql has it for a token that is read: a quarter of an hour before its end, of which up to a half is jitter. */
const dueFrom = lifetimeMinutes - 15
const dueTo = lifetimeMinutes - 7

const { figures, date } = JSON.parse(readFileSync(resolve(import.meta.dirname, '../docs/benchmarks.json'), 'utf8')) as {
  date: string
  figures: Figure[]
}
const cost = {
  tokenServiceMs: figure('processor of the service for a token, 50 connections') / 1000,
  tokenPostgresMs: figure('processor of PostgreSQL for a token, 50 connections') / 1000,
  refreshServiceMs: figure('processor of the service for a refresh'),
  refreshPostgresMs: figure('processor of PostgreSQL for a refresh'),
  gibOfAMillionReads: figure('disk for a million reads in the audit'),
  gibOfAMillionAccounts: figure('disk for a million accounts, their tokens and profiles'),
}
/** An entry of the journal, by `npm run bench -- journal`. */
const journalBytes = 560

console.log(`costs of ${date}; ${readsADay} reads of an account in a day, ${peak} times the mean at the busiest hour\n`)
console.table([100_000, 1_000_000, 10_000_000].map(simulate))

/** People connect when people are awake; so do uploads. */
function busyness(minute: number): number {
  return 1 + (peak - 1) * Math.cos(((minute - 19 * 60) / minutesADay) * 2 * Math.PI) ** 3
}

function simulate(accounts: number): Record<string, string | number> {
  // Whoever connects falls due a lifetime later, at about the same time of the day, and again after that: the wave comes again each day.
  const due = new Float64Array(4 * minutesADay)
  for (let minute = 0; minute < minutesADay; minute++)
    spread(due, minute, (accounts / minutesADay) * Math.max(0, busyness(minute)))
  for (let minute = 0; minute < due.length; minute++) spread(due, minute, due[minute] ?? 0)
  const worst = { refreshes: 0, reads: 0, service: 0, postgres: 0 }
  for (let minute = minutesADay; minute < 3 * minutesADay; minute++) {
    const refreshes = (due[minute] ?? 0) / 60
    const reads = ((accounts * readsADay) / minutesADay / 60) * Math.max(0, busyness(minute))
    worst.refreshes = Math.max(worst.refreshes, refreshes)
    worst.reads = Math.max(worst.reads, reads)
    worst.service = Math.max(worst.service, (refreshes * cost.refreshServiceMs + reads * cost.tokenServiceMs) / 1000)
    worst.postgres = Math.max(worst.postgres, (refreshes * cost.refreshPostgresMs + reads * cost.tokenPostgresMs) / 1000)
  }
  const readsKept = (accounts * readsADay * 90) / 1e6
  const refreshesADay = due.subarray(2 * minutesADay, 3 * minutesADay).reduce((sum, n) => sum + n, 0)
  return {
    accounts,
    'refreshes a second, most': Math.round(worst.refreshes),
    'reads a second, most': Math.round(worst.reads),
    'cores of the service': worst.service.toFixed(2),
    'cores of PostgreSQL': worst.postgres.toFixed(2),
    'replicas at 60 %': Math.max(2, Math.ceil(worst.service / 0.6)),
    'accounts, GiB': ((accounts / 1e6) * cost.gibOfAMillionAccounts).toFixed(1),
    'audit of 90 days, GiB': (readsKept * cost.gibOfAMillionReads).toFixed(0),
    'journal of a week, GiB': ((refreshesADay * 7 * journalBytes) / 2 ** 30).toFixed(0),
  }
}

function spread(due: Float64Array, minute: number, count: number): void {
  const [from, to] = [minute + dueFrom, minute + dueTo]
  for (let at = from; at < to && at < due.length; at++) due[at] = (due[at] ?? 0) + count / (to - from)
}

function figure(what: string): number {
  const found = figures.find((one) => one.what === what)
  if (!found) throw new Error(`docs/benchmarks.json lacks "${what}": run \`npm run bench -- all\` first`)
  return found.value
}
