// One real process of src/main.ts, as the fault tests see it: where it listens, what it logged, and the signals it can be sent.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { eventually } from './eventually.ts'
import { type Failpoint, sign } from './failpoints.ts'

export interface Replica {
  readonly name: string
  readonly url: string
  readonly process: ChildProcess
  /** everything it wrote to both its outputs */
  logged(): string
  /** Kills or pauses it when it takes that step, once. */
  arm(failpoint: Failpoint): Promise<void>
  /** How often armed failpoints of this label were reached. */
  hits(label: string): number
  /** Waits until an armed failpoint was reached. */
  reached(label: string): Promise<void>
  /** @returns the exit code, or the signal that ended it */
  ended(withinMs?: number): Promise<number | NodeJS.Signals>
  signal(signal: NodeJS.Signals): void
  readonly isRunning: boolean
}

export interface ReplicaOptions {
  name: string
  logFile: string
  env: Record<string, string>
  /** loaded before the service */
  preloads?: ('failpoints' | 'skewed-clock')[]
  /** waits for it to be ready; false for one that is not expected to be */
  ready?: boolean
}

const root = fileURLToPath(new URL('../..', import.meta.url))

export async function startReplica(options: ReplicaOptions): Promise<Replica> {
  const { name, logFile, env, preloads = ['failpoints'], ready = true } = options
  const log = openSync(logFile, 'a')
  const before = readFileSync(logFile).length
  const loaders = preloads.flatMap((preload) => ['--import', `./test/rig/${preload}.ts`])
  // Nothing of the test runner's environment: its loaders are for tests.
  const child = spawn(process.execPath, [...loaders, 'src/main.ts'], {
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

  let url = ''
  if (ready) {
    await eventually(
      `${name} is ready: ${logFile}`,
      () => {
        if (!isRunning()) throw new Error(`${name} ended before it was ready: ${logged()}`)
        url = /"url":"(http:[^"]+)"[^\n]*"msg":"service is ready"/.exec(logged())?.[1] ?? ''
        return url !== ''
      },
      20_000,
    )
  }
  return {
    name,
    url,
    process: child,
    logged,
    async arm(failpoint) {
      if (!isRunning()) return
      const before = hits(failpoint.label)
      let answered = false
      child.once('message', () => {
        answered = true
      })
      child.send(failpoint)
      // The signal may fall before the answer is out.
      const isArmed = () => answered || !isRunning() || hits(failpoint.label) > before
      await eventually(`${name} is armed with ${failpoint.label}`, isArmed, 30_000)
    },
    hits,
    reached: (label) => eventually(`${name} reaches ${label}`, () => logged().includes(sign(label)), 10_000),
    async ended(withinMs = 30_000) {
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
