// Tables and functions are installed once, however many processes start, and a failure leaves nothing half done.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, readFile, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect as connectTo, createServer } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import postgres from 'postgres'
import t, { type Test } from 'tap'
import { openDb } from '../../src/db/client.ts'
import { readRelease } from '../../src/db/install.ts'
import { type MigrateOptions, migrate, migrationsApplied } from '../../src/db/migrate.ts'
import { ownFolder } from '../folder.ts'
import { emptyDatabase, freshDatabase } from '../postgres.ts'
import { eventually } from '../rig/eventually.ts'
import { ownNode } from '../rig/own-node.ts'
import { startProxy } from '../rig/proxy.ts'

const drizzleFolder = fileURLToPath(new URL('../../drizzle', import.meta.url))
const journal = JSON.parse(await readFile(join(drizzleFolder, 'meta', '_journal.json'), 'utf8')) as { entries: { tag: string }[] }
const count = journal.entries.length
const release = await readRelease()
const everything = { applied: count, installed: release.functions.length }
const nothing = { applied: 0, installed: 0 }

/** Migrations of the test's own, each text one, and no functions. */
async function migrations(t: Test, ...texts: string[]): Promise<MigrateOptions> {
  const folder = await ownFolder(t, 'migrations')
  await cp(join(drizzleFolder, 'meta'), join(folder, 'meta'), { recursive: true })
  const entries = texts.map((_, idx) => ({ idx, version: '7', when: 1_700_000_000_000 + idx, tag: `${idx}`, breakpoints: true }))
  await writeFile(join(folder, 'meta', '_journal.json'), JSON.stringify({ version: '7', dialect: 'postgresql', entries }))
  await Promise.all(texts.map((text, idx) => writeFile(join(folder, `${idx}.sql`), text)))
  return { folder, release: { version: '1.0.0', functions: [] } }
}

function connect(t: Test, url: string): postgres.Sql {
  const sql = postgres(url, { max: 1, onnotice: () => {} })
  t.teardown(() => sql.end())
  return sql
}

const appliedTimes = (sql: postgres.Sql) =>
  sql`select created_at, count(*)::int as times from drizzle.__drizzle_migrations group by created_at`

t.test('an empty database gets every migration, and the next start finds nothing to do', async (t) => {
  const { url } = await emptyDatabase(t)
  t.same(await migrate(url), everything)
  const startedAtMs = performance.now()
  t.same(await migrate(url), nothing)
  t.comment(`nothing to do, connection included: ${Math.round(performance.now() - startedAtMs)} ms`)
  const sql = connect(t, url)
  t.equal((await appliedTimes(sql)).length, count)
})

