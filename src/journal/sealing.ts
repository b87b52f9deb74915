// What an entry says, sealed into a frame and opened from it. A frame is bound to what it says and where it stands: one copied to another
// journal, account or generation does not open.
import type { SealPlace, Vault } from '../vault/vault.ts'
import { encodeFrame, type Frame, type Kind } from './frames.ts'

export interface Entry {
  kind: Exclude<Kind, 'header' | 'recorded'>
  subject: string
  generation: number
  /** JSON, known only to whoever writes it */
  body: unknown
}

export interface StoredEntry extends Entry {
  journalId: string
  sequence: number
  atMs: number
}

export function sealEntry(vault: Vault, journalId: string, entry: Entry, sequence: number, atMs: number): Buffer {
  const sealed = vault.seal(placeOf(journalId, { ...entry, sequence }), JSON.stringify(entry.body))
  return encodeFrame({ ...entry, sequence, atMs, ...split(sealed) })
}

/** @throws Error whose message ends a sentence about the entry: its key is not here, or it was changed */
export function openFrame(vault: Vault, journalId: string, frame: Frame): StoredEntry {
  const { kind, subject, generation, sequence, atMs, payload } = frame
  if (kind === 'header' || kind === 'recorded') throw new TypeError(`${kind} holds nothing sealed`)
  if (!vault.keyIds.includes(frame.keyId)) throw new Error(`is sealed with the vault key "${frame.keyId}", which is not here`)
  let body: unknown
  try {
    body = JSON.parse(vault.open(placeOf(journalId, frame), join(frame.keyId, payload)))
  } catch (cause) {
    throw new Error('does not open: it was changed or moved, or another key has its id', { cause })
  }
  return { kind, subject, generation, sequence, atMs, journalId, body }
}

/** @throws ServiceError credential_unreadable */
export function resealFrame(vault: Vault, journalId: string, frame: Frame): Buffer {
  const resealed = frame.keyId === '' ? null : vault.reseal(placeOf(journalId, frame), join(frame.keyId, frame.payload))
  return encodeFrame(resealed === null ? frame : { ...frame, ...split(resealed) })
}

function placeOf(journalId: string, frame: Pick<Frame, 'kind' | 'sequence' | 'subject' | 'generation'>): SealPlace {
  const { kind, sequence, subject, generation } = frame
  return { purpose: 'journal', subject: `${kind}:${journalId}:${sequence}:${subject}`, generation }
}

/** A sealed text is `v1.KEY_ID.BASE64URL`: on disk its bytes, a quarter less. */
function split(sealed: string): { keyId: string; payload: Buffer } {
  const [, keyId = '', encoded = ''] = sealed.split('.')
  return { keyId, payload: Buffer.from(encoded, 'base64url') }
}

function join(keyId: string, payload: Buffer): string {
  return `v1.${keyId}.${payload.toString('base64url')}`
}
