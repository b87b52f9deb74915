// Real processes: ready by themselves, as many at once as anybody likes, and gone when they are asked to go.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { chmod, readdir, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import postgres from 'postgres'
import t from 'tap'
import { request } from 'undici'
import { tryDirectories } from '../src/replica/directories.ts'
import { loadConfig } from '../src/settings/config.ts'
import { createLog } from '../src/telemetry.ts'
import { generateVaultKey } from '../src/vault/keyring.ts'
import { ownFolder } from './folder.ts'
import { emptyDatabase, freshDatabase } from './postgres.ts'
import { eventually } from './rig/eventually.ts'
import { type Replica, startReplica } from './rig/replica.ts'
import { restrictService } from './rig/service-role.ts'

const vaultKeys = generateVaultKey()
const required = { TIKTOK_CLIENT_KEY: 'awstart0001', TIKTOK_CLIENT_SECRET: 'J8s0dk2LQmz7Wx91PvbnT4Rc', VAULT_KEYS: vaultKeys }

t.test('with an external database it is ready by itself, and ends cleanly when asked', async (t) => {
  const { url } = await freshDatabase(t)
  const replica = await start(url, 'one')
  t.equal(await statusOf(replica, '/health/ready'), 200)
  replica.signal('SIGTERM')
  t.equal(await replica.ended(), 0)
  t.match(replica.logged(), /service has ended/)
})

t.test('F48: three replicas that start at once on an empty database are all ready, and each migration ran once', async (t) => {
  const { url } = await emptyDatabase(t)
  const replicas = await Promise.all(['a', 'b', 'c'].map((name) => start(url, name)))
  for (const replica of replicas) t.equal(await statusOf(replica, '/health/ready'), 200)
  const sql = postgres(url, { max: 1 })
  const runs = await sql<{ hash: string }[]>`select hash from drizzle.__drizzle_migrations`
  await sql.end()
  t.ok(runs.length > 0)
  t.equal(new Set(runs.map(({ hash }) => hash)).size, runs.length)
  for (const replica of replicas) replica.signal('SIGTERM')
  t.same(await Promise.all(replicas.map((replica) => replica.ended())), [0, 0, 0])
})

t.test('whoever is asked to end in the moment it is ready, or while it still starts, ends cleanly and at once', async (t) => {
  const { url } = await freshDatabase(t)
  const replicas = await Promise.all(['x', 'y', 'z'].map((name) => start(url, name)))
  for (const replica of replicas) replica.signal('SIGTERM')
  t.same(await Promise.all(replicas.map((replica) => replica.ended())), [0, 0, 0])
  const nobody = await start('postgres://nobody@127.0.0.1:9/none', 'waiting', { ready: false })
  await eventually('it waits', () => /waiting for the database/.test(nobody.logged()))
  t.match(nobody.logged(), /Nothing listens at 127\.0\.0\.1:9, which DATABASE_URL names/)
  nobody.signal('SIGTERM')
  t.equal(await nobody.ended(), 0, 'it does not wait for a database that nobody needs any more')
})

t.test('F67: who is asked to end is unready first, serves on for a while, and then ends', async (t) => {
  const { url } = await freshDatabase(t)
  const replica = await start(url, 'leaving', { env: { SHUTDOWN_DELAY_SECONDS: '3' } })
  t.equal(await statusOf(replica, '/health/ready'), 200)
  replica.signal('SIGTERM')
  await eventually('it is not ready', async () => (await statusOf(replica, '/health/ready')) === 503)
  t.equal(await statusOf(replica, '/health/live'), 200)
  const { statusCode, headers, body } = await request(new URL('/openapi.json', replica.url))
  await body.dump()
  t.equal(statusCode, 200, 'a call that comes all the same is answered')
  t.equal(headers.connection, 'close', 'and the next one goes elsewhere')
  t.notMatch(replica.logged(), /service has ended/)
  t.equal(await replica.ended(), 0)
  t.match(replica.logged(), /service has ended/)
})

t.test(
  'a replica with other vault keys does not say that it is ready, and one that becomes ready later says so then',
  async (t) => {
    const { url } = await freshDatabase(t)
    const first = await start(url, 'first')
    const stranger = await start(url, 'stranger', { ready: false, env: { VAULT_KEYS: generateVaultKey() } })
    const early = await start(url, 'early', { ready: false, env: { VAULT_KEYS: `${generateVaultKey('k2')},${vaultKeys}` } })
    for (const replica of [stranger, early]) {
      await eventually('it listens', () => /service listens and is not ready/.test(replica.logged()))
      t.match(
        parsed(replica.logged()).find(({ msg }) => /not ready/.test(msg)),
        { level: 'error', reason: 'keyring: mismatch', url: /^http/ },
      )
      t.notMatch(replica.logged(), /service is ready/)
    }
    for (const replica of [first, stranger]) {
      replica.signal('SIGTERM')
      t.equal(await replica.ended(), 0)
    }
    await eventually('the neighbours that did not know its key are gone', () => /service is ready/.test(early.logged()))
  },
)

