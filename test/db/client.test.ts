import postgres from 'postgres'
import t, { type Test } from 'tap'
import { type Db, type DbEvent, type DbOptions, openDb } from '../../src/db/client.ts'
import { ServiceError } from '../../src/errors.ts'
import { emptyDatabase } from '../postgres.ts'
import { eventually } from '../rig/eventually.ts'
import { startProxy, type TcpProxy } from '../rig/proxy.ts'

interface World {
  db: Db
  /** not through the guard nor the proxy: what the operator sees */
  operator: postgres.Sql
  proxy: TcpProxy
  events: DbEvent[]
}

async function world(t: Test, options: Partial<DbOptions> = {}): Promise<World> {
  const { url } = await emptyDatabase(t)
  const proxy = await startProxy(t, url)
  const events: DbEvent[] = []
  const db = openDb({ url: proxy.url, applicationName: 'guarded', onEvent: (event) => events.push(event), ...options })
  t.teardown(() => db.close())
  const operator = postgres(url, { max: 1, onnotice: () => {} })
  t.teardown(() => operator.end())
  return { db, operator, proxy, events }
}

const one = (db: Db, deadlineMs?: number) => db.run('one', (sql) => sql`select 1`, deadlineMs === undefined ? {} : { deadlineMs })
const works = (db: Db) =>
  one(db).then(
    () => true,
    () => false,
  )
const sleep = (db: Db, seconds: number, deadlineMs = 5_000) =>
  db.run('sleep', (sql) => sql`select pg_sleep(${seconds})`, { deadlineMs })
const code = (error: unknown) => (error instanceof ServiceError ? error.code : `not ours: ${error}`)
const backends = (operator: postgres.Sql) =>
  operator<
    { pid: number }[]
  >`select pid from pg_stat_activity where application_name = 'guarded' and datname = current_database()`

t.test('values cross unharmed, and columns arrive by their camelCase names', async (t) => {
  const { db } = await world(t)
  await db.run(
    'create',
    (sql) => sql`create table things (id text primary key, n int8, at timestamptz, tags text[], j jsonb, b bytea)`,
  )
  const at = new Date('2026-02-03T04:05:06.789Z')
  const tags = ['plain', 'a "quote" and a \\', '', 'NULL', 'comma, {brace}', 'line\nbreak']
  const row = { n: 2 ** 52, at, tags, j: { list: [1, 'x', null], a_key: { of_ours: 1 } } }

  await db.run(
    'insert',
    (sql) => sql`insert into things values ('sql', ${row.n}, ${at}, ${tags}, ${sql.json(row.j)}, ${Buffer.from('hi')})`,
  )
  t.strictSame(
    [...(await db.run('select', (sql) => sql`select *, id as column_of_mine from things`))],
    [{ id: 'sql', ...row, b: Buffer.from('hi'), columnOfMine: 'sql' }],
    'but what is inside a jsonb keeps its keys',
  )
  t.match(
    await db.run(
      'arrays',
      (sql) => sql`select count(*) as n, array[null, 'x'] as holes, '{}'::int[] as none, '-infinity'::timestamptz as never
      from things where id = any(${['sql', 'another']}) and at = any(${sql.array([at])})`,
    ),
    [{ n: 1, holes: [null, 'x'], none: [], never: new Date(-8.64e15) }],
  )
  await t.rejects(
    db.run('big', (sql) => sql`select ${'9007199254740993'}::int8`),
    RangeError,
    'rather than rounded',
  )
})

t.test('what is about the statement passes through as PostgreSQL said it, without its parameters', async (t) => {
  const { db } = await world(t, { poolSize: 1 })
  await db.run('create', (sql) => sql`create table things (id text primary key)`)
  await db.run('insert', (sql) => sql`insert into things values ('a-secret')`)
  const error: unknown = await db
    .run('insert', (sql) => sql`insert into things values (${'a-secret'})`)
    .catch((error: unknown) => error)
  t.match(error, { name: 'PostgresError', code: '23505', constraint_name: 'things_pkey' })
  t.notMatch(String(error), 'a-secret')
  t.equal(db.state.idleConnections, 1, 'and the connection is kept')
})

