// What operators see: one log line per thing that happened, and the metrics. Both are allow-lists: pino's redaction reaches one
// level only, so only fields named here are logged, and a token cannot be logged by mistake.
import pino from 'pino'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { Config } from './config.ts'
import { brakedEndpoints } from './db/codes.ts'
import { ServiceError } from './errors.ts'

/** Every field a log line may carry: ids, codes, counts and durations, never free text from outside. */
const textFacts = [
  ...[
    'accountId',
    'address',
    'actor',
    'attemptId',
    'code',
    'errCode',
    'errorType',
    'event',
    'eventId',
    'keyId',
    'logId',
    'method',
    'name',
    'outcome',
  ],
  ...['ownerId', 'reason', 'requestId', 'route', 'sessionId', 'signal', 'target', 'uploadId', 'url', 'version'],
] as const
const numberFacts = ['count', 'durationMs', 'generation', 'migrations', 'port', 'retryAfterSeconds', 'status'] as const
export type Facts = { [name in (typeof textFacts)[number]]?: string | undefined } & {
  [name in (typeof numberFacts)[number]]?: number | undefined
} & { degraded?: boolean; error?: unknown }

const allowed: ReadonlySet<string> = new Set([...textFacts, ...numberFacts, 'degraded', 'error'])

/** An event in the past tense, plus facts: `log.info('token refreshed', { accountId })`. */
export interface Log {
  fatal(event: string, facts?: Facts): void
  error(event: string, facts?: Facts): void
  warn(event: string, facts?: Facts): void
  info(event: string, facts?: Facts): void
  debug(event: string, facts?: Facts): void
  trace(event: string, facts?: Facts): void
}

/** How many causes are followed; some chains are circular. */
const maxCauses = 5

/**
 * Only our own messages are shown. Those of PostgreSQL and undici may quote the value they failed on, in lines that look like
 * stack frames too.
 */
export function describeError(error: unknown, causesLeft = maxCauses): Record<string, unknown> {
  if (!(error instanceof Error)) return { type: typeof error }
  const code = 'code' in error && /^[A-Z0-9_]{1,64}$/.test(String(error.code)) ? String(error.code) : undefined
  return {
    type: error.name,
    ...(code === undefined ? {} : { code }),
    ...(error instanceof ServiceError ? { code: error.code, message: error.message } : {}),
    ...(error.cause === undefined || causesLeft === 0 ? {} : { cause: describeError(error.cause, causesLeft - 1) }),
    stack: framesOf(error),
  }
}

function framesOf({ stack = '', message }: Error): string[] {
  const quoted = stack.indexOf(message)
  const frames = quoted === -1 ? stack : stack.slice(quoted + message.length)
  return frames
    .split('\n')
    .filter((line) => /^\s+at .*(:\d+:\d+|native|<anonymous>)\)?$/.test(line))
    .slice(0, 8)
    .map((line) => line.trim())
}

/**
 * @param destination standard output unless given
 * @param origin what every line says of where it comes from
 */
export function createLog(
  level: Config['logLevel'],
  destination?: pino.DestinationStream,
  origin: { replicaId: string; version: string } | null = null,
): Log {
  const options: pino.LoggerOptions = {
    level,
    base: origin,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  }
  const logger = pino(options, destination ?? pino.destination({ dest: 1, sync: true }))
  const write =
    (name: keyof Log) =>
    (event: string, facts: Facts = {}) => {
      if (!logger.isLevelEnabled(name)) return
      const shown: Record<string, unknown> = {}
      for (const [key, value] of Object.entries(facts)) {
        if (value !== undefined && allowed.has(key)) shown[key] = key === 'error' ? describeError(value) : value
      }
      logger[name](shown, event)
    }
  return {
    fatal: write('fatal'),
    error: write('error'),
    warn: write('warn'),
    info: write('info'),
    debug: write('debug'),
    trace: write('trace'),
  }
}

/** How a refresh can end: the values of the `outcome` label of `token_refreshes_total`. */
export const refreshOutcomes = [
  'refreshed', // a new token set is recorded
  'yielded', // a neighbour holds the claim: its answer will come
  'sibling_won', // a neighbour was quicker: the token set is newer than the one we were asked to spend
  'transient', // nothing was spent: try again after the wait
  'ambiguous', // TikTok may have spent the token: one more try after the lease
  'rejected', // invalid_grant, believed or in its grace time
  'client_refused', // TikTok refuses our client, which is no account's fault
  'discarded', // the account was disconnected or connected anew meanwhile
] as const
export type RefreshKind = (typeof refreshOutcomes)[number]

export type Metrics = ReturnType<typeof createMetrics>

