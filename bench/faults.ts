// `npm run faults -- --rounds 20`: the faults of the tests many times in a row, with figures. `--only storm,kills` picks some.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import postgres from 'postgres'
import { migrate } from '../src/db/migrate.ts'
import { killAt, labels, outage, pauseWithAnswer, storm, underKilledConnections, warmUp } from '../test/rig/faults.ts'
import { type Expected, violations } from '../test/rig/invariants.ts'
import { type Rig, startRig } from '../test/rig/rig.ts'
import { startEmbeddedPostgres } from '../tools/embedded-postgres/embedded.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '20' },
    only: { type: 'string', default: 'storm,slots,kills,pauses,outage,connections' },
    readers: { type: 'string', default: '50' },
  },
})
const rounds = Number(values.rounds)
const chosen = values.only.split(',')

const dataDir = await mkdtemp(join(tmpdir(), 'tiktok-oauth-service-faults-'))
let server = await startEmbeddedPostgres({ dataDir })
await migrate(server.url)
let databases = 0
try {
  if (chosen.includes('storm')) await storms()
  if (chosen.includes('slots')) await slots()
  if (chosen.includes('kills')) await kills()
  if (chosen.includes('pauses')) await pauses()
  if (chosen.includes('connections')) await connections()
  if (chosen.includes('outage')) await stoppedServer()
} finally {
  await server.stop()
  await rm(dataDir, { recursive: true, force: true })
}

/** 10 expired accounts, 3 replicas, as many readers of each account on each replica, TikTok at 40 ms, strict rotation. */
async function storms(): Promise<void> {
  await withRig(async (rig, judge) => {
    rig.tiktok.changeSettings({ latency_ms: 40 })
    const replicas = await Promise.all(['one', 'two', 'three'].map((name) => rig.start(name, { env: { LOG_LEVEL: 'info' } })))
    await warmUp(rig, replicas)
    const table = []
    for (let round = 1; round <= rounds; round++) {
      const before = rig.tiktok.stats.report().refreshes_processed
      const accounts = await rig.seed({ count: 10, secondsLeft: -60 })
      const ids = accounts.map(({ id }) => id)
      const outcome = await storm(rig, replicas, ids, Number(values.readers))
      table.push({ round, processed: rig.tiktok.stats.report().refreshes_processed - before, ...outcome })
    }
    console.log('storms: 10 expired accounts, 3 replicas, TikTok at 40 ms')
    console.table(table)
    await judge({})
  })
}

/** 200 reservations at once for the 20 slots of one account, over 3 replicas (F40). */
async function slots(): Promise<void> {
  await withRig(async (rig, judge) => {
    const replicas = await Promise.all(['one', 'two', 'three'].map((name) => rig.start(name, { env: { LOG_LEVEL: 'info' } })))
    await warmUp(rig, replicas)
    const table = []
    for (let round = 1; round <= rounds; round++) {
      const account = await rig.seedOne({ secondsLeft: 3600 })
      const asked = Array.from({ length: 200 }, (_, i) => {
        const replica = replicas[i % replicas.length]
        if (!replica) throw new Error('There are three replicas')
        const headers = { 'idempotency-key': `slot-${round}-${i}` }
        return rig.call(replica, 'POST', `/accounts/${account.id}/uploads`, undefined, headers)
      })
      const answers = await Promise.all(asked)
      const counted = (status: number) => answers.filter((answer) => answer.status === status).length
      const others = answers.length - counted(201) - counted(429)
      table.push({
        round,
        reserved: counted(201),
        exhausted: counted(429),
        others,
        slowestMs: Math.round(Math.max(...answers.map(({ ms }) => ms))),
      })
    }
    console.log('slots: 200 reservations at once for 20 slots, 3 replicas')
    console.table(table)
    await judge({})
  })
}

