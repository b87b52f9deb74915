// The functions of the database: installed when they changed, by any number of starters, while replicas of another release run.
import postgres from 'postgres'
import t, { type Test } from 'tap'
import { openDb } from '../../src/db/client.ts'
import { type Release, readRelease } from '../../src/db/install.ts'
import { migrate, migrationsApplied } from '../../src/db/migrate.ts'
import { emptyDatabase, freshDatabase } from '../postgres.ts'

function connect(t: Test, url: string): postgres.Sql {
  const sql = postgres(url, { max: 1, onnotice: () => {} })
  t.teardown(() => sql.end())
  return sql
}

const present = await readRelease()

/** This release with one function more, which tells who installed it. */
function releaseOf(version: string, body = `select '${version}'`): Release {
  const definition = `create or replace function installed_by() returns text language sql as $$ ${body} $$;`
  return { version, functions: [...present.functions, { name: 'installed_by', definition }] }
}

const nothing = { applied: 0, installed: 0 }
const one = { applied: 0, installed: 1 }
const installedBy = async (sql: postgres.Sql) => (await sql`select installed_by() as release`)[0]?.release

t.test('a file whose content changed is installed at the next start, and only that one', async (t) => {
  const { url } = await freshDatabase(t)
  const sql = connect(t, url)
  t.same(await migrate(url, { release: releaseOf('1.0.0') }), one)
  t.same(await migrate(url, { release: releaseOf('1.0.0') }), nothing)
  t.same(await migrate(url, { release: releaseOf('1.0.0', "select 'mended'") }), one)
  t.equal(await installedBy(sql), 'mended')
})

t.test('starters of two releases at once leave the younger one, whoever comes last', async (t) => {
  for (let round = 0; round < 5; round++) {
    const { url } = await emptyDatabase(t)
    const starts = ['1.9.0', '1.10.0', '1.9.0', '1.10.0'].map((version) => migrate(url, { release: releaseOf(version) }))
    const installed = (await Promise.all(starts)).map((outcome) => outcome.installed)
    t.equal(installed.reduce((a, b) => a + b) >= present.functions.length + 1, true, `each installed: ${installed.join(', ')}`)
    t.equal(await installedBy(connect(t, url)), '1.10.0')
  }
})

t.test(
  'a replica of the release before keeps serving on the new definitions, and its restart does not take them back',
  async (t) => {
    const { url } = await freshDatabase(t)
    await migrate(url, { release: releaseOf('1.0.0') })
    const replica = openDb({ url, poolSize: 1 })
    t.teardown(() => replica.close())
    const ask = async () =>
      (await replica.run('ask', (sql) => sql<{ release: string }[]>`select installed_by() as release`))[0]?.release
    t.equal(await ask(), '1.0.0')
    await migrate(url, { release: releaseOf('1.1.0') })
    t.equal(await ask(), '1.1.0', 'on the connection and the prepared statement it had')
    t.equal(await migrationsApplied(replica, { release: releaseOf('1.0.0') }), true, 'and it stays ready')
    t.same(await migrate(url, { release: releaseOf('1.0.0') }), nothing)
    t.equal(await ask(), '1.1.0')
  },
)

t.test('another build of the same release may install its own: what runs stays ready', async (t) => {
  const { url } = await freshDatabase(t)
  await migrate(url, { release: releaseOf('1.0.0') })
  await migrate(url, { release: releaseOf('1.0.0', "select 'another build'") })
  const db = openDb({ url })
  t.teardown(() => db.close())
  t.equal(await migrationsApplied(db, { release: releaseOf('1.0.0') }), true)
  t.equal(await migrationsApplied(db, { release: releaseOf('1.1.0') }), false, 'a younger release has to install first')
})

t.test('a definition that PostgreSQL refuses stops the start, and none of that release is installed', async (t) => {
  const { url } = await freshDatabase(t)
  const sql = connect(t, url)
  await migrate(url, { release: releaseOf('1.0.0') })
  const faults = {
    'the body names a table that is not there': "select name from nowhere where name = 'x'",
    'it does not parse': 'select select',
  }
  for (const [fault, body] of Object.entries(faults)) {
    const { functions } = releaseOf('1.1.0', body)
    const another = {
      name: 'another',
      definition: 'create or replace function another() returns int language sql as $$ select 1 $$;',
    }
    await t.rejects(migrate(url, { release: { version: '1.1.0', functions: [another, ...functions] } }), { code: /^42/ }, fault)
  }
  const changedResult = {
    name: 'installed_by',
    definition: 'create or replace function installed_by() returns int language sql as $$ select 1 $$;',
  }
  await t.rejects(
    migrate(url, { release: { version: '1.1.0', functions: [changedResult] } }),
    { code: '42P13' },
    'another result',
  )
  t.equal(await installedBy(sql), '1.0.0')
  t.equal((await sql`select to_regproc('another')::text as name`)[0]?.name, null)
})
