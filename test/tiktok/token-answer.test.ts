// How an answer about tokens is read: what counts as a grant, a refusal, and as nothing that can be relied on.
import * as fc from 'fast-check'
import t, { type Test } from 'tap'
import { judgeToken, type TokenAnswer } from '../../src/tiktok/token-answer.ts'
import { grant } from './loopback.ts'
import { reply, type Script, scriptedTikTok } from './scripted.ts'

const refreshAnswered = (t: Test, script: Script): Promise<TokenAnswer> => {
  const { tiktok, api } = scriptedTikTok(t)
  reply(api.post('/v2/oauth/token/'), script)
  return tiktok.refresh('rft.old')
}

const exchangeAnswered = (t: Test, script: Script): Promise<TokenAnswer> => {
  const { tiktok, api } = scriptedTikTok(t)
  reply(api.post('/v2/oauth/token/'), script)
  return tiktok.exchangeCode({ code: 'Zx9fakeCode*1!6001.u1', redirectUri: 'https://us.test/callback' })
}

const tokenSet = {
  accessToken: 'act.fakeAAAA1111',
  refreshToken: 'rft.fakeBBBB2222',
  expiresInSeconds: 7200,
  refreshExpiresInSeconds: 15552000,
  openId: '7e1a0000-0000-4000-8000-000000000001',
  scopes: ['user.info.basic', 'video.upload'],
}

t.test('the documented answer is a grant, for a code and for a refresh token', async (t) => {
  t.same(await exchangeAnswered(t, { body: grant }), { kind: 'granted', tokenSet })
  t.same(await refreshAnswered(t, { body: grant }), { kind: 'granted', tokenSet })
})

t.test('unknown fields are ignored, the log id is kept', async (t) => {
  const body = { ...grant, surprise: { nested: [1, 2] }, error: '', error_description: '', log_id: '2026FAKE' }
  t.same(await refreshAnswered(t, { body }), { kind: 'granted', tokenSet, logId: '2026FAKE' })
  t.same(await refreshAnswered(t, { body: grant, headers: { 'x-tt-logid': 'header-1' } }), {
    kind: 'granted',
    tokenSet,
    logId: 'header-1',
  })
})

t.test('a grant is a grant whatever the status', async (t) => {
  for (const status of [201, 302, 400, 429, 500]) t.match(await refreshAnswered(t, { status, body: grant }), { kind: 'granted' })
})

t.test('scopes are read with commas or spaces, each once', async (t) => {
  const scopes = async (scope: unknown) => {
    const answer = await refreshAnswered(t, { body: { ...grant, scope } })
    return answer.kind === 'granted' ? answer.tokenSet.scopes : answer
  }
  t.same(await scopes('user.info.basic, video.upload,,user.info.basic video.upload'), ['user.info.basic', 'video.upload'])
  t.same(await scopes('user.info.basic'), ['user.info.basic'], 'F18: fewer than before are what there is now')
  for (const unstated of [undefined, null, '', ' , ', 7, ['video.upload']])
    t.equal(await scopes(unstated), null, 'unstated is as before and never none (RFC 6749 §6)')
})

t.test('F17: a missing refresh token is null, so that the old one is kept', async (t) => {
  for (const refresh_token of [undefined, null, '', 42, 'with space', 'x'.repeat(2049), 'line\nbreak'])
    t.match(await refreshAnswered(t, { body: { ...grant, refresh_token } }), {
      kind: 'granted',
      tokenSet: { ...tokenSet, refreshToken: null },
    })
})

t.test('F17: nonsense about a lifetime becomes null, and the rotated refresh token survives it', async (t) => {
  for (const nonsense of [
    undefined,
    null,
    0,
    -1,
    '-1',
    1e12,
    0.5,
    '',
    'soon',
    '7200s',
    '1,200',
    true,
    [7200],
    { seconds: 7200 },
  ]) {
    t.match(await refreshAnswered(t, { body: { ...grant, expires_in: nonsense } }), {
      kind: 'granted',
      tokenSet: { ...tokenSet, expiresInSeconds: null },
    })
    t.match(await refreshAnswered(t, { body: { ...grant, refresh_expires_in: nonsense } }), {
      kind: 'granted',
      tokenSet: { ...tokenSet, refreshExpiresInSeconds: null },
    })
  }
  t.match(await refreshAnswered(t, { body: JSON.stringify(grant).replace('7200', '1e999') }), {
    tokenSet: { expiresInSeconds: null },
  })
})

t.test('a lifetime is a number however it is written', async (t) => {
  for (const written of ['7200', ' 7200 ', '7200.0', '+7200', 7200.0, 7200.9])
    t.match(await refreshAnswered(t, { body: { ...grant, expires_in: written, refresh_expires_in: written } }), {
      tokenSet: { expiresInSeconds: 7200, refreshExpiresInSeconds: 7200 },
    })
})

