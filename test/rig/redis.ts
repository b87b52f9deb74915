// A real Redis for a test, from this machine.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { freePort } from '../../examples/demo/ports.ts'

export const noRedis =
  spawnSync('redis-server', ['--version']).status === 0
    ? false
    : 'no redis-server on this machine: `apt-get install redis-server` brings one'

export interface Redis {
  url: string
  stop(): Promise<void>
  /** Empty, and at the same port. */
  start(): void
}

/** @param more settings, as on its command line */
export async function startRedis(t: { teardown(work: () => unknown): unknown }, more: string[] = []): Promise<Redis> {
  const port = await freePort(0)
  const settings = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', ...more]
  const start = () => spawn('redis-server', settings, { stdio: 'ignore' })
  let server: ChildProcess = start()
  const stop = async () => {
    if (server.exitCode !== null || server.signalCode !== null) return
    const exit = once(server, 'exit')
    server.kill('SIGKILL')
    await exit
  }
  t.teardown(stop)
  return {
    url: `redis://127.0.0.1:${port}`,
    stop,
    start() {
      server = start()
    },
  }
}
