// Several servers in DATABASE_URL: the one that takes writes is found, and found again after a promotion.
import { type AddressInfo, createServer, type Socket } from 'node:net'
import t from 'tap'
import { type Db, openDb } from '../../src/db/client.ts'
import { remedyOf } from '../../src/db/fault.ts'
import { migrate } from '../../src/db/migrate.ts'
import { ServiceError } from '../../src/errors.ts'
import { eventually } from '../rig/eventually.ts'
import { startServerPair } from '../rig/server-pair.ts'

/** @param hosts such as `127.0.0.1:5432,127.0.0.1:5433` */
function urlOf(url: string, hosts: string[], parameters = ''): string {
  const { username, password, pathname } = new URL(url)
  return `postgres://${username}:${password}@${hosts.join(',')}${pathname}${parameters}`
}

const where = (db: Db) =>
  db
    .run(
      'where',
      (sql) => sql<{ port: number; standby: boolean }[]>`
    select current_setting('port')::int as port, pg_is_in_recovery() as standby`,
    )
    .then(([row]) => row)
const code = (error: unknown) => (error instanceof ServiceError ? error.code : `not ours: ${error}`)

t.test('the server that takes writes is taken, whatever the order, and found again after a promotion', async (t) => {
  const pair = await startServerPair(t)
  const [primary, standby] = [pair.primaryUrl, pair.standbyUrl].map((url) => new URL(url).host) as [string, string]
  const open = (hosts: string[], parameters?: string) => {
    const db = openDb({ url: urlOf(pair.primaryUrl, hosts, parameters), deadlineMs: 5_000 })
    t.teardown(() => db.close())
    return db
  }
  const both = open([standby, primary])
  t.match(await where(both), { standby: false })
  t.match(await where(open([standby, primary], '?target_session_attrs=primary')), { standby: false })
  t.match(await where(open([standby, primary], '?target_session_attrs=any')), { standby: true }, 'the first that answers')
  t.match(await where(open([standby])), { standby: true }, 'a single server is believed')
  const alone = open([standby], '?target_session_attrs=read-write')
  const refused: unknown = await where(alone).catch((error: unknown) => error)
  t.equal(code(refused), 'storage_unavailable')
  t.match(remedyOf(refused), /No server of DATABASE_URL takes writes; the last one asked was 127\.0\.0\.1:\d+: name the primary/)
  const unmigrated: unknown = await migrate(pair.standbyUrl, { waitMs: 0 }).catch((error: unknown) => error)
  t.match(remedyOf(unmigrated), /DATABASE_URL names a server that takes no writes: name the primary/)

  await both.run('create', (sql) => sql`create table counted (n int)`)
  await both.run('insert', (sql) => sql`insert into counted values (1)`)
  await pair.caughtUp()
  await pair.stopPrimary()
  const insert = () => both.run('insert', (sql) => sql`insert into counted values (2)`).then(() => 'ok', code)
  t.equal(await insert(), 'storage_unavailable', 'nobody takes writes just now')
  await pair.promote()
  await eventually('the promoted one is found', async () => (await insert()) === 'ok', 10_000)
  t.match(await both.run('count', (sql) => sql`select count(*) as n from counted where n = 1`), [{ n: 1 }])
})

t.test('a host that says nothing costs its share of the time, and once', async (t) => {
  const pair = await startServerPair(t)
  const sockets = new Set<Socket>()
  const silent = createServer((socket) => sockets.add(socket.on('error', () => {})))
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    silent.close()
  })
  const { port } = silent.address() as AddressInfo
  const db = openDb({ url: urlOf(pair.primaryUrl, [`127.0.0.1:${port}`, new URL(pair.primaryUrl).host]), poolSize: 5 })
  t.teardown(() => db.close())
  t.match(await where(db), { standby: false })
  await Promise.all([1, 2, 3, 4, 5].map(() => db.run('sleep', (sql) => sql`select pg_sleep(0.1)`)))
  t.equal(sockets.size, 1, 'the one that answered is asked first from then on')
})
