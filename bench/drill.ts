// `npm run drill -- restore [--accounts 1000]`: a restore on the simulator, with a table at its end. Exit code 1 when anything was lost.
// `--lose-volume` takes one replica's journal away, which comes back from the second place; `--kills 10` kills replicas that are replaying.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { migrate } from '../src/db/migrate.ts'
import { restoreDrill } from '../test/rig/restore-drill.ts'
import { type Rig, startRig } from '../test/rig/rig.ts'
import { startEmbeddedPostgres } from '../tools/embedded-postgres/embedded.ts'

const { values, positionals } = parseArgs({
  options: {
    accounts: { type: 'string', default: '1000' },
    rotations: { type: 'string', default: '2' },
    kills: { type: 'string', default: '0' },
    lag: { type: 'string', default: '5' },
    'lose-volume': { type: 'boolean', default: false },
  },
  allowPositionals: true,
})
if (positionals[0] === 'promote') {
  const { promoteDrill } = await import('./promote.ts')
  const { accounts, lag } = values
  const size = { accounts: Number(accounts), lagSeconds: Number(lag), perSecond: 100 }
  show(await promoteDrill({ ...size, say: console.log }))
  process.exit()
}
if (positionals[0] !== 'restore' && positionals[0] !== 'no-journal')
  throw new Error('The drills are `npm run drill -- restore`, `npm run drill -- promote` and `npm run drill -- no-journal`')
const dataDir = await mkdtemp(join(tmpdir(), 'tiktok-oauth-service-drill-'))
const server = await startEmbeddedPostgres({ dataDir, throwaway: true })
const endings: (() => unknown)[] = []
try {
  await migrate(server.url)
  const rig = await startRig({ teardown: (end) => endings.push(end) }, server.url)
  if (positionals[0] === 'no-journal') {
    const { noJournalDrill } = await import('./no-journal.ts')
    show(await noJournalDrill(rig, server.url, Number(values.accounts), console.log))
  } else {
    await restore(rig)
  }
} finally {
  for (const end of endings.toReversed()) await end()
  await server.stop()
  await rm(dataDir, { recursive: true, force: true })
}

async function restore(rig: Rig): Promise<void> {
  const secondPlace = join(rig.dir, 'second')
  const size = { accounts: Number(values.accounts), rotations: Number(values.rotations) }
  const result = await restoreDrill(
    rig,
    server.url,
    { ...size, connects: 20, disconnects: 20, erasedOwners: 5, revokedKeys: 3 },
    {
      say: console.log,
      env: { JOURNAL_COPY_DIR: secondPlace },
      beforeRestore: async () => {
        if (values['lose-volume']) await rm(join(rig.dir, 'two'), { recursive: true })
      },
      beforeStart: () => killed(rig, Number(values.kills), { JOURNAL_COPY_DIR: secondPlace }),
    },
  )
  const rows: [string, string][] = [
    ['live accounts that vend', `${result.vend} of ${result.live}`],
    ['refreshed once more afterwards', `${result.refreshAfterwards} of ${result.live}`],
    ['refresh tokens presented twice', String(result.presentedTwice)],
    ['events to people', String(result.eventsToPeople)],
    ['accounts that wait for their person', String(result.waitForTheirPerson)],
    ['disconnected accounts that stay so', `${result.disconnectedStay} of ${result.disconnected}`],
    ['erased owners that stay so', `${result.erasedStay} of ${result.erased}`],
    ['revoked keys that stay dead', `${result.keysDead} of ${result.keys}`],
    ['from the start to the end of the recovery', `${result.recoverySeconds.toFixed(1)} s`],
    ['until everybody had a token', `${result.readySeconds.toFixed(1)} s`],
  ]
  show({ table: rows, wrong: result.wrong })
}

function show({ table, wrong }: { table: [string, string][]; wrong: string[] }): void {
  const width = Math.max(...table.map(([what]) => what.length))
  for (const [what, value] of table) console.log(`${what.padEnd(width)}  ${value}`)
  for (const line of wrong.slice(0, 20)) console.log(`WRONG: ${line}`)
  if (wrong.length > 0) process.exitCode = 1
}

/** One replica after the other is killed in the middle of its replay: when the next tenth of what is to come home has come. */
async function killed(rig: Rig, times: number, env: Record<string, string>): Promise<void> {
  const home = async () => {
    const [row] = await rig.sql<
      { n: number }[]
    >`select count(*)::int as n from timeline where kind in ('restored', 'disconnected')`
    return row?.n ?? 0
  }
  for (let n = 0; n < times; n++) {
    const before = await home()
    const victim = await rig.start(['one', 'two', 'three'][n % 3] ?? 'one', { preloads: [], env, ready: false })
    const deadline = performance.now() + 6_000
    while ((await home()) <= before && performance.now() < deadline) await pause(2)
    await pause(Math.random() * 100)
    victim.signal('SIGKILL')
    await victim.ended()
    const open = await rig.sql`select from recoveries where ended_at is null`
    console.log(`${victim.name} was killed: ${await home()} rows were restored by then, open recoveries: ${open.length}`)
  }
}
