// Clusters of a PostgreSQL that is installed (Debian's, or the one in PG_BIN), run by its own programs as an operator runs them: stopped and
// restarted in each mode, copied to a standby, promoted.
import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { appendFile, chmod, chown, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort } from '../../examples/demo/ports.ts'
import { ownFolder } from '../folder.ts'

const programs = process.env.PG_BIN ?? newest('/usr/lib/postgresql')

export const noDebianPostgres = existsSync(join(programs, 'pg_ctl'))
  ? false
  : 'no PostgreSQL is installed on this machine: `apt-get install postgresql` brings it, or PG_BIN names its programs'

export interface Cluster {
  readonly dir: string
  readonly port: number
  /** of its superuser, who is believed on this machine */
  readonly url: string
  start(): Promise<void>
  stop(how: 'fast' | 'immediate'): Promise<void>
  restart(how: 'fast' | 'immediate'): Promise<void>
  promote(): Promise<void>
  /** Is made anew, as a copy that follows its source; it must be stopped. @param source as libpq is told it */
  follow(source: string): Promise<void>
}

/** @returns a folder that PostgreSQL's own user may write to; it goes with the scope */
export async function makeHome(t: { teardown(work: () => unknown): unknown }, name: string): Promise<string> {
  const home = await ownFolder(t, name)
  await chmod(home, 0o777)
  return home
}

/** @param settings lines of postgresql.conf, and @param files of its folder; copies take both along */
export async function makeCluster(
  home: string,
  name: string,
  { settings = [], files = {} }: { settings?: string[]; files?: Record<string, string> } = {},
): Promise<Cluster> {
  const cluster = await clusterAt(home, name)
  await program('initdb', '-D', cluster.dir, '-U', 'postgres', '-A', 'trust')
  await appendFile(join(cluster.dir, 'postgresql.conf'), [...settings, ''].join('\n'))
  const { uid, gid } = await stat(cluster.dir)
  for (const [file, content] of Object.entries(files)) {
    await writeFile(join(cluster.dir, file), content, { mode: 0o600 })
    await chown(join(cluster.dir, file), uid, gid)
  }
  return cluster
}

/** @param source where to copy from and to follow, as libpq is told it */
export async function makeStandby(home: string, name: string, source: string): Promise<Cluster> {
  const cluster = await clusterAt(home, name)
  await cluster.follow(source)
  return cluster
}

async function clusterAt(home: string, name: string): Promise<Cluster> {
  const dir = join(home, name)
  const port = await freePort(0)
  const control = (action: string, ...options: string[]) => program('pg_ctl', action, '-D', dir, '-w', ...options)
  const place = `-p ${port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=${home}`
  return {
    dir,
    port,
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    start: () => control('start', '-l', `${dir}.log`, '-o', place),
    stop: (how) => control('stop', '-m', how),
    restart: (how) => control('restart', '-m', how, '-l', `${dir}.log`, '-o', place),
    promote: () => control('promote'),
    async follow(source) {
      await rm(dir, { recursive: true, force: true })
      await program('pg_basebackup', '-d', source, '-D', dir, '-R', '--checkpoint=fast')
    },
  }
}

function newest(place: string): string {
  const versions = existsSync(place) ? readdirSync(place).sort((a, b) => Number(b) - Number(a)) : []
  return join(place, versions[0] ?? '', 'bin')
}

/** PostgreSQL refuses to run as root. */
async function program(name: string, ...args: string[]): Promise<void> {
  const path = join(programs, name)
  const asOther = process.getuid?.() === 0 ? ['runuser', '-u', 'postgres', '--'] : []
  const [first = path, ...rest] = [...asOther, path, ...args]
  // Not `inherit` and not piped: a server that is started would hold the pipe open.
  await new Promise<void>((resolve, reject) => {
    const child = spawn(first, rest, { stdio: 'ignore' })
    child.once('error', reject)
    child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`${name} ended with ${code}`))))
  })
}
