// Every way this service fails on purpose: one table, one error class, one wire shape (RFC 9457).
import { z } from 'zod'

/** Who can mend a failure: `caller` by changing the request, `user` by connecting again, `time` by waiting, `operator` by hand. */
export const MendedBy = z.enum(['caller', 'user', 'time', 'operator'])
export type MendedBy = z.infer<typeof MendedBy>

/** The key is the wire code; it never changes meaning. `title` is the same for every occurrence (RFC 9457 §3.1.3). */
export const failures = {
  validation_failed: { status: 400, mendedBy: 'caller', title: 'The request does not fit its schema' },
  invalid_json: { status: 400, mendedBy: 'caller', title: 'The body is not JSON' },
  return_url_not_allowed: { status: 400, mendedBy: 'caller', title: 'The return URL is not on the allow-list' },
  idempotency_key_required: { status: 400, mendedBy: 'caller', title: 'An Idempotency-Key header is needed' },
  state_missing: { status: 400, mendedBy: 'user', title: 'The callback carries no state' },
  state_invalid: { status: 400, mendedBy: 'user', title: 'The state is unknown or already used' },
  state_expired: { status: 400, mendedBy: 'user', title: 'The authorization request is too old' },
  browser_mismatch: { status: 400, mendedBy: 'user', title: 'Another browser started this' },
  session_invalid: { status: 400, mendedBy: 'user', title: 'The connect link is not valid' },
  unauthenticated: { status: 401, mendedBy: 'caller', title: 'No valid API key' },
  invalid_signature: { status: 401, mendedBy: 'caller', title: 'The signature does not verify' },
  insufficient_scope: { status: 403, mendedBy: 'operator', title: 'The API key lacks the scope' },
  owner_mismatch: { status: 403, mendedBy: 'caller', title: 'Another owner started this connect session' },
  confirm_invalid: { status: 403, mendedBy: 'caller', title: 'The confirm token does not fit this connect session' },
  route_not_found: { status: 404, mendedBy: 'caller', title: 'No such route' },
  account_not_found: { status: 404, mendedBy: 'caller', title: 'No such account' },
  connect_session_not_found: { status: 404, mendedBy: 'caller', title: 'No such connect session' },
  upload_not_found: { status: 404, mendedBy: 'caller', title: 'No such upload' },
  owner_not_found: { status: 404, mendedBy: 'caller', title: 'No such owner' },
  reauthorization_required: { status: 409, mendedBy: 'user', title: 'The person must connect the account again' },
  account_limit_reached: { status: 409, mendedBy: 'user', title: 'No place left in the plan' },
  account_already_connected: { status: 409, mendedBy: 'user', title: 'Another owner has connected this TikTok account' },
  account_mismatch: { status: 409, mendedBy: 'user', title: 'A different TikTok account was chosen' },
  session_not_ready: { status: 409, mendedBy: 'user', title: 'The person has not come back from TikTok yet' },
  upload_released: { status: 409, mendedBy: 'caller', title: 'The upload slot was released' },
  upload_committed: { status: 409, mendedBy: 'caller', title: 'The upload is committed' },
  account_disconnected: { status: 410, mendedBy: 'user', title: 'The account was disconnected' },
  session_expired: { status: 410, mendedBy: 'user', title: 'The connect session is over' },
  payload_too_large: { status: 413, mendedBy: 'caller', title: 'The body is too large' },
  unsupported_media_type: { status: 415, mendedBy: 'caller', title: 'The content type is not taken here' },
  account_type_not_supported: { status: 422, mendedBy: 'user', title: 'Only Creator and Business accounts can connect' },
  age_not_confirmed: { status: 422, mendedBy: 'user', title: 'The age was not confirmed' },
  scope_not_granted: { status: 422, mendedBy: 'user', title: 'A required permission was declined at TikTok' },
  idempotency_key_reused: { status: 422, mendedBy: 'caller', title: 'The Idempotency-Key was used for another request' },
  rate_limited: { status: 429, mendedBy: 'time', title: 'Too many requests' },
  upload_quota_exhausted: { status: 429, mendedBy: 'time', title: 'No upload slot is free' },
  internal_error: { status: 500, mendedBy: 'operator', title: 'Something broke on our side' },
  credential_unreadable: { status: 500, mendedBy: 'operator', title: 'The stored credential cannot be opened' },
  tiktok_rejected: { status: 502, mendedBy: 'user', title: 'TikTok refused' },
  tiktok_unavailable: { status: 503, mendedBy: 'time', title: 'TikTok cannot be reached' },
  refresh_in_progress: { status: 503, mendedBy: 'time', title: 'The token is being refreshed' },
  storage_unavailable: { status: 503, mendedBy: 'time', title: 'The database cannot be reached' },
  overloaded: { status: 503, mendedBy: 'time', title: 'Too much at once' },
  keyring_mismatch: { status: 503, mendedBy: 'operator', title: 'The vault keys do not fit the database' },
} as const satisfies Record<string, { status: number; mendedBy: MendedBy; title: string }>

export type FailureCode = keyof typeof failures
export const failureCodes = Object.keys(failures) as FailureCode[]

/**
 * A failure on purpose.
 *
 * @param detail one sentence for a person: what to do next. It never holds a token, a code or a request body.
 * @param retryAfterSeconds when trying again makes sense; required by the contract on 429 and 503, 1 s when not given
 */
export class ServiceError extends Error {
  readonly code: FailureCode
  readonly retryAfterSeconds: number | undefined
  readonly facts: Record<string, unknown>

  constructor(
    code: FailureCode,
    detail: string,
    options: { cause?: unknown; retryAfterSeconds?: number; facts?: Record<string, unknown> } = {},
  ) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'ServiceError'
    this.code = code
    const { status } = failures[code]
    this.retryAfterSeconds = status === 429 || status === 503 ? Math.max(1, Math.ceil(options.retryAfterSeconds ?? 1)) : undefined
    this.facts = options.facts ?? {}
  }
}

/** The wire shape of every failure, `application/problem+json` (RFC 9457). */
export const Problem = z
  .object({
    type: z.string().describe('A URL that names the kind of failure: `/docs/problems#CODE`'),
    title: z.string(),
    status: z.number().int(),
    detail: z.string().describe('What to do next, for a person'),
    code: z.enum(failureCodes as [FailureCode, ...FailureCode[]]),
    mended_by: MendedBy,
    request_id: z.string(),
    connect_session: z.string().optional().describe('With what failed a connect session: its id'),
    status_reason: z.string().optional().describe("With `reauthorization_required`: the account's status_reason"),
    next_slot_at: z.iso.datetime().nullable().optional().describe('With `upload_quota_exhausted`: when the next slot is free'),
  })
  .meta({ id: 'Problem' })
export type Problem = z.infer<typeof Problem>

/** @returns the failure as RFC 9457 wants it; `facts` become extension members (RFC 9457 §3.2) */
export function toProblem(error: ServiceError, requestId: string): Problem {
  const { status, mendedBy, title } = failures[error.code]
  return {
    ...error.facts,
    type: `/docs/problems#${error.code}`,
    title,
    status,
    detail: error.message,
    code: error.code,
    mended_by: mendedBy,
    request_id: requestId,
  }
}
