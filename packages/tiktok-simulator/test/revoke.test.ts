// Revoking a grant, by the app and by the person.
import t from 'tap'
import { connect, receiverFor, refresh, revoke, sim, simulatorFor, userInfo } from './app.ts'

t.test('revoking one access token ends every grant of that person, and of nobody else', async (t) => {
  const simulator = await simulatorFor(t)
  const [first, second] = [await connect(simulator, 'mara'), await connect(simulator, 'mara')]
  const jonas = await connect(simulator, 'jonas')
  t.equal((await userInfo(simulator, first.access_token)).status, 200, 'a second grant leaves the first alone')

  const { status, body } = await revoke(simulator, first.access_token)
  t.equal(status, 200)
  t.strictSame(body, {})
  for (const tokens of [first, second]) {
    t.match((await refresh(simulator, tokens.refresh_token)).body, { error: 'invalid_grant' })
    t.match((await userInfo(simulator, tokens.access_token)).body, { error: { code: 'access_token_invalid' } })
  }
  t.equal((await userInfo(simulator, jonas.access_token)).status, 200)
  t.equal(simulator.stats.report().revocations, 1)
})

t.test('the app is told by webhook that it revoked, reason 5', async (t) => {
  const { url, received } = await receiverFor(t)
  const simulator = await simulatorFor(t, { webhookUrl: url })
  const tokens = await connect(simulator, 'mara')
  await revoke(simulator, tokens.access_token)
  await simulator.webhooks.settled()
  t.match(JSON.parse(received[0]?.body ?? ''), {
    client_key: simulator.clientKey,
    event: 'authorization.removed',
    user_openid: tokens.open_id,
    content: '{"reason":5}',
  })
})

t.test('revoking a dead token is answered as set, since TikTok does not say', async (t) => {
  const simulator = await simulatorFor(t)
  const { access_token } = await connect(simulator, 'mara')
  simulator.clock.advance(7200)
  t.match((await revoke(simulator, access_token)).body, { error: 'invalid_grant' })
  simulator.changeSettings({ revoke_dead_token: 'invalid_request' })
  t.match((await revoke(simulator, access_token)).body, { error: 'invalid_request' })
  simulator.changeSettings({ revoke_dead_token: 'ok' })
  t.strictSame((await revoke(simulator, access_token)).body, {})
  t.match((await revoke(simulator, '')).body, { error: 'invalid_request' })
})

t.test('a person removes the app, and can connect again', async (t) => {
  const simulator = await simulatorFor(t)
  const tokens = await connect(simulator, 'mara')
  t.strictSame((await sim(simulator, 'POST', 'people/mara/remove-app', { reason: 4 })).body, { removed: 1 })
  t.match((await refresh(simulator, tokens.refresh_token)).body, { error: 'invalid_grant' })
  t.equal(simulator.removeApp('mara'), 0, 'there is nothing left to remove')
  t.match(await connect(simulator, 'mara'), { open_id: tokens.open_id, access_token: /^act/ })
})
