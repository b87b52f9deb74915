// Waiting for a connect session: answered when it moves, whoever moves it, and never for longer or for more than it should be.

import t from 'tap'
import { request } from 'undici'
import { openSessionWaits } from '../../src/connect/session-waits.ts'
import { createApiKey } from '../../src/http/api-keys.ts'
import { eventually } from '../rig/eventually.ts'
import { startWorld } from '../world.ts'

interface Session {
  id: string
  owner_id: string
  status: string
  error: string | null
}

const world = await startWorld(t)
const { db } = world.parts
const waitFor = (id: string, query = '?wait=25') => world.call<Session>('GET', `/connect-sessions/${id}${query}`)

/** How often the database was asked on behalf of those who wait, and what the last answer was about. */
let looks = 0
let lastSeen: string[] = []
const { run } = db
db.run = async (name, work, options) => {
  const found = await run(name, work, options)
  if (name === 'find_connect_sessions') {
    looks++
    lastSeen = (found as Session[]).map(({ id }) => id)
  }
  return found
}
const isLookedFor = async () => {
  const before = looks
  await eventually('somebody waits', async () => looks > before)
}

t.test('whoever waits is answered as soon as the session moves, on whichever replica', async (t) => {
  const { id, authorize_url } = await world.openSession()
  const waiting = waitFor(id)
  await isLookedFor()
  await world.browser().get(authorize_url)
  t.match(await waiting, { status: 200, body: { id, status: 'authorizing' } })

  const onward = waitFor(id)
  await isLookedFor()
  // As another replica would: in the database alone.
  await run('test', (sql) => sql`update connect_sessions set status = 'failed', error = 'access_denied' where id = ${id}`)
  t.match(await onward, { status: 200, body: { status: 'failed', error: 'access_denied' } })
  t.match(await waitFor(id), { status: 200, body: { status: 'failed' } }, 'at once: it is over')
})

t.test('a session that expires or is erased meanwhile ends the wait', async (t) => {
  const [late, gone] = [await world.openSession(), await world.openSession({ owner_id: 'erased_soon' })]
  const both = [waitFor(late.id), waitFor(gone.id)] as const
  await isLookedFor()
  await run('test', (sql) => sql`update connect_sessions set expires_at = now() where id = ${late.id}`)
  t.equal((await world.call('DELETE', '/owners/erased_soon')).status, 200)
  t.match(await both[0], { status: 200, body: { status: 'expired' } })
  t.match(await both[1], { status: 404, body: { code: 'connect_session_not_found' } })
})

t.test('many who wait cost one statement a look and hold no connection', async (t) => {
  const { id } = await world.openSession()
  const before = looks
  const waiting = Array.from({ length: 60 }, () => waitFor(id))
  await eventually('all are looked for', async () => looks > before + 2)
  t.ok(looks - before < 60, `${looks - before} looks`)
  await eventually('none of them holds a connection', () => db.state.inFlight === 0)
  await run('test', (sql) => sql`update connect_sessions set status = 'failed' where id = ${id}`)
  t.ok((await Promise.all(waiting)).every(({ body }) => body.status === 'failed'))
})

t.test('nobody is waited for who has gone, and a shutdown answers at once', async (t) => {
  const { id } = await world.openSession()
  const leaving = new AbortController()
  const waits = openSessionWaits({ ...world.parts, leaving: leaving.signal })
  const wait = { keyId: 'key_1', seconds: 25, signal: new AbortController().signal }
  const waiting = waits.next(id, wait)
  await isLookedFor()
  leaving.abort()
  t.equal((await waiting).status, 'pending')

  const gone = new AbortController()
  const key = await world.key('connect:write')
  const call = request(new URL(`/connect-sessions/${id}?wait=25`, world.app.url), {
    headers: { authorization: `Bearer ${key}` },
    signal: gone.signal,
  })
  call.catch(() => {})
  const other = await world.openSession()
  const stays = waitFor(other.id)
  await eventually('both are looked for', () => lastSeen.includes(id) && lastSeen.includes(other.id))
  gone.abort()
  await t.rejects(call)
  await eventually('only the other one is looked for', () => lastSeen.includes(other.id) && !lastSeen.includes(id))
  await run('test', (sql) => sql`update connect_sessions set status = 'failed' where id = ${other.id}`)
  t.match(await stays, { status: 200, body: { status: 'failed' } })
})

t.test('as many wait as may, each key has a part of the room, and it is given back', async (t) => {
  const { id } = await world.openSession()
  const leaving = new AbortController()
  const waits = openSessionWaits({ ...world.parts, leaving: leaving.signal })
  const wait = (keyId: string) => waits.next(id, { keyId, seconds: 25, signal: new AbortController().signal })
  const refused: string[] = []
  const waiting = [...Array.from({ length: 251 }, () => wait('greedy')), wait('modest')].map((each) =>
    each.catch((error) => refused.push(error.code)),
  )
  await eventually('one is refused', () => refused.length > 0)
  leaving.abort()
  await Promise.all(waiting)
  t.same(refused, ['overloaded'])
  t.equal((await waits.next(id, { keyId: 'greedy', seconds: 1, signal: new AbortController().signal })).status, 'pending')
})

t.test('what is no wait is refused', async (t) => {
  const { id } = await world.openSession()
  for (const wrong of ['26', '-1', '1.5', '1e1', '', 'true', '25&wait=25'])
    t.match(await waitFor(id, `?wait=${wrong}`), { status: 400, body: { code: 'validation_failed' } }, wrong)
  t.match(await waitFor(id, '?wait=0'), { status: 200, body: { status: 'pending' } })
  const before = looks
  t.equal((await world.call('HEAD', `/connect-sessions/${id}?wait=25`)).status, 200)
  t.equal(looks, before, 'a HEAD waits for nothing')
  const reach = { ownerPrefixes: ['other_'], accountIds: null }
  const { key } = await createApiKey(world.parts, { name: 'narrow', scopes: ['connect:write'], expiresAt: null, reach })
  t.equal((await world.call('GET', `/connect-sessions/${id}?wait=25`, { key })).status, 404, 'outside: at once')
})

t.test('the sessions of an owner are listed newest first, page by page', async (t) => {
  const ids: string[] = []
  for (let n = 0; n < 5; n++) ids.unshift((await world.openSession({ owner_id: 'asks_support' })).id)
  await world.openSession({ owner_id: 'somebody_else' })
  const seen: string[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const query = new URLSearchParams({ owner_id: 'asks_support', limit: '2', ...(cursor === '' ? {} : { cursor }) })
    const { body }: { body: { sessions: Session[]; next_cursor: string | null } } = await world.call(
      'GET',
      `/connect-sessions?${query}`,
    )
    seen.push(...body.sessions.map((session) => session.id))
    cursor = body.next_cursor
  }
  t.same(seen, ids)
  const { body } = await world.call<{ sessions: Session[] }>('GET', '/connect-sessions?limit=200')
  t.ok(body.sessions.some(({ owner_id }) => owner_id === 'somebody_else'))
  t.notMatch(JSON.stringify(body), /secret|confirm|https?:/)
  for (const wrong of ['cursor=x', `cursor=${ids[0]}`, 'owner_id=', 'limit=0', 'status=failed'])
    t.equal((await world.call('GET', `/connect-sessions?${wrong}`)).status, 400, wrong)
  t.equal((await world.call('GET', '/connect-sessions', { key: await world.key('accounts:read') })).status, 403)
})