t.test('SIGUSR2 raises the log level to debug and the next one takes that back, each with a line', async (t) => {
  const { url } = await freshDatabase(t)
  const replica = await start(url, 'quiet', { env: { LOG_LEVEL: 'info' } })
  const answered = () =>
    parsed(replica.logged()).filter(({ level, msg }) => level === 'debug' && msg === 'request answered').length
  await statusOf(replica, '/health/live')
  t.equal(answered(), 0)
  replica.signal('SIGUSR2')
  await eventually('it says so', () => /log level is debug until the next SIGUSR2/.test(replica.logged()))
  await statusOf(replica, '/health/live')
  await eventually('requests are logged', () => answered() === 1)
  replica.signal('SIGUSR2')
  await eventually('it says so', () => /log level is info again/.test(replica.logged()))
  await statusOf(replica, '/health/live')
  replica.signal('SIGTERM')
  t.equal(await replica.ended(), 0)
  t.equal(answered(), 1)

  const lines: string[] = []
  const loud = createLog('debug', { write: (line) => lines.push(line) })
  loud.toggleDebug('SIGUSR2')
  loud.debug('still there')
  const silent = createLog('silent', { write: (line) => lines.push(line) })
  silent.toggleDebug('SIGUSR2')
  silent.debug('heard')
  silent.toggleDebug('SIGUSR2')
  silent.fatal('not heard')
  t.strictSame(
    lines.map((line) => JSON.parse(line).msg),
    [
      'log level stays debug: it is LOG_LEVEL',
      'still there',
      'log level is debug until the next SIGUSR2',
      'heard',
      'log level is silent again',
    ],
  )
})

t.test('every line says which replica of which version it is from, also those of a start that fails', async (t) => {
  const { url } = await freshDatabase(t)
  const replica = await start(url, 'one')
  const [one] = parsed(replica.logged())
  t.match(one, { replicaId: /^rep_/, version: JSON.parse(readFileSync('package.json', 'utf8')).version })
  t.same(new Set(parsed(replica.logged()).map(({ replicaId }) => replicaId)).size, 1)
  const sql = postgres(url, { max: 1 })
  t.match(await sql`select id from replicas`, [{ id: one?.replicaId }], 'it is the one that the database knows')
  await sql.end()

  for (const env of [
    { PORT: 'none' },
    { DATABASE_URL: 'postgres://u:p@127.0.0.1:9/x', MIGRATE: 'off' },
    { VAULT_KEYS: 'k1:AAAA' },
  ]) {
    const failing = await start(url, 'failing', { ready: false, env })
    t.equal(await failing.ended(), 1)
    const lines = parsed(failing.logged())
    t.ok(lines.length >= 2)
    for (const line of lines) t.match(line, { replicaId: /^rep_/, version: one?.version, level: String, msg: String })
    t.match(lines.at(-1), { level: 'fatal', msg: /^The service cannot start: ./ })
  }
})

t.test('a start that cannot be says in words what to do, non-zero, and shows no secret', async (t) => {
  const { url } = await emptyDatabase(t)
  const address = new URL(url)
  address.pathname = '/not-there'
  const replica = await start(address.href, 'lost', { ready: false })
  t.equal(await replica.ended(), 1)
  t.match(replica.logged(), /The service cannot start: PostgreSQL has no database of the name in DATABASE_URL: create it/)
  t.notOk(replica.logged().includes(vaultKeys) || replica.logged().includes('J8s0dk2LQmz7Wx91PvbnT4Rc'))
})

t.test(
  'with MIGRATE=off the start migrates nothing: it ends where something is missing, and else serves under a role that owns nothing',
  async (t) => {
    const missing = await start((await emptyDatabase(t)).url, 'early', { ready: false, env: { MIGRATE: 'off' } })
    t.equal(await missing.ended(), 1)
    t.match(missing.logged(), /The database is not up to date, and MIGRATE=off: run `npm run --silent cli -- migrate` first/)
    const service = new URL(await restrictService((await freshDatabase(t)).url))
    const { password } = service
    service.password = ''
    const replica = await start(service.href, 'modest', { env: { MIGRATE: 'off', PGPASSWORD: password } })
    t.equal(await statusOf(replica, '/health/ready'), 200)
    replica.signal('SIGTERM')
    t.equal(await replica.ended(), 0)
  },
)

t.test('a DATA_DIR that cannot hold a database is told without its path', async (t) => {
  const dataDir = await ownFolder(t, 'start')
  await writeFile(join(dataDir, 'postgres'), 'in the way')
  const replica = await start('', 'homeless', { ready: false, env: { DATA_DIR: dataDir } })
  t.equal(await replica.ended(), 1)
  t.match(replica.logged(), /The service cannot start: The embedded PostgreSQL cannot be kept under DATA_DIR: see that/)
  t.notOk(replica.logged().includes(dataDir))
})