/** A registry of its own, so that several services can run in one test process. No ids and no free text as labels (S63). */
export function createMetrics() {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Counter<L>({ name, help, labelNames, registers })
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Gauge<L>({ name, help, labelNames, registers })

  const metrics = {
    registry,
    requests: counter('http_requests_total', 'Requests answered', ['method', 'route', 'status']),
    requestSeconds: new Histogram({
      name: 'http_request_duration_seconds',
      help: 'From the first byte of a request to the last of its answer',
      labelNames: ['method', 'route'] as const,
      buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      registers,
    }),
    vended: counter(
      'tokens_vended_total',
      'Access tokens handed out; degraded: TikTok could not be reached, but the present token was still valid',
      ['degraded'],
    ),
    refreshes: counter('token_refreshes_total', 'Refreshes by outcome', ['outcome']),
    refreshSeconds: new Histogram({
      name: 'token_refresh_duration_seconds',
      help: 'From claiming a token set to recording the new one',
      buckets: [0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3, 6, 12],
      registers,
    }),
    narrowed: counter(
      'authorizations_narrowed_total',
      'Authorization requests for TIKTOK_REQUIRED_SCOPES alone, because TikTok refused the others or did not bring the person back',
      ['cause'],
    ),
    departures: gauge(
      'tiktok_departures_without_return',
      'People in a row who left for TikTok and did not come back; a long run means that TikTok shows them an error page',
    ),
    assumedLifetimes: counter(
      'tiktok_assumed_lifetimes_total',
      'Access tokens whose expires_in was absent or nonsense: ten minutes were assumed',
    ),
    leasesRunOut: counter('refresh_leases_run_out_total', 'Claims on a token set whose previous holder never finished'),
    exactlyOnceViolations: counter(
      'exactly_once_violation_total',
      'Observed double spends of a refresh token; anything but 0 is a bug',
    ),
    unsavedTokens: gauge('unsaved_tokens', 'Token answers held in memory until the database accepts them'),
    journalFiles: gauge('spill_files', 'Sealed token answers on disk that the database does not have yet'),
    journalFailures: counter(
      'spill_write_failures_total',
      'Token answers that could not be written to disk before being recorded',
    ),
    dueBacklog: gauge('refresh_due_backlog', 'Token sets whose refresh is due (counted up to a bound)'),
    oldestDueSeconds: gauge('refresh_oldest_due_age_seconds', 'How long the most overdue token set has been waiting'),
    breakerOpen: gauge(
      'circuit_breaker_open',
      '1 while refreshes wait because TikTok refuses our client, throttles us or is down, or refuses the tokens of many accounts at once',
      ['reason'],
    ),
    brakes: counter(
      'refusal_brakes_total',
      'How often the brake began to hold because TikTok refused the tokens of many accounts at once; page somebody',
      ['endpoint'],
    ),
    exchanges: counter('code_exchanges_total', 'Code exchanges by outcome', ['outcome']),
    revocations: counter('revocations_total', 'Revocations at TikTok by outcome', ['outcome']),
    notices: counter('tiktok_notices_total', "TikTok's webhook notices by outcome", ['outcome']),
    deliveries: counter('event_deliveries_total', 'Attempts to deliver an event to an endpoint, by outcome', ['outcome']),
    deliveriesWaiting: gauge('event_deliveries_waiting', 'Events that an endpoint has not accepted yet'),
    oldestDeliverySeconds: gauge('event_oldest_delivery_age_seconds', 'How long the longest of them has been waiting'),
    deadLetters: gauge('event_dead_letters', 'Event deliveries that failed for good; `cli events dead` lists them'),
    primaryKeySeals: gauge(
      'vault_primary_key_seals',
      'Seals made with the primary vault key, by all replicas; make another key well before 2^32',
    ),
    auditStreamLag: gauge(
      'audit_stream_lag_seconds',
      'How old the oldest row of the audit is that AUDIT_STREAM has not had; 0 when it has all',
    ),
    securityRefusals: counter('security_refusals_total', 'Requests refused for security reasons, by kind', ['kind']),
    databaseTrouble: counter('database_trouble_total', 'Connections lost, deadlines missed, pools replaced', ['kind']),
    databaseRewound: gauge(
      'database_rewound',
      '1 while the database is older than the journals: nothing is spent until they are replayed',
    ),
    journalBytes: gauge('journal_bytes', 'Size of the rotation journal on this disk, of all processes that share it'),
    journalCopyLag: gauge('journal_copy_lag_seconds', 'How far the second place of the journal is behind'),
    journalCopyFailures: counter('journal_copy_failures_total', 'Tries to write to the second place of the journal that failed'),
    /** when the gauges that come from the database were last read, by the monotonic clock */
    databaseReadAtMs: performance.now(),
    loopFailures: counter('background_failures_total', 'Background rounds that threw', ['loop']),
  }
  new Gauge({
    name: 'database_gauges_age_seconds',
    help: 'How old the values are that come from the database: while it is away the last ones stay',
    registers,
    collect() {
      this.set((performance.now() - metrics.databaseReadAtMs) / 1000)
    },
  })
  for (const outcome of refreshOutcomes) metrics.refreshes.inc({ outcome }, 0)
  for (const endpoint of brakedEndpoints) metrics.brakes.inc({ endpoint }, 0)
  metrics.vended.inc({ degraded: 'false' }, 0)
  metrics.vended.inc({ degraded: 'true' }, 0)
  return metrics
}
