// What can go wrong, by whose turn it is: one class each. `code` says what it was, the message what to do next.
import { renamed, toCamel } from './names.ts'
import type { Problem } from './wire.ts'

/** The service's codes, and two for when it was not the service that answered. */
export type FailureCode = Problem['code'] | 'session_failed' | 'service_unreachable' | 'not_the_service'

export interface FailureFacts {
  code: FailureCode
  detail: string
  /** the status of the answer, if there was one */
  status?: number | undefined
  /** how long to wait, as the answer said */
  retryAfterMs?: number | undefined
  /** the whole problem document, with camelCase names */
  problem?: Problem | undefined
  /** why a connect session failed, such as `access_denied` */
  reason?: string | undefined
  cause?: unknown
}

/** Everything this client throws by itself, but for what an AbortSignal throws. */
export abstract class AccountsError extends Error {
  abstract readonly mendedBy: Problem['mendedBy']
  readonly code: FailureCode
  readonly status: number | undefined
  readonly retryAfterMs: number | undefined
  readonly problem: Problem | undefined
  /** With `session_failed`: a code of the service, or an OAuth error of TikTok such as `access_denied`. */
  readonly reason: string | undefined
  /** The video is at TikTok and its slot could not be committed: commit it later, and do not upload it again. */
  uncommitted: { accountId: string; uploadId: string; publishId: string | undefined } | undefined

  constructor({ code, detail, status, retryAfterMs, problem, reason, cause }: FailureFacts) {
    super(detail, cause === undefined ? {} : { cause })
    this.name = new.target.name
    this.code = code
    this.status = status
    this.retryAfterMs = retryAfterMs
    this.problem = problem
    this.reason = reason
  }

  /** For whoever reports it to the people who run the service. */
  get requestId(): string | undefined {
    return this.problem?.requestId
  }
}

/** Your call is wrong: change the program. */
export class CallerError extends AccountsError {
  readonly mendedBy = 'caller'
}

/** Only the person can help: show them what to do, or send them to connect again. */
export class UserError extends AccountsError {
  readonly mendedBy = 'user'
}

/** Nothing is lost: the same call works later. */
export class TimeError extends AccountsError {
  readonly mendedBy = 'time'
}

/** Whoever runs the service, or its address and key, has to mend something. */
export class OperatorError extends AccountsError {
  readonly mendedBy = 'operator'
}

const classes = { caller: CallerError, user: UserError, time: TimeError, operator: OperatorError }

/** @param problem as it came over the wire */
export function problemError(
  problem: Record<string, unknown>,
  facts: { status: number; retryAfterMs?: number | undefined },
): AccountsError {
  const known = renamed(problem, toCamel) as Problem
  const OfItsKind = classes[known.mendedBy] ?? (facts.status >= 500 ? OperatorError : CallerError)
  const reason = typeof problem.error === 'string' ? problem.error : undefined
  return new OfItsKind({
    ...facts,
    code: known.code,
    reason,
    detail: String(known.detail ?? known.title ?? known.code),
    problem: known,
  })
}

/**
 * TikTok said no to your call. Thrown by your own code, it tells this client what TikTok's answer was: with status 401 the token is
 * replaced once, and `uploads.run` releases the slot with the code.
 */
export class TikTokRefusal extends Error {
  readonly code: string
  readonly status: number | undefined

  constructor(code: string, { status, message }: { status?: number; message?: string } = {}) {
    super(message ?? `TikTok refused: ${code}`)
    this.name = 'TikTokRefusal'
    this.code = code
    this.status = status
  }
}

/**
 * Reads an answer of TikTok's API.
 *
 * @returns its `data`
 * @throws TikTokRefusal with TikTok's code
 */
export async function readTikTok<T = Record<string, unknown>>(answer: Response): Promise<T> {
  const text = await answer.text()
  const { data, error } = fieldsOf(text)
  const code = isObject(error) ? error.code : undefined
  if (answer.ok && (code === undefined || code === 'ok')) return (data ?? {}) as T
  throw new TikTokRefusal(typeof code === 'string' && code !== 'ok' ? code : `http_${answer.status}`, { status: answer.status })
}

function fieldsOf(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : {}
  } catch {
    return {}
  }
}

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
