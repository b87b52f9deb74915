// Everything that stands around the service in a deployment, from Debian: HAProxy with TLS before three replicas, PgBouncer and a PostgreSQL
// with TLS and a streaming standby behind them, Redis beside them. Certificates are of an authority of our own.
import { chmod, copyFile, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort } from '../../examples/demo/ports.ts'
import { openDb } from '../../src/db/client.ts'
import { migrate } from '../../src/db/migrate.ts'
import { type Cluster, makeCluster, makeHome, makeStandby, noDebianPostgres } from './debian-postgres.ts'
import { eventually } from './eventually.ts'
import { noHaproxy, startHaproxy } from './haproxy.ts'
import { noPgbouncer, startPgbouncer } from './pgbouncer.ts'
import { noRedis, startRedis } from './redis.ts'
import type { Replica } from './replica.ts'
import { type Rig, startRig } from './rig.ts'
import { restrictService } from './service-role.ts'
import { makeAuthority, noOpenssl } from './tls-postgres.ts'

/** What this machine lacks, in words; nothing when all is there. */
export const missing = [noDebianPostgres, noHaproxy, noPgbouncer, noRedis, noOpenssl].filter((word) => word !== false)

export const names = ['one', 'two', 'three'] as const
export type Name = (typeof names)[number]

export interface Field {
  rig: Rig
  rootCertificate: string
  haproxy: Awaited<ReturnType<typeof startHaproxy>>
  pooler: Awaited<ReturnType<typeof startPgbouncer>>
  redis: Awaited<ReturnType<typeof startRedis>>
  /** the server that takes writes just now */
  readonly primary: Cluster
  /** what ended without being told to */
  died: string[]
  /** Also again, after its end. */
  start(name: Name): Promise<void>
  end(name: Name, signal: 'SIGTERM' | 'SIGKILL'): Promise<void>
  /** The primary is lost, and its standby takes its place. */
  promote(): Promise<void>
  /** The lost one comes back as the standby. */
  rebuildStandby(): Promise<void>
}

const owner = 'postgres'
const password = 'only-in-tests'

export async function layOutField(t: { teardown(work: () => unknown): unknown }): Promise<Field> {
  const authority = await makeAuthority(t)
  const here = await authority.issue('127.0.0.1', ['IP:127.0.0.1'])
  const home = await makeHome(t, 'field')
  const rootFile = join(home, 'root.crt')
  await copyFile(authority.rootFile, rootFile)

  let primary = await makeCluster(home, 'first', {
    settings: ['ssl = on', 'max_connections = 60', "password_encryption = 'scram-sha-256'"],
    files: {
      'server.crt': await readFile(here.certFile, 'utf8'),
      'server.key': await readFile(here.keyFile, 'utf8'),
      'pg_hba.conf': [
        `hostnossl all ${owner} 127.0.0.1/32 trust`,
        'hostssl all all 127.0.0.1/32 scram-sha-256',
        'hostssl replication follower 127.0.0.1/32 scram-sha-256',
        '',
      ].join('\n'),
    },
  })
  await primary.start()
  t.teardown(() => primary.stop('immediate'))
  const sourceAt = ({ port }: Cluster) =>
    `host=127.0.0.1 port=${port} user=follower password=${password} sslmode=verify-full sslrootcert=${rootFile}`
  await asOwner(primary, `create role follower replication login password '${password}'`)
  let standby = await makeStandby(home, 'second', sourceAt(primary))
  await standby.start()
  t.teardown(() => standby.stop('immediate').catch(() => {})) // it may be lost
  await migrate(primary.url)
  const serviceUrl = await restrictService(primary.url)

  const [poolerCert, poolerKey] = [join(home, 'pooler.crt'), join(home, 'pooler.key')]
  await copyFile(here.certFile, poolerCert)
  await copyFile(here.keyFile, poolerKey)
  await chmod(poolerKey, 0o644) // PgBouncer runs as a user who has nothing
  const pooler = await startPgbouncer(t, serviceUrl, {
    pool_mode: 'transaction',
    server_login_retry: '1',
    client_tls_sslmode: 'require',
    client_tls_cert_file: poolerCert,
    client_tls_key_file: poolerKey,
    server_tls_sslmode: 'verify-full',
    server_tls_ca_file: rootFile,
  })
  const redis = await startRedis(t)
  const ports = { one: await freePort(0), two: await freePort(0), three: await freePort(0) }
  const haproxy = await startHaproxy(t, here, Object.values(ports))
  const rootCertificate = await readFile(rootFile, 'utf8')
  const rig = await startRig(t, primary.url, { rootCertificate })

  const verified = `sslmode=verify-full&sslrootcert=${encodeURIComponent(rootFile)}`
  const bothServers = new URL(serviceUrl)
  const direct = `postgres://${bothServers.username}:${bothServers.password}@127.0.0.1:${primary.port},127.0.0.1:${standby.port}${bothServers.pathname}`
  // Two through the pooler; the third goes its own way and finds the server that takes writes.
  const ways = {
    one: { DATABASE_URL: `${pooler.url}?${verified}`, DATABASE_POOLER: 'transaction' },
    two: { DATABASE_URL: `${pooler.url}?${verified}`, DATABASE_POOLER: 'transaction' },
    three: { DATABASE_URL: `${direct}?${verified}` },
  }
  const replicas = new Map<Name, Replica>()
  const died: string[] = []
  const isExpected = new Set<Replica>()
  return {
    rig,
    rootCertificate,
    haproxy,
    pooler,
    redis,
    died,
    get primary() {
      return primary
    },
    async start(name) {
      const env = {
        ...ways[name],
        PORT: String(ports[name]),
        MIGRATE: 'off',
        PUBLIC_URL: haproxy.url,
        TRUSTED_PROXIES: '127.0.0.1',
        REDIS_URL: redis.url,
        SHUTDOWN_DELAY_SECONDS: '3',
        LOG_LEVEL: 'info',
      }
      const replica = await rig.start(name, { env, preloads: [] })
      replicas.set(name, replica)
      replica.process.once('exit', (code, signal) => {
        if (!isExpected.has(replica)) died.push(`${name} ended by itself with ${signal ?? code}: ${replica.logged().slice(-500)}`)
      })
    },
    async end(name, signal) {
      const replica = replicas.get(name)
      if (!replica) return
      isExpected.add(replica)
      replica.signal(signal)
      const ended = await replica.ended()
      if (ended !== (signal === 'SIGTERM' ? 0 : signal)) died.push(`${name} was sent ${signal} and ended with ${ended}`)
    },
    async promote() {
      await primary.stop('immediate')
      await standby.promote()
      const lost = primary
      primary = standby
      standby = lost
      rig.serverMoved(primary.url)
      await pooler.pointAt(primary.url)
    },
    async rebuildStandby() {
      await standby.follow(sourceAt(primary))
      await standby.start()
      await eventually('the standby follows', () =>
        asOwner(primary, 'select from pg_stat_replication where state = $$streaming$$').then((rows) => rows.length === 1),
      )
    },
  }
}

async function asOwner({ url }: Cluster, statement: string) {
  const db = openDb({ url, poolSize: 1 })
  return db.run('operate', (sql) => sql.unsafe(statement)).finally(() => db.close())
}
