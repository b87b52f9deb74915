// The faults that the tests run once and `npm run faults` twenty times in a row.
import { eventually } from './eventually.ts'
import type { Replica } from './replica.ts'
import type { Reading, Rig } from './rig.ts'

/** Every labelled step of a refresh, and what becomes of the account whose process dies there. */
const afterDeathAt = {
  'refresh.claimed': 'active',
  'refresh.sending': 'active',
  'refresh.answered': 'refresh_outcome_unknown',
  'refresh.journalled': 'active',
  'refresh.saved': 'active',
} as const
export type Label = keyof typeof afterDeathAt
export const labels = Object.keys(afterDeathAt) as Label[]

/** Kills a process at a step of a refresh, lets the leases and the grace run out, and starts it again as an orchestrator would. */
export async function killAt(
  rig: Rig,
  holder: Replica,
  neighbour: Replica,
  label: Label,
): Promise<{ victim: string; bystanders: string[]; expected: (typeof afterDeathAt)[Label]; again: Replica }> {
  const [victim, ...bystanders] = await rig.seed({ count: 3, secondsLeft: -60 })
  // Rounds of passing time make earlier accounts due: left to readers, they are not in flight when the process dies.
  await rig.sql`update token_sets set due_at = null where rejected_at is null`
  await holder.arm({ label, signal: 'SIGKILL', subject: victim.id })
  const [read] = await Promise.all([rig.read(holder, victim.id), holder.ended()])
  if (read.status !== 0) throw new Error(`the holder answered ${read.status} and was to be dead`)
  if (holder.hits(label) !== 1) throw new Error(`the holder died, but not at ${label}`)

  // Started again, it finds what it had spilled, however long nobody else asked.
  const again = await rig.start(holder.name)
  await rig.timePasses(31)
  await rig.read(neighbour, victim.id)
  await rig.timePasses(61)
  await rig.read(neighbour, victim.id)
  return { victim: victim.id, bystanders: bystanders.map(({ id }) => id), expected: afterDeathAt[label], again }
}

/** Pauses a process past its lease with TikTok's answer in hand, lets a neighbour meet invalid_grant, and lets it go on. */
export async function pauseWithAnswer(
  rig: Rig,
  holder: Replica,
  neighbour: Replica,
  { graceEnds }: { graceEnds: boolean },
): Promise<{ accountId: string; whilePaused: Reading }> {
  const account = await rig.seedOne({ secondsLeft: -60 })
  await holder.arm({ label: 'refresh.answered', signal: 'SIGSTOP', subject: account.id })
  const read = rig.read(holder, account.id)
  await holder.reached('refresh.answered')
  await rig.timePasses(31)
  let whilePaused = await rig.read(neighbour, account.id)
  if (graceEnds) {
    await rig.timePasses(61)
    whilePaused = await rig.read(neighbour, account.id)
  }
  holder.signal('SIGCONT')
  await read
  await eventually('the late save is in', async () => (await rig.statusOf(account.id)).generation === 2)
  return { accountId: account.id, whilePaused }
}

/** Replicas that have just started are slow for a moment; one refresh and a few reads each make them like those that run. */
export async function warmUp(rig: Rig, replicas: readonly Replica[]): Promise<void> {
  const accounts = await rig.seed({ count: replicas.length, secondsLeft: -60 })
  for (const [i, replica] of replicas.entries()) {
    for (let times = 0; times < 20; times++) await rig.read(replica, accounts[i]?.id ?? '')
  }
}

/** A reader who is told that the service is busy comes back, as its answer says: how many it can serve at once is for benchmarks. */
export async function insist(rig: Rig, replica: Replica, accountId: string, busy = ['overloaded']): Promise<Reading> {
  for (;;) {
    const reading = await rig.read(replica, accountId)
    if (reading.status !== 503 || !busy.includes(String(reading.code))) return reading
  }
}

/**
 * As many readers of every account on every replica, all at once.
 *
 * @returns how many were not given a token at their first try, and how long the slowest waited
 */
