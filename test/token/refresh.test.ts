// A refresh token is spent once, and every caller learns how it went.
import t from 'tap'
import { refreshOutcomes } from '../../src/telemetry.ts'
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
  const { world, watched, seedOne } = await startWatchedWorld(t, { timings: { firstBackoffSeconds: 0, lastBackoffSeconds: 0 } })
  const { parts, tiktok } = world
  const counted = async (outcome: string) => {
    const { values } = await parts.metrics.refreshes.get()
    return values.find(({ labels }) => labels.outcome === outcome)?.value ?? 0
  }
  const timelineOf = async (id: string) => {
    const { body } = await world.call<{ entries: { kind: string; code: string | null }[] }>('GET', `/accounts/${id}/timeline`)
    return body.entries.map(({ kind, code }) => (code === null ? kind : `${kind} ${code}`)).reverse()
  }
  const one = async () => {
    const account = await seedOne({ secondsLeft: -60 })
    return account
  }
  t.same(
    await Promise.all(refreshOutcomes.map(counted)),
    refreshOutcomes.map(() => 0),
    'each is there from the start',
  )

  const down = await one()
  tiktok.faults.add({ route: 'refresh', match: { person: down.person }, error: 'invalid_grant' })
  t.match(await parts.refresher.refresh(down.id, 1), { kind: 'rejected' })
  t.same(await timelineOf(down.id), ['refresh_rejected invalid_grant'], 'suspected')
  await world.timePasses(61)
  await parts.refresher.refresh(down.id, 1)
  t.same(
    await timelineOf(down.id),
    ['refresh_rejected invalid_grant', 'reauthorization_required refresh_token_rejected'],
    'believed',
  )

  const wobbly = await one()
  tiktok.faults.add({ route: 'refresh', match: { person: wobbly.person }, status: 502, body: 'x' })
  t.match(await parts.refresher.refresh(wobbly.id, 1), { kind: 'ambiguous' })
  await world.timePasses(31)
  t.match(await parts.refresher.refresh(wobbly.id, 1), { kind: 'refreshed' })
  t.same(await timelineOf(wobbly.id), ['refresh_ambiguous server_error', 'refreshed'])

  const held = await one()
  await watched.sql`update token_sets set attempt_id = 'att_neighbour', lease_until = now() + interval '30 seconds', unsettled_attempts = 1 where account_id = ${held.id}`
  t.match(await parts.refresher.refresh(held.id, 1), { kind: 'yielded' })
  await world.timePasses(31)
  t.match(await parts.refresher.refresh(held.id, 1), { kind: 'refreshed' })
  t.same(await timelineOf(held.id), ['refresh_abandoned lease_ran_out', 'refreshed'])
  t.match(await parts.metrics.leasesRunOut.get(), { values: [{ value: 1 }] }, 'a parked claim is none of these')
  t.match(await parts.refresher.refresh(held.id, 1), { kind: 'sibling_won' })

  const expired = await one()
  await watched.sql`update token_sets set refresh_expires_at = now() where account_id = ${expired.id}`
  const { requests } = tiktok.stats.report()
  t.match(await parts.refresher.refresh(expired.id, 1), { kind: 'rejected' })
  t.equal(tiktok.stats.report().requests, requests, 'a refresh token that is over is not sent')
  t.same(await timelineOf(expired.id), ['reauthorization_required refresh_token_expired'])

  const waiting = await one()
  tiktok.faults.add({ route: 'refresh', status: 429, headers: { 'Retry-After': '5' } })
  t.match(await parts.refresher.refresh(waiting.id, 1), { kind: 'transient', code: 'throttled' })
  await world.timePasses(6)
  tiktok.faults.add({ route: 'refresh', error: 'invalid_client' })
  t.match(await parts.refresher.refresh(waiting.id, 1), { kind: 'client_refused' })
  t.same(await timelineOf(waiting.id), ['refresh_failed throttled', 'refresh_failed invalid_client'])
  await world.timePasses(61)
  t.match(await parts.refresher.refresh(waiting.id, 1), { kind: 'refreshed' })

  const gone = await one()
  const { refresh: ask } = parts.tiktok
  parts.tiktok.refresh = async (token) => {
    const answer = await ask(token)
    await world.call('DELETE', `/accounts/${gone.id}`)
    return answer
  }
  t.match(await parts.refresher.refresh(gone.id, 1), { kind: 'discarded' }, 'it was disconnected meanwhile')

  for (const outcome of refreshOutcomes) t.ok((await counted(outcome)) > 0, `${outcome} is counted`)
  t.match(await parts.metrics.exactlyOnceViolations.get(), { values: [{ value: 0 }] })
  t.same(
    await violations(watched, {
      down: { [down.id]: 'refresh_token_rejected', [expired.id]: 'refresh_token_expired' },
      excused: [wobbly.id],
      disconnected: [gone.id],
    }),
    [],
  )
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