t.test('a mistake in the code does not poison the connection for the next statement', async (t) => {
  const { db } = await world(t, { poolSize: 1 })
  await t.rejects(
    db.run('undefined', (sql) => sql`select ${undefined as unknown as string}`),
    /UNDEFINED_VALUE/,
  )
  await t.rejects(
    db.run('thrown', () => Promise.reject(new Error('a bug'))),
    /a bug/,
  )
  t.match(await one(db), [{ '?column?': 1 }])
})

t.test('a statement that takes too long ends at its deadline, and soon after at the server too', async (t) => {
  const { db, operator, events } = await world(t, { deadlineMs: 1_000 })
  await eventually('it is connected, which is not what is timed', () => works(db))
  events.length = 0
  const startedAtMs = performance.now()
  t.equal(await sleep(db, 30, 100).catch(code), 'storage_unavailable')
  t.ok(performance.now() - startedAtMs < 300, 'within a moment of the deadline')
  t.match(
    events.map(({ kind }) => kind),
    ['deadline_missed', 'connection_lost', 'pool_replaced'],
  )
  await one(db)
  const running = () => operator`select from pg_stat_activity where application_name = 'guarded' and state = 'active'`
  await eventually('the statement is ended at the server', async () => (await running()).length === 0)
})

t.test('a statement may be given more time than usual', async (t) => {
  const { db } = await world(t, { deadlineMs: 50 })
  await t.resolves(sleep(db, 1.2, 4_000), 'longer than the server would usually let it run')
})

t.test('with all connections busy a caller waits its turn, and hears overloaded when that takes too long', async (t) => {
  const { db } = await world(t, { poolSize: 1, queueMs: 150 })
  const holder = sleep(db, 0.5)
  const startedAtMs = performance.now()
  t.equal(await one(db).catch(code), 'overloaded')
  const waitedMs = performance.now() - startedAtMs
  t.ok(waitedMs >= 140 && waitedMs < 300, `after ${Math.round(waitedMs)} ms`)
  await holder
  const turns: number[] = []
  await Promise.all([1, 2, 3, 4, 5, 6].map((turn) => one(db).then(() => turns.push(turn))))
  t.same(turns, [1, 2, 3, 4, 5, 6], 'first come, first served')
  t.match(db.state, { inFlight: 0, waiting: 0 })
})

t.test('connections that died while idle are replaced before anybody notices', async (t) => {
  const { db, operator } = await world(t, { poolSize: 5 })
  await Promise.all([1, 2, 3, 4, 5].map(() => sleep(db, 0.05)))
  t.equal(db.state.idleConnections, 5)
  await operator`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'guarded' and datname = current_database()`
  await eventually('the dead ones are seen as dead', () => db.state.idleConnections === 0)
  await Promise.all([1, 2, 3, 4, 5].map(() => one(db)))
  t.equal(db.state.connectionsLost, 0)
})

t.test('a server that goes away costs one error per call, and all is well once it is back', async (t) => {
  const { db, proxy, operator, events } = await world(t, { poolSize: 4 })
  await one(db)
  await proxy.cut()
  const startedAtMs = performance.now()
  t.strictSame(await Promise.all(Array.from({ length: 20 }, () => one(db).catch(code))), Array(20).fill('storage_unavailable'))
  t.ok(performance.now() - startedAtMs < 1_000, 'nobody waits for a deadline')
  t.equal(events.filter(({ kind }) => kind === 'pool_replaced').length, 1, 'the pool is replaced once, not by every caller')
  await proxy.resume()
  await eventually('statements work again', () => works(db), 500)
  t.ok((await backends(operator)).length <= 4)
})

