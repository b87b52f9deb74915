// `npm run drill -- restore [--accounts 1000]`: a restore on the simulator, with a table at its end. Exit code 1 when anything was lost.
// `--lose-volume` takes one replica's journal away, which comes back from the second place; `--kills 10` kills replicas that are replaying.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { migrate } from '../src/db/migrate.ts'
import type { Replica } from '../test/rig/replica.ts'
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
if (positionals[0] !== 'restore') throw new Error('The drills are `npm run drill -- restore` and `npm run drill -- promote`')
const dataDir = await mkdtemp(join(tmpdir(), 'tiktok-oauth-service-drill-'))
const server = await startEmbeddedPostgres({ dataDir, throwaway: true })
const endings: (() => unknown)[] = []
try {
  await migrate(server.url)
  const rig = await startRig({ teardown: (end) => endings.push(end) }, server.url)
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
      whileRecovering: (replicas) => killed(rig, replicas, Number(values.kills)),
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
} finally {
  for (const end of endings.toReversed()) await end()
  await server.stop()
  await rm(dataDir, { recursive: true, force: true })
}

function show({ table, wrong }: { table: [string, string][]; wrong: string[] }): void {
  const width = Math.max(...table.map(([what]) => what.length))
  for (const [what, value] of table) console.log(`${what.padEnd(width)}  ${value}`)
  for (const line of wrong.slice(0, 20)) console.log(`WRONG: ${line}`)
  if (wrong.length > 0) process.exitCode = 1
}

/** Kills one after the other in the middle of its replay, and starts it again. */
async function killed(rig: Rig, replicas: Replica[], times: number): Promise<Replica[]> {
  const present = [...replicas]
  for (let n = 0; n < times; n++) {
    const index = n % present.length
    const victim = present[index]
    if (!victim) break
    victim.signal('SIGKILL')
    await victim.ended()
    console.log(
      `${victim.name} was killed; open recoveries: ${(await rig.sql`select from recoveries where ended_at is null`).length}`,
    )
    present[index] = await rig.start(victim.name, {
      preloads: [],
      env: { JOURNAL_COPY_DIR: join(rig.dir, 'second') },
      ready: false,
    })
    await pause(400 + Math.random() * 1200)
  }
  for (const replica of present.filter(({ url }) => url === '')) {
    replica.signal('SIGKILL')
    await replica.ended()
  }
  return Promise.all(
    present.map((replica) =>
      replica.url === ''
        ? rig.start(replica.name, { preloads: [], env: { JOURNAL_COPY_DIR: join(rig.dir, 'second') } })
        : replica,
    ),
  )
}
