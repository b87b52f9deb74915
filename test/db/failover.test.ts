// The ways to a server that DATABASE_URL can name: sockets, IPv6, and several hosts, of which the one that takes writes is found.
import { chmod, rm } from 'node:fs/promises'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import t from 'tap'
import { type Db, openDb } from '../../src/db/client.ts'
import { remedyOf } from '../../src/db/fault.ts'
import { migrate } from '../../src/db/migrate.ts'
import { ServiceError } from '../../src/errors.ts'
import { startEmbeddedPostgres } from '../../tools/embedded-postgres/embedded.ts'
import { ownFolder } from '../folder.ts'
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
  await eventually('the promoted one is found', async () => (await insert()) === 'ok')
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

t.test('a server is reached by its socket, however that is written, and by its IPv6 address', async (t) => {
  const dataDir = await ownFolder(t, 'sockets')
  const sockets = await ownFolder(t, 'run')
  await chmod(sockets, 0o777)
  const settings = { unix_socket_directories: sockets, listen_addresses: '127.0.0.1,::1' }
  const server = await startEmbeddedPostgres({ dataDir, throwaway: true, settings })
  t.teardown(async () => {
    await server.stop()
    await Promise.all([dataDir, sockets].map((dir) => rm(dir, { recursive: true })))
  })
  const { username, password, port } = new URL(server.url)
  const [who, dir] = [`${username}:${password}`, encodeURIComponent(sockets)]
  const address = (url: string, tls?: 'verify') => {
    const db = openDb({ url, tls })
    return db
      .run('address', (sql) => sql<{ at: string | null }[]>`select host(inet_client_addr()) as at`)
      .then(([row]) => row?.at)
      .finally(() => db.close())
  }
  t.equal(await address(`postgres://${who}@/postgres?host=${sockets}&port=${port}`), null)
  t.equal(await address(`postgres://${who}@${dir}:${port}/postgres`, 'verify'), null, 'a socket has nothing to prove')
  t.equal(await address(`postgres:///postgres?host=${dir}&port=${port}&user=${username}&password=${password}`), null)
  t.equal(
    await address(`postgres://${who}@/postgres?host=${sockets},127.0.0.1&port=1,${port}`),
    '127.0.0.1',
    'a socket that is not there is passed over',
  )
  t.equal(await address(`postgres://${who}@localhost:${port}/postgres?hostaddr=127.0.0.1`), '127.0.0.1')
  const v6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === '::1'))
  if (v6) t.equal(await address(`postgres://${who}@[::1]:${port}/postgres`), '::1')
  const refused: unknown = await address(`postgres://${who}@/postgres?host=${sockets}&port=1`).catch((error: unknown) => error)
  t.match(
    remedyOf(refused),
    /There is no socket .*\.s\.PGSQL\.1, which DATABASE_URL names: start PostgreSQL, or correct the directory/,
  )
})
