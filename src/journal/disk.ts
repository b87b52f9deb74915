// How journals lie on a disk: DIR/JOURNAL_ID/NUMBER.open while entries in it may be unrecorded, NUMBER.kept from then on. Each process
// writes to a directory of its own name, so that two never share a segment, and reads everybody's.
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { type Damage, decodeFrames, type Frame, formatVersion, type SegmentHeader } from './frames.ts'

export interface SegmentFile {
  journalId: string
  number: number
  path: string
  /** entries in it may not be in the database yet */
  open: boolean
  bytes: number
  changedAtMs: number
}

export interface JournalOnDisk {
  id: string
  dir: string
  segments: SegmentFile[]
  /** its process beat lately, by the clock of the disk: what it writes to is its own */
  beats: boolean
  /** and it runs, as far as this machine can tell */
  alive: boolean
  /** its process ended in order */
  ended: boolean
  /** when anything was last added to it or taken away */
  changedAtMs: number
}

export interface ReadSegment {
  header: SegmentHeader | undefined
  frames: Frame[]
  damage: Damage[]
}

const Header = z.object({
  format: z.int(),
  journalId: z.string(),
  segment: z.int(),
  databaseId: z.string(),
  keyId: z.string(),
})

const journalName = /^[A-Za-z0-9_-]{1,64}$/
const segmentName = /^(\d{8})\.(open|kept)$/
const beatName = 'alive'
/** of journals that this process writes to */
const beatingHere = new Set<string>()
/** A process that did not beat for so long is taken for dead; it looks at its segment's name again when it wakes. */
export const silentAfterMs = 30_000
/** Four times what a segment grows to: whatever is larger was not written by us, and is not taken into memory. */
const largestSegment = 64 << 20

export const journalDir = (dir: string, journalId: string) => join(dir, journalId)
export const segmentPath = (dir: string, journalId: string, number: number, open: boolean) =>
  join(dir, journalId, `${String(number).padStart(8, '0')}.${open ? 'open' : 'kept'}`)

/** @throws the file system's error when the directory can be neither made nor read */
export async function makeJournalDir(dir: string, journalId: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  await mkdir(journalDir(dir, journalId), { recursive: true, mode: 0o700 })
  await syncNames(dir)
}

/** Says on the disk that the journal's process lives. */
export async function beat(dir: string, journalId: string): Promise<void> {
  const path = join(journalDir(dir, journalId), beatName)
  beatingHere.add(path)
  const now = new Date()
  await utimes(path, now, now).catch(async (error) => {
    if (!isMissing(error)) throw error
    await writeFile(path, `${hostname()} ${process.pid}\n`, { mode: 0o600 })
  })
}

/** Says that the process is done. Its directory stays, even empty: in a recovery it says that there is nothing to wait for. */
export async function endBeat(dir: string, journalId: string): Promise<void> {
  const path = join(journalDir(dir, journalId), beatName)
  beatingHere.delete(path)
  await rm(path, { force: true })
}

/**
 * Every journal there, the oldest id first.
 *
 * @throws the file system's error when the directory cannot be read: that is not an empty list
 */
export async function listJournals(dir: string, now = Date.now()): Promise<JournalOnDisk[]> {
  const names = (await readdir(dir, { withFileTypes: true }).catch(noneIfMissing))
    .filter((entry) => entry.isDirectory() && journalName.test(entry.name))
    .map(({ name }) => name)
    .sort()
  return Promise.all(
    names.map(async (id) => {
      const path = journalDir(dir, id)
      const files = (await readdir(path).catch(noneIfMissing)).sort()
      const segments: SegmentFile[] = []
      for (const name of files) {
        const [, number, state] = segmentName.exec(name) ?? []
        const facts = number === undefined ? undefined : await stat(join(path, name)).catch(nullIfMissing)
        if (!facts || number === undefined) continue // renamed or pruned just now
        const segment = { journalId: id, number: Number(number), path: join(path, name), open: state === 'open' }
        segments.push({ ...segment, bytes: facts.size, changedAtMs: facts.mtimeMs })
      }
      const beatAt = await stat(join(path, beatName)).catch(nullIfMissing)
      const beats = beatAt !== null && now - beatAt.mtimeMs < silentAfterMs
      const alive = beats && (await mayRun(join(path, beatName)))
      const changedAtMs = (await stat(path).catch(nullIfMissing))?.mtimeMs ?? 0
      return { id, dir: path, segments, beats, alive, ended: beatAt === null, changedAtMs }
    }),
  )
}