t.test('a network that swallows packets is noticed at the deadline, by those in flight and nobody after them', async (t) => {
  const { db, proxy, operator } = await world(t, { poolSize: 4, deadlineMs: 300 })
  await Promise.all([1, 2, 3, 4].map(() => sleep(db, 0.05)))
  proxy.stall()
  t.equal(await one(db).catch(code), 'storage_unavailable')
  t.equal(db.state.idleConnections, 0, 'the other idle connections are not trusted either')
  await proxy.resume()
  await Promise.all([1, 2, 3, 4].map(() => one(db)))
  t.equal(db.state.deadlinesMissed, 1)
  await eventually(
    'no socket is left from before',
    () => proxy.connections <= 4 && db.state.idleConnections === proxy.connections,
  )
  t.ok((await backends(operator)).length <= 4)
})

t.test('a statement whose answer is lost may have taken effect, and is not repeated', async (t) => {
  const { db, proxy, operator } = await world(t, { deadlineMs: 200 })
  await db.run('create', (sql) => sql`create table counted (n int)`)
  proxy.stall('answers')
  t.equal(await db.run('insert', (sql) => sql`insert into counted values (1)`).catch(code), 'storage_unavailable')
  t.match(await operator`select count(*)::int as n from counted`, [{ n: 1 }])
  await proxy.resume()
  t.match(await db.run('count', (sql) => sql`select count(*) as n from counted`), [{ n: 1 }])
})

t.test('a server that stopped taking writes is left for the one that does', async (t) => {
  const { db, operator, events } = await world(t)
  await db.run('create', (sql) => sql`create table counted (n int)`)
  const [{ name }] = (await operator`select current_database() as name`) as unknown as [{ name: string }]
  const insert = () => db.run('insert', (sql) => sql`insert into counted values (1)`)

  await operator.unsafe(`alter database ${name} set default_transaction_read_only = on`)
  await operator`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'guarded' and datname = ${name}`
  await eventually('the old connection is seen as dead', () => db.state.idleConnections === 0)
  t.equal(await insert().catch(code), 'storage_unavailable', 'read-only')
  t.match(events.at(-1), { kind: 'pool_replaced', name: 'insert', cause: { code: '25006' } })

  await operator`set default_transaction_read_only = off`
  await operator.unsafe(`alter database ${name} set default_transaction_read_only = off`)
  await t.resolves(insert(), 'the next connection leads to a server that writes')
  t.match(await operator`select count(*)::int as n from counted`, [{ n: 1 }], 'no partial effect')
})

t.test('a server that is full is a moment to wait, not a broken pool', async (t) => {
  const { operator, proxy } = await world(t)
  const role = `limited_${process.pid}`
  await operator.unsafe(`create role ${role} login password 'limited' connection limit 1`)
  t.teardown(() => operator.unsafe(`drop role ${role}`))
  const url = new URL(proxy.url)
  Object.assign(url, { username: role, password: 'limited' })
  const db = openDb({ url: url.href })

  const holder = sleep(db, 0.5)
  await eventually('somebody has the only connection', async () => {
    const asleep =
      await operator`select 1 from pg_stat_activity where usename = ${role} and query ~ 'pg_sleep' and state = 'active'`
    return asleep.length === 1
  })
  const error = await one(db).catch((error: unknown) => error)
  t.match(error, { code: 'storage_unavailable', cause: { code: '53300' } })
  await t.resolves(holder, 'who has a connection keeps it')
  t.equal(db.state.poolsReplaced, 0)
  await t.resolves(one(db))
  await db.close()
})

t.test('closing waits for what is in flight and leaves no connection at the server', async (t) => {
  const { db, operator, proxy } = await world(t)
  const inFlight = sleep(db, 0.2)
  await eventually('the statement runs', () => db.state.inFlight === 1)
  const closed = db.close()
  t.equal(await one(db).catch(code), 'storage_unavailable', 'nothing new is taken')
  await t.resolves(inFlight)
  await closed
  t.equal(db.state.idleConnections, 0)
  await eventually('the server has let go', async () => (await backends(operator)).length === 0)
  t.equal(proxy.connections, 0)
})