t.test(
  'a directory that cannot be written to ends the start with the name of its variable, before anything else is done',
  async (t) => {
    const { url } = await freshDatabase(t)
    const home = await ownFolder(t, 'start')
    await writeFile(join(home, 'file'), 'in the way')
    const log = createLog('silent')
    for (const [env, sentence] of [
      [{ SPILL_DIR: join(home, 'file') }, /SPILL_DIR names a (file|place below a file): name a directory/],
      [{ SPILL_DIR: join(home, 'file', 'below') }, /SPILL_DIR names a place below a file/],
      [{ DATABASE_URL: '', DATA_DIR: join(home, 'file', 'below') }, /DATA_DIR names a place below a file/],
    ] as const)
      await t.rejects(tryDirectories(loadConfig({ ...required, DATABASE_URL: url, ...env }), log), sentence)

    const replica = await start(url, 'nowhere', { ready: false, env: { DATA_DIR: join(home, 'file') } })
    t.equal(await replica.ended(), 1)
    t.match(
      replica.logged(),
      /cannot start: .*JOURNAL_DIR \(DATA_DIR\/journal, because it is not set\) names a place below a file/,
    )
    t.notMatch(replica.logged(), /migrations were applied|embedded PostgreSQL is used/)
    t.notOk(replica.logged().includes(home), 'without its path')
  },
)

t.test('a directory of somebody else is named, and one without room is an error in the log and no more', async (t) => {
  const dir = await ownFolder(t, 'places')
  const config = loadConfig({ ...required, DATABASE_URL: 'postgres://127.0.0.1/x', SPILL_DIR: join(dir, 'spill') })
  const lines: string[] = []
  const log = createLog('info', { write: (line: string) => void lines.push(line) })
  await tryDirectories(config, log)
  t.same(await readdir(join(dir, 'spill')), [], 'what was tried is gone')

  await chmod(join(dir, 'spill'), 0o500)
  // Whoever is root may write anywhere: for this it is nobody.
  const root = process.geteuid?.() === 0
  if (root) process.seteuid?.(65_534)
  try {
    await t.rejects(tryDirectories(config, log), /^SPILL_DIR names a directory that this user may not write to/)
  } finally {
    if (root) process.seteuid?.(0)
  }
  t.same(lines, [])
  await tryDirectories(config, log, async () => 'ENOSPC')
  t.match(lines.join(), /"level":"error".*SPILL_DIR is on a disk without room/)
})

t.test('with DATABASE_URL and SPILL_DIR set nothing is written to DATA_DIR', async (t) => {
  const { url } = await freshDatabase(t)
  const home = await ownFolder(t, 'start')
  await writeFile(join(home, 'file'), 'in the way')
  const replica = await start(url, 'rootless', { env: { DATA_DIR: join(home, 'file', 'below'), SPILL_DIR: join(home, 'spill') } })
  t.equal(await statusOf(replica, '/health/ready'), 200)
  replica.signal('SIGTERM')
  t.equal(await replica.ended(), 0)
})

t.test('a place to listen at that cannot be had is said to be that of HOST and PORT', async (t) => {
  const { url } = await freshDatabase(t)
  const taken = createServer().listen(0, '127.0.0.1')
  t.teardown(() => taken.close())
  await once(taken, 'listening')
  const { port } = taken.address() as AddressInfo
  const publicUrl = 'https://connect.example.com'
  for (const [where, sentence] of [
    [{ HOST: '127.0.0.1', PORT: String(port) }, /another process listens: stop that process, or choose another PORT/],
    [{ HOST: 'no-such-host.invalid', PUBLIC_URL: publicUrl }, /HOST is a name that is not known here/],
    [{ HOST: '203.0.113.1', PUBLIC_URL: publicUrl }, /HOST is not an address of this machine/],
  ] as const) {
    const replica = await start(url, 'nowhere', { ready: false, env: where })
    t.equal(await replica.ended(), 1)
    t.match(replica.logged(), sentence)
    t.notMatch(replica.logged(), /DATABASE_URL/)
  }
})

/** @throws SyntaxError for a line that is not JSON */
function parsed(logged: string): { msg: string; level?: string; replicaId?: string; version?: string }[] {
  return logged
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
}

async function start(
  databaseUrl: string,
  name: string,
  { env: more = {}, ...options }: { ready?: boolean; env?: Record<string, string> } = {},
): Promise<Replica> {
  const home = await ownFolder(t, 'start')
  const env = {
    PORT: '0',
    DATABASE_URL: databaseUrl,
    DATA_DIR: home,
    ...required,
    ...more,
  }
  const replica = await startReplica({ name, logFile: join(home, 'log'), env, preloads: [], ...options })
  t.teardown(async () => {
    if (!replica.isRunning) return
    replica.signal('SIGKILL')
    await replica.ended()
  })
  return replica
}

async function statusOf(replica: Replica, path: string): Promise<number> {
  const { statusCode, body } = await request(new URL(path, replica.url))
  await body.dump()
  return statusCode
}
