// One connection to PostgreSQL: a postgres.js client that opens one socket and, once that is gone, never a second.
// postgres.js 3.4 reconnects behind the caller's back, and that is where queries hang for ever, where sockets outlive
// their pool, and where an error is thrown out of an immediate and ends the process. A client that is thrown away
// instead never walks those paths. Keeping several of them, and replacing them, is the business of client.ts.
import { connect as openSocket, type Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import postgres from 'postgres'
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
  url: string
  applicationName: string
  synchronousCommit: 'on' | 'off'
  /** the server ends a statement after this: what a caller gave up on does not go on for ever */
  statementTimeoutMs: number
}

/**
 * Opens a connection and proves it with a round trip, so that whatever fails here has not sent anybody's statement.
 *
 * @throws the server's, the driver's or the network's error; nothing stays open
 */
export async function openConnection(options: ConnectionOptions, timeoutMs: number): Promise<Connection> {
  const openedAtMs = performance.now()
  const client = openClient(options)
  const { sql } = client
  try {
    const missed = () => Object.assign(new Error(`no connection within ${timeoutMs} ms`), { code: 'CONNECT_TIMEOUT' })
    await within(timeoutMs, Promise.race([sql.unsafe('select 1'), client.unreachable]), missed)
    client.settle()
  } catch (error) {
    client.destroy()
    throw onTheWay(error)
  }
  let { statementTimeoutMs } = options
  return {
    sql,
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
      await sql.unsafe(`set statement_timeout = ${Math.ceil(neededMs)}`)
      statementTimeoutMs = neededMs
    },
    close: () => sql.end({ timeout: 1 }).catch(ignore).finally(client.destroy),
    destroy: client.destroy,
  }
}

/** @returns what the work gives, or throws `missed()` when it takes longer; a late failure of the work is swallowed */
export async function within<T>(timeoutMs: number, work: PromiseLike<T>, missed: () => Error): Promise<T> {
  const { promise: deadline, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(missed()), timeoutMs)
  try {
    return await Promise.race([work, deadline])
  } finally {
    clearTimeout(timer)
  }
}

type Phase = 'dialling' | 'open' | 'gone'

function openClient(options: ConnectionOptions) {
  const sockets = new Set<Socket>()
  const unreachable = Promise.withResolvers<never>()
  unreachable.promise.catch(ignore)
  // A function and not a promise to race with: every race would leave something on it for as long as the connection lives.
  let tellLoss: (error: Error) => void = ignore
  let loss: Error | undefined
  let phase: Phase = 'dialling'
  let nextHost = 0

  function lose(): void {
    loss = Object.assign(new Error('the connection closed'), { code: 'CONNECTION_CLOSED' })
    tellLoss(loss)
  }

  // postgres.js asks here for its socket. Every host of the URL is tried once, in order, as long as nobody has used the
  // connection; with target_session_attrs postgres.js comes back for the next one. After that the answer is no.
  async function dial({ host, port, path }: { host: string[]; port: number[]; path?: string | false }): Promise<Socket> {
    let cause: unknown = new Error('the connection closed before it could be used')
    while (phase === 'dialling' && nextHost < host.length) {
      const target = { host: host[nextHost] ?? 'localhost', port: port[nextHost] ?? 5432 }
      nextHost += 1
      const socket = path ? openSocket(path) : openSocket(target)
      sockets.add(socket)
      try {
        await connected(socket)
        socket.once('close', lose)
        return Object.assign(socket.setNoDelay(true), target) // the names by which postgres.js checks the certificate
      } catch (error) {
        cause = error
      }
    }
    unreachable.reject(cause)
    throw cause
  }

  const settings = {
    max: 1,
    socket: dial,
    prepare: true,
    fetch_types: false, // see wire-types.ts
    connect_timeout: 0, // openConnection has the deadline
    idle_timeout: 0,
    max_lifetime: 0, // client.ts decides when a connection is old
    types,
    transform: { column: { from: postgres.toCamel } }, // columns only: postgres.camel would change the keys inside jsonb, too
    onnotice: ignore,
    onclose: () => {
      phase = 'gone'
      lose() // with TLS postgres.js takes all listeners off the socket that was dialled, ours too
    },
    connection: {
      application_name: options.applicationName,
      synchronous_commit: options.synchronousCommit,
      statement_timeout: options.statementTimeoutMs,
      idle_in_transaction_session_timeout: options.statementTimeoutMs,
      TimeZone: 'UTC',
    },
  }
  const sql = postgres(options.url, settings) as unknown as Sql
  teachArrays(sql.options as unknown as Parameters<typeof teachArrays>[0])

  return {
    sql,
    unreachable: unreachable.promise,
    onLost: (tell: (error: Error) => void) => {
      tellLoss = tell
      if (loss) tell(loss)
    },
    isOpen: () => phase === 'open',
    settle: () => {
      if (phase === 'dialling') phase = 'open'
    },
    destroy: () => {
      phase = 'gone'
      sql.end({ timeout: 0 }).catch(ignore)
      for (const socket of sockets) socket.destroy()
      sockets.clear()
    },
  }
}

function connected(socket: Socket): Promise<void> {
  socket.on('error', ignore) // whoever waits hears of it below or from postgres.js; without a listener it ends the process
  return new Promise((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('the socket closed while it was being opened')))
  })
}

function ignore(): void {}
