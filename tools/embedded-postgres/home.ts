// Where the embedded PostgreSQL lives, and as whom it runs. PostgreSQL refuses to run as root; started by root, it runs
// as an account that is there already, and that account has to be able to reach its files.
import { execFile } from 'node:child_process'
import { chmod, lstat, mkdir, mkdtemp, realpath, rmdir, stat, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { childEnvironment } from '../../src/settings/child-environment.ts'

export interface Account {
  uid: number
  gid: number
}

/** @returns undefined: ourselves. For root: whom the data belong to; for new data `postgres`, or `nobody` where there is none */
export async function accountFor(data: string): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const owner = await stat(data).catch(() => undefined)
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid }
  for (const name of ['postgres', 'nobody']) {
    const [uid, gid] = await Promise.all(['-u', '-g'].map((flag) => runAs(undefined, 'id', [flag, name]).catch(() => '')))
    if (uid && gid) return { uid: Number(uid), gid: Number(gid) }
  }
  throw new Error('PostgreSQL does not run as root: start the service as another user, or set DATABASE_URL')
}

/**
 * @returns the directory for everything of this server: `dataDir/postgres`, or what that links to. Below a directory that
 * the server's account may not enter, such as /root, new data are placed elsewhere and linked, and the log says where.
 */
export async function findHome(dataDir: string, account: Account | undefined, log: (message: string) => void): Promise<string> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  const home = join(resolve(dataDir), 'postgres')
  if (account && !(await mayEnter(account, resolve(dataDir)))) {
    // DATA_DIR is ours: others may pass through it, what lies in it stays closed to them.
    await chmod(dataDir, (await stat(dataDir)).mode | 0o011)
    if (!(await mayEnter(account, resolve(dataDir)))) await linkElsewhere(home, account, log)
  }
  await mkdir(home, { recursive: true, mode: account ? 0o711 : 0o700 })
  const place = await realpath(home)
  if (account && !(await mayEnter(account, place)))
    throw new Error(
      `${place} cannot be reached by ${whoIs(account)} any more: open the directories above it, or set DATABASE_URL`,
    )
  return place
}

/** Does nothing where data lie already, or where another first start was quicker with its link. */
async function linkElsewhere(home: string, account: Account, log: (message: string) => void): Promise<void> {
  await rmdir(home).catch(() => {})
  if (await lstat(home).catch(() => undefined)) return
  const elsewhere = await makeDirectory(['/var/lib', tmpdir()])
  await chmod(elsewhere, 0o711)
  try {
    await symlink(elsewhere, home)
  } catch (error) {
    await rmdir(elsewhere)
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return
  }
  log(`${home} cannot be reached by ${whoIs(account)}, so the embedded database is kept in ${elsewhere}`)
}

function whoIs({ uid }: Account): string {
  return `the account with uid ${uid}, as which PostgreSQL runs when root starts it`
}

/** Runs a program to its end. @returns what it printed, trimmed @throws Error with what it complained about */
export async function runAs(account: Account | undefined, program: string, args: string[]): Promise<string> {
  const options = { ...account, cwd: '/', env: environment(), windowsHide: true }
  const { stdout } = await promisify(execFile)(program, args, options)
  return stdout.trim()
}

/** Nothing of ours: the account that PostgreSQL runs as can read its environment. Messages are read, so they have to be in English. */
export function environment(): NodeJS.ProcessEnv {
  return { ...childEnvironment(), LC_ALL: 'C' }
}

function mayEnter(account: Account, directory: string): Promise<boolean> {
  return runAs(account, '/bin/sh', ['-c', 'cd "$1"', 'may-enter', directory]).then(
    () => true,
    () => false,
  )
}

async function makeDirectory(places: string[]): Promise<string> {
  for (const place of places) {
    const made = await mkdtemp(join(place, 'tiktok-oauth-service-postgres-')).catch(() => undefined)
    if (made) return made
  }
  throw new Error(`No directory could be made in ${places.join(' or ')}: set DATA_DIR to a place that every user can reach`)
}
