// Many people who come back from TikTok at the same moment, for fewer places: what everybody was answered, and what is left here and at TikTok.
import postgres from 'postgres'
import type { World } from '../world.ts'
import { eventually } from './eventually.ts'

export interface Round {
  /** how many were answered so: 201, or the code of a refusal */
  answers: Record<string, number>
  /** the owner as the API shows it afterwards */
  owner: Record<string, unknown>
  accountsActive: number
  grantsLive: number
  grantsRevoked: number
  revocationsPending: number
  tookMs: number
}

/** @param replicas addresses of the service: the completions are dealt out over them */
export async function stampede(
  world: World,
  replicas: string[],
  wish: { owner: string; tier: string; contenders: number },
): Promise<Round> {
  const { owner, tier, contenders } = wish
  await world.call('PUT', `/owners/${owner}`, { body: { tier } })
  const people = Array.from({ length: contenders }, (_, n) => world.tiktok.people.add({ id: `${owner.toLowerCase()}-${n}` }))
  const completions = await Promise.all(
    people.map(async ({ id }, n) => {
      const session = await world.openSession({ owner_id: owner })
      const back = await world.browser().walk(session.authorize_url, { person: id })
      const body = { owner_id: owner, confirm: back.searchParams.get('confirm') ?? '' }
      const url = new URL(`/connect-sessions/${session.id}/complete`, replicas[n % replicas.length]).href
      return () => world.call<{ code?: string }>('POST', url, { body })
    }),
  )
  const revokedBefore = world.tiktok.stats.report().revocations
  const startedAtMs = performance.now()
  const crowd = await holdAtTheDoor(world.databaseUrl)
  const finishing = completions.map((complete) => complete())
  await crowd.release(10 * replicas.length) // as many as the connections of each replica let through
  const results = await Promise.all(finishing)
  const tookMs = performance.now() - startedAtMs

  const answers: Record<string, number> = {}
  for (const { status, body } of results) {
    const answer = body.code ?? String(status)
    answers[answer] = (answers[answer] ?? 0) + 1
  }
  const [left] = await world.parts.db.run(
    'after_the_stampede',
    (sql) => sql<{ active: number; pending: number }[]>`
      select (select count(*)::int from accounts where owner_id = ${owner} and status = 'active') as active, (select count(*)::int from revocations) as pending`,
  )
  return {
    answers,
    owner: (({ owner_id: _, ...shown }) => shown)((await world.call('GET', `/owners/${owner}`)).body),
    accountsActive: left?.active ?? 0,
    grantsLive: people.reduce((count, person) => count + world.tiktok.grants.ofPerson(person).length, 0),
    grantsRevoked: world.tiktok.stats.report().revocations - revokedBefore,
    revocationsPending: left?.pending ?? 0,
    tookMs,
  }
}

/**
 * Locks the table of owners, so that connects stand right before the place is looked for and go on in the same moment: left alone they rarely meet
 * there, and a count without a lock would pass.
 */
async function holdAtTheDoor(databaseUrl: string): Promise<{ release(waiting: number): Promise<void> }> {
  const sql = postgres(databaseUrl, { max: 2, onnotice: () => {} })
  const held = await sql.reserve()
  await held.unsafe('begin; lock table owners in exclusive mode')
  return {
    async release(waiting) {
      await eventually(`${waiting} connects stand at the door`, async () => {
        const [row] = await sql<{ n: number }[]>`
          select count(*)::int as n from pg_locks where not granted and relation = 'owners'::regclass
            and database = (select oid from pg_database where datname = current_database())`
        return (row?.n ?? 0) >= waiting
      })
      await held.unsafe('commit')
      held.release()
      await sql.end()
    },
  }
}
