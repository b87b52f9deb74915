// The process: configuration, app, and an end with grace.
import closeWithGrace from 'close-with-grace'
import { keepCompiled } from './compile-cache.ts'
import { ServiceError } from './errors.ts'
import { newId } from './ids.ts'
import { dropStartUpGarbage } from './replica/heap.ts'
import { ConfigError, loadConfig } from './settings/config.ts'
import { readEnvFile } from './settings/env-file.ts'
import { createLog, type ProcessLog } from './telemetry.ts'
import { version } from './version.ts'

/** Longer than the slowest refresh and its record; orchestrators usually kill after thirty seconds. */
const graceMs = 25_000
/** A terminal's Ctrl-C reaches us twice when npm started us and passes it on: within this time both are one wish. */
const sameWishMs = 1000
const wishes = ['SIGINT', 'SIGTERM'] as const

// Otherwise Node opens its debugger at this signal, and with it our memory, to everybody on the machine.
process.on('SIGUSR1', () => {})

// Before anything uses the pool: a refresh waits for its answer to be on disk, and with Node's four threads hundreds a second would queue.
process.env.UV_THREADPOOL_SIZE ??= '16'

keepCompiled()

const origin = { replicaId: newId('rep'), version }
let log: ProcessLog = createLog('info', undefined, origin)
let grace: ReturnType<typeof closeWithGrace> | undefined
let askedAt: number | undefined
const tell = (signal: string) => log.info('process was asked to end', { signal })
// From the beginning: who is asked to end while it still starts has taken nothing on, and what it replays is replayed by the next.
for (const signal of wishes) {
  process.on(signal, () => {
    if (askedAt !== undefined && performance.now() - askedAt > sameWishMs) process.exit(1) // whoever asks again does not want to wait
    if (askedAt !== undefined) return
    askedAt = performance.now()
    tell(signal)
    if (grace) return grace.close()
    process.exit()
  })
}

// To look closer at a process that is in trouble now, without the restart that might end the trouble.
process.on('SIGUSR2', () => log.toggleDebug('SIGUSR2'))

process.on('uncaughtException', (error) => {
  if (grace) return // it ends the process in order
  log.fatal('service could not start', { error })
  process.exit(1)
})

const { startApp } = await import('./app.ts')
try {
  readEnvFile()
  const config = loadConfig(process.env)
  log = createLog(config.logLevel, undefined, origin)
  const app = await startApp(config, { log, replicaId: origin.replicaId })
  dropStartUpGarbage()

  const delayMs = config.shutdownDelaySeconds * 1000 + graceMs
  grace = closeWithGrace({ delay: delayMs, logger: false, skip: [...wishes, 'SIGUSR2'] }, async ({ signal, err }) => {
    if (err) log.fatal('process failed unexpectedly', { error: err })
    else if (signal) tell(signal)
    const unsaved = await app.close()
    if (unsaved > 0) {
      log.fatal('token answers were left in the journal: start again with the same JOURNAL_DIR', { count: unsaved })
      process.exitCode = 1
      process.exit()
    }
  })
} catch (error) {
  const { remedyOf } = await import('./db/fault.ts')
  const isConfig = error instanceof ConfigError
  const sentence = isConfig
    ? `${error.problems.join('; ')}. See .env.example for every variable`
    : (remedyOf(error) ?? (error instanceof ServiceError ? error.message : 'the log says more'))
  if (isConfig) for (const problem of error.problems) log.fatal(`configuration is wrong: ${problem}`)
  else log.fatal('service could not start', { error, reason: sentence })
  // On standard error too, where people look; a line of JSON like every other, because collectors read nothing else.
  createLog('fatal', process.stderr, origin).fatal(`The service cannot start: ${sentence}`)
  process.exit(1)
}
