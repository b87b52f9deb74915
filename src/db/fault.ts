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
  NOT_A_PRIMARY: 'server',
  ENOENT: 'server', // of a Unix socket
}

/** PostgreSQL's error codes (appendix A of its manual), most telling first; a code is looked up whole, then by its class. */
const stateFaults: Record<string, Fault> = {
  '57P01': 'connection', // admin_shutdown: this backend was told to go
  '57P05': 'connection', // idle_session_timeout
  '57P02': 'server', // crash_shutdown
  '57P03': 'server', // cannot_connect_now: starting up, shutting down
  '57P04': 'server', // database_dropped
  '25006': 'server', // read_only_sql_transaction: a standby, or a primary that was demoted
  '25P03': 'connection', // idle_in_transaction_session_timeout
  '57014': 'busy', // query_canceled: statement_timeout
  '55P03': 'busy', // lock_not_available
  '40001': 'busy', // serialization_failure
  '40P01': 'busy', // deadlock_detected
  '08': 'connection',
  '53': 'busy', // insufficient resources: too many connections, out of memory, disk full
  '58': 'busy', // system error: a disk that fails
}

/** @returns undefined for an error that is about the statement, such as a violated constraint */
export function faultOf(error: unknown): Fault | undefined {
  const code = codeOf(error)
  if (code === undefined) return undefined
  // PgBouncer says this of a start parameter that it does not take, and will say so for ever.
  if (code === '08P01' && isPostgresError(error) && error.message.includes('startup parameter')) return undefined
  if (isPostgresError(error)) return stateFaults[code] ?? stateFaults[code.slice(0, 2)]
  return driverFaults[code]
}

export function isPostgresError(error: unknown): error is postgres.PostgresError {
  return error instanceof postgres.PostgresError
}

/** What whoever runs the service does about it; `where` is `HOST:PORT` or the path of a socket. */
type Remedy = (where: string) => string

const unreachable: Remedy = (where) =>
  `${where}, which DATABASE_URL names, does not answer: look at the address, and at what stands between.`
const unknownHost: Remedy = (where) => `The host of DATABASE_URL is not known (${where}): correct its name.`
const hangsUp: Remedy = (where) =>
  `${where} hangs up on every new connection: look into the log of PostgreSQL, or of what stands before it.`
const unknownAuthority: Remedy = (where) =>
  `The certificate of ${where} is of an authority that is not known here: name its PEM file in DATABASE_URL (sslrootcert=FILE), or sslrootcert=system for those of this machine.`
const outOfDate: Remedy = (where) =>
  `The certificate of ${where} is out of date, or this machine's clock is: renew it, or set the clock.`

const sharedSession: Remedy = (where) =>
  `${where} gives each transaction another session, as PgBouncer does with pool_mode=transaction: set DATABASE_POOLER=transaction.`

