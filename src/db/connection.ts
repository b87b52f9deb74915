// One connection to PostgreSQL: a postgres.js client that is handed one socket and, once that is gone, never a second.
// postgres.js 3.4 reconnects behind the caller's back, and that is where queries hang for ever, where sockets outlive
// their pool, and where an error is thrown out of an immediate and ends the process. A client that is thrown away
// instead never walks those paths. Keeping several of them, and replacing them, is the business of client.ts.
import type { Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import postgres from 'postgres'
import { within } from '../concurrency/waiting.ts'
import type { DatabaseAddress, Target } from '../settings/database-url.ts'
import { dial } from './dial.ts'
import { isPostgresError, onTheWay } from './fault.ts'
import { lookAt, type Pooler, type Server, type SessionOptions, session } from './session.ts'
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
   * moment the socket broke. The server lets a statement of it run so long, and may let it run longer; the caller's deadline stays what it
   * is. One at a time.
   */
  run<T>(work: (sql: Sql) => PromiseLike<T>, statementTimeoutMs: number): Promise<T>
  /** Says goodbye, which takes at most a second and never fails; for a connection that nobody uses. */
  close(): Promise<void>
  /** Drops the socket at once; for a connection that is no longer trusted. */
  destroy(): void
}

export interface ConnectionOptions extends SessionOptions {
  address: DatabaseAddress
  pooler?: Pooler
}

/** Where each address was last reached: asked first the next time, so that a server that is gone costs its share of the time once. */
const lastReached = new WeakMap<DatabaseAddress, Target>()

/**
 * Opens a connection and proves it with a round trip, so that whatever fails here has not sent anybody's statement. Of
 * several servers the first one that will do is taken; each has its share of the time.
 *
 * @throws the last server's, the driver's or the network's error; nothing stays open
 */
export async function openConnection(options: ConnectionOptions, timeoutMs: number): Promise<Connection> {
  const first = lastReached.get(options.address)
  const targets = options.address.targets.toSorted((a, b) => Number(b === first) - Number(a === first))
  const giveUpAtMs = performance.now() + timeoutMs
  let failure: unknown
  for (const [index, target] of targets.entries()) {
    const shareMs = (giveUpAtMs - performance.now()) / (targets.length - index)
    try {
      const connection = await openAt(target, options, Math.max(1, Math.ceil(shareMs)))
      lastReached.set(options.address, target)
      return connection
    } catch (error) {
      failure = onTheWay(error, target)
    }
  }
  throw failure
}

async function openAt(target: Target, options: ConnectionOptions, timeoutMs: number): Promise<Connection> {
  const openedAtMs = performance.now()
  const { address, pooler } = options
  const line = dial(target, address.certificates)
  const ours = session(pooler, { ...options, applicationName: address.applicationName ?? options.applicationName })
  let allowedMs = options.statementTimeoutMs
  let broken = false
  const markBroken = () => {
    broken = true
  }

  const open = async () => {
    const client = openClient(await line.ready, options, ours.startParameters)
    const use = pooler === 'transaction' ? inTransaction : inSession
    const run: Connection['run'] = (work, statementTimeoutMs) =>
      new Promise((resolve, reject) => {
        let failed: { with: unknown } | undefined
        client.onLost((loss) => reject(failed ? failed.with : loss))
        use(client.sql, work, statementTimeoutMs, (error) => {
          failed = { with: error }
        }).then(resolve, reject)
      })
    if (ours.setUp !== '') await client.sql.unsafe(ours.setUp)
    judge(await run((sql) => lookAt(sql, pooler), allowedMs), address)
    return { ...client, run }
  }

  async function inSession<T>(
    sql: Sql,
    work: (sql: Sql) => PromiseLike<T>,
    statementTimeoutMs: number,
    onFailure: (error: unknown) => void,
  ): Promise<T> {
    if (statementTimeoutMs > allowedMs) {
      await sql.unsafe(`set statement_timeout = ${Math.ceil(statementTimeoutMs)}`)
      allowedMs = statementTimeoutMs
    }
    try {
      return await work(sql)
    } catch (error) {
      onFailure(error)
      // postgres.js 3.4 goes on counting from the rows of a failed statement, so the next result would begin with holes. Any command resets it.
      if (isPostgresError(error)) await sql.unsafe('select where false').catch(markBroken)
      throw error
    }
  }

  // Not postgres.js's own `begin`, which can end the process when the connection dies in it.
  async function inTransaction<T>(
    sql: Sql,
    work: (sql: Sql) => PromiseLike<T>,
    statementTimeoutMs: number,
    onFailure: (error: unknown) => void,
  ): Promise<T> {
    const begun = sql.unsafe(ours.begin(statementTimeoutMs)).catch(ofStandby)
    begun.catch(ignore) // work that throws before it has asked for anything leaves this promise to nobody
    try {
      const [, result] = await Promise.all([begun, work(sql)])
      const { command } = await sql.unsafe('commit')
      if (command !== 'COMMIT') throw new Error('a failed statement went unnoticed, so nothing of its transaction counts')
      return result
    } catch (error) {
      onFailure(error)
      // The failure took our settings with it, so the database's own idle timeout may end the session before the rollback arrives.
      if (isPostgresError(error)) await sql.unsafe('rollback').catch(markBroken)
      throw error
    }
  }

  const late = (): never => {
    throw Object.assign(new Error(`no connection within ${timeoutMs} ms`), { code: 'CONNECT_TIMEOUT' })
  }
  const client = await within(open(), timeoutMs, late).catch((error) => {
    line.destroy()
    throw error
  })
  return {
    sql: client.sql,
    openedAtMs,
    get isOpen() {
      return client.isOpen() && !broken
    },
    run: client.run,
    close: () => client.sql.end({ timeout: 1 }).catch(ignore).finally(line.destroy),
    destroy() {
      client.sql.end({ timeout: 0 }).catch(ignore)
      line.destroy()
    },
  }
}

const notPrimary = () => Object.assign(new Error('the server is a standby'), { code: 'NOT_A_PRIMARY' })

/** A standby calls a transaction that may write a feature that it does not support. */
function ofStandby(error: unknown): never {
  throw isPostgresError(error) && error.code === '0A000' ? notPrimary() : error
}

/** @throws Error about a server that will not do */
function judge({ standby, encoding, settingsArrived }: Server, { writable }: DatabaseAddress): void {
  if (writable && standby) throw notPrimary()
  if (!settingsArrived) throw Object.assign(new Error('the settings were dropped on the way'), { code: 'SETTINGS_DROPPED' })
  if (encoding !== 'UTF8') throw Object.assign(new Error('the database is not UTF8'), { code: 'NOT_UTF8' })
}

function openClient(socket: Socket, { address, pooler }: ConnectionOptions, startParameters: Record<string, string>) {
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
    prepare: pooler !== 'transaction', // the next statement may be another session's, which does not know this one's names
    fetch_types: false, // see wire-types.ts
    connect_timeout: 0, // openConnection has the deadline
    idle_timeout: 0,
    max_lifetime: 0, // client.ts decides when a connection is old
    types,
    transform: { column: { from: postgres.toCamel } }, // columns only: postgres.camel would change the keys inside jsonb, too
    onnotice: ignore,
    connection: {
      ...(address.options === undefined ? {} : { options: address.options }),
      ...startParameters, // last: what comes last counts
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

function ignore(): void {}
