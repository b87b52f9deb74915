// Scripted faults: refusals, late, broken and huge answers, and what they cost.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { FaultScript } from '../src/faults.ts'
import type { Simulator } from '../src/server.ts'
import { connect, exchange, refresh, revoke, sim, simulatorFor, userInfo } from './app.ts'

/** One refresh of a fresh grant under a fault: what came back, and whether the refresh token was spent. */
async function refreshUnder(simulator: Simulator, script: Omit<FaultScript, 'route'>) {
  const { refresh_token } = await connect(simulator, 'mara')
  simulator.faults.add({ route: 'refresh', ...script })
  const started = performance.now()
  const outcome = await refresh(simulator, refresh_token).catch((error: Error) => ({ failed: error, status: 0, body: {} }))
  return { ...outcome, tookMs: performance.now() - started, spent: !simulator.grants.isLive(String(refresh_token)) }
}

t.test('a scripted refusal spends no token', async (t) => {
  const simulator = await simulatorFor(t)
  const spared = { spent: false }
  t.match(await refreshUnder(simulator, { error: 'invalid_client' }), {
    ...spared,
    status: 200,
    body: { error: 'invalid_client' },
  })
  t.match(await refreshUnder(simulator, { error: 'server_error', status: 500 }), { ...spared, status: 500 })
  t.match(await refreshUnder(simulator, { status: 503 }), { ...spared, status: 503, body: { error: 'temporarily_unavailable' } })
  t.match(await refreshUnder(simulator, { status: 502, body: '<h1>Bad gateway</h1>' }), {
    ...spared,
    status: 502,
    body: { text: '<h1>Bad gateway</h1>' },
  })
  const limited = await refreshUnder(simulator, { status: 429, headers: { 'Retry-After': '30' } })
  t.match(limited, { ...spared, status: 429 })
  t.equal('headers' in limited && limited.headers.get('retry-after'), '30')
})

t.test('the same failures can come after TikTok processed the refresh', async (t) => {
  const simulator = await simulatorFor(t)
  t.match(await refreshUnder(simulator, { status: 502, process: true }), { spent: true, status: 502 })
  t.match(await refreshUnder(simulator, { error: 'server_error', process: true }), {
    spent: true,
    body: { error: 'server_error' },
  })
  t.match(await refreshUnder(simulator, { body: { hello: 1 } }), { spent: true, status: 200, body: { hello: 1 } })
  t.match(await refreshUnder(simulator, { body: { hello: 1 }, process: false }), { spent: false })
})

t.test('a connection breaks before processing, after it, and in the middle of the answer', async (t) => {
  const simulator = await simulatorFor(t)
  t.match(await refreshUnder(simulator, { reset: 'before' }), { failed: Error, spent: false })
  t.match(await refreshUnder(simulator, { reset: 'after' }), { failed: Error, spent: true })
  t.match(await refreshUnder(simulator, { reset: 'mid_body' }), { failed: Error, spent: true })
})

t.test('an answer is late, before or after processing, whether or not the caller is still there', async (t) => {
  const simulator = await simulatorFor(t)
  const { tookMs, status } = await refreshUnder(simulator, { before_ms: 40, after_ms: 40 })
  t.equal(status, 200)
  t.ok(tookMs >= 79, `${tookMs} ms`)

  const { refresh_token } = await connect(simulator, 'mara')
  const isLive = () => simulator.grants.isLive(String(refresh_token))
  const hangUpOnce = async (script: Omit<FaultScript, 'route'>, isTime: () => boolean) => {
    const fault = simulator.faults.add({ route: 'refresh', ...script })
    const caller = new AbortController()
    const gone = t.rejects(refresh(simulator, refresh_token, caller.signal), { name: 'AbortError' })
    while (fault.hits === 0 || !isTime()) await new Promise((resolve) => setImmediate(resolve))
    caller.abort()
    await gone
  }
  await hangUpOnce({ before_ms: 600_000 }, () => true)
  t.ok(isLive(), 'not processed yet')
  await hangUpOnce({ after_ms: 600_000 }, () => !isLive())
  t.notOk(isLive(), 'processed, and nobody heard')
})

