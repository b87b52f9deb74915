// Callers that come with a JWT of their own identity provider: who is believed, what they may do, and what is left of them in the audit.
import { createSecretKey } from 'node:crypto'
import { SignJWT, UnsecuredJWT } from 'jose'
import t from 'tap'
import { type Bounds, everything } from '../../src/access/reach.ts'
import { startApp } from '../../src/app.ts'
import { openJwtCallers } from '../../src/http/jwt-callers.ts'
import { ConfigError, loadConfig } from '../../src/settings/config.ts'
import { createLog } from '../../src/telemetry.ts'
import { command, environmentOf } from '../rig/command.ts'
import { eventually } from '../rig/eventually.ts'
import { type IdentityProvider, newSigningKey, startIdentityProvider } from '../rig/identity-provider.ts'
import { letTimePass } from '../rig/time.ts'
import { startWorld } from '../world.ts'

const settingsOf = (provider: IdentityProvider, claim = 'sub') => ({
  jwksUrl: provider.jwksUrl,
  issuer: provider.issuer,
  audience: provider.audience,
  claim,
  scopes: new Map([
    ['upload-service', ['tokens:read', 'quota:write'] as const],
    ['web-app', ['connect:write', 'accounts:read'] as const],
  ]),
  maxAgeSeconds: 3600,
  reaches: new Map<string, Bounds>(),
})
const nobodyDenied = { include: async () => false }

const here = '127.0.0.1'

t.test('a good token is its subject, with the scopes our configuration gives it and none of its own', async (t) => {
  for (const alg of ['RS256', 'ES256', 'EdDSA']) {
    const key = await newSigningKey('one', alg)
    const provider = await startIdentityProvider(t, key)
    const callers = openJwtCallers(settingsOf(provider), nobodyDenied)
    const token = await provider.token(key, { claims: { scope: 'ops:read owners:write', scopes: ['ops:read'] } })
    const expected = {
      keyId: 'jwt:upload-service',
      name: 'jwt:upload-service',
      scopes: ['tokens:read', 'quota:write'],
      reach: everything,
    }
    t.same(await callers.verify(token, here), expected, alg)
  }
})

t.test('a claim with a list gives the scopes of all that we know of it', async (t) => {
  const key = await newSigningKey('one')
  const provider = await startIdentityProvider(t, key)
  const callers = openJwtCallers(settingsOf(provider, 'roles'), nobodyDenied)
  const verify = async (roles: unknown) => (await callers.verify(await provider.token(key, { claims: { roles } }), here))?.scopes
  t.same(await verify(['web-app', 'upload-service', 'admin']), ['connect:write', 'accounts:read', 'tokens:read', 'quota:write'])
  t.same(await verify('web-app'), ['connect:write', 'accounts:read'])
  t.same(await verify(['__proto__', 7, null, { a: 1 }]), [])
  t.same(await verify(null), [])
})