export async function storm(
  rig: Rig,
  replicas: readonly Replica[],
  accountIds: readonly string[],
  readersEach: number,
): Promise<{ reads: number; failed: number; slowestMs: number }> {
  const reads = await Promise.all(
    replicas.flatMap((replica) => accountIds.flatMap((id) => Array.from({ length: readersEach }, () => rig.read(replica, id)))),
  )
  return {
    reads: reads.length,
    failed: reads.filter(({ status }) => status !== 200).length,
    slowestMs: Math.round(Math.max(...reads.map(({ ms }) => ms))),
  }
}

/** Takes the database away in the middle of refreshes, and brings it back. @returns accounts that are not active with a live token afterwards */
export async function outage(
  rig: Rig,
  replicas: readonly Replica[],
  {
    accounts: count,
    awayMs,
    cut = rig.proxy.cut,
    resume = rig.proxy.resume,
  }: {
    accounts: number
    awayMs: number
    cut?: () => Promise<void>
    resume?: () => Promise<void>
  },
): Promise<{ lost: string[]; refused: number; answeredMeanwhile: number; recordedAfterMs: number }> {
  rig.tiktok.changeSettings({ latency_ms: { refresh: 150 } })
  const refusedBefore = rig.tiktok.stats.report().refreshes_refused
  const processedBefore = rig.tiktok.stats.report().refreshes_processed
  const accounts = await rig.seed({ count, secondsLeft: -60 })
  const reads = accounts.map(({ id }, i) => rig.read(replicas[i % replicas.length] as Replica, id))
  await eventually('TikTok answers the first', () => rig.tiktok.stats.report().refreshes_processed > processedBefore)
  await cut()
  const cutAt = performance.now()
  await new Promise((resolve) => setTimeout(resolve, awayMs))
  const answeredMeanwhile = rig.tiktok.stats.report().refreshes_processed - processedBefore
  await resume()
  const resumedAt = performance.now()
  await Promise.all(reads)
  // What was not sent is refreshed when it is read again; nobody does more than that.
  const ids = new Set(accounts.map(({ id }) => id))
  await eventually(
    'everybody has a token',
    async () => {
      const answers = await Promise.all([...ids].map((id, i) => rig.read(replicas[i % replicas.length] as Replica, id)))
      for (const { accountId, status } of answers) if (status === 200) ids.delete(accountId)
      return ids.size === 0 || performance.now() - cutAt > 120_000
    },
    125_000,
  )
  rig.tiktok.changeSettings({ latency_ms: 0 })
  return {
    lost: [...ids],
    refused: rig.tiktok.stats.report().refreshes_refused - refusedBefore,
    answeredMeanwhile,
    recordedAfterMs: Math.round(performance.now() - resumedAt),
  }
}

/** Kills five of the service's connections every 150 ms while callers read tokens and report rejected ones. */
export async function underKilledConnections(
  rig: Rig,
  replica: Replica,
  { callers, forMs }: { callers: number; forMs: number },
): Promise<{ calls: Record<string, number>; surprises: string[]; slowestMs: number }> {
  const accounts = await rig.seed({ count: callers, secondsLeft: 3600 })
  const calls: Record<string, number> = {}
  const surprises: string[] = []
  let slowestMs = 0
  const killing = setInterval(() => {
    rig.sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'tiktok-oauth-service' and datname = current_database() order by random() limit 5`.catch(
      () => undefined,
    )
  }, 150)
  const until = performance.now() + forMs
  await Promise.all(
    accounts.map(async ({ id }) => {
      for (let i = 0, generation = 1; performance.now() < until; i++) {
        const answer =
          i % 4 === 3
            ? await rig.call(replica, 'POST', `/accounts/${id}/token/rejected`, { generation })
            : await rig.call(replica, 'GET', `/accounts/${id}/token`)
        if (typeof answer.body.generation === 'number') generation = answer.body.generation
        calls[answer.status] = (calls[answer.status] ?? 0) + 1
        slowestMs = Math.max(slowestMs, Math.round(answer.ms))
        const expected = answer.status === 200 || answer.status === 503
        if (!expected) surprises.push(`${answer.status} ${JSON.stringify(answer.body.code ?? '')}`)
      }
    }),
  )
  clearInterval(killing)
  return { calls, surprises, slowestMs }
}
