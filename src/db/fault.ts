// What an error from the database says about the database: nothing, a moment to wait, a dead connection, a wrong server.
import postgres from 'postgres'

/**
 * - `busy`: the statement was undone and the connection is well; trying later may work
 * - `connection`: this connection is gone, and nobody knows whether the statement took effect
 * - `server`: the server cannot be reached, is shutting down, or takes no writes: no connection to it is worth keeping
 */
export type Fault = 'busy' | 'connection' | 'server'

const driverFaults: Record<string, Fault> = {
  CONNECTION_CLOSED: 'connection',
  CONNECTION_DESTROYED: 'connection',
  CONNECTION_ENDED: 'connection',
  ECONNRESET: 'connection',
  EPIPE: 'connection',
  ECONNABORTED: 'connection',
  CONNECT_TIMEOUT: 'server',
  ECONNREFUSED: 'server',
  ETIMEDOUT: 'server',
  EHOSTUNREACH: 'server',
  EHOSTDOWN: 'server',
  ENETUNREACH: 'server',
  ENETDOWN: 'server',
  ENOTFOUND: 'server',
  EAI_AGAIN: 'server',
}

/** PostgreSQL's error codes (appendix A of its manual), most telling first; a code is looked up whole, then by its class. */
const stateFaults: Record<string, Fault> = {
  '57P01': 'connection', // admin_shutdown: this backend was told to go
  '57P05': 'connection', // idle_session_timeout
  '57P02': 'server', // crash_shutdown
  '57P03': 'server', // cannot_connect_now: starting up, shutting down
  '25006': 'server', // read_only_sql_transaction: a standby, or a primary that was demoted
  '25P03': 'connection', // idle_in_transaction_session_timeout
  '57014': 'busy', // query_canceled: statement_timeout
  '55P03': 'busy', // lock_not_available
  '40001': 'busy', // serialization_failure
  '40P01': 'busy', // deadlock_detected
  '08': 'connection',
  '53': 'busy', // insufficient resources: too many connections, out of memory, disk full
}

/** @returns undefined for an error that is about the statement, such as a violated constraint */
export function faultOf(error: unknown): Fault | undefined {
  const code = codeOf(error)
  if (code === undefined) return undefined
  if (isPostgresError(error)) return stateFaults[code] ?? stateFaults[code.slice(0, 2)]
  return driverFaults[code]
}

export function isPostgresError(error: unknown): error is postgres.PostgresError {
  return error instanceof postgres.PostgresError
}

const unreachable = 'The host of DATABASE_URL does not answer: look at the address, and at what stands between.'
const unknownHost = 'The host of DATABASE_URL is not known: correct its name.'
const refusedLogin =
  'PostgreSQL refuses the user or the password of DATABASE_URL: correct them, or admit that user in pg_hba.conf.'

const remedies: Record<string, string> = {
  ECONNREFUSED: 'Nothing listens at the host and port of DATABASE_URL: start PostgreSQL, or correct the address.',
  ENOTFOUND: unknownHost,
  EAI_AGAIN: unknownHost,
  CONNECT_TIMEOUT: unreachable,
  ETIMEDOUT: unreachable,
  EHOSTUNREACH: unreachable,
  ENETUNREACH: unreachable,
  '28P01': refusedLogin, // invalid_password
  '28000': refusedLogin, // invalid_authorization_specification
  '3D000': 'PostgreSQL has no database of the name in DATABASE_URL: create it (`createdb NAME`), or correct the name.', // invalid_catalog_name
  '42501':
    'The role of DATABASE_URL lacks a right: the owner of the tables runs `npm run --silent cli -- migrate` (see ops/roles.sql).', // insufficient_privilege
  '53300': 'PostgreSQL has no connection left: raise its max_connections, or end what holds them.', // too_many_connections
  '25006': 'DATABASE_URL names a server that takes no writes: name the primary.', // read_only_sql_transaction
}

/** Errors of the network that were met on the way to PostgreSQL: on other ways there are others with the same codes. */
const metOnTheWay = new WeakSet<Error>()

/** @returns the same error, which `remedyOf` can tell from others now */
export function onTheWay(error: unknown): unknown {
  if (error instanceof Error) metOnTheWay.add(error)
  return error
}

/** What whoever starts a program can do about an error from the database, or one that was caused by it. Never the server's own words: they may hold anything. */
export function remedyOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  const remedy = isPostgresError(error) || metOnTheWay.has(error) ? remedies[codeOf(error) ?? ''] : undefined
  return remedy ?? remedyOf(error.cause)
}

function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}
