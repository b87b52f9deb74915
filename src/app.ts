// The composition root: builds every part once, hands it on, and takes it down in the opposite order.
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { type Background, startBackground } from './background/background.ts'
import { type Config, ConfigError } from './config.ts'
import { openTierService } from './connect/tier-service.ts'
import { openBatch } from './db/batch.ts'
import { openDb } from './db/client.ts'
import { migrate } from './db/migrate.ts'
import { ensurePartitions } from './db/partitions.ts'
import { vendTokenSets } from './db/token-sets.ts'
import { reserveUploads } from './db/uploads.ts'
import { loadEmbeddedPostgres } from './embedded-postgres.ts'
import { ServiceError } from './errors.ts'
import { listen } from './http/listen.ts'
import { newId } from './ids.ts'
import { replaySpills } from './operate/replay.ts'
import { type Parts, type Timings, timings } from './parts.ts'
import { watchKeyring } from './readiness.ts'
import { createRefusals } from './refusals.ts'
import { announce, leave } from './replica.ts'
import { buildServer, type Patience } from './server.ts'
import { SingleFlight } from './single-flight.ts'
import { createLog, createMetrics, type Log } from './telemetry.ts'
import { createTikTok } from './tiktok/client.ts'
import { openSpill } from './vault/journal.ts'
import { generateVaultKey, type Keyring, parseKeyring } from './vault/keyring.ts'
import { createVault } from './vault/vault.ts'

export interface App {
  parts: Parts
  server: FastifyInstance
  /** where it listens */
  url: string
  /**
   * Takes no new work, finishes and stores what is in flight, lets go of everything.
   *
   * @returns how many token answers are only in spill files: 0 is a clean end
   */
  close(): Promise<number>
}

export interface AppOptions {
  log?: Log
  timings?: Partial<Timings>
  /** how long the door waits for slow clients */
  patience?: Patience
  /** without the loops: tests take the rounds themselves */
  background?: boolean
}

export interface OpenedParts {
  parts: Parts
  /** aborts `parts.stopping`: no new work */
  stop(): void
  /** Waits for what is in flight and lets go of everything. @returns how many token answers are only in spill files */
  close(): Promise<number>
}

/**
 * Starts the service: database (our own if none is configured), migrations, vault, what an earlier process left behind, routes, loops.
 *
 * @throws ConfigError about the vault's keys, HOST or PORT; ServiceError keyring_mismatch | storage_unavailable
 */
export async function startApp(config: Config, options: AppOptions = {}): Promise<App> {
  const log = options.log ?? createLog(config.logLevel)
  if (config.publicUrl.startsWith('https:') && config.trustedProxies.length === 0)
    log.warn('TRUSTED_PROXIES is empty: behind a proxy all callers count as one address; name the address the proxy comes from')
  await mkdir(config.dataDir, { recursive: true })

  const embedded = config.databaseUrl === undefined ? await startEmbedded(config, log) : undefined
  const databaseUrl = config.databaseUrl ?? embedded?.url ?? ''
  const { applied, installed } = await migrate(databaseUrl, {
    onWait: (reason) => log.warn('waiting for the database', { reason }),
  })
  if (applied > 0) log.info('migrations were applied', { migrations: applied })
  if (installed > 0) log.info('database functions were installed', { count: installed })

  const { parts, ...opened } = await openParts(config, { ...options, log, databaseUrl })
  await announce(parts)
  await watchKeyring(parts)
  if (parts.keyring.fits) {
    await ensurePartitions(parts.db)
    await replaySpills(parts)
  }

  const server = await buildServer(parts, { patience: options.patience })
  const url = await listen(server, config)
  const background: Background | undefined = options.background === false ? undefined : startBackground(parts)
  log.info('service is ready', { url })

  return {
    parts,
    server,
    url,
    async close() {
      opened.stop()
      await background?.stop()
      await server.close()
      const left = await opened.close()
      await embedded?.stop()
      log.info('service has ended', { count: left })
      return left
    },
  }
}

/**
 * Builds what the domain is handed, for the service and for commands that do its work by hand. The database has to be migrated.
 *
 * @throws ConfigError about the vault's keys
 */
