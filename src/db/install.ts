// Installs the database's functions. Each has one file in functions/ that is its present definition; the migrator calls this after the
// tables and under its lock, whenever the content of a file changed.
//
// Replicas of the release before go on running, on the new definitions. That is what a function has to bear:
//
// - A signature that was released stays: its name, the names and types of its arguments, and its result. PostgreSQL refuses to
//   replace a function whose result or argument names differ, and takes other argument types for another function.
// - New input is a new key of the function's jsonb argument, and the function does without it.
// - Everything else is a new function in a new file. The old file stays for one release; the release after it drops the function in
//   a migration.
//
// A process of an older release leaves newer definitions alone, so a restart during a rollout does not bring the old ones back.
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { Sql } from './connection.ts'

/** The functions of one release of this service. */
export interface Release {
  /** of package.json; tells who is older */
  version: string
  functions: readonly SqlFunction[]
}

export interface SqlFunction {
  name: string
  /** CREATE OR REPLACE FUNCTION, and what else belongs to it, such as a REVOKE */
  definition: string
}

let ours: Promise<Release> | undefined

/** Read once: a process is of one release, whatever is deployed over its files meanwhile. */
export function readRelease(): Promise<Release> {
  ours ??= readFunctions()
  return ours
}

/** Those that are missing, or differ and are not of a younger release. */
export async function functionsToInstall(sql: Sql, { version, functions }: Release): Promise<SqlFunction[]> {
  const installed = await installedFunctions(sql)
  return functions.filter(({ name, definition }) => {
    const present = installed.get(name)
    return !present || (present.hash !== hashOf(definition) && !isOlder(version, present.version))
  })
}

/**
 * Whether every function is there, in the definition of this release or of one that came later. Another build of the same release may have
 * installed its own: that is no reason to stop serving.
 */
export async function functionsInstalled(sql: Sql, { version, functions }: Release): Promise<boolean> {
  const installed = await installedFunctions(sql)
  return functions.every(({ name, definition }) => {
    const present = installed.get(name)
    return present !== undefined && (present.hash === hashOf(definition) || !isOlder(present.version, version))
  })
}

/** Names of functions that a younger release has installed, its new ones included. */
export async function functionsOfYounger(sql: Sql, { version }: Release): Promise<string[]> {
  const installed = await installedFunctions(sql)
  return [...installed].filter(([, present]) => isOlder(version, present.version)).map(([name]) => name)
}

/** All or none, in one transaction. The caller holds the migrator's lock: two at once would fail on each other's rows. */
export async function installFunctions(sql: Sql, functions: readonly SqlFunction[], version: string): Promise<void> {
  const definitions = functions.map(({ definition }) => definition)
  const records = functions.map(({ name, definition }) => `('${name}', '${hashOf(definition)}', '${version}')`)
  const statements = [
    // They call each other, so the first pass takes them in any order, and the second has PostgreSQL check each.
    'set check_function_bodies = off',
    ...definitions,
    'set check_function_bodies = on',
    ...definitions,
    `create table if not exists drizzle.installed_functions (
      name text primary key, hash text not null, version text not null, installed_at timestamptz not null default now())`,
    `insert into drizzle.installed_functions (name, hash, version) values ${records.join(', ')}
      on conflict (name) do update set hash = excluded.hash, version = excluded.version, installed_at = now()`,
  ]
  await sql.unsafe(statements.join('\n;\n'))
}

async function readFunctions(): Promise<Release> {
  const folder = new URL('functions/', import.meta.url)
  const files = (await readdir(fileURLToPath(folder))).filter((file) => file.endsWith('.sql')).sort()
  const [manifest = '', ...definitions] = await Promise.all(
    [new URL('../../package.json', import.meta.url), ...files.map((file) => new URL(file, folder))].map((url) =>
      readFile(url, 'utf8'),
    ),
  )
  const { version } = JSON.parse(manifest) as { version: string }
  return {
    version,
    functions: definitions.map((definition, index) => ({ name: (files[index] ?? '').replace('.sql', ''), definition })),
  }
}

async function installedFunctions(sql: Sql): Promise<Map<string, { hash: string; version: string }>> {
  if (!(await isThere(sql, 'drizzle.installed_functions'))) return new Map()
  const rows = await sql<
    { name: string; hash: string; version: string }[]
  >`select name, hash, version from drizzle.installed_functions`
  return new Map(rows.map((row) => [row.name, row]))
}

/** Asked instead of tried: a statement that fails would take the transaction with it, which is what a pooler makes of our sessions. */
export async function isThere(sql: Sql, table: string): Promise<boolean> {
  const [row] = await sql<{ there: boolean }[]>`select to_regclass(${table}) is not null as there`
  return row?.there === true
}

const hashOf = (text: string) => createHash('sha256').update(text).digest('hex')

const isOlder = (version: string, other: string) => version.localeCompare(other, 'en', { numeric: true }) < 0
