// How a profile is asked for and read.
import t, { type Test } from 'tap'
import { json, tiktokAnswering } from './loopback.ts'
import { reply, type Script, scriptedTikTok } from './scripted.ts'

const allScopes = ['user.info.basic', 'user.info.profile', 'user.info.stats', 'video.upload']

const wireUser = {
  open_id: '7e1a0000-0000-4000-8000-000000000001',
  union_id: 'f00d0000-0000-4000-8000-000000000001',
  display_name: 'Fake Chef',
  avatar_url: 'https://p16-fake.tiktokcdn.example/a.jpeg?x-expires=1795400000&x-signature=FAKE',
  username: 'fakechef',
  is_verified: false,
  follower_count: 1234,
}

const user = {
  openId: wireUser.open_id,
  unionId: wireUser.union_id,
  displayName: 'Fake Chef',
  avatarUrl: wireUser.avatar_url,
  username: 'fakechef',
  isVerified: false,
  followerCount: 1234,
}

const nobody = {
  openId: null,
  unionId: null,
  displayName: null,
  avatarUrl: null,
  username: null,
  isVerified: null,
  followerCount: null,
}

const good = (fields: unknown) => ({ data: { user: fields }, error: { code: 'ok', message: '', log_id: '2026FAKE' } })

const asked = (t: Test, script: Script, scopes: readonly string[] = allScopes) => {
  const { tiktok, api } = scriptedTikTok(t)
  reply(api.get('/v2/user/info/').query(true), script)
  return tiktok.userInfo('act.fake', scopes)
}

t.test('the documented answer is a user, in our words', async (t) => {
  t.same(await asked(t, { body: good(wireUser) }), { kind: 'ok', user, refusedFields: [], logId: '2026FAKE' })
})

t.test('S09: only fields of granted scopes are asked for, with the token in the header', async (t) => {
  const { tiktok, received } = await tiktokAnswering(t, (response) => json(response, good(wireUser)))
  await tiktok.userInfo('act.fake', ['video.upload', 'user.info.basic'])
  await tiktok.userInfo('act.fake', allScopes)
  await tiktok.userInfo('act.fake', ['user.info.stats', 'something.new'])
  t.same(
    received.map(({ path }) => decodeURIComponent(path)),
    [
      '/v2/user/info/?fields=open_id,union_id,display_name,avatar_url',
      '/v2/user/info/?fields=open_id,union_id,display_name,avatar_url,username,is_verified,follower_count',
      '/v2/user/info/?fields=follower_count',
    ],
  )
  for (const { headers, method } of received) {
    t.equal(headers.authorization, 'Bearer act.fake')
    t.equal(method, 'GET')
  }
})

t.test('without a scope that opens a field nothing is asked', async (t) => {
  const { tiktok, received } = await tiktokAnswering(t, (response) => json(response, good(wireUser)))
  t.same(await tiktok.userInfo('act.fake', ['video.upload']), { kind: 'refused', error: 'scope_not_granted' })
  t.equal(received.length, 0)
})

t.test('missing, unknown and nonsensical fields do not spoil the others', async (t) => {
  t.match(await asked(t, { body: good({}) }), { kind: 'ok', user: nobody })
  t.match(await asked(t, { body: good({ ...wireUser, bio_description: 'u', surprise: [1] }) }), { kind: 'ok', user })
  const nonsense = {
    open_id: 7,
    union_id: ' ',
    display_name: ['a'],
    avatar_url: 'javascript:alert(1)',
    username: '',
    is_verified: 'yes',
    follower_count: -1,
  }
  t.match(await asked(t, { body: good(nonsense) }), { kind: 'ok', user: nobody })
  for (const follower_count of ['1234', '1234.0', 1234.7, ' 1234 '])
    t.match(await asked(t, { body: good({ ...wireUser, follower_count }) }), { user: { ...user, followerCount: 1234 } })
  for (const follower_count of [-1, '-1', 1e300, '9'.repeat(20), 'many', '', null, {}, '1e999'])
    t.match(await asked(t, { body: good({ ...wireUser, follower_count }) }), { user: { ...user, followerCount: null } })
  for (const is_verified of [true, 'true'])
    t.match(await asked(t, { body: good({ is_verified }) }), { user: { isVerified: true } })
  t.match(await asked(t, { body: good({ ...wireUser, display_name: ' two\nlines\u0000 ' }) }), {
    user: { displayName: 'two lines' },
  })
  t.match(await asked(t, { body: good({ ...wireUser, display_name: 'シェフ 👩‍🍳' }) }), { user: { displayName: 'シェフ 👩‍🍳' } })
  t.match(await asked(t, { body: good({ ...wireUser, display_name: '\u200b\u3164' }) }), { user: { displayName: null } })
  t.match(await asked(t, { body: good({ ...wireUser, display_name: 'x'.repeat(201) }) }), { user: { displayName: null } })
})

