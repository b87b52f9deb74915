// The faults that the tests run once and `npm run faults` twenty times in a row.
import { eventually } from './eventually.ts'
import type { Replica } from './replica.ts'
import type { Reading, Rig } from './rig.ts'

/** Every labelled step of a refresh, and what becomes of the account whose process dies there. */
export const afterDeathAt = {
  'refresh.claimed': 'active',
  'refresh.sending': 'active',
  'refresh.answered': 'refresh_outcome_unknown',
  'refresh.spilled': 'active',
  'refresh.saved': 'active',
  'refresh.unspilled': 'active',
} as const
export type Label = keyof typeof afterDeathAt

/** Kills a process at a step of a refresh, lets the leases and the grace run out, and starts it again as an orchestrator would. */
export async function killAt(
  rig: Rig,
  holder: Replica,
  neighbour: Replica,
  label: Label,
): Promise<{ victim: string; bystanders: string[]; expected: (typeof afterDeathAt)[Label]; again: Replica }> {
  const [victim, ...bystanders] = await rig.seed({ count: 3, secondsLeft: -60 })
  if (!victim) throw new Error('three were seeded')
  await holder.arm({ label, signal: 'SIGKILL' })
  const [read] = await Promise.all([rig.read(holder, victim.id), holder.ended()])
  if (read.status !== 0) throw new Error(`the holder answered ${read.status} and was to be dead`)

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
  const [account] = await rig.seed({ count: 1, secondsLeft: -60 })
  if (!account) throw new Error('one was seeded')
  await holder.arm({ label: 'refresh.answered', signal: 'SIGSTOP' })
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

/** As many readers of every account on every replica, all at once. @returns how many were not given a token, and how long the slowest waited */
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
