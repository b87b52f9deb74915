// The database, as the service will meet it: whether it lets us in, what it is, what the role may do there, and whether it is of this release.
import type { Connection } from '../db/connection.ts'
import { loadEmbeddedPostgres } from '../db/embedded-postgres.ts'
import {
  type Memory,
  openForReading,
  read,
  readMemory,
  readMissingRights,
  readServer,
  type ServerFacts,
} from '../db/examination.ts'
import { compareWithRelease } from '../db/migrate.ts'
import { ServiceError } from '../errors.ts'
import { type Config, databaseLinks } from '../settings/config.ts'
import { type DatabaseLink, readDatabaseUrl } from '../settings/database-url.ts'
import { ofClock } from './clock.ts'
import { connectMs, examineDirect, examineWay, ofDirect, ofRefusal } from './database-way.ts'
import { command, type Finding, fault, faultFrom, type Observation, type Patient, skipped, warning } from './finding.ts'

export interface DatabaseObservation extends Observation {
  /** undefined: it could not be asked */
  memory: Memory | undefined
}

/** Major versions that the service was tried with (docs/upgrading.md). */
const [oldest, newest] = [14, 18]

export async function examineDatabase({ config, isBad }: Patient): Promise<DatabaseObservation> {
  if (isBad('DATABASE_URL', 'DATABASE_TLS', 'PGPASSWORD')) return { ...skipped, memory: undefined }
  const links = await linksOf(config)
  if (links === undefined) return { ...notStarted(config), memory: undefined }
  const { usual, direct } = links
  const found = ofLink(usual)
  let connection: Connection | undefined
  try {
    connection = await openForReading(usual, 'transaction', connectMs)
    const beside = direct === usual || isBad('DATABASE_DIRECT_URL') ? undefined : examineDirect(direct)
    const way = examineWay(usual, connection)
    found.push(...(await way))
    const askedAtMs = Date.now()
    const server = await read(connection, readServer)
    found.push(...ofClock('the database', server.now, askedAtMs, Date.now()), ...ofServer(server, config))
    const rights = await read(connection, readMissingRights)
    found.push(...ofRights(server, rights))
    if (!rights.some((right) => /drizzle/.test(right))) found.push(...(await ofRelease(connection, server, config)))
    const memory = await read(connection, readMemory)
    found.push(...memory.openRecoveries.map(ofRecovery), ...ofDirect(memory, (await beside) ?? []))
    return { findings: found, seen: describe(usual, server), memory }
  } catch (error) {
    return { findings: [...found, ofRefusal(error)], seen: undefined, memory: undefined }
  } finally {
    connection?.destroy()
  }
}

/** @returns undefined when the database is the embedded one and nobody runs it: starting it would change something */
async function linksOf(config: Config): Promise<ReturnType<typeof databaseLinks> | undefined> {
  if (config.databaseUrl !== undefined) return databaseLinks(config)
  const running = await loadEmbeddedPostgres()
    .then(({ runningEmbeddedPostgres }) => runningEmbeddedPostgres(config.dataDir))
    .catch(() => undefined)
  return running === undefined ? undefined : databaseLinks(config, running)
}

function notStarted({ dataDir }: Config): Observation {
  return {
    findings: [
      warning(
        `DATABASE_URL is not set: the embedded PostgreSQL under ${dataDir} is used, and it is not running.`,
        'It serves this machine alone, and without it nothing can be said about the data.',
        'Set DATABASE_URL=postgres://USER:PASSWORD@HOST:PORT/DATABASE for anything that matters, or start the service and run this again.',
      ),
    ],
    seen: undefined,
  }
}

function ofLink(link: DatabaseLink): Finding[] {
  const exposed = readDatabaseUrl(link).targets.filter(
    ({ tls, path, address }) =>
      (tls === 'disable' || tls === 'prefer') && path === undefined && !/^(localhost|127\.|::1$)/.test(address),
  )
  return exposed.map(({ host }) =>
    warning(
      `The connection to ${host} is not encrypted.`,
      'DATABASE_TLS=off lets it stand: whoever is in between reads along, and may pose as the database.',
      'Take DATABASE_TLS away, and write sslmode=verify-full into DATABASE_URL.',
    ),
  )
}