export async function openParts(
  config: Config,
  options: { log: Log; databaseUrl: string; applicationName?: string; timings?: Partial<Timings> },
): Promise<OpenedParts> {
  const { log } = options
  const metrics = createMetrics()
  const refusals = createRefusals({ log, metrics })
  const db = openDb({
    url: options.databaseUrl,
    applicationName: options.applicationName ?? 'tiktok-oauth-service',
    onEvent: ({ kind, name, cause }) => {
      metrics.databaseTrouble.inc({ kind })
      log.warn('database connection trouble', { event: kind, name, error: cause })
    },
  })
  const vault = createVault(await openKeyring(config, log))
  const stopping = new AbortController()
  const spill = await openSpill({
    dir: config.spillDir,
    vault,
    onTrouble: ({ doing, about, error }) => {
      if (doing === 'write') metrics.spillFailures.inc()
      log.error('spill file trouble', { event: doing, attemptId: about, error })
    },
  })
  const tiktok = createTikTok(config.tiktok)
  const { serviceUrl, serviceToken } = config.tiers
  const times = { ...timings, ...options.timings }
  const parts: Parts = {
    replicaId: newId('rep'),
    config,
    log,
    metrics,
    refusals,
    db,
    vault,
    spill,
    tiktok,
    tierService: serviceUrl === undefined ? undefined : openTierService({ url: serviceUrl, token: serviceToken }),
    timings: times,
    refreshes: new SingleFlight(times.flightDeadlineMs, () => ({ kind: 'yielded' as const })),
    exchanges: new SingleFlight(times.flightDeadlineMs, () => undefined),
    claimsInDoubt: new Map(),
    watches: new SingleFlight(times.flightDeadlineMs, () => 'nothing' as const),
    recording: new Set(),
    vends: openBatch((reads, queueMs) => vendTokenSets(db, reads, { queueMs })),
    reservations: openBatch((asked, queueMs) => reserveUploads(db, asked, { queueMs })),
    unsaved: new Set(),
    savedLate: new Map(),
    keyring: { fits: true },
    stopping: stopping.signal,
  }
  return {
    parts,
    stop: () => stopping.abort(),
    async close() {
      stopping.abort()
      await Promise.all([parts.refreshes.landed(), parts.exchanges.landed()])
      await Promise.all(parts.recording)
      refusals.flush()
      await leave(parts)
      const left = spill.count()
      await tiktok.close()
      await parts.tierService?.close()
      await db.close()
      return left
    },
  }
}

async function startEmbedded(config: Config, log: Log) {
  log.warn('embedded PostgreSQL is used: it serves this machine only; set DATABASE_URL for anything that matters')
  const { startEmbeddedPostgres } = await loadEmbeddedPostgres()
  return startEmbeddedPostgres({
    dataDir: config.dataDir,
    log: (line) => log.debug('embedded PostgreSQL said something', { name: line }),
  }).catch((error: Error) => {
    // Its own sentences say what to do and may be shown. What has a code comes from the system or from PostgreSQL's programs, and quotes paths.
    const sentence =
      'code' in error
        ? 'The embedded PostgreSQL cannot be kept under DATA_DIR: see that this user may write there and that there is room, or set DATABASE_URL.'
        : error.message
    throw new ServiceError('storage_unavailable', sentence, { cause: error })
  })
}

/** The configured keys; for development, with the embedded database only, a generated one that stays with the data. */
async function openKeyring(config: Config, log: Log): Promise<Keyring> {
  if (config.vaultKeys !== undefined) return parse(config.vaultKeys, 'VAULT_KEYS')
  if (config.vaultKeysFile !== undefined) {
    const text = await readFile(config.vaultKeysFile, 'utf8').catch(() => {
      throw new ConfigError(['VAULT_KEYS_FILE cannot be read'])
    })
    return parse(text.trim(), 'VAULT_KEYS_FILE')
  }
  const file = join(config.dataDir, 'vault.key')
  if (!existsSync(file)) {
    await writeFile(file, generateVaultKey(), { mode: 0o600, flag: 'wx' })
    log.warn('a development vault key was generated under DATA_DIR; set VAULT_KEYS for anything that matters')
  }
  return parse((await readFile(file, 'utf8')).trim(), 'VAULT_KEYS')
}

function parse(text: string, name: string): Keyring {
  try {
    return parseKeyring(text, name)
  } catch (error) {
    throw new ConfigError([error instanceof Error ? error.message : `${name} cannot be used`])
  }
}
