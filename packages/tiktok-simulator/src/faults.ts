/**
 * Scripted misfortune. A call to TikTok is described first (which route, about whom, how it would be processed) and then
 * carried out here, where a fault may delay it, keep it from being processed, or spoil the answer.
 */
import { z } from 'zod'
import { openIdOf, type Person } from './person.ts'
import { type FaultRoute, faultRoutes, type Settings } from './settings.ts'
import type { Answer } from './wire.ts'

/** One call to a route that can be broken. */
export interface Call {
  /** How this route words its failures. */
  readonly shape: 'oauth' | 'api' | 'plain'
  readonly routes: readonly FaultRoute[]
  readonly subject: { readonly person?: Person | undefined; readonly refreshToken?: string | undefined }
  /** Does what was asked for, once, and says how TikTok would answer. */
  readonly process: () => Answer
}

const milliseconds = z.number().int().min(0).max(600_000)

/** What HTTP lets a header be: anything else cannot be sent. */
const headerName = z.string().regex(/^[!#$%&'*+.^_`|~\w-]+$/)
const headerText = z.string().regex(/^[\t -~\u0080-\u00ff]*$/)

export const FaultScript = z.strictObject({
  route: z.enum(faultRoutes).describe('Which calls it meets'),
  times: z
    .union([z.number().int().min(1), z.literal('always')])
    .default(1)
    .describe('How many of them; 1 unless said'),
  match: z
    .strictObject({
      person: z.string().optional().describe('Their id'),
      open_id: z.string().optional().describe('Their open_id'),
      refresh_token: z.string().optional().describe('This one'),
    })
    .default({})
    .describe('Only calls about this person or with this token'),
  before_ms: milliseconds.default(0).describe('Wait before the call is processed'),
  after_ms: milliseconds.default(0).describe('Wait after it'),
  process: z
    .boolean()
    .optional()
    .describe('Whether TikTok does what was asked for. Unless said: not when the fault is a refusal, otherwise yes'),
  error: z.string().optional().describe('A failure in the words of the route'),
  status: z.number().int().min(200).max(599).optional().describe('Replaces that of the answer'),
  body: z.unknown().optional().describe('Replaces the answer; anything but a string is sent as JSON'),
  headers: z.record(headerName, headerText).default({}).describe('More headers of the answer, or others'),
  content_type: headerText.optional().describe('Replaces that of the answer'),
  redirect: headerText.optional().describe('Answer 307 to here'),
  omit: z
    .array(z.string())
    .default([])
    .describe('Fields to leave out of the answer: of the token set, of the user, or of the data'),
  set: z.record(z.string(), z.unknown()).default({}).describe('Fields to change in the same place'),
  cut_at_bytes: z.number().int().min(0).optional().describe('End the answer after so many bytes, as if that were all'),
  size_bytes: z
    .number()
    .int()
    .min(1)
    .max(4_000_000_000)
    .optional()
    .describe('Fill the answer with spaces up to this size: still good JSON'),
  drip_ms: milliseconds.min(1).optional().describe('Send one byte per interval'),
  reset: z
    .enum(['before', 'after', 'mid_body'])
    .optional()
    .describe('Break the connection: before processing, after it, or in the middle of the answer'),
})
export type FaultScript = z.input<typeof FaultScript>

export interface Fault extends z.output<typeof FaultScript> {
  readonly id: string
  readonly process: boolean
  /** Calls met so far. */
  hits: number
}

export class Faults {
  readonly #settings: Settings
  readonly kept = { faults: [] as Fault[], count: 0 }

  constructor(settings: Settings) {
    this.#settings = settings
  }

  add(script: FaultScript): Fault {
    const parsed = FaultScript.parse(script)
    this.kept.count += 1
    const fault = { ...parsed, process: parsed.process ?? !isRefusal(parsed), id: `fault-${this.kept.count}`, hits: 0 }
    this.kept.faults.push(fault)
    return fault
  }

  list(): readonly Fault[] {
    return this.kept.faults
  }

  remove(id: string): boolean {
    const before = this.kept.faults.length
    this.kept.faults = this.kept.faults.filter((fault) => fault.id !== id)
    return this.kept.faults.length < before
  }

  clear(): void {
    this.kept.faults = []
  }

  /** @returns the oldest fault meant for this call, one use of it spent */
  take(call: Call): Fault | undefined {
    if (this.kept.faults.length === 0) return undefined
    const fault = this.kept.faults.find((candidate) => hasUsesLeft(candidate) && this.#isMeantFor(candidate, call))
    if (fault) fault.hits += 1
    return fault
  }

  #isMeantFor({ route, match }: Fault, { routes, subject: { person, refreshToken } }: Call): boolean {
    return (
      routes.includes(route) &&
      (match.person === undefined || match.person === person?.id) &&
      (match.open_id === undefined || (person && match.open_id === openIdOf(this.#settings.client_key, person.id)) === true) &&
      (match.refresh_token === undefined || match.refresh_token === refreshToken)
    )
  }
}

function isRefusal({ error, redirect, reset, status = 200 }: z.output<typeof FaultScript>): boolean {
  return error !== undefined || redirect !== undefined || reset === 'before' || status >= 300
}

function hasUsesLeft({ times, hits }: Fault): boolean {
  return times === 'always' || hits < times
}
