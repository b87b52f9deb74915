// Appends frames to segments of one journal. Everybody who writes at the same moment shares one write and one sync (group commit), and
// nobody waits for a disk that is away.
import { type FileHandle, stat } from 'node:fs/promises'
import { createSegment, keepSegment, makeJournalDir, segmentPath, silentAfterMs } from './disk.ts'

export interface Writer {
  /** @returns when it is on the disk. @throws the file system's error, or Error when too much waits: nothing of it is there */
  append(bytes: Buffer, options: { sequence: number; pending: boolean }): Promise<void>
  /** Bytes that nobody waits for: they go with the next write, or within a second. */
  accompany(bytes: Buffer): void
  /** The database has it, or nobody wants it any more. */
  settle(sequence: number): void
  /** It is on the disk and not settled. */
  has(sequence: number): boolean
  /** Whatever waits is written first. A segment without unrecorded entries is kept, and the next write begins another. */
  close(): Promise<void>
  readonly pending: number
}

export interface WriterOptions {
  dir: string
  journalId: string
  header: (segment: number) => Buffer
  /** so many bytes of a segment are durable */
  onWritten?: (segment: number, length: number) => void
  /** nothing in a segment waits any more */
  onKept?: (segment: number) => void
  /** something that nobody waited for was not written */
  onTrouble: (error: unknown) => void
  segmentBytes?: number
  segmentMs?: number
  /** how long a segment's name is believed without a look: a neighbour may have taken us for dead, or somebody may have cleaned up */
  nameBelievedMs?: number
}

interface Waiting {
  bytes: Buffer
  sequence: number
  pending: boolean
  resolve: () => void
  reject: (error: unknown) => void
}

interface Segment {
  number: number
  path: string
  handle: FileHandle
  inode: number
  length: number
  openedAtMs: number
  lookedAtMs: number
}

/** An answer of TikTok's takes half a kilobyte. Behind so much a disk is not slow but away. */
const waitingMax = 2_000
const waitingBytesMax = 16 << 20
const accompanyMs = 500