t.test('an answer is cut, huge, dripping or of a foreign type', async (t) => {
  const simulator = await simulatorFor(t)
  t.match(await refreshUnder(simulator, { cut_at_bytes: 40 }), { failed: SyntaxError, spent: true })
  const huge = await refreshUnder(simulator, { size_bytes: 5_000_000 })
  t.match(huge.body, { access_token: /^act/ }, 'still good JSON')
  t.equal('headers' in huge && huge.headers.get('content-length'), null)
  const dripping = await refreshUnder(simulator, { drip_ms: 1, body: '{"access_token":"act.slow"}' })
  t.match(dripping.body, { access_token: 'act.slow' })
  t.ok(dripping.tookMs >= 26, `${dripping.tookMs} ms`)
  const typed = await refreshUnder(simulator, { content_type: 'text/plain' })
  t.equal('headers' in typed && typed.headers.get('content-type'), 'text/plain')
})

t.test('fields of an answer can be left out or falsified', async (t) => {
  const simulator = await simulatorFor(t)
  const omitted = await refreshUnder(simulator, { omit: ['refresh_token', 'expires_in'] })
  t.notOk('refresh_token' in omitted.body || 'expires_in' in omitted.body)
  t.match(omitted, { spent: true, body: { access_token: /^act/ } })
  t.match(await refreshUnder(simulator, { set: { expires_in: -1, open_id: 'other', scope: 'user.info.basic' } }), {
    body: { expires_in: -1, open_id: 'other', scope: 'user.info.basic' },
  })

  const { access_token } = await connect(simulator, 'mara')
  simulator.faults.add({ route: 'user_info', set: { open_id: 'other', follower_count: '12' }, omit: ['display_name'] })
  t.strictSame((await userInfo(simulator, access_token)).body.data, { user: { open_id: 'other', follower_count: '12' } })
})

