// The server process of the embedded PostgreSQL: starting it on a free port, watching over it, stopping it.
import { type ChildProcess, spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import type { Binaries } from './binaries.ts'
import { type Account, environment, runAs } from './home.ts'

/** @throws Error with the server's last words when it does not come up */
export async function launch(
  postgres: string,
  data: string,
  settings: Record<string, string>,
  account: Account | undefined,
  log: (message: string) => void,
): Promise<{ server: ChildProcess; port: number }> {
  for (let tries = 1; ; tries++) {
    const port = await freePort()
    const args = Object.entries({ ...settings, port }).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    // A session of its own: Ctrl-C goes to the whole group of a terminal, and the service has to store things first.
    const server = spawn(postgres, ['-D', data, ...args], {
      ...account,
      cwd: '/',
      env: environment(),
      detached: true,
      windowsHide: true,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const lastWords = await ready(server, log)
    if (lastWords === undefined) return { server, port }
    // Somebody took the port between our look and its bind, or a killed server's memory is still being given back.
    const passing = /could not bind|could not create any TCP|shared memory block/.test(lastWords)
    if (!passing || tries === 5) throw new Error(`The embedded PostgreSQL does not start:\n${lastWords}`)
    await pause(200)
  }
}

/**
 * Shuts the server down when this process ends in whatever way, SIGKILL included: a shell waits at the other end of a
 * pipe, and the end of the pipe is the end of us.
 *
 * @returns to be called when the server has ended, so that its process number is not killed when it is another's
 */
export function watchOver(server: ChildProcess, account: Account | undefined): () => void {
  if (process.platform === 'win32') return () => {}
  const script = 'read -r word; [ "$word" = done ] || kill -INT "$1"'
  const watcher = spawn('/bin/sh', ['-c', script, 'watch-over-postgres', String(server.pid)], {
    ...account,
    cwd: '/',
    env: environment(),
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  watcher.on('error', () => {}) // no shell: the next start stops what this one may leave behind
  watcher.stdin.on('error', () => {})
  watcher.unref()
  return () => watcher.stdin.end('done\n')
}

/** Asks the server to end its sessions and write everything out; it ends in its own time. */
export async function askToStop(pid: number, binaries: Binaries, data: string): Promise<void> {
  if (process.platform === 'win32') await runAs(undefined, binaries.pgCtl, ['stop', '-D', data, '-m', 'fast'])
  else process.kill(pid, 'SIGINT')
}

/** After ten seconds of asking, the write-ahead log has to do. */
export async function shutDown(server: ChildProcess, binaries: Binaries, data: string): Promise<void> {
  if (server.pid === undefined || server.exitCode !== null || server.signalCode !== null) return
  const ended = new Promise((resolve) => server.once('exit', resolve))
  await askToStop(server.pid, binaries, data)
  const hurry = setTimeout(() => server.kill('SIGQUIT'), 10_000)
  await ended
  clearTimeout(hurry)
}

export async function readPid(file: string): Promise<number | undefined> {
  const text = await readFile(file, 'utf8').catch(() => '')
  const pid = Number.parseInt(text, 10)
  return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' // alive, and somebody else's
  }
}

/** Process numbers are given out again, after a restart of the machine or of a container even soon. */
export async function isPostgres(pid: number): Promise<boolean> {
  if (!isAlive(pid)) return false
  if (process.platform === 'linux') {
    const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
    return /^\d+ \(postgres\) [^ZX]/.test(status)
  }
  const listing =
    process.platform === 'win32'
      ? runAs(undefined, 'tasklist', ['/fi', `PID eq ${pid}`, '/nh'])
      : runAs(undefined, 'ps', ['-o', 'comm=', '-p', `${pid}`])
  return (await listing.catch(() => '')).includes('postgres')
}

/** @returns nothing once the server takes connections; its last lines when it ended instead */
function ready(server: ChildProcess, log: (message: string) => void): Promise<string | undefined> {
  return new Promise((resolve) => {
    const lastLines: string[] = []
    server.once('error', (error) => resolve(error.message))
    if (!server.stderr) return
    createInterface({ input: server.stderr }).on('line', (line) => {
      lastLines.push(line)
      if (lastLines.length > 10) lastLines.shift()
      if (/FATAL|PANIC|terminated by/.test(line)) log(`embedded PostgreSQL: ${line}`)
      if (/database system is ready to accept (read-only )?connections/.test(line)) resolve(undefined)
    })
    server.once('close', () => resolve(lastLines.join('\n')))
  })
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() =>
        address !== null && typeof address === 'object' ? resolve(address.port) : reject(new Error('no free port')),
      )
    })
  })
}
