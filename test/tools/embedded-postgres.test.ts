// The PostgreSQL for machines that have none: from whatever folder it is started, under whatever account, and however it is ended.
import { type ChildProcess, execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import postgres from 'postgres'
import t, { type Test } from 'tap'
import { type EmbeddedPostgres, runningEmbeddedPostgres, startEmbeddedPostgres } from '../../tools/embedded-postgres/embedded.ts'
import type { Account } from '../../tools/embedded-postgres/home.ts'
import { isPostgres } from '../../tools/embedded-postgres/server.ts'
import { ownFolder } from '../folder.ts'
import { eventually } from '../rig/eventually.ts'
import { ownNode } from '../rig/own-node.ts'
import { removeHome, type SmallClone, smallClone } from '../rig/small-clone.ts'

async function temporaryDirectory(t: Test): Promise<string> {
  const directory = await ownFolder(t, 'embedded')
  t.teardown(async () => {
    await removeHome(directory)
  })
  return directory
}

async function start(t: Test, dataDir: string, log?: (message: string) => void): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({ dataDir, throwaway: true, ...(log && { log }) })
  t.teardown(() => server.stop())
  return server
}

async function ask(url: string, statement: string): Promise<Record<string, unknown>[]> {
  const sql = postgres(url, { max: 1, onnotice: () => {} })
  try {
    return await sql.unsafe(statement)
  } finally {
    await sql.end()
  }
}

interface Owner {
  owner: ChildProcess & { pid: number }
  url: string
  serverPid: number
}

