// How soon a client whose connections are killed is as quick again as one whose connections were left alone (F24): calls a
// second of both, in turns, in the second after the last kill. `npm run bench -- connections [--seconds 2]`
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import postgres from 'postgres'
import { type Db, openDb } from '../src/db/client.ts'
import { startEmbeddedPostgres } from '../tools/embedded-postgres/embedded.ts'

const callers = 40
const { values } = parseArgs({ options: { seconds: { type: 'string', default: '2' } } })

const dataDir = await mkdtemp(join(tmpdir(), 'tiktok-oauth-service-bench-'))
const server = await startEmbeddedPostgres({ dataDir })
const operator = postgres(server.url, { max: 1 })
const [killed, untouched] = ['killed', 'untouched'].map((applicationName) => openDb({ url: server.url, applicationName })) as [
  Db,
  Db,
]
let longestMs = 0
let failed = 0
try {
  for (const db of [killed, untouched]) await during(300, db)
  const killing = setInterval(() => {
    operator`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'killed' order by random() limit 5`.catch(
      console.error,
    )
  }, 150)
  await during(Number(values.seconds) * 1_000, killed)
  clearInterval(killing)
  console.log(`five backends killed every 150 ms: ${failed} calls failed, the longest took ${Math.round(longestMs)} ms`)
  await during(300, killed)
  const turns = { killed: [] as number[], untouched: [] as number[] }
  for (let turn = 0; turn < 4; turn++) {
    turns.killed.push(await during(80, killed))
    turns.untouched.push(await during(80, untouched))
  }
  const [again, usual] = [Math.max(...turns.killed), Math.max(...turns.untouched)]
  console.log(
    `${Math.round(again)}/s after the kills, ${Math.round(usual)}/s of a client that felt none (at least 0.7 of it is promised)`,
  )
  if (again < usual * 0.7) process.exitCode = 1
} finally {
  await Promise.all([killed.close(), untouched.close(), operator.end()])
  await server.stop()
  await rm(dataDir, { recursive: true })
}

/** @returns how many calls a second succeeded */
async function during(forMs: number, db: Db): Promise<number> {
  const startedAtMs = performance.now()
  let succeeded = 0
  await Promise.all(
    Array.from({ length: callers }, async () => {
      while (performance.now() < startedAtMs + forMs) {
        const askedAtMs = performance.now()
        await db
          .run('doze', (sql) => sql`select pg_sleep(0.002)`)
          .then(
            () => succeeded++,
            () => failed++,
          )
        longestMs = Math.max(longestMs, performance.now() - askedAtMs)
      }
    }),
  )
  return (succeeded / (performance.now() - startedAtMs)) * 1_000
}
