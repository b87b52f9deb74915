// A long day, drawn from a seed: readers, uploaders, expiries, disconnects, reconnects, kills, pauses, database cuts and TikTok's faults, all at once
// and in any order. Every operation but reads is recorded; at the end everything is let settle and the invariants are asked.
import { setTimeout as pause } from 'node:timers/promises'
import type { FaultScript } from 'tiktok-simulator/faults'
import { labels } from './faults.ts'
import { violations } from './invariants.ts'
import { chance } from './random.ts'
import type { Rig } from './rig.ts'
import { gatherCrew } from './soak-crew.ts'
import { gatherUploaders, type Intent } from './soak-uploads.ts'

export interface SoakReport {
  seed: number
  seconds: number
  operations: Record<string, number>
  answers: Record<string, number>
  uploads: Record<string, number>
  restores: number
  refreshes: number
  presentedTwice: number
  lostToCrashes: number
  violations: string[]
  /** what was done, in order: `+12.3s kill replica-2 acc_01k9z3… 734`, with the account and the number that were drawn */
  record: string[]
}

/** Out of a hundred and sixty: every few seconds a process is to die, if it is up, and in between there is time to do some work. */
const weights = {
  read: 100,
  reject: 8,
  upload: 12,
  expire: 30,
  time: 1.5,
  disconnect: 1,
  reconnect: 2,
  tiktok: 3,
  kill: 0.25,
  killAtStep: 0.35,
  pause: 0.3,
  pauseAtStep: 0.3,
  cut: 0.2,
  stall: 0.15,
  connections: 0.5,
}

const intents: Intent[] = ['commit', 'commit', 'release', 'forget']

const misfortunes: { script: Omit<FaultScript, 'route'>; spends: boolean }[] = [
  { script: { status: 429, headers: { 'Retry-After': '2' } }, spends: false },
  { script: { status: 502, body: '<h1>Bad gateway</h1>' }, spends: false },
  { script: { reset: 'before' }, spends: false },
  { script: { error: 'invalid_client' }, spends: false },
  { script: { before_ms: 3000 }, spends: false },
  { script: { reset: 'after' }, spends: true },
  { script: { cut_at_bytes: 50 }, spends: true },
  { script: { status: 502, process: true, body: 'x' }, spends: true },
]

/** What must never be in a log. */
export const alarms = ['refresh token was spent twice', 'process failed unexpectedly', 'request failed unexpectedly']

/**
 * @param options.progress hears a line now and then, and each violation as it is seen
 * @param options.deadlineMs within which every read has to be answered (I7)
 */
