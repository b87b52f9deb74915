// `npm run drill -- no-journal`: a backup is restored and every journal is gone. The brake has to hold after a few accounts with nobody
// marked, and `accounts reconcile` has to say who is fine and who must come back.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import { eventually } from '../test/rig/eventually.ts'
import { copyDatabase, restoreDatabase } from '../test/rig/restore-drill.ts'
import type { Rig } from '../test/rig/rig.ts'

/** How long the replicas run with what was restored before anybody looks. */
const watchedSeconds = 60
const cli = join(import.meta.dirname, '../src/cli.ts')

/** @param accounts of which all but a tenth are refreshed after the backup */
export async function noJournalDrill(rig: Rig, databaseUrl: string, accounts: number, say: (line: string) => void) {
  const wrong: string[] = []
  const names = ['one', 'two', 'three']
  const start = (suffix: string) => Promise.all(names.map((name) => rig.start(`${name}${suffix}`, { preloads: [] })))
  const seeded = await rig.seed({ count: accounts, secondsLeft: 3600 })
  let replicas = await start('')
  await copyDatabase(databaseUrl, 'backup')
  const spent = seeded.slice(0, Math.floor(accounts * 0.9))
  for (const { id } of spent) {
    const replica = replicas[0]
    if (!replica) throw new Error('three were started')
    const { status } = await rig.call(replica, 'POST', `/accounts/${id}/token/rejected`, { generation: 1 })
    if (status !== 200) wrong.push(`refresh of ${id} was answered ${status}`)
  }
  say(`backup taken, then ${spent.length} of ${accounts} accounts were refreshed`)
  for (const replica of replicas) replica.signal('SIGKILL')
  await Promise.all(replicas.map((replica) => replica.ended()))
  await restoreDatabase(databaseUrl, 'backup')

  // All of them are due at once, which is the worst that a restore can find.
  await rig.sql`update token_sets set access_expires_at = now() - interval '1 minute', due_at = now()`
  const { double_spend_count: before } = rig.tiktok.stats.report()
  const restoredAt = performance.now()
  replicas = await start('-new')
  const [first] = replicas
  if (!first) throw new Error('three were started')
  await eventually(
    'the brake holds',
    async () => {
      const [row] = await rig.sql`select failures from circuit_breakers where name = 'token_refused'`
      return Number(row?.failures ?? 0) > 0
    },
    60_000,
  )
  const heldAfter = (performance.now() - restoredAt) / 1000
  const askedUntilThen = rig.tiktok.stats.report().double_spend_count - before
  say(`the brake holds after ${askedUntilThen} refusals; a minute is watched`)
  await pause(watchedSeconds * 1000)
  const asked = rig.tiktok.stats.report().double_spend_count - before
  const marked = async () => {
    const [row] = await rig.sql`select count(*)::int as n from accounts where status <> 'active'`
    return Number(row?.n)
  }
  const events = async () => {
    const [row] = await rig.sql`select count(*)::int as n from events where type <> 'account.connected'`
    return Number(row?.n)
  }
  const markedThen = await marked()
  const eventsThen = await events()
  if (asked > 22) wrong.push(`${asked} accounts were asked, and not twenty and a probe or two`)
  if (markedThen > 0) wrong.push(`${markedThen} accounts were marked while the brake held`)
  if (eventsThen > 0) wrong.push(`${eventsThen} events went out`)

  const run = promisify(execFile)
  const env = { ...rig.environment('operator'), PATH: process.env.PATH ?? '' }
  const reconciled = await run(process.execPath, [cli, 'accounts', 'reconcile', '--per-second', '50', '--json'], {
    env,
    maxBuffer: 64 * 2 ** 20,
  })
  const { counts } = JSON.parse(reconciled.stdout) as { counts: { outcome: string; reason: string | null; count: number }[] }
  for (const { outcome, reason, count } of counts) say(`reconcile: ${outcome} ${reason ?? ''} ${count}`)
  const eventsBeforeNotify = await events()
  if (eventsBeforeNotify > 0) wrong.push('reconcile told people without --notify')
  const table: [string, string][] = [
    ['accounts with a spent refresh token', `${spent.length} of ${accounts}`],
    ['asked until the brake held', `${askedUntilThen} in ${heldAfter.toFixed(1)} s`],
    [`asked after ${watchedSeconds} s more`, String(asked)],
    ['marked by then', String(markedThen)],
    ['events by then', String(eventsThen)],
    ...counts.map(({ outcome, reason, count }): [string, string] => [
      `reconcile: ${outcome} ${reason ?? ''}`.trim(),
      String(count),
    ]),
    ['marked after reconcile', String(await marked())],
    ['events without --notify', String(eventsBeforeNotify)],
  ]
  return { table, wrong }
}
