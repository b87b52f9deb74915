// A long day, drawn from a seed: readers, expiries, disconnects, reconnects, kills, pauses, database cuts and TikTok's faults, all at once
// and in any order. Every operation is recorded; at the end everything is let settle and the invariants are asked.
import { setTimeout as pause } from 'node:timers/promises'
import type { FaultScript } from '../../src/simulator/faults.ts'
import { startBrowser } from '../world.ts'
import { labels } from './faults.ts'
import { violations } from './invariants.ts'
import { chance } from './random.ts'
import type { Replica } from './replica.ts'
import { publicUrl, type Rig, returnUrl } from './rig.ts'

export interface SoakReport {
  seed: number
  seconds: number
  operations: Record<string, number>
  answers: Record<string, number>
  refreshes: number
  presentedTwice: number
  lostToCrashes: number
  violations: string[]
  /** what was done, in order: `+12.3s kill replica-2` */
  record: string[]
}

/** Out of a hundred and fifty: a process dies every ten seconds or so, and in between there is time to do some work. */
const weights = {
  read: 100,
  reject: 8,
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

/** @param progress hears a line now and then */
export async function soak(
  rig: Rig,
  options: { seconds: number; seed: number; accounts?: number; replicas?: number; progress?: (line: string) => void },
): Promise<SoakReport> {
  const { seconds, seed, accounts: accountCount = 40, replicas: replicaCount = 3, progress = () => {} } = options
  const draw = chance(seed)
  const startedAt = performance.now()
  const elapsed = () => (performance.now() - startedAt) / 1000
  const record: string[] = []
  const operations: Record<string, number> = {}
  const note = (operation: string, what: string) => {
    operations[operation] = (operations[operation] ?? 0) + 1
    if (operation !== 'read') record.push(`+${elapsed().toFixed(1)}s ${operation} ${what}`)
  }
  const found: string[] = []
  const names = Array.from({ length: replicaCount }, (_, i) => `replica-${i + 1}`)
  const running = new Map<string, Replica>()
  /** a process is down, starting, or standing still: nothing else is done to it */
  const busy = new Set<string>()
  const pausedMs = new Map<string, number>()
  const owner = 'user_soak'
  const seeded = await rig.seed({ count: accountCount, secondsLeft: 7000, dueInSeconds: 3600, owner })
  const live = new Set(seeded.map(({ id }) => id))
  const disconnected = new Set<string>()
  /** a disconnect of theirs was not answered: asked again at the end */
  const undecided = new Set<string>()
  const reconnecting = new Set<string>()
  /** may be presented twice (I1), and may end with an unknown outcome (I2) */
  const excused = new Set<string>()
  const mayBeLost = new Set<string>()
  const generations = new Map<string, number>()
  /** rises with whatever makes a token die while it is on its way: a reader may then hold a dead one without anybody's fault */
  let disturbances = 0
  const inFlight = new Set<Promise<unknown>>()
  const go = (work: Promise<unknown>) => {
    const settled = work
      .catch((error) => found.push(`the soak itself failed: ${error instanceof Error ? error.stack : error}`))
      .finally(() => inFlight.delete(settled))
    inFlight.add(settled)
  }

  const start = async (name: string) => {
    // A start without a database ends by itself; an orchestrator tries again.
    for (let tries = 1; ; tries++) {
      const replica = await rig.start(name, { env: { LOG_LEVEL: 'info' } }).catch((error) => {
        if (tries === 20) throw error
      })
      if (replica) {
        running.set(name, replica)
        busy.delete(name)
        return
      }
    }
  }
  const anyReplica = () => draw.pick(names)
  const anyAccount = () => draw.pick(rig.accounts.filter(({ id }) => live.has(id)))
  const claimed = async () =>
    (await rig.sql<{ id: string }[]>`select account_id as id from token_sets where attempt_id is not null`).map(({ id }) => id)
  const excuseClaimed = async (andMayBeLost: boolean) => {
    for (const id of await claimed()) {
      excused.add(id)
      if (andMayBeLost) mayBeLost.add(id)
    }
  }

  const read = async (name: string, accountId: string, minTtl: number) => {
    const replica = running.get(name)
    if (!replica) return
    const before = { disturbances, pausedMs: pausedMs.get(name) ?? 0, gone: disconnected.has(accountId) }
    const reading = await rig.read(replica, accountId, minTtl)
    reading.ms -= (pausedMs.get(name) ?? 0) - before.pausedMs
    if (busy.has(name)) reading.ms = 0 // it was stopped under the reader
    if (before.disturbances !== disturbances) reading.wrong = undefined
    if (reading.generation !== undefined) generations.set(accountId, reading.generation)
    if (before.gone && reading.status === 200) found.push(`I6: ${accountId} was vended after its disconnect was acknowledged`)
    if (![0, 200, 409, 410, 503].includes(reading.status))
      found.push(`a read of ${accountId} was answered ${reading.status} ${reading.code}`)
  }
  const disconnect = async (name: string, accountId: string) => {
    const replica = running.get(name)
    if (!replica) return
    disturbances++
    live.delete(accountId)
    const { status } = await rig.call(replica, 'DELETE', `/accounts/${accountId}`)
    disturbances++
    // Without an answer nobody knows; asked again at the end.
    if (status === 200) disconnected.add(accountId)
    else undecided.add(accountId)
  }
  const connect = async (name: string, person: string) => {
    const replica = running.get(name)
    if (!replica) return
    disturbances++
    reconnecting.add(person)
    const opened = await rig.call(replica, 'POST', '/connect-sessions', {
      owner_id: owner,
      return_url: returnUrl,
      account_type: 'creator',
      age_confirmed: true,
    })
    if (opened.status !== 201) return
    const back = await startBrowser(replica.url, publicUrl, rig.tiktok)
      .walk(String(opened.body.authorize_url), { person })
      .catch(() => undefined) // the process is gone, or its database
    if (!back) return
    for (let tries = 0; tries < 3; tries++) {
      const completed = await rig.call(replica, 'POST', `/connect-sessions/${opened.body.id}/complete`, {
        owner_id: owner,
        confirm: back.searchParams.get('confirm'),
      })
      if (completed.status !== 503 && completed.status !== 0) break
      await pause(500)
    }
    disturbances++
  }
  const restart = async (name: string, afterMs: number) => {
    await running.get(name)?.ended(40_000)
    running.delete(name)
    await excuseClaimed(true)
    await pause(afterMs)
    await start(name)
  }
  const stopped = async (name: string, forMs: number, leaseEnds: boolean) => {
    const since = performance.now()
    await excuseClaimed(false)
    if (leaseEnds) {
      await pause(forMs / 2)
      await timePasses(31)
      await pause(forMs / 2)
    } else await pause(forMs)
    await excuseClaimed(false)
    running.get(name)?.signal('SIGCONT')
    pausedMs.set(name, (pausedMs.get(name) ?? 0) + performance.now() - since)
    await pause(200)
    busy.delete(name)
  }
  const timePasses = async (passed: number) => {
    disturbances++
    await excuseClaimed(false)
    await rig.timePasses(passed)
    await excuseClaimed(false)
    disturbances++
  }

  await Promise.all(names.map(start))
  let toldAt = 0
  let toldViolations = 0
  while (elapsed() < seconds) {
    const operation = draw.weighted(weights)
    const name = anyReplica()
    const { id, person } = anyAccount()
    const number = draw.between(0, 1_000_000)
    const misfortune = draw.pick(misfortunes)
    const label = draw.pick(labels)
    const replica = running.get(name)
    const free = replica !== undefined && !busy.has(name)
    note(operation, '')
    const add = (what: string) => {
      record[record.length - 1] += what
    }
    switch (operation) {
      case 'read': {
        const many = number % 10 === 0 ? 12 : 1
        for (let i = 0; i < many; i++) if (free) go(read(name, id, number % 3 === 0 ? 3000 : 300))
        break
      }
      case 'reject':
        add(id)
        if (free) go(rig.call(replica, 'POST', `/accounts/${id}/token/rejected`, { generation: generations.get(id) ?? 1 }))
        break
      case 'expire':
        add(id)
        await rig.sql`
          update token_sets set access_expires_at = now() + make_interval(secs => ${(number % 400) - 100}),
            due_at = case when due_at is null then null else least(due_at, now() + make_interval(secs => ${number % 3})) end
          where account_id = ${id} and attempt_id is null and rejected_at is null and lease_until is null`
        break
      case 'time':
        add(`${1 + (number % 12)} s`)
        await timePasses(1 + (number % 12))
        break
      case 'disconnect':
        if (!free || live.size < accountCount / 2) break
        add(id)
        go(disconnect(name, id))
        break
      case 'reconnect': {
        if (!free) break
        // Half of them somebody who had left, half somebody who is connected.
        const leavers = rig.accounts.filter(
          (account) => disconnected.has(account.id) && ![...live].some((other) => personOf(rig, other) === account.person),
        )
        const who = number % 2 === 0 && leavers.length > 0 ? (leavers[number % leavers.length]?.person ?? person) : person
        add(who)
        go(
          connect(name, who).then(async () => {
            await adopt(rig, live)
          }),
        )
        break
      }
      case 'tiktok':
        add(`${JSON.stringify(misfortune.script)} for ${id}`)
        excused.add(id)
        if (misfortune.spends) mayBeLost.add(id)
        rig.tiktok.faults.add({ route: 'refresh', match: { person }, ...misfortune.script })
        break
      case 'kill':
        if (!free) break
        add(name)
        busy.add(name)
        replica.signal('SIGKILL')
        go(restart(name, number % 1500))
        break
      case 'killAtStep':
      case 'pauseAtStep': {
        if (!free) break
        const signal = operation === 'killAtStep' ? 'SIGKILL' : 'SIGSTOP'
        add(`${name} ${label}`)
        busy.add(name)
        go(
          (async () => {
            const before = replica.hits(label)
            await replica.arm({ label, signal })
            // Armed, it goes on serving until the step is taken, which may be much later.
            busy.delete(name)
            while (replica.isRunning && replica.hits(label) === before) {
              if (elapsed() > seconds) return
              await pause(25)
            }
            while (busy.has(name)) await pause(25)
            if (replica.hits(label) === before || running.get(name) !== replica) return
            busy.add(name)
            if (signal === 'SIGKILL') await restart(name, number % 1500)
            else await stopped(name, 500 + (number % 2000), number % 2 === 0)
          })(),
        )
        break
      }
      case 'pause':
        if (!free) break
        add(name)
        busy.add(name)
        replica.signal('SIGSTOP')
        go(stopped(name, 200 + (number % 3000), number % 4 === 0))
        break
      case 'cut':
      case 'stall':
        if (busy.has('database')) break
        busy.add('database')
        add(`${200 + (number % 3000)} ms`)
        go(
          (async () => {
            if (operation === 'cut') await rig.proxy.cut()
            else rig.proxy.stall(number % 2 === 0 ? 'answers' : 'everything')
            await pause(200 + (number % 3000))
            await rig.proxy.resume()
            busy.delete('database')
          })(),
        )
        break
      case 'connections':
        rig.proxy.killConnections()
        break
    }
    for (const [key, one] of running) {
      if (!one.isRunning && !busy.has(key) && !one.logged().includes('failpoint '))
        found.push(`${key} ended by itself: ${one.logged().slice(-500)}`)
    }
    if (elapsed() - toldAt > 15) {
      toldAt = elapsed()
      progress(
        `${Math.round(toldAt)} s: ${rig.readings.length} reads, ${rig.tiktok.stats.report().refreshes_processed} refreshes, ${found.length} violations so far`,
      )
      for (; toldViolations < found.length; toldViolations++) progress(found[toldViolations] ?? '')
    }
    await pause(number % 30)
  }

  // Everything is well again, and what was left open settles.
  progress('letting everything settle')
  for (const [name, replica] of running) {
    if (!replica.isRunning || busy.has(name)) continue
    replica.signal('SIGCONT')
    await replica.arm({ label: 'none', signal: 'SIGKILL' })
  }
  rig.tiktok.faults.clear()
  while (busy.has('database')) await pause(50)
  await Promise.all(inFlight)
  await rig.proxy.resume()
  for (const name of names) {
    const replica = running.get(name)
    if (replica?.isRunning) {
      replica.signal('SIGCONT')
      replica.signal('SIGTERM')
      const ended = await replica.ended(40_000)
      if (ended !== 0 && ended !== 'SIGKILL') found.push(`${name} ended with ${ended}: ${replica.logged().slice(-500)}`)
    }
    await excuseClaimed(true)
  }
  await Promise.all(names.map(start))
  const [first] = [...running.values()]
  if (!first) throw new Error('there are replicas')
  for (const id of undecided) {
    const { status } = await rig.call(first, 'DELETE', `/accounts/${id}`)
    if (status === 200) disconnected.add(id)
    else found.push(`I6: ${id} could not be disconnected: ${status}`)
  }
  await adopt(rig, live)
  for (let round = 0; round < 4; round++) {
    await rig.timePasses(61)
    for (const id of live) await read(names[round % names.length] ?? '', id, 300)
  }
  const down: Record<string, string> = {}
  for (const id of live) {
    const { status, reason } = await rig.statusOf(id)
    if (status === 'reauthorization_required' && reason === 'refresh_outcome_unknown' && mayBeLost.has(id)) down[id] = reason
  }
  const expected = {
    excused: [...excused],
    down,
    disconnected: [...disconnected],
    reconnecting: [...reconnecting],
    deadlineMs: 12_000,
  }
  found.push(...(await violations(rig, expected)))
  const logs = rig.logs()
  for (const alarm of ['refresh token was spent twice', 'process failed unexpectedly', 'request failed unexpectedly']) {
    if (logs.includes(alarm)) found.push(`in the logs: ${alarm}: ${logs.split('\n').find((line) => line.includes(alarm))}`)
  }
  const answers: Record<string, number> = {}
  for (const { status, code } of rig.readings) {
    const key = `${status}${code ? ` ${code}` : ''}`
    answers[key] = (answers[key] ?? 0) + 1
  }
  const stats = rig.tiktok.stats.report()
  return {
    seed,
    seconds: Math.round(elapsed()),
    operations,
    answers,
    refreshes: stats.refreshes_processed,
    presentedTwice: stats.double_spend_count,
    lostToCrashes: Object.keys(down).length,
    violations: found,
    record,
  }
}

const personOf = (rig: Rig, accountId: string) => rig.accounts.find(({ id }) => id === accountId)?.person

/** Accounts that were connected through the browser join those that are watched. */
async function adopt(rig: Rig, live: Set<string>): Promise<void> {
  const rows = await rig.sql<
    { id: string; openId: string }[]
  >`select id, open_id as "openId" from accounts where status <> 'disconnected'`
  for (const { id, openId } of rows) {
    const person = rig.tiktok.people.findByEither(openId)
    if (!person || rig.accounts.some((account) => account.id === id)) continue
    rig.adopt({ id, openId, person: person.id })
    live.add(id)
  }
}
