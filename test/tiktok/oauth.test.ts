// What goes out to TikTok's OAuth, byte for byte.
import t from 'tap'
import { createTikTok, type RevokeAnswer } from '../../src/tiktok/client.ts'
import { grant, json, tiktokAnswering } from './loopback.ts'
import { reply, type Script, scriptedTikTok, secret } from './scripted.ts'

const request = {
  state: 'opaque',
  redirectUri: 'https://us.test/callback',
  scopes: ['user.info.basic', 'video.upload'],
}

t.test('S09: the authorization URL asks for the given scopes in TikTok’s words and always shows the consent page', async (t) => {
  const { tiktok } = scriptedTikTok(t)
  const url = new URL(tiktok.authorizationUrl(request))
  t.equal(url.origin + url.pathname, 'https://www.tiktok.com/v2/auth/authorize/')
  t.same(Object.fromEntries(url.searchParams), {
    client_key: 'awkey',
    scope: 'user.info.basic,video.upload',
    response_type: 'code',
    redirect_uri: 'https://us.test/callback',
    state: 'opaque',
    disable_auto_auth: '1',
  })
  t.notOk(url.href.includes(secret))
})

t.test('S07: a challenge goes along as S256', async (t) => {
  const { tiktok } = scriptedTikTok(t)
  const { searchParams } = new URL(tiktok.authorizationUrl({ ...request, codeChallenge: 'abc' }))
  t.equal(searchParams.get('code_challenge'), 'abc')
  t.equal(searchParams.get('code_challenge_method'), 'S256')
  t.notOk(new URL(tiktok.authorizationUrl({ ...request, codeChallenge: undefined })).searchParams.has('code_challenge_method'))
})

t.test('the simulator’s addresses are used when they are configured', async (t) => {
  const tiktok = createTikTok({
    authBaseUrl: 'http://127.0.0.1:4000',
    apiBaseUrl: 'http://127.0.0.1:4001',
    clientKey: 'awkey',
    clientSecret: secret,
  })
  t.teardown(() => tiktok.close())
  t.ok(tiktok.authorizationUrl(request).startsWith('http://127.0.0.1:4000/v2/auth/authorize/?client_key=awkey&'))
})

t.test('a code, a refresh token and a revocation go out as TikTok’s pages say, byte for byte', async (t) => {
  const { tiktok, received } = await tiktokAnswering(t, (response) => json(response, grant))
  await tiktok.exchangeCode({ code: 'Zx9*1!6001.u1', redirectUri: 'https://us.test/callback' })
  await tiktok.exchangeCode({ code: 'c', redirectUri: 'https://us.test/callback', codeVerifier: 'verifier~._-' })
  await tiktok.refresh('rft.old+/=')
  await tiktok.revoke('act.old')
  const client = { client_key: 'awkey', client_secret: 'fake-secret' }
  const code = { grant_type: 'authorization_code', redirect_uri: 'https://us.test/callback' }
  t.same(
    received.map(({ method, path, body }) => [method, path, Object.fromEntries(new URLSearchParams(body))]),
    [
      ['POST', '/v2/oauth/token/', { ...client, ...code, code: 'Zx9*1!6001.u1' }],
      ['POST', '/v2/oauth/token/', { ...client, ...code, code: 'c', code_verifier: 'verifier~._-' }],
      ['POST', '/v2/oauth/token/', { ...client, grant_type: 'refresh_token', refresh_token: 'rft.old+/=' }],
      ['POST', '/v2/oauth/revoke/', { ...client, token: 'act.old' }],
    ],
  )
  for (const { headers } of received) {
    t.equal(headers['content-type'], 'application/x-www-form-urlencoded', 'a charset suffix was seen to be refused')
    t.notOk('authorization' in headers)
  }
})

t.test('a revocation', async (t) => {
  const revocationAnswered = (script: Script): Promise<RevokeAnswer> => {
    const { tiktok, api } = scriptedTikTok(t)
    reply(api.post('/v2/oauth/revoke/'), script)
    return tiktok.revoke('act.old')
  }

  t.test('is done when TikTok says {}, nothing, or ok', async (t) => {
    for (const body of ['{}', '', '{"data":{},"error":{"code":"ok","message":""}}', '{"surprise":1}'])
      t.same(await revocationAnswered({ body }), { kind: 'revoked' })
    t.same(await revocationAnswered({ status: 204, body: '' }), { kind: 'revoked' })
  })

  t.test('of what is gone already is no failure (RFC 7009 §2.2)', async (t) => {
    for (const error of ['invalid_grant', 'invalid_token', { code: 'access_token_invalid' }])
      for (const status of [200, 400, 401])
        t.same(await revocationAnswered({ status, body: { error } }), { kind: 'already_gone' })
  })

  t.test('is not done when TikTok refuses us', async (t) => {
    const body = { error: 'invalid_client', error_description: 'wrong act.old' }
    t.same(await revocationAnswered({ body }), {
      kind: 'client_refused',
      error: 'invalid_client',
      blame: 'credentials',
      description: 'wrong …',
    })
    t.match(await revocationAnswered({ body: { error: 'invalid_request' } }), { kind: 'client_refused', blame: 'request' })
  })

  t.test('is not believed from anybody but TikTok', async (t) => {
    t.match(await revocationAnswered({ body: '<html>hotel</html>' }), { kind: 'unavailable', reason: 'foreign_body' })
    t.match(await revocationAnswered({ body: '[]' }), { kind: 'unavailable', reason: 'foreign_body' })
    t.match(await revocationAnswered({ body: '{"error":' }), { kind: 'unavailable', reason: 'cut_body' })
    t.match(await revocationAnswered({ body: { error: 'quota_of_the_moon' } }), { kind: 'unavailable', reason: 'foreign_body' })
    t.match(await revocationAnswered({ body: grant }), { kind: 'revoked' }, 'an object without an error is a success')
  })

  t.test('waits when TikTok is busy or broken', async (t) => {
    t.match(await revocationAnswered({ status: 429, body: '', headers: { 'retry-after': '9' } }), {
      kind: 'unavailable',
      reason: 'throttled',
      retryAfterSeconds: 9,
    })
    t.match(await revocationAnswered({ status: 503, body: '{}' }), { kind: 'unavailable', reason: 'server_error' })
    t.match(await revocationAnswered({ status: 500, body: '' }), { kind: 'unavailable', reason: 'server_error' })
    t.match(await revocationAnswered({ body: { error: 'server_error' } }), { kind: 'unavailable', reason: 'server_error' })
    t.match(await revocationAnswered({ status: 404, body: '{}' }), { kind: 'unavailable', reason: 'foreign_body' })
  })
})
