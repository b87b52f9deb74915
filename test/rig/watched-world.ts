// A world in one process, seeded and watched like the rig: for the faults that are TikTok's and need no second process.

import postgres from 'postgres'
import type { Test } from 'tap'
import { createTikTok } from '../../src/tiktok/client.ts'
import { startWorld, type World, type WorldOptions } from '../world.ts'
import type { Watched } from './invariants.ts'
import { type Seeded, type SeedOptions, type Several, seedAccounts } from './seed.ts'

export interface WatchedWorld {
  world: World
  watched: Watched
  seed<N extends number>(options: SeedOptions<N>): Promise<Several<N>>
  seedOne(options?: Omit<SeedOptions, 'count'>): Promise<Seeded>
  /** Reads a token as a caller does. */
  read(accountId: string, minTtl?: number): Promise<Told>
  statusOf(accountId: string): Promise<{ status: string; reason: string | null; generation: number | null }>
}

export interface Told {
  status: number
  code: unknown
  generation: unknown
  degraded: boolean
}

/** @param options.callTotalMs how long a call to TikTok may take, as in production: whoever would wait it out says less */
export async function startWatchedWorld(
  t: Test,
  { callTotalMs = 10_000, ...options }: WorldOptions & { callTotalMs?: number } = {},
): Promise<WatchedWorld> {
  const world = await startWorld(t, options)
  const { parts, tiktok } = world
  const client = createTikTok({ ...world.config.tiktok, timeouts: { totalMs: callTotalMs } })
  Object.assign(parts.tiktok, { ...client, close: parts.tiktok.close })
  t.teardown(() => client.close())
  const sql = postgres(world.databaseUrl, { max: 2, onnotice: () => {} })
  t.teardown(() => sql.end())
  const accounts: Seeded[] = []
  const readings: Watched['readings'] = []
  const watched: Watched = {
    tiktok,
    sql,
    vault: parts.vault,
    accounts,
    readings,
    secrets: [tiktok.clientSecret, world.config.vaultKeys?.split(':')[1] ?? ''],
    logs: world.logged,
  }
  const seed: WatchedWorld['seed'] = async (wish) => {
    const seeded = await seedAccounts({ sql, vault: parts.vault, tiktok }, wish)
    accounts.push(...seeded)
    return seeded
  }
  return {
    world,
    watched,
    seed,
    seedOne: async (wish = {}) => (await seed({ ...wish, count: 1 }))[0],
    async read(accountId, minTtl = 300) {
      const startedAt = performance.now()
      const { status, body } = await world.call('GET', `/accounts/${accountId}/token?min_ttl=${minTtl}`)
      const accessToken = typeof body.access_token === 'string' ? body.access_token : undefined
      const openId = accessToken === undefined ? undefined : tiktok.grants.byAccessToken(accessToken)?.openId
      const right = accounts.find(({ id }) => id === accountId)?.openId
      const told = { status, code: body.code, generation: body.generation, degraded: body.degraded === true }
      readings.push({
        accountId,
        status,
        ms: performance.now() - startedAt,
        code: undefined,
        degraded: told.degraded,
        wrong: accessToken !== undefined && openId !== right ? 'a token that is dead or of another account' : undefined,
        accessToken,
        generation: undefined,
      })
      return told
    },
    async statusOf(accountId) {
      const [row] = await sql<{ status: string; reason: string | null; generation: number | null }[]>`
        select a.status, a.status_reason as reason, t.generation from accounts a left join token_sets t on t.account_id = a.id where a.id = ${accountId}`
      if (!row) throw new Error('no such account')
      return row
    },
  }
}
