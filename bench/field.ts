// `npm run field -- --minutes 20`: three replicas among real parts (test/rig/field.ts), whose parts are restarted, killed and promoted in turn
// while people connect and callers read, refresh and reserve. A table says which calls failed and for how long; exit code 1 when anything was lost.
import { writeFile } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Agent, setGlobalDispatcher } from 'undici'
import { eventually } from '../test/rig/eventually.ts'
import { type Field, layOutField, missing, names } from '../test/rig/field.ts'
import { startFieldLoad } from '../test/rig/field-load.ts'
import { violations } from '../test/rig/invariants.ts'
import { rotate } from '../test/rig/rotate.ts'
import { alarms } from '../test/rig/soak.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '20' },
    rate: { type: 'string', default: '25' },
    accounts: { type: 'string', default: '100' },
    quiet: { type: 'string', default: '10' },
    only: { type: 'string' },
    logs: { type: 'string' },
  },
})
for (const word of missing) console.error(word)
if (missing.length > 0) process.exit(1)

/** Accounts whose refresh a SIGKILL interrupted: whether TikTok had answered nobody can know any more. */
const interrupted = new Set<string>()

const misfortunes: Record<string, (field: Field, round: number) => Promise<void>> = {
  'PostgreSQL restarts (fast)': ({ primary }) => primary.restart('fast'),
  'PostgreSQL restarts (immediate)': ({ primary }) => primary.restart('immediate'),
  'PgBouncer restarts': ({ pooler }) => pooler.restart(),
  'Redis is away for 3 s': async ({ redis }) => {
    await redis.stop()
    await pause(3_000)
    redis.start()
  },
  'HAProxy reloads': async ({ haproxy }) => haproxy.reload(),
  'a replica ends (SIGTERM)': async (field, round) => {
    const name = names[round % 3] ?? 'one'
    await field.end(name, 'SIGTERM')
    await pause(2_000)
    await field.start(name)
  },
  'a replica is killed (SIGKILL)': async (field, round) => {
    const name = names[(round + 1) % 3] ?? 'one'
    await field.end(name, 'SIGKILL')
    for (const { id } of await field.rig.sql<{ id: string }[]>`
      select account_id as id from token_sets where attempt_id is not null`)
      interrupted.add(id)
    await field.start(name)
  },
  'the standby is promoted': (field) => field.promote(),
  'the lost server comes back as standby': (field) => field.rebuildStandby(),
  'rolling restart of all three': async (field) => {
    for (const name of names) {
      await field.end(name, 'SIGTERM')
      await field.start(name)
      await allThere(field)
    }
  },
}
const chosen = Object.keys(misfortunes).filter(
  (name) => values.only === undefined || values.only.split(',').some((word) => name.includes(word)),
)

