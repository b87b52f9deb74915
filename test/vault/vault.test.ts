// What is sealed opens in its place and nowhere else.
import { createCipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import { generateVaultKey, parseKeyring } from '../../src/vault/keyring.ts'
import { createVault, type SealPlace } from '../../src/vault/vault.ts'

const [k1, k2] = [generateVaultKey('k1'), generateVaultKey('k2')]
const vault = createVault(parseKeyring(k1))
const place: SealPlace = { purpose: 'refresh_token', subject: 'acc_1', generation: 7 }
const token = 'rft.abcDEF123~!4567'
const unreadable = { code: 'credential_unreadable' }

const anyText = fc.string({ unit: 'binary', maxLength: 300 })
const anyPlace: fc.Arbitrary<SealPlace> = fc.record({
  purpose: fc.constantFrom('access_token', 'refresh_token', 'authorization_code', 'code_verifier', 'confirm', 'event'),
  subject: anyText,
  generation: fc.maxSafeNat(),
})

t.test('what is sealed opens in its place, whatever the text', async () => {
  fc.assert(fc.property(anyPlace, anyText, (place, text) => vault.open(place, vault.seal(place, text)) === text))
})

t.test('the sealed text names its key and fits into a column, a file name and a log', async (t) => {
  t.match(vault.seal(place, token), /^v1\.k1\.[A-Za-z0-9_-]+$/)
  t.equal(vault.keyIdOf(vault.seal(place, token)), 'k1')
  t.not(vault.seal(place, token), vault.seal(place, token), 'equal secrets look different')
  t.same(createVault(parseKeyring(`${k2},${k1}`)).keyIds, ['k2', 'k1'])
})

t.test('S18: a sealed text opens nowhere else: not for another account, field or generation', async (t) => {
  const sealed = vault.seal(place, token)
  t.throws(() => vault.open({ ...place, subject: 'acc_2' }, sealed), unreadable)
  t.throws(() => vault.open({ ...place, purpose: 'access_token' }, sealed), unreadable)
  t.throws(() => vault.open({ ...place, generation: 6 }, sealed), unreadable)
  t.throws(() => vault.open({ ...place, generation: -1 }, sealed), unreadable)

  fc.assert(
    fc.property(anyPlace, anyPlace, (a, b) => {
      fc.pre(a.purpose !== b.purpose || a.subject !== b.subject || a.generation !== b.generation)
      try {
        vault.open(b, vault.seal(a, token))
        return false
      } catch {
        return true
      }
    }),
  )
  // The borders between the parts count too.
  t.throws(
    () =>
      vault.open({ ...place, subject: 'acc_', generation: 17 }, vault.seal({ ...place, subject: 'acc_1', generation: 7 }, token)),
    unreadable,
  )
})

t.test('key id and format version are bound as well', async (t) => {
  // Sealed by hand from the description of the format, so that the vault does not check itself.
  const prefixed = (...texts: string[]) =>
    Buffer.concat(texts.flatMap((text) => [Buffer.from([0, 0, 0, Buffer.byteLength(text)]), Buffer.from(text)]))
  function sealByHand(aad: string[], keyId = 'k1', { tagBytes = 16 } = {}): string {
    const master = Buffer.from(k1.slice(3), 'base64')
    const subkey = Buffer.from(hkdfSync('sha256', master, '', prefixed('tiktok-oauth/v1', 'refresh_token'), 32))
    const nonce = randomBytes(12)
    const cipher = createCipheriv('aes-256-gcm', subkey, nonce).setAAD(prefixed(...aad))
    const sealed = Buffer.concat([nonce, cipher.update(token), cipher.final(), cipher.getAuthTag().subarray(0, tagBytes)])
    return `v1.${keyId}.${sealed.toString('base64url')}`
  }

  t.equal(vault.open(place, sealByHand(['v1', 'refresh_token', 'acc_1', '7', 'k1'])), token)
  t.throws(() => vault.open(place, sealByHand(['v0', 'refresh_token', 'acc_1', '7', 'k1'])), unreadable, 'version')
  t.throws(() => vault.open(place, sealByHand(['v1', 'refresh_token', 'acc_1', '7', 'k0'])), unreadable, 'key id')
  t.throws(() => vault.open(place, sealByHand(['v1', 'refresh_token', 'acc_1', '7'])), unreadable, 'a part less')
  t.throws(
    () => vault.open(place, sealByHand(['v1', 'refresh_token', 'acc_1', '7', 'k1'], 'k1', { tagBytes: 4 })),
    unreadable,
    'a tag of 4 bytes',
  )

  // The same key under another name: the right bytes, the wrong id.
  const renamed = createVault(parseKeyring(`k9:${k1.slice(3)}`))
  t.throws(() => renamed.open(place, vault.seal(place, token).replace('v1.k1.', 'v1.k9.')), unreadable)
})

t.test('S17: no flipped bit, cut or addition goes unnoticed', async (t) => {
  const sealed = vault.seal(place, token)
  const opens = (text: string) => {
    try {
      vault.open(place, text)
      return true
    } catch (error) {
      t.match(error, unreadable)
      return false
    }
  }
  t.ok(opens(sealed))

  const survivors: string[] = []
  for (let i = 0; i < sealed.length; i++) {
    for (let bit = 0; bit < 8; bit++) {
      const changed = sealed.slice(0, i) + String.fromCharCode(sealed.charCodeAt(i) ^ (1 << bit)) + sealed.slice(i + 1)
      if (opens(changed)) survivors.push(`character ${i} bit ${bit}`)
    }
    if (opens(sealed.slice(0, i))) survivors.push(`cut to ${i}`)
  }
  for (const addition of ['=', 'A', '\n', ' ', '.', '.A']) if (opens(sealed + addition)) survivors.push(`with ${addition}`)
  t.same(survivors, [])

  const start = 'v1.k1.'.length
  const bytes = Buffer.from(sealed.slice(start), 'base64url')
  for (let i = 0; i < bytes.length * 8; i++) {
    const changed = Buffer.from(bytes)
    changed.writeUInt8(changed.readUInt8(i >> 3) ^ (1 << (i & 7)), i >> 3)
    if (opens(`v1.k1.${changed.toString('base64url')}`)) survivors.push(`bit ${i}`)
  }
  t.same(survivors, [])
  t.notOk(opens(''))
  t.notOk(opens(token))
})

t.test('one of two texts with the same bytes is not the sealed text', async (t) => {
  const survivors = new Set<string>()
  for (let i = 0; i < 200; i++) {
    const sealed = vault.seal(place, `token ${i}`)
    for (const alias of [sealed.replaceAll('-', '+'), sealed.replaceAll('_', '/'), `${sealed}=`]) {
      if (alias === sealed) continue
      try {
        vault.open(place, alias)
        survivors.add(alias)
      } catch {}
    }
  }
  t.equal(survivors.size, 0)
})

t.test('S19: a key is picked by its id and never tried in turn', async (t) => {
  const both = createVault(parseKeyring(`${k2},${k1}`))
  const underK1 = vault.seal(place, token)
  t.equal(both.open(place, underK1), token)
  t.throws(() => both.open(place, underK1.replace('v1.k1.', 'v1.k2.')), unreadable)
})

t.test('a missing key is named, with what to do', async (t) => {
  const withoutK1 = createVault(parseKeyring(k2))
  const sealed = vault.seal(place, token)
  t.throws(() => withoutK1.open(place, sealed), { ...unreadable, message: /vault key "k1".*VAULT_KEYS.*restart/ })
  t.throws(() => withoutK1.reseal(place, sealed), unreadable)
})

t.test('S17: nonces are fresh over 100,000 seals', async (t) => {
  const nonces = new Set<string>()
  for (let i = 0; i < 100_000; i++) nonces.add(vault.seal(place, '').slice(6, 22))
  t.equal(nonces.size, 100_000)
})

t.test('reseal brings a text under the primary key, in the same place, once', async (t) => {
  const both = createVault(parseKeyring(`${k2},${k1}`))
  const resealed = both.reseal(place, vault.seal(place, token))
  t.ok(resealed?.startsWith('v1.k2.'))
  t.equal(both.open(place, resealed ?? ''), token)
  t.equal(createVault(parseKeyring(k2)).open(place, resealed ?? ''), token, 'the old key can go')
  t.equal(both.reseal(place, resealed ?? ''), null)
  t.throws(
    () => both.reseal({ ...place, generation: 8 }, vault.seal(place, token)),
    unreadable,
    'a wrong place is not made right',
  )
})

t.test('a canary notices other bytes under a known id, a missing key and a foreign canary', async (t) => {
  const both = createVault(parseKeyring(`${k2},${k1}`))
  const canary = both.sealCanary('k1')
  t.ok(both.checkCanary('k1', canary))
  t.ok(createVault(parseKeyring(k1)).checkCanary('k1', canary), 'after a restart')
  t.notOk(createVault(parseKeyring(generateVaultKey('k1'))).checkCanary('k1', canary), 'other bytes')
  t.notOk(createVault(parseKeyring(k2)).checkCanary('k1', canary), 'missing')
  t.notOk(both.checkCanary('k2', canary), 'of another key')
  t.notOk(
    both.checkCanary('k1', both.reseal({ purpose: 'canary', subject: 'k1', generation: 0 }, canary) ?? ''),
    'moved to another key',
  )
  t.notOk(both.checkCanary('k1', 'nonsense'))
  t.throws(() => createVault(parseKeyring(k2)).sealCanary('k1'), { code: 'keyring_mismatch' })
})

t.test('no error holds the secret, the sealed text or a key', async (t) => {
  const sealed = vault.seal(place, token)
  const attempts = [
    () => vault.open({ ...place, generation: 8 }, sealed),
    () => vault.open(place, `${sealed}x`),
    () => vault.open(place, token),
    () => vault.open(place, `v1.${token.slice(4)}.x`),
    () => createVault(parseKeyring(k2)).open(place, sealed),
    () => vault.keyIdOf(token),
  ]
  for (const attempt of attempts) {
    try {
      attempt()
      t.fail('should not open')
    } catch (error) {
      const shown = inspect(error, { depth: 9, showHidden: true })
      t.match(error, { code: 'credential_unreadable', cause: undefined })
      for (const secret of [token.slice(4), sealed.slice(6), sealed.slice(6, 20), k1.slice(3), k2.slice(3)])
        t.notOk(shown.includes(secret))
    }
  }
  t.notOk(inspect(vault, { depth: 9, showHidden: true }).includes(k1.slice(3)))
  t.notOk(JSON.stringify(vault).includes(k1.slice(3)))
})

t.test('what cannot come back unchanged, or has no place, is not sealed', async (t) => {
  t.throws(() => vault.seal(place, 'half \ud83d'), TypeError)
  t.throws(() => vault.seal({ ...place, subject: '\udc00' }, token), TypeError)
  for (const generation of [-1, 1.5, Number.NaN, 2 ** 53]) t.throws(() => vault.seal({ ...place, generation }, token), TypeError)
})

t.test('seals are counted for each key, and told once', async (t) => {
  const vault = createVault(parseKeyring(`${generateVaultKey('k2')},${generateVaultKey('k1')}`))
  const place = { purpose: 'access_token', subject: 'acc_1', generation: 1 } as const
  for (let n = 0; n < 3; n++) vault.seal(place, 'x')
  t.same([vault.takeSealCount('k2'), vault.takeSealCount('k1'), vault.takeSealCount('k2')], [3, 0, 0])
})