t.test('nothing but a live token for us is believed', async (t) => {
  const key = await newSigningKey('one', 'RS256')
  const stranger = await newSigningKey('one', 'RS256')
  const elsewhere = await newSigningKey('two', 'RS256')
  const provider = await startIdentityProvider(t, key)
  const callers = openJwtCallers(settingsOf(provider), nobodyDenied)
  const now = Math.floor(Date.now() / 1000)
  const good = await provider.token(key)
  const [head = '', body = '', signature = ''] = good.split('.')
  const claimed = (claims: Record<string, unknown>) => provider.token(key, { claims })

  // Whoever can read the JWKS knows these bytes: as an HMAC key they would sign anything (RFC 8725 §2.1).
  const publicBytes = createSecretKey(Buffer.from(JSON.stringify(key.publicJwk)))
  const payload = { iss: provider.issuer, aud: provider.audience, sub: 'upload-service', iat: now, exp: now + 300 }
  const hmac = await new SignJWT(payload).setProtectedHeader({ alg: 'HS256', kid: 'one', typ: 'at+jwt' }).sign(publicBytes)
  const pss = await newSigningKey('one', 'PS256')

  const refused: Record<string, string> = {
    'an unsigned token': new UnsecuredJWT(payload).encode(),
    'alg none with a signature': `${Buffer.from('{"alg":"none","typ":"at+jwt","kid":"one"}').toString('base64url')}.${body}.${signature}`,
    'an HMAC over the public key': hmac,
    'an algorithm that is not pinned': await provider.token(pss),
    'a signature of another key under the same id': await provider.token(stranger),
    'an unknown key id': await provider.token(elsewhere),
    'a changed body': `${head}.${Buffer.from(JSON.stringify({ ...payload, sub: 'web-app' })).toString('base64url')}.${signature}`,
    'a cut signature': `${head}.${body}.${signature.slice(0, -8)}`,
    'no signature': `${head}.${body}.`,
    'an expired token': await claimed({ exp: now - 10 }),
    'a token without an end': await claimed({ exp: null }),
    'a token that does not say when it was issued': await claimed({ iat: null }),
    'a token of more than an hour ago that lives for a day': await claimed({ iat: now - 3610, exp: now + 86_400 }),
    'a token of the future': await claimed({ iat: now + 60 }),
    'a token that is not valid yet': await claimed({ nbf: now + 60 }),
    'another issuer': await claimed({ iss: 'https://login.example.org' }),
    'another audience': await claimed({ aud: 'https://billing.example.com' }),
    'no audience': await claimed({ aud: null }),
    'no subject': await claimed({ sub: null }),
    'an empty subject': await claimed({ sub: '' }),
    'an ID token': await provider.token(key, { header: { typ: 'JWT' } }),
    'no type': await provider.token(key, { header: { typ: undefined } }),
    'a critical header we do not know': `${Buffer.from('{"alg":"RS256","kid":"one","typ":"at+jwt","crit":["x"],"x":1}').toString('base64url')}.${body}.${signature}`,
  }
  for (const [what, token] of Object.entries(refused)) t.equal(await callers.verify(token, here), undefined, what)
  t.ok(await callers.verify(good, here), 'and the good one still is')
  t.ok(await callers.verify(await claimed({ exp: now - 3 }), here), 'clocks may differ by a few seconds')
  t.ok(await callers.verify(await claimed({ iat: now - 3590 }), here), 'and an hour is an hour')
  t.ok(
    await callers.verify(await claimed({ aud: ['https://billing.example.com', provider.audience] }), here),
    'one audience of several',
  )
  t.ok(
    await callers.verify(await provider.token(key, { header: { typ: 'application/at+jwt' } }), here),
    'the long form of the type',
  )
})

t.test('a key that the provider has changed to is fetched, and one it has dropped is refused', async (t) => {
  const [before, after] = [await newSigningKey('before'), await newSigningKey('after')]
  const provider = await startIdentityProvider(t, before)
  const callers = openJwtCallers(settingsOf(provider), nobodyDenied, { cooldownMs: 0 })
  t.ok(await callers.verify(await provider.token(before), here))
  provider.publish(after)
  t.ok(await callers.verify(await provider.token(after), here))
  t.equal(await callers.verify(await provider.token(before), here), undefined)
})

t.test('rubbish does not decide how often the provider is asked', async (t) => {
  const [key, unknown] = [await newSigningKey('one'), await newSigningKey('two')]
  const provider = await startIdentityProvider(t, key)
  const callers = openJwtCallers(settingsOf(provider), nobodyDenied)
  for (let i = 0; i < 20; i++) await callers.verify(await provider.token(unknown), here)
  t.equal(provider.fetches(), 1, 'unknown key ids, within the cooldown')

  const down = await startIdentityProvider(t, key)
  down.answer('with 500')
  const closed = openJwtCallers(settingsOf(down), nobodyDenied)
  for (let i = 0; i < 20; i++) await t.rejects(closed.verify(await down.token(key), here), { code: 'storage_unavailable' })
  t.equal(down.fetches(), 1, 'a provider that is down')
})

t.test('without the provider nobody is believed: silent, broken or talking rubbish, and it recovers by itself', async (t) => {
  const key = await newSigningKey('one')
  const provider = await startIdentityProvider(t, key)
  const callers = openJwtCallers(settingsOf(provider), nobodyDenied, { timeoutMs: 50, afterFailureMs: 0 })
  const token = await provider.token(key)
  for (const how of ['never', 'with 500', 'with rubbish'] as const) {
    provider.answer(how)
    await t.rejects(callers.verify(token, here), { code: 'storage_unavailable', retryAfterSeconds: 2 }, how)
  }
  provider.answer('normally')
  t.ok(await callers.verify(token, here))
})

