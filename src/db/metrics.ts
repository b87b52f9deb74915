// What operators see of the way to PostgreSQL: its connections, who waits for one, and how long each statement takes.
import type { Meter } from '../meter.ts'
import type { Db, DbState } from './client.ts'

export type DatabaseMetrics = ReturnType<typeof databaseMetrics>

export function databaseMetrics({ counter, gauge, histogram }: Meter) {
  let pool: () => DbState = () => ({ ...nothing })
  return {
    /** From here on the pool's state is read at every scrape. */
    watchPool(db: Db): void {
      pool = () => db.state
    },
    connections: gauge({
      name: 'database_connections',
      help: 'Connections of this process: in use by a statement, or idle',
      labels: { state: ['in_use', 'idle'] },
      query: 'sum by (instance, state) (database_connections)',
      read: (connections) => {
        const { inFlight, idleConnections } = pool()
        connections.set({ state: 'in_use' }, inFlight)
        connections.set({ state: 'idle' }, idleConnections)
      },
    }),
    poolSize: gauge({
      name: 'database_pool_size',
      help: 'The most connections this process may have (DATABASE_POOL_SIZE)',
      query: 'max by (instance) (database_connections{state="in_use"}) / max by (instance) (database_pool_size)',
    }),
    waiting: gauge({
      name: 'database_statements_waiting',
      help: 'Statements that wait for a connection',
      query: 'max by (instance) (database_statements_waiting) > 0',
      read: (waiting) => waiting.set(pool().waiting),
    }),
    statementSeconds: histogram({
      name: 'database_statement_duration_seconds',
      help: 'How long a statement took, without its wait for a connection; a name is there after its first use',
      labels: { name: null },
      buckets: [0.002, 0.01, 0.05, 0.25, 1, 5],
      query: 'topk(5, sum by (name) (rate(database_statement_duration_seconds_sum[5m])))',
    }),
    overloads: counter({
      name: 'database_overloads_total',
      help: 'Statements that found no connection in time: their callers were told `overloaded`',
      query: 'sum(rate(database_overloads_total[5m])) > 0',
    }),
    databaseTrouble: counter({
      name: 'database_trouble_total',
      help: 'Connections lost, deadlines missed, pools replaced',
      labels: { kind: ['pool_replaced', 'connection_lost', 'deadline_missed'] },
      query: 'sum by (kind) (increase(database_trouble_total[5m]))',
    }),
  }
}

const nothing: DbState = {
  ...{ inFlight: 0, waiting: 0, idleConnections: 0 },
  ...{ poolsReplaced: 0, connectionsLost: 0, deadlinesMissed: 0 },
}
