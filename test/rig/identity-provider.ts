// An identity provider: a JWKS over HTTP that can be changed, counted and taken away, and tokens signed in every way there is.
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type CryptoKey, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'

interface Teardown {
  teardown(work: () => unknown): unknown
}

export interface SigningKey {
  kid: string
  alg: string
  privateKey: CryptoKey
  publicJwk: Record<string, unknown>
}

export interface IdentityProvider {
  jwksUrl: string
  issuer: string
  audience: string
  /** how often the JWKS was fetched */
  fetches(): number
  /** what the JWKS lists from now on */
  publish(...keys: SigningKey[]): void
  /** answers are held back, or the status is 500 */
  answer(how: 'normally' | 'never' | 'with 500' | 'with rubbish'): void
  close(): Promise<void>
  /** a good token for us, but for what is changed; `null` takes a claim away */
  token(key: SigningKey, change?: { claims?: Record<string, unknown>; header?: Record<string, unknown> }): Promise<string>
}

export async function newSigningKey(kid: string, alg = 'ES256'): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  return { kid, alg, privateKey, publicJwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } }
}

export async function startIdentityProvider(t: Teardown, ...keys: SigningKey[]): Promise<IdentityProvider> {
  const issuer = 'https://login.example.com'
  const audience = 'https://oauth.example.com'
  let published = keys
  let how: Parameters<IdentityProvider['answer']>[0] = 'normally'
  let fetches = 0
  const server: Server = createServer((_request, response) => {
    fetches++
    if (how === 'never') return
    if (how === 'with 500') response.writeHead(500).end()
    else if (how === 'with rubbish') response.end('<html>')
    else
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: published.map((key) => key.publicJwk) }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const close = async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  t.teardown(close)
  return {
    jwksUrl: `http://127.0.0.1:${port}/jwks`,
    issuer,
    audience,
    fetches: () => fetches,
    publish: (...next) => {
      published = next
    },
    answer: (next) => {
      how = next
    },
    close,
    token(key, { claims = {}, header = {} } = {}) {
      const now = Math.floor(Date.now() / 1000)
      const payload: Record<string, unknown> = {
        iss: issuer,
        aud: audience,
        sub: 'upload-service',
        iat: now,
        exp: now + 300,
        ...claims,
      }
      const kept = Object.fromEntries(Object.entries(payload).filter(([, value]) => value !== null)) as JWTPayload
      return new SignJWT(kept).setProtectedHeader({ alg: key.alg, kid: key.kid, typ: 'at+jwt', ...header }).sign(key.privateKey)
    },
  }
}
