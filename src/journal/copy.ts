// The second place of a journal, for when the machine is lost: bytes that are durable here are copied there within a second. Nobody waits
// for it, and one that is away is caught up with when it is back.
import { type FileHandle, open } from 'node:fs/promises'
import { within } from '../concurrency/waiting.ts'
import { beat, endBeat, keepSegment, makeJournalDir, segmentPath } from './disk.ts'

export interface JournalCopy {
  /** So many bytes of a segment are durable. */
  written(segment: number, length: number): void
  /** Everything in a segment is recorded: it is kept there too, when it is whole. */
  kept(segment: number): void
  /** how long the oldest bytes that are not there have waited */
  readonly lagSeconds: number
  close(): Promise<void>
}

interface Target {
  length: number
  copied: number
  kept: boolean
}

const roundMs = 250
const beatEveryMs = 5_000
const chunkBytes = 4 << 20
/** The end of the process waits this long for a second place that is slow. */
const lastPatienceMs = 3_000

/** @param onTrouble hears of each round that failed */
export function startCopy(options: {
  from: string
  to: string
  journalId: string
  onTrouble: (error: unknown) => void
}): JournalCopy {
  const { from, to, journalId, onTrouble } = options
  const targets = new Map<number, Target>()
  let behindSinceMs: number | undefined
  let beatAtMs = Number.NEGATIVE_INFINITY
  let isMade = false
  let running: Promise<void> | undefined
  const timer = setInterval(() => void round(), roundMs)
  timer.unref()

  function round(): Promise<void> {
    running ??= work()
      .catch((error) => {
        isMade = false
        onTrouble(error)
      })
      .finally(() => {
        running = undefined
      })
    return running
  }

  async function work(): Promise<void> {
    if (!isMade) await makeJournalDir(to, journalId)
    isMade = true
    if (performance.now() - beatAtMs >= beatEveryMs) {
      await beat(to, journalId)
      beatAtMs = performance.now()
    }
    const startedAtMs = performance.now()
    for (const [number, target] of targets) {
      if (target.copied < target.length) await copySegment(number, target)
      if (!target.kept || target.copied < target.length) continue
      await keepSegment({ path: segmentPath(to, journalId, number, true) })
      targets.delete(number)
    }
    behindSinceMs = isBehind() ? startedAtMs : undefined
  }

  async function copySegment(number: number, target: Target): Promise<void> {
    const source = await openEither(number)
    try {
      const path = segmentPath(to, journalId, number, true)
      const copy = await open(path, target.copied === 0 ? 'w' : 'r+', 0o600)
      try {
        while (target.copied < target.length) {
          const size = Math.min(chunkBytes, target.length - target.copied)
          const { buffer, bytesRead } = await source.read(Buffer.alloc(size), 0, size, target.copied)
          if (bytesRead === 0) throw new Error('The journal is shorter than it was written')
          await copy.write(buffer, 0, bytesRead, target.copied)
          target.copied += bytesRead
        }
        await copy.datasync()
      } catch (error) {
        target.copied = 0 // from the beginning: what is there may be in part
        throw error
      } finally {
        await copy.close()
      }
    } finally {
      await source.close()
    }
  }

  function openEither(number: number): Promise<FileHandle> {
    return open(segmentPath(from, journalId, number, true), 'r').catch(() =>
      open(segmentPath(from, journalId, number, false), 'r'),
    )
  }

  const isBehind = () => [...targets.values()].some(({ copied, length }) => copied < length)

  return {
    written(segment, length) {
      const target = targets.get(segment) ?? { length, copied: 0, kept: false }
      target.length = length
      targets.set(segment, target)
      behindSinceMs ??= performance.now()
    },
    kept(segment) {
      const target = targets.get(segment)
      if (target) target.kept = true
    },
    get lagSeconds() {
      return behindSinceMs === undefined ? 0 : (performance.now() - behindSinceMs) / 1000
    },
    async close() {
      clearInterval(timer)
      const last = async () => {
        await running
        await round()
        // Without this the place says that the process died, and its last second is not believed in.
        if (!isBehind()) await endBeat(to, journalId)
      }
      await within(last(), lastPatienceMs)
    },
  }
}
