// What operators see of the loops: whether each still gets through its round.
import type { Meter } from '../meter.ts'

/** Every loop by name; `audit-stream` and `dispatcher` run only where they are configured. */
export const loopNames = [
  ...(['refresher', 'notices', 'dispatcher', 'revoker', 'replayer', 'epoch', 'journal', 'profiler', 'expiry'] as const),
  ...([
    'departures',
    'measures',
    'fleet',
    'keyring',
    'readiness',
    'replica',
    'seals',
    'retention',
    'audit',
    'audit-stream',
  ] as const),
] as const
export type LoopName = (typeof loopNames)[number]

export type LoopMetrics = ReturnType<typeof loopMetrics>

export function loopMetrics({ counter, gauge }: Meter) {
  let readAtMs = performance.now()
  return {
    databaseGauges: {
      wereRead(): void {
        readAtMs = performance.now()
      },
      age: gauge({
        name: 'database_gauges_age_seconds',
        help: 'How old the values are that come from the database: while it is away the last ones stay',
        query: 'max by (instance) (database_gauges_age_seconds) > 60',
        read: (age) => age.set((performance.now() - readAtMs) / 1000),
      }),
    },
    loopFailures: counter({
      name: 'background_failures_total',
      help: 'Background rounds that threw',
      labels: { loop: loopNames },
      query: 'sum by (loop) (increase(background_failures_total[15m])) > 0',
    }),
    loopSucceededAt: gauge({
      name: 'background_last_success_timestamp_seconds',
      help: 'When a loop last got through its round, as Unix time; 0: not yet, or it does not run here',
      labels: { loop: loopNames },
      query: 'time() - (background_last_success_timestamp_seconds > 0)',
    }),
    auditStreamLag: gauge({
      name: 'audit_stream_lag_seconds',
      help: 'How old the oldest row of the audit is that AUDIT_STREAM has not had; 0 when it has all. Only the replica that writes it knows',
      query: 'max(audit_stream_lag_seconds) > 300',
    }),
  }
}
