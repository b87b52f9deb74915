// The composition root: builds every part once, hands each what it uses, and takes all down in the opposite order.
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import { type Background, startBackground } from './background/background.ts'
import { createExchanges } from './connect/exchange.ts'
import { openTierService, type TierService } from './connect/tier-service.ts'
import { ensurePartitions } from './db/audit.ts'
import { type Db, openDb } from './db/client.ts'
import { loadEmbeddedPostgres } from './db/embedded-postgres.ts'
import { readDatabaseId } from './db/epoch.ts'
import { remedyOf } from './db/fault.ts'
import { migrate, migrationsApplied } from './db/migrate.ts'
import { ServiceError } from './errors.ts'
import { listen } from './http/listen.ts'
import { openMetricsListener } from './http/metrics-listener.ts'
import { newId } from './ids.ts'
import { createEpoch } from './journal/epoch.ts'
import { type Journal, openJournal } from './journal/journal.ts'
import { createRecoverer } from './journal/recovery.ts'
import { createMetrics, type Metrics } from './metrics.ts'
import { replayJournal } from './operate/replay.ts'
import { createRefusals, type Refusals } from './refusals.ts'
import { tryDirectories } from './replica/directories.ts'
import { checkReadiness, createKeyringCheck } from './replica/readiness.ts'
import { announce, leave } from './replica/replica.ts'
import { buildServer, type Patience } from './server.ts'
import { type Config, databaseLinks } from './settings/config.ts'
import type { DatabaseLink } from './settings/database-url.ts'
import { createLog, type Log } from './telemetry.ts'
import { createTikTok, type TikTok } from './tiktok/client.ts'
import { measured } from './tiktok/metrics.ts'
import { createBrake } from './token/brake.ts'
import { createCircuitBreaker } from './token/circuit-breaker.ts'
import { createReadCap } from './token/read-cap.ts'
import { createRecording } from './token/recording.ts'
import { createRefresher } from './token/refresh.ts'
import { createRevocations } from './token/revoke.ts'
import { type Timings, timings } from './token/timings.ts'
import { startTracing } from './tracing/tracing.ts'
import { openKeyring } from './vault/open-keyring.ts'
import { createVault, type Vault } from './vault/vault.ts'
import { version } from './version.ts'

export interface App {
  parts: Parts
  server: FastifyInstance
  /** where it listens */
  url: string
  /** where METRICS_PORT listens, if it is set */
  metricsUrl: string | undefined
  /**
   * Takes no new work, finishes and stores what is in flight, lets go of everything.
   *
   * @returns how many token answers are only in the journal: 0 is a clean end
   */
  close(): Promise<number>
}

export interface AppOptions {
  log?: Log
  timings?: Partial<Timings>
  /** this process among its neighbours, when it has a name already */
  replicaId?: string
  /** how long the door waits for slow clients */
  patience?: Patience
  /** without the loops: tests take the rounds themselves */
  background?: boolean
}

/** What reaches outside this process, and what everything is built with. */
export interface Doors {
  config: Config
  log: Log
  metrics: Metrics
  /** counts what is refused for a reason of security, and tells the log of it sparingly */
  refusals: Refusals
  db: Db
  vault: Vault
  journal: Journal
  /** this process among those that serve the same database; its journal has the same name */
  replicaId: string
  tiktok: TikTok
  /** undefined: TIER_SERVICE_URL is not set, we decide ourselves */
  tierService: TierService | undefined
  timings: Timings
  /** aborted first when the process is asked to end: not ready any more, and still serving (SHUTDOWN_DELAY_SECONDS) */
  leaving: AbortSignal
  /** aborted when the process is asked to end: no new work, what is in flight is finished */
  stopping: AbortSignal
}

/** Everything there is. Only this room and the tests know all of it; everybody else names what it uses. */
export type Parts = ReturnType<typeof compose>

export function compose(doors: Doors) {
  const { journal: journalConfig, tiktok } = doors.config
  const { requiredScopes } = tiktok
  const recoverer = createRecoverer({ ...doors, requiredScopes, copyDir: journalConfig.copyDir })
  const epoch = createEpoch({ ...doors, recoverer })
  const breaker = createCircuitBreaker(doors)
  const brake = createBrake(doors)
  const recording = createRecording(doors)
  const revocations = createRevocations({ ...doors, breaker, recording })
  const refresher = createRefresher({ ...doors, epoch, breaker, brake, recording, revocations })
  const exchanges = createExchanges({ ...doors, epoch, brake, recording, revocations })
  const keyring = createKeyringCheck(doors)
  const readCap = createReadCap(doors)
  return { ...doors, readCap, recoverer, epoch, breaker, brake, recording, revocations, refresher, exchanges, keyring }
}

