// PKCE as RFC 7636 says it, and as TikTok says it.
import t from 'tap'
import { challengeOf, createVerifier } from '../../src/tiktok/pkce.ts'

t.test('S07: a verifier is 64 unreserved characters, and never the same', async (t) => {
  const verifiers = Array.from({ length: 1000 }, createVerifier)
  for (const verifier of verifiers) if (!/^[A-Za-z0-9._~-]{64}$/.test(verifier)) t.fail(verifier)
  t.equal(new Set(verifiers).size, 1000)
})

t.test('s256 is RFC 7636: its own example (appendix B)', async (t) => {
  t.equal(challengeOf('dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk', 's256'), 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM')
})

t.test('s256-hex is the same digest in lower-case hex', async (t) => {
  const verifier = createVerifier()
  const hex = challengeOf(verifier, 's256-hex')
  t.match(hex, /^[0-9a-f]{64}$/)
  t.equal(Buffer.from(hex, 'hex').toString('base64url'), challengeOf(verifier, 's256'))
})
