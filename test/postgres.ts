// Databases for tests: each has its own, copied from a template that was migrated once, on the server of this test run. The
// first test that asks for one starts the server, so that a test without a database pays nothing for it.
import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import postgres from 'postgres'
import { migrate } from '../src/db/migrate.ts'
import { eventually } from './rig/eventually.ts'
import { ownNode } from './rig/own-node.ts'
import type { Running } from './rig/postgres-keeper.ts'

interface Teardown {
  teardown(work: () => unknown): unknown
}

/** @returns a migrated database that nobody else uses; it is dropped after the test, open connections or not */
export async function freshDatabase(t: Teardown): Promise<{ url: string }> {
  const template = `migrated_${migrationsHash().slice(0, 16)}`
  try {
    return await createDatabase(t, template)
  } catch (error) {
    if (!(error instanceof postgres.PostgresError) || error.code !== '3D000') throw error // invalid_catalog_name
    await makeTemplate(template)
    return await createDatabase(t, template)
  }
}

/** @returns a database without any table of ours */
export function emptyDatabase(t: Teardown): Promise<{ url: string }> {
  return createDatabase(t, 'template0')
}

async function createDatabase(t: Teardown, template: string): Promise<{ url: string }> {
  const name = `test_${randomBytes(8).toString('hex')}`
  await onServer(async (sql) => {
    // Through the log, as PostgreSQL copies since its 15, it costs twice as much.
    const [server] = await sql`select current_setting('server_version_num')::int >= 150000 as may_choose`
    await sql.unsafe(`create database ${name} template ${template} ${server?.may_choose ? 'strategy file_copy' : ''}`)
  })
  t.teardown(() => onServer((sql) => sql.unsafe(`drop database if exists ${name} with (force)`)))
  return { url: await urlOf(name) }
}

/** Made under another name and renamed, so that it is only ever seen whole; the lock lets one test file make it. */
async function makeTemplate(template: string): Promise<void> {
  const draft = `${template}_draft`
  await onServer(async (sql) => {
    await sql`select pg_advisory_lock(hashtext(${template}))`
    const [made] = await sql`select from pg_database where datname = ${template}`
    if (made) return
    await sql.unsafe(`drop database if exists ${draft} with (force)`)
    await sql.unsafe(`create database ${draft} template template0`)
    await migrate(await urlOf(draft))
    await sql.unsafe(`alter database ${draft} rename to ${template}`)
  })
}

async function onServer<T>(work: (sql: postgres.Sql) => PromiseLike<T>): Promise<T> {
  const sql = postgres(await serverUrl(), { max: 1, onnotice: () => {} })
  try {
    return await work(sql)
  } finally {
    await sql.end()
  }
}

async function urlOf(database: string): Promise<string> {
  const url = new URL(await serverUrl())
  url.pathname = database
  return url.href
}

let known: Promise<string> | undefined

function serverUrl(): Promise<string> {
  known ??= process.env.TEST_DATABASE_URL ? Promise.resolve(process.env.TEST_DATABASE_URL) : serverOfThisRun()
  return known
}

/** Test files of one run share a server. Its keeper is started by whoever makes the file `….starting` first. */
async function serverOfThisRun(): Promise<string> {
  // Tap is the parent of its test files; a file that runs by itself is a run of its own.
  const runnerPid = process.env.TAP_CHILD_ID === undefined ? process.pid : process.ppid
  const folder = fileURLToPath(new URL('../.tap/postgres', import.meta.url))
  const file = join(folder, `${runnerPid}.json`)
  const read = async () => JSON.parse(await readFile(file, 'utf8').catch(() => 'null')) as Running | null
  await mkdir(folder, { recursive: true })
  await writeFile(`${file}.starting`, '', { flag: 'wx' }).then(
    () => startKeeper(runnerPid, file),
    (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    },
  )
  let running = await read()
  await eventually("the tests' PostgreSQL has started", async () => {
    running = await read()
    return running !== null
  })
  if (running && 'url' in running) return running.url
  throw new Error(`The tests' PostgreSQL did not start: ${running?.trouble}`)
}

function startKeeper(runnerPid: number, file: string): void {
  const script = fileURLToPath(new URL('rig/postgres-keeper.ts', import.meta.url))
  spawn(...ownNode([script, String(runnerPid), file]), { detached: true, stdio: 'ignore' }).unref()
}

function migrationsHash(): string {
  const hash = createHash('sha256')
  for (const path of ['../drizzle', '../src/db/functions']) {
    const folder = fileURLToPath(new URL(path, import.meta.url))
    for (const name of readdirSync(folder).sort()) {
      if (name.endsWith('.sql')) hash.update(name).update(readFileSync(join(folder, name)))
    }
  }
  return hash.digest('hex')
}