/**
 * Starts the service: database (embedded if none is configured), migrations, vault, journal replay, routes, loops.
 *
 * @throws ConfigError about the vault's keys, HOST, PORT or a directory; ServiceError keyring_mismatch | storage_unavailable
 */
export async function startApp(config: Config, options: AppOptions = {}): Promise<App> {
  const log = options.log ?? createLog(config.logLevel)
  if (config.publicUrl.startsWith('https:') && config.trustedProxies.length === 0)
    log.warn('TRUSTED_PROXIES is empty: behind a proxy all callers count as one address; name the address the proxy comes from')
  if (config.allowedCompletions.includes('callback'))
    log.warn(
      'ALLOWED_COMPLETIONS has callback: a link connects the TikTok account of whoever opens it, for the owner who made it; prefer confirm',
    )
  await tryDirectories(config, log)
  const replicaId = options.replicaId ?? newId('rep')
  const endTracing =
    config.traceEndpoint === undefined ? undefined : await startTracing({ endpoint: config.traceEndpoint, replicaId, version })

  const embedded = config.databaseUrl === undefined ? await startEmbedded(config, log) : undefined
  const database = databaseLinks(config, embedded?.url)
  await (config.migrate ? migrateFirst(database.direct, log) : requireMigrated(database.usual))

  const { parts, ...opened } = await openParts(config, { ...options, replicaId, log, database: database.usual })
  await announce(parts)
  await parts.keyring.check()
  if (parts.keyring.fits) {
    await ensurePartitions(parts.db)
    await parts.epoch.start()
    await replayJournal(parts)
  }

  const server = await buildServer(parts, { patience: options.patience })
  const url = await listen(server, config)
  const { port: metricsPort } = config.metrics
  const metricsListener = metricsPort === undefined ? undefined : await openMetricsListener(parts, metricsPort)
  const background: Background | undefined = options.background === false ? undefined : startBackground(parts)
  await sayWhenReady(parts, url)

  return {
    parts,
    server,
    url,
    metricsUrl: metricsListener?.url,
    async close() {
      opened.leave()
      // A proxy that asks now and then whether we are ready sends on for a moment; those calls are answered too.
      await sleep(config.shutdownDelaySeconds * 1000)
      opened.stop()
      await background?.stop()
      await server.close()
      const left = await opened.close()
      await metricsListener?.close()
      await embedded?.stop()
      await endTracing?.()
      log.info('service has ended', { count: left })
      return left
    },
  }
}

const askedAgainMs = 1000

/** A process that listens may still be unready, with the wrong vault keys for example; then the log says so, and says later when it is ready. */
async function sayWhenReady(parts: Parts, url: string): Promise<void> {
  const { ready, checks } = await checkReadiness(parts)
  if (ready) return parts.log.info('service is ready', { url })
  const reason = Object.entries(checks).flatMap(([name, state]) => (state === 'ok' ? [] : [`${name}: ${state}`]))
  parts.log.error('service listens and is not ready', { url, reason: reason.join(', ') })
  const look = async () => {
    if (parts.leaving.aborted) return
    if ((await checkReadiness(parts)).ready) parts.log.info('service is ready', { url })
    else later()
  }
  const later = () => void setTimeout(() => void look().catch(later), askedAgainMs).unref()
  later()
}

export interface OpenedParts {
  parts: Parts
  /** aborts `parts.leaving`: not ready any more */
  leave(): void
  /** aborts `parts.stopping`: no new work */
  stop(): void
  /** Waits for what is in flight and lets go of everything. @returns how many token answers are only in the journal */
  close(): Promise<number>
}

/**
 * Opens the doors and builds everything behind them, for the service and for commands. The database has to be migrated.
 *
 * @throws ConfigError about the vault's keys
 */