t.test('a subject stands in the audit as it is, or as its hash when it is long or strange', async (t) => {
  const key = await newSigningKey('one')
  const provider = await startIdentityProvider(t, key)
  const callers = openJwtCallers(settingsOf(provider), nobodyDenied)
  const keyIdOf = async (sub: string) => (await callers.verify(await provider.token(key, { claims: { sub } }), here))?.keyId
  t.equal(await keyIdOf('auth0|5f7c8ec7'), 'jwt:auth0|5f7c8ec7')
  t.match(await keyIdOf('x'.repeat(5000)), /^jwt:~[0-9a-f]{32}$/)
  t.match(await keyIdOf('two\nlines'), /^jwt:~[0-9a-f]{32}$/)
  t.not(await keyIdOf('x'.repeat(5000)), await keyIdOf('x'.repeat(5001)))
})

t.test('over HTTP: a JWT caller reads a token, leaves its name in the audit, and may do no more than it was given', async (t) => {
  const key = await newSigningKey('one')
  const provider = await startIdentityProvider(t, key)
  const world = await startWorld(t, {
    env: {
      JWT_JWKS_URL: provider.jwksUrl,
      JWT_ISSUER: provider.issuer,
      JWT_AUDIENCE: provider.audience,
      JWT_SCOPES: 'upload-service=tokens:read+quota:write',
    },
  })
  const account = await world.connect()
  const uploader = await provider.token(key)
  const path = `/accounts/${account.id}/token`
  t.equal((await world.call('GET', path, { key: uploader })).status, 200)
  t.match(await world.call('GET', `/accounts/${account.id}`, { key: uploader }), {
    status: 403,
    body: { code: 'insufficient_scope' },
  })
  const nobody = await provider.token(key, { claims: { sub: 'somebody-else' } })
  t.match(await world.call('GET', path, { key: nobody }), { status: 403, body: { code: 'insufficient_scope' } })
  const expired = await provider.token(key, { claims: { exp: 1 } })
  t.match(await world.call('GET', path, { key: expired }), { status: 401, body: { code: 'unauthenticated' } })
  const reads = await world.parts.db.run('reads', (sql) => sql`select key_id from token_reads where account_id = ${account.id}`)
  t.same(reads, [{ keyId: 'jwt:upload-service' }])
  t.notOk(world.logged().includes(uploader), 'and no token in the log')
})

t.test('over HTTP: while the provider is away its callers get 503, and API keys work as ever', async (t) => {
  const key = await newSigningKey('one')
  const provider = await startIdentityProvider(t, key)
  const token = await provider.token(key)
  await provider.close()
  const world = await startWorld(t, {
    env: {
      JWT_JWKS_URL: provider.jwksUrl,
      JWT_ISSUER: provider.issuer,
      JWT_AUDIENCE: provider.audience,
      JWT_SCOPES: 'upload-service=accounts:read',
    },
  })
  const answer = await world.call('GET', '/accounts', { key: token })
  t.match(answer, { status: 503, body: { code: 'storage_unavailable', mended_by: 'time' }, headers: { 'retry-after': '2' } })
  t.equal((await world.call('GET', '/accounts')).status, 200)
})

t.test('without the variables a JWT is no credential, and half of them stop the start', async (t) => {
  const key = await newSigningKey('one')
  const provider = await startIdentityProvider(t, key)
  const world = await startWorld(t)
  t.equal((await world.call('GET', '/accounts', { key: await provider.token(key) })).status, 401)
  t.equal(provider.fetches(), 0)

  const start = (env: Record<string, string>) => () =>
    loadConfig({ TIKTOK_CLIENT_KEY: 'awsimulator00001', TIKTOK_CLIENT_SECRET: 'SimulatorSecret1', ...env })
  t.throws(start({ JWT_JWKS_URL: 'https://login.example.com/jwks' }), ConfigError)
  const rest = { JWT_ISSUER: 'i', JWT_AUDIENCE: 'a', JWT_JWKS_URL: 'https://login.example.com/jwks' }
  t.throws(start({ ...rest, JWT_SCOPES: 'web-app=everything' }), /JWT_SCOPES must read/)
  t.throws(start({ ...rest, JWT_SCOPES: 'web-app' }), /JWT_SCOPES must read/)
  t.throws(start({ ...rest, JWT_SCOPES: 'a=ops:read', JWT_JWKS_URL: 'http://login.example.com/jwks' }), /JWT_JWKS_URL/)
  const config = start({ ...rest, JWT_SCOPES: 'web-app=connect:write+accounts:read,a=b=ops:read' })()
  t.same(
    [...(config.jwt?.scopes ?? [])],
    [
      ['web-app', ['connect:write', 'accounts:read']],
      ['a=b', ['ops:read']],
    ],
  )
})

