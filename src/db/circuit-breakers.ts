// What every replica knows about TikTok's token endpoint: whether the circuit breaker is open, why and until when.
import type { Db } from './client.ts'
import type { BreakerReason } from './codes.ts'
import type { circuitBreakers, Row } from './schema.ts'

export type BreakerState = Row<typeof circuitBreakers, 'reason' | 'failures'> & { openForSeconds: number }

/**
 * Opens the breaker on all replicas for `firstSeconds`, doubled each time in a row up to a minute. Callers that fail together
 * count once.
 */
export async function openBreaker(db: Db, reason: BreakerReason, firstSeconds: number): Promise<void> {
  await db.run(
    'open_breaker',
    (sql) => sql`
      insert into circuit_breakers (name, reason, failures, open_until) values ('token', ${reason}, 1, now() + make_interval(secs => ${firstSeconds}))
      on conflict (name) do update set reason = excluded.reason, failures = circuit_breakers.failures + 1,
        open_until = greatest(circuit_breakers.open_until, excluded.open_until, now() + least(interval '1 minute', make_interval(secs => ${firstSeconds} * power(2, least(circuit_breakers.failures, 10)))))
      where circuit_breakers.open_until <= now() + make_interval(secs => ${firstSeconds}) or circuit_breakers.reason is distinct from excluded.reason or circuit_breakers.failures = 0`,
  )
}

/** TikTok answers again. What another caller was told meanwhile stands: only the probe's own delay is taken back. */
export async function closeBreaker(db: Db): Promise<boolean> {
  const rows = await db.run(
    'close_breaker',
    (sql) =>
      sql`update circuit_breakers set failures = 0, reason = null, open_until = '-infinity' where name = 'token' and failures > 0
        and open_until <= now() + interval '15 seconds' returning 1`,
  )
  return rows.length > 0
}

/** By hand, whatever it is open for. */
export async function resetBreaker(db: Db, actor: string): Promise<boolean> {
  const rows = await db.run(
    'reset_breaker',
    (sql) => sql`
      with reset as (
        update circuit_breakers set failures = 0, reason = null, open_until = '-infinity' where name = 'token' and failures > 0 returning name
      ), told as (
        insert into audit_log (actor, action, object) select ${actor}, 'breaker_released', name from reset
      )
      select 1 from reset`,
  )
  return rows.length > 0
}

export async function readBreaker(db: Db): Promise<BreakerState> {
  const rows = await db.run(
    'read_breaker',
    (sql) => sql<BreakerState[]>`
      select reason, failures, greatest(0, extract(epoch from greatest(open_until, now()) - now()))::float8 as open_for_seconds
      from circuit_breakers where name = 'token'`,
  )
  return rows[0] ?? { reason: null, failures: 0, openForSeconds: 0 }
}