export function openWriter(options: WriterOptions): Writer {
  const { dir, journalId, header, onWritten = () => {}, onKept = () => {}, onTrouble } = options
  const { segmentBytes = 16 << 20, segmentMs = 3_600_000, nameBelievedMs = 1_000 } = options
  const waiting: Waiting[] = []
  const companions: Buffer[] = []
  /** unrecorded entries, by the segment they stand in */
  const unrecorded = new Map<number, Set<number>>()
  const segmentOf = new Map<number, number>()
  const underWay = new Set<number>()
  const settledEarly = new Set<number>()
  const closedSegments: number[] = []
  let waitingBytes = 0
  let last = 0
  let current: Segment | undefined
  let flushing: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined

  function flush(): Promise<void> {
    flushing ??= (async () => {
      try {
        // In the next turn of the event loop: who writes in this one goes along.
        await new Promise((resolve) => setImmediate(resolve))
        while (waiting.length > 0 || companions.length > 0) await commit(waiting.splice(0), companions.splice(0))
      } finally {
        flushing = undefined
      }
    })()
    return flushing
  }

  async function commit(batch: Waiting[], others: Buffer[]): Promise<void> {
    const bytes = Buffer.concat([...batch.map((each) => each.bytes), ...others])
    waitingBytes -= batch.reduce((sum, each) => sum + each.bytes.length, 0)
    try {
      const segment = await write(bytes)
      for (const { sequence, pending, resolve } of batch) {
        underWay.delete(sequence)
        if (!settledEarly.delete(sequence) && pending) {
          unrecorded.get(segment.number)?.add(sequence)
          segmentOf.set(sequence, segment.number)
        }
        resolve()
      }
      onWritten(segment.number, segment.length)
    } catch (error) {
      for (const { sequence, reject } of batch) {
        underWay.delete(sequence)
        settledEarly.delete(sequence)
        reject(error)
      }
      if (others.length > 0) onTrouble(error)
    }
  }

  async function write(bytes: Buffer): Promise<Segment> {
    for (;;) {
      const segment = await presentSegment()
      const { handle, length } = segment
      try {
        await writeAll(handle, bytes, length)
        await handle.datasync()
        segment.length = length + bytes.length
      } catch (error) {
        // What a full disk took in part is cut off; a segment that cannot even be cut is left to its readers, who see where it is torn.
        await handle.truncate(length).catch(() => leave(segment))
        throw error
      }
      // Paused in between for so long that a neighbour may have kept this segment: then it stands in the next one too.
      if (performance.now() - segment.lookedAtMs < silentAfterMs / 2 || (await isOurs(segment))) return segment
      await leave(segment)
    }
  }

  async function presentSegment(): Promise<Segment> {
    if (current) {
      const now = performance.now()
      const full = current.length >= segmentBytes || now - current.openedAtMs >= segmentMs
      if (!full && now - current.lookedAtMs < nameBelievedMs) return current
      if (!full && (await isOurs(current))) return current
      await leave(current)
    }
    last++
    const path = segmentPath(dir, journalId, last, true)
    const bytes = header(last)
    const handle = await createSegment(path, bytes).catch(async (error) => {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
      await makeJournalDir(dir, journalId) // somebody cleaned up too much
      return createSegment(path, bytes)
    })
    const { ino } = await handle.stat()
    const now = performance.now()
    current = { number: last, path, handle, inode: ino, length: bytes.length, openedAtMs: now, lookedAtMs: now }
    unrecorded.set(last, new Set())
    return current
  }

  async function isOurs(segment: Segment): Promise<boolean> {
    const found = await stat(segment.path).catch(() => undefined)
    if (found?.ino !== segment.inode) return false
    segment.lookedAtMs = performance.now()
    return true
  }

  async function leave(segment: Segment): Promise<void> {
    if (current === segment) current = undefined
    closedSegments.push(segment.number)
    await segment.handle.close().catch(() => {})
    await keepSettled()
  }

  /** In their order: then what an open segment lacks is never said by a kept one. */
  let keeping: Promise<void> = Promise.resolve()
  function keepSettled(): Promise<void> {
    keeping = keeping.then(async () => {
      for (let number = closedSegments[0]; number !== undefined; number = closedSegments[0]) {
        if ((unrecorded.get(number)?.size ?? 0) > 0) return
        closedSegments.shift()
        unrecorded.delete(number)
        await keepSegment({ path: segmentPath(dir, journalId, number, true) }).catch(onTrouble)
        onKept(number)
      }
    })
    return keeping
  }

  function soon(): void {
    timer ??= setTimeout(() => {
      timer = undefined
      void flush()
    }, accompanyMs)
    timer.unref()
  }

  return {
    append(bytes, { sequence, pending }) {
      if (waiting.length >= waitingMax || waitingBytes + bytes.length > waitingBytesMax)
        return Promise.reject(new Error(`The disk is ${waiting.length} entries behind`))
      return new Promise<void>((resolve, reject) => {
        waiting.push({ bytes, sequence, pending, resolve, reject })
        underWay.add(sequence)
        waitingBytes += bytes.length
        void flush()
      })
    },

    accompany(bytes) {
      if (companions.length >= waitingMax) return
      companions.push(bytes)
      soon()
    },

    settle(sequence) {
      const number = segmentOf.get(sequence)
      if (number === undefined) {
        if (underWay.has(sequence)) settledEarly.add(sequence)
        return
      }
      segmentOf.delete(sequence)
      const left = unrecorded.get(number)
      left?.delete(sequence)
      if (left?.size === 0 && current?.number !== number) void keepSettled()
    },

    has: (sequence) => segmentOf.has(sequence),

    async close() {
      clearTimeout(timer)
      timer = undefined
      await flush()
      if (current) await leave(current)
      await keeping
    },

    get pending() {
      return segmentOf.size
    },
  }
}

async function writeAll(handle: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done)
    done += bytesWritten
  }
}
