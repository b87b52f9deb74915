// TLS to PostgreSQL, against a server that speaks it: whom we believe, what a refused connection says, and that none of them ends us.
import { copyFile, rm } from 'node:fs/promises'
import t, { type Test } from 'tap'
import { type Db, openDb } from '../../src/db/client.ts'
import { remedyOf } from '../../src/db/fault.ts'
import { emptyDatabase } from '../postgres.ts'
import { command } from '../rig/command.ts'
import { eventually } from '../rig/eventually.ts'
import { startProxy } from '../rig/proxy.ts'
import { type Failure, makeAuthority, noOpenssl, startFailingServer, startTlsPostgres } from '../rig/tls-postgres.ts'

interface Attempt {
  encrypted?: boolean
  says?: string
}

/** One statement by a URL. @returns whether it went encrypted, or what whoever reads the log is told */
async function attempt(url: string, parameters: Record<string, string> = {}, tls?: 'verify' | 'off'): Promise<Attempt> {
  const address = new URL(url)
  const query = Object.entries(parameters).map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
  address.search = query.join('&')
  const db = openDb({ url: address.href, tls })
  try {
    const [row] = await db.run('ssl', (sql) => sql<{ ssl: boolean }[]>`select ssl from pg_stat_ssl where pid = pg_backend_pid()`)
    return { encrypted: row?.ssl === true }
  } catch (error) {
    return { says: remedyOf(error) ?? `nothing about ${error}` }
  } finally {
    await db.close()
  }
}

function withHost(
  url: string,
  host: string,
  changes: { username?: string; password?: string; pathname?: string; port?: string } = {},
): string {
  return Object.assign(new URL(url), { hostname: host, ...changes }).href
}

/** Whatever is thrown where nobody catches would have ended the service. */
function surprisesOf(t: Test): unknown[] {
  const surprises: unknown[] = []
  const surprised = (error: unknown) => surprises.push(error)
  process.on('uncaughtException', surprised).on('unhandledRejection', surprised)
  t.teardown(() => process.off('uncaughtException', surprised).off('unhandledRejection', surprised))
  return surprises
}

let one: ReturnType<typeof startServer> | undefined

async function startServer() {
  const authority = await makeAuthority(t)
  const certificate = await authority.issue('x', ['IP:127.0.0.1'])
  return { authority, certificate, server: await startTlsPostgres(t, certificate, authority.rootFile) }
}

/** The server of this file, as a start costs more than all that a test asks of it. A test that changes it changes it back. */
function theServer(): ReturnType<typeof startServer> {
  one ??= startServer()
  return one
}

t.test('a server is believed as psql would believe it', { skip: noOpenssl }, async (t) => {
  const { authority, certificate, server } = await theServer()
  const stranger = await makeAuthority(t)
  const byName = await authority.issue('whatever', ['DNS:localhost'])
  const byAddress = await authority.issue('whatever', ['IP:127.0.0.1'])
  const byCommonName = await authority.issue('127.0.0.1', [])
  const forOthers = await authority.issue('db.example.com', ['DNS:db.example.com', 'IP:127.0.0.2'])
  await server.present(byName)
  t.teardown(() => server.present(certificate))
  const root = { sslrootcert: authority.rootFile }
  const [name, address] = ['localhost', '127.0.0.1'].map((host) => withHost(server.url, host)) as [string, string]
  const encrypted = { encrypted: true }
  const otherName = { says: /The certificate of (localhost|127\.0\.0\.1):\d+ is for another name/ }
  const unknown = { says: /of an authority that is not known here: name its PEM file/ }

  t.match(await attempt(name), { encrypted: false }, 'on this machine nothing is asked for')
  t.match(await attempt(name, {}, 'verify'), unknown, 'unless it is said')
  t.match(await attempt(name, { sslmode: 'require' }), encrypted, 'require takes any certificate')
  t.match(await attempt(name, { ssl: 'true' }), encrypted)
  t.match(await attempt(name, { sslmode: 'prefer' }), encrypted)
  t.match(await attempt(name, { sslmode: 'verify-full', sslrootcert: stranger.rootFile }), unknown)
  t.match(
    await attempt(name, { sslmode: 'require', sslrootcert: stranger.rootFile }),
    unknown,
    'require with an authority believes that one',
  )
  t.match(await attempt(name, { sslmode: 'verify-full' }), unknown)
  t.match(await attempt(name, { sslrootcert: 'system' }), unknown)
  t.match(await attempt(name, { sslmode: 'verify-full', sslrootcert: '/nowhere/root.crt' }), {
    says: /sslrootcert, sslcert or sslkey cannot be read: correct its path/,
  })
  t.match(await attempt(name, { sslmode: 'verify-full', ...root, channel_binding: 'prefer' }), encrypted)
  t.match(await attempt(name, { sslmode: 'verify-full', ...root, sslnegotiation: 'direct' }), encrypted)
  t.match(await attempt(address, { sslmode: 'verify-full', ...root }), otherName, 'a name is not an address')
  t.match(await attempt(address, { sslmode: 'verify-ca', ...root }), encrypted, 'verify-ca asks for no name')
  t.match(
    await attempt(name, { sslmode: 'verify-full', ...root, hostaddr: '127.0.0.1' }),
    encrypted,
    'hostaddr says where, host says who',
  )

  await server.present(byAddress)
  t.match(await attempt(address, { sslmode: 'verify-full', ...root }), encrypted, 'the right address')
  t.match(await attempt(name, { sslmode: 'verify-full', ...root }), otherName)
  await server.present(byCommonName)
  t.match(await attempt(address, { sslmode: 'verify-full', ...root }), encrypted, 'an address as the common name')
  await server.present(forOthers)
  for (const url of [name, address]) t.match(await attempt(url, { sslmode: 'verify-full', ...root }), otherName)
})

