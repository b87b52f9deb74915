// What can be done to the service in a soak, and what has to be remembered of it for the invariants: whose refresh met a crash, a pause or
// an ambiguous answer, who was disconnected, who was connecting again.
import { setTimeout as pause } from 'node:timers/promises'
import type { FaultScript } from 'tiktok-simulator/faults'
import { startBrowser } from '../world.ts'
import type { Failpoint } from './failpoints.ts'
import type { Label } from './faults.ts'
import type { Expected } from './invariants.ts'
import type { Replica } from './replica.ts'
import { copyDatabase, restoreDatabase } from './restore-drill.ts'
import { publicUrl, type Rig, returnUrl } from './rig.ts'

const owner = 'user_soak'

/**
 * @param found where violations are told that are seen on the way
 * @param ready what a replica that is started has to have come to; while a database is being brought up to date none is ready
 */
export function gatherCrew(rig: Rig, found: string[], ready: true | 'listening' = true) {
  const running = new Map<string, Replica>()
  /** a process that is down, starting or standing still, and the database while it is away: nothing else is done to them */
  const busy = new Set<string>()
  const pausedMs = new Map<string, number>()
  const armedOnes = new Set<Replica>()
  const live = new Set<string>()
  const disconnected = new Set<string>()
  /** their disconnect was not answered: asked again at the end */
  const undecided = new Set<string>()
  const reconnecting = new Set<string>()
  /** people whose refresh token may be presented twice (I1), and whose refresh may end with an unknown outcome (I2) */
  const excused = new Set<string>()
  const mayBeLost = new Set<string>()
  /** the database that was restored knows nothing of their open attempt: a refusal is then all that is known */
  const attemptForgotten = new Set<string>()
  const generations = new Map<string, number>()
  /** rises with whatever makes a token die on its way: a reader may then hold a dead one, and it is nobody's fault */
  let disturbances = 0

  const personOf = (accountId: string) => rig.accounts.find(({ id }) => id === accountId)?.person ?? ''

  /** A restore cuts the operator's connections too; what is asked here may be asked again. */
  async function asked<T>(question: () => PromiseLike<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await question()
      } catch (error) {
        if (tries === 40) throw error
        await pause(250)
      }
    }
  }

  async function excuseClaimed(andMayBeLost: boolean): Promise<void> {
    const claimed = await asked(
      () => rig.sql<{ id: string }[]>`select account_id as id from token_sets where attempt_id is not null`,
    )
    for (const { id } of claimed) {
      excused.add(personOf(id))
      if (andMayBeLost) mayBeLost.add(personOf(id))
    }
  }

  /** Accounts that were connected through the browser join those that are watched. */
  async function adopt(): Promise<void> {
    const rows = await asked(
      () =>
        rig.sql<{ id: string; openId: string }[]>`select id, open_id as "openId" from accounts where status <> 'disconnected'`,
    )
    for (const { id, openId } of rows) {
      const person = rig.tiktok.people.findByEither(openId)
      if (!person || rig.accounts.some((account) => account.id === id)) continue
      rig.adopt({ id, openId, person: person.id })
      live.add(id)
    }
  }

  const crew = {
    running,
    busy,
    live,
    isFree: (name: string) => running.has(name) && !busy.has(name),

    async seed(count: number): Promise<void> {
      for (const { id } of await rig.seed({ count, secondsLeft: 7000, dueInSeconds: 3600, owner })) live.add(id)
    },

    async start(name: string): Promise<void> {
      // A start without a database ends by itself; an orchestrator tries again.
      for (let tries = 1; ; tries++) {
        const replica = await rig.start(name, { env: { LOG_LEVEL: 'info' }, ready }).catch((error) => {
          if (tries === 20) throw error
        })
        if (!replica) continue
        running.set(name, replica)
        busy.delete(name)
        return
      }
    },

    async read(name: string, accountId: string, minTtl: number): Promise<void> {
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
    },

    async reject(name: string, accountId: string): Promise<void> {
      const replica = running.get(name)
      const generation = generations.get(accountId) ?? 1
      if (replica) await rig.call(replica, 'POST', `/accounts/${accountId}/token/rejected`, { generation })
    },

    /** An access token's end comes near or is past; the background may see it before a reader does. */
    async expire(accountId: string, secondsLeft: number, dueInSeconds: number): Promise<void> {
      await asked(
        () => rig.sql`
          update token_sets set access_expires_at = now() + make_interval(secs => ${secondsLeft}),
            due_at = case when due_at is null then null else least(due_at, now() + make_interval(secs => ${dueInSeconds})) end
          where account_id = ${accountId} and attempt_id is null and rejected_at is null and lease_until is null`,
      )
    },

    async timePasses(seconds: number): Promise<void> {
      disturbances++
      await excuseClaimed(false)
      await rig.timePasses(seconds)
      await excuseClaimed(false)
      disturbances++
    },

    async disconnect(name: string, accountId: string): Promise<void> {
      const replica = running.get(name)
      if (!replica) return
      disturbances++
      live.delete(accountId)
      const { status } = await rig.call(replica, 'DELETE', `/accounts/${accountId}`)
      disturbances++
      if (status === 200) disconnected.add(accountId)
      else undecided.add(accountId)
    },

    /** People who have left and have not come back, and those whose grant is lost. */
    async wanting(): Promise<string[]> {
      const here = new Set([...live].map(personOf))
      const left = [...disconnected].map(personOf).filter((person) => !here.has(person))
      const lost = await asked(() => rig.sql<{ id: string }[]>`select id from accounts where status = 'reauthorization_required'`)
      return [...left, ...lost.map(({ id }) => personOf(id))].filter((person) => person !== '')
    },

    async connect(name: string, person: string): Promise<void> {
      const replica = running.get(name)
      if (!replica) return
      disturbances++
      reconnecting.add(person)
      const wish = { owner_id: owner, return_url: returnUrl, account_type: 'creator', age_confirmed: true }
      const opened = await rig.call(replica, 'POST', '/connect-sessions', wish)
      if (opened.status !== 201) return
      const back = await startBrowser(replica.url, publicUrl, rig.tiktok)
        .walk(String(opened.body.authorize_url), { person })
        .catch(() => undefined) // the process is gone, or its database
      if (!back) return
      const confirmed = { owner_id: owner, confirm: back.searchParams.get('confirm') }
      for (let tries = 0; tries < 3; tries++) {
        const { status } = await rig.call(replica, 'POST', `/connect-sessions/${opened.body.id}/complete`, confirmed)
        if (status !== 503 && status !== 0) break
        await pause(500)
      }
      disturbances++
      await adopt()
    },

    /** The person's next refresh goes wrong; one misfortune at a time, or nothing would ever go well. */
    misfortune(person: string, script: Omit<FaultScript, 'route'>, spends: boolean): void {
      if (rig.tiktok.faults.list().some((fault) => fault.match.person === person && fault.hits === 0)) return
      excused.add(person)
      if (spends) mayBeLost.add(person)
      rig.tiktok.faults.add({ route: 'refresh', match: { person }, ...script })
    },

    async kill(name: string, startAfterMs: number): Promise<void> {
      busy.add(name)
      running.get(name)?.signal('SIGKILL')
      await crew.startAgain(name, startAfterMs)
    },

    async startAgain(name: string, afterMs: number): Promise<void> {
      busy.add(name)
      await running.get(name)?.ended(40_000)
      running.delete(name)
      await excuseClaimed(true)
      await pause(afterMs)
      await crew.start(name)
    },

    /** Stands still for a while; the leases may run out meanwhile. */
    async standStill(name: string, forMs: number, leaseEnds: boolean): Promise<void> {
      busy.add(name)
      running.get(name)?.signal('SIGSTOP')
      const since = performance.now()
      await excuseClaimed(false)
      await pause(forMs / 2)
      if (leaseEnds) await crew.timePasses(31)
      await pause(forMs / 2)
      await excuseClaimed(false)
      running.get(name)?.signal('SIGCONT')
      pausedMs.set(name, (pausedMs.get(name) ?? 0) + performance.now() - since)
      await pause(200)
      busy.delete(name)
    },

    /** @returns whether the signal fell before `isOver`; until then the process serves, armed */
    async armed(name: string, label: Label, signal: 'SIGKILL' | 'SIGSTOP', isOver: () => boolean): Promise<boolean> {
      const replica = running.get(name)
      // One at a time: a second failpoint would take the place of the first.
      if (!replica || armedOnes.has(replica)) return false
      armedOnes.add(replica)
      busy.add(name)
      const before = replica.hits(label)
      await arm(replica, { label, signal })
      busy.delete(name)
      while (replica.isRunning && replica.hits(label) === before) {
        if (isOver()) {
          await disarm(replica)
          return false
        }
        await pause(50)
      }
      // The sign comes a moment before the signal.
      for (let tries = 0; tries < 100 && !replica.standsStill; tries++) await pause(5)
      // It may have fallen while something else was done to the process. Until that is over nobody arms it anew: stopped, it could not answer.
      while (busy.has(name)) await pause(25)
      armedOnes.delete(replica)
      return replica.hits(label) > before && running.get(name) === replica
    },

    async withoutDatabase(forMs: number, how: 'cut' | 'stall' | 'stall answers'): Promise<void> {
      busy.add('database')
      if (how === 'cut') await rig.proxy.cut()
      else rig.proxy.stall(how === 'stall' ? 'everything' : 'answers')
      await pause(forMs)
      await rig.proxy.resume()
      busy.delete('database')
    },

    /** A backup is taken, life goes on, and the backup takes the database's place: under replicas that know better. */
    async restore(databaseUrl: string, afterMs: number): Promise<void> {
      busy.add('database')
      await copyDatabase(databaseUrl, 'backup')
      busy.delete('database')
      await pause(afterMs)
      while (busy.has('database')) await pause(25)
      busy.add('database')
      disturbances++
      await rig.proxy.cut()
      await excuseClaimed(true)
      for (const person of mayBeLost) attemptForgotten.add(person)
      await restoreDatabase(databaseUrl, 'backup')
      await rig.proxy.resume()
      disturbances++
      busy.delete('database')
    },

    /** Takes failpoints away, lets stopped processes go on, ends all of them as an orchestrator does, and starts them once more. */
    async startAllAfresh(names: readonly string[]): Promise<void> {
      for (const name of names) {
        const replica = running.get(name)
        if (replica?.isRunning) {
          await disarm(replica)
          replica.signal('SIGTERM')
          const ended = await replica.ended(40_000)
          if (ended !== 0 && ended !== 'SIGKILL') found.push(`${name} ended with ${ended}: ${replica.logged().slice(-500)}`)
        }
        await excuseClaimed(true)
      }
      await Promise.all(names.map(crew.start))
    },

    /** Leases and grace run out, unanswered disconnects are repeated, and everybody is read until nothing is open any more. */
    async settle(names: readonly string[]): Promise<Expected & { down: Record<string, string> }> {
      const [first] = running.values()
      if (!first) throw new Error('there are replicas')
      for (const id of undecided) {
        const { status } = await rig.call(first, 'DELETE', `/accounts/${id}`)
        if (status === 200) disconnected.add(id)
        else found.push(`I6: ${id} could not be disconnected: ${status}`)
      }
      await adopt()
      // Until nobody's outcome is open: no grace time runs, no attempt is unsettled.
      for (let round = 0, open = 1; round < 4 || (open > 0 && round < 12); round++) {
        await rig.timePasses(61)
        for (const id of live) await crew.read(names[round % names.length] ?? '', id, 300)
        const [row] = await rig.sql<{ open: number }[]>`
          select count(*)::int as open from token_sets where due_at is not null and (rejected_at is not null or unsettled_attempts > 0)`
        open = row?.open ?? 0
      }
      const down: Record<string, string> = {}
      for (const id of live) {
        const { reason } = await rig.statusOf(id)
        const isExplained =
          (reason === 'refresh_outcome_unknown' && mayBeLost.has(personOf(id))) ||
          (reason === 'refresh_token_rejected' && attemptForgotten.has(personOf(id)))
        if (isExplained) down[id] = reason
      }
      return {
        excused: rig.accounts.filter(({ person }) => excused.has(person)).map(({ id }) => id),
        down,
        disconnected: [...disconnected],
        reconnecting: [...reconnecting],
        lost: [...mayBeLost],
      }
    },
  }
  return crew
}

async function disarm(replica: Replica): Promise<void> {
  replica.signal('SIGCONT')
  await arm(replica, { label: 'none', signal: 'SIGKILL' })
}

/** In a soak whoever is to be armed may just be dying of something else. */
async function arm(replica: Replica, failpoint: Failpoint): Promise<void> {
  await replica.arm(failpoint).catch((error) => {
    if (replica.isRunning) throw error
  })
}
