// What was refused for a reason of security: every one is counted, and the log tells of each caller once a minute, so that nobody can flood it.
import type { Meter } from './meter.ts'
import type { Facts, Log } from './telemetry.ts'

/** The values of the `kind` label of `security_refusals_total`; where there is a failure code for it, the code. */
export const refusalKinds = [
  'unauthenticated',
  'insufficient_scope',
  'rate_limited',
  'invalid_signature',
  'browser_mismatch',
  'owner_mismatch',
  'confirm_invalid',
  'foreign_account',
  'foreign_form',
  'state_missing',
  'read_cap',
  'foreign_key',
] as const
export type RefusalKind = (typeof refusalKinds)[number]

export type RefusalMetrics = ReturnType<typeof refusalMetrics>

export function refusalMetrics({ counter }: Meter) {
  return {
    securityRefusals: counter({
      name: 'security_refusals_total',
      help: 'Requests refused for security reasons, by kind',
      labels: { kind: refusalKinds },
      query: 'sum by (kind) (rate(security_refusals_total[5m]))',
    }),
  }
}

export interface Refusals {
  /**
   * @param refusal.event a sentence in the past tense, for the log
   * @param refusal.who an address, a key or a session: each has one line per kind and window
   */
  note(refusal: { kind: RefusalKind; event: string; who: string; facts?: Facts }): void
  /** Says how many were counted since the last time and not told. */
  flush(): void
}

/** Whoever owns many addresses must not get a line for each: this many lines of their own per window, the others are only counted. */
const mostLines = 100

export function createRefusals({
  log,
  metrics,
  windowMs = 60_000,
}: {
  log: Log
  metrics: RefusalMetrics
  windowMs?: number
}): Refusals {
  const told = new Set<string>()
  const untold = new Map<RefusalKind, number>()
  let timer: NodeJS.Timeout | undefined

  function flush(): void {
    clearTimeout(timer)
    timer = undefined
    for (const [kind, count] of untold) log.warn('more was refused than is listed', { reason: kind, count, outcome: 'refused' })
    told.clear()
    untold.clear()
  }

  return {
    note({ kind, event, who, facts = {} }) {
      metrics.securityRefusals.inc({ kind })
      timer ??= setTimeout(flush, windowMs).unref()
      const caller = `${kind} ${who}`
      if (told.has(caller) || told.size >= mostLines) {
        untold.set(kind, (untold.get(kind) ?? 0) + 1)
        return
      }
      told.add(caller)
      log.warn(event, { ...facts, outcome: 'refused' })
    },
    flush,
  }
}
