// The family of failures: every code of the contract, with its status, and one shape on the wire.
import t from 'tap'
import { Problem, ServiceError, toProblem } from '../src/errors.ts'
import { type FailureCode, failureCodes, failures } from '../src/failures.ts'

/** As callers rely on them: a code never changes its status. */
const contract: Record<number, string> = {
  400: 'validation_failed invalid_json return_url_not_allowed idempotency_key_required state_missing state_invalid state_expired browser_mismatch session_invalid',
  401: 'unauthenticated invalid_signature',
  403: 'insufficient_scope owner_mismatch confirm_invalid',
  404: 'route_not_found account_not_found connect_session_not_found upload_not_found owner_not_found avatar_not_found',
  405: 'method_not_allowed',
  409: 'reauthorization_required account_limit_reached account_already_connected account_mismatch session_not_ready session_failed upload_released upload_committed upload_expired',
  410: 'account_disconnected session_expired',
  413: 'payload_too_large',
  415: 'unsupported_media_type',
  422: 'account_type_not_supported age_not_confirmed scope_not_granted idempotency_key_reused',
  429: 'rate_limited upload_quota_exhausted',
  500: 'internal_error credential_unreadable',
  502: 'tiktok_rejected',
  503: 'tiktok_unavailable refresh_in_progress storage_unavailable overloaded keyring_mismatch database_rewound',
}

t.test('every code of the contract exists, with its status and somebody who can mend it', async (t) => {
  for (const [status, codes] of Object.entries(contract)) {
    for (const code of codes.split(' ')) {
      t.equal(failures[code as FailureCode]?.status, Number(status), code)
      t.match(failures[code as FailureCode]?.mendedBy, /^(caller|user|time|operator)$/)
    }
  }
})

const asked = { publicUrl: 'https://oauth.example.com', requestId: 'req_1' }

t.test('a problem has the shape of its schema, and every title is its own', async (t) => {
  for (const code of failureCodes) {
    const problem = toProblem(new ServiceError(code, 'Do this next.'), asked)
    t.strictSame(Problem.strict().parse(problem), problem)
    t.match(problem, {
      code,
      type: `https://oauth.example.com/docs/problems#${code}`,
      detail: 'Do this next.',
      request_id: 'req_1',
    })
  }
  t.equal(new Set(failureCodes.map((code) => failures[code].title)).size, failureCodes.length)
})

t.test('429 and 503 always say when to come back, in whole seconds from 1; nothing else does', async (t) => {
  for (const code of failureCodes) {
    const waits = [undefined, 0, 0.2, 7.1].map(
      (seconds) => new ServiceError(code, 'Wait.', seconds === undefined ? {} : { retryAfterSeconds: seconds }).retryAfterSeconds,
    )
    const timely = failures[code].status === 429 || failures[code].status === 503
    t.same(waits, timely ? [1, 1, 1, 8] : [undefined, undefined, undefined, undefined], code)
  }
})

t.test('facts are added and can take nothing over', async (t) => {
  const error = new ServiceError('account_not_found', 'Check it.', {
    facts: { connect_session: 'cs_1', status: 200, code: 'fine' },
  })
  t.match(toProblem(error, asked), { connect_session: 'cs_1', status: 404, code: 'account_not_found' })
})
