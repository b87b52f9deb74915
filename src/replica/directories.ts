// The directories this process writes to. They are tried at start: the first real write comes when a token has been spent, which is too late to learn
// that a volume is missing.
import { randomUUID } from 'node:crypto'
import { mkdir, open, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { within } from '../concurrency/waiting.ts'
import { type Config, ConfigError } from '../settings/config.ts'
import type { Log } from '../telemetry.ts'

const patienceMs = 10_000

/** What an operator has to change before a start makes sense. */
const remedies: Record<string, string> = {
  EACCES: 'names a directory that this user may not write to: change its owner or mode, or name another',
  EPERM: 'names a directory that this user may not write to: change its owner or mode, or name another',
  EROFS: 'names a directory on a read-only file system: mount a volume there, or name another',
  ENOTDIR: 'names a place below a file: name a directory',
  EEXIST: 'names a file: name a directory',
  ENOENT: 'names a directory that cannot be created: create it, or name another',
  ELOOP: 'names a symbolic link that leads nowhere: name a directory',
  ENAMETOOLONG: 'is too long for a path: name a directory with a shorter one',
}

/** What may pass by itself. A service that starts without room still hands out tokens; one that refuses to start does not. */
const passing: Record<string, string> = {
  ENOSPC: 'is on a disk without room: make some, or token answers cannot be kept while the database is away',
  EDQUOT: 'is over its quota: make room, or token answers cannot be kept while the database is away',
}

/**
 * Writes, syncs and removes a small file in each directory that the configuration makes necessary. With DATABASE_URL and JOURNAL_DIR set, DATA_DIR is
 * not.
 *
 * @param attempt tries one; says the file system's code when it does not work
 * @throws ConfigError one sentence for each variable whose directory cannot be used
 */
export async function tryDirectories(config: Config, log: Log, attempt = tried): Promise<void> {
  const problems = new Set<string>()
  for (const { variable, dir } of directoriesOf(config)) {
    const code = await attempt(dir)
    if (code === undefined) continue
    const warning = passing[code]
    if (warning === undefined)
      problems.add(`${variable} ${remedies[code] ?? `names a directory that cannot be written to (${code})`}`)
    else log.error(`${variable} ${warning}`, { code })
  }
  if (problems.size > 0) throw new ConfigError([...problems])
}

function directoriesOf({ databaseUrl, dataDir, journal }: Config): { variable: string; dir: string }[] {
  const data = databaseUrl === undefined ? [{ variable: 'DATA_DIR', dir: dataDir }] : []
  const variable = journal.namedBy ?? 'JOURNAL_DIR (DATA_DIR/journal, because it is not set)'
  return [...data, { variable, dir: journal.dir }]
}

/** @returns the file system's code when it does not work */
async function tried(dir: string): Promise<string | undefined> {
  const file = join(dir, `.tried-${randomUUID()}`)
  const work = (async () => {
    await mkdir(dir, { recursive: true, mode: 0o700 })
    const handle = await open(file, 'wx', 0o600)
    try {
      await handle.writeFile('\n')
      await handle.sync()
    } finally {
      await handle.close()
      await unlink(file)
    }
    return 'done' as const
  })().catch((error: NodeJS.ErrnoException) => ({ code: error.code ?? 'no code' }))
  const outcome = await within(work, patienceMs)
  if (outcome === undefined) return 'no answer within ten seconds'
  return outcome === 'done' ? undefined : outcome.code
}