t.test('a redirect points elsewhere and nothing is processed', async (t) => {
  const simulator = await simulatorFor(t)
  const elsewhere = createServer(() => t.fail('somebody followed'))
  await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve))
  t.teardown(() => elsewhere.close())
  const redirect = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}/`
  const answer = await refreshUnder(simulator, { redirect })
  t.match(answer, { status: 307, spent: false })
  t.equal('headers' in answer && answer.headers.get('location'), redirect)
})

t.test('a fault meets only the calls it is meant for, as often as it says, oldest first', async (t) => {
  const simulator = await simulatorFor(t)
  const [mara, jonas] = [await connect(simulator, 'mara'), await connect(simulator, 'jonas')]
  simulator.faults.add({ route: 'user_info', match: { person: 'mara' }, times: 2, error: 'internal_error' })
  simulator.faults.add({ route: 'user_info', match: { open_id: String(mara.open_id) }, status: 418 })
  t.equal((await userInfo(simulator, jonas.access_token)).status, 200)
  const statuses = []
  for (let call = 0; call < 4; call += 1) statuses.push((await userInfo(simulator, mara.access_token)).status)
  t.strictSame(statuses, [500, 500, 418, 200])

  simulator.faults.add({ route: 'refresh', match: { refresh_token: String(mara.refresh_token) }, error: 'invalid_grant' })
  t.match((await refresh(simulator, jonas.refresh_token)).body, { access_token: /^act/ })
  t.match((await refresh(simulator, mara.refresh_token)).body, { error: 'invalid_grant' })
  t.equal(simulator.stats.report().faults_applied, 4)
})

t.test('token means both grants, exchange and refresh one each; revoke and avatar have their own', async (t) => {
  const simulator = await simulatorFor(t)
  const { access_token, refresh_token } = await connect(simulator, 'mara')
  simulator.faults.add({ route: 'exchange', error: 'invalid_grant' })
  t.match((await refresh(simulator, refresh_token)).body, { access_token: /^act/ })
  t.match((await exchange(simulator, 'any')).body, { error_description: 'Scripted by the test.' })
  simulator.faults.add({ route: 'token', times: 'always', error: 'invalid_client' })
  t.match((await exchange(simulator, 'any')).body, { error: 'invalid_client' })
  t.match((await refresh(simulator, refresh_token)).body, { error: 'invalid_client' })

  simulator.faults.add({ route: 'revoke', error: 'server_error', status: 500 })
  t.equal((await revoke(simulator, access_token)).status, 500)
  t.equal((await userInfo(simulator, access_token)).status, 200, 'a failed revocation revoked nothing')
  const { body } = await userInfo(simulator, access_token, 'avatar_url')
  simulator.faults.add({ route: 'avatar', content_type: 'text/html', body: '<script>' })
  const picture = await fetch((body.data as { user: { avatar_url: string } }).user.avatar_url)
  t.equal(picture.headers.get('content-type'), 'text/html')
})

t.test('faults are scripted, listed and removed over HTTP, and a typo is refused', async (t) => {
  const simulator = await simulatorFor(t)
  const added = await sim(simulator, 'POST', 'faults', { route: 'refresh', error: 'invalid_grant', times: 'always' })
  t.match(added, { status: 201, body: { id: 'fault-1', process: false, hits: 0 } })
  await sim(simulator, 'POST', 'faults', { route: 'revoke', reset: 'after' })
  await refresh(simulator, 'rft.any')
  t.match((await sim(simulator, 'GET', 'faults')).body, { faults: [{ hits: 1 }, { process: true, hits: 0 }] })
  t.equal((await sim(simulator, 'DELETE', 'faults/fault-1')).status, 200)
  t.equal((await sim(simulator, 'DELETE', 'faults/fault-1')).status, 404)
  t.strictSame((await sim(simulator, 'DELETE', 'faults')).body, { faults: [] })
  t.equal(simulator.faults.list().length, 0)

  const wrongs = [
    { route: 'refesh' },
    { route: 'refresh', befor_ms: 5 },
    { route: 'refresh', times: 0 },
    { route: 'refresh', headers: { 'no name': 'x' } },
    { route: 'refresh', headers: { '': 'x' } },
    { route: 'refresh', headers: { name: 'two\nlines' } },
    { route: 'refresh', content_type: 'text/plain\n' },
    { route: 'refresh', redirect: 'http://127.0.0.1/☃' },
    {},
  ]
  for (const wrong of wrongs) {
    t.match(await sim(simulator, 'POST', 'faults', wrong), { status: 400, body: { error: /./ } })
  }
})

t.test('a fault is scripted by its name and a count, for whom it is meant', async (t) => {
  const simulator = await simulatorFor(t)
  const [mara, jonas] = [await connect(simulator, 'mara'), await connect(simulator, 'jonas')]
  const added = await sim(simulator, 'POST', 'faults/refused', { times: 2, match: { person: 'mara' } })
  t.match(added, { status: 201, body: { id: 'fault-1', route: 'refresh', error: 'invalid_grant', times: 2 } })
  t.match((await refresh(simulator, jonas.refresh_token)).body, { access_token: /^act/ })
  for (let call = 0; call < 2; call += 1) t.match((await refresh(simulator, mara.refresh_token)).body, { error: 'invalid_grant' })
  t.match((await refresh(simulator, mara.refresh_token)).body, { access_token: /^act/ })
  t.match((await sim(simulator, 'POST', 'faults/bad_gateway', { route: 'user_info' })).body, { route: 'user_info', status: 502 })
  for (const name of ['no_such', 'toString']) t.equal((await sim(simulator, 'POST', `faults/${name}`, {})).status, 404, name)
})

t.test('every route can be slow without being scripted', async (t) => {
  const simulator = await simulatorFor(t, { latencyMs: 30 })
  const { access_token } = await connect(simulator, 'mara')
  const timed = async () => {
    const started = performance.now()
    await userInfo(simulator, access_token)
    return performance.now() - started
  }
  t.ok((await timed()) >= 29)
  await sim(simulator, 'POST', 'settings', { latency_ms: { user_info: 60, refresh: 600_000 } })
  t.ok((await timed()) >= 59)
})

t.test('closing does not wait for those who are made to wait', async (t) => {
  const simulator = await simulatorFor(t)
  const { refresh_token } = await connect(simulator, 'mara')
  simulator.faults.add({ route: 'refresh', times: 'always', before_ms: 600_000 })
  simulator.faults.add({ route: 'user_info', drip_ms: 600_000 })
  const waiting = Array.from({ length: 50 }, () => refresh(simulator, refresh_token))
  const all = Promise.allSettled([...waiting, userInfo(simulator, 'act.any')])
  while (simulator.stats.report().faults_applied < 51) await new Promise((resolve) => setImmediate(resolve))
  await simulator.close()
  for (const { status } of await all) t.equal(status, 'rejected')
})
