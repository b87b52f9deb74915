// The process: configuration, app, and an end with grace.
import { existsSync } from 'node:fs'
import closeWithGrace from 'close-with-grace'
import { startApp } from './app.ts'
import { ConfigError, loadConfig } from './config.ts'
import { createLog, type Log } from './telemetry.ts'

/** Longer than the slowest refresh and its record; orchestrators usually kill after thirty seconds. */
const graceMs = 25_000

let log: Log = createLog('info')
try {
  if (existsSync('.env')) process.loadEnvFile('.env')
  const config = loadConfig(process.env)
  log = createLog(config.logLevel)
  const app = await startApp(config, { log })

  closeWithGrace({ delay: graceMs, logger: false }, async ({ signal, err }) => {
    if (err) log.fatal('process failed unexpectedly', { error: err })
    else log.info('process was asked to end', { signal: signal ?? '' })
    const unsaved = await app.close()
    if (unsaved > 0) {
      log.fatal('token answers were left in spill files: start again with the same SPILL_DIR', { count: unsaved })
      process.exitCode = 1
      process.exit()
    }
  })
} catch (error) {
  if (error instanceof ConfigError) {
    for (const problem of error.problems) log.fatal(`configuration is wrong: ${problem}`)
    console.error(
      `The service cannot start:\n${error.problems.map((problem) => `  - ${problem}`).join('\n')}\nSee .env.example for every variable; \`npm run demo\` needs none.`,
    )
  } else {
    log.fatal('service could not start', { error })
  }
  process.exit(1)
}
