// The service as it is started in production, with TikTok's own addresses over TLS: nothing in its settings tells it that this is not TikTok.
import { join } from 'node:path'
import t from 'tap'
import { freshDatabase } from '../postgres.ts'
import { publicUrl, returnUrl, startRig } from '../rig/rig.ts'
import { startBrowser } from '../world.ts'

t.test('connect, callback, vend, refresh and revoke at www.tiktok.com and open.tiktokapis.com', async (t) => {
  const rig = await startRig(t, (await freshDatabase(t)).url, { simulator: { asTikTok: {} } })
  const { asTikTok } = rig.tiktok
  const folder = t.testdir({ 'ca.pem': asTikTok?.authority ?? '' })
  const replica = await rig.start('production', {
    preloads: ['failpoints', 'as-tiktok'],
    env: {
      TIKTOK_AUTH_BASE_URL: undefined,
      TIKTOK_API_BASE_URL: undefined,
      TIKTOK_SIMULATOR: `127.0.0.1:${asTikTok?.tlsPort}`,
      NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem'),
    },
  })

  const opened = await rig.call(replica, 'POST', '/connect-sessions', {
    owner_id: 'user_42',
    return_url: returnUrl,
    account_type: 'creator',
    age_confirmed: true,
  })
  const browser = startBrowser(replica.url, publicUrl, rig.tiktok)
  const out = String((await browser.setOut(String(opened.body.authorize_url))).headers.location)
  t.match(out, /^https:\/\/www\.tiktok\.com\/v2\/auth\/authorize\//)
  const decided = rig.tiktok.authorize({ authorize_url: out, person: 'mara' })
  const returned = await browser.get('redirect_to' in decided ? decided.redirect_to : '')
  const back = new URL(String(returned.headers.location))
  const completed = await rig.call(replica, 'POST', `/connect-sessions/${opened.body.id}/complete`, {
    owner_id: 'user_42',
    confirm: back.searchParams.get('confirm'),
  })
  t.match(completed, { status: 201, body: { status: 'active', profile: { username: 'maracooks' } } })
  const id = String(completed.body.id)
  const picture = await rig.call(replica, 'GET', `/accounts/${id}/avatar`)
  t.equal(picture.status, 200, 'the picture too is behind one of its names')

  const first = await rig.call(replica, 'GET', `/accounts/${id}/token`)
  t.ok(rig.tiktok.grants.byAccessToken(String(first.body.access_token)))
  await rig.timePasses(7200)
  const second = await rig.call(replica, 'GET', `/accounts/${id}/token`)
  t.match(second, { status: 200, body: { generation: 2 } })
  t.match(await rig.call(replica, 'DELETE', `/accounts/${id}`), { status: 200, body: { revocation: 'confirmed' } })
  t.match(rig.tiktok.stats.report(), { exchanges: 1, refreshes_processed: 1, revocations: 1, double_spend_count: 0 })
})