export async function soak(
  rig: Rig,
  options: {
    seconds: number
    seed: number
    accounts?: number
    replicas?: number
    deadlineMs?: number
    /** the database that is restored every minute; then no time is stepped, which a backup would undo, and nobody uploads, which no journal has */
    restoring?: string | undefined
    progress?: (line: string) => void
  },
): Promise<SoakReport> {
  const { seconds, seed, accounts = 40, replicas = 3, restoring, progress = () => {} } = options
  const draw = chance(seed)
  const startedAt = performance.now()
  const elapsed = () => (performance.now() - startedAt) / 1000
  const isOver = () => elapsed() > seconds
  const record: string[] = []
  const operations: Record<string, number> = {}
  const found: string[] = []
  const crew = gatherCrew(rig, found, restoring === undefined ? true : 'listening')
  const uploaders = gatherUploaders(rig, crew.running, found)
  const names = Array.from({ length: replicas }, (_, i) => `replica-${i + 1}`)
  const inFlight = new Set<Promise<unknown>>()
  /** Things happen at once: nothing is waited for. */
  const go = (work: Promise<unknown>) => {
    const settled = work
      .catch((error) => found.push(`the soak itself failed: ${error instanceof Error ? error.stack : error}`))
      .finally(() => inFlight.delete(settled))
    inFlight.add(settled)
  }

  await crew.seed(accounts)
  await Promise.all(names.map(crew.start))
  // Breakers wait in real time then, so TikTok fails less often.
  const chances = restoring === undefined ? weights : { ...weights, time: 0, upload: 0, tiktok: 0.2 }
  let restores = 0
  let toldAt = 0
  let violationsTold = 0
  while (!isOver()) {
    // Everything is drawn whether it is needed or not: so the next draws do not depend on what happened.
    const operation = draw.weighted(chances)
    const name = draw.pick(names)
    const { id, person } = draw.pick(rig.accounts.filter((account) => crew.live.has(account.id)))
    const number = draw.between(0, 1_000_000)
    const misfortune = draw.pick(misfortunes)
    const label = draw.pick(labels)
    operations[operation] = (operations[operation] ?? 0) + 1
    if (operation !== 'read') record.push(`+${elapsed().toFixed(1)}s ${operation} ${name} ${id} ${number}`)
    const free = crew.isFree(name)

    if (operation === 'read' && free) {
      for (let i = 0; i < (number % 10 === 0 ? 12 : 1); i++) go(crew.read(name, id, number % 3 === 0 ? 3000 : 300))
    } else if (operation === 'reject' && free) go(crew.reject(name, id))
    else if (operation === 'upload') {
      // Sometimes many at once for one account: they go for its last slots together.
      for (let i = 0; i < (number % 20 === 0 ? 30 : 1); i++)
        go(uploaders.upload(id, `${number}-${i}-${elapsed()}`, intents[(number + i) % intents.length] ?? 'forget'))
    } else if (operation === 'expire') await crew.expire(id, (number % 400) - 100, number % 3)
    else if (operation === 'time') await crew.timePasses(1 + (number % 12))
    else if (operation === 'disconnect' && free && crew.live.size > accounts / 2) go(crew.disconnect(name, id))
    else if (operation === 'reconnect' && free) {
      // Half of them somebody who had left or whose grant is lost, half whoever it is.
      const wanting = number % 2 === 0 ? await crew.wanting() : []
      go(crew.connect(name, wanting[number % wanting.length] ?? person))
    } else if (operation === 'tiktok') crew.misfortune(person, misfortune.script, misfortune.spends)
    else if (operation === 'kill' && free) go(crew.kill(name, number % 1500))
    else if (operation === 'killAtStep' && free) {
      go(crew.armed(name, label, 'SIGKILL', isOver).then((fell) => (fell ? crew.startAgain(name, number % 1500) : undefined)))
    } else if (operation === 'pauseAtStep' && free) {
      const forMs = 500 + (number % 2000)
      go(
        crew
          .armed(name, label, 'SIGSTOP', isOver)
          .then((fell) => (fell ? crew.standStill(name, forMs, restoring === undefined && number % 2 === 0) : undefined)),
      )
    } else if (operation === 'pause' && free)
      go(crew.standStill(name, 200 + (number % 3000), restoring === undefined && number % 4 === 0))
    else if ((operation === 'cut' || operation === 'stall') && !crew.busy.has('database')) {
      const how = operation === 'cut' ? 'cut' : number % 2 === 0 ? 'stall answers' : 'stall'
      go(crew.withoutDatabase(200 + (number % 3000), how))
    } else if (operation === 'connections') rig.proxy.killConnections()

    // The last one has time to be brought home.
    if (restoring !== undefined && elapsed() > restores * 80 + 10 && elapsed() < seconds - 80 && !crew.busy.has('database')) {
      restores += 1
      record.push(`+${elapsed().toFixed(1)}s restore`)
      go(crew.restore(restoring, 10_000 + (number % 20_000)))
    }

    for (const [key, one] of crew.running) {
      const mayBeDead = one.isRunning || crew.busy.has(key) || labels.some((step) => one.hits(step) > 0)
      if (!mayBeDead) found.push(`${key} ended by itself: ${one.logged().slice(-500)}`)
    }
    for (; violationsTold < found.length; violationsTold++) progress(found[violationsTold] ?? '')
    if (elapsed() - toldAt > 15) {
      toldAt = elapsed()
      const { refreshes_processed: refreshes } = rig.tiktok.stats.report()
      progress(`${Math.round(toldAt)} s: ${rig.readings.length} reads, ${refreshes} refreshes, ${found.length} violations so far`)
    }
    await pause(number % 30)
  }

  progress('letting everything settle')
  rig.tiktok.faults.clear()
  await Promise.all(inFlight)
  await crew.startAllAfresh(names)
  const expected = await crew.settle(names)
  const uploads = await uploaders.settle()
  found.push(...(await violations(rig, { ...expected, deadlineMs: options.deadlineMs })))
  const logs = rig.logs().split('\n')
  for (const alarm of alarms) {
    const line = logs.find((text) => text.includes(alarm))
    if (line) found.push(`in the logs: ${line}`)
  }
  const answers: Record<string, number> = {}
  for (const { status, code } of rig.readings) {
    const key = code ? `${status} ${code}` : String(status)
    answers[key] = (answers[key] ?? 0) + 1
  }
  const stats = rig.tiktok.stats.report()
  return {
    seed,
    seconds: Math.round(elapsed()),
    operations,
    answers,
    uploads,
    restores,
    refreshes: stats.refreshes_processed,
    presentedTwice: stats.double_spend_count,
    lostToCrashes: Object.keys(expected.down).length,
    violations: found,
    record,
  }
}