const remedies: Record<string, Remedy> = {
  ECONNREFUSED: (where) => `Nothing listens at ${where}, which DATABASE_URL names: start PostgreSQL, or correct the address.`,
  ENOENT: (where) =>
    `There is no socket ${where}, which DATABASE_URL names: start PostgreSQL, or correct the directory or the port.`,
  EACCES: (where) => `This user may not use the socket ${where}, which DATABASE_URL names: let it, or connect by host and port.`,
  ENOTFOUND: unknownHost,
  EAI_AGAIN: unknownHost,
  CONNECT_TIMEOUT: unreachable,
  ETIMEDOUT: unreachable,
  EHOSTUNREACH: unreachable,
  ENETUNREACH: unreachable,
  ECONNRESET: hangsUp,
  CONNECTION_CLOSED: hangsUp,
  NOT_POSTGRESQL: (where) => `What listens at ${where} is not PostgreSQL: correct the address in DATABASE_URL.`,
  NOT_A_PRIMARY: (where) =>
    `No server of DATABASE_URL takes writes; the last one asked was ${where}: name the primary, or wait until a standby is promoted.`,
  SETTINGS_DROPPED: (where) =>
    `${where} drops the settings that sessions are opened with, as PgBouncer does with ignore_startup_parameters: set DATABASE_POOLER to its pool_mode (session or transaction).`,
  NOT_UTF8: () =>
    "The database's encoding is not UTF8, so names of people would be lost: create one with `createdb --encoding=UTF8 --template=template0 NAME` and name it in DATABASE_URL.",
  TLS_NOT_OFFERED: (where) =>
    `${where} offers no TLS: switch it on there (ssl = on), or say DATABASE_TLS=off if you trust the network between.`,
  ERR_TLS_CERT_ALTNAME_INVALID: (where) =>
    `The certificate of ${where} is for another name: connect by a name that it bears, or have one made for this name.`,
  CERTIFICATE_FILE: () =>
    'A file that DATABASE_URL names in sslrootcert, sslcert or sslkey cannot be read: correct its path or its rights.',
  DEPTH_ZERO_SELF_SIGNED_CERT: unknownAuthority,
  SELF_SIGNED_CERT_IN_CHAIN: unknownAuthority,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: unknownAuthority,
  UNABLE_TO_GET_ISSUER_CERT: unknownAuthority,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: unknownAuthority,
  CERT_SIGNATURE_FAILURE: unknownAuthority,
  CERT_HAS_EXPIRED: outOfDate,
  CERT_NOT_YET_VALID: outOfDate,
  // protocol_violation
  '08P01': (where) =>
    `${where} refuses our first message, as PgBouncer does: set DATABASE_POOLER to its pool_mode (session or transaction), or look into its log.`,
  // invalid_sql_statement_name, duplicate_prepared_statement
  '26000': sharedSession,
  '42P05': sharedSession,
  // invalid_password
  '28P01': () =>
    'PostgreSQL refuses the password of DATABASE_URL, or wants one and there is none: correct it (a % in it is written %25).',
  // invalid_authorization_specification
  '28000': () =>
    'PostgreSQL does not admit the user of DATABASE_URL from here: it wants TLS (sslmode=verify-full) or a client certificate (sslcert, sslkey), or needs a line in pg_hba.conf, or there is no such user.',
  // invalid_catalog_name
  '3D000': () => 'PostgreSQL has no database of the name in DATABASE_URL: create it (`createdb NAME`), or correct the name.',
  // insufficient_privilege
  '42501': () =>
    'The role of DATABASE_URL lacks a right: the owner of the tables runs `npm run --silent cli -- migrate`, then `… roles`; commands that change keys run as the owner, too.',
  // undefined_object
  '42704': () => 'PostgreSQL does not know a setting in the `options` of DATABASE_URL: correct it, or take it away.',
  // too_many_connections
  '53300': (where) => `${where} has no connection left: raise max_connections or the role's limit there, or end what holds them.`,
  // cannot_connect_now
  '57P03': (where) => `${where} is starting, stopping or recovering: wait, or look into the log of PostgreSQL.`,
  // read_only_sql_transaction
  '25006': () => 'DATABASE_URL names a server that takes no writes: name the primary.',
}

/** Where errors were met that came up on the way to PostgreSQL: on other ways there are others with the same codes. */
const metAt = new WeakMap<Error, string>()

/** @returns the same error, which `remedyOf` can tell from others now */
export function onTheWay(error: unknown, { host, port, path }: { host: string; port: number; path?: string }): unknown {
  const where = path ?? `${host.includes(':') ? `[${host}]` : host}:${port}`
  if (error instanceof Error) metAt.set(error, where)
  return error
}

/** What whoever starts a program can do about an error from the database, or one that was caused by it. Never the server's own words: they may hold anything. */
export function remedyOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  const where = metAt.get(error)
  if (where === undefined && !isPostgresError(error)) return remedyOf(error.cause)
  const code = codeOf(error) ?? ''
  const remedy = remedies[code] ?? (/^ERR_(SSL|TLS|OSSL)_|CERT/.test(code) ? handshakeFailed : undefined)
  if (remedy) return remedy(where ?? 'PostgreSQL')
  return remedyOf(error.cause) ?? (where === undefined || code === '' ? undefined : refused(where, code))
}

const handshakeFailed: Remedy = (where) =>
  `TLS with ${where} cannot be agreed upon: look at its certificate and its log, and at sslcert and sslkey in DATABASE_URL.`
const refused = (where: string, code: string) =>
  `${where}, which DATABASE_URL names, refuses the connection (${code}): look into the log of PostgreSQL.`

function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}
