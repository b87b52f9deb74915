// The `.env` file. Node ends an unquoted value at its first `#`, wherever that stands, and passes over a line that it cannot read, without a word:
// half a secret fails much later, and as somebody else's fault. So what looks cut or lost stops the start.
import { existsSync, readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { ConfigError } from './config.ts'

/** A name, and behind the `=` a quoted value, which may have several lines, with what follows it, or the rest of the line. */
const assignment = /^[ \t]*(?:export[ \t]+)?([A-Za-z_][\w.-]*)[ \t]*=[ \t]*(?:(["'`])(?:(?!\2)[\s\S])*\2([^\n]*)|([^\n]*))/gm

/**
 * Reads the file into the environment, if there is one. What is set already stays.
 *
 * @throws ConfigError naming the variables whose value looks cut and the lines that say nothing, never the value
 */
export function readEnvFile(file = '.env'): void {
  if (!existsSync(file)) return
  const text = readFileSync(file, 'utf8').replace(/^\uFEFF/, '') // an editor's mark, which would become part of the first name
  const problems = problemsIn(text, process.env)
  if (problems.length > 0) throw new ConfigError(problems)
  for (const [name, value] of Object.entries(parseEnv(text))) process.env[name] ??= value
}

/**
 * The same for who wants to know everything that is wrong (`doctor`, `portal`): what is whole is read.
 *
 * @returns sentences as above; a name that they begin with was left out
 */
export function takeEnvFile(file = '.env'): string[] {
  if (!existsSync(file)) return []
  const text = readFileSync(file, 'utf8').replace(/^\uFEFF/, '')
  const problems = problemsIn(text, process.env)
  const cut = new Set(problems.map((sentence) => sentence.split(' ', 1)[0]))
  for (const [name, value] of Object.entries(parseEnv(text))) if (!cut.has(name)) process.env[name] ??= value
  return problems
}

/** @param env a variable that is set there is not read from the file */
export function problemsIn(text: string, env: Record<string, string | undefined>): string[] {
  if (/[\0\uFFFD]/.test(text)) return ['.env is not written in UTF-8: save it anew, in UTF-8']
  const found = Array.from(text.replaceAll('\r\n', '\n').matchAll(assignment), ([, name = '', quote, behind = '', bare = '']) => {
    if (env[name] !== undefined) return undefined
    if (quote !== undefined)
      return /^\s*(#|$)/.test(behind) ? undefined : `${name} in .env goes on behind its closing quote, and that would be lost`
    if (/^["'`]/.test(bare)) return `${name} in .env begins with a quote that is not closed`
    return /(^|\S)#\S/.test(bare) || /\S#$/.test(bare) ? `${name} in .env would be cut at its #` : undefined
  })
  const cut = found
    .filter((sentence) => sentence !== undefined)
    .map((sentence) => `${sentence}: put the value between single quotes, NAME='a#b'`)
  return [...cut, ...lostLines(text)]
}

function lostLines(text: string): string[] {
  const rest = text.replaceAll('\r\n', '\n').replace(assignment, (whole) => whole.replace(/[^\n]/g, ''))
  return rest.split('\n').flatMap((line, index) => {
    if (/^\s*(#|$)/.test(line)) return []
    return `line ${index + 1} of .env says nothing: write NAME=value, or a # before a comment`
  })
}
