// A database restored without a journal: every account is tried once, at a rate, and nobody hears of it until an operator says so.
import t, { type Test } from 'tap'
import { readBrakes } from '../../src/db/refusals.ts'
import type { ReconcileWish } from '../../src/operate/reconcile.ts'
import { reconcile } from '../../src/operate/reconcile.ts'
import { command, environmentOf } from '../rig/command.ts'
import { eventually } from '../rig/eventually.ts'
import { startWatchedWorld } from '../rig/watched-world.ts'

const wish: ReconcileWish = {
  ...{ dryRun: false, again: false, notify: false, perSecond: 500, actor: 'operator' },
  stopping: new AbortController().signal,
}

/** Accounts whose refresh token was spent after the backup, and others that stood still; none of their tokens lives any more. */
async function restored(t: Test, { spent, alive, secondsLeft = -10 }: { spent: number; alive: number; secondsLeft?: number }) {
  const watchedWorld = await startWatchedWorld(t)
  const { world, watched, seed } = watchedWorld
  const seeded = await seed({ count: spent + alive, secondsLeft })
  const stale = seeded.slice(0, spent)
  for (const { id, person } of stale) {
    const [row] = await watched.sql<
      { sealed: string }[]
    >`select sealed_refresh_token as sealed from token_sets where account_id = ${id}`
    const spentToken = world.parts.vault.open({ purpose: 'refresh_token', subject: id, generation: 1 }, row?.sealed ?? '')
    const answer = await world.parts.tiktok.refresh(spentToken)
    if (answer.kind !== 'granted') throw new Error(`TikTok did not rotate the token of ${person}`)
  }
  world.tiktok.stats.reset()
  const count = async (table: 'events' | 'token_sets where rejected_at is not null') =>
    Number((await watched.sql.unsafe(`select count(*)::int as n from ${table}`))[0]?.n)
  const settings = { ...world.parts.timings, graceSeconds: 0 }
  const run = (changes: Partial<ReconcileWish> = {}) =>
    reconcile({ ...world.parts, timings: settings }, { ...wish, ...changes }, () => {})
  const outcomes = async (id: string) =>
    watched.sql`select outcome, reason, count(*)::int as n from reconciled_accounts where reconciliation_id = ${id} group by 1, 2 order by 3 desc`
  return { ...watchedWorld, seeded, stale, count, run, outcomes }
}

t.test(
  'F66: past a brake that holds, each account is tried once; the refused are marked, and told of when that is asked for',
  async (t) => {
    const { world, watched, stale, seeded, count, run, outcomes, statusOf } = await restored(t, { spent: 40, alive: 25 })
    await Promise.all(stale.slice(0, 22).map(({ id }) => world.parts.refresher.refresh(id, 1)))
    t.equal(await count('token_sets where rejected_at is not null'), 20, 'the brake holds')

    const { run: made, announced } = await run()
    t.same(await outcomes(made.id), [
      { outcome: 'must_come_back', reason: 'refresh_token_rejected', n: 40 },
      { outcome: 'fine', reason: null, n: 25 },
    ])
    t.match({ announced, events: await count('events') }, { announced: 0, events: 0 })
    t.match(await statusOf(stale[0]?.id ?? ''), { status: 'reauthorization_required', reason: 'refresh_token_rejected' })
    t.match(await statusOf(seeded.at(-1)?.id ?? ''), { status: 'active', generation: 2 })
    t.match(await watched.sql`select failures from circuit_breakers where name = 'token_refused'`, [{ failures: 0 }], 'released')
    t.equal(world.tiktok.stats.report().refreshes_processed, 25)

    t.match(await readBrakes(world.parts.db), [{ endpoint: 'token', holds: false, refused: 0 }, {}])

    const { requests } = world.tiktok.stats.report()
    t.match(await run(), { announced: 0, run: { id: made.id } }, 'a run that is over is shown again')
    t.match(await run({ notify: true }), { announced: 40, run: { id: made.id } })
    t.match(await run({ notify: true }), { announced: 0 }, 'once')
    t.match(await watched.sql`select type, count(*)::int as n from events group by 1`, [
      { type: 'account.reauthorization_required', n: 40 },
    ])
    t.equal(world.tiktok.stats.report().requests, requests, 'TikTok was not asked again')
    await watched.sql`update reconciliations set ended_at = ended_at - interval '2 hours'`
    t.match(await run({ notify: true }), { announced: 0, run: { id: made.id } }, 'who is told is who was found')
    t.match((await run()).run.id !== made.id, true)
    t.equal(world.tiktok.stats.report().refreshes_processed, 50, 'those that are marked already are left alone')
  },
)

