// `doctor`: every check at the same time, each with an end. Nothing here writes, spends or locks anything, and nothing waits for ever.
import { within } from '../concurrency/waiting.ts'
import { readConfig } from '../settings/config.ts'
import { readConfiguration } from './configuration.ts'
import { examineDatabase } from './database.ts'
import { examineDirectories } from './directories.ts'
import { type Finding, fault, nothing, type Observation, type Patient } from './finding.ts'
import { examineKeys } from './keys.ts'
import { examineIdentityProvider, examineReceivers, examineRedis, examineTierService } from './neighbours.ts'
import { examinePorts, examinePublicAddress } from './public-address.ts'
import { examineTikTok } from './tiktok.ts'

export interface Report {
  /** no fault was found */
  healthy: boolean
  seconds: number
  checks: CheckReport[]
}

export interface CheckReport {
  name: string
  state: 'well' | 'warning' | 'fault' | 'not there' | 'skipped'
  seen: string | undefined
  findings: Finding[]
}

/** The slowest check has its end well before ten seconds, start and farewell of the process included. */
const patienceMs = 5_000
/** For those that wait for what the database says, and for who waits for these in turn. */
const longer = 1.3
const late = 1.1

/**
 * @param options.fromOutside also asks PUBLIC_URL, as TikTok would
 * @param options.envFileProblems what is wrong with `.env` itself
 * @param options.timeoutMs for each check
 * @param options.onProgress told how many checks are done
 */
export async function examine(
  env: Record<string, string | undefined>,
  options: {
    fromOutside?: boolean
    envFileProblems?: readonly string[]
    timeoutMs?: number
    onProgress?: (done: number, total: number, name: string) => void
  } = {},
): Promise<Report> {
  const { fromOutside = false, envFileProblems = [], timeoutMs = patienceMs, onProgress = () => {} } = options
  const beganAtMs = performance.now()
  const { patient, problems } = readPatient(env, envFileProblems)

  const database = examineDatabase(patient)
  // Whoever compares with the database does without when it is late: that is its fault and not theirs.
  const told = within(database, timeoutMs, () => ({ ...nothing, memory: undefined })).catch(() => ({
    ...nothing,
    memory: undefined,
  }))
  const keys = examineKeys(patient, told)
  const opened = within(keys, timeoutMs * late, () => ({ ...nothing, keyring: undefined })).catch(() => ({
    ...nothing,
    keyring: undefined,
  }))
  const checks: Record<string, Promise<Observation>> = {
    configuration: readConfiguration(patient, problems),
    ports: inTime(examinePorts(patient), timeoutMs),
    database: inTime(database, timeoutMs),
    'vault keys': inTime(keys, timeoutMs * longer),
    journal: inTime(examineDirectories(patient, told, opened), timeoutMs * longer),
    TikTok: inTime(examineTikTok(patient, told), timeoutMs * longer),
    Redis: inTime(examineRedis(patient), timeoutMs),
    'identity provider': inTime(examineIdentityProvider(patient), timeoutMs),
    'tier service': inTime(examineTierService(patient, told), timeoutMs * longer),
    'event receivers': inTime(examineReceivers(patient), timeoutMs),
    'public address': fromOutside ? inTime(examinePublicAddress(patient), timeoutMs) : Promise.resolve(nothing),
  }

  const names = Object.keys(checks)
  let done = 0
  const reports = await Promise.all(
    Object.entries(checks).map(async ([name, check]) => {
      const observation = await check
      const { findings, seen } = observation
      onProgress(++done, names.length, name)
      return { name, state: stateOf(observation), seen, findings } satisfies CheckReport
    }),
  )
  return {
    healthy: reports.every(({ state }) => state !== 'fault'),
    seconds: Math.round(performance.now() - beganAtMs) / 1000,
    checks: reports,
  }
}

/** @returns also every sentence about what is wrong with the configuration, that of `.env` first */
export function readPatient(
  env: Record<string, string | undefined>,
  envFileProblems: readonly string[],
): { patient: Patient; problems: string[] } {
  const { config, problems } = readConfig(env)
  const cut = new Set(envFileProblems.flatMap((sentence) => /^(\w+) in \.env/.exec(sentence)?.[1] ?? []))
  const isBad = (...names: string[]) => names.some((name) => problems.has(name) || problems.has(`${name}_FILE`) || cut.has(name))
  return { patient: { env, config, isBad }, problems: [...envFileProblems, ...problems.values()] }
}

function stateOf({ findings, seen, skipped }: Observation): CheckReport['state'] {
  if (findings.some(({ level }) => level === 'fault')) return 'fault'
  if (findings.length > 0) return 'warning'
  if (skipped) return 'skipped'
  return seen === undefined ? 'not there' : 'well'
}

/** A check that fails in a way nobody foresaw says so and takes no other along; its error may quote anything, so it is not shown. */
function inTime(check: Promise<Observation>, timeoutMs: number): Promise<Observation> {
  const unforeseen = (what: string, remedy: string): Observation => ({
    findings: [fault(what, 'Whatever the service asks of it would wait as long.', remedy)],
    seen: undefined,
  })
  return within(check, timeoutMs, () =>
    unforeseen(
      `It did not answer within ${timeoutMs / 1000} s.`,
      'Look at what stands between, such as a firewall that drops packets or a disk that hangs, and run this again.',
    ),
  ).catch((error: unknown) => {
    const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? ` (${error.code})` : ''
    return unforeseen(`It cannot be looked at${code}.`, 'Start the service and read what its log says about it.')
  })
}
