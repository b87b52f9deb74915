// Several apps on one simulator: what one developer's have in common, and what a test that runs beside others has to itself.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { type App, startSimulator } from '../src/server.ts'
import {
  api,
  authorizeUrl,
  type Begun,
  connect,
  connectCreator,
  consent,
  draftRoute,
  exchange,
  fileOf,
  postForm,
  putBytes,
  receiverFor,
  refresh,
  revoke,
  sim,
  simulatorFor,
  userInfo,
} from './app.ts'

const sandbox = { developer: 'default', client_key: 'sbsandbox', sandbox_targets: ['jonas'] }

t.test('a person has another open_id in each app, and one union_id with all apps of a developer', async (t) => {
  const simulator = await simulatorFor(t, { apps: [sandbox] })
  const [ours, others] = [simulator.addApp({ developer: 'default' }), simulator.addApp()]
  const seen = await Promise.all(
    [simulator, ours, others].map(async (app) => {
      const { access_token } = await connect(app, 'mara')
      const { body } = await userInfo(app, access_token, 'open_id,union_id')
      return (body.data as { user: { open_id: string; union_id: string } }).user
    }),
  )
  t.equal(new Set(seen.map(({ open_id }) => open_id)).size, 3)
  t.equal(seen[0]?.union_id, seen[1]?.union_id)
  t.not(seen[0]?.union_id, seen[2]?.union_id)
  t.equal(seen[0]?.open_id, (await connect(await simulatorFor(t), 'mara')).open_id, 'the same in every run')

  await sim(simulator, 'PATCH', 'people/mara', { display_name: 'Mara Bakes' })
  t.equal(ours.people.find('mara')?.displayName, 'Mara Bakes', 'one person')
  t.equal(others.people.find('mara')?.displayName, 'Mara Cooks', 'another developer has a world of its own')
  t.equal(ours.people.findByOpenId(seen[0]?.open_id ?? ''), undefined, 'an open_id of another app is nobody here')
})

t.test('codes, refresh tokens and access tokens of one app are not known to another', async (t) => {
  const simulator = await simulatorFor(t)
  const other = simulator.addApp({ developer: 'default' })
  const code = consent(simulator, 'mara').get('code') ?? ''
  t.match((await exchange(other, code)).body, { error: 'invalid_grant' })
  const { access_token, refresh_token } = (await exchange(simulator, code)).body
  t.match((await refresh(other, refresh_token)).body, { error: 'invalid_grant' })
  t.match((await revoke(other, access_token)).body, { error: 'invalid_grant' })
  t.match((await postForm(other, '/v2/oauth/token/', { client_secret: simulator.clientSecret })).body, { error: /./ })
  t.match(
    (await postForm(other, '/v2/oauth/token/', { grant_type: 'client_credentials', client_secret: simulator.clientSecret })).body,
    { error: 'invalid_client' },
  )

  const theirs = await connect(other, 'mara')
  t.equal((await revoke(simulator, access_token)).status, 200)
  t.equal((await userInfo(simulator, access_token)).status, 401)
  t.equal((await userInfo(other, theirs.access_token)).status, 200, 'a revocation at one leaves the other')
  t.match((await refresh(other, theirs.refresh_token)).body, { open_id: theirs.open_id })
})