t.test('a file that was renewed counts from the next connection on', { skip: noOpenssl }, async (t) => {
  const { authority, certificate, server } = await theServer()
  const next = await makeAuthority(t)
  const file = `${authority.rootFile}.believed`
  await copyFile(authority.rootFile, file)
  const url = new URL(server.url)
  url.search = new URLSearchParams({ sslmode: 'verify-full', sslrootcert: file }).toString()
  const db = openDb({ url: url.href })
  t.teardown(() => db.close())
  await db.run('one', (sql) => sql`select 1`)
  await server.present(await next.issue('x', ['IP:127.0.0.1']))
  t.teardown(() => server.present(certificate))
  await copyFile(next.rootFile, file)
  await server.operate(
    (sql) => sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'tiktok-oauth-service'`,
  )
  await eventually('the old connection is seen as dead', () => db.state.idleConnections === 0)
  await t.resolves(db.run('one', (sql) => sql`select 1`))
  await rm(file)
})

t.test('a client certificate is shown where the server wants one', { skip: noOpenssl }, async (t) => {
  const { authority, server } = await theServer()
  await server.operate((sql) => sql.unsafe('create role robot login'))
  await server.admit(['hostssl all robot 127.0.0.1/32 cert'])
  t.teardown(() => server.admit(['host all all 127.0.0.1/32 scram-sha-256']))
  const robot = withHost(server.url, '127.0.0.1', { username: 'robot', password: '' })
  const { certFile, keyFile } = await authority.issue('robot', [])
  const believed = { sslmode: 'verify-full', sslrootcert: authority.rootFile }
  t.match(await attempt(robot, { ...believed, sslcert: certFile, sslkey: keyFile }), { encrypted: true })
  t.match(await attempt(robot, believed), { says: /wants TLS \(sslmode=verify-full\) or a client certificate/ })
  t.match(
    await attempt(robot),
    { says: /does not admit the user of DATABASE_URL from here: it wants TLS/ },
    'a server that wants TLS says so',
  )
})

t.test('whatever a server refuses is said in words, and none of it ends the process', { skip: noOpenssl }, async (t) => {
  const surprises = surprisesOf(t)
  const { authority, certificate, server } = await theServer()
  await server.operate((sql) => sql.unsafe(`create role crowded login password 'crowded' connection limit 0`))
  const url = server.url
  for (const tls of [{}, { sslmode: 'require' }, { sslmode: 'verify-full', sslrootcert: authority.rootFile }]) {
    const cases: [string, string, Record<string, string>, RegExp][] = [
      ['28P01', withHost(url, '127.0.0.1', { password: 'wrong' }), {}, /refuses the password of DATABASE_URL/],
      ['28P01', withHost(url, '127.0.0.1', { password: '' }), {}, /or wants one and there is none/],
      ['28P01', withHost(url, '127.0.0.1', { username: 'nobody' }), {}, /refuses the password/],
      ['3D000', withHost(url, '127.0.0.1', { pathname: '/none' }), {}, /has no database of the name in DATABASE_URL/],
      ['42704', url, { options: '-c nonsense=2' }, /does not know a setting in the `options`/],
      ['22023', url, { options: '-c work_mem=much' }, /refuses the connection \(22023\): look into the log/],
      [
        '53300',
        withHost(url, '127.0.0.1', { username: 'crowded', password: 'crowded' }),
        {},
        /^127\.0\.0\.1:\d+ has no connection left/,
      ],
    ]
    for (const [code, url, parameters, sentence] of cases)
      t.match(await attempt(url, { ...parameters, ...tls }), { says: sentence }, `${code} ${tls.sslmode ?? 'in plain text'}`)
  }
  const plain = await startFailingServer(t, 'hangs up', certificate)
  t.match(await attempt(withHost(url, '127.0.0.1', { port: String(plain) })), { says: /hangs up on every new connection/ })

  const failures: [Failure, RegExp][] = [
    ['hangs up', /^127\.0\.0\.1:\d+ hangs up on every new connection/],
    ['resets', /hangs up on every new connection/],
    ['answers HTTP', /What listens at 127\.0\.0\.1:\d+ is not PostgreSQL/],
    ['slips in plain text', /is not PostgreSQL/],
    ['hangs up in TLS', /hangs up on every new connection/],
    ['refuses', /is starting, stopping or recovering/],
    ['hangs up at the password', /hangs up on every new connection/],
  ]
  for (const [failure, sentence] of failures) {
    const port = await startFailingServer(t, failure, certificate)
    for (const sslmode of ['require', 'prefer'])
      t.match(
        await attempt(withHost(url, '127.0.0.1', { port: String(port) }), { sslmode }),
        { says: sentence },
        `${failure}, ${sslmode}`,
      )
  }
  const { url: withoutTls } = await emptyDatabase(t)
  t.match(await attempt(withoutTls, { sslmode: 'require' }), { says: /offers no TLS: switch it on there/ })
  t.match(await attempt(withoutTls, { sslmode: 'prefer' }), { encrypted: false })
  t.same(surprises, [])
})

t.test('a restart of the server costs errors while it lasts, and no process', { skip: noOpenssl }, async (t) => {
  const surprises = surprisesOf(t)
  const { authority, server } = await theServer()
  const proxy = await startProxy(t, server.url)
  const url = new URL(proxy.url)
  url.search = new URLSearchParams({ sslmode: 'verify-full', sslrootcert: authority.rootFile }).toString()
  const replicas = [1, 2, 3].map(() => openDb({ url: url.href }))
  t.teardown(() => Promise.all(replicas.map((db) => db.close())))
  const works = (db: Db) =>
    db
      .run('sleep', (sql) => sql`select pg_sleep(0.002)`)
      .then(
        () => true,
        () => false,
      )
  let busy = true
  const callers = replicas.flatMap((db) =>
    Array.from({ length: 5 }, async () => {
      while (busy) if (!(await works(db))) await new Promise((resolve) => setTimeout(resolve, 5))
    }),
  )
  for (let round = 0; round < 2; round++) {
    await Promise.all(replicas.map((db) => eventually('it works', () => works(db))))
    await server.restart()
    proxy.pointAt(server.url)
  }
  await Promise.all(replicas.map((db) => eventually('it works again', () => works(db))))
  busy = false
  await Promise.all(callers)
  t.same(surprises, [])
})

t.test('a command that is refused over TLS ends with a sentence, not with a stack', { skip: noOpenssl }, async (t) => {
  const { server } = await theServer()
  const wrong = withHost(server.url, '127.0.0.1', { password: 'wrong' })
  const { code, stderr } = await command(['migrate'], { DATABASE_URL: `${wrong}?sslmode=require` })
  t.equal(code, 1)
  t.match(stderr, /^PostgreSQL refuses the password of DATABASE_URL.*\n$/)
})
