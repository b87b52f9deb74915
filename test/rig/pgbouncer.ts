// Debian's PgBouncer between the service and PostgreSQL, for tests of what changes behind one.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort } from '../../examples/demo/ports.ts'
import { ownFolder } from '../folder.ts'

const program = 'pgbouncer'
/** Where Debian keeps it, which is not on the way of every user. */
const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` }

export const noPgbouncer = await promisify(execFile)(program, ['--version'], { env }).then(
  () => false as const,
  () => 'no pgbouncer on this machine: `apt-get install pgbouncer` brings it',
)

export interface Pgbouncer {
  /** by which the server is reached through it */
  url: string
  /** Ends all connections and takes new ones at the same port. */
  restart(): Promise<void>
  /** The server is elsewhere from now on. */
  pointAt(url: string): Promise<void>
}

export async function startPgbouncer(
  t: { teardown(work: () => unknown): unknown },
  url: string,
  settings: { pool_mode: 'session' | 'transaction' } & Record<string, string>,
): Promise<Pgbouncer> {
  const server = new URL(url)
  const [user, password] = [server.username, server.password].map(decodeURIComponent) as [string, string]
  const dir = await ownFolder(t, 'pgbouncer')
  const port = await freePort(0)
  const all = {
    listen_addr: '127.0.0.1',
    listen_port: String(port),
    unix_socket_dir: '',
    auth_type: 'scram-sha-256',
    auth_file: join(dir, 'users'),
    ...settings,
  }
  const configure = ({ hostname, port }: URL) => {
    const config = [
      '[databases]',
      `* = host=${hostname} port=${port}`,
      '[pgbouncer]',
      ...Object.entries(all).map(([name, value]) => `${name} = ${value}`),
    ]
    return writeFile(join(dir, 'config.ini'), `${config.join('\n')}\n`, { mode: 0o644 })
  }
  const start = async () => {
    const asUser = process.getuid?.() === 0 ? ['-u', 'nobody'] : [] // it refuses to be root
    const started = spawn(program, ['-q', ...asUser, join(dir, 'config.ini')], { env, stdio: ['ignore', 'ignore', 'pipe'] })
    const said: string[] = []
    started.stderr.on('data', (chunk) => said.push(String(chunk)))
    await answers(port, () => {
      if (started.exitCode !== null) throw new Error(`PgBouncer does not start: ${said.join('')}`)
    })
    return started
  }
  await configure(server)
  await writeFile(join(dir, 'users'), `"${user}" "${password}"\n`, { mode: 0o644 })
  await chmod(dir, 0o755)
  let pooler = await start()
  const stop = async () => {
    if (pooler.exitCode !== null || pooler.signalCode !== null) return
    const exit = once(pooler, 'exit')
    pooler.kill('SIGQUIT') // since 1.23 it would wait for its clients after SIGTERM
    await exit
  }
  t.teardown(async () => {
    await stop()
  })
  return {
    url: Object.assign(new URL(url), { port: String(port) }).href,
    async restart() {
      await stop()
      pooler = await start()
    },
    async pointAt(url) {
      await configure(new URL(url))
      pooler.kill('SIGHUP')
    },
  }
}

async function answers(port: number, stillThere: () => void): Promise<void> {
  for (;;) {
    stillThere()
    const socket = connect(port, '127.0.0.1')
    const open = await Promise.race([once(socket, 'connect').then(() => true), once(socket, 'close').then(() => false)]).catch(
      () => false,
    )
    socket.destroy()
    if (open) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