t.test('each app has its redirect list, its target users, its products and its webhook address', async (t) => {
  const [first, second] = [await receiverFor(t), await receiverFor(t)]
  const simulator = await simulatorFor(t, { webhookUrl: first.url, redirectUris: ['https://app.example/production'] })
  const redirect_uris = ['http://127.0.0.1:3000/callback']
  const app_scopes = ['user.info.basic', 'video.upload'] as const
  const sandboxed = simulator.addApp({ ...sandbox, redirect_uris, webhook_url: second.url, app_scopes: [...app_scopes] })
  const scope = 'user.info.basic,video.upload'
  const decided = (app: App, changes: Record<string, string>, person: string) =>
    app.authorize({ authorize_url: authorizeUrl(app, { scope, ...changes }), person })
  t.match(decided(simulator, {}, 'jonas'), { errorType: 'redirect_uri' })
  t.match(decided(simulator, { redirect_uri: 'https://app.example/production' }, 'mara'), { redirect_to: /code=/ })
  t.match(decided(sandboxed, {}, 'jonas'), { redirect_to: /code=/ })
  t.match(decided(sandboxed, {}, 'mara'), { errorType: 'non_sandbox_target' })
  t.match(decided(sandboxed, { scope: 'user.info.basic,video.list' }, 'jonas'), { errorType: 'scope' }, 'no Display API')
  t.match(decided(sandboxed, { scope: 'video.publish' }, 'jonas'), { errorType: 'scope' }, 'no direct posts')

  const [grant] = sandboxed.issueGrants({
    count: 1,
    scopes: ['user.info.basic', 'user.info.stats', 'video.list', 'video.upload'],
  })
  t.equal((await userInfo(sandboxed, grant?.access_token, 'follower_count')).status, 401, 'nor for who allowed it')
  t.equal((await userInfo(sandboxed, grant?.access_token)).status, 200)
  t.match(await api(sandboxed, '/v2/video/list/?fields=id', grant?.access_token, {}), { status: 401 })
  t.equal((await api(sandboxed, draftRoute, grant?.access_token, fileOf(5))).status, 200)
  sandboxed.changeSettings({ app_scopes: ['user.info.basic'] })
  t.match(await api(sandboxed, draftRoute, grant?.access_token, fileOf(5)), { status: 401 }, 'no Content Posting')

  t.equal(sandboxed.removeApp(grant?.person ?? ''), 1)
  await sandboxed.webhooks.settled()
  t.equal(first.received.length, 0)
  t.strictSame(new Set(second.received.map(({ body }) => JSON.parse(body).client_key)), new Set(['sbsandbox']))
})

t.test('tests that run side by side have an app each and see nothing of one another', async (t) => {
  const simulator = await simulatorFor(t)
  const [mine, other] = [simulator.addApp(), simulator.addApp()]
  const simOfMine = (method: string, path: string, body?: object) =>
    sim(simulator, method, `apps/${mine.clientKey}/${path}`, body)
  const [kept, theirs] = [await connect(mine, 'mara'), await connect(other, 'mara')]

  await simOfMine('POST', 'faults', { route: 'user_info', error: 'internal_error', times: 'always' })
  t.equal((await userInfo(mine, kept.access_token)).status, 500)
  t.equal((await userInfo(other, theirs.access_token)).status, 200)
  t.strictSame((await sim(simulator, 'GET', 'faults')).body, { faults: [] })
  await simOfMine('DELETE', 'faults')

  await simOfMine('POST', 'clock', { advance_seconds: 7201 })
  t.equal((await userInfo(mine, kept.access_token)).status, 401)
  t.equal((await userInfo(other, theirs.access_token)).status, 200)
  t.equal((await simOfMine('GET', 'stats')).body.user_infos_refused, 1, 'a dead token is counted where it comes from')
  t.equal((await sim(simulator, 'GET', 'stats')).body.user_infos_refused, 0)

  const apps = ({ body }: { body: Record<string, unknown> }) =>
    new Set((body.requests as { app: string }[]).map(({ app }) => app))
  t.strictSame(apps(await simOfMine('GET', 'requests')), new Set([mine.clientKey]))
  t.strictSame(
    apps(await sim(simulator, 'GET', 'requests')),
    new Set([mine.clientKey, other.clientKey]),
    'the inspector shows all',
  )
  t.strictSame((await sim(simulator, 'GET', 'grants')).body, { grants: [] })

  await simOfMine('POST', 'snapshots/later')
  await simOfMine('POST', 'reset')
  t.strictSame((await simOfMine('GET', 'grants')).body, { grants: [] })
  t.equal((await simOfMine('GET', 'clock')).body.offset_seconds, 0)
  t.equal((await userInfo(other, theirs.access_token)).status, 200)
  t.strictSame((await sim(simulator, 'GET', 'snapshots')).body, { snapshots: [] })
  t.equal((await sim(simulator, 'POST', 'snapshots/later/load')).status, 404)
  await simOfMine('POST', 'snapshots/later/load')
  t.match((await refresh(mine, kept.refresh_token)).body, { open_id: kept.open_id }, 'as it was, tokens and all')

  t.equal((await sim(simulator, 'DELETE', `apps/${mine.clientKey}`)).status, 200)
  t.equal((await simOfMine('GET', 'grants')).status, 404)
  t.match((await refresh(mine, kept.refresh_token)).body, { error: 'invalid_client' })
  t.equal((await userInfo(other, theirs.access_token)).status, 200)
})

