// The programs of the demo: real processes, each with a log file, none left behind.
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

export interface Child {
  name: string
  /** settles with the reason when it ends, whoever wanted that */
  ended: Promise<string>
  /** Waits until `url` answers with 200. @throws Error with the child's last words when it ends before or takes too long */
  ready(url: string): Promise<void>
  /** Asks it to end, and insists after a while; repeating it is harmless. */
  stop(): Promise<void>
}

const repository = fileURLToPath(new URL('../..', import.meta.url))
const endWithParent = new URL('end-with-parent.ts', import.meta.url).href
/** The first start of a slow machine makes a database. */
const startingMs = 60_000
const endingMs = 12_000

/** @param argv program and its arguments, relative to the repository */
export function startChild(name: string, argv: string[], options: { env: Record<string, string>; logFolder: string }): Child {
  const logFile = join(options.logFolder, `${name.replaceAll(' ', '-')}.log`)
  const log = openSync(logFile, 'w', 0o600)
  const process_ = spawn(process.execPath, ['--import', endWithParent, ...argv], {
    cwd: repository,
    env: { ...process.env, ...options.env },
    // A session of its own: Ctrl-C goes to everything in a terminal, and the order of the end is the demo's to choose.
    detached: process.platform !== 'win32',
    windowsHide: true,
    stdio: ['pipe', log, log],
  })
  closeSync(log)
  process_.stdin?.on('error', () => {}) // it has ended by itself; `ended` says so
  const ended = new Promise<string>((resolve) => {
    process_.once('error', (error) => resolve(error.message))
    process_.once('exit', (code, signal) => resolve(signal === null ? `exit code ${code}` : `signal ${signal}`))
  })
  return {
    name,
    ended,
    async ready(url) {
      const giveUp = AbortSignal.timeout(startingMs)
      const over = ended.then((how) => {
        throw new Error(`The ${name} ended while starting (${how}). Its last words, from ${logFile}:\n${lastWords(logFile)}`)
      })
      await Promise.race([over, answers(url, giveUp)]).catch((error: unknown) => {
        if (!giveUp.aborted) throw error
        throw new Error(`The ${name} did not get ready. Its last words, from ${logFile}:\n${lastWords(logFile)}`)
      })
    },
    stop: () => stop(process_, ended),
  }
}

async function stop(child: ChildProcess, ended: Promise<string>): Promise<void> {
  child.stdin?.end()
  const insist = setTimeout(() => child.kill('SIGKILL'), endingMs)
  await ended
  clearTimeout(insist)
}

async function answers(url: string, giveUp: AbortSignal): Promise<void> {
  for (;;) {
    const answer = await fetch(url, { signal: AbortSignal.any([giveUp, AbortSignal.timeout(5_000)]) }).catch(() => undefined)
    await answer?.body?.cancel()
    if (answer?.ok) return
    await pause(40, undefined, { signal: giveUp })
  }
}

function lastWords(logFile: string): string {
  return readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-8).join('\n')
}
