// How commands print: results to standard output, everything else to standard error, so that results can be piped.
import { createInterface } from 'node:readline/promises'
import { parseArgs } from 'node:util'

/** A mistake in how the command was called: shown with the usage. */
export class UsageError extends Error {}

/** The command did its work and has already printed its bad news: exit code 1, nothing more to say. */
export class Unfinished extends Error {}

export const print = (text: string) => process.stdout.write(`${text}\n`)
export const say = (text: string) => process.stderr.write(`${text}\n`)

type Options = NonNullable<NonNullable<Parameters<typeof parseArgs>[0]>['options']>

/** @throws UsageError instead of parseArgs' own errors */
export function parse<const O extends Options>(argv: string[], options: O) {
  try {
    return parseArgs({ args: argv, options, allowPositionals: true })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : 'The options cannot be read.')
  }
}

/**
 * Unexpected words are an error: `keys revoke A B` must not revoke only A and look as if it had revoked both.
 *
 * @throws UsageError
 */
export function nothingMore(words: string[]): void {
  if (words.length > 0) throw new UsageError(`There is one word too many: ${JSON.stringify(words[0])}.`)
}

/** @throws UsageError for anything but a whole number in the range */
export function wholeNumber(name: string, text: string, from: number, to: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= from && value <= to)) throw new UsageError(`${name} takes a whole number from ${from} to ${to}.`)
  return value
}

/**
 * A time as people write it: a date, a date and time (UTC unless a zone is named), or how long ago, such as `90m`, `2h` or `7d`.
 *
 * @throws UsageError
 */
export function moment(name: string, text: string, now = new Date()): Date {
  const ago = /^(\d{1,6})([smhd])$/.exec(text)
  if (ago) return new Date(now.getTime() - Number(ago[1]) * ({ s: 1, m: 60, h: 3600, d: 86_400 }[ago[2] ?? 's'] ?? 1) * 1000)
  const zoned = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?)?$/.test(text)
  const at = new Date(zoned && /T/.test(text) && !/(Z|[+-]\d\d:\d\d)$/.test(text) ? `${text}Z` : text)
  if (!zoned || Number.isNaN(at.getTime()))
    throw new UsageError(`${name} takes a date, a time such as 2026-11-22T14:00Z, or a span such as 90m, 2h or 7d.`)
  return at
}

/** Asks on a terminal. Without one the answer is no. */
export async function confirmed(question: string): Promise<boolean> {
  if (!process.stdin.isTTY) return false
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim())
  } finally {
    terminal.close()
  }
}

export interface Progress {
  /** Call it as often as there is news. */
  show(done: number, total: number, note?: string): void
  /** Leaves the last state on the screen. */
  end(): void
}

const barWidth = 30
/** How often a line is printed where there is no terminal. */
const lineEveryMs = 5000

/** A bar on a terminal, plain lines otherwise; both on standard error. */
export function startProgress(what: string): Progress {
  const { isTTY } = process.stderr
  let shownAt = Number.NEGATIVE_INFINITY
  let last = ''
  let lastShown = ''
  const line = (done: number, total: number, note: string) => {
    const share = total === 0 ? 1 : Math.min(1, done / total)
    const filled = Math.round(share * barWidth)
    const bar = isTTY ? `[${'#'.repeat(filled)}${'-'.repeat(barWidth - filled)}] ` : ''
    return `${what} ${bar}${Math.floor(share * 100)} % (${done} of ${total})${note === '' ? '' : `, ${note}`}`
  }
  const write = () => {
    if (last === lastShown) return
    lastShown = last
    process.stderr.write(isTTY ? `\r\u001b[K${last}` : `${last}\n`)
  }
  return {
    show(done, total, note = '') {
      last = line(done, total, note)
      const now = performance.now()
      if (now - shownAt < (isTTY ? 100 : lineEveryMs)) return
      shownAt = now
      write()
    },
    end() {
      write()
      if (isTTY && lastShown !== '') process.stderr.write('\n')
    },
  }
}
