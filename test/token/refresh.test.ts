// A refresh token is spent once, and every caller learns how it went.
import t from 'tap'
import { refreshOutcomes } from '../../src/token/metrics.ts'
import { violations } from '../rig/invariants.ts'
import { startWatchedWorld } from '../rig/watched-world.ts'

t.test('two refreshes at once spend the refresh token once, and both hear of it', async (t) => {
  const { world, watched, seedOne } = await startWatchedWorld(t)
  const account = await seedOne({ secondsLeft: -60 })
  const outcomes = await Promise.all([world.parts.refresher.refresh(account.id, 1), world.parts.refresher.refresh(account.id, 1)])
  t.same(
    outcomes.map(({ kind }) => kind),
    ['refreshed', 'refreshed'],
  )
  t.equal(world.tiktok.stats.report().refreshes_processed, 1)
  t.match(await world.parts.refresher.refresh(account.id, 1), { kind: 'sibling_won' }, 'who comes later finds it done')
  t.same(await violations(watched), [])
})

t.test('a hundred callers who met the same 401 cause one refresh', async (t) => {
  const { world, watched, seedOne, read } = await startWatchedWorld(t)
  const account = await seedOne()
  t.match(await read(account.id), { status: 200, generation: 1 })
  const answers = await Promise.all(
    Array.from({ length: 100 }, () => world.call('POST', `/accounts/${account.id}/token/rejected`, { body: { generation: 1 } })),
  )
  t.ok(answers.every(({ status, body }) => status === 200 && body.generation === 2))
  t.equal(world.tiktok.stats.report().refreshes_processed, 1)
  t.match(
    await world.call('POST', `/accounts/${account.id}/token/rejected`, { body: { generation: 9 } }),
    { status: 400 },
    'a generation that was never handed out changes nothing',
  )
  t.same(await violations(watched), [])
})

t.test('every outcome is counted, and the timeline says in plain codes why an account is in its state', async (t) => {
  const { world, watched, seedOne } = await startWatchedWorld(t)
  const { parts, tiktok } = world
  const overdue = () => seedOne({ secondsLeft: -60 })
  const refresh = (id: string) => parts.refresher.refresh(id, 1)
  const counted = async (outcome: string) => {
    const { values } = await parts.metrics.refreshes.get()
    return values.find(({ labels }) => labels.outcome === outcome)?.value ?? 0
  }
  const timelineOf = async (id: string) => {
    const { body } = await world.call<{ entries: { kind: string; code: string | null }[] }>('GET', `/accounts/${id}/timeline`)
    return body.entries.map(({ kind, code }) => (code === null ? kind : `${kind} ${code}`)).reverse()
  }
  const expected = { down: {} as Record<string, string>, excused: [] as string[], disconnected: [] as string[] }
  t.same(await Promise.all(refreshOutcomes.map(counted)), Array(refreshOutcomes.length).fill(0), 'each is there from the start')

  await t.test('rejected: TikTok says invalid_grant, and is believed the second time', async (t) => {
    const { id, person } = await overdue()
    tiktok.faults.add({ route: 'refresh', match: { person }, error: 'invalid_grant' })
    t.match(await refresh(id), { kind: 'rejected' })
    t.same(await timelineOf(id), ['refresh_rejected invalid_grant'], 'suspected')
    await world.timePasses(61)
    await refresh(id)
    t.same(
      await timelineOf(id),
      ['refresh_rejected invalid_grant', 'reauthorization_required refresh_token_rejected'],
      'believed',
    )
    expected.down[id] = 'refresh_token_rejected'
  })

  await t.test('rejected: a refresh token that is over is not sent', async (t) => {
    const { id } = await overdue()
    await watched.sql`update token_sets set refresh_expires_at = now() where account_id = ${id}`
    const { requests } = tiktok.stats.report()
    t.match(await refresh(id), { kind: 'rejected' })
    t.equal(tiktok.stats.report().requests, requests)
    t.same(await timelineOf(id), ['reauthorization_required refresh_token_expired'])
    expected.down[id] = 'refresh_token_expired'
  })

  await t.test('ambiguous: nobody knows whether it was spent, and the next one is refreshed', async (t) => {
    const { id, person } = await overdue()
    tiktok.faults.add({ route: 'refresh', match: { person }, status: 502, body: 'x' })
    t.match(await refresh(id), { kind: 'ambiguous' })
    await world.timePasses(31)
    t.match(await refresh(id), { kind: 'refreshed' })
    t.same(await timelineOf(id), ['refresh_ambiguous server_error', 'refreshed'])
    expected.excused.push(id)
  })

  await t.test('yielded, refreshed, sibling_won: a neighbour holds it, its lease runs out, and it is done', async (t) => {
    const { id } = await overdue()
    await watched.sql`update token_sets set attempt_id = 'att_neighbour', lease_until = now() + interval '30 seconds',
      unsettled_attempts = 1 where account_id = ${id}`
    t.match(await refresh(id), { kind: 'yielded' })
    await world.timePasses(31)
    t.match(await refresh(id), { kind: 'refreshed' })
    t.same(await timelineOf(id), ['refresh_abandoned lease_ran_out', 'refreshed'])
    t.match(await parts.metrics.leasesRunOut.get(), { values: [{ value: 1 }] }, 'a parked claim is none of these')
    t.match(await refresh(id), { kind: 'sibling_won' })
  })

  await t.test('transient and client_refused: TikTok refuses without spending it', async (t) => {
    const { id } = await overdue()
    tiktok.faults.add({ route: 'refresh', status: 429, headers: { 'Retry-After': '5' } })
    t.match(await refresh(id), { kind: 'transient', code: 'throttled' })
    await world.timePasses(6)
    tiktok.faults.add({ route: 'refresh', error: 'invalid_client' })
    t.match(await refresh(id), { kind: 'client_refused' })
    t.same(await timelineOf(id), ['refresh_failed throttled', 'refresh_failed invalid_client'])
    await world.timePasses(61)
    t.match(await refresh(id), { kind: 'refreshed' })
  })

  await t.test('discarded: it was disconnected meanwhile', async (t) => {
    const { id } = await overdue()
    const { refresh: ask } = parts.tiktok
    parts.tiktok.refresh = async (token) => {
      const answer = await ask(token)
      await world.call('DELETE', `/accounts/${id}`)
      return answer
    }
    t.match(await refresh(id), { kind: 'discarded' })
    expected.disconnected.push(id)
  })

  for (const outcome of refreshOutcomes) t.ok((await counted(outcome)) > 0, `${outcome} is counted`)
  t.match(await parts.metrics.exactlyOnceViolations.get(), { values: [{ value: 0 }] })
  t.same(await violations(watched, expected), [])
})

