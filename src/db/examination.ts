// What `doctor` asks PostgreSQL: the server, the role and what is there, by reading alone and over connections that change nothing of a
// session, so that a pooler may hand it on.
import { type DatabaseLink, readDatabaseUrl } from '../settings/database-url.ts'
import { type Connection, openConnection, type Sql } from './connection.ts'
import { isThere } from './install.ts'
import type { Row, vaultKeys } from './schema.ts'
import type { Pooler } from './session.ts'

const applicationName = 'tiktok-oauth-doctor'
const statementTimeoutMs = 2_000

export interface ServerFacts {
  version: string
  versionNumber: number
  role: string
  now: Date
  encrypted: boolean
  isSuperuser: boolean
  isOwner: boolean
  maxConnections: number
  /** of the role and of the database; -1: none */
  roleLimit: number
  databaseLimit: number
  /** synchronous_standby_names */
  waitsFor: string
  followers: number
  /** settings with which a crash of the server loses what it has confirmed */
  unsafe: string[]
  /** what is missing to make the tables */
  cannotCreate: string[]
}

/** What the database remembers of the service, as far as the role may read it. */
export interface Memory {
  databaseId: string | undefined
  canaries: Row<typeof vaultKeys, 'keyId' | 'sealedCanary'>[]
  /** by the ids of recoveries that are open */
  openRecoveries: string[]
  /** scopes that any of the newest accounts was granted; undefined: there are no accounts */
  grantedScopes: string[] | undefined
  ownerId: string | undefined
}

/**
 * @param pooler `transaction` for a connection that sets nothing for its session, whatever stands between
 * @throws what openConnection throws
 */
export async function openForReading(link: DatabaseLink, pooler: Pooler, timeoutMs: number): Promise<Connection> {
  const address = readDatabaseUrl(link)
  return openConnection({ address, pooler, applicationName, synchronousCommit: 'on', statementTimeoutMs }, timeoutMs)
}

export function read<T>(connection: Connection, work: (sql: Sql) => PromiseLike<T>): Promise<T> {
  return connection.run(work, statementTimeoutMs)
}

/** The number of the process that serves this connection: two connections that share one stand before a pooler. */
export async function backendOf(sql: Sql): Promise<number> {
  const [row] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`
  return row?.pid ?? 0
}

export async function readServer(sql: Sql): Promise<ServerFacts> {
  const rows = await sql<ServerFacts[]>`
    select current_setting('server_version') as version, current_setting('server_version_num')::int as version_number,
      current_user as role, clock_timestamp() as now,
      coalesce((select ssl from pg_stat_ssl where pid = pg_backend_pid()), false) as encrypted,
      r.rolsuper as is_superuser, r.rolconnlimit as role_limit, d.datconnlimit as database_limit,
      coalesce((select pg_has_role(c.relowner, 'usage') from pg_class c where c.oid = to_regclass('public.accounts')), false) as is_owner,
      current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int as max_connections,
      current_setting('synchronous_standby_names') as waits_for, (select count(*)::int from pg_stat_replication) as followers,
      array(select name from pg_settings where name in ('fsync', 'full_page_writes') and setting = 'off') as unsafe,
      array_remove(array[
        case when not has_schema_privilege('public', 'create') then 'CREATE ON SCHEMA public' end,
        case when to_regnamespace('drizzle') is null and not has_database_privilege(current_database(), 'create')
          then 'CREATE ON DATABASE' end], null) as cannot_create
    from pg_roles r, pg_database d where r.rolname = current_user and d.datname = current_database()`
  const [facts] = rows
  if (!facts) throw new Error('the server knows neither the role nor the database that it let in')
  return facts
}

/** What the service does with its tables, functions and sequences and the role may not, as roles.sql would grant it. */
export async function readMissingRights(sql: Sql): Promise<string[]> {
  if (!(await isThere(sql, 'public.accounts'))) return []
  const rows = await sql<{ lacks: string }[]>`
    with ours as materialized (
      select c.oid, c.relname as name, c.relkind as kind from pg_class c
      where c.relnamespace = 'public'::regnamespace and not c.relispartition
        and c.relowner = (select relowner from pg_class where oid = 'public.accounts'::regclass)
    ), wanted as (
      select format('SELECT ON %I', name) as lacks, has_table_privilege(oid, 'select') as has from ours where kind in ('r', 'p')
      union all select format('INSERT ON %I', name), has_any_column_privilege(oid, 'insert') from ours
        where kind in ('r', 'p') and name <> 'api_keys'
      union all select format('UPDATE ON %I', name), has_any_column_privilege(oid, 'update') from ours
        where kind in ('r', 'p') and name not in ('token_reads', 'timeline', 'audit_log', 'audit_days')
      union all select format('DELETE ON %I', name), has_table_privilege(oid, 'delete') from ours
        where kind in ('r', 'p') and name not in ('token_reads', 'timeline', 'audit_log', 'audit_days', 'api_keys', 'vault_keys')
      union all select format('USAGE ON SEQUENCE %I', name), case when kind = 'S' then has_sequence_privilege(oid, 'usage') else true end from ours
      union all select format('EXECUTE ON FUNCTION %I', p.proname), has_function_privilege(p.oid, 'execute') from pg_proc p
        where p.pronamespace = 'public'::regnamespace and p.proowner = (select relowner from pg_class where oid = 'public.accounts'::regclass)
      union all select format('USAGE ON SCHEMA %I', n.nspname), has_schema_privilege(n.oid, 'usage') from pg_namespace n
        where n.nspname in ('public', 'drizzle')
      union all select format('SELECT ON drizzle.%I', c.relname), has_table_privilege(c.oid, 'select') from pg_class c
        where c.relnamespace = to_regnamespace('drizzle') and c.relkind = 'r'
    )
    select lacks from wanted where not has order by lacks`
  return rows.map(({ lacks }) => lacks)
}

export async function readMemory(sql: Sql): Promise<Memory> {
  const may = async (table: string) => {
    const [row] = await sql<{ may: boolean }[]>`
      select coalesce(has_schema_privilege('public', 'usage') and has_table_privilege(to_regclass(${table}), 'select'), false) as may`
    return row?.may === true
  }
  const [epoch, keys, recoveries, accounts] = [
    await may('public.epoch'),
    await may('public.vault_keys'),
    await may('public.recoveries'),
    await may('public.accounts'),
  ]
  const [identity] = epoch ? await sql<{ databaseId: string }[]>`select database_id from epoch` : []
  const open = recoveries ? await sql<{ id: string }[]>`select id from recoveries where ended_at is null` : []
  const [newest] = accounts
    ? await sql<{ scopes: string[] | null; ownerId: string | null }[]>`
        with newest as (select scopes, owner_id from accounts order by id desc limit 200)
        select (select array_agg(distinct scope) from newest, unnest(scopes) as scope) as scopes,
          (select owner_id from newest where owner_id is not null limit 1) as owner_id`
    : []
  return {
    databaseId: identity?.databaseId,
    canaries: keys ? await sql<Memory['canaries']>`select key_id, sealed_canary from vault_keys` : [],
    openRecoveries: open.map(({ id }) => id),
    grantedScopes: newest?.scopes ?? undefined,
    ownerId: newest?.ownerId ?? undefined,
  }
}
