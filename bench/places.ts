// Fifty people come back from TikTok at the same moment for the three places of their plan, over two replicas, and meet right before the count; twenty
// times (F39). Not a rate: how many were connected too many, and how many grants that nobody has were left alive. Ends with 1 if any.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbeddedPostgres } from '../tools/embedded-postgres/embedded.ts'

const rounds = Number(process.env.BENCH_ROUNDS ?? 20)
const contenders = 50
const places = 3

const dataDir = await mkdtemp(join(tmpdir(), 'tiktok-oauth-service-bench-'))
const server = await startEmbeddedPostgres({ dataDir })
process.env.TEST_DATABASE_URL = server.url // where the world of the tests makes its database

const { startApp } = await import('../src/app.ts')
const { startWorld } = await import('../test/world.ts')
const { stampede } = await import('../test/rig/stampede.ts')

const endings: (() => unknown)[] = [() => server.stop(), () => rm(dataDir, { recursive: true })]
try {
  const world = await startWorld({ teardown: (work) => endings.unshift(work) }, { env: { LOG_LEVEL: 'silent' } })
  const neighbour = await startApp(world.config, { background: false, log: world.parts.log })
  endings.unshift(() => neighbour.close())

  let bad = 0
  const took: number[] = []
  for (let n = 1; n <= rounds; n++) {
    const wish = { owner: `user_round_${n}`, tier: 'creator', contenders }
    const round = await stampede(world, [world.app.url, neighbour.url], wish)
    const { answers, accountsActive, grantsLive, grantsRevoked, revocationsPending, tookMs } = round
    const good =
      accountsActive === places && grantsLive === places && grantsRevoked === contenders - places && revocationsPending === 0
    if (!good || answers.account_limit_reached !== contenders - places) bad++
    took.push(tookMs)
    console.log(
      `round ${n}: ${JSON.stringify(answers)}, ${accountsActive} accounts, ${grantsRevoked} grants revoked, ${grantsLive} live, ${Math.round(tookMs)} ms`,
    )
  }
  const median = took.toSorted((a, b) => a - b)[Math.floor(took.length / 2)] ?? 0
  console.log(
    `${rounds} rounds of ${contenders} connects for ${places} places over 2 replicas: ${rounds - bad} right, ${bad} wrong; median ${Math.round(median)} ms a round`,
  )
  if (bad > 0) process.exitCode = 1
} finally {
  for (const end of endings) await end()
}
