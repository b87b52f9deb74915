// The guard between the service and PostgreSQL. Every statement has a deadline; a connection that failed is thrown away,
// and when the server itself is in doubt all of them are, so that nothing hangs and nobody waits for a dead server twice.
//
// Instead of postgres.js's own pool it keeps single connections (connection.ts), one statement on each at a time: a broken
// one is dropped without harm to its neighbours, and nothing stands in a queue that knows no time limit.
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { within } from '../concurrency/waiting.ts'
import { ServiceError } from '../errors.ts'
import { type DatabaseLink, readDatabaseUrl } from '../settings/database-url.ts'
import { inSpan } from '../tracing/tracing.ts'
import { type Batch, openBatch } from './batch.ts'
import { type Connection, openConnection, type Sql } from './connection.ts'
import { type Fault, faultOf, isPostgresError } from './fault.ts'
import { openSemaphore } from './semaphore.ts'

export type { Sql } from './connection.ts'
export { isPostgresError } from './fault.ts'

export interface Db {
  /**
   * Runs one statement. It is never repeated here: after `storage_unavailable` it may or may not have taken effect, and
   * only the caller knows whether it can be sent again.
   *
   * @param name what metrics and the log call it, such as `claim_token_set`
   * @throws ServiceError `overloaded`: no connection came free in time, nothing was sent
   * @throws ServiceError `storage_unavailable`: connection lost, server unreachable or read-only, deadline missed
   * @throws PostgresError about the statement itself, such as a violated constraint
   */
  run<T>(name: string, work: (sql: Sql) => PromiseLike<T>, options?: StatementOptions): Promise<T>
  /** Asks one question of a batched statement: what is asked at the same moment goes to the database as one. */
  batched<Question, Answer>(statement: BatchedStatement<Question, Answer>, question: Question): Promise<Answer>
  /** Takes no more statements, lets those in flight end (each has its deadline), and says goodbye to the server. */
  close(): Promise<void>
  readonly state: DbState
}

/** A statement that answers many questions at once, in their order. `Db.batched` asks it one at a time. */
export type BatchedStatement<Question, Answer> = (
  db: Db,
  questions: Question[],
  options: { queueMs: number },
) => Promise<Answer[]>

export interface StatementOptions {
  deadlineMs?: number
  /** how long to wait for a connection, when the usual time is partly spent */
  queueMs?: number | undefined
}

export interface DbState {
  /** statements that have a connection, or are getting one */
  inFlight: number
  waiting: number
  idleConnections: number
  /** how often all connections were given up because the server was in doubt */
  poolsReplaced: number
  connectionsLost: number
  deadlinesMissed: number
}

export interface DbEvent {
  kind: 'pool_replaced' | 'connection_lost' | 'deadline_missed'
  /** the statement that noticed */
  name: string
  cause: unknown
}

export interface DbOptions extends DatabaseLink {
  poolSize?: number
  deadlineMs?: number
  queueMs?: number
  applicationName?: string
  synchronousCommit?: 'on' | 'off'
  onEvent?: (event: DbEvent) => void
  /** a statement ended, well or not, after so long; its wait for a connection is not in it */
  onStatement?: (name: string, seconds: number) => void
  /** a statement found no connection in time */
  onOverload?: () => void
}

/** The server's own limit comes later than ours, so that ours is the one that is reported. */
const serverGraceMs = 1_000
const connectMs = 2_000
/** Between two tries to connect, and before an unreachable server is tried again: quick to come back, no spinning. */
const reconnectPauseMs = 100
/** Old connections are renewed, so that a server that joined late gets its share and a backend's memory is given back. */
const connectionLifetimeMs = 30 * 60_000

