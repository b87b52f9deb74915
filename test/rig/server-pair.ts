// A primary and its standby, which follows it by streaming: for servers that take no writes, and for a promotion.
import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import postgres from 'postgres'
import { startEmbeddedPostgres } from '../../tools/embedded-postgres/embedded.ts'
import { ownFolder } from '../folder.ts'
import { eventually } from './eventually.ts'

export interface ServerPair {
  primaryUrl: string
  standbyUrl: string
  /** Waits until the standby has all that the primary has. */
  caughtUp(): Promise<void>
  stopPrimary(): Promise<void>
  promote(): Promise<void>
}

export async function startServerPair(t: { teardown(work: () => unknown): unknown }): Promise<ServerPair> {
  const directory = async () => {
    const dataDir = await ownFolder(t, 'pair')
    return dataDir
  }
  const [primaryDir, standbyDir] = [await directory(), await directory()]
  const start = async (dataDir: string, settings: Record<string, string> = {}) => {
    const server = await startEmbeddedPostgres({ dataDir, throwaway: true, settings })
    t.teardown(() => server.stop())
    return server
  }

  await (await start(primaryDir)).stop() // makes the cluster, and leaves it still enough to be copied
  await mkdir(join(standbyDir, 'postgres'), { mode: 0o711 })
  const cluster = (dataDir: string) => join(dataDir, 'postgres', 'cluster')
  await promisify(execFile)('cp', ['-a', cluster(primaryDir), cluster(standbyDir)])
  await writeFile(join(cluster(standbyDir), 'data', 'standby.signal'), '', { mode: 0o644 })
  const primary = await start(primaryDir)
  const { hostname, port, username, password } = new URL(primary.url)
  const standby = await start(standbyDir, {
    primary_conninfo: `host=${hostname} port=${port} user=${username} password=${password}`,
  })

  const ask = async <T>(url: string, work: (sql: postgres.Sql) => PromiseLike<T>) => {
    const sql = postgres(url, { max: 1 })
    try {
      return await work(sql)
    } finally {
      await sql.end()
    }
  }
  return {
    primaryUrl: primary.url,
    standbyUrl: standby.url,
    async caughtUp() {
      const [row] = await ask(primary.url, (sql) => sql<{ lsn: string }[]>`select pg_current_wal_flush_lsn() as lsn`)
      const target = row?.lsn ?? ''
      await ask(standby.url, (sql) =>
        eventually(
          'the standby has caught up',
          async () => {
            const [at] = await sql<{ there: boolean }[]>`select pg_last_wal_replay_lsn() >= ${target}::pg_lsn as there`
            return at?.there === true
          },
          20_000,
        ),
      )
    },
    stopPrimary: () => primary.stop(),
    async promote() {
      await ask(standby.url, (sql) => sql`select pg_promote()`)
    },
  }
}
