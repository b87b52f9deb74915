// What the simulator keeps in its file between two starts.
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import type { Person } from '../src/person.ts'
import { type Simulator, startSimulator } from '../src/server.ts'
import { api, type Begun, draftRoute, fileOf, putBytes, statusOf } from './app.ts'

t.test('grants, changed people and the clock outlive the process', async (t) => {
  const stateFile = join(t.testdir(), 'inner', 'state.json')
  const first = await startSimulator({ stateFile })
  first.clock.advance(600)
  const [crowd] = first.issueGrants({ count: 1 })
  await fetch(`${first.url}/_sim/people/mara`, {
    method: 'PATCH',
    headers: { 'content-type': 'application/json' },
    body: '{"follower_count":50000}',
  })
  await fetch(`${first.url}/_sim/people`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"id":"newest","display_name":"Newest"}',
  })
  const old = first.grants.issue(mara(first), ['user.info.basic'])
  const tokens = first.grants.refresh(old.refresh_token)
  await first.close()

  const second = await startSimulator({ stateFile })
  t.teardown(() => second.close())
  t.equal(second.clock.report().offset_seconds, 600)
  t.match(second.people.find('mara'), { followerCount: 50_000, displayName: 'Mara Cooks' })
  t.match(second.people.find('newest'), { displayName: 'Newest' })
  const grant = second.grants.byAccessToken(tokens?.access_token)
  t.match(grant, { rotations: 1, scopes: ['user.info.basic'] })
  t.equal(second.grants.refresh(old.refresh_token), undefined, 'a replaced refresh token stays dead')
  t.equal(second.grants.isLive(crowd?.refresh_token ?? ''), false, 'crowds are forgotten')
  t.match(second.grants.refresh(tokens?.refresh_token ?? ''), { open_id: tokens?.open_id })
})

t.test('publications outlive the process, and what was on its way goes on or has ended', async (t) => {
  const stateFile = join(t.testdir(), 'state.json')
  const first = await startSimulator({ stateFile, settings: { processing_seconds: 3600 } })
  const { access_token } = first.grants.issue(mara(first), ['video.upload'])
  const upload = (await api<Begun>(first, draftRoute, access_token, fileOf(10_000_000, 5_000_000))).body.data
  await putBytes(upload.upload_url, 0, 4_999_999, 10_000_000)
  const endless = createServer((_request, response) => response.write('the beginning'))
  await new Promise<void>((resolve) => endless.listen(0, '127.0.0.1', resolve))
  t.teardown(() => endless.close())
  const video_url = `http://127.0.0.1:${(endless.address() as AddressInfo).port}/`
  const pulled = (await api<Begun>(first, draftRoute, access_token, { source_info: { source: 'PULL_FROM_URL', video_url } })).body
    .data
  await first.close()

  const second = await startSimulator({ stateFile })
  t.teardown(() => second.close())
  t.match((await statusOf(second, access_token, upload.publish_id)).body.data, {
    status: 'PROCESSING_UPLOAD',
    uploaded_bytes: 5_000_000,
  })
  const rest = await putBytes(upload.upload_url.replace(first.url, second.url), 5_000_000, 9_999_999, 10_000_000)
  t.equal(rest.status, 201)
  t.match(second.publications.find(upload.publish_id), { status: 'SEND_TO_USER_INBOX' })
  t.match(second.publications.find(pulled.publish_id), { status: 'FAILED', fail_reason: 'video_pull_failed' })
  t.match(readFileSync(stateFile, 'utf8'), /SEND_TO_USER_INBOX/)
})

t.test('a token is in the file before anybody holds it, and not after the person removed the app', async (t) => {
  const stateFile = join(t.testdir(), 'state.json')
  const simulator = await startSimulator({ stateFile })
  t.teardown(() => simulator.close())
  const issued = simulator.grants.issue(mara(simulator), ['user.info.basic'])
  const answer = await fetch(`${simulator.url}/v2/oauth/token/`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({
      client_key: simulator.clientKey,
      client_secret: simulator.clientSecret,
      grant_type: 'refresh_token',
      refresh_token: issued.refresh_token,
    }).toString(),
  })
  const { refresh_token: current } = (await answer.json()) as { refresh_token: string }
  t.match(readFileSync(stateFile, 'utf8'), current)
  if (process.platform !== 'win32') t.equal(statSync(stateFile).mode & 0o777, 0o600)

  await fetch(`${simulator.url}/people/mara/remove-app`, { method: 'POST', redirect: 'manual' })
  t.notMatch(readFileSync(stateFile, 'utf8'), current)
})

t.test('a file that is none, and one of another app, are refused by name', async (t) => {
  const stateFile = join(t.testdir(), 'state.json')
  writeFileSync(stateFile, '{}')
  await t.rejects(startSimulator({ stateFile }), /state\.json is not a state file/)
  writeFileSync(stateFile, '{"version":1,"client_key":"awother","offset_seconds":0,"people":[],"grants":[]}')
  await t.rejects(startSimulator({ stateFile }), /another app \(awother\)/)
})

function mara({ people }: Simulator): Person {
  const person = people.find('mara')
  if (!person) throw new Error('Mara is always there')
  return person
}