t.test('lifetimes are taken as stated: 2 hours, a day, 366 days; 180 days, a year, 5 years', async (t) => {
  for (const expires_in of [1, 7200, 86_400, 366 * 86_400])
    t.match(await refreshAnswered(t, { body: { ...grant, expires_in } }), { tokenSet: { expiresInSeconds: expires_in } })
  t.match(await refreshAnswered(t, { body: { ...grant, expires_in: 366 * 86_400 + 1 } }), {
    tokenSet: { expiresInSeconds: null },
  })
  for (const refresh_expires_in of [1, 15_552_000, 31_536_000, 5 * 365 * 86_400])
    t.match(await refreshAnswered(t, { body: { ...grant, refresh_expires_in } }), {
      tokenSet: { refreshExpiresInSeconds: refresh_expires_in },
    })
})

t.test('S10, F18: the open_id is handed on as it came; an answer without one grants nothing', async (t) => {
  t.match(await refreshAnswered(t, { body: { ...grant, open_id: 'somebody-else' } }), { tokenSet: { openId: 'somebody-else' } })
  for (const open_id of [undefined, null, '', 7, 'a b', 'x'.repeat(129)])
    t.match(await refreshAnswered(t, { body: { ...grant, open_id } }), { kind: 'ambiguous', reason: 'foreign_body' })
})

t.test('an answer without a usable access token grants nothing', async (t) => {
  for (const access_token of [undefined, null, '', 7, 'with space', 'x'.repeat(2049), 'naïve'])
    t.match(await refreshAnswered(t, { body: { ...grant, access_token } }), { kind: 'ambiguous', reason: 'foreign_body' })
  t.match(await refreshAnswered(t, { body: {} }), { kind: 'ambiguous', reason: 'foreign_body', status: 200 })
  t.match(await refreshAnswered(t, { body: { data: grant } }), { kind: 'ambiguous', reason: 'foreign_body' })
})

t.test('F13: an error in a 200 is a refusal, and the same in a 400', async (t) => {
  const body = { error: 'invalid_grant', error_description: 'Refresh token is invalid or expired.', log_id: '2026FAKE' }
  for (const status of [200, 400, 401, 500])
    t.same(await refreshAnswered(t, { status, body }), {
      kind: 'refused',
      error: 'invalid_grant',
      description: 'Refresh token is invalid or expired.',
      logId: '2026FAKE',
    })
  t.match(await exchangeAnswered(t, { body: { error: 'invalid_grant' } }), { kind: 'refused', error: 'invalid_grant' })
})

t.test('S43: an error is believed before the tokens beside it', async (t) => {
  t.match(await refreshAnswered(t, { body: { ...grant, error: 'invalid_grant' } }), { kind: 'refused' })
  t.match(await refreshAnswered(t, { body: { ...grant, error: 'what_is_this' } }), { kind: 'ambiguous' })
})

t.test('S44, F19: refused credentials are about us', async (t) => {
  for (const error of ['invalid_client', 'unauthorized_client'])
    t.match(await refreshAnswered(t, { body: { error, error_description: 'Client key or secret is incorrect' } }), {
      kind: 'client_refused',
      error,
      blame: 'credentials',
      description: 'Client key or secret is incorrect',
    })
  t.match(await exchangeAnswered(t, { body: { error: 'invalid_client' } }), { kind: 'client_refused', blame: 'credentials' })
  t.match(
    await exchangeAnswered(t, { body: { error: 'unauthorized_client' } }),
    { kind: 'client_refused', blame: 'request' },
    'said of one person outside the sandbox, too: not everybody stops for that',
  )
})

t.test('S45: of a refresh only invalid_grant speaks about the account', async (t) => {
  const others = ['invalid_request', 'invalid_scope', 'unsupported_grant_type', 'unsupported_response_type', 'access_denied']
  for (const error of others)
    t.match(await refreshAnswered(t, { status: 400, body: { error } }), { kind: 'client_refused', error, blame: 'request' })
  t.match(await exchangeAnswered(t, { body: { error: 'access_denied' } }), { kind: 'refused', error: 'access_denied' })
})

t.test('F09: trouble at TikTok is ambiguous, with its wait and log id', async (t) => {
  for (const error of ['server_error', 'temporarily_unavailable'])
    t.match(await refreshAnswered(t, { body: { error, log_id: '2026FAKE' } }), {
      kind: 'ambiguous',
      reason: 'server_error',
      status: 200,
      logId: '2026FAKE',
    })
  for (const status of [500, 502, 503, 504])
    t.match(await refreshAnswered(t, { status, body: '<html>Bad Gateway</html>', headers: { 'retry-after': '7' } }), {
      kind: 'ambiguous',
      reason: 'server_error',
      status,
      retryAfterSeconds: 7,
    })
  t.match(await refreshAnswered(t, { status: 500, body: { data: {}, error: { code: 'internal_error', log_id: 'L1' } } }), {
    kind: 'ambiguous',
    reason: 'server_error',
    logId: 'L1',
  })
})

