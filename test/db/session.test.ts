// A database and a role with settings of their own: none of them changes what our statements mean, or what comes back.
import postgres from 'postgres'
import t from 'tap'
import { openDb } from '../../src/db/client.ts'
import { remedyOf } from '../../src/db/fault.ts'
import { migrate } from '../../src/db/migrate.ts'
import { emptyDatabase, freshDatabase } from '../postgres.ts'
import { eventually } from '../rig/eventually.ts'
import { noticeBody, sendNotice } from '../rig/notice.ts'
import { hostile, spoil } from '../rig/spoiled.ts'
import { startWorld } from '../world.ts'

/** A server of before 14 or 17 does not know them. */
const young = ['idle_session_timeout', 'transaction_timeout']

for (const what of ['database', 'role'] as const) {
  t.test(`settings of the ${what} do not reach our sessions`, async (t) => {
    const { url } = await emptyDatabase(t)
    const address = new URL(url)
    if (what === 'database') await spoil(url, `database ${address.pathname.slice(1)}`)
    else {
      const role = `hostile_${process.pid}`
      const sql = postgres(url, { max: 1, onnotice: () => {} })
      t.teardown(async () => {
        await sql.unsafe(`drop owned by ${role}; drop role ${role}`)
        await sql.end()
      })
      await sql.unsafe(`create role ${role} superuser login password 'hostile'`)
      await spoil(url, `role ${role}`)
      Object.assign(address, { username: role, password: 'hostile' })
    }
    const db = openDb({ url: address.href, poolSize: 1 })
    t.teardown(() => db.close())
    const bytes = Buffer.from([0, 92, 39, 255, 10])
    const at = new Date('2026-03-29T01:30:00.123Z')
    const [row] = await db.run(
      'values',
      (
        sql,
      ) => sql`select ${at}::timestamptz as at, ${bytes}::bytea as bytes, 0.1::float8 + 0.2::float8 as sum, ${'José \\n ☃'}::text as text,
        array[null, 'x'] as holes, '{NULL,x}'::text[] as read, (null = null) is null as unknown, interval '1 day'::text as span,
        '2026-02-03'::date::text as day, current_setting('transaction_isolation') as isolation, current_schema() as schema`,
    )
    t.strictSame(row, {
      at,
      bytes,
      sum: 0.30000000000000004,
      text: 'José \\n ☃',
      holes: [null, 'x'],
      read: [null, 'x'],
      unknown: true,
      span: '1 day',
      day: '2026-02-03',
      isolation: 'read committed',
      schema: 'public',
    })
    await db.run('create', (sql) => sql`create table written (n int)`)
    await db.run('insert', (sql) => sql`insert into written select 1 from pg_sleep(0.02)`)
    await t.rejects(
      db.run('odd', (sql) => sql`select 1 / 0`),
      { code: '22012' },
    )
    t.equal(db.state.idleConnections, 1, 'an error does not end the session')
    const shown = await db.run(
      'show',
      (sql) => sql<{ name: string; setting: string }[]>`
      select name, setting from pg_settings where name = any(${Object.keys(hostile)}) or name in ('DateStyle', 'IntervalStyle', 'TimeZone')`,
    )
    t.match(Object.fromEntries(shown.map(({ name, setting }) => [name, setting])), {
      DateStyle: 'ISO, MDY',
      TimeZone: 'UTC',
      statement_timeout: '6000',
      lock_timeout: '0',
      ...Object.fromEntries(shown.filter(({ name }) => young.includes(name)).map(({ name }) => [name, '0'])),
      synchronous_commit: 'on',
      plan_cache_mode: 'force_generic_plan',
    })
    await db.run('sleep', (sql) => sql`select pg_sleep(1.2)`)
    await t.resolves(migrate(address.href), 'and migrations run')
  })
}

t.test('with all of them an account connects, hands out its token, and hears that it was removed', async (t) => {
  const world = await startWorld(t, {
    through: async (url) => {
      await spoil(url, `database ${new URL(url).pathname.slice(1)}`)
      return url
    },
  })
  const account = await world.connect()
  t.match(await world.call('GET', `/accounts/${account.id}/token`), { status: 200 })
  const body = noticeBody(world, { user_openid: account.open_id, content: { reason: 1 } })
  t.match(await sendNotice(world, { body }), { status: 200 })
  await eventually('the account is ended', async () => {
    const { body } = await world.call<{ status: string }>('GET', `/accounts/${account.id}`)
    return body.status === 'disconnected'
  })
})

t.test('a database that is not UTF8 is refused at the start, in words and at once', async (t) => {
  const { url } = await freshDatabase(t)
  const sql = postgres(url, { max: 1 })
  const name = `latin_${process.pid}`
  await sql.unsafe(`create database ${name} encoding 'LATIN1' template template0 lc_collate 'C' lc_ctype 'C'`)
  t.teardown(async () => {
    await sql.unsafe(`drop database ${name} with (force)`)
    await sql.end()
  })
  const latin = Object.assign(new URL(url), { pathname: name }).href
  const waits: string[] = []
  const error: unknown = await migrate(latin, { onWait: (reason) => waits.push(reason) }).catch((error: unknown) => error)
  t.match(remedyOf(error), /The database's encoding is not UTF8.*createdb --encoding=UTF8/)
  t.same(waits, [], 'nothing is waited for')
})
