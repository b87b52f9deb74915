// Holds the PostgreSQL of one test run: started by the first test that asks for a database (test/postgres.ts), and ended when
// the test runner is gone, in whatever way, so that nothing is left behind.
import { mkdtemp, realpath, rename, rm, statfs, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbeddedPostgres } from '../../tools/embedded-postgres/embedded.ts'

/** What the keeper tells the tests of its run. */
export type Running = { url: string } | { trouble: string }

const [runnerPid = '', file = ''] = process.argv.slice(2)
const settings = { max_connections: '300', shared_buffers: '256MB', max_wal_size: '256MB', jit: 'off' }
const { dataDir, postgres } = await startInMemory()
  .catch(() => startIn(tmpdir()))
  .catch(async (error) => {
    await tell({ trouble: String(error) })
    throw error
  })
await tell({ url: postgres.url })

let ending = false
process.on('SIGTERM', end)
process.on('SIGINT', end)
setInterval(() => {
  try {
    process.kill(Number(runnerPid), 0)
  } catch {
    void end()
  }
}, 200)

/** Each test's database is hundreds of files that are made and removed again, which costs a disk's file system far more than memory's. */
async function startInMemory() {
  const memory = '/dev/shm'
  const { bavail, bsize } = await statfs(memory)
  if (bavail * bsize < 2 * 1024 ** 3) throw new Error('a container has little room there')
  return startIn(memory)
}

async function startIn(place: string) {
  const dataDir = await mkdtemp(join(place, 'tiktok-oauth-service-test-'))
  try {
    return { dataDir, postgres: await startEmbeddedPostgres({ dataDir, throwaway: true, settings }) }
  } catch (error) {
    await rm(dataDir, { recursive: true, force: true })
    throw error
  }
}

/** Renamed into place, so that nobody reads half of it. */
async function tell(what: Running): Promise<void> {
  await writeFile(`${file}.new`, JSON.stringify(what), { mode: 0o600 })
  await rename(`${file}.new`, file)
}

async function end(): Promise<void> {
  if (ending) return
  ending = true
  const home = await realpath(join(dataDir, 'postgres'))
  await postgres.stop()
  for (const path of [file, `${file}.starting`, home, dataDir]) await rm(path, { recursive: true, force: true })
  process.exit()
}
