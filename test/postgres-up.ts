// Runs before the tests (.taprc): starts one PostgreSQL for this run. TEST_DATABASE_URL names another server instead.
import { fork } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type RunningServer, serverFile } from './rig/running-server.ts'

if (!process.env.TEST_DATABASE_URL) {
  const file = serverFile(process.ppid)
  // Tap's loaders and coverage are for tests, and the keeper outlives this script.
  const { NODE_OPTIONS: _, ...env } = process.env
  const keeper = fork(fileURLToPath(new URL('rig/postgres-keeper.ts', import.meta.url)), [String(process.ppid), file], {
    detached: true,
    execArgv: [],
    env,
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const running = await new Promise<RunningServer>((resolve, reject) => {
    keeper.once('message', (message) => resolve(message as RunningServer))
    keeper.once('exit', (code) => reject(new Error(`the tests' PostgreSQL did not start (exit code ${code})`)))
  })
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, JSON.stringify(running), { mode: 0o600 })
  keeper.disconnect()
  keeper.unref()
}
