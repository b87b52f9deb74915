// `npm run drill -- promote [--lag 5]`: an asynchronous standby that is seconds behind is promoted under load, on PostgreSQL's own programs
// (Debian's, or those in PG_BIN). Afterwards everybody's token has to work, and TikTok must not have seen one twice.
import { setTimeout as pause } from 'node:timers/promises'
import { migrate } from '../src/db/migrate.ts'
import { makeCluster, makeHome, makeStandby } from '../test/rig/debian-postgres.ts'
import { eventually } from '../test/rig/eventually.ts'
import { startProxy } from '../test/rig/proxy.ts'
import type { Replica } from '../test/rig/replica.ts'
import { startRig } from '../test/rig/rig.ts'
import { rotate } from '../test/rig/rotate.ts'

/** @returns the lines of its table, and what was not as it has to be */
export async function promoteDrill(options: {
  accounts: number
  lagSeconds: number
  perSecond: number
  say: (line: string) => void
}) {
  const { accounts, lagSeconds, perSecond, say } = options
  const endings: (() => unknown)[] = []
  const scope = { teardown: (end: () => unknown) => endings.push(end) }
  const wrong: string[] = []
  try {
    const home = await makeHome(scope, 'promote')
    const primary = await makeCluster(home, 'primary')
    await primary.start()
    endings.push(() => primary.stop('immediate').catch(() => {})) // it may be stopped
    const line = await startProxy(scope, primary.url)
    const standby = await makeStandby(home, 'standby', `host=127.0.0.1 port=${line.port} user=postgres`)
    await standby.start()
    endings.push(() => standby.stop('immediate'))
    await migrate(primary.url)

    const rig = await startRig(scope, primary.url)
    const replicas = await Promise.all(['one', 'two', 'three'].map((name) => rig.start(name, { preloads: [] })))
    const seeded = await rig.seed({ count: accounts, secondsLeft: 7200 })
    const load = startLoad(async (n) => {
      const replica = replicas[n % 3] as Replica
      const account = seeded[n % seeded.length]
      if (!account) return
      const { generation } = await rig.read(replica, account.id, 0)
      if (generation !== undefined) await rig.call(replica, 'POST', `/accounts/${account.id}/token/rejected`, { generation })
    }, perSecond)
    await pause(8_000)
    await line.cut()
    await pause(lagSeconds * 1000)
    const before = rig.tiktok.stats.report().refreshes_processed
    await primary.stop('immediate')
    rig.serverMoved(standby.url)
    const startedAt = performance.now()
    await standby.promote()
    say(`promoted after ${lagSeconds} s without the primary's changes, ${before} refreshes so far`)
    let recoveredSeconds = 0
    await eventually(
      'a recovery is over, and everybody is ready',
      async () => {
        const [row] = await rig.sql`select count(*)::int as n from recoveries where ended_at is not null`.catch(() => [])
        const ready = await Promise.all(replicas.map((replica) => rig.call(replica, 'GET', '/health/ready')))
        recoveredSeconds = (performance.now() - startedAt) / 1000
        return Number(row?.n) > 0 && ready.every(({ status }) => status === 200)
      },
      120_000,
    )
    await pause(3_000)
    await load.stop()

    let vend = 0
    let refreshed = 0
    for (const [n, { id }] of seeded.entries()) {
      const replica = replicas[n % 3] as Replica
      const { read, status, code } = await rotate(rig, replica, id)
      if (read.status === 200 && !read.wrong) vend++
      else wrong.push(`${id} was answered ${read.status} ${read.code ?? read.wrong ?? ''}`)
      if (status === 200) refreshed++
      else wrong.push(`refresh of ${id} was answered ${status} ${code}`)
    }
    const [restored] = await rig.sql`select count(*)::int as n from timeline where kind = 'restored'`
    const [reasons] = await rig.sql`select string_agg(reason, ', ') as of from recoveries`
    const { double_spends: twice, double_spend_count: presentedTwice } = rig.tiktok.stats.report()
    for (const { person, presented } of twice) wrong.push(`a refresh token of ${person} was presented ${presented} times`)
    const table: [string, string][] = [
      ['live accounts that vend', `${vend} of ${seeded.length}`],
      ['refreshed once more afterwards', `${refreshed} of ${seeded.length}`],
      ['refresh tokens presented twice', String(presentedTwice)],
      ['token sets that the standby lacked', String(restored?.n)],
      ['noticed by', String(reasons?.of)],
      ['from the promotion until everybody was ready', `${recoveredSeconds.toFixed(1)} s`],
    ]
    return { table, wrong }
  } finally {
    for (const end of endings.toReversed()) await end()
  }
}

function startLoad(work: (n: number) => Promise<void>, perSecond: number) {
  const flights = new Set<Promise<void>>()
  let n = 0
  const timer = setInterval(() => {
    const flight = work(n++).finally(() => flights.delete(flight))
    flights.add(flight)
  }, 1000 / perSecond)
  return {
    async stop() {
      clearInterval(timer)
      await Promise.all(flights)
    },
  }
}
