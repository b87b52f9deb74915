// The database goes away, is busy, loses connections or stops taking writes, in the moments where that could cost a token.
import t from 'tap'
import { migrate } from '../../src/db/migrate.ts'
import { freshDatabase } from '../postgres.ts'
import { eventually } from '../rig/eventually.ts'
import { outage, underKilledConnections } from '../rig/faults.ts'
import { violations } from '../rig/invariants.ts'
import { publicUrl, returnUrl, startRig } from '../rig/rig.ts'
import { startServerPair } from '../rig/server-pair.ts'
import { startBrowser } from '../world.ts'

t.test('answers that the database could not take', async (t) => {
  const rig = await startRig(t, (await freshDatabase(t)).url)
  const replica = await rig.start('replica')

  await t.test(
    'F04: down right after a code exchange: complete may be repeated, and there is one account in the end',
    async (t) => {
      const opened = await rig.call(replica, 'POST', '/connect-sessions', {
        owner_id: 'user_42',
        return_url: returnUrl,
        account_type: 'creator',
        age_confirmed: true,
      })
      const back = await startBrowser(replica.url, publicUrl, rig.tiktok).walk(String(opened.body.authorize_url), {
        person: 'mara',
      })
      const told: number[] = []
      const complete = async () => {
        const answer = await rig.call(replica, 'POST', `/connect-sessions/${opened.body.id}/complete`, {
          owner_id: 'user_42',
          confirm: back.searchParams.get('confirm'),
        })
        told.push(answer.status)
        return answer
      }
      await replica.arm({ label: 'exchange.answered', signal: 'SIGSTOP' })
      const first = complete()
      await replica.reached('exchange.answered')
      await rig.proxy.cut()
      replica.signal('SIGCONT')
      await eventually('it waits for the database', async () => {
        return (await rig.call(replica, 'GET', '/health')).body.unsaved_tokens === 1
      })
      t.equal((await rig.call(replica, 'GET', '/health/ready')).status, 503)
      t.match(await complete(), { status: 503, body: { code: 'storage_unavailable' } })
      await rig.timePasses(100) // so long that a process which had begun this would be taken for dead
      const patient = eventually('the database is there for somebody', async () => (await complete()).status !== 503)
      await rig.proxy.resume()
      await Promise.all([first, patient])
      const completed = await complete()
      const connecting = told.filter((status) => status === 201).length
      t.ok(connecting <= 1 && [200, 201].includes(completed.status), `201 at most once, then 200: ${told.join(', ')}`)
      t.match(await rig.sql`select status from accounts where id = ${String(completed.body.id)}`, [{ status: 'active' }])
      t.match(await rig.sql`select count(*)::int as n from accounts`, [{ n: 1 }])
      t.equal(rig.tiktok.stats.report().exchanges, 1)
    },
  )

  await t.test('F05: down right after a refresh: not ready meanwhile, no invalid_grant, nobody has to do anything', async (t) => {
    const account = await rig.seedOne({ secondsLeft: -60 })
    await replica.arm({ label: 'refresh.answered', signal: 'SIGSTOP' })
    const read = rig.read(replica, account.id)
    await replica.reached('refresh.answered')
    await rig.proxy.cut()
    replica.signal('SIGCONT')
    await eventually('it waits for the database', async () => {
      return (await rig.call(replica, 'GET', '/health')).body.unsaved_tokens === 1
    })
    t.equal((await rig.call(replica, 'GET', '/health/ready')).status, 503)
    // The lease runs out meanwhile; whoever claims it now must not send the spent token.
    await rig.timePasses(31)
    await rig.proxy.resume()
    await read
    await eventually('it is recorded', async () => (await rig.statusOf(account.id)).generation === 2)
    t.match(await rig.read(replica, account.id), { status: 200, generation: 2 })
    await eventually('it is ready again', async () => (await rig.call(replica, 'GET', '/health/ready')).status === 200)
    t.equal(rig.tiktok.stats.report().refreshes_refused, 0)
  })

  await t.test('F05: away for a while in the middle of 60 refreshes: none is lost', async (t) => {
    const { lost, refused } = await outage(rig, [replica], { accounts: 60, awayMs: 1500 })
    t.same({ lost, refused }, { lost: [], refused: 0 })
  })
  t.same(await violations(rig), [])
})