t.test('F48: three processes start on an empty database and each migration runs once', async (t) => {
  const { url } = await emptyDatabase(t)
  const script = `import { migrate } from ${JSON.stringify(new URL('../../src/db/migrate.ts', import.meta.url).href)}
    process.stdout.write(String((await migrate(process.env.DATABASE_URL)).applied))`
  const start = (): ChildProcess =>
    spawn(...ownNode(['--input-type=module', '-e', script]), {
      env: { PATH: process.env.PATH, DATABASE_URL: url },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
  const outcomes = await Promise.all(
    [start(), start(), start()].map(async (child) => {
      const [[exitCode], applied] = await Promise.all([once(child, 'exit'), child.stdout && text(child.stdout)])
      return { exitCode, applied: Number(applied) }
    }),
  )
  t.same(
    outcomes.map(({ exitCode }) => exitCode),
    [0, 0, 0],
  )
  t.same(outcomes.map(({ applied }) => applied).sort(), [0, 0, count])
  for (const { times } of await appliedTimes(connect(t, url))) t.equal(times, 1)
})

t.test('ten times three starters at once never fail', async (t) => {
  for (let round = 0; round < 10; round++) {
    const { url } = await emptyDatabase(t)
    const applied = await Promise.all([migrate(url), migrate(url), migrate(url)])
    t.same(
      applied.toSorted((a, b) => a.applied - b.applied),
      [nothing, nothing, everything],
    )
  }
})

t.test('who comes second waits for who came first, and says so', async (t) => {
  const { url } = await emptyDatabase(t)
  const options = await migrations(t, 'select pg_sleep(0.3);\n--> statement-breakpoint\ncreate table once (n int)')
  const reasons: string[] = []
  const first = migrate(url, options)
  const sql = connect(t, url)
  await eventually('the first one holds the lock', () => isLocked(sql))
  t.same(await migrate(url, { ...options, onWait: (reason) => reasons.push(reason) }), nothing)
  t.same(await first, { applied: 1, installed: 0 })
  t.same(reasons, ['another process is migrating the database'])
})

t.test('a migration that fails leaves nothing of itself behind, and what came before it stays', async (t) => {
  const { url } = await emptyDatabase(t)
  const broken = 'create table half (n int);\n--> statement-breakpoint\nselect 1 / 0'
  await t.rejects(migrate(url, await migrations(t, 'create table whole (n int)', broken)), { code: '22012' })
  const sql = connect(t, url)
  t.match(await sql`select to_regclass('whole')::text as whole, to_regclass('half')::text as half`, [
    { whole: 'whole', half: null },
  ])
  const mended = await migrations(t, 'create table whole (n int)', 'create table half (n int)')
  t.same(await migrate(url, mended), { applied: 1, installed: 0 }, 'the mended one goes on where it stopped')
})

t.test('a starter whose connection is cut mid-migration fails, and the next one finds the lock free', async (t) => {
  const { url } = await emptyDatabase(t)
  const proxy = await startProxy(t, url)
  const options = await migrations(t, 'create table slow (n int);\n--> statement-breakpoint\nselect pg_sleep(0.5)')
  const cutOff = migrate(proxy.url, options)
  const sql = connect(t, url)
  await eventually('it is at it', () => isLocked(sql))
  const failed = t.rejects(cutOff)
  await proxy.cut()
  await failed
  await migrate(url, options)
  t.match(await appliedTimes(sql), [{ times: 1 }])
})

t.test('a server that is still starting is waited for, wrong credentials are not', async (t) => {
  const { url } = await emptyDatabase(t)
  let tries = 0
  const starting = createServer((socket) => {
    if (++tries <= 3) {
      socket.once('data', () => socket.end(Buffer.concat([Buffer.from('E'), lengthOf(stillStarting), stillStarting])))
      return
    }
    const server = connectTo(Number(new URL(url).port), new URL(url).hostname)
    socket.pipe(server).pipe(socket)
    for (const end of [socket, server]) end.on('error', () => {})
  }).listen(0, '127.0.0.1')
  t.teardown(() => starting.close())
  await once(starting, 'listening')
  const behind = new URL(url)
  behind.host = `127.0.0.1:${(starting.address() as AddressInfo).port}`
  const reasons: string[] = []
  t.same(await migrate(behind.href, { onWait: (reason) => reasons.push(reason) }), everything)
  t.equal(tries, 4)
  t.match(reasons, [/^it takes no connections yet\. 127\.0\.0\.1:\d+ is starting, stopping or recovering/])
  t.equal(reasons.length, 1, 'and said once')

  const wrong = new URL(url)
  wrong.password = 'wrong'
  await t.rejects(migrate(wrong.href), { code: '28P01' })
})

t.test('a server that never comes is given up', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const { port } = taken.address() as { port: number }
  taken.close()
  await t.rejects(migrate(`postgres://nobody@127.0.0.1:${port}/none`, { waitMs: 300 }), { code: 'ECONNREFUSED' })
})

t.test('readiness knows whether every migration is there', async (t) => {
  const fresh = openDb({ url: (await freshDatabase(t)).url })
  const empty = openDb({ url: (await emptyDatabase(t)).url })
  t.teardown(() => Promise.all([fresh.close(), empty.close()]))
  t.equal(await migrationsApplied(fresh), true)
  t.equal(await migrationsApplied(empty), false)
  t.equal(await migrationsApplied(fresh, await migrations(t, 'select 1')), false)
  const next = { version: '99.0.0', functions: release.functions.map((one) => ({ ...one, definition: `${one.definition} ` })) }
  t.equal(await migrationsApplied(fresh, { release: next }), false, 'the functions of the next release are yet to be installed')
})

t.test('a database of the migrations before 1.0 is refused with a sentence, and nothing of it is touched', async (t) => {
  const { url } = await emptyDatabase(t)
  const sql = connect(t, url)
  await sql.unsafe(`
    create table accounts (id text primary key, username text);
    create schema drizzle;
    create table drizzle.__drizzle_migrations (id serial primary key, hash text not null, created_at bigint);
    insert into drizzle.__drizzle_migrations (hash, created_at) select 'old', 1763800000000 + n from generate_series(1, 15) n`)
  await t.rejects(migrate(url), {
    code: 'storage_unavailable',
    message: /made by a version before 1\.0.*name a new one in DATABASE_URL/,
  })
  t.equal((await sql`select from drizzle.__drizzle_migrations`).length, 15)
  t.equal((await sql`select from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'`).length, 1)
  const db = openDb({ url })
  t.teardown(() => db.close())
  t.equal(await migrationsApplied(db), false)
})

/** Locks of the other databases of this server are other tests'. */
async function isLocked(sql: postgres.Sql): Promise<boolean> {
  const locks = await sql`
    select from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())`
  return locks.length > 0
}

/** PostgreSQL's ErrorResponse while it starts up. */
const stillStarting = Buffer.from('SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0')

function lengthOf(body: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeInt32BE(body.length + 4)
  return length
}
