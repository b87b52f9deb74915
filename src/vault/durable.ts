// A directory of small files that survive a power loss, on a disk that may be slow, full or hanging.
//
// Node does file work and DNS look-ups on the same few threads, so some are left free: a hanging disk must not stop calls to TikTok.
// One file per answer is slower than a single log, but each can be seen, copied and removed on its own.
import { randomUUID } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'

export interface DurableDirectory {
  /** @returns the names of complete files; empty when the directory is gone */
  names(): Promise<string[]>
  /**
   * The file appears under its name complete and synced, or not at all.
   *
   * @param isWanted asked again when its turn comes: a disk that was away does not have to write what is already settled
   * @throws the file system's error, or Error when too many writes are waiting
   */
  write(name: string, text: string, isWanted: () => boolean): Promise<void>
  /** @returns null when there is no such file */
  read(name: string): Promise<string | null>
  /** A missing file is fine. Not synced: after a power loss the file may be back. */
  remove(name: string): Promise<void>
  /**
   * Finishes what writers that died left between writing and renaming: complete files get their name, others are deleted.
   *
   * @param onTrouble is told of files that could not be finished or deleted; they are tried again next time
   */
  sweep(onTrouble: (name: string, error: unknown) => void): Promise<void>
}

/** Together with one for the directory's sync, three quarters of the threads; a quarter is left for everything else. */
const fileLanes = () => Math.max(2, Math.floor((Number(process.env.UV_THREADPOOL_SIZE) || 4) * 0.75) - 1)
const waitingMax = 2_000
// A write takes milliseconds: a temporary file this old has lost its writer.
const staleAfterMs = 60_000
const tmpName = /^(.+)\.[0-9a-f]{8}-[0-9a-f-]{27}\.tmp$/
// The last byte of every complete file; without it the end was cut off.
const endMark = '\n'

/** @throws the file system's error when the directory can be neither found nor made */
export async function openDurableDirectory(dir: string): Promise<DurableDirectory> {
  const inLane = lanes(fileLanes())
  const syncDirectory = shared(() => syncNames(dir))
  const makeDirectory = () => mkdir(dir, { recursive: true, mode: 0o700 })
  await makeDirectory()

  return {
    names: async () => (await inLane(() => namesIn(dir))).filter((name) => !tmpName.test(name)),

    async write(name, text, isWanted) {
      const task = async () => {
        if (!isWanted()) return false
        const tmp = join(dir, `${name}.${randomUUID()}.tmp`)
        try {
          await writeSynced(tmp, text + endMark).catch(async (error) => {
            if (!isMissing(error)) throw error
            await makeDirectory() // somebody deleted the directory too
            await writeSynced(tmp, text + endMark)
          })
          await rename(tmp, join(dir, name))
        } catch (error) {
          await unlink(tmp).catch(() => {}) // the first error is the one to report
          throw error
        }
        return true
      }
      if (await inLane(task, waitingMax)) await syncDirectory()
    },

    read: (name) =>
      inLane(async () => {
        const text = await readFile(join(dir, name), 'utf8').catch(nullIfMissing)
        return text?.endsWith(endMark) ? text.slice(0, -endMark.length) : text
      }),

    async remove(name) {
      await inLane(() => unlink(join(dir, name)).catch(nullIfMissing), waitingMax)
    },

    async sweep(onTrouble) {
      for (const name of await inLane(() => namesIn(dir))) {
        const finalName = tmpName.exec(name)?.[1]
        if (finalName) await inLane(() => finish(dir, name, finalName)).catch((error) => onTrouble(name, error))
      }
    },
  }
}

async function finish(dir: string, name: string, finalName: string): Promise<void> {
  const tmp = join(dir, name)
  try {
    if (Date.now() - (await stat(tmp)).mtimeMs < staleAfterMs) return
    const isWhole = (await readFile(tmp, 'utf8')).endsWith(endMark)
    await (isWhole ? rename(tmp, join(dir, finalName)) : unlink(tmp))
  } catch (error) {
    nullIfMissing(error) // its writer is alive after all, or another replica sweeps too
  }
}

async function writeSynced(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Makes new names durable: on most file systems, syncing a file does not sync the directory that lists it. */
async function syncNames(dir: string): Promise<void> {
  if (process.platform === 'win32') return // Windows cannot open directories; NTFS journals names itself
  const handle = await open(dir, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function namesIn(dir: string): Promise<string[]> {
  return (await readdir(dir).catch(nullIfMissing)) ?? []
}

/** Runs at most `width` at a time, first come first served; refuses work that would wait behind `behindMax` others. */
function lanes(width: number): <T>(work: () => Promise<T>, behindMax?: number) => Promise<T> {
  const waiting: (() => void)[] = []
  let free = width
  return async (work, behindMax = Number.POSITIVE_INFINITY) => {
    if (free > 0) free -= 1
    else if (waiting.length >= behindMax) throw new Error(`The disk is ${waiting.length} files behind`)
    else await new Promise<void>((resolve) => waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else free += 1
    }
  }
}

/** Everybody who asks during a run shares the next one: the present run may have started too early to cover them. */
function shared(run: () => Promise<void>): () => Promise<void> {
  let current: Promise<void> = Promise.resolve()
  let next: Promise<void> | undefined
  return () => {
    next ??= current
      .catch(() => {}) // reported to those who waited for it
      .then(() => {
        current = run()
        next = undefined
        return current
      })
    return next
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}

function nullIfMissing(error: unknown): null {
  if (isMissing(error)) return null
  throw error
}