t.test('pictures, uploads, pages and mistaken requests belong to the app whose they are', async (t) => {
  const simulator = await simulatorFor(t)
  const app = simulator.addApp({ app_name: 'Second app' })
  app.people.add({ id: 'only-here' })
  const token = await connectCreator(app, 'only-here')
  const { body } = await userInfo(app, token, 'avatar_url')
  t.equal((await fetch((body.data as { user: { avatar_url: string } }).user.avatar_url)).status, 200)
  const begun = await api<Begun>(app, draftRoute, token, fileOf(5))
  t.equal((await putBytes(begun.body.data.upload_url, 0, 4, 5)).status, 201)

  const page = async (path: string) => (await fetch(simulator.url + path)).text()
  t.notMatch(await page('/'), 'only-here')
  const own = await page(`/?client_key=${app.clientKey}`)
  t.match(own, 'Drafts in inboxes')
  const [, button = ''] = /action="(\/people\/only-here\/[^"]+)"/.exec(own) ?? []
  t.equal((await fetch(simulator.url + button, { method: 'POST', redirect: 'manual' })).status, 303)
  t.equal((await userInfo(app, token)).status, 401)

  const client_key = app.clientKey
  const wrong = [
    { 'content-type': 'application/json', body: JSON.stringify({ client_key }) },
    { authorization: `Basic ${Buffer.from(`${client_key}:secret`).toString('base64')}`, body: 'grant_type=refresh_token' },
  ]
  const before = app.requests().length
  for (const { body: sent, ...headers } of wrong)
    await fetch(`${simulator.url}/v2/oauth/token/`, { method: 'POST', headers: headers as Record<string, string>, body: sent })
  t.equal(app.requests().length, before + 2)
})

t.test('apps are defined by options, and one client key names one app', async (t) => {
  const simulator = await simulatorFor(t, { lifetimes: '90s/1h', apps: [sandbox] })
  const { body } = await sim(simulator, 'GET', 'apps')
  t.match(body.apps, [{ developer: 'default' }, { client_key: 'sbsandbox', lifetimes: '90s/1h', redirect_uris: null }])
  t.equal((await sim(simulator, 'POST', 'apps', { client_key: 'sbsandbox' })).status, 409)
  t.strictSame(
    simulator.apps().map(({ clientKey }) => clientKey),
    [simulator.clientKey, 'sbsandbox'],
  )
  t.throws(() => simulator.addApp({ client_key: 'sbsandbox' }), /two apps/)
  const made = await sim(simulator, 'POST', 'apps', { sandbox_targets: ['mara'] })
  t.match(made.body, { client_key: /^sb/, client_secret: /./, developer: made.body.client_key })
  t.equal(made.body.control, `${simulator.url}/_sim/apps/${made.body.client_key}`)
  t.equal((await sim(simulator, 'DELETE', `apps/${simulator.clientKey}`)).status, 409)
  const eleven = Array.from({ length: 11 }, (_, n) => `person-${n}`)
  t.equal((await sim(simulator, 'POST', 'apps', { sandbox_targets: eleven })).status, 400, 'ten target users')
})

t.test('apps of the first developer, their grants and their snapshots outlive the process', async (t) => {
  const stateFile = join(t.testdir(), 'state.json')
  const first = await startSimulator({ stateFile, apps: [{ ...sandbox, sandbox_targets: null }] })
  const later = first.addApp({ developer: 'default', client_key: 'awlater' })
  const tokens = await connect(later, 'mara')
  t.equal((await sim(first, 'POST', 'snapshots/connected')).status, 201)
  await revoke(later, tokens.access_token)
  const current = await connect(later, 'jonas')
  first.addApp({ client_key: 'awalone' })
  await first.close()

  const second = await startSimulator({ stateFile })
  t.teardown(() => second.close())
  t.match((await sim(second, 'GET', 'apps')).body.apps, [{}, { client_key: 'sbsandbox' }, { client_key: 'awlater' }])
  const again = { ...later, url: second.url }
  t.equal((await userInfo(again, current.access_token)).status, 200)
  t.equal((await userInfo(again, tokens.access_token)).status, 401)
  t.match((await sim(second, 'GET', 'snapshots')).body, { snapshots: ['connected'] })
  t.ok(second.loadSnapshot('connected'))
  t.equal((await userInfo(again, tokens.access_token)).status, 200)
  t.equal((await userInfo(again, current.access_token)).status, 401)
  await sim(second, 'DELETE', 'snapshots/connected')
  t.notOk(second.loadSnapshot('connected'))

  second.saveSnapshot('broken')
  writeFileSync(`${stateFile}.snapshots/broken.snapshot`, 'not one')
  await t.rejects(startSimulator({ stateFile }), /broken\.snapshot is not a snapshot/)
})