t.test(
  'the last read comes first; an interrupted run goes on and asks nobody twice; what was refreshed since is fine',
  async (t) => {
    const { world, watched, seeded, run, outcomes } = await restored(t, { spent: 0, alive: 12 })
    await watched.sql`update token_sets set last_read_at = now() - interval '3 days'`
    const wanted = seeded[7]?.id ?? ''
    await watched.sql`update token_sets set last_read_at = now() where account_id = ${wanted}`
    const stopping = new AbortController()
    const first = await run({
      perSecond: 20,
      stopping: stopping.signal,
    }).catch((error: unknown) => error)
    t.match(first, { run: { endedAt: Date } })
    // Attempts sort by when they began; their answers may overtake each other.
    const [early] = await watched.sql`select account_id as id from token_sets order by saved_attempt_id limit 1`
    t.match(early, { id: wanted })

    const again = reconcile({ ...world.parts }, { ...wish, again: true, perSecond: 5, stopping: stopping.signal }, (done) => {
      if (done >= 1) stopping.abort()
    })
    const { run: half } = await again
    t.equal(half.endedAt, null)
    const [tried] = await watched.sql`select count(*)::int as n from reconciled_accounts where reconciliation_id = ${half.id}`
    t.ok(tried?.n >= 1 && tried?.n < 12, `${tried?.n} were tried`)
    const left = await watched.sql<{ id: string; generation: number }[]>`
    select account_id as id, generation from token_sets where account_id not in (select account_id from reconciled_accounts where reconciliation_id = ${half.id})`
    const [someone] = left
    await world.parts.refresher.refresh(someone?.id ?? '', someone?.generation ?? 0)
    const { run: whole } = await run()
    t.equal(whole.id, half.id)
    t.same(await outcomes(whole.id), [
      { outcome: 'fine', reason: null, n: 11 },
      { outcome: 'fine', reason: 'refreshed_since', n: 1 },
    ])
    t.equal(world.tiktok.stats.report().max_presented_per_refresh_token, 1)
    t.equal(world.tiktok.stats.report().refreshes_processed, 24)
  },
)

t.test('a dry run asks user info with the tokens that live, and spends, marks and tells nothing', async (t) => {
  const { world, watched, seed, run, outcomes, count } = await restored(t, { spent: 0, alive: 4, secondsLeft: 3600 })
  await seed({ count: 2, secondsLeft: -10 })
  const [, , , ended] = await watched.sql`select account_id as id from token_sets order by access_expires_at desc`
  await watched.sql`update token_sets set refresh_expires_at = now() where account_id = ${ended?.id}`
  const [revoked] = await watched.sql<{ openId: string }[]>`
    select open_id as "openId" from accounts a join token_sets t on t.account_id = a.id where access_expires_at > now() and refresh_expires_at > now() limit 1`
  world.tiktok.faults.add({
    route: 'user_info',
    match: { open_id: revoked?.openId ?? '' },
    error: 'access_token_invalid',
    times: 'always',
  })
  const { run: made } = await run({ dryRun: true })
  t.same(
    new Set((await outcomes(made.id)).map(({ outcome, reason, n }) => `${outcome} ${reason} ${n}`)),
    new Set([
      'fine access_token_taken 2',
      'unknown access_token_refused 1',
      'unknown access_token_expired 2',
      'must_come_back refresh_token_expired 1',
    ]),
  )
  t.equal(world.tiktok.stats.report().refreshes_processed, 0)
  t.equal(await count('events'), 0)
  t.match(await watched.sql`select count(*)::int as n from token_sets where refused_generation is not null`, [{ n: 0 }])
})

t.test('while a recovery waits for its journals nothing is tried, and the sentence says what comes first', async (t) => {
  const { world, watched, run } = await restored(t, { spent: 0, alive: 1 })
  await watched.sql`insert into recoveries (reason, begun_by) values ('mark', 'rep_1')`
  await t.rejects(run(), { code: 'database_rewound', message: /journal replay/ })
  t.equal(world.tiktok.stats.report().requests, 0)
})

t.test('on the command line: progress, a table and JSON', async (t) => {
  const { world, count } = await restored(t, { spent: 3, alive: 5 })
  const env = environmentOf(world)
  t.match(await command(['accounts', 'reconcile', '--dry-run', '--notify'], env), { code: 1, stderr: /leave out --notify/ })
  let said = ''
  const running = command(['accounts', 'reconcile', '--per-second', '50'], env, ({ stderr }) => {
    stderr?.on('data', (chunk) => {
      said += chunk
    })
  })
  await eventually('it waits', () => said.includes('a minute is waited before refusals are believed'))
  await world.timePasses(61)
  const { code, stdout, stderr } = await running
  t.equal(code, 0)
  t.match(stdout, /^must_come_back +refresh_token_rejected +3$/m)
  t.match(stdout, /^fine +- +5$/m)
  t.equal(stdout.match(/^acc_\w+\tuser_42\tmust_come_back\trefresh_token_rejected\t/gm)?.length, 3)
  t.match(stderr, /trying 0 % \(0 of 8\)\n[\s\S]*a minute is waited before refusals are believed/)
  t.equal(await count('events'), 0)
  const told = await command(['accounts', 'reconcile', '--notify', '--json'], env)
  t.match(JSON.parse(told.stdout), {
    dry_run: false,
    announced: 3,
    untried: 0,
    accounts: [{ outcome: 'must_come_back' }, {}, {}],
  })
  t.equal(await count('events'), 3)
})

t.test('SIGINT finishes what is in flight: no answer of TikTok’s is lost, and the same command goes on', async (t) => {
  const { world, watched } = await restored(t, { spent: 0, alive: 10 })
  world.tiktok.changeSettings({ latency_ms: { refresh: 700 } })
  const env = environmentOf(world)
  const stopped = command(['accounts', 'reconcile', '--per-second', '2'], env, (child) => {
    void eventually('some are in flight', () => world.tiktok.stats.report().requests >= 2).then(() => child.kill('SIGINT'))
  })
  t.match(await stopped, { code: 1, stdout: /^untried +\d+$/m, stderr: /run the same command again/ })
  const { refreshes_processed: processed } = world.tiktok.stats.report()
  const [row] = await watched.sql`select count(*)::int as n from token_sets where generation = 2`
  t.equal(row?.n, processed, 'what TikTok gave is recorded')
  t.ok(processed < 10)
  t.match(await command(['accounts', 'reconcile', '--per-second', '100'], env), { code: 0, stdout: /^fine +- +10$/m })
  t.equal(world.tiktok.stats.report().refreshes_processed, 10)
  t.equal(world.tiktok.stats.report().max_presented_per_refresh_token, 1)
})
