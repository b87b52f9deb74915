// How long a process takes from its start until it is ready, how much of that it worked, and what memory it then holds.
// `npm run bench -- start [--rounds 5]`. The first round installs the tables; each later one finds them there.
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { generateVaultKey } from '../src/vault/keyring.ts'
import { startReplica } from '../test/rig/replica.ts'
import { startEmbeddedPostgres } from '../tools/embedded-postgres/embedded.ts'

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '5' } } })
const dataDir = await mkdtemp(join(tmpdir(), 'tiktok-oauth-service-bench-'))
const server = await startEmbeddedPostgres({ dataDir })
const env = {
  PORT: '0',
  DATABASE_URL: server.url,
  DATA_DIR: dataDir,
  VAULT_KEYS: generateVaultKey(),
  TIKTOK_CLIENT_KEY: 'awbench0001',
  TIKTOK_CLIENT_SECRET: 'only-for-this-bench',
}
try {
  const table = []
  for (let round = 1; round <= Number(values.rounds); round++) {
    const startedAtMs = performance.now()
    const replica = await startReplica({ name: `round ${round}`, logFile: join(dataDir, 'log'), env, preloads: [] })
    const readyMs = Math.round(performance.now() - startedAtMs)
    table.push({ round, readyMs, ...used(replica.process.pid) })
    replica.signal('SIGTERM')
    await replica.ended()
  }
  console.table(table)
} finally {
  await server.stop()
  await rm(dataDir, { recursive: true })
}

/** @returns processor time (told in ticks of 10 ms) and resident memory, where the system tells */
function used(pid: number | undefined): { workedMs: number; residentMb: number } | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? []
    const resident = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
    return { workedMs: (Number(fields[11]) + Number(fields[12])) * 10, residentMb: Math.round(Number(resident?.[1]) / 1024) }
  } catch {
    return undefined
  }
}
