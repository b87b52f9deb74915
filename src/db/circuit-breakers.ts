// What every replica knows about TikTok's token endpoint: whether refreshes are held back, why and until when.
import type { Db } from './client.ts'

export type GateReason = 'client_refused' | 'unavailable' | 'throttled'

export interface Gate {
  reason: GateReason | null
  failures: number
  closedForSeconds: number
}

/**
 * Holds all refreshes back, on all replicas: for `firstSeconds`, or longer when it had been closed before, up to a minute; never less than TikTok
 * said. Callers that fail at the same time count once, and so does a probe, which has put the gate off already: one that is closed for a while yet
 * is left alone.
 */
export async function closeGate(db: Db, reason: GateReason, firstSeconds: number): Promise<void> {
  await db.run(
    'close_gate',
    (sql) => sql`
      insert into gates (name, reason, failures, closed_until) values ('token', ${reason}, 1, now() + make_interval(secs => ${firstSeconds}))
      on conflict (name) do update set reason = excluded.reason, failures = gates.failures + 1,
        closed_until = greatest(gates.closed_until, excluded.closed_until, now() + least(interval '1 minute', make_interval(secs => ${firstSeconds} * power(2, least(gates.failures, 10)))))
      where gates.closed_until <= now() + make_interval(secs => ${firstSeconds}) or gates.reason is distinct from excluded.reason or gates.failures = 0`,
  )
}

/** TikTok answers again: what the probe had put off, and not what somebody else was told meanwhile. */
export async function openGate(db: Db): Promise<boolean> {
  const rows = await db.run(
    'open_gate',
    (sql) =>
      sql`update gates set failures = 0, reason = null, closed_until = '-infinity' where name = 'token' and failures > 0
        and closed_until <= now() + interval '15 seconds' returning 1`,
  )
  return rows.length > 0
}

export async function readGate(db: Db): Promise<Gate> {
  const rows = await db.run(
    'read_gate',
    (sql) => sql<Gate[]>`
      select reason, failures, greatest(0, extract(epoch from greatest(closed_until, now()) - now()))::float8 as closed_for_seconds
      from gates where name = 'token'`,
  )
  return rows[0] ?? { reason: null, failures: 0, closedForSeconds: 0 }
}