t.test('F10: a 429 is throttling whatever it says, for as long as it says', async (t) => {
  const wait = async (headers: Record<string, string>, body: unknown = '') => {
    const answer = await refreshAnswered(t, { status: 429, body, headers })
    return answer.kind === 'throttled' ? answer.retryAfterSeconds : answer
  }
  t.equal(await wait({ 'retry-after': '17' }), 17)
  t.equal(await wait({ 'retry-after': '0' }), 1)
  t.equal(await wait({ 'retry-after': '999999999' }), 3600, 'an hour at most')
  t.equal(await wait({}), 60, 'unstated: the width of TikTok’s windows')
  t.equal(await wait({ 'retry-after': ' 17.2 ' }), 18)
  for (const nonsense of ['soon', '-5', '-0.5', '1e3', 'NaN', 'Wed', '5 minutes', '2026'.repeat(6), 'May 1'])
    t.equal(await wait({ 'retry-after': nonsense }), 60)
  const date = 'Wed, 21 Oct 2015 07:28:00 GMT'
  t.equal(await wait({ 'retry-after': 'Wed, 21 Oct 2015 07:28:30 GMT', date }), 30, 'by their clock, not by ours')
  t.equal(await wait({ 'retry-after': 'Wed, 21 Oct 2015 07:27:00 GMT', date }), 1)
  for (const form of [
    'Wednesday, 21-Oct-15 07:28:30 GMT',
    'Wed Oct 21 07:28:30 2015',
    '2015-10-21T07:28:30Z',
    '2015-10-21T09:28:30+02:00',
  ])
    t.equal(await wait({ 'retry-after': form, date }), 30, form)
  t.equal(await wait({ 'retry-after': '5' }, { error: 'invalid_grant' }), 5)
  t.match(await refreshAnswered(t, { body: { error: { code: 'rate_limit_exceeded', message: '' } } }), { kind: 'throttled' })
})

t.test('F11: cut JSON is ambiguous', async (t) => {
  const whole = JSON.stringify(grant)
  for (const end of [0, 1, 20, whole.length - 1])
    t.match(await refreshAnswered(t, { body: whole.slice(0, end) }), { kind: 'ambiguous', reason: 'cut_body', status: 200 })
})

t.test('F12: HTML, a list, a number and other foreign bodies are ambiguous', async (t) => {
  for (const body of ['<!doctype html><p>Please log in to the hotel network', '[]', '7', 'null', '"act.fake"', 'OK'])
    t.match(await refreshAnswered(t, { body }), { kind: 'ambiguous', reason: 'foreign_body', status: 200 })
  t.match(await refreshAnswered(t, { status: 403, body: '<html>WAF</html>' }), { reason: 'foreign_body', status: 403 })
})

t.test('an error in words we do not know proves nothing', async (t) => {
  for (const error of [
    'quota_of_the_moon',
    7,
    true,
    ['invalid_grant'],
    { code: 9 },
    { message: 'x' },
    'invalid grant',
    '__proto__',
  ])
    t.match(await refreshAnswered(t, { body: { error } }), { kind: 'ambiguous', reason: 'foreign_body' })
})

t.test('S58: a description never echoes a secret, is one line and is short', async (t) => {
  const described = async (error_description: unknown) => {
    const answer = await refreshAnswered(t, { body: { error: 'invalid_grant', error_description } })
    return answer.kind === 'refused' ? answer.description : 'not refused'
  }
  t.equal(await described('Token rft.old is gone'), 'Token … is gone')
  t.equal(await described('secret fake-secret-of-ours is wrong'), 'secret … is wrong')
  t.equal(await described('act.short1 and act!other2 too'), '… and … too')
  t.equal(await described('x AbCdEfGhIjKlMnOpQrStUvWxYz0123456789 y'), 'x … y')
  t.equal(await described('two\r\nlines\u0000and\u202ea trick'), 'two lines and a trick')
  t.equal((await described('word '.repeat(10_000)))?.length, 200)
  t.equal(await described(undefined), undefined)
  t.equal(await described({ not: 'text' }), undefined)
})

t.test('whatever the body, an answer is a grant only with its tokens, and holds no secret otherwise', async (t) => {
  const part = fc.oneof(fc.jsonValue(), fc.constantFrom('rft.old', 'act.fake', 'invalid_grant', 'ok', 7200, ''))
  const fields = fc.record(
    {
      access_token: part,
      open_id: part,
      refresh_token: part,
      expires_in: part,
      error: part,
      error_description: part,
      scope: part,
    },
    { requiredKeys: [] },
  )
  const statuses = fc.constantFrom(200, 302, 400, 401, 429, 500)
  const answers = fc.property(
    fc.oneof(fields, fc.jsonValue(), fc.string()),
    statuses,
    fc.boolean(),
    (value, status, exchange) => {
      const body = Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
      const answer = judgeToken({ kind: 'answered', status, headers: {}, body }, { exchange, secrets: ['rft.old'] })
      if (answer.kind !== 'granted') return !JSON.stringify(answer).includes('rft.old')
      const { accessToken, openId, expiresInSeconds } = answer.tokenSet
      return accessToken !== '' && openId !== '' && (expiresInSeconds === null || expiresInSeconds > 0)
    },
  )
  t.doesNotThrow(() => fc.assert(answers, { numRuns: 2000 }))
})
