// Debian's PgBouncer between the service and PostgreSQL, for tests of what changes behind one.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const program = 'pgbouncer'
/** Where Debian keeps it, which is not on the way of every user. */
const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` }

export const noPgbouncer = await promisify(execFile)(program, ['--version'], { env }).then(
  () => false as const,
  () => 'no pgbouncer on this machine: `apt-get install pgbouncer` brings it',
)

/** @returns the URL by which `url` is reached through it */
export async function startPgbouncer(
  t: { teardown(work: () => unknown): unknown },
  url: string,
  settings: { pool_mode: 'session' | 'transaction' } & Record<string, string>,
): Promise<string> {
  const server = new URL(url)
  const [user, password] = [server.username, server.password].map(decodeURIComponent) as [string, string]
  const dir = await mkdtemp(join(tmpdir(), 'tts-pgbouncer-'))
  const port = await freePort()
  const all = {
    listen_addr: '127.0.0.1',
    listen_port: String(port),
    unix_socket_dir: '',
    auth_type: 'scram-sha-256',
    auth_file: join(dir, 'users'),
    ...settings,
  }
  const config = [
    '[databases]',
    `* = host=${server.hostname} port=${server.port}`,
    '[pgbouncer]',
    ...Object.entries(all).map(([name, value]) => `${name} = ${value}`),
  ]
  await writeFile(join(dir, 'users'), `"${user}" "${password}"\n`, { mode: 0o644 })
  await writeFile(join(dir, 'config.ini'), `${config.join('\n')}\n`, { mode: 0o644 })
  await chmod(dir, 0o755)
  const asUser = process.getuid?.() === 0 ? ['-u', 'nobody'] : [] // it refuses to be root
  const pooler = spawn(program, ['-q', ...asUser, join(dir, 'config.ini')], { env, stdio: ['ignore', 'ignore', 'pipe'] })
  const said: string[] = []
  pooler.stderr.on('data', (chunk) => said.push(String(chunk)))
  t.teardown(async () => {
    if (pooler.exitCode === null) {
      pooler.kill('SIGTERM')
      await once(pooler, 'exit')
    }
    await rm(dir, { recursive: true })
  })
  await answers(port, () => {
    if (pooler.exitCode !== null) throw new Error(`PgBouncer does not start: ${said.join('')}`)
  })
  return Object.assign(new URL(url), { port: String(port) }).href
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

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo
      probe.close(() => resolve(port))
    })
  })
}
