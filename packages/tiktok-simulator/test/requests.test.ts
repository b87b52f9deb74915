// /_sim/requests and the inspector: what was asked, what TikTok says to it and why, and nothing that opens anything. What each answer of any test
// here is because of is held in app.ts.
import { createHash } from 'node:crypto'
import t from 'tap'
import type { Simulator } from '../src/server.ts'
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
  refresh,
  sim,
  simulatorFor,
  userInfo,
} from './app.ts'

const newest = (simulator: Simulator) => simulator.requests()[0]

t.test('each answer says which row of the evidence decided', async (t) => {
  const simulator = await simulatorFor(t)
  const because = async (asked: Promise<unknown>, expected: object, what: string) => {
    await asked
    t.match(newest(simulator), expected, what)
  }
  const tokens = await connect(simulator, 'mara')
  const app = simulator.clientKey
  await because(
    fetch(authorizeUrl(simulator)),
    { method: 'GET', path: '/v2/auth/authorize/', app, status: 200, rule: 'consent' },
    'consent',
  )
  const wrong = { app, error: 'redirect_uri', rule: 'setting redirect_uris', standing: 'observed' }
  await because(fetch(authorizeUrl(simulator, { redirect_uri: 'x' })), wrong, 'an unknown redirect URI')
  await because(
    exchange(simulator, 'unknown'),
    { app, error: 'invalid_grant', rule: 'life of a code', standing: 'inferred' },
    'a dead code',
  )
  await because(postForm(simulator, '/v2/oauth/token/', {}), { error: 'invalid_request', rule: 'no grant_type' }, 'no grant_type')
  await because(
    fetch(`${simulator.url}/v2/oauth/token/`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' }),
    { error: 'invalid_request', rule: 'only a plain form' },
    'JSON',
  )
  await because(
    fetch(`${simulator.url}/v2/oauth/token`, { method: 'POST' }),
    { status: 404, rule: 'wrong method or slash' },
    'a slash',
  )
  const taken = { app, person: 'mara', error: 'ok', rule: 'fields need their scopes', known: 'one field too many fails all' }
  await because(userInfo(simulator, tokens.access_token), taken, 'a user info')
  await because(userInfo(simulator, tokens.access_token, 'x'), { error: 'invalid_params', status: 400 }, 'an unknown field')
  const { body } = await api<Begun>(simulator, draftRoute, tokens.access_token, fileOf(5))
  await because(
    putBytes(body.data.upload_url, 0, 2, 5),
    { method: 'PUT', status: 416, rule: 'a chunk of another size', request: /content-range: bytes 0-2\/5\n3 bytes/ },
    'a short chunk',
  )
})

t.test('a fault is named beside what TikTok would say, and a broken connection is seen', async (t) => {
  const simulator = await simulatorFor(t)
  const { refresh_token } = await connect(simulator, 'mara')
  simulator.faults.add({ route: 'refresh', reset: 'after' })
  await refresh(simulator, refresh_token).catch(() => undefined)
  t.match(newest(simulator), {
    person: 'mara',
    status: 0,
    fault: 'fault-1',
    tiktok_status: 200,
    error: 'ok',
    answer: /access_token/,
  })
  simulator.faults.add({ route: 'refresh', error: 'invalid_client' })
  await refresh(simulator, refresh_token)
  t.match(newest(simulator), { status: 200, fault: 'fault-2', tiktok_status: null, error: null, rule: null })
})

t.test('nothing that opens anything is told, and the same token is known again', async (t) => {
  const simulator = await simulatorFor(t, { clientSecret: 'A-secret-that-nobody-sees' })
  const verifier = 'a-verifier-that-nobody-sees'
  const code_challenge = createHash('sha256').update(verifier).digest('base64url')
  const back = consent(simulator, 'mara', { code_challenge, code_challenge_method: 'S256', state: 'a-state-nobody-sees' })
  const code = back.get('code') ?? ''
  const agreed = await fetch(authorizeUrl(simulator, { state: 'a-state-nobody-sees' }), {
    method: 'POST',
    body: 'person=mara',
    redirect: 'manual',
  })
  const secondCode = new URL(agreed.headers.get('location') ?? '').searchParams.get('code') ?? ''
  const tokens = (await exchange(simulator, code, { code_verifier: verifier })).body
  const rotated = (await refresh(simulator, tokens.refresh_token)).body
  const info = await userInfo(simulator, rotated.access_token, 'avatar_url')
  const { avatar_url } = (info.body.data as { user: { avatar_url: string } }).user
  await fetch(avatar_url)
  const { body } = await api<Begun>(simulator, draftRoute, rotated.access_token, fileOf(5))
  await putBytes(body.data.upload_url, 0, 4, 5)
  await userInfo(simulator, 'no.token.at-all')
  await postForm(simulator, '/v2/oauth/revoke/', { token: String(rotated.access_token) })

  const told = JSON.stringify((await sim(simulator, 'GET', 'requests')).body)
  const secrets = {
    clientSecret: simulator.clientSecret,
    verifier,
    code,
    secondCode,
    state: 'a-state-nobody-sees',
    access: tokens.access_token,
    refresh: tokens.refresh_token,
    newAccess: rotated.access_token,
    newRefresh: rotated.refresh_token,
    signature: new URL(avatar_url).searchParams.get('x-signature'),
    upload: new URL(body.data.upload_url).searchParams.get('upload_token'),
    wrong: 'no.token.at-all',
  }
  for (const [what, secret] of Object.entries(secrets)) {
    t.ok(secret, what)
    t.notMatch(told, String(secret), what)
    t.notMatch(told, encodeURIComponent(String(secret)), `${what}, encoded`)
  }
  const print = `rft.…${createHash('sha256').update(String(tokens.refresh_token)).digest('hex').slice(0, 8)}`
  t.equal(told.split(print).length - 1, 2, 'given once and spent once')
})

t.test('what is newer, and only of one app or path', async (t) => {
  const simulator = await simulatorFor(t)
  await connect(simulator, 'mara')
  const { body } = await sim(simulator, 'GET', 'requests')
  t.match(body.requests, [{ path: '/v2/oauth/token/', milliseconds: Number }])
  t.strictSame((await sim(simulator, 'GET', `requests?after=${body.revision}`)).body, {
    revision: body.revision,
    anew: false,
    requests: [],
  })
  await fetch(authorizeUrl(simulator, { client_key: 'another' }))
  t.match((await sim(simulator, 'GET', `requests?after=${body.revision}`)).body.requests, [
    { app: 'another', error: 'client_key' },
  ])
  t.match((await sim(simulator, 'GET', `requests?app=${simulator.clientKey}`)).body.requests, [{ path: '/v2/oauth/token/' }])
  t.match((await sim(simulator, 'GET', 'requests?path=authorize')).body.requests, [{ app: 'another' }])
  simulator.authorize({ authorize_url: authorizeUrl(simulator), person: 'mara' })
  t.equal(simulator.requests().length, 2, 'what a script decides was never asked')
})

t.test('who was told what is forgotten since is told to begin anew, with all there is', async (t) => {
  const simulator = await simulatorFor(t)
  const other = simulator.addApp()
  const told = async () => Number((await sim(simulator, 'GET', 'requests')).body.revision)
  const newer = async (after: number) => (await sim(simulator, 'GET', `requests?after=${after}`)).body
  const forgetting: Record<string, () => unknown> = {
    'a reset': () => simulator.reset(),
    'a snapshot that is put back': () => simulator.saveSnapshot('now') ?? simulator.loadSnapshot('now'),
    'an app that is removed': () => sim(simulator, 'DELETE', `apps/${other.clientKey}`),
  }
  await exchange(other, 'wrong')
  for (const [what, forget] of Object.entries(forgetting)) {
    await exchange(simulator, 'wrong')
    const before = await told()
    t.match(await newer(before), { anew: false, requests: [] })
    await forget()
    const after = await newer(before)
    t.match(after, { anew: true }, what)
    t.strictSame(
      after.requests,
      simulator.apps().flatMap((app) => app.requests()),
      what,
    )
    t.match(await newer(Number(after.revision)), { anew: false, requests: [] }, 'told once')
  }
  t.match(await newer((await told()) + 1), { anew: true, requests: [{}] }, 'a revision of a process that was there before')
})

t.test('of several apps, each has what it asked, and /_sim shows all in one list', async (t) => {
  const simulator = await simulatorFor(t)
  const sandbox = simulator.addApp({ client_key: 'sbsandbox' })
  for (const app of [simulator, sandbox]) {
    const one = { ...simulator, ...app }
    const token = await connectCreator(one, 'mara')
    const { body } = await api<Begun>(one, draftRoute, token, fileOf(5))
    await putBytes(body.data.upload_url, 0, 4, 5)
    await userInfo(one, token)
  }
  const paths = ['/v2/user/info/', '/video/', draftRoute, '/v2/oauth/token/']
  const asked = (app: string) => paths.map((path) => ({ app, path }))
  t.match((await sim(simulator, 'GET', 'requests')).body.requests, [...asked('sbsandbox'), ...asked(simulator.clientKey)])
  t.match((await sim(simulator, 'GET', 'requests?app=sbsandbox')).body.requests, asked('sbsandbox'))
  t.equal(sandbox.requests().length, 4)
  t.match(simulator.requests(), asked(simulator.clientKey))
})

t.test('only so many are kept, and no long body', async (t) => {
  const simulator = await simulatorFor(t)
  await postForm(simulator, '/v2/oauth/token/', { grant_type: 'x', filler: 'x'.repeat(100_000) })
  t.match(newest(simulator), { request: 'content-type: application/x-www-form-urlencoded\n100' })
  for (let count = 0; count < 510; count += 1) await userInfo(simulator, 'act.unknown')
  t.equal(simulator.requests().length, 500)
  t.equal(newest(simulator)?.id, 511)
})

t.test('the inspector shows nothing by itself, and asks for the control token', async (t) => {
  const simulator = await simulatorFor(t, { controlToken: 'let-me-in' })
  for (const path of ['inspector', 'inspector.js']) t.equal((await sim(simulator, 'GET', path)).status, 200)
  t.equal((await sim(simulator, 'GET', 'requests')).status, 401)
  const policy = (await sim(simulator, 'GET', 'inspector')).headers.get('content-security-policy') ?? ''
  t.match(policy, "default-src 'none'; script-src 'self'; connect-src 'self'")
  t.notMatch(policy, /https?:|unsafe/)
})
