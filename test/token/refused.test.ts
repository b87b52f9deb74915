// A token that TikTok did not take is never handed out again: whoever saw the refusal, whatever becomes of the refresh after it.
import t, { type Test } from 'tap'
import type { Account } from '../../src/account/account.ts'
import type { UploadReadiness } from '../../src/account/readiness.ts'
import { createProfiler } from '../../src/background/profiler.ts'
import type { VendedToken } from '../../src/token/vend.ts'
import { startWorld, type World } from '../world.ts'

const hour = 3600
const read = (world: World, id: string) => world.call<VendedToken & { code?: string }>('GET', `/accounts/${id}/token?min_ttl=60`)
const rejected = (world: World, id: string, generation: number) =>
  world.call<VendedToken & { code?: string }>('POST', `/accounts/${id}/token/rejected`, { body: { generation } })
const readiness = async (world: World, id: string, at = '') =>
  (await world.call<UploadReadiness>('GET', `/accounts/${id}/readiness${at}`)).body
const reserve = (world: World, id: string, key: string) =>
  world.call('POST', `/accounts/${id}/uploads`, { headers: { 'idempotency-key': key } })
const shown = async (world: World, id: string) => (await world.call<Account>('GET', `/accounts/${id}`)).body

/** Nobody gets the token, and nobody is told that all is well. */
async function blocked(t: Test, world: World, id: string, expected: { status: number; code: string; blocker: string }) {
  for (let tries = 0; tries < 2; tries++) {
    const { status, body } = await read(world, id)
    t.match({ status, code: body.code }, { status: expected.status, code: expected.code })
    t.equal(body.access_token, undefined)
  }
  const { ready, blockers } = await readiness(world, id)
  t.equal(ready, false)
  t.match(blockers, [{ code: expected.blocker }])
  const { status, body } = await reserve(world, id, `key-${Math.random()}`)
  t.match(
    { status, code: body.code },
    { status: expected.blocker === 'reauthorization_required' ? 409 : 503, code: expected.blocker },
  )
  t.not((await shown(world, id)).health.verdict, 'healthy')
}

t.test('a lost refresh answer, then the present token refused: 409 for good, though it has hours to live', async (t) => {
  const world = await startWorld(t)
  const { id } = await world.connect()
  // TikTok processed it and its answer was lost; the one more try is refused, so the outcome stays unknown.
  world.tiktok.faults.add({ route: 'refresh', reset: 'after' })
  t.equal((await world.parts.refresher.refresh(id, 1)).kind, 'ambiguous')
  await world.timePasses(65)
  await world.parts.refresher.refresh(id, 1)
  await world.timePasses(65)
  await world.parts.refresher.refresh(id, 1)
  t.match(await shown(world, id), { status: 'reauthorization_required', status_reason: 'refresh_outcome_unknown' })
  t.match(await read(world, id), { status: 200, body: { generation: 1, degraded: true } }, 'F01: not refused yet')

  t.match(await rejected(world, id, 1), { status: 409, body: { code: 'reauthorization_required' } })
  await blocked(t, world, id, { status: 409, code: 'reauthorization_required', blocker: 'reauthorization_required' })
  t.equal((await readiness(world, id)).token_valid_until, null)
})

