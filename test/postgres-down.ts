// Runs after the tests (.taprc): stops the PostgreSQL of this run and waits until nothing is left of it.
import { access, readFile } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { type RunningServer, serverFile } from './rig/running-server.ts'

const file = serverFile(process.ppid)
const text = await readFile(file, 'utf8').catch(() => undefined)
if (text !== undefined) {
  const { keeperPid, dataDir } = JSON.parse(text) as RunningServer
  process.kill(keeperPid, 'SIGTERM')
  const giveUpAtMs = Date.now() + 15_000
  while (await isThere(dataDir)) {
    if (Date.now() > giveUpAtMs) throw new Error(`the tests' PostgreSQL in ${dataDir} does not stop`)
    await pause(20)
  }
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
