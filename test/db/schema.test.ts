// What stands in the repository is what is in the database: each function is its file, and each table is what src/db/schema.ts says.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { generateDrizzleJson, generateMigration } from 'drizzle-kit/api'
import postgres from 'postgres'
import t, { type Test } from 'tap'
import { timelineKinds } from '../../src/db/codes.ts'
import { readRelease } from '../../src/db/install.ts'
import * as schema from '../../src/db/schema.ts'
import { emptyDatabase, freshDatabase } from '../postgres.ts'

const meta = join(import.meta.dirname, '../../drizzle/meta')
const { entries } = JSON.parse(readFileSync(join(meta, '_journal.json'), 'utf8')) as { entries: { tag: string }[] }
const latest = (entries.at(-1)?.tag ?? '').split('_')[0]
const snapshot = JSON.parse(readFileSync(join(meta, `${latest}_snapshot.json`), 'utf8'))

function connect(t: Test, url: string): postgres.Sql {
  const sql = postgres(url, { max: 1, onnotice: () => {} })
  t.teardown(() => sql.end())
  return sql
}

t.test('every function is its file, and every file is one function', async (t) => {
  const sql = connect(t, (await freshDatabase(t)).url)
  const definitions = async () => {
    const rows = await sql<{ name: string; definition: string; body: string; acl: string | null }[]>`
      select proname as name, pg_get_functiondef(oid) as definition, prosrc as body, proacl::text as acl
      from pg_proc where pronamespace = 'public'::regnamespace order by 1`
    return [...rows]
  }
  const installed = await definitions()
  const { functions } = await readRelease()
  t.strictSame(
    installed.map(({ name }) => name),
    functions.map(({ name }) => name),
    'one of each name: another signature would be a second one',
  )
  for (const [index, { name, definition }] of functions.entries()) {
    t.ok(definition.includes(`$$${installed[index]?.body}$$`), `${name} has the body of its file`)
    t.match(definition, /^-- .+\n/, 'and the file says what it is for')
  }
  await sql.unsafe(functions.map(({ definition }) => definition).join(';\n'))
  t.strictSame(await definitions(), installed, 'and nothing changes when the files are run again')
})

t.test('nothing is left to generate: the migrations and src/db/schema.ts say the same', async (t) => {
  t.strictSame(await generateMigration(snapshot, generateDrizzleJson(schema, snapshot.id)), [])
})

t.test('the tables of the database are those of src/db/schema.ts', async (t) => {
  const migrated = connect(t, (await freshDatabase(t)).url)
  const generated = connect(t, (await emptyDatabase(t)).url)
  const statements = await generateMigration(generateDrizzleJson({}), generateDrizzleJson(schema))
  await generated.unsafe(statements.join(';\n'))
  const [actual, wanted] = [await catalogOf(migrated), await catalogOf(generated)]
  for (const [what, rows] of Object.entries(wanted)) {
    t.ok(rows.length > 0, `there are ${what}`)
    t.strictSame(actual[what], rows, what)
  }
})

t.test(
  'what drizzle-kit cannot say: the audit is partitioned, and its default partition takes what has no day yet',
  async (t) => {
    const sql = connect(t, (await freshDatabase(t)).url)
    const partitioned = await sql`
    select c.relname as name, pg_get_partkeydef(c.oid) as key, d.inhrelid::regclass::text as default
    from pg_class c join pg_partitioned_table p on p.partrelid = c.oid join pg_inherits d on d.inhrelid = p.partdefid order by 1`
    t.strictSame(
      [...partitioned],
      ['timeline', 'token_reads'].map((name) => ({ name, key: 'RANGE (at)', default: `${name}_default` })),
    )
  },
)

t.test('every kind that a statement writes into the timeline is in the list, and none is there that nobody writes', (t) => {
  const folder = join(import.meta.dirname, '../../src/db')
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => /\.(ts|sql)$/.test(path))
  const written = files.flatMap((path) => {
    const inserts = readFileSync(join(folder, path), 'utf8').matchAll(
      /insert into timeline \(([^)]+)\)\s*(?:select|values \()([^;`]+)/gi,
    )
    return Array.from(inserts, ([, columns = '', values = '']) => {
      const place = columns.split(',').findIndex((column) => column.trim() === 'kind')
      // The values before it are all names of columns or parameters, so no comma hides in one.
      const value = values.replace(/\$\{[^}]+\}/g, 'parameter').split(',')[place] ?? ''
      return Array.from(value.matchAll(/'(\w+)'/g), ([, kind = '']) => kind)
    }).flat()
  })
  // save_token_set names the status that the account gets.
  t.strictSame([...new Set([...written, 'reauthorization_required'])].sort(), Object.keys(timelineKinds).sort())
  t.end()
})

/** What makes a table, by PostgreSQL's own words; partitions follow their parent. */
async function catalogOf(sql: postgres.Sql): Promise<Record<string, Record<string, unknown>[]>> {
  const tables = `c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition`
  const columns = await sql.unsafe(`
    select c.relname as table, a.attname as column, format_type(a.atttypid, a.atttypmod) as type, a.attnotnull as not_null,
      a.attidentity as identity, pg_get_expr(d.adbin, d.adrelid) as default
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
    where ${tables} order by 1, 2`)
  const constraints = await sql.unsafe(`
    select c.relname as table, k.conname as name, pg_get_constraintdef(k.oid) as definition
    from pg_class c join pg_constraint k on k.conrelid = c.oid where ${tables} order by 1, 2`)
  const indexes = await sql.unsafe(`
    select c.relname as table, replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ') as definition
    from pg_class c join pg_index i on i.indrelid = c.oid where ${tables} order by 1, 2`)
  return { columns: [...columns], constraints: [...constraints], indexes: [...indexes] }
}
