// The vault's master keys: read once from VAULT_KEYS, checked, and never shown again.
import { createSecretKey, hkdfSync, type KeyObject, randomBytes } from 'node:crypto'

/** What a sealed text is for. Each purpose has its own sub-key (S22), so a text never opens as another kind of secret. */
export type Purpose =
  | 'access_token'
  | 'refresh_token'
  | 'authorization_code'
  | 'code_verifier'
  | 'confirm'
  | 'revocation'
  | 'spill'
  | 'journal'
  | 'canary'
  | 'event'
  | 'identity'
  | 'expiry'
  | 'api_key'
  | 'audit'

/** The key bytes live in closures and KeyObjects: neither `util.inspect` nor `JSON.stringify` finds anything to print. */
export interface Keyring {
  /** New texts are sealed with this key. */
  readonly primaryId: string
  /** All ids, the primary first. */
  readonly ids: readonly string[]
  /** @returns the sub-key, derived at first use; undefined when the ring has no such key */
  subkey(keyId: string, purpose: Purpose): KeyObject | undefined
}

const keyBytes = 32
const keyIdPattern = /^[a-z0-9_-]{1,32}$/

/**
 * Reads `k2:BASE64,k1:BASE64`: 32 bytes each, unique ids, the first is primary.
 *
 * @param source the variable to name in an error, VAULT_KEYS or VAULT_KEYS_FILE
 * @throws Error that names the source and the position of the bad entry, never any part of its text: somebody may have
 *   swapped id and key
 */
export function parseKeyring(text: string, source = 'VAULT_KEYS'): Keyring {
  const masters = new Map<string, KeyObject>()
  for (const [index, entry] of text.trim().split(',').entries()) {
    const refuse = (why: string) => new Error(`${source}: entry ${index + 1} ${why}`)

    const [id = '', encoded = '', ...rest] = entry.trim().split(':')
    if (encoded === '' || rest.length > 0) throw refuse('is not ID:BASE64; make one with `vault keygen`')
    if (!isKeyId(id)) throw refuse('has an id that is not 1 to 32 of a-z, 0-9, _ and -')
    if (masters.has(id)) throw refuse('has the id of an earlier entry')

    const bytes = decodeBase64(encoded)
    if (bytes?.length !== keyBytes) throw refuse(`is not ${keyBytes} bytes in base64; make one with \`vault keygen\``)
    const weakness = weaknessOf(bytes)
    if (weakness) throw refuse(`${weakness}; make a random key with \`vault keygen\``)

    const master = createSecretKey(bytes)
    bytes.fill(0)
    // Resealing from a key to a copy of itself would look like a key change and change nothing.
    for (const earlier of masters.values()) if (earlier.equals(master)) throw refuse('has the key of an earlier entry')
    masters.set(id, master)
  }
  return keyringOf(masters)
}

/** @returns a fresh random entry for VAULT_KEYS, `k1:BASE64` */
export function generateVaultKey(id = 'k1'): string {
  if (!isKeyId(id)) throw new Error('A key id is 1 to 32 of a-z, 0-9, _ and -')
  return `${id}:${randomBytes(keyBytes).toString('base64')}`
}

export function isKeyId(text: string): boolean {
  return keyIdPattern.test(text)
}

/** Joins texts, each behind its byte length as a big-endian u32, so that no two different lists give the same bytes. */
export function lengthPrefixed(...texts: string[]): Buffer {
  let size = 0
  for (const text of texts) size += 4 + Buffer.byteLength(text)
  const joined = Buffer.allocUnsafe(size)
  let offset = 0
  for (const text of texts) {
    const length = joined.write(text, offset + 4)
    joined.writeUInt32BE(length, offset)
    offset += 4 + length
  }
  return joined
}

function keyringOf(masters: ReadonlyMap<string, KeyObject>): Keyring {
  const ids = Object.freeze([...masters.keys()])
  const subkeys = new Map<string, Map<Purpose, KeyObject>>(ids.map((id) => [id, new Map()]))
  return Object.freeze({
    primaryId: ids[0] ?? '',
    ids,
    subkey(keyId: string, purpose: Purpose) {
      const known = subkeys.get(keyId)?.get(purpose)
      if (known) return known
      const master = masters.get(keyId)
      if (!master) return undefined
      const bytes = Buffer.from(hkdfSync('sha256', master, '', lengthPrefixed('tiktok-oauth/v1', purpose), keyBytes))
      const subkey = createSecretKey(bytes)
      bytes.fill(0)
      subkeys.get(keyId)?.set(purpose, subkey)
      return subkey
    },
  })
}

/** Both alphabets, padded or not; undefined for anything Node's lenient decoder would silently skip or cut off. */
function decodeBase64(text: string): Buffer | undefined {
  const standard = text.replaceAll('-', '+').replaceAll('_', '/').replace(/=+$/, '')
  const bytes = Buffer.from(standard, 'base64')
  return bytes.toString('base64').replace(/=+$/, '') === standard ? bytes : undefined
}

/**
 * Catches zeros, repeated patterns, counting bytes, and anything a person could have typed, such as the example in
 * .env.example. A random key is refused less than once in a billion times.
 */
function weaknessOf(bytes: Buffer): string | undefined {
  const step = (bytes.readUInt8(1) - bytes.readUInt8(0)) & 0xff
  if (bytes.every((byte, i) => i === 0 || byte === ((bytes.readUInt8(i - 1) + step) & 0xff))) return 'is a constant or counts'
  // 32 random bytes have about 30 different values; a repeated pattern of 16 bytes has at most 16.
  if (new Set(bytes).size <= keyBytes / 2) return 'repeats itself'
  if (bytes.every((byte) => byte >= 0x20 && byte < 0x7f)) return 'is readable text, an example or a passphrase'
  return undefined
}
