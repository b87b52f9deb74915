// Seals each secret for one place and opens it only there. The database only ever sees sealed text.
import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto'
import { ServiceError } from '../errors.ts'
import { isKeyId, type Keyring, lengthPrefixed, type Purpose } from './keyring.ts'
import { randomPages } from './random-pages.ts'

/** Where a sealed text belongs. Authenticated with the text, so a row that was moved or kept from earlier does not open. */
export interface SealPlace {
  readonly purpose: Purpose
  /** The account or connect session it belongs to. */
  readonly subject: string
  /** The token generation; 0 for what never changes. */
  readonly generation: number
}

export interface Vault {
  /** The keys it can open with, the primary first. */
  readonly keyIds: readonly string[]
  seal(place: SealPlace, plaintext: string): string
  /** @throws ServiceError credential_unreadable: unknown key, or wrong place or changed bytes, which look the same */
  open(place: SealPlace, sealed: string): string
  /** @throws ServiceError credential_unreadable: not a sealed text at all */
  keyIdOf(sealed: string): string
  /** @returns the same secret under the primary key, or null when it already is */
  reseal(place: SealPlace, sealed: string): string | null
  /** How often this process has sealed under each key since this was last asked. */
  takeSealCount(keyId: string): number
  /** A text to store in the database: as long as it opens, the key under this id has not changed. */
  sealCanary(keyId: string): string
  /** @returns false for a missing key, other bytes under the same id, or another key's canary */
  checkCanary(keyId: string, sealed: string): boolean
}

const formatVersion = 'v1'
const cipher = 'aes-256-gcm'
const nonceBytes = 12
const freshNonce = randomPages(nonceBytes)
// Set on both sides: otherwise Node's GCM accepts tags as short as 4 bytes, which can be guessed.
const tagBytes = 16
const gcm = { authTagLength: tagBytes }
const canaryText = 'canary'

/**
 * The sealed text is `v1.KEY_ID.base64url(nonce ‖ ciphertext ‖ tag)`, safe in a column, a file and a log.
 *
 * Nonces are random, so NIST SP 800-38D §8.3 allows 2^32 seals per sub-key: a new primary key within thirteen years at ten
 * seals a second, within three months at 500.
 */
export function createVault(keyring: Keyring): Vault {
  const seals = new Map<string, number>()

  function sealWith(keyId: string, place: SealPlace, plaintext: string): string {
    const subkey = keyring.subkey(keyId, place.purpose)
    if (!subkey) throw new ServiceError('keyring_mismatch', `Put the vault key "${keyId}" into VAULT_KEYS and restart.`)
    // An unpaired surrogate would come back as another character, and the secret would be changed.
    if (!plaintext.isWellFormed()) throw new TypeError('Only well-formed text can be sealed')
    seals.set(keyId, (seals.get(keyId) ?? 0) + 1)
    const nonce = freshNonce()
    const gcmSeal = createCipheriv(cipher, subkey, nonce, gcm)
    gcmSeal.setAAD(placeBytes(place, keyId))
    const ciphertext = gcmSeal.update(plaintext, 'utf8')
    gcmSeal.final()
    const sealed = Buffer.concat([nonce, ciphertext, gcmSeal.getAuthTag()])
    return `${formatVersion}.${keyId}.${sealed.toString('base64url')}`
  }

  function open(place: SealPlace, sealed: string): string {
    const { keyId, encoded } = split(sealed)
    // Picked by id, never by trying (S19).
    const subkey = keyring.subkey(keyId, place.purpose)
    if (!subkey) {
      throw unreadable(
        `It is sealed with the vault key "${keyId}": put that key back into VAULT_KEYS, behind the primary, and restart.`,
      )
    }
    const plaintext = decrypt(subkey, place, keyId, encoded)
    if (plaintext === undefined) {
      throw unreadable(
        `It does not open with the vault key "${keyId}" in its place (${place.purpose}): the row was changed or moved, or other bytes are configured under that id. Correct the key or restore the row; failing both, the account must be connected again.`,
      )
    }
    return plaintext
  }

  return {
    keyIds: keyring.ids,
    seal: (place, plaintext) => sealWith(keyring.primaryId, place, plaintext),
    open,
    keyIdOf: (sealed) => split(sealed).keyId,
    reseal(place, sealed) {
      if (split(sealed).keyId === keyring.primaryId) return null
      return sealWith(keyring.primaryId, place, open(place, sealed))
    },
    takeSealCount(keyId) {
      const count = seals.get(keyId) ?? 0
      seals.delete(keyId)
      return count
    },
    sealCanary: (keyId) => sealWith(keyId, canaryPlace(keyId), canaryText),
    checkCanary(keyId, sealed) {
      try {
        return split(sealed).keyId === keyId && open(canaryPlace(keyId), sealed) === canaryText
      } catch {
        return false
      }
    },
  }
}

function split(sealed: string): { keyId: string; encoded: string } {
  const [version, keyId, encoded, ...rest] = sealed.split('.')
  // The id ends up in an error message, so it must be an id and not a piece of some text stored by mistake.
  if (version !== formatVersion || !keyId || !isKeyId(keyId) || encoded === undefined || rest.length > 0) {
    throw unreadable('It is not in a format that this release seals: restore the row, or run the release that wrote it.')
  }
  return { keyId, encoded }
}

/** @returns undefined for any failure: the difference helps only an attacker, and a crypto error may quote its input */
function decrypt(subkey: KeyObject, place: SealPlace, keyId: string, encoded: string): string | undefined {
  const bytes = Buffer.from(encoded, 'base64url')
  // Node's decoder skips foreign characters and spare bits, so two different texts would open as one secret.
  if (bytes.length < nonceBytes + tagBytes || bytes.toString('base64url') !== encoded) return undefined
  try {
    const gcmOpen = createDecipheriv(cipher, subkey, bytes.subarray(0, nonceBytes), gcm)
    gcmOpen.setAAD(placeBytes(place, keyId))
    gcmOpen.setAuthTag(bytes.subarray(-tagBytes))
    const plaintext = gcmOpen.update(bytes.subarray(nonceBytes, -tagBytes))
    gcmOpen.final() // throws unless the tag is right; the plaintext may not be used before this
    return plaintext.toString('utf8')
  } catch {
    return undefined
  }
}

function placeBytes({ purpose, subject, generation }: SealPlace, keyId: string): Buffer {
  if (!Number.isSafeInteger(generation) || generation < 0) throw new TypeError('A generation is a whole number from 0')
  if (!subject.isWellFormed()) throw new TypeError('A subject is well-formed text')
  return lengthPrefixed(formatVersion, purpose, subject, String(generation), keyId)
}

function canaryPlace(keyId: string): SealPlace {
  return { purpose: 'canary', subject: keyId, generation: 0 }
}

function unreadable(detail: string): ServiceError {
  return new ServiceError('credential_unreadable', detail)
}