for (const [name, fault] of [
  ['TikTok is away', { status: 503, process: false, times: 'always' }],
  ['the answer is lost', { reset: 'before', times: 'always' }],
  ['TikTok throttles', { status: 429, headers: { 'retry-after': '30' }, times: 'always' }],
  ['TikTok refuses our client', { error: 'invalid_client', times: 'always' }],
] as const)
  t.test(`the refresh after a refusal fails (${name}): the refused token stays back until a new one is there`, async (t) => {
    const world = await startWorld(t)
    const { id } = await world.connect()
    world.tiktok.faults.add({ route: 'refresh', ...fault })
    t.match(await rejected(world, id, 1), { status: 503 })
    const blocker = name === 'TikTok refuses our client' ? 'client_refused' : 'tiktok_unavailable'
    t.equal((await read(world, id)).status, 503)
    t.match(await readiness(world, id), { ready: false, blockers: [{ code: blocker }] })
    t.match(await reserve(world, id, 'a-key'), { status: 503, body: { code: 'tiktok_unavailable' } })
    t.match((await shown(world, id)).health, { verdict: 'degraded' })

    world.tiktok.faults.clear()
    await world.timePasses(120)
    t.match(await read(world, id), { status: 200, body: { generation: 2 } }, 'a read is enough to bring it')
    t.match(await readiness(world, id), { ready: true, blockers: [] })
    t.equal((await reserve(world, id, 'a-key')).status, 201)
    t.match((await shown(world, id)).health, { verdict: 'healthy', reasons: [] })
    t.match(await rejected(world, id, 1), { status: 200, body: { generation: 2 } }, 'an old refusal refuses nothing')
    t.match(await read(world, id), { status: 200, body: { generation: 2 } })
  })

t.test('what TikTok refuses of our own questions is remembered as well', async (t) => {
  const away = { route: 'refresh', status: 429, headers: { 'retry-after': '30' }, times: 'always' } as const
  await t.test('by verify', async (t) => {
    const world = await startWorld(t)
    const { id } = await world.connect()
    world.tiktok.faults.add(away)
    world.tiktok.faults.add({ route: 'user_info', error: 'access_token_invalid' })
    t.equal((await world.call('POST', `/accounts/${id}/verify`)).status, 503)
    await blocked(t, world, id, { status: 503, code: 'tiktok_unavailable', blocker: 'tiktok_unavailable' })
    const { user_infos } = world.tiktok.stats.report()
    t.equal((await world.call('POST', `/accounts/${id}/verify`)).status, 503)
    t.equal(world.tiktok.stats.report().user_infos, user_infos, 'and TikTok is not asked with it again')
  })
  await t.test('by the daily look at a profile', async (t) => {
    const world = await startWorld(t)
    const { id } = await world.connect()
    world.tiktok.faults.add(away)
    world.tiktok.faults.add({ route: 'user_info', status: 401, error: 'token_from_the_moon' })
    await world.parts.db.run('due', (sql) => sql`update accounts set profile_due_at = now()`)
    await createProfiler(world.parts)()
    await blocked(t, world, id, { status: 503, code: 'tiktok_unavailable', blocker: 'tiktok_unavailable' })
  })
  await t.test('by the first look after a connect', async (t) => {
    const world = await startWorld(t)
    world.tiktok.faults.add(away)
    world.tiktok.faults.add({ route: 'user_info', error: 'access_token_invalid' })
    const { id } = await world.connect()
    await blocked(t, world, id, { status: 503, code: 'tiktok_unavailable', blocker: 'tiktok_unavailable' })
  })
})

t.test('a refusal is of one generation, on every replica, and stands in the timeline once', async (t) => {
  const world = await startWorld(t)
  const { id } = await world.connect()
  world.tiktok.faults.add({ route: 'refresh', before_ms: 300 })
  const answers = await Promise.all(Array.from({ length: 20 }, () => rejected(world, id, 1)))
  for (const answer of answers) t.match(answer, { status: 200, body: { generation: 2 } })
  t.equal(world.tiktok.stats.report().refreshes_processed, 1)
  const { text } = await world.call('GET', `/accounts/${id}/timeline`)
  t.equal(text.split('access_token_refused').length - 1, 1)
  t.match(await rejected(world, id, 3), { status: 400 }, 'one that was never handed out')
  t.match(await read(world, id), { status: 200, body: { generation: 2 } })
})

t.test('ahead of the token’s end a refusal of today is no blocker: by then another one is there', async (t) => {
  const world = await startWorld(t)
  const { id } = await world.connect()
  await world.parts.db.run('refused', (sql) => sql`update token_sets set refused_generation = generation`)
  t.match(await readiness(world, id), { ready: false })
  const at = new Date(Date.now() + 3 * hour * 1000).toISOString()
  t.match(await readiness(world, id, `?at=${at}`), { ready: true })
})
