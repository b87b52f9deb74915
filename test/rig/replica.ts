// One real process of src/main.ts, as the fault tests see it: where it listens, what it logged, and the signals it can be sent.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { eventually } from './eventually.ts'
import { type Failpoint, sign } from './failpoints.ts'
import { ownNode } from './own-node.ts'

export interface Replica {
  readonly name: string
  readonly url: string
  readonly process: ChildProcess
  /** everything it wrote to both its outputs */
  logged(): string
  /** Kills or pauses it when it takes that step, once. @throws Error when it ended without having taken it */
  arm(failpoint: Failpoint): Promise<void>
  /** How often armed failpoints of this label were reached. */
  hits(label: string): number
  /** Waits until an armed failpoint was reached and its signal fell. */
  reached(label: string): Promise<void>
  /** It is stopped or gone; where the system does not tell, it is taken to be. */
  readonly standsStill: boolean
  /** @returns the exit code, or the signal that ended it */
  ended(withinMs?: number): Promise<number | NodeJS.Signals>
  signal(signal: NodeJS.Signals): void
  readonly isRunning: boolean
}

export interface ReplicaOptions {
  name: string
  logFile: string
  env: Record<string, string | undefined>
  /** the checkout it runs from, when it is another release's */
  root?: string | undefined
  /** loaded before the service */
  preloads?: ('failpoints' | 'skewed-clock' | 'as-tiktok')[]
  /** waits for it to be ready; false for one that is not expected to be, 'listening' for one that may not be yet */
  ready?: boolean | 'listening'
}

const here = fileURLToPath(new URL('../..', import.meta.url))

export async function startReplica(options: ReplicaOptions): Promise<Replica> {
  const { name, logFile, env, root = here, preloads = ['failpoints'], ready = true } = options
  const log = openSync(logFile, 'a')
  const before = readFileSync(logFile).length
  const loaders = preloads.flatMap((preload) => ['--import', `./test/rig/${preload}.ts`])
  const child = spawn(...ownNode([...loaders, 'src/main.ts']), {
    cwd: root,
    env: { PATH: process.env.PATH ?? '', ...env },
    stdio: ['ignore', log, log, 'ipc'],
  })
  closeSync(log)
  child.unref()
  child.channel?.unref()
  const exit = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
  const logged = () => readFileSync(logFile).subarray(before).toString()
  const isRunning = () => child.exitCode === null && child.signalCode === null

  const hits = (label: string) => logged().split(sign(label)).length - 1

  /** Between the sign and the signal there is a moment: a SIGCONT that comes in it is lost, and the process stays stopped. */
  const standsStill = () => {
    const file = `/proc/${child.pid}/stat`
    if (!isRunning() || !existsSync('/proc/self/stat')) return true
    return existsSync(file) && /\) [TtZX] /.test(readFileSync(file, 'utf8'))
  }

  let url = ''
  if (ready) {
    await eventually(`${name} is ready: ${logFile}`, () => {
      if (!isRunning()) throw new Error(`${name} ended before it was ready: ${logged()}`)
      const listens = ready === 'listening' ? /"url":"(http:[^"]+)"[^\n]*"msg":"service listens/.exec(logged()) : null
      url = (listens ?? /"url":"(http:[^"]+)"[^\n]*"msg":"service is ready"/.exec(logged()))?.[1] ?? ''
      return url !== ''
    }).catch((error) => {
      child.kill('SIGKILL') // whoever tries again must not find it there
      throw error
    })
  }
  return {
    name,
    url,
    process: child,
    logged,
    async arm(failpoint) {
      const before = hits(failpoint.label)
      let answered = false
      child.once('message', () => {
        answered = true
      })
      if (isRunning()) child.send(failpoint)
      const isArmed = () => {
        const ended = !isRunning()
        // The signal may fall before the answer is out.
        if (answered || hits(failpoint.label) > before) return true
        if (ended) throw new Error(`${name} ended before it was armed with ${failpoint.label}`)
        return false
      }
      await eventually(`${name} is armed with ${failpoint.label}`, isArmed)
    },
    hits,
    reached: (label) => eventually(`${name} reaches ${label}`, () => logged().includes(sign(label)) && standsStill()),
    get standsStill() {
      return standsStill()
    },
    async ended(withinMs = 60_000) {
      await eventually(`${name} ends`, () => !isRunning(), withinMs)
      const [code, signal] = await exit
      return code ?? signal ?? 'SIGKILL'
    },
    signal: (signal) => void child.kill(signal),
    get isRunning() {
      return isRunning()
    },
  }
}