t.test('F24: with five connections killed every 150 ms under 40 callers, every call ends and nothing is half done', async (t) => {
  const rig = await startRig(t, (await freshDatabase(t)).url)
  const replica = await rig.start('replica')
  const { calls, surprises } = await underKilledConnections(rig, replica, { callers: 40, forMs: 3000 })
  t.same(surprises, [], 'only answers, and refusals that say when to come back')
  t.ok((calls['200'] ?? 0) > 0, 'and it went on serving')
  t.ok(replica.isRunning, 'no error was left uncaught')
  await eventually('what TikTok answered last is recorded', async () => {
    return (await rig.call(replica, 'GET', '/health')).body.unsaved_tokens === 0
  })
  t.same(await violations(rig), [])
})

t.test(
  'F26: with all connections busy callers hear overloaded while they are, the process lives, and recovers by itself',
  async (t) => {
    const rig = await startRig(t, (await freshDatabase(t)).url)
    const replica = await rig.start('replica')
    const accounts = await rig.seed({ count: 20 })
    await Promise.all(accounts.map(({ id }) => rig.read(replica, id)))

    const { promise: released, resolve: release } = Promise.withResolvers<void>()
    const locked = rig.sql.begin(async (held) => {
      await held`lock table accounts in access exclusive mode`
      await released
    })
    await eventually('the table is locked', async () => {
      const [row] =
        await rig.sql`select count(*)::int as n from pg_locks where mode = 'AccessExclusiveLock' and relation = 'accounts'::regclass
          and database = (select oid from pg_database where datname = current_database())`
      return row?.n === 1
    })
    const busy = Array.from({ length: 15 }, (_, i) => rig.call(replica, 'GET', `/accounts/${accounts[i]?.id}`))
    await eventually('no connection is free', async () => {
      const [row] =
        await rig.sql`select count(*)::int as n from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`
      return row?.n >= 10
    })
    const [reads, live] = await Promise.all([
      Promise.all(accounts.map(({ id }) => rig.read(replica, id))),
      rig.call(replica, 'GET', '/health/live'),
    ])
    t.equal(live.status, 200)
    t.ok(
      reads.every(({ status, code }) => status === 503 && code === 'overloaded'),
      JSON.stringify(reads.map(({ code }) => code)),
    )
    release()
    await Promise.all([locked, ...busy])
    await eventually('it serves again', async () => (await rig.read(replica, accounts[0]?.id ?? '')).status === 200)
    t.same(await violations(rig), [])
  },
)

t.test(
  'F27: a database that turned read-only is 503 without partial effect, and the one that writes again is found',
  async (t) => {
    const pair = await startServerPair(t)
    await migrate(pair.primaryUrl)
    const rig = await startRig(t, pair.primaryUrl)
    const replica = await rig.start('replica')
    const [living, expired] = [await rig.seedOne(), await rig.seedOne({ secondsLeft: -60 })]
    t.equal((await rig.call(replica, 'GET', '/health/ready')).status, 200)
    await pair.caughtUp()
    const failOver = (url: string) => {
      rig.proxy.pointAt(url)
      rig.proxy.killConnections()
    }
    failOver(pair.standbyUrl)
    await eventually('it is noticed', async () => (await rig.read(replica, living.id)).status === 503)
    for (const { id } of [living, expired]) t.match(await rig.read(replica, id), { status: 503, code: 'storage_unavailable' })
    t.equal(rig.tiktok.stats.report().refreshes_processed, 0, 'no token was spent that could not be recorded')
    t.match(await rig.sql`select count(*)::int as n from token_reads`, [{ n: 0 }])

    failOver(pair.primaryUrl)
    await eventually('it writes again', async () => (await rig.read(replica, expired.id)).status === 200)
    t.same(await violations(rig), [])
  },
)
