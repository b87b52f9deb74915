// What operators read: one log line per thing that happened. It is an allow-list: pino's redaction reaches one level only, so only
// fields named here are logged, and a token cannot be logged by mistake.
import pino from 'pino'
import { ServiceError } from './errors.ts'
import type { Config } from './settings/config.ts'
import { presentTraceId } from './tracing/tracing.ts'

/** Every field a log line may carry: ids, codes, counts and durations, never free text from outside. */
const textFacts = [
  ...[
    'accountId',
    'address',
    'actor',
    'attemptId',
    'callersRequestId',
    'callersTraceId',
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
  ...['ownerId', 'reason', 'requestId', 'route', 'sessionId', 'signal', 'target', 'traceId', 'uploadId', 'url', 'version'],
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

/** What callers call the requests that are under way, by our ids: it stands in every line that has ours. */
const callersNames = new Map<string, Facts>()
const mostNames = 10_000

/** Bounded, of safe characters, and no key or token that was put into the wrong header. */
export function rememberCallersNames(requestId: string, headers: Record<string, string | string[] | undefined>): void {
  if ((headers['x-request-id'] ?? headers.traceparent) === undefined || callersNames.size >= mostNames) return
  const id = String(headers['x-request-id'] ?? '')
  const isName = /^[\w.:/+=@-]{1,128}$/.test(id) && !/ttk_|(act|rft|clt)\.|^ey[\w-]+\./i.test(id)
  const traceparent = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}\b/
  const [, traceId] = traceparent.exec(String(headers.traceparent ?? '')) ?? []
  callersNames.set(requestId, { callersRequestId: isName ? id : undefined, callersTraceId: traceId })
}

/** The request is answered, and its last line written. */
export const forgetCallersNames = (requestId: string): void => void callersNames.delete(requestId)

/** Of a whole process: how much it says can be changed while it runs. */
export interface ProcessLog extends Log {
  /** From LOG_LEVEL to debug, or back. Says so itself, at a moment when the line is not kept back. */
  toggleDebug(signal: string): void
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
): ProcessLog {
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
      const traceId = presentTraceId()
      const shown: Record<string, unknown> = traceId === undefined ? {} : { traceId }
      const names = facts.requestId === undefined ? undefined : callersNames.get(facts.requestId)
      for (const [key, value] of Object.entries({ ...facts, ...names })) {
        if (value !== undefined && allowed.has(key)) shown[key] = key === 'error' ? describeError(value) : value
      }
      logger[name](shown, event)
    }
  const log: Log = {
    fatal: write('fatal'),
    error: write('error'),
    warn: write('warn'),
    info: write('info'),
    debug: write('debug'),
    trace: write('trace'),
  }
  return {
    ...log,
    toggleDebug(signal) {
      if (level === 'debug' || level === 'trace') return log.info(`log level stays ${level}: it is LOG_LEVEL`, { signal })
      const raised = logger.level === level
      if (raised) logger.level = 'debug'
      log.info(raised ? `log level is debug until the next ${signal}` : `log level is ${level} again`, { signal })
      if (!raised) logger.level = level
    },
  }
}
