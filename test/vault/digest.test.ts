// Digests and random tokens.
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { digest, randomToken, sameDigest } from '../../src/vault/digest.ts'

t.test('a digest is SHA-256 in hex, of text and of bytes alike', async (t) => {
  t.equal(digest('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad') // FIPS 180-2, appendix B.1
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const expected = createHash('sha256').update(text).digest('hex')
      return digest(text) === expected && digest(Buffer.from(text)) === expected
    }),
  )
})

t.test('S24: only equal digests are the same; different lengths are an answer, not an error', async (t) => {
  t.ok(sameDigest(digest('a'), digest('a')))
  t.ok(sameDigest(Buffer.from(digest('a'), 'hex'), createHash('sha256').update('a').digest()))
  t.notOk(sameDigest(digest('a'), digest('b')))
  t.notOk(sameDigest(digest('a'), digest('a').slice(1)))
  t.notOk(sameDigest(digest('a'), ''))
  fc.assert(fc.property(fc.string(), fc.string(), (a, b) => sameDigest(digest(a), digest(b)) === (a === b)))
})

t.test('random tokens carry 256 bits and fit into a URL', async (t) => {
  t.match(randomToken(), /^[A-Za-z0-9_-]{43}$/)
  t.equal(Buffer.from(randomToken(16), 'base64url').length, 16)
  t.equal(new Set(Array.from({ length: 10_000 }, () => randomToken())).size, 10_000)
})
