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

/** Whether the error came from the connection or the server's state, and not from the statement. */
export function isConnectionError(error: unknown): boolean {
  const fault = faultOf(error)
  return fault === 'connection' || fault === 'server'
}

/** @param constraint the name of the constraint or unique index; any, when not given */
export function isUniqueViolation(error: unknown, constraint?: string): error is postgres.PostgresError {
  if (!isPostgresError(error) || error.code !== '23505') return false
  return constraint === undefined || error.constraint_name === constraint
}

function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}