export async function openParts(
  config: Config,
  options: { log: Log; database: DatabaseLink; applicationName?: string; replicaId?: string; timings?: Partial<Timings> },
): Promise<OpenedParts> {
  const { log } = options
  const replicaId = options.replicaId ?? newId('rep')
  const metrics = createMetrics()
  metrics.isReplica(replicaId)
  const refusals = createRefusals({ log, metrics })
  let suspect = () => {}
  const db = openDb({
    ...options.database,
    poolSize: config.databasePoolSize,
    applicationName: options.applicationName ?? 'tiktok-oauth-service',
    onEvent: ({ kind, name, cause }) => {
      metrics.databaseTrouble.inc({ kind })
      suspect() // whatever answers next may be another database
      log.warn('database connection trouble', { event: kind, name, error: cause, reason: remedyOf(cause) })
    },
    onStatement: (name, seconds) => metrics.statementSeconds.observe({ name }, seconds),
    onOverload: () => metrics.overloads.inc(),
  })
  metrics.watchPool(db)
  metrics.poolSize.set(config.databasePoolSize)
  const vault = createVault(await openKeyring(config, (sentence) => log.warn(sentence)))
  let copyTroubleToldAtMs = Number.NEGATIVE_INFINITY
  /** A second place that is away is no outage; it is told of once a minute. */
  const copyTrouble = (error: unknown) => {
    metrics.journalCopyFailures.inc()
    if (performance.now() - copyTroubleToldAtMs < 60_000) return
    copyTroubleToldAtMs = performance.now()
    log.warn('second place of the journal cannot be written to: see JOURNAL_COPY_DIR', { error })
  }
  const journal = await openJournal({
    dir: config.journal.dir,
    spillDirs: config.journal.spillDirs,
    copyDir: config.journal.copyDir,
    id: replicaId,
    databaseId: await readDatabaseId(db),
    vault,
    onTrouble: ({ doing, about, error }) => {
      if (doing === 'copy') return copyTrouble(error)
      if (doing === 'write') metrics.journalFailures.inc()
      log.error('journal trouble', { event: doing, name: about, error })
    },
  })
  metrics.watchJournal(journal)
  const tiktok = measured(createTikTok({ ...config.tiktok, proxy: config.proxy }), metrics)
  const { serviceUrl, serviceToken } = config.tiers
  const tierService =
    serviceUrl === undefined ? undefined : openTierService({ url: serviceUrl, token: serviceToken, proxy: config.proxy })
  const leaving = new AbortController()
  const stopping = new AbortController()
  const parts = compose({
    config,
    log,
    metrics,
    refusals,
    db,
    vault,
    journal,
    replicaId,
    tiktok,
    tierService,
    timings: { ...timings, ...options.timings },
    leaving: leaving.signal,
    stopping: stopping.signal,
  })
  suspect = parts.epoch.suspect
  return {
    parts,
    leave: () => leaving.abort(),
    stop: () => stopping.abort(),
    async close() {
      stopping.abort()
      await Promise.all([parts.refresher.landed(), parts.exchanges.landed()])
      await parts.recording.landed()
      await parts.epoch.landed()
      await parts.brake.close()
      refusals.flush()
      await leave(parts)
      const left = journal.count()
      await journal.close()
      await tiktok.close()
      await tierService?.close()
      await db.close()
      return left
    },
  }
}

async function migrateFirst(database: DatabaseLink, log: Log): Promise<void> {
  const { applied, installed } = await migrate(database, {
    onWait: (reason) => log.warn('waiting for the database', { reason }),
  })
  if (applied > 0) log.info('migrations were applied', { migrations: applied })
  if (installed > 0) log.info('database functions were installed', { count: installed })
}

async function requireMigrated(database: DatabaseLink): Promise<void> {
  const db = openDb({ ...database, poolSize: 1 })
  if (await migrationsApplied(db).finally(() => db.close())) return
  throw new ServiceError(
    'storage_unavailable',
    'The database is not up to date, and MIGRATE=off: run `npm run --silent cli -- migrate` first.',
  )
}

async function startEmbedded(config: Config, log: Log) {
  log.warn('embedded PostgreSQL is used: it serves this machine only; set DATABASE_URL for anything that matters')
  const { startEmbeddedPostgres } = await loadEmbeddedPostgres()
  return startEmbeddedPostgres({
    dataDir: config.dataDir,
    log: (line) => log.debug('embedded PostgreSQL said something', { name: line }),
  }).catch((error: Error) => {
    // Our own sentences are safe to show. An error with a code comes from the system or PostgreSQL and may quote paths.
    const sentence =
      'code' in error
        ? 'The embedded PostgreSQL cannot be kept under DATA_DIR: see that this user may write there and that there is room, or set DATABASE_URL.'
        : error.message
    throw new ServiceError('storage_unavailable', sentence, { cause: error })
  })
}