interface Row {
  times: number
  calls: number
  failed: Map<string, number>
  /** of each time: until all calls were answered again */
  seconds: number[]
  stallSeconds: number
}
const newRow = (): Row => ({ times: 0, calls: 0, failed: new Map(), seconds: [], stallSeconds: 0 })
const rows = new Map<string, Row>()
const wrong: string[] = []
const stopped = new Promise<never>((_, reject) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => reject(new Error(`ended early by ${signal}`)))
})
stopped.catch(() => {}) // it may come where nobody waits for it
const endings: (() => unknown)[] = []
try {
  const field = await layOutField({ teardown: (end) => endings.push(end) })
  setGlobalDispatcher(new Agent({ connect: { ca: field.rootCertificate } }))
  const { rig, died } = field
  const seeded = await rig.seed({ count: Number(values.accounts), secondsLeft: 7200 })
  await Promise.all(names.map(field.start))
  await allThere(field)

  const load = startFieldLoad(rig, { url: field.haproxy.url }, Number(values.rate))
  endings.push(load.stop)
  const giveUpAt = performance.now() + Number(values.minutes) * 60_000
  for (let round = 0; performance.now() < giveUpAt; round++) {
    for (const name of ['nothing happens', ...chosen]) {
      if (performance.now() > giveUpAt) break
      const slot = load.during(async () => {
        await misfortunes[name]?.(field, round)
        await allThere(field)
        await pause(Number(values.quiet) * 1000)
      })
      slot.catch(() => {}) // it may still fail when an early end takes its parts away
      const { calls, failed, lastFailureMs, stallMs } = await Promise.race([slot, stopped])
      const row = rows.get(name) ?? newRow()
      row.times++
      row.calls += calls
      for (const [code, count] of failed) row.failed.set(code, (row.failed.get(code) ?? 0) + count)
      row.seconds.push(lastFailureMs / 1000)
      row.stallSeconds = Math.max(row.stallSeconds, stallMs / 1000)
      rows.set(name, row)
      console.log(`${name}: ${calls} calls, ${told(failed)}, the last after ${(lastFailureMs / 1000).toFixed(1)} s`)
    }
  }
  const connected = await load.stop()

  for (const { id } of rig.accounts) {
    const { read, status, code } = await rotate(rig, { url: field.haproxy.url }, id)
    if (status !== 200 && !interrupted.has(id)) wrong.push(`${id} was answered ${read.status} and then ${status} ${code}`)
  }
  const down: Record<string, string> = {}
  for (const id of interrupted) {
    const { reason } = await rig.statusOf(id)
    if (reason === 'refresh_outcome_unknown') down[id] = reason
  }
  wrong.push(...(await violations(rig, { excused: [...interrupted], down })))
  for (const name of names) await field.end(name, 'SIGTERM')
  if (values.logs !== undefined) await writeFile(values.logs, rig.logs())
  const lines = rig.logs().split('\n')
  for (const alarm of alarms) {
    const line = lines.find((text) => text.includes(alarm))
    if (line) wrong.push(`in the logs: ${line}`)
  }
  const { double_spend_count: twice, refreshes_processed: refreshes } = rig.tiktok.stats.report()
  const lost = await rig.sql`select id from accounts where status <> 'active'`

  const figure = (value = 0) => (value === 0 ? '-' : `${value.toFixed(1)} s`)
  const columns = [
    'misfortune',
    'times',
    'calls',
    'failed',
    'all answered again after',
    'at most',
    'this machine stood still for',
  ]
  console.log(`\n| ${columns.join(' | ')} |\n|${'---|'.repeat(columns.length)}`)
  for (const [name, { times, calls, failed, seconds, stallSeconds }] of rows) {
    const sorted = seconds.toSorted((a, b) => a - b)
    const [typical, longest] = [sorted[Math.floor(sorted.length / 2)], sorted.at(-1)].map(figure)
    console.log(`| ${[name, times, calls, told(failed), typical, longest, figure(stallSeconds)].join(' | ')} |`)
  }
  console.log(`\n${seeded.length} accounts and ${connected} more that were connected meanwhile; ${refreshes} refreshes`)
  console.log(`${died.length} processes died on their own`)
  console.log(`${lost.length} accounts lost, ${Object.keys(down).length} of them by a SIGKILL in the middle of a refresh`)
  console.log(`${twice} refresh tokens presented twice`)
  wrong.push(...died)
  if (lost.length > Object.keys(down).length) wrong.push(`lost: ${lost.map(({ id }) => id).join(', ')}`)
  if (twice > 0) wrong.push(`${twice} refresh tokens were presented twice`)
} catch (error) {
  wrong.push(String(error))
} finally {
  for (const end of endings.toReversed()) await end()
}
for (const line of wrong.slice(0, 30)) console.log(`WRONG: ${line}`)
process.exitCode = wrong.length === 0 ? 0 : 1

function allThere({ haproxy }: Field): Promise<void> {
  return eventually('HAProxy sends calls to all three', async () => (await haproxy.up()) === names.length)
}

function told(failed: Map<string, number>): string {
  if (failed.size === 0) return '0'
  return [...failed].map(([code, count]) => `${count} × ${code}`).join(', ')
}