t.test('a token that TikTok does not take is named, with a 401 or with a 200', async (t) => {
  const body = { data: {}, error: { code: 'access_token_invalid', message: 'act.fake', log_id: 'L1' } }
  for (const status of [200, 401]) t.same(await asked(t, { status, body }), { kind: 'token_invalid', logId: 'L1' })
  t.match(await asked(t, { status: 401, body: { error: { code: 'token_from_the_moon' } } }), { kind: 'token_invalid' })
})

t.test('a question outside the scopes is refused, which says nothing about the token', async (t) => {
  const one = ['user.info.stats'] // one field: nothing smaller to ask for
  for (const code of ['scope_not_authorized', 'scope_permission_missed', 'missing_scope'])
    t.match(await asked(t, { status: 401, body: { error: { code } } }, one), { kind: 'refused', error: 'scope_not_granted' })
  for (const code of ['invalid_params', 'invalid_param', 'invalid_fields'])
    t.match(await asked(t, { status: 400, body: { error: { code } } }, one), { kind: 'refused', error: 'bad_request' })
})

t.test('throttling waits a minute unless told otherwise', async (t) => {
  t.same(await asked(t, { status: 429, body: '' }), { kind: 'throttled', retryAfterSeconds: 60 })
  t.match(await asked(t, { body: { error: { code: 'rate_limit_exceeded' } }, headers: { 'retry-after': '5' } }), {
    kind: 'throttled',
    retryAfterSeconds: 5,
  })
})

t.test('trouble, cut JSON, HTML and answers without a user are unavailability', async (t) => {
  const internal = { error: { code: 'internal_error', log_id: 'L1' } }
  t.same(await asked(t, { status: 500, body: internal }), { kind: 'unavailable', reason: 'server_error', logId: 'L1' })
  t.match(await asked(t, { status: 503, body: '', headers: { 'retry-after': '4' } }), {
    reason: 'server_error',
    retryAfterSeconds: 4,
  })
  t.match(await asked(t, { body: '{"data":{"user":{"open_' }), { kind: 'unavailable', reason: 'cut_body' })
  t.match(await asked(t, { body: '<html>' }), { kind: 'unavailable', reason: 'foreign_body' })
  t.match(await asked(t, { status: 401, body: '<html>' }), { kind: 'unavailable', reason: 'foreign_body' }, 'a proxy’s 401')
  t.match(await asked(t, { body: { error: { code: 'news_to_us' } } }), { kind: 'unavailable', reason: 'foreign_body' })
  for (const body of [{}, { data: {} }, { data: { user: null } }, { data: [] }, good('me')])
    t.match(await asked(t, { body }), { kind: 'unavailable', reason: 'foreign_body' })
})

t.test('a transport failure is unavailability with its reason', async (t) => {
  const { tiktok } = await tiktokAnswering(t, (response) => response.socket?.resetAndDestroy())
  t.same(await tiktok.userInfo('act.fake', allScopes), { kind: 'unavailable', reason: 'reset' })
  const broken = await tiktok.userInfo('act.with\nnewline', allScopes)
  t.match(broken, { kind: 'unavailable' }, 'a token that cannot be a header is not sent')
})
