// What the other tests stand on: each gets a database of its own.
import postgres from 'postgres'
import t from 'tap'
import { emptyDatabase, freshDatabase } from '../postgres.ts'

t.test('a test gets a migrated database of its own', async (t) => {
  const [one, other] = await Promise.all([freshDatabase(t), freshDatabase(t)])
  t.not(one.url, other.url)
  const sql = postgres(one.url, { max: 1 })
  t.teardown(() => sql.end())
  await sql`insert into owners (id) values ('user_42')`
  t.match(await sql`select id from owners`, [{ id: 'user_42' }])
  const elsewhere = postgres(other.url, { max: 1 })
  t.teardown(() => elsewhere.end())
  t.equal((await elsewhere`select id from owners`).length, 0)
})

t.test('an empty database has no tables', async (t) => {
  const { url } = await emptyDatabase(t)
  const sql = postgres(url, { max: 1 })
  t.teardown(() => sql.end())
  t.equal((await sql`select from pg_tables where schemaname = 'public'`).length, 0)
})
