// Which vault keys are taken, and what is said about those that are not.
import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { inspect } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import { generateVaultKey, lengthPrefixed, parseKeyring } from '../../src/vault/keyring.ts'

const keyText = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')

t.test('a fresh key is taken, and the first one is primary', async (t) => {
  const keyring = parseKeyring(`${generateVaultKey('k2')}, ${generateVaultKey()}\n`)
  t.equal(keyring.primaryId, 'k2')
  t.same(keyring.ids, ['k2', 'k1'])
  t.match(generateVaultKey('k9'), /^k9:[A-Za-z0-9+/]{43}=$/)
  t.throws(() => generateVaultKey('K 9'), /key id/)
})

t.test('a random key is never refused, in either base64 alphabet, padded or not', async () => {
  fc.assert(
    fc.property(
      fc.constant(null).map(() => randomBytes(32)),
      (bytes) => {
        for (const text of [keyText(bytes), keyText(bytes).replace('=', ''), bytes.toString('base64url')])
          parseKeyring(`k1:${text}`)
      },
    ),
    { numRuns: 2_000 },
  )
})

t.test('S22: sub-keys differ by purpose and by key, and stay the same over restarts', async (t) => {
  const text = `${generateVaultKey('k2')},${generateVaultKey('k1')}`
  const keyring = parseKeyring(text)
  const exported = (['k2', 'k1'] as const).flatMap((id) =>
    (['access_token', 'refresh_token', 'spill'] as const).map((purpose) => keyring.subkey(id, purpose)?.export().toString('hex')),
  )
  t.equal(new Set(exported).size, 6)
  t.notOk(exported.includes(undefined))
  t.equal(parseKeyring(text).subkey('k2', 'access_token')?.export().toString('hex'), exported[0])
  t.equal(keyring.subkey('k2', 'access_token'), keyring.subkey('k2', 'access_token'), 'derived once')
  t.equal(keyring.subkey('k3', 'access_token'), undefined)
})

t.test('S23: weak and example keys are refused', async (t) => {
  const refused: [string, Uint8Array][] = [
    ['zeros', new Uint8Array(32)],
    ['one byte repeated', new Uint8Array(32).fill(0x41)],
    ['counting up', Uint8Array.from({ length: 32 }, (_, i) => i)],
    ['counting down over the edge', Uint8Array.from({ length: 32 }, (_, i) => 10 - 3 * i)],
    [
      'a pattern of 16 repeated',
      Buffer.concat([
        Buffer.from('5b1f0099aac3d4e5f60718293a4b5c6d', 'hex'),
        Buffer.from('5b1f0099aac3d4e5f60718293a4b5c6d', 'hex'),
      ]),
    ],
    ['two values', Uint8Array.from({ length: 32 }, (_, i) => (i % 3 ? 7 : 200))],
    ['an example', Buffer.from('example-vault-key-do-not-use-32b')],
    ['a passphrase', Buffer.from('correct horse battery staple 123')],
    ['hex typed for base64', Buffer.from(randomBytes(16).toString('hex'))],
  ]
  for (const [name, bytes] of refused) {
    t.equal(bytes.length, 32)
    t.throws(() => parseKeyring(`k1:${keyText(bytes)}`), /^VAULT_KEYS: entry 1 .*`vault keygen`/, name)
  }
})

const example = new URL('../../.env.example', import.meta.url)
t.test('whatever .env.example shows is refused', { skip: !existsSync(example) }, async (t) => {
  for (const [, value] of readFileSync(example, 'utf8').matchAll(/VAULT_KEYS=([^\s#]+)/g)) {
    t.throws(() => parseKeyring(value ?? ''))
  }
})

t.test('malformed rings are refused, by the position of the entry', async (t) => {
  const good = generateVaultKey('k1')
  const [, goodText = ''] = good.split(':')
  const refused: [string, string, RegExp][] = [
    ['nothing', '', /entry 1 is not ID:BASE64/],
    ['no id', goodText, /entry 1 is not ID:BASE64/],
    ['a trailing comma', `${good},`, /entry 2 is not ID:BASE64/],
    ['a third part', `${good}:x`, /entry 1 is not ID:BASE64/],
    ['id and key swapped', `${goodText}:k1`, /entry 1 has an id that is not/],
    ['an upper-case id', `K1:${goodText}`, /entry 1 has an id/],
    ['an id of 33 letters', `${'k'.repeat(33)}:${goodText}`, /entry 1 has an id/],
    ['an empty id', `:${goodText}`, /entry 1 has an id/],
    ['one id twice', `${good},${generateVaultKey('k1')}`, /entry 2 has the id of an earlier entry/],
    ['one key under two ids', `${good},k2:${goodText}`, /entry 2 has the key of an earlier entry/],
    ['31 bytes', `k1:${keyText(randomBytes(31))}`, /entry 1 is not 32 bytes/],
    ['33 bytes', `k1:${keyText(randomBytes(33))}`, /entry 1 is not 32 bytes/],
    ['foreign characters inside', `k1:${goodText.slice(0, 20)}!${goodText.slice(20)}`, /entry 1 is not 32 bytes/],
    ['64 hex digits', `k1:${randomBytes(32).toString('hex')}`, /entry 1 is not 32 bytes/],
  ]
  for (const [name, text, expected] of refused) t.throws(() => parseKeyring(text), expected, name)
  t.throws(() => parseKeyring('x', 'VAULT_KEYS_FILE'), /^VAULT_KEYS_FILE: /)
})

t.test('no error tells a part of what was configured', async (t) => {
  const anyEntry = fc.array(fc.constantFrom(':', ',', 'k1', 'SECRET42', keyText(randomBytes(32)), keyText(randomBytes(31))), {
    maxLength: 8,
  })
  fc.assert(
    fc.property(anyEntry, (parts) => {
      try {
        parseKeyring(parts.join(''))
      } catch (error) {
        for (const part of parts) if (part.length > 2 && inspect(error).includes(part)) return false
      }
      return true
    }),
  )
  t.pass()
})

t.test('a ring shows no key bytes to inspect or JSON', async (t) => {
  const bytes = randomBytes(32)
  const keyring = parseKeyring(`k1:${keyText(bytes)}`)
  const subkey = keyring.subkey('k1', 'access_token')
  const shown = [
    inspect(keyring, { depth: 9, showHidden: true, getters: true }),
    inspect(subkey, { depth: 9, showHidden: true }),
    JSON.stringify({ keyring, subkey }),
    String(keyring) + String(subkey),
  ].join()
  for (const secret of [bytes, subkey?.export() ?? bytes]) {
    for (const encoding of ['base64', 'base64url', 'hex', 'latin1'] as const)
      t.notOk(shown.includes(secret.toString(encoding).slice(0, 8)))
    t.notOk(shown.includes([...secret.subarray(0, 4)].join(', ')))
    t.notOk(shown.includes(secret.toString('hex', 0, 4).replace(/..(?=.)/g, '$& ')))
  }
})

t.test('no two different lists of texts are prefixed to the same bytes', async () => {
  const texts = fc.array(fc.oneof(fc.string({ maxLength: 4 }), fc.constantFrom('', '\0', '\0\0\0\x01a', 'ä')), { maxLength: 5 })
  fc.assert(
    fc.property(texts, texts, (a, b) => {
      const isSame = a.length === b.length && a.every((text, i) => text === b[i])
      return lengthPrefixed(...a).equals(lengthPrefixed(...b)) === isSame
    }),
    { numRuns: 2_000 },
  )
})