async function kills(): Promise<void> {
  await withRig(async (rig, judge) => {
    let [holder, neighbour] = await Promise.all([rig.start('holder'), rig.start('neighbour')])
    const excused: string[] = []
    const down: Record<string, string> = {}
    const table = []
    for (const label of labels) {
      const row = { label, rounds: 0, active: 0, refresh_outcome_unknown: 0, bystandersTouched: 0 }
      for (let round = 1; round <= rounds; round++) {
        const { victim, bystanders, expected, again } = await killAt(rig, holder, neighbour, label)
        holder = again
        excused.push(victim)
        if (expected !== 'active') down[victim] = expected
        const { status, reason } = await rig.statusOf(victim)
        row.rounds++
        if (status === 'active') row.active++
        if (reason === 'refresh_outcome_unknown') row.refresh_outcome_unknown++
        for (const id of bystanders) if ((await rig.read(neighbour, id)).status !== 200) row.bystandersTouched++
      }
      table.push(row)
    }
    console.log('SIGKILL at each labelled step')
    console.table(table)
    await judge({ excused, down })
  })
}

async function pauses(): Promise<void> {
  await withRig(async (rig, judge) => {
    const [holder, neighbour] = await Promise.all([rig.start('holder'), rig.start('neighbour')])
    const excused: string[] = []
    let active = 0
    for (let round = 1; round <= rounds; round++) {
      const { accountId } = await pauseWithAnswer(rig, holder, neighbour, { graceEnds: round % 2 === 0 })
      excused.push(accountId)
      if ((await rig.statusOf(accountId)).status === 'active') active++
    }
    console.log(
      `SIGSTOP past the lease with the answer in hand, then SIGCONT (every other time past the grace too): ${active} of ${rounds} active`,
    )
    await judge({ excused })
  })
}

async function connections(): Promise<void> {
  await withRig(async (rig, judge) => {
    const replica = await rig.start('replica', { env: { LOG_LEVEL: 'info' } })
    const { calls, surprises, slowestMs } = await underKilledConnections(rig, replica, { callers: 40, forMs: 10_000 })
    console.log(
      `five connections killed every 150 ms for 10 s under 40 callers: ${JSON.stringify(calls)}, slowest ${slowestMs} ms, ${surprises.length} surprises`,
    )
    console.log(
      `the process ${replica.isRunning ? 'lives' : 'died'}; uncaught: ${rig.logs().includes('process failed unexpectedly')}`,
    )
    await judge({})
  })
}

/** The server itself is stopped, not only cut off, and comes back on another port behind the same address. */
async function stoppedServer(): Promise<void> {
  await withRig(async (rig, judge) => {
    const replicas = await Promise.all(['one', 'two'].map((name) => rig.start(name, { env: { LOG_LEVEL: 'info' } })))
    const database = new URL(rig.proxy.url).pathname
    const { lost, refused, answeredMeanwhile, recordedAfterMs } = await outage(rig, replicas, {
      accounts: 200,
      awayMs: 30_000,
      cut: () => server.stop(),
      resume: async () => {
        server = await startEmbeddedPostgres({ dataDir })
        const url = new URL(server.url)
        url.pathname = database
        rig.serverMoved(url.href)
      },
    })
    const [row] = await rig.sql`select count(*)::int as n from accounts where status <> 'active'`
    console.log(
      `PostgreSQL stopped for 30 s amid 200 refreshes (${answeredMeanwhile} answered by TikTok until it was back): ${lost.length} lost, ` +
        `${row?.n} need their person, ${refused} refresh tokens refused by TikTok, everybody had a token ${recordedAfterMs} ms after it was back`,
    )
    await judge({})
  })
}

async function withRig(work: (rig: Rig, judge: (expected: Expected) => Promise<void>) => Promise<void>): Promise<void> {
  const endings: (() => unknown)[] = []
  const name = `faults_${++databases}`
  const url = new URL(server.url)
  url.pathname = name
  const operator = postgres(server.url, { max: 1 })
  await operator.unsafe(`create database ${name}`)
  await operator.end()
  await migrate(url.href)
  const rig = await startRig({ teardown: (end) => endings.push(end) }, url.href)
  const judge = async (expected: Expected) => {
    const found = await violations(rig, { deadlineMs: 10_000, ...expected })
    console.log(found.length === 0 ? 'invariants hold\n' : found.join('\n'))
    if (found.length > 0) process.exitCode = 1
  }
  try {
    await work(rig, judge)
  } finally {
    for (const end of endings.toReversed()) await end()
  }
}
