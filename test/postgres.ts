// Databases for tests: each has its own, copied from a template that was migrated once, on the server of this test run.
import { createHash, randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import postgres from 'postgres'
import { migrate } from '../src/db/migrate.ts'
import { type RunningServer, serverFile } from './rig/running-server.ts'

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
  await onServer((sql) => sql.unsafe(`create database ${name} template ${template}`))
  t.teardown(() => onServer((sql) => sql.unsafe(`drop database if exists ${name} with (force)`)))
  return { url: urlOf(name) }
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
    await migrate(urlOf(draft))
    await sql.unsafe(`alter database ${draft} rename to ${template}`)
  })
}

async function onServer<T>(work: (sql: postgres.Sql) => PromiseLike<T>): Promise<T> {
  const sql = postgres(serverUrl(), { max: 1, onnotice: () => {} })
  try {
    return await work(sql)
  } finally {
    await sql.end()
  }
}

function urlOf(database: string): string {
  const url = new URL(serverUrl())
  url.pathname = database
  return url.href
}

let knownServerUrl = process.env.TEST_DATABASE_URL

function serverUrl(): string {
  if (!knownServerUrl) {
    try {
      const running = JSON.parse(readFileSync(serverFile(process.ppid), 'utf8')) as RunningServer
      knownServerUrl = running.url
    } catch (cause) {
      throw new Error('No PostgreSQL for this test: run it with `npx tap test/…`, or set TEST_DATABASE_URL', { cause })
    }
  }
  return knownServerUrl
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
