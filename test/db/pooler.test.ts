// PgBouncer between us and PostgreSQL, in both of its ways to share sessions: what the service keeps for itself stays so.
import postgres from 'postgres'
import t from 'tap'
import { type Db, openDb } from '../../src/db/client.ts'
import { remedyOf } from '../../src/db/fault.ts'
import { migrate } from '../../src/db/migrate.ts'
import { ServiceError } from '../../src/errors.ts'
import { emptyDatabase, freshDatabase } from '../postgres.ts'
import { eventually } from '../rig/eventually.ts'
import { noPgbouncer, startPgbouncer } from '../rig/pgbouncer.ts'
import { hostile, spoil } from '../rig/spoiled.ts'
import { startWorld } from '../world.ts'

const code = (error: unknown) => (error instanceof ServiceError ? error.code : `not ours: ${error}`)
const works = (db: Db) =>
  db
    .run('one', (sql) => sql`select 1`)
    .then(
      () => true,
      () => false,
    )

for (const pooler of ['session', 'transaction'] as const) {
  t.test(`pool_mode=${pooler}`, { skip: noPgbouncer }, async (t) => {
    const { url } = await emptyDatabase(t)
    // What ends an idle session of the pool is between PgBouncer and PostgreSQL.
    const theirs = pooler === 'transaction' ? ['idle_session_timeout', 'transaction_timeout'] : []
    await spoil(url, `database ${new URL(url).pathname.slice(1)}`, theirs)
    const { url: pooled } = await startPgbouncer(t, url, {
      pool_mode: pooler,
      default_pool_size: pooler === 'session' ? '20' : '3',
    })
    const db = openDb({ url: pooled, pooler, poolSize: 10 })
    t.teardown(() => db.close())
    const operator = postgres(url, {
      max: 1,
      onnotice: () => {},
      connection: { statement_timeout: 10_000, idle_session_timeout: 60_000, transaction_timeout: 60_000 },
    })
    t.teardown(() => operator.end())

    await t.test('values cross unharmed, whatever the database has been told', async (t) => {
      const [bytes, at] = [Buffer.from([0, 92, 39, 255]), new Date('2026-03-29T01:30:00.123Z')]
      const row = () =>
        db.run(
          'values',
          (
            sql,
          ) => sql`select ${at}::timestamptz as at, ${bytes}::bytea as bytes, ${'José \\ ☃'}::text as text, '2026-02-03'::date::text as day,
            '{NULL,x}'::text[] as read, current_setting('transaction_isolation') as isolation, current_schema() as schema`,
        )
      const expected = {
        at,
        bytes,
        text: 'José \\ ☃',
        day: '2026-02-03',
        read: [null, 'x'],
        isolation: 'read committed',
        schema: 'public',
      }
      for (const rows of await Promise.all(Array.from({ length: 30 }, row))) t.strictSame([...rows], [expected])
    })

    await t.test('forty callers get their own answers, and each change is made once', async (t) => {
      await db.run('create', (sql) => sql`create table counted (n int)`)
      const answers = await Promise.all(
        Array.from({ length: 40 }, (_, n) =>
          db.run('insert', (sql) => sql<{ n: number }[]>`insert into counted values (${n}) returning n`),
        ),
      )
      t.strictSame(
        answers.map(([row]) => row?.n),
        Array.from({ length: 40 }, (_, n) => n),
      )
      t.match(await db.run('count', (sql) => sql`select count(*) as n, count(distinct n) as different from counted`), [
        { n: 40, different: 40 },
      ])
    })

    await t.test('an error leaves the connection well, and nothing of its statement', async (t) => {
      const odd = db.run(
        'odd',
        (sql) => sql`with made as (insert into counted values (100) returning n) select 1 / (n - 100) from made`,
      )
      await t.rejects(odd, { code: '22012' })
      await t.rejects(
        db.run('undefined', (sql) => sql`select ${undefined as unknown as string}`),
        /UNDEFINED_VALUE/,
      )
      const busyProcess = db.run('busy', (sql) =>
        sql`select 1 / 0`.catch((error: unknown) => {
          // The process stands still for longer than the database lets a transaction stand idle.
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200)
          throw error
        }),
      )
      await t.rejects(busyProcess, { code: '22012' }, 'the failure is told, and not what came after it')
      t.match(await db.run('count', (sql) => sql`select count(*) as n from counted where n >= 100`), [{ n: 0 }])
    })

    await t.test('a statement ends at its deadline, and soon after at the server too', async (t) => {
      const sleep = (seconds: number, deadlineMs: number) =>
        db.run('sleep', (sql) => sql`select pg_sleep(${seconds})`, { deadlineMs })
      t.equal(await sleep(60, 300).catch(code), 'storage_unavailable')
      const asleep =
        () => operator`select from pg_stat_activity where state = 'active' and query ~ 'pg_sleep' and pid <> pg_backend_pid()
        and datname = current_database()`
      await eventually('it is ended at the server', async () => (await asleep()).length === 0)
      await eventually('statements work again', () => works(db))
      await t.resolves(sleep(1.2, 8_000), 'longer than the database would let it run')
    })

    await t.test('sessions that are killed are replaced', async (t) => {
      await operator`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`
      await eventually('statements work again', () => works(db))
      t.ok(await works(db))
    })
  })

  t.test(
    `a service behind pool_mode=${pooler} connects, hands out, reserves, and migrates past it`,
    { skip: noPgbouncer },
    async (t) => {
      const { url } = await emptyDatabase(t)
      const { url: pooled } = await startPgbouncer(t, url, { pool_mode: pooler })
      const direct = pooler === 'transaction' ? { DATABASE_DIRECT_URL: url } : {}
      const world = await startWorld(t, { env: { DATABASE_URL: pooled, DATABASE_POOLER: pooler, ...direct } })
      const account = await world.connect()
      const reads = await Promise.all(Array.from({ length: 20 }, () => world.call('GET', `/accounts/${account.id}/token`)))
      t.strictSame(new Set(reads.map(({ status }) => status)), new Set([200]))
      const reserved = await world.call('POST', `/accounts/${account.id}/uploads`, {
        body: {},
        headers: { 'idempotency-key': 'one' },
      })
      t.equal(reserved.status, 201)
      t.match(await world.call('GET', '/health/ready', { key: null }), { status: 200 })
      t.match(await world.call('DELETE', `/accounts/${account.id}`), { status: 200, body: { revocation: 'confirmed' } })
    },
  )
}

t.test('without a word about the pooler the start says at once which one is missing', { skip: noPgbouncer }, async (t) => {
  const { url } = await freshDatabase(t)
  const { url: pooled } = await startPgbouncer(t, url, { pool_mode: 'transaction' })
  const waits: string[] = []
  const error: unknown = await migrate(pooled, { onWait: (reason) => waits.push(reason) }).catch((error: unknown) => error)
  t.match(remedyOf(error), /^127\.0\.0\.1:\d+ refuses our first message, as PgBouncer does: set DATABASE_POOLER to its pool_mode/)
  t.same(waits, [])

  const ignored = `IntervalStyle, ${Object.keys(hostile).join(', ')}`
  const { url: deaf } = await startPgbouncer(t, url, { pool_mode: 'session', ignore_startup_parameters: ignored })
  const dropped: unknown = await migrate(deaf, { onWait: (reason) => waits.push(reason) }).catch((error: unknown) => error)
  t.match(remedyOf(dropped), /^127\.0\.0\.1:\d+ drops the settings that sessions are opened with.*set DATABASE_POOLER/)
  t.same(waits, [])
  await t.resolves(migrate({ url: deaf, pooler: 'session' }))
})