t.test(
  'over HTTP: a token of twelve kilobytes is read, and a denied subject is refused on every replica within 5 s',
  async (t) => {
    const key = await newSigningKey('one')
    const provider = await startIdentityProvider(t, key)
    const env = {
      JWT_JWKS_URL: provider.jwksUrl,
      JWT_ISSUER: provider.issuer,
      JWT_AUDIENCE: provider.audience,
      JWT_SCOPES: 'upload-service=accounts:read,second=accounts:read',
    }
    const world = await startWorld(t, { env })
    const replica = await startApp(world.config, { log: createLog('silent'), background: false })
    t.teardown(() => replica.close())
    const [first, second] = [
      await provider.token(key, { claims: { groups: 'g'.repeat(8500) } }),
      await provider.token(key, { claims: { sub: 'second' } }),
    ]
    t.ok(first.length > 11_000 && first.length < 12_288)
    const statuses = async (token: string) =>
      Promise.all(
        [world.app.url, replica.url].map(
          async (url) => (await fetch(`${url}/accounts`, { headers: { authorization: `Bearer ${token}` } })).status,
        ),
      )
    const both = async (token: string, status: number) =>
      eventually(`both replicas answer ${status}`, async () => (await statuses(token)).every((each) => each === status))
    t.same(await statuses(first), [200, 200])

    const keys = async (...args: string[]) => {
      const ran = await command(['keys', ...args], environmentOf(world))
      t.equal(ran.code, 0, ran.stderr)
      return ran.stdout
    }
    t.match(await keys('revoke', 'jwt:upload-service'), /jwt:upload-service is denied/)
    letTimePass(t, 5_000)
    t.same(await statuses(first), [401, 401], 'five seconds later at the latest')
    t.same(await statuses(second), [200, 200], 'others are not')
    t.match(await keys('list'), /jwt:upload-service\tdenied/)
    await keys('allow', 'jwt:upload-service')
    await both(first, 200)

    await keys('revoke', '--all-but', 'jwt:second')
    await both(first, 401)
    t.same(await statuses(second), [200, 200], 'who was named stays')
    await keys('allow', 'jwt:*')
    await both(first, 200)
    const star = await provider.token(key, { claims: { sub: '*' } })
    t.notMatch(await openJwtCallers(settingsOf(provider), nobodyDenied).verify(star, here), { keyId: 'jwt:*' })
  },
)

t.test('JWT_REACH narrows by the same claim as the scopes; of several values all narrow', async (t) => {
  const key = await newSigningKey('one')
  const provider = await startIdentityProvider(t, key)
  const world = await startWorld(t, {
    env: {
      JWT_JWKS_URL: provider.jwksUrl,
      JWT_ISSUER: provider.issuer,
      JWT_AUDIENCE: provider.audience,
      JWT_CLAIM: 'roles',
      JWT_SCOPES: 'reader=accounts:read,acme=accounts:read,shop=accounts:read,far=accounts:read',
      JWT_REACH: 'acme=owner:acme_,shop=owner:acme_shop%2B+owner:beta_,far=from:10.0.0.0/8',
    },
  })
  const [one, two] = [await world.connect({ owner: 'acme_1' }), await world.connect({ owner: 'acme_shop+1', person: 'jonas' })]
  const seen = async (...roles: string[]) => {
    const token = await provider.token(key, { claims: { roles } })
    const answer = await world.call<{ accounts?: { id: string }[] }>('GET', '/accounts', { key: token })
    return answer.body.accounts?.map(({ id }) => id) ?? answer.status
  }
  t.same(await seen('reader'), [one.id, two.id])
  t.same(await seen('reader', 'acme'), [one.id, two.id])
  t.same(await seen('acme', 'shop'), [two.id])
  t.same(await seen('shop'), [two.id])
  t.equal(await seen('far'), 401)
  t.equal(await seen('reader', 'far'), 401)
  const start = (reach: string) => () =>
    loadConfig({ TIKTOK_CLIENT_KEY: 'awsimulator00001', TIKTOK_CLIENT_SECRET: 'SimulatorSecret1', JWT_REACH: reach })
  for (const bad of ['acme', 'acme=', 'acme=owner:', 'acme=tenant:x', 'acme=from:10.0.0.0/40', 'a=owner:x,a=owner:y'])
    t.throws(start(bad), /JWT_REACH must read/, bad)
})
