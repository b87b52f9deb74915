// A failure on purpose: one error class, and one wire shape (RFC 9457). The codes are in failures.ts.
import { z } from 'zod'
import type { Branding } from './display/branding.ts'
import { type FailureCode, failureCodes, failures, MendedBy } from './failures.ts'

/** What was wrong and where: a JSON pointer into the body, a parameter of path or query, or a header. */
export type FieldError = ({ pointer: string } | { parameter: string } | { header: string }) & { detail: string }

/** In which language a page speaks, and whose it is. */
export interface Look {
  locale: string | null
  branding: Branding | null
}

/**
 * A failure on purpose.
 *
 * @param detail one sentence for a person: what to do next. It never holds a token, a code or a request body.
 * @param options.retryAfterSeconds when trying again makes sense; 429 and 503 always say one, 1 s unless given
 * @param options.back where a person can go back to; only pages show it
 * @param options.look how the page of its connect session looks
 * @param options.facts extension members of the problem, such as the connect session that failed
 * @param options.scope what the key lacks (RFC 6750 §3)
 */
export class ServiceError extends Error {
  readonly code: FailureCode
  readonly retryAfterSeconds: number | undefined
  readonly facts: Record<string, unknown>
  readonly back: string | undefined
  readonly look: Look | undefined
  readonly scope: string | undefined

  constructor(
    code: FailureCode,
    detail: string,
    options: {
      cause?: unknown
      retryAfterSeconds?: number
      facts?: Record<string, unknown>
      back?: string
      look?: Look
      scope?: string
    } = {},
  ) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'ServiceError'
    this.code = code
    const { status } = failures[code]
    this.retryAfterSeconds = status === 429 || status === 503 ? Math.max(1, Math.ceil(options.retryAfterSeconds ?? 1)) : undefined
    this.facts = options.facts ?? {}
    this.back = options.back
    this.look = options.look
    this.scope = options.scope
  }
}

/** The wire shape of every failure, `application/problem+json` (RFC 9457). */
export const Problem = z
  .object({
    type: z.url().describe('Names the kind of failure, and explains it: `PUBLIC_URL/docs/problems#CODE`'),
    title: z.string().describe('What kind of failure it is, in words; the same for every one of them'),
    status: z.int().min(400).max(599).describe('The status of the answer'),
    detail: z.string().describe('What to do next, for a person'),
    code: z
      .enum(failureCodes as [FailureCode, ...FailureCode[]])
      .describe('Branch on this. Each answer lists its own; more may come, so fall back on `mended_by`'),
    mended_by: MendedBy,
    request_id: z.string().describe('As in `x-request-id`'),
    retry_after: z.int().optional().describe('With 429 and 503: seconds to wait, as in `Retry-After`'),
    connect_session: z.string().optional().describe('With what failed a connect session: its id'),
    error: z.string().optional().describe('With `session_failed`: why, as a code of ours or an OAuth error of TikTok'),
    status_reason: z.string().optional().describe("With `reauthorization_required`: the account's `status_reason`"),
    errors: z
      .array(
        z
          .object({
            pointer: z.string().optional().describe('Where in the body, as a JSON pointer; empty for all of it'),
            parameter: z.string().optional().describe('Which parameter of the path or the query; empty for all of the query'),
            header: z.string().optional().describe('Which header'),
            detail: z.string().describe('What is wanted there'),
          })
          .meta({
            id: 'FieldError',
            description: 'One place of a request that does not fit; it has one of pointer, parameter and header',
          }),
      )
      .optional()
      .describe('With 400: each place that does not fit'),
    next_slot_at: z.iso.datetime().nullable().optional().describe('With `upload_quota_exhausted`: when the next slot is free'),
  })
  .meta({ id: 'Problem', description: 'A failure (RFC 9457): what it is, what to do next, and who can mend it' })
export type Problem = z.infer<typeof Problem>

/** @returns the failure as RFC 9457 wants it; `facts` become extension members (RFC 9457 §3.2) */
export function toProblem(error: ServiceError, { publicUrl, requestId }: { publicUrl: string; requestId: string }): Problem {
  const { status, mendedBy, title } = failures[error.code]
  return {
    ...error.facts,
    type: `${publicUrl}/docs/problems#${error.code}`,
    title,
    status,
    detail: error.message,
    code: error.code,
    mended_by: mendedBy,
    request_id: requestId,
    ...(error.retryAfterSeconds === undefined ? {} : { retry_after: error.retryAfterSeconds }),
  }
}

/** A request that does not fit in one place, found by more than its schema. */
export const misfit = (code: FailureCode, place: FieldError, detail = place.detail): ServiceError =>
  new ServiceError(code, detail, { facts: { errors: [place] } })

/** The same sentence wherever an owner, a session or an account is unknown, or outside of what a caller reaches. */
export const ownerNotFound = () =>
  new ServiceError('owner_not_found', 'Nobody has connected an account for this owner or set its tier yet.')
export const sessionNotFound = () =>
  new ServiceError('connect_session_not_found', 'Check the session id, or open a new connect session.')

export const accountNotFound = () =>
  new ServiceError('account_not_found', 'Check the account id: this service never created such an account.')