/** Another process that owns a server, with a process group of its own as under a terminal. */
async function owner(t: Test, dataDir: string, from: { clone?: SmallClone; account?: Account | undefined } = {}): Promise<Owner> {
  const script = from.clone?.owner ?? fileURLToPath(new URL('../rig/embedded-owner.ts', import.meta.url))
  const [execPath, execArgv] = ownNode([])
  const child = fork(script, [dataDir], {
    detached: true,
    execPath,
    execArgv,
    // Without what the test runner loads and keeps, which lies where another account may not look.
    ...(from.clone && { execArgv: ['-u', 'NODE_OPTIONS', from.clone.node], cwd: '/', env: {} }),
    ...from.account,
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  let complaint = ''
  child.stderr?.on('data', (data) => {
    complaint += data
  })
  const message = once(child, 'message') as Promise<[string]>
  const ended = once(child, 'close').then(() => Promise.reject(new Error(complaint)))
  ended.catch(() => {})
  const [url] = await Promise.race([message, ended])
  const pid = await serverPid(dataDir)
  t.teardown(async () => {
    child.kill('SIGKILL')
    await eventually('its server has ended', () => isGone(pid))
  })
  return { owner: child as ChildProcess & { pid: number }, url, serverPid: pid }
}

async function serverPid(dataDir: string): Promise<number> {
  return Number.parseInt(await readFile(join(dataDir, 'postgres', 'cluster', 'data', 'postmaster.pid'), 'utf8'), 10)
}

/** A first start is most of what such a test costs, so all that is not about first starts has one cluster. */
const used = await temporaryDirectory(t)

const isGone = async (pid: number) => !(await isPostgres(pid))

t.test('a first start makes a cluster that only this machine reaches, and a second start finds its data again', async (t) => {
  const startedAtMs = performance.now()
  const first = await start(t, used)
  t.comment(`first start: ${Math.round(performance.now() - startedAtMs)} ms`)
  const [facts] = await ask(
    first.url,
    `select current_setting('server_encoding') as encoding, current_setting('listen_addresses') as listens, datcollate, current_setting('TimeZone') as zone
     from pg_database where datname = current_database()`,
  )
  t.same(facts, { encoding: 'UTF8', listens: '127.0.0.1', datcollate: 'C', zone: 'UTC' })
  await ask(first.url, `create table kept as select 'yes' as still`)
  await first.stop()
  await t.resolves(first.stop(), 'stopping again is harmless')
  await t.rejects(ask(first.url, 'select 1'))

  const againAtMs = performance.now()
  const second = await start(t, used)
  t.comment(`second start: ${Math.round(performance.now() - againAtMs)} ms`)
  t.same(await ask(second.url, 'select still from kept'), [{ still: 'yes' }])
})

t.test('the password is random, needed, and readable for nobody else', async (t) => {
  const server = await start(t, used)
  const file = join(used, 'postgres', 'cluster', 'password')
  const password = (await readFile(file, 'utf8')).trim()
  t.match(password, /^[\w-]{32}$/)
  t.equal((await stat(file)).mode & 0o777, 0o600)
  t.equal(new URL(server.url).password, password)
  for (const wrong of ['', 'postgres', 'password']) {
    const url = new URL(server.url)
    url.password = wrong
    await t.rejects(ask(url.href, 'select 1'), { code: '28P01' })
  }
})

t.test('a data directory in use is refused, with whom to stop', async (t) => {
  const { owner: neighbour, url } = await owner(t, used)
  await t.rejects(start(t, used), new RegExp(`in use by process ${neighbour.pid}: stop that first.*DATA_DIR.*DATABASE_URL`))
  t.same(await ask(url, 'select 1 as fine'), [{ fine: 1 }], 'and the neighbour is not disturbed')
})

t.test('the command line joins the server that runs, and sees when none does', async (t) => {
  t.equal(await runningEmbeddedPostgres(await temporaryDirectory(t)), undefined)
  const server = await start(t, used)
  t.equal(await runningEmbeddedPostgres(used), server.url)
  await server.stop()
  t.equal(await runningEmbeddedPostgres(used), undefined)
})

t.test('two first starts at once make one cluster; one serves, the other is refused', async (t) => {
  const dataDir = await temporaryDirectory(t)
  const starts = await Promise.allSettled([start(t, dataDir), start(t, dataDir)])
  t.same(starts.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
  t.match(
    starts.find(({ status }) => status === 'rejected'),
    { reason: /in use|already exists/ },
  )
  t.same(await whatLiesIn(dataDir), ['cluster', 'owner.pid'])
})

/** Root may start it for another account, which then has to reach everything; a user starts it as themselves. */
const starters: { who: string; account?: Account }[] = [{ who: 'a user' }]
if (process.getuid?.() === 0) {
  const [uid, gid] = ['-u', '-g'].map((flag) => Number(execFileSync('id', [flag, 'nobody'])))
  starters.splice(0, 1, { who: 'root' }, { who: 'a user', account: { uid: uid ?? 0, gid: gid ?? 0 } })
}

for (const { who, account } of starters) {
  t.test(`${who} starts it from a clone with a space and an umlaut in its path`, async (t) => {
    const clone = await smallClone(t, 0o755, account)
    const { url } = await owner(t, clone.dataDir, { clone, account })
    t.same(await ask(url, 'select count(*)::int from stored'), [{ count: 0 }])
  })

  t.test(`two first starts at once by ${who} from such a clone that only they may enter`, async (t) => {
    const clone = await smallClone(t, 0o700, account)
    const starts = await Promise.allSettled([1, 2, 3].map(() => owner(t, clone.dataDir, { clone, account })))
    const refusals = starts.flatMap((outcome) => (outcome.status === 'rejected' ? [String(outcome.reason)] : []))
    t.equal(refusals.length, 2, 'one serves')
    for (const refusal of refusals) t.match(refusal, /in use|already exists/)
    for (const served of starts.filter(({ status }) => status === 'fulfilled') as PromiseFulfilledResult<Owner>[])
      t.same(await ask(served.value.url, 'select count(*)::int from stored'), [{ count: 0 }])
    t.same(await whatLiesIn(clone.dataDir), ['cluster', 'owner.pid'])
  })
}

/** Without the copy of PostgreSQL's programs, which is made where they cannot be run from the package. */
async function whatLiesIn(dataDir: string): Promise<string[]> {
  const names = await readdir(join(dataDir, 'postgres'))
  return names.filter((name) => !/^native-[\w.-]+$/.test(name) || name.includes('.new-')).sort()
}

t.test('Ctrl-C reaches the whole process group, and the server lives until its owner stops it', async (t) => {
  const { owner: child, serverPid: pid } = await owner(t, used)
  process.kill(-child.pid, 'SIGINT')
  const [exitCode] = await once(child, 'exit')
  t.equal(exitCode, 0)
  t.ok(await isGone(pid))
  const server = await start(t, used)
  t.same(await ask(server.url, 'select what from stored'), [{ what: 'after ctrl-c' }])
})

t.test('a killed owner does not leave its server running', { skip: process.platform === 'win32' && 'no shell' }, async (t) => {
  const { owner: child, serverPid: pid } = await owner(t, used)
  child.kill('SIGKILL')
  await eventually('the server is shut down', () => isGone(pid))
  await t.resolves(start(t, used))
})

t.test('a start right after the kill waits for the old server to end', async (t) => {
  const { owner: child, url } = await owner(t, used)
  await ask(url, `insert into stored values ('before the kill')`)
  child.kill('SIGKILL')
  await once(child, 'exit')
  const server = await start(t, used)
  t.same(await ask(server.url, `select what from stored where what like '%kill'`), [{ what: 'before the kill' }])
})

t.test('a killed server leaves a stale postmaster.pid, and the next start recovers', async (t) => {
  const told: string[] = []
  const first = await start(t, used, (message) => told.push(message))
  await ask(first.url, `create table recovered as select 'yes' as still`)
  process.kill(await serverPid(used), 'SIGKILL')
  // Where the data and the programs were put, it may have told before.
  await eventually('its owner hears of it', () => told.some((line) => /ended by itself/.test(line)))
  t.match(told.at(-1), /ended by itself \(SIGKILL\); start the service again/)
  await first.stop()
  const second = await start(t, used)
  t.same(await ask(second.url, 'select still from recovered'), [{ still: 'yes' }])
})

t.test('stale files whose numbers belong to other processes by now do not stand in the way', async (t) => {
  const first = await start(t, used)
  const file = join(used, 'postgres', 'cluster', 'data', 'postmaster.pid')
  const text = await readFile(file, 'utf8')
  await first.stop()
  await writeFile(file, text.replace(/^\d+/, String(process.pid)))
  await writeFile(join(used, 'postgres', 'owner.pid'), `${process.pid}\n`)
  await t.resolves(start(t, used))
})

t.test('a server that does not start says why', async (t) => {
  const starting = startEmbeddedPostgres({ dataDir: used, throwaway: true, settings: { shared_buffers: 'nonsense' } })
  await t.rejects(starting, /does not start:\n.*shared_buffers/s)
})
