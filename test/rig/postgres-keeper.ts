// Holds the PostgreSQL of one test run: started by postgres-up.ts, ended by postgres-down.ts, or by itself when the test
// runner is gone, so that an aborted run leaves nothing behind.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbeddedPostgres } from '../../tools/embedded-postgres/embedded.ts'
import type { RunningServer } from './running-server.ts'

const [runnerPid, serverFile = ''] = process.argv.slice(2)
const dataDir = await mkdtemp(join(tmpdir(), 'tiktok-oauth-service-test-'))
const settings = { max_connections: '300', shared_buffers: '256MB' }
const postgres = await startEmbeddedPostgres({ dataDir, throwaway: true, settings })

let ending = false
async function end(): Promise<void> {
  if (ending) return
  ending = true
  await postgres.stop()
  await rm(serverFile, { force: true })
  await rm(dataDir, { recursive: true })
  process.exit()
}

process.on('SIGTERM', end)
process.on('SIGINT', end)
setInterval(() => {
  try {
    process.kill(Number(runnerPid), 0)
  } catch {
    void end()
  }
}, 500)

process.send?.({ url: postgres.url, keeperPid: process.pid, dataDir } satisfies RunningServer)
