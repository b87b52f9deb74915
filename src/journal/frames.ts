// The bytes of a journal segment: frames one after the other, each with a sync mark, a length and a checksum. A damaged stretch costs
// the frames in it and no others, because the reader looks for the next mark behind it.
import { crc32 } from 'node:zlib'

/** What an entry says. The number stands on disk: it never changes its meaning and is never used again. */
export const kinds = {
  /** opens a segment: whose it is, and of which database */
  header: 0,
  /** TikTok's answer to a refresh, from before it was recorded */
  refresh: 1,
  /** TikTok's answer to a code exchange, from before it was recorded */
  exchange: 2,
  /** an account as a connect made it, tokens included */
  connected: 3,
  /** the database has these entries of this journal */
  recorded: 4,
  disconnected: 5,
  /** an owner was erased */
  erased: 6,
  key_revoked: 7,
  /** a grant was revoked at TikTok */
  revoked: 8,
  /** how far the database was when this journal last looked, and who else was at it */
  sighting: 9,
} as const
export type Kind = keyof typeof kinds

const kindsByNumber = new Map<number, Kind>(Object.entries(kinds).map(([kind, number]) => [number, kind as Kind]))

export interface Frame {
  kind: Kind
  /** counts the entries of one journal */
  sequence: number
  atMs: number
  /** of the account, after what the entry says; 0 where there is none */
  generation: number
  /** an account, connect session, key or revocation id, or the keyed hash of an owner */
  subject: string
  /** the vault key of `payload`; empty: it is not sealed */
  keyId: string
  payload: Buffer
}

export interface SegmentHeader {
  format: number
  journalId: string
  segment: number
  databaseId: string
  /** the one vault key that seals this segment */
  keyId: string
}

/** Where bytes of a segment are no frame. */
export interface Damage {
  from: number
  to: number
  /** nothing follows: the writer was stopped in the middle of it, and nobody was told that it is safe */
  torn: boolean
}

const syncMark = 0x544a01a7
const prefixBytes = 12
const fixedBytes = 19
/** An answer of TikTok's is below 64 KiB; whatever claims to be longer than this is no frame. */
const largestBody = 1 << 20
export const formatVersion = 1

export function encodeFrame(frame: Frame): Buffer {
  const { sequence, atMs, generation, payload } = frame
  const subject = Buffer.from(frame.subject)
  const keyId = Buffer.from(frame.keyId)
  if (subject.length > 255 || keyId.length > 255) throw new RangeError('An id of a journal entry has up to 255 bytes')
  const bodyLength = fixedBytes + subject.length + keyId.length + payload.length
  if (bodyLength > largestBody) throw new RangeError('A journal entry has up to a mebibyte')
  const bytes = Buffer.allocUnsafe(prefixBytes + bodyLength)
  bytes.writeUInt32BE(syncMark, 0)
  bytes.writeUInt32BE(bodyLength, 4)
  let at = bytes.writeUInt8(kinds[frame.kind], prefixBytes)
  at = bytes.writeUIntBE(sequence, at, 6)
  at = bytes.writeUIntBE(atMs, at, 6)
  at = bytes.writeUInt32BE(generation, at)
  at = bytes.writeUInt8(subject.length, at)
  at += subject.copy(bytes, at)
  at = bytes.writeUInt8(keyId.length, at)
  at += keyId.copy(bytes, at)
  payload.copy(bytes, at)
  bytes.writeUInt32BE(crc32(bytes.subarray(prefixBytes)), 8)
  return bytes
}

export function encodeHeader(header: Omit<SegmentHeader, 'format'>, atMs: number): Buffer {
  const payload = Buffer.from(JSON.stringify({ format: formatVersion, ...header }))
  return encodeFrame({ kind: 'header', sequence: 0, atMs, generation: 0, subject: '', keyId: '', payload })
}

/** Frames in the order they were written; kinds that this release does not know are left out, as a newer one may have them. */
export function decodeFrames(bytes: Buffer): { frames: Frame[]; damage: Damage[] } {
  const frames: Frame[] = []
  const damage: Damage[] = []
  let at = 0
  while (at < bytes.length) {
    const end = frameEnd(bytes, at)
    if (end === undefined) {
      const next = nextFrame(bytes, at + 1)
      damage.push({ from: at, to: next ?? bytes.length, torn: next === undefined })
      at = next ?? bytes.length
      continue
    }
    const frame = decodeFrame(bytes, at + prefixBytes, end)
    if (frame) frames.push(frame)
    at = end
  }
  return { frames, damage }
}

/** Sequences as a `recorded` entry holds them. */
export function encodeSequences(sequences: readonly number[]): Buffer {
  const bytes = Buffer.allocUnsafe(sequences.length * 6)
  for (const [place, sequence] of sequences.entries()) bytes.writeUIntBE(sequence, place * 6, 6)
  return bytes
}

export function decodeSequences(payload: Buffer): number[] {
  return Array.from({ length: Math.floor(payload.length / 6) }, (_, place) => payload.readUIntBE(place * 6, 6))
}

/** @returns where the frame that begins here ends; undefined: none does */
function frameEnd(bytes: Buffer, at: number): number | undefined {
  if (at + prefixBytes + fixedBytes > bytes.length || bytes.readUInt32BE(at) !== syncMark) return undefined
  const bodyLength = bytes.readUInt32BE(at + 4)
  const end = at + prefixBytes + bodyLength
  if (bodyLength < fixedBytes || bodyLength > largestBody || end > bytes.length) return undefined
  return crc32(bytes.subarray(at + prefixBytes, end)) === bytes.readUInt32BE(at + 8) ? end : undefined
}

function nextFrame(bytes: Buffer, from: number): number | undefined {
  const mark = Buffer.alloc(4)
  mark.writeUInt32BE(syncMark)
  for (let at = bytes.indexOf(mark, from); at !== -1; at = bytes.indexOf(mark, at + 1)) {
    if (frameEnd(bytes, at) !== undefined) return at
  }
  return undefined
}

function decodeFrame(bytes: Buffer, from: number, end: number): Frame | undefined {
  const kind = kindsByNumber.get(bytes.readUInt8(from))
  const subjectEnd = from + 18 + bytes.readUInt8(from + 17)
  if (kind === undefined || subjectEnd >= end) return undefined
  const keyIdEnd = subjectEnd + 1 + bytes.readUInt8(subjectEnd)
  if (keyIdEnd > end) return undefined
  return {
    kind,
    sequence: bytes.readUIntBE(from + 1, 6),
    atMs: bytes.readUIntBE(from + 7, 6),
    generation: bytes.readUInt32BE(from + 13),
    subject: bytes.toString('utf8', from + 18, subjectEnd),
    keyId: bytes.toString('latin1', subjectEnd + 1, keyIdEnd),
    payload: bytes.subarray(keyIdEnd, end),
  }
}
