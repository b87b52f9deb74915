// Another release of this service beside this one: a commit's files in a folder of their own, with the packages that it wants.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { ownFolder } from '../folder.ts'
import { ownNode } from './own-node.ts'

const run = promisify(execFile)
const here = fileURLToPath(new URL('../..', import.meta.url))
const git = async (...args: string[]) => (await run('git', args, { cwd: here, maxBuffer: 64 << 20 })).stdout.trim()

/** A version before every one that is released: what stands in for a release has to be older than this one. */
const before = '0.9.9'

export interface Release {
  dir: string
  /** what it is called: a tag, or a commit */
  name: string
  /** One run of its command line. @throws Error with what it said, unless its code is one of those */
  cli(args: string[], env: Record<string, string>, codes?: number[]): Promise<{ code: number; stdout: string; stderr: string }>
}

/** This checkout. */
export const thisRelease: Release = { dir: here, name: 'this checkout', cli: cliOf(here) }

/**
 * The release before: the newest tag that is not this very commit. While nothing is tagged a commit stands in for it: the oldest with the
 * present migrations, because migrations that were never released may still be edited in place.
 */
export async function releaseBefore(): Promise<string> {
  const tags = (await git('tag', '--merged', 'HEAD', '--no-contains', 'HEAD', '--sort=-v:refname', 'v*')).split('\n')
  if (tags[0]) return tags[0]
  return git('log', '-1', '--format=%H', '--', 'drizzle/*.sql')
}

/** @throws Error when its migrations are no longer those of this checkout: no release may change one that was released */
export async function checkOut(t: { teardown(work: () => unknown): unknown }, ref: string): Promise<Release> {
  const commit = await git('rev-parse', '--verify', `${ref}^{commit}`)
  const { dir, cli } = await unpack(t, commit)
  await sameMigrations(dir, ref)
  const lock = (folder: string) => readFile(join(folder, 'package-lock.json'), 'utf8')
  if ((await lock(dir)) === (await lock(here))) await symlink(join(here, 'node_modules'), join(dir, 'node_modules'))
  else await run('npm', ['ci', '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: dir })
  await makeOlder(dir)
  return { dir, name: ref.length === 40 ? ref.slice(0, 10) : ref, cli }
}

/**
 * A release that nobody has made yet: this one, with one more migration that only adds, and a function that says the same in other words. What
 * this release bears today it has to bear when it is the one before.
 */
export async function makeNext(t: { teardown(work: () => unknown): unknown }): Promise<Release> {
  const { dir, cli } = await unpack(t, await git('rev-parse', 'HEAD'))
  await symlink(join(here, 'node_modules'), join(dir, 'node_modules'))
  const change = async (path: string, to: (text: string) => string) =>
    writeFile(join(dir, path), to(await readFile(join(dir, path), 'utf8')))
  await change('package.json', (text) => JSON.stringify({ ...JSON.parse(text), version: '99.0.0' }))
  await change('drizzle/meta/_journal.json', (text) => {
    const journal = JSON.parse(text) as {
      entries: { idx: number; version: string; when: number; tag: string; breakpoints: boolean }[]
    }
    const last = journal.entries.at(-1)
    if (!last) throw new Error('there is no migration to follow')
    return JSON.stringify({
      ...journal,
      entries: [...journal.entries, { ...last, idx: last.idx + 1, when: last.when + 1, tag: '9999_rehearsal' }],
    })
  })
  await writeFile(
    join(dir, 'drizzle/9999_rehearsal.sql'),
    'ALTER TABLE accounts ADD COLUMN rehearsed_at timestamptz;\nCREATE TABLE rehearsals (id text PRIMARY KEY);\n',
  )
  await change('src/db/functions/reserve_upload.sql', (text) => `${text}\n-- in other words\n`)
  return { dir, name: 'a release that only adds', cli }
}

async function unpack(t: { teardown(work: () => unknown): unknown }, commit: string): Promise<Pick<Release, 'dir' | 'cli'>> {
  const dir = await ownFolder(t, 'release')
  await run('sh', ['-c', `git archive ${commit} | tar -x -C "$0"`, dir], { cwd: here })
  return { dir, cli: cliOf(dir) }
}

async function sameMigrations(dir: string, ref: string): Promise<void> {
  for (const file of (await readdir(join(dir, 'drizzle'))).filter((name) => name.endsWith('.sql'))) {
    const [theirs, ours] = await Promise.all(
      [dir, here].map((folder) => readFile(join(folder, 'drizzle', file), 'utf8').catch(() => '')),
    )
    if (theirs !== ours)
      throw new Error(
        `drizzle/${file} is not what it was in ${ref}: a migration that was released never changes, it gets a successor`,
      )
  }
}

/** Functions are told apart by the release that installed them, so a commit of this version's making is given an older one. */
async function makeOlder(dir: string): Promise<void> {
  const [theirs, ours] = await Promise.all(
    [dir, here].map(async (folder) => JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as { version: string }),
  )
  if (theirs && theirs.version === ours?.version)
    await writeFile(join(dir, 'package.json'), JSON.stringify({ ...theirs, version: before }))
}

function cliOf(dir: string): Release['cli'] {
  return async (args, env, codes = [0]) => {
    const child = spawn(...ownNode(['src/cli.ts', ...args]), {
      cwd: dir,
      env: { PATH: process.env.PATH ?? '', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const said = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const)
      child[name].on('data', (chunk) => {
        said[name] += chunk
      })
    const [code] = (await once(child, 'close')) as [number]
    if (!codes.includes(code)) throw new Error(`${args.join(' ')} ended with ${code}: ${said.stderr}`)
    return { code, ...said }
  }
}
