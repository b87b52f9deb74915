// What the browser came back with: confirmed, failed, connected already, or left.
import t from 'tap'
import { CallerError, UserError } from '../src/client.ts'
import { json, problem, scripted } from './answers.ts'

const session = (facts: object) =>
  json({ id: 'cs_1', owner_id: 'user_42', status: 'completed', account_id: null, error: null, ...facts })
const account = json({ id: 'acc_1', owner_id: 'user_42' })
const ownerId = 'user_42'

t.test('a confirm is sent with the owner; whole addresses, paths and more parameters are fine', async (t) => {
  for (const back of [
    '/r?lang=de&connect_session=cs_1&confirm=t_J',
    'https://app.example.com/r?connect_session=cs_1&confirm=t_J',
  ]) {
    const { tiktok, asked } = scripted([account])
    t.equal((await tiktok.connectSessions.complete(back, { ownerId })).id, 'acc_1')
    t.match(asked, [{ path: '/connect-sessions/cs_1/complete', body: { owner_id: ownerId, confirm: 't_J' } }])
  }
})

t.test('a session says who the person is, in which language, for how long and whose the page is', async (t) => {
  const { tiktok, asked } = scripted([json({ id: 'cs_1', connect_url: 'https://oauth.example.com/connect?session=x' })])
  const wish = { ownerId, returnUrl: 'https://app.example.com/r', ownerName: 'Dana', locale: 'pt-BR', expiresIn: 14_400 }
  const opened = await tiktok.connectSessions.open({
    ...wish,
    prompt: 'consent',
    branding: { name: 'Shop', logo: 'shop', privacyUrl: 'https://shop.example/p' },
  })
  t.equal(opened.connectUrl, 'https://oauth.example.com/connect?session=x')
  const body = { owner_id: ownerId, return_url: wish.returnUrl, owner_name: 'Dana', locale: 'pt-BR', expires_in: 14_400 }
  const branding = { name: 'Shop', logo: 'shop', privacy_url: 'https://shop.example/p' }
  t.match(asked, [{ path: '/connect-sessions', body: { ...body, prompt: 'consent', branding } }])
})

t.test('a failure in the address, or told by the service, says why', async (t) => {
  const { tiktok, asked } = scripted([problem(409, 'session_failed', 'user', {}, { error: 'scope_not_granted' })])
  const told = { code: 'session_failed', mendedBy: 'user' }
  await t.rejects(tiktok.connectSessions.complete('/?connect_session=cs_1&status=failed&error=access_denied', { ownerId }), {
    ...told,
    reason: 'access_denied',
  })
  t.equal(asked.length, 0)
  await t.rejects(tiktok.connectSessions.complete('/?connect_session=cs_1&confirm=t', { ownerId }), {
    ...told,
    reason: 'scope_not_granted',
  })
})

t.test('anybody can write an address: what has happened, and for whom, the session says', async (t) => {
  const back = '/?connect_session=cs_1&status=connected&account_id=acc_of_somebody'
  const { tiktok, asked } = scripted([session({ account_id: 'acc_1' }), account])
  t.equal((await tiktok.connectSessions.complete(back, { ownerId })).id, 'acc_1')
  t.strictSame(
    asked.map(({ path }) => path),
    ['/connect-sessions/cs_1', '/accounts/acc_1'],
  )
  const cases = [
    [{ account_id: 'acc_1', owner_id: 'user_7' }, CallerError, 'owner_mismatch'],
    [{ status: 'failed', error: 'access_denied' }, UserError, 'session_failed'],
    [{ status: 'pending' }, UserError, 'session_not_ready'],
    [{ status: 'expired' }, UserError, 'session_expired'],
    [{ status: 'authorizing' }, UserError, 'session_not_ready'],
  ] as const
  for (const [facts, kind, code] of cases) {
    const error = await scripted([session(facts)])
      .tiktok.connectSessions.complete(back, { ownerId })
      .catch((thrown: unknown) => thrown)
    t.type(error, kind)
    t.match(error, { code })
  }
})

t.test('an address without a session is not the service’s', async (t) => {
  const { tiktok, asked } = scripted([account])
  for (const back of ['/', '/?confirm=t']) await t.rejects(tiktok.connectSessions.complete(back, { ownerId }), CallerError)
  t.equal(asked.length, 0)
})