t.test(
  'F24: with five backends killed every 150 ms under 40 callers, every call ends in time and speed comes back within 1 s',
  async (t) => {
    const surprises: unknown[] = []
    const surprised = (error: unknown) => surprises.push(error)
    process.on('uncaughtException', surprised)
    process.on('unhandledRejection', surprised)
    t.teardown(() => process.off('uncaughtException', surprised).off('unhandledRejection', surprised))

    const { db, operator, proxy } = await world(t)
    const untouched = openDb({ url: proxy.url, applicationName: 'untouched' })
    t.teardown(() => untouched.close())
    await db.run('create', (sql) => sql`create table moves (id serial primary key, half int)`)
    // One statement, two rows: half of it must never be seen.
    const move = (by: Db) =>
      by.run('move', (sql) => sql`insert into moves (half) select n from generate_series(1, ${2}::int) n, pg_sleep(0.002)`)
    const outcomes = { ok: 0, unavailable: 0, other: 0, longestMs: 0 }
    const call = async (by: Db) => {
      const startedAtMs = performance.now()
      const outcome = await move(by).then(() => 'ok', code)
      outcomes.longestMs = Math.max(outcomes.longestMs, performance.now() - startedAtMs)
      outcomes[outcome === 'ok' ? 'ok' : outcome === 'storage_unavailable' ? 'unavailable' : 'other'] += 1
    }
    /** @returns how many calls succeeded, and in how many ms */
    const under = async (forMs: number, by = db) => {
      const okBefore = outcomes.ok
      const startedAtMs = performance.now()
      await Promise.all(
        Array.from({ length: 40 }, async () => {
          while (performance.now() < startedAtMs + forMs) await call(by)
        }),
      )
      return { ok: outcomes.ok - okBefore, ms: performance.now() - startedAtMs }
    }

    await under(300)
    await under(300, untouched)
    const killing = setInterval(() => {
      operator`select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'guarded' and datname = current_database() order by random() limit 5`.catch(surprised)
    }, 150)
    await under(2_000)
    clearInterval(killing)
    await under(300)
    // Beside a client whose connections nobody killed, in turns: whatever else the machine does now, it does to both.
    const turns = { again: [] as Turn[], untouched: [] as Turn[] }
    for (let turn = 0; turn < 4; turn++) {
      turns.again.push(await under(80))
      turns.untouched.push(await under(80, untouched))
    }
    const [again, usual] = [best(turns.again), best(turns.untouched)]

    t.comment({ ...outcomes, again, usual, state: db.state })
    t.equal(outcomes.other, 0, 'ok or storage_unavailable, nothing else')
    t.ok(outcomes.unavailable > 0, 'the kills were felt')
    t.ok(outcomes.longestMs < 2_000, `the longest call took ${Math.round(outcomes.longestMs)} ms`)
    t.ok(again > usual * 0.7, `${Math.round(again)}/s after the kills, ${Math.round(usual)}/s of a client that felt none`)
    t.same(surprises, [], 'and nothing was thrown where nobody catches')
    const [{ rows, odd }] = (await operator`select count(*)::int as rows, (count(*) % 2)::int as odd from moves`) as unknown as [
      { rows: number; odd: number },
    ]
    t.equal(odd, 0, 'nothing half done')
    t.ok(rows >= outcomes.ok * 2, 'and nothing acknowledged was lost')
    t.match(db.state, { inFlight: 0, waiting: 0 })
    t.ok((await backends(operator)).length <= 10)
  },
)

interface Turn {
  ok: number
  ms: number
}

/** The best turn's calls a second: a client that lacks connections is fast in none, and a machine that is busy for a moment spoils only some. */
function best(turns: Turn[]): number {
  return Math.max(...turns.map(({ ok, ms }) => (ok / ms) * 1000))
}