/** @returns what can be read of it, in order; undefined: it is gone, renamed or pruned */
export async function readSegment(file: SegmentFile): Promise<ReadSegment | undefined> {
  if (file.bytes > largestSegment) return { header: undefined, frames: [], damage: [{ from: 0, to: file.bytes, torn: false }] }
  const bytes = await readFile(file.path).catch(async (error) => {
    nullIfMissing(error)
    return readFile(file.path.replace(/open$/, 'kept')).catch(nullIfMissing) // settled a moment ago
  })
  if (bytes === null) return undefined
  const { frames, damage } = decodeFrames(bytes)
  return { header: headerOf(frames), frames: frames.filter(({ kind }) => kind !== 'header'), damage }
}

/** @returns the header alone; undefined: it cannot be read */
export async function readHeader(file: SegmentFile): Promise<SegmentHeader | undefined> {
  const handle = await open(file.path, 'r').catch(nullIfMissing)
  if (handle === null) return undefined
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(2048), 0, 2048, 0)
    return headerOf(decodeFrames(buffer.subarray(0, bytesRead)).frames)
  } finally {
    await handle.close()
  }
}

/** @throws the file system's error when such a segment is there already */
export async function createSegment(path: string, header: Buffer): Promise<FileHandle> {
  const handle = await open(path, 'wx', 0o600)
  try {
    await handle.write(header)
    await handle.datasync()
    await syncNames(join(path, '..'))
    return handle
  } catch (error) {
    await handle.close()
    await rm(path, { force: true })
    throw error
  }
}

/** Everything in it is in the database: from now on it waits for a restore only. */
export async function keepSegment(file: Pick<SegmentFile, 'path'>): Promise<void> {
  await rename(file.path, file.path.replace(/open$/, 'kept')).catch(nullIfMissing)
}

/** Puts new bytes in a segment's place, whole or not at all. */
export async function replaceSegment(path: string, bytes: Buffer): Promise<void> {
  const { mtime, atime } = await stat(path)
  const draft = `${path}.draft`
  const handle = await open(draft, 'w', 0o600)
  try {
    await handle.writeFile(bytes)
    await handle.datasync()
  } finally {
    await handle.close()
  }
  await utimes(draft, atime, mtime) // its age decides when it is pruned
  await rename(draft, path)
  await syncNames(join(path, '..'))
}

/** Makes names last: on most file systems, syncing a file does not sync the directory that lists it. */
export async function syncNames(dir: string): Promise<void> {
  if (process.platform === 'win32') return // it cannot open directories, and keeps names in its own log
  const handle = await open(dir, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}

export function nullIfMissing(error: unknown): null {
  if (isMissing(error)) return null
  throw error
}

/** A process of this machine that was killed is known for dead at once; of other machines only their silence tells. */
async function mayRun(beatPath: string): Promise<boolean> {
  const [host, pid] = (await readFile(beatPath, 'utf8').catch(() => '')).trim().split(' ')
  if (host !== hostname() || !pid || !/^\d+$/.test(pid)) return true
  // Its number is ours: a container that was started again has the same name, and counts its processes from one.
  if (Number(pid) === process.pid) return beatingHere.has(beatPath)
  try {
    process.kill(Number(pid), 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

function noneIfMissing(error: unknown): [] {
  nullIfMissing(error)
  return []
}

function headerOf(frames: Frame[]): SegmentHeader | undefined {
  const [first] = frames
  if (first?.kind !== 'header') return undefined
  try {
    return Header.parse(JSON.parse(first.payload.toString()))
  } catch {
    return undefined
  }
}

/** Why a segment is not for us, as a sentence; undefined: it is. */
export function foreignness({ header }: ReadSegment, databaseId: string): string | undefined {
  if (header === undefined) return undefined
  if (header.format > formatVersion) return 'was written by a newer release: run that one'
  if (header.databaseId !== databaseId) return 'belongs to another database: give this one a JOURNAL_DIR of its own'
  return undefined
}
