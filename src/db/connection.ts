// One connection to PostgreSQL: a postgres.js client that is handed one socket and, once that is gone, never a second.
// postgres.js 3.4 reconnects behind the caller's back, and that is where queries hang for ever, where sockets outlive
// their pool, and where an error is thrown out of an immediate and ends the process. A client that is thrown away
// instead never walks those paths. Keeping several of them, and replacing them, is the business of client.ts.
import type { Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import postgres from 'postgres'
import type { DatabaseAddress, Target } from '../database-url.ts'
import { within } from '../waiting.ts'
import { dial } from './dial.ts'
import { onTheWay } from './fault.ts'
import { teachArrays, types } from './wire-types.ts'

export type Sql = postgres.Sql

export interface Connection {
  readonly sql: Sql
  /** when it was begun: what led to a wrong server then, leads there still */
  readonly openedAtMs: number
  /** false as soon as the server has hung up, so that a dead idle connection is noticed before anything is sent */
  readonly isOpen: boolean
  /**
   * What the work gives, or an error as soon as the socket is closed: postgres.js forgets to tell a statement that was handed over in the
   * moment the socket broke. One at a time.
   */
  unlessLost<T>(work: PromiseLike<T>): Promise<T>
  /** Lets one statement run this long at the server; it is never shortened again, the caller's deadline stays what it is. */
  allow(statementTimeoutMs: number): Promise<void>
  /** Says goodbye, which takes at most a second and never fails; for a connection that nobody uses. */
  close(): Promise<void>
  /** Drops the socket at once; for a connection that is no longer trusted. */
  destroy(): void
}

export interface ConnectionOptions {
  address: DatabaseAddress
  applicationName: string
  synchronousCommit: 'on' | 'off'
  /** the server ends a statement after this: what a caller gave up on does not go on for ever */
  statementTimeoutMs: number
}

/**
 * Opens a connection and proves it with a round trip, so that whatever fails here has not sent anybody's statement. Of
 * several servers the first one that will do is taken; each has its share of the time.
 *
 * @throws the last server's, the driver's or the network's error; nothing stays open
 */
export async function openConnection(options: ConnectionOptions, timeoutMs: number): Promise<Connection> {
  const { targets } = options.address
  const giveUpAtMs = performance.now() + timeoutMs
  let failure: unknown
  for (const [index, target] of targets.entries()) {
    const shareMs = (giveUpAtMs - performance.now()) / (targets.length - index)
    try {
      return await openAt(target, options, Math.max(1, Math.ceil(shareMs)))
    } catch (error) {
      failure = onTheWay(error, target)
    }
  }
  throw failure
}

async function openAt(target: Target, options: ConnectionOptions, timeoutMs: number): Promise<Connection> {
  const openedAtMs = performance.now()
  const late = (): never => {
    throw Object.assign(new Error(`no connection within ${timeoutMs} ms`), { code: 'CONNECT_TIMEOUT' })
  }
  const line = dial(target, options.address.certificates)
  const open = async () => {
    const client = openClient(await line.ready, options)
    await prove(client.sql, options.address)
    return client
  }
  const client = await within(open(), timeoutMs, late).catch((error) => {
    line.destroy()
    throw error
  })
  let { statementTimeoutMs } = options
  return {
    sql: client.sql,
    openedAtMs,
    get isOpen() {
      return client.isOpen()
    },
    unlessLost: (work) =>
      new Promise((resolve, reject) => {
        client.onLost(reject)
        work.then(resolve, reject)
      }),
    async allow(neededMs) {
      if (neededMs <= statementTimeoutMs) return
      await client.sql.unsafe(`set statement_timeout = ${Math.ceil(neededMs)}`)
      statementTimeoutMs = neededMs
    },
    close: () => client.sql.end({ timeout: 1 }).catch(ignore).finally(line.destroy),
    destroy() {
      client.sql.end({ timeout: 0 }).catch(ignore)
      line.destroy()
    },
  }
}

function openClient(socket: Socket, options: ConnectionOptions) {
  const { address } = options
  // A function and not a promise to race with: every race would leave something on it for as long as the connection lives.
  let tellLoss: (error: Error) => void = ignore
  let loss: Error | undefined
  socket.once('close', () => {
    loss = Object.assign(new Error('the connection closed'), { code: 'CONNECTION_CLOSED' })
    tellLoss(loss)
  })

  let unused = true
  // postgres.js asks here for its socket, and after a loss for another one, which it does not get.
  const handOver = async (): Promise<Socket> => {
    if (!unused) throw loss ?? new Error('one socket is all there is')
    unused = false
    return socket
  }

  const settings = {
    host: ['given'], // all about the address is said here, so that nothing is taken from PG… variables; the socket is there already
    port: [0],
    user: address.user,
    pass: () => address.password ?? '',
    database: address.database,
    ssl: false, // see dial.ts
    max: 1,
    socket: handOver,
    prepare: true,
    fetch_types: false, // see wire-types.ts
    connect_timeout: 0, // openConnection has the deadline
    idle_timeout: 0,
    max_lifetime: 0, // client.ts decides when a connection is old
    types,
    transform: { column: { from: postgres.toCamel } }, // columns only: postgres.camel would change the keys inside jsonb, too
    onnotice: ignore,
    connection: {
      application_name: address.applicationName ?? options.applicationName,
      ...(address.options === undefined ? {} : { options: address.options }),
      synchronous_commit: options.synchronousCommit,
      statement_timeout: options.statementTimeoutMs,
      idle_in_transaction_session_timeout: options.statementTimeoutMs,
      TimeZone: 'UTC',
    },
  }
  const sql = postgres(settings as unknown as postgres.Options<Record<string, postgres.PostgresType>>) as unknown as Sql
  teachArrays(sql.options as unknown as Parameters<typeof teachArrays>[0])

  return {
    sql,
    onLost: (tell: (error: Error) => void) => {
      tellLoss = tell
      if (loss) tell(loss)
    },
    isOpen: () => loss === undefined,
  }
}

/** One round trip to the end of the way. */
async function prove(sql: Sql, { writable }: DatabaseAddress): Promise<void> {
  const [server] = await sql.unsafe<{ standby: boolean }[]>('select pg_is_in_recovery() as standby')
  if (writable && server?.standby) throw Object.assign(new Error('the server is a standby'), { code: 'NOT_A_PRIMARY' })
}

function ignore(): void {}
