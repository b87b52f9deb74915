// What a session is told about itself, whatever its database or role have been told (ALTER DATABASE … SET, ALTER ROLE … SET): all that would
// change the meaning of our statements, the text that comes back, or what they cost.
import type { Sql } from 'postgres'

/** What stands between us and PostgreSQL, in PgBouncer's words. */
export type Pooler = 'session' | 'transaction' | undefined

export interface SessionOptions {
  applicationName: string
  synchronousCommit: 'on' | 'off'
  /** the server ends a statement after this: what a caller gave up on does not go on for ever; 0 is never */
  statementTimeoutMs: number
}

export interface Session {
  /** for the first message to the server */
  startParameters: Record<string, string>
  /** Run after that, unless it is empty. */
  setUp: string
  /** Opens a transaction in which all of it counts, for a pooler that gives each one another session. */
  begin(statementTimeoutMs: number): string
}

/** PgBouncer takes these from the first message, remembers them for each client, and refuses all others (08P01). */
const pooled = {
  DateStyle: 'ISO, MDY',
  TimeZone: 'UTC',
  standard_conforming_strings: 'on',
}

const ours = {
  IntervalStyle: 'postgres',
  bytea_output: 'hex',
  extra_float_digits: '1',
  search_path: 'public',
  array_nulls: 'on',
  transform_null_equals: 'off',
  exit_on_error: 'off',
  client_min_messages: 'warning', // nobody's default, so it tells whether the settings have arrived
  default_transaction_isolation: 'read committed',
  default_transaction_read_only: 'off',
  default_transaction_deferrable: 'off',
  lock_timeout: '0', // a statement's own deadline covers its locks
  plan_cache_mode: 'force_generic_plan', // to plan the hot statements anew each time takes several times as long as to run them
}

export function session(pooler: Pooler, { applicationName, synchronousCommit, statementTimeoutMs }: SessionOptions): Session {
  const settings = (timeoutMs: number) => ({
    ...ours,
    synchronous_commit: synchronousCommit,
    statement_timeout: String(Math.ceil(timeoutMs)),
    idle_in_transaction_session_timeout: String(Math.ceil(timeoutMs)),
  })
  const first = { application_name: applicationName, ...pooled }
  return {
    startParameters: pooler === undefined ? { ...first, ...settings(statementTimeoutMs) } : first,
    setUp: pooler === 'session' ? assignments('set', settings(statementTimeoutMs)) : '',
    begin: (timeoutMs) =>
      `begin isolation level read committed, read write, not deferrable; ${assignments('set local', settings(timeoutMs))}`,
  }
}

/** The first of them lifts a timeout that would end the others. */
function assignments(verb: string, settings: Record<string, string>): string {
  const { statement_timeout = '0', ...others } = settings
  const all = Object.entries({ statement_timeout, ...others })
  return all.map(([name, value]) => `${verb} ${name} = ${name === 'search_path' ? value : `'${value}'`}`).join('; ')
}

export interface Server {
  standby: boolean
  encoding: string
  /** false when something between took the settings and dropped them (PgBouncer's ignore_startup_parameters) */
  settingsArrived: boolean
}

/** One round trip to the end of the way. Two timeouts are younger than the oldest PostgreSQL that we run on, so they are lifted where they are. */
export async function lookAt(sql: Sql, pooler: Pooler): Promise<Server> {
  const young = pooler === 'transaction' ? [] : ['idle_session_timeout', 'transaction_timeout'] // there it would be for others, too
  const lift = young.map(
    (name) => `, case when current_setting('${name}', true) <> '0' then set_config('${name}', '0', false) end`,
  )
  const [server] = await sql.unsafe<Server[]>(
    `select pg_is_in_recovery() as standby, current_setting('server_encoding') as encoding,
      current_setting('client_min_messages') = '${ours.client_min_messages}' as settings_arrived ${lift.join('')}`,
  )
  if (!server) throw new Error('the server answers a select with no row')
  return server
}