function ofServer(server: ServerFacts, config: Config): Finding[] {
  const found: Finding[] = []
  const major = Math.floor(server.versionNumber / 10_000)
  if (major < oldest)
    found.push(
      fault(
        `PostgreSQL ${server.version} is older than ${oldest}.`,
        'It gets no more security releases, and the service was never tried with it.',
        `Upgrade it: \`pg_upgrade\`, or a dump into a server of a version from ${oldest} to ${newest} (docs/upgrading.md).`,
      ),
    )
  if (major > newest)
    found.push(
      warning(
        `PostgreSQL ${server.version} is younger than ${newest}.`,
        'The service was not tried with it yet.',
        `Try an upgrade on a copy first, or stay with ${newest}.`,
      ),
    )
  if (server.unsafe.length > 0)
    found.push(
      warning(
        `PostgreSQL runs with ${server.unsafe.map((name) => `${name} = off`).join(' and ')}.`,
        'After a crash of its machine the database may be ruined, and with it every refresh token.',
        `As its superuser: ${server.unsafe.map((name) => `ALTER SYSTEM RESET ${name};`).join(' ')} SELECT pg_reload_conf();`,
      ),
    )
  if (server.waitsFor !== '' && server.followers === 0)
    found.push(
      fault(
        'PostgreSQL waits for a standby with every commit (synchronous_standby_names), and no standby is connected.',
        'Every write hangs until one comes.',
        "Start the standby, or as superuser: ALTER SYSTEM SET synchronous_standby_names = ''; SELECT pg_reload_conf();",
      ),
    )
  const limits: [number, string][] = [
    [server.maxConnections, 'max_connections'],
    [server.roleLimit, `the connection limit of the role ${server.role}`],
    [server.databaseLimit, 'the connection limit of the database'],
  ]
  for (const [limit, name] of limits)
    if (limit >= 0 && limit < config.databasePoolSize && !(server.isSuperuser && name !== 'max_connections'))
      found.push(
        fault(
          `DATABASE_POOL_SIZE is ${config.databasePoolSize}, and ${name} allows ${limit}.`,
          'Under load one replica alone is refused connections.',
          `Set DATABASE_POOL_SIZE=${Math.max(1, Math.floor(limit / 3))} (all replicas together have to fit, with some to spare), or raise that limit.`,
        ),
      )
  return found
}

function ofRights(server: ServerFacts, missing: readonly string[]): Finding[] {
  const found: Finding[] = []
  if (missing.length > 0) {
    const more = missing.length > 3 ? ` and ${missing.length - 3} more` : ''
    found.push(
      fault(
        `The role ${server.role} lacks rights: ${missing.slice(0, 3).join(', ')}${more}.`,
        'What needs them fails with storage_unavailable, and the start may, too.',
        `As the owner of the tables: ${command(`roles --role ${server.role}`)}.`,
      ),
    )
  }
  if (server.isSuperuser || server.isOwner)
    found.push(
      warning(
        `The role ${server.role} ${server.isSuperuser ? 'is a superuser' : 'owns the tables'}.`,
        'Whoever has its password can change the audit.',
        `As the owner: ${command('roles --password-stdin')}, then DATABASE_URL with that role and MIGRATE=off (docs/deploying.md).`,
      ),
    )
  return found
}

async function ofRelease(connection: Connection, server: ServerFacts, config: Config): Promise<Finding[]> {
  const found: Finding[] = []
  const difference = await read(connection, (sql) => compareWithRelease(sql)).catch((error: unknown) => {
    if (!(error instanceof ServiceError)) throw error
    found.push(faultFrom(error.message, 'The service does not start on it.'))
  })
  if (!difference) return found
  const { migrations, functions, newerMigrations, newerFunctions } = difference
  const pending = [
    ...(migrations.length > 0 ? [`${migrations.length} migrations (${migrations.slice(0, 3).join(', ')})`] : []),
    ...(functions.length > 0 ? [`${functions.length} functions`] : []),
  ].join(' and ')
  if (pending !== '' && server.cannotCreate.length > 0 && migrations.length > 0 && config.migrate && !config.databaseDirectUrl)
    found.push(
      fault(
        `${pending} are pending, and the role ${server.role} lacks ${server.cannotCreate.join(' and ')}.`,
        'The start cannot migrate, and ends.',
        `Migrate as the owner: DATABASE_URL=postgres://OWNER:PASSWORD@HOST/DATABASE npm run --silent cli -- migrate, and set MIGRATE=off. Or grant it: GRANT ${server.cannotCreate.join(', ')} … TO ${server.role}.`,
      ),
    )
  else if (pending !== '')
    found.push(
      (config.migrate ? warning : fault)(
        `${pending} are pending.`,
        config.migrate ? 'The next start applies them.' : 'MIGRATE=off: the start ends instead of applying them.',
        `${command('migrate')} as the owner of the tables, then ${command('roles')} where the service has a role of its own.`,
      ),
    )
  if (newerMigrations + newerFunctions.length > 0)
    found.push(
      warning(
        `The database is newer than this program: ${newerMigrations} migrations and ${newerFunctions.length} functions are of a later release.`,
        'That is as it should be in the middle of an upgrade, and after a rollback (docs/upgrading.md).',
        'Deploy the release that the database was migrated with, when the other one is no longer needed.',
      ),
    )
  return found
}

function ofRecovery(id: string): Finding {
  return warning(
    `The recovery ${id} is open.`,
    'Until it is over no refresh token is spent.',
    `${command('journal status')} says which journal it waits for.`,
  )
}

/** Of several servers the one that answered may be any of them. */
function describe(link: DatabaseLink, server: ServerFacts): string {
  const where = readDatabaseUrl(link).targets.map(({ path, host, port }) => path ?? `${host}:${port}`)
  return `PostgreSQL ${server.version} at ${where.join(' or ')} as ${server.role}${server.encrypted ? ', encrypted' : ''}`
}