/** Opens nothing yet: the first statement connects, and so does the first one after a failure. */
export function openDb(options: DbOptions): Db {
  const { poolSize = 10, deadlineMs: usualDeadlineMs = 5_000, queueMs = 1_500 } = options
  const connectionOptions = {
    address: readDatabaseUrl(options),
    pooler: options.pooler,
    applicationName: options.applicationName ?? 'tiktok-oauth-service',
    synchronousCommit: options.synchronousCommit ?? 'on',
    statementTimeoutMs: usualDeadlineMs + serverGraceMs,
  }
  const semaphore = openSemaphore(poolSize, queueMs)
  const idle: Connection[] = []
  const counts = { poolsReplaced: 0, connectionsLost: 0, deadlinesMissed: 0 }
  /** Connections opened before this moment lead to a server that is no longer trusted. */
  let trustedSinceMs = 0
  let lastOpenedAtMs = -1
  let unreachable: { untilMs: number; cause: unknown } = { untilMs: 0, cause: undefined }
  let closing: Promise<void> | undefined
  /** One batch for each batched statement, whose types only the statement knows. */
  const batches = new Map<unknown, unknown>()

  async function guarded<T>(
    name: string,
    work: (sql: Sql) => PromiseLike<T>,
    { deadlineMs = usualDeadlineMs, queueMs }: StatementOptions = {},
  ): Promise<T> {
    if (closing) throw new ServiceError('storage_unavailable', 'The service is stopping; try again in a moment.')
    await semaphore.acquire(queueMs).catch((error) => {
      options.onOverload?.()
      throw error
    })
    const beganAtMs = performance.now()
    try {
      const about = { 'db.system.name': 'postgresql', 'db.operation.name': name }
      return await inSpan(name, about, () => statement(name, work, deadlineMs))
    } finally {
      semaphore.release()
      options.onStatement?.(name, (performance.now() - beganAtMs) / 1000)
    }
  }

  async function statement<T>(name: string, work: (sql: Sql) => PromiseLike<T>, deadlineMs: number): Promise<T> {
    const deadlineAtMs = performance.now() + deadlineMs
    const missed = new Error(`${name} took longer than ${deadlineMs} ms`)
    const connection = await acquire(name, deadlineAtMs)
    const late = (): never => {
      throw missed
    }
    try {
      const result = await within(connection.run(work, deadlineMs + serverGraceMs), deadlineAtMs - performance.now(), late)
      release(connection)
      return result
    } catch (error) {
      if (error === missed) {
        counts.deadlinesMissed += 1
        options.onEvent?.({ kind: 'deadline_missed', name, cause: missed })
      }
      const fault = error === missed ? 'server' : faultOf(error)
      settle(connection, fault, name, error)
      throw fault === undefined ? error : unavailable(error)
    }
  }

  /** @returns an idle connection that is alive, or a new one; whatever fails here has sent nothing, so it is tried twice */
  async function acquire(name: string, deadlineAtMs: number): Promise<Connection> {
    for (let connection = idle.pop(); connection; connection = idle.pop()) {
      if (isGood(connection)) return connection
      connection.close()
    }
    if (performance.now() < unreachable.untilMs) throw unavailable(unreachable.cause)
    for (let lastTry = false; ; lastTry = true) {
      const remainingMs = deadlineAtMs - performance.now()
      try {
        const connection = await openConnection(connectionOptions, Math.min(connectMs, remainingMs))
        lastOpenedAtMs = Math.max(lastOpenedAtMs, connection.openedAtMs)
        return connection
      } catch (cause) {
        if (faultOf(cause) === 'server') distrust(lastOpenedAtMs, name, cause)
        if (lastTry || deadlineAtMs - performance.now() < 2 * reconnectPauseMs) {
          unreachable = { untilMs: performance.now() + reconnectPauseMs, cause }
          throw unavailable(cause)
        }
      }
      await sleep(reconnectPauseMs)
    }
  }

  function release(connection: Connection): void {
    if (isGood(connection) && !closing) idle.push(connection)
    else connection.close()
  }

  /** After a failure: only an error that PostgreSQL itself reported leaves a connection ready for the next statement. */
  function settle(connection: Connection, fault: Fault | undefined, name: string, cause: unknown): void {
    if (isPostgresError(cause) && (fault === undefined || fault === 'busy')) {
      release(connection)
      return
    }
    connection.destroy()
    if (fault === undefined) return
    counts.connectionsLost += 1
    options.onEvent?.({ kind: 'connection_lost', name, cause })
    if (fault === 'server') distrust(connection.openedAtMs, name, cause)
  }

  /** Gives up every connection as old as the one that failed. Many callers that fail on the same ones do it once. */
  function distrust(openedAtMs: number, name: string, cause: unknown): void {
    if (openedAtMs < trustedSinceMs) return
    trustedSinceMs = performance.now()
    counts.poolsReplaced += 1
    for (const connection of idle.splice(0)) connection.close()
    options.onEvent?.({ kind: 'pool_replaced', name, cause })
  }

  function isGood({ isOpen, openedAtMs }: Connection): boolean {
    return isOpen && openedAtMs >= trustedSinceMs && performance.now() - openedAtMs < connectionLifetimeMs
  }

  async function shutDown(): Promise<void> {
    await semaphore.empty()
    await Promise.all(idle.splice(0).map((connection) => connection.close()))
  }

  const db: Db = {
    run: guarded,
    batched<Question, Answer>(statement: BatchedStatement<Question, Answer>, question: Question) {
      let batch = batches.get(statement) as Batch<Question, Answer> | undefined
      batch ??= openBatch<Question, Answer>((questions, queueMs) => statement(db, questions, { queueMs }))
      batches.set(statement, batch)
      return batch.ask(question)
    },
    close: () => {
      closing ??= shutDown()
      return closing
    },
    get state() {
      return { inFlight: semaphore.taken, waiting: semaphore.waiting, idleConnections: idle.filter(isGood).length, ...counts }
    },
  }
  return db
}

function unavailable(cause: unknown): ServiceError {
  return new ServiceError('storage_unavailable', 'The database cannot be reached just now; try again in a moment.', { cause })
}
