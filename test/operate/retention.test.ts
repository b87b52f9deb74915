// What is dead does not stay: secrets first, rows later, whole days of audit at the end.
import t from 'tap'
import { applyRetention } from '../../src/operate/retention.ts'
import { startWorld } from '../world.ts'

const hour = 3600
const day = 24 * hour

t.test('S29: codes and verifiers of dead sessions are erased at once, the sessions after a day', async (t) => {
  const world = await startWorld(t, { env: { TIKTOK_PKCE: 's256' }, simulator: { pkce: 's256' } })
  const { db } = world.parts
  const opened = await world.openSession()
  await world.browser().walk(opened.authorize_url, { person: 'mara' })
  const sealed = async () => {
    const rows = await db.run(
      'sealed',
      (sql) =>
        sql<{ sealed: boolean }[]>`select sealed_code is not null or sealed_verifier is not null as sealed from connect_sessions`,
    )
    return rows.map((row) => row.sealed)
  }
  t.same(await sealed(), [true], 'the code waits for its completion')

  await world.timePasses(hour)
  await applyRetention(world.parts)
  t.same(await sealed(), [false])

  await world.timePasses(2 * day)
  await applyRetention(world.parts)
  t.same(await sealed(), [])
  const states = await db.run('states', (sql) => sql`select 1 from authorization_requests`)
  t.equal(states.length, 0, 'their states go with them')
})

t.test(
  'an upload and its Idempotency-Key are forgotten a week after its slot was free again, and not a day earlier',
  async (t) => {
    const world = await startWorld(t)
    const account = await world.connect()
    const reserve = async (key: string) => {
      const wish = { headers: { 'idempotency-key': key }, body: { ttl_seconds: 60 } }
      return (await world.call<{ id: string; code?: string }>('POST', `/accounts/${account.id}/uploads`, wish)).body
    }
    const old = (await reserve('old')).id
    await world.timePasses(day)
    await reserve('young')
    await world.timePasses(6 * day + 120)
    await applyRetention(world.parts)
    t.match(await reserve('young'), { code: 'upload_expired' }, 'six days old: the key finds it')
    t.not((await reserve('old')).id, old, 'a week old: the key makes another')
    t.equal((await world.call('POST', `/accounts/${account.id}/uploads/${old}/commit`)).status, 404)
  },
)

t.test('S27: the audit is kept ninety days and dropped by the day, and there is always a partition for tomorrow', async (t) => {
  const world = await startWorld(t)
  const { db } = world.parts
  const partitions = async () => {
    const rows = await db.run(
      'partitions',
      (sql) =>
        sql<
          { name: string }[]
        >`select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'token_reads'::regclass order by 1`,
    )
    return rows.map(({ name }) => name).filter((name) => /_\d{8}$/.test(name))
  }
  const nameOf = (offsetDays: number) =>
    `token_reads_${new Date(Date.now() + offsetDays * day * 1000).toISOString().slice(0, 10).replaceAll('-', '')}`
  t.ok((await partitions()).includes(nameOf(1)))

  for (const [name, from] of [
    [nameOf(-89), -89],
    [nameOf(-92), -92],
  ] as const) {
    const date = (offset: number) => new Date(Date.now() + offset * day * 1000).toISOString().slice(0, 10)
    await db.run('old_day', (sql) =>
      sql.unsafe(
        `create table ${name} partition of token_reads for values from ('${date(from)} 00:00:00+00') to ('${date(from + 1)} 00:00:00+00')`,
      ),
    )
  }
  await applyRetention(world.parts)
  const kept = await partitions()
  t.ok(kept.includes(nameOf(-89)), 'a day within the ninety stays')
  t.notOk(kept.includes(nameOf(-92)), 'a day beyond them is gone')
  await applyRetention(world.parts)
  t.same(await partitions(), kept, 'keeping house again changes nothing')
})

t.test('F46: a backlog does not keep a process that is asked to end', async (t) => {
  const world = await startWorld(t)
  const { parts } = world
  await world.openSession()
  await parts.db.run(
    'many',
    (sql) => sql`
      insert into connect_sessions select (jsonb_populate_record(s, jsonb_build_object('id', 'cs_' || n, 'link_secret_hash', '\\x' || md5(n::text),
        'expires_at', now() - interval '3 days'))).* from connect_sessions s, generate_series(1, 1200) n`,
  )
  const left = async () =>
    (await parts.db.run('left', (sql) => sql`select 1 from connect_sessions where expires_at < now()`)).length
  await applyRetention({ ...parts, stopping: AbortSignal.abort() })
  t.equal(await left(), 1200)
  await applyRetention(parts)
  t.equal(await left(), 0)
})
