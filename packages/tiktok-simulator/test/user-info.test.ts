// What TikTok tells about a person, field by field and scope by scope.
import t from 'tap'
import { connect, consent, exchange, sim, simulatorFor, userInfo } from './app.ts'

t.test('the fields asked for come in an envelope whose error says ok', async (t) => {
  const simulator = await simulatorFor(t)
  const { access_token, open_id } = await connect(simulator, 'jonas')
  const { status, body } = await userInfo(simulator, access_token, 'open_id,display_name,username,is_verified,follower_count')
  t.equal(status, 200)
  t.strictSame(body.data, {
    user: { open_id, display_name: 'Jonas Lindqvist', username: 'jonaslindqvist', is_verified: true, follower_count: 4_812_337 },
  })
  t.match(body.error, { code: 'ok', message: '', log_id: /./ })
})

t.test('one field outside the granted scopes fails the whole request', async (t) => {
  const simulator = await simulatorFor(t)
  const code = consent(simulator, 'mara', {}, ['user.info.stats']).get('code') ?? ''
  const { access_token } = (await exchange(simulator, code)).body
  const { status, body } = await userInfo(simulator, access_token, 'open_id,follower_count')
  t.equal(status, 401)
  t.match(body, { data: {}, error: { code: 'scope_not_authorized' } })
  t.equal((await userInfo(simulator, access_token, 'open_id,username')).status, 200)
})

t.test('any grant opens the basic fields, unless set otherwise', async (t) => {
  const simulator = await simulatorFor(t)
  const code = consent(simulator, 'mara', { scope: 'user.info.profile' }).get('code') ?? ''
  const { access_token, scope } = (await exchange(simulator, code)).body
  t.equal(scope, 'user.info.profile')
  const { status, body } = await userInfo(simulator, access_token, 'open_id,avatar_url_200,username')
  t.equal(status, 200)
  t.match(body.data, { user: { avatar_url_200: /^http/, username: 'maracooks' } })
  simulator.changeSettings({ basic_implied: false })
  t.match(await userInfo(simulator, access_token, 'open_id'), { status: 401, body: { error: { code: 'scope_not_authorized' } } })
  t.match(await userInfo(simulator, access_token, 'username'), { status: 200 })
})

t.test('a field that the app does not get fails the whole request, with the code that is set', async (t) => {
  const simulator = await simulatorFor(t)
  const { access_token } = await connect(simulator, 'mara')
  simulator.changeSettings({ refused_fields: { is_verified: 'invalid_params' } })
  t.match(await userInfo(simulator, access_token, 'open_id,is_verified'), { body: { error: { code: 'invalid_params' } } })
  t.match(await userInfo(simulator, access_token, 'open_id,username'), { status: 200, body: { error: { code: 'ok' } } })
})

t.test('missing or unknown fields and missing or dead tokens are told apart', async (t) => {
  const simulator = await simulatorFor(t)
  const { access_token } = await connect(simulator, 'mara')
  t.match(await userInfo(simulator, access_token, ''), { status: 400, body: { error: { code: 'invalid_params' } } })
  t.match(await userInfo(simulator, access_token, 'open_id,email'), { status: 400, body: { error: { code: 'invalid_params' } } })
  t.match(await userInfo(simulator, access_token, 'constructor'), { status: 400 })
  t.match(await userInfo(simulator, 'act.unknown'), { status: 401, body: { error: { code: 'access_token_invalid' } } })
  simulator.clock.advance(7200)
  t.match(await userInfo(simulator, access_token), { status: 401, body: { error: { code: 'access_token_invalid' } } })
  t.match(simulator.stats.report(), { user_infos: 0, user_infos_refused: 5 })

  simulator.changeSettings({ errors_in_200: 'all' })
  t.match(await userInfo(simulator, access_token), { status: 200, body: { error: { code: 'access_token_invalid' } } })
})

t.test('the cast has odd members: fields left out, names in any script, nobody following', async (t) => {
  const simulator = await simulatorFor(t)
  const profile = async (person: string) => {
    const { access_token } = await connect(simulator, person)
    const { body } = await userInfo(simulator, access_token, 'display_name,username,union_id,follower_count,bio_description')
    return (body.data as { user: Record<string, unknown> }).user
  }
  t.strictSame(await profile('quiet'), { display_name: 'Quiet Account', follower_count: 7 })
  t.match(await profile('noura'), { display_name: /^نورة/ })
  t.match(await profile('zsofia'), { display_name: /^👩🏽‍🚀 Zsófia.*東京$/, bio_description: /\n/ })
  t.match(await profile('newcomer'), { follower_count: 0, bio_description: '' })
})

t.test('people change, and new ones arrive', async (t) => {
  const simulator = await simulatorFor(t)
  const { access_token } = await connect(simulator, 'mara')
  t.match(await sim(simulator, 'PATCH', 'people/mara', { display_name: 'Mara Bakes', follower_count: 48_211 }), { status: 200 })
  const { body } = await userInfo(simulator, access_token, 'display_name,follower_count,username')
  t.match(body.data, { user: { display_name: 'Mara Bakes', follower_count: 48_211, username: 'maracooks' } })

  t.match(await sim(simulator, 'POST', 'people', { id: 'pat', username: 'patpat' }), {
    status: 201,
    body: { username: 'patpat' },
  })
  t.match(await connect(simulator, 'pat'), { access_token: /^act/ })
  t.match(await sim(simulator, 'POST', 'people', { id: 'Not An Id' }), { status: 400 })
  t.match(await sim(simulator, 'POST', 'people', { id: 'mara' }), { status: 409 })
})

t.test('a person can take back single scopes; the next refresh says so', async (t) => {
  const simulator = await simulatorFor(t)
  const { access_token, refresh_token } = await connect(simulator, 'mara')
  await sim(simulator, 'POST', 'people/mara/scopes', { scopes: ['user.info.basic'] })
  t.match(await userInfo(simulator, access_token, 'username'), { status: 401 })
  t.equal(simulator.grants.refresh(String(refresh_token))?.scope, 'user.info.basic')
})

t.test('the documented limit of 600 in a sliding minute can be switched on', async (t) => {
  const simulator = await simulatorFor(t, { settings: { user_info_per_minute: 3 } })
  const { access_token } = await connect(simulator, 'mara')
  const ask = async () => (await userInfo(simulator, access_token)).status
  t.strictSame([await ask(), await ask(), await ask(), await ask()], [200, 200, 200, 429])
  simulator.clock.advance(60)
  t.equal(await ask(), 200)
})
