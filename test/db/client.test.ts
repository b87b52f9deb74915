// The guard between the service and PostgreSQL: every statement ends, and no broken connection is used twice.
import postgres from 'postgres'
import t, { type Test } from 'tap'
import { type Db, type DbEvent, type DbOptions, openDb } from '../../src/db/client.ts'
import { ServiceError } from '../../src/errors.ts'
import { emptyDatabase } from '../postgres.ts'
import { eventually } from '../rig/eventually.ts'
import { startProxy, type TcpProxy } from '../rig/proxy.ts'
import { startServerPair } from '../rig/server-pair.ts'

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

t.test('a statement that fails after its first rows leaves none of them out of the next one', async (t) => {
  const { db } = await world(t, { poolSize: 1 })
  const threeOf = (divisor: number) =>
    db.run('three', (sql) => sql<{ n: number }[]>`select 6 / (${divisor}::int - n) as n from generate_series(0, 2) n`)
  const [backend] = await db.run('pid', (sql) => sql`select pg_backend_pid() as pid`)
  await t.rejects(threeOf(2), { code: '22012' })
  t.same([...(await threeOf(3))], [{ n: 2 }, { n: 3 }, { n: 6 }])
  t.same(await db.run('pid', (sql) => sql`select pg_backend_pid() as pid`), [backend], 'on the same connection')
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
  t.equal(await sleep(db, 30, 100).catch(code), 'storage_unavailable')
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
  await t.resolves(sleep(db, 1.2, 60_000), 'longer than the server would usually let it run')
})

t.test('with all connections busy a caller waits its turn, and hears overloaded when that takes too long', async (t) => {
  const { db, operator } = await world(t, { poolSize: 1, queueMs: 150 })
  await operator`select pg_advisory_lock(1)`
  const holder = db.run('hold', (sql) => sql`select pg_advisory_lock(1)`, { deadlineMs: 60_000 })
  await eventually('the only connection is taken', () => db.state.inFlight === 1)
  t.equal(await one(db).catch(code), 'overloaded', 'while the connection is still held')
  await operator`select pg_advisory_unlock(1)`
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
  t.strictSame(await Promise.all(Array.from({ length: 20 }, () => one(db).catch(code))), Array(20).fill('storage_unavailable'))
  t.notOk(
    events.some(({ kind }) => kind === 'deadline_missed'),
    'nobody waits for a deadline',
  )
  t.equal(events.filter(({ kind }) => kind === 'pool_replaced').length, 1, 'the pool is replaced once, not by every caller')
  await proxy.resume()
  await eventually('statements work again', () => works(db))
  t.ok((await backends(operator)).length <= 4)
})

t.test('a network that swallows packets is noticed at the deadline, by those in flight and nobody after them', async (t) => {
  const { db, proxy, operator } = await world(t, { poolSize: 4 })
  await Promise.all([1, 2, 3, 4].map(() => sleep(db, 0.05)))
  proxy.stall()
  t.equal(await one(db, 300).catch(code), 'storage_unavailable')
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
  const { db, proxy, operator } = await world(t)
  await db.run('create', (sql) => sql`create table counted (n int)`)
  proxy.stall('answers')
  const insert = db.run('insert', (sql) => sql`insert into counted values (1)`, { deadlineMs: 200 })
  t.equal(await insert.catch(code), 'storage_unavailable')
  await eventually('it has taken effect', async () => (await operator`select from counted`).length === 1)
  await proxy.resume()
  t.match(await db.run('count', (sql) => sql`select count(*) as n from counted`), [{ n: 1 }])
})

t.test('a server that stopped taking writes is left for the one that does', async (t) => {
  const pair = await startServerPair(t)
  const proxy = await startProxy(t, pair.primaryUrl)
  const events: DbEvent[] = []
  const db = openDb({ url: proxy.url, onEvent: (event) => events.push(event) })
  t.teardown(() => db.close())
  await db.run('create', (sql) => sql`create table counted (n int)`)
  await pair.caughtUp()
  const insert = () => db.run('insert', (sql) => sql`insert into counted values (1)`)

  proxy.pointAt(pair.standbyUrl)
  proxy.killConnections()
  await eventually('the old connection is seen as dead', () => db.state.idleConnections === 0)
  t.equal(await insert().catch(code), 'storage_unavailable', 'read-only')
  t.match(events.at(-1), { kind: 'pool_replaced', name: 'insert', cause: { code: '25006' } })

  proxy.pointAt(pair.primaryUrl)
  await t.resolves(insert(), 'the next connection leads to a server that writes')
  t.match(await db.run('count', (sql) => sql`select count(*) as n from counted`), [{ n: 1 }], 'no partial effect')
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
  await eventually('and so has the network', () => proxy.connections === 0)
})

t.test('F24: with five backends killed every 150 ms under 40 callers, every call ends and nothing is half done', async (t) => {
  const surprises: unknown[] = []
  const surprised = (error: unknown) => surprises.push(error)
  process.on('uncaughtException', surprised)
  process.on('unhandledRejection', surprised)
  t.teardown(() => process.off('uncaughtException', surprised).off('unhandledRejection', surprised))

  const { db, operator } = await world(t, { queueMs: 60_000, deadlineMs: 60_000 }) // kills are felt here, not a busy machine
  await db.run('create', (sql) => sql`create table moves (id serial primary key, half int)`)
  // One statement, two rows: half of it must never be seen.
  const move = () =>
    db.run('move', (sql) => sql`insert into moves (half) select n from generate_series(1, ${2}::int) n, pg_sleep(0.002)`)
  const outcomes: Record<string, number> = { ok: 0, storage_unavailable: 0 }
  const call = async () => {
    const outcome = await move().then(() => 'ok', code)
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
  }
  const callers = (enough: () => boolean) =>
    Promise.all(
      Array.from({ length: 40 }, async () => {
        while (!enough()) await call()
      }),
    )

  let kills = 0
  const kill = () =>
    operator`select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'guarded' and datname = current_database() order by random() limit 5`.then(
      () => kills++,
      surprised,
    )
  const killing = setInterval(kill, 150)
  await callers(() => kills >= 12 && (outcomes.storage_unavailable ?? 0) > 0)
  clearInterval(killing)
  await operator`select 1` // behind the last kill
  // As many at once as there are connections, so that each is asked.
  await eventually('no dead connection is left', async () =>
    (await Promise.all(Array.from({ length: 10 }, () => works(db)))).every(Boolean),
  )

  t.comment({ ...outcomes, state: db.state })
  t.same(Object.keys(outcomes).sort(), ['ok', 'storage_unavailable'], 'nothing else was heard')
  const { storage_unavailable: felt } = outcomes
  const later = (outcomes.ok ?? 0) + 400
  await callers(() => (outcomes.ok ?? 0) >= later)
  t.equal(outcomes.storage_unavailable, felt, 'with the last kill the failures end')
  t.same(surprises, [], 'and nothing was thrown where nobody catches')
  const [{ rows, odd }] = (await operator`select count(*)::int as rows, (count(*) % 2)::int as odd from moves`) as unknown as [
    { rows: number; odd: number },
  ]
  t.equal(odd, 0, 'nothing half done')
  t.ok(rows >= (outcomes.ok ?? 0) * 2, 'and nothing acknowledged was lost')
  t.match(db.state, { inFlight: 0, waiting: 0 })
  t.ok((await backends(operator)).length <= 10)
})
