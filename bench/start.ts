// How long a process takes from its start until it is ready, how much of that it worked, and what memory it then holds.
// `npm run bench -- start [--rounds 5]`. The first round installs the tables; each later one finds them there.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { generateVaultKey } from '../src/vault/keyring.ts'
import { startReplica } from '../test/rig/replica.ts'
import { startEmbeddedPostgres } from '../tools/embedded-postgres/embedded.ts'
import { cpuMs, rssMiB } from './processes.ts'
import { record } from './results.ts'

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '5' } } })
/** Every loop has been round, and nobody has asked anything. */
const idleMs = 5_000
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
    const pid = replica.process.pid ?? 0
    await pause(idleMs)
    table.push({ round, readyMs, workedMs: cpuMs(pid), residentMiB: Math.round(rssMiB(pid)) })
    replica.signal('SIGTERM')
    await replica.ended()
  }
  console.table(table)
  const later = table.slice(1)
  record('start', 'ms', 'start to ready', median(later.map(({ readyMs }) => readyMs)))
  record('start', 'MiB', 'memory when idle', median(later.map(({ residentMiB }) => residentMiB)))
} finally {
  await server.stop()
  await rm(dataDir, { recursive: true })
}

function median(list: readonly number[]): number {
  return list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)] ?? 0
}
