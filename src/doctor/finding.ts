// What an examination finds: what is so, why that matters, and what to type about it. No sentence here holds a secret.
import type { Config } from '../settings/config.ts'

/** A fault keeps the service from working, now or soon; a warning is for somebody to look at, and fails no command. */
export type Level = 'fault' | 'warning'

export interface Finding {
  level: Level
  what: string
  why: string
  /** what to type or to change */
  remedy: string
}

export interface Observation {
  findings: Finding[]
  /** what was seen, in a few words; undefined: there was nothing to look at */
  seen: string | undefined
  /** what it would have looked at is not usable, which the configuration's findings say */
  skipped?: boolean
}

/** What every check may look at: the environment as it is, and what the configuration says where it can be read. */
export interface Patient {
  env: Record<string, string | undefined>
  config: Config
  /** variables that are not usable, so that nothing is concluded from their absence */
  isBad(...names: string[]): boolean
}

/** There is nothing of the kind here, or nothing to be said of it. */
export const nothing: Observation = { findings: [], seen: undefined }

export const skipped: Observation = { findings: [], seen: undefined, skipped: true }

export const fault = (what: string, why: string, remedy: string): Finding => ({ level: 'fault', what, why, remedy })
export const warning = (what: string, why: string, remedy: string): Finding => ({ level: 'warning', what, why, remedy })

/** Splits a sentence such as "Nothing listens there: start PostgreSQL." into what is so and what to do. */
export function faultFrom(sentence: string, why: string): Finding {
  const at = sentence.indexOf(': ')
  if (at === -1) return fault(sentence, why, 'Look into the log of what is there.')
  const remedy = sentence.slice(at + 2)
  return fault(`${sentence.slice(0, at)}.`, why, `${remedy.charAt(0).toUpperCase()}${remedy.slice(1).replace(/\.?$/, '.')}`)
}

export const variablesWord = 'in .env, in the environment, or where your orchestrator keeps it'

export const command = (words: string) => `\`npm run --silent cli -- ${words}\``