t.test('what a checker of invariants would overlook is worth nothing: it sees each of them broken', async (t) => {
  const { world, watched, seed, read } = await startWatchedWorld(t)
  const [dead, twice, gone] = await seed({ count: 3 })
  t.same(await violations(watched), [])

  const tokenOf = (person: string) =>
    world.tiktok.grants.ofPerson(world.tiktok.people.find(person) as never)[0]?.refreshToken ?? ''
  world.tiktok.grants.refresh(tokenOf(dead.person))
  const spent = tokenOf(twice.person)
  world.tiktok.grants.refresh(spent)
  world.tiktok.grants.refresh(spent)
  const found = (await violations(watched, { disconnected: [gone.id] })).join('\n')
  t.match(found, `I1: a refresh token of ${twice.id} came 2 times`)
  t.match(found, `I2: ${dead.id} is active with a dead refresh token`)
  t.match(found, `I6: ${gone.id} is active after its disconnect`)

  await read(gone.id)
  const [reading] = watched.readings
  await watched.sql`update accounts set label = ${reading?.accessToken ?? ''} where id = ${gone.id}`
  // Committed past the statements that hold the limit.
  await watched.sql`
    insert into uploads (id, account_id, tiktok_user, idempotency_key, caller, ttl_seconds, reserved_by, reserved_at, expires_at, held_until, committed_at)
    select 'upl_' || n, ${gone.id}, 'somebody', n::text, 'nobody', 60, 'nobody', now(), now(), now(), now() from generate_series(1, 21) as n`
  if (reading) Object.assign(reading, { wrong: 'a token of another account', ms: 20_000 })
  const later = (await violations(watched, { deadlineMs: 10_000 })).join('\n')
  t.match(later, 'I3: ')
  t.match(later, 'I4: 21 uploads in 24 hours')
  t.match(later, "I5: a token of TikTok's is in table accounts")
  t.match(later, 'I7: ')
})
