// The headers of our answers, and which answer has which: one table, for the description and for the test that holds the answers to it.
import type { FailureCode } from '../failures.ts'
import { version } from '../version.ts'

const text = (description: string, example: string) => ({ description, schema: { type: 'string' }, example })
const seconds = (description: string, minimum: number) => ({ description, schema: { type: 'integer', minimum }, example: 30 })

/** By name, as components of the description. */
export const responseHeaders = {
  'x-request-id': {
    ...text('What this request is called in our logs and audit; quote it when you ask for help', 'req_01k9z3m8r0000000000000000'),
    required: true,
  },
  'API-Version': {
    ...text('The version of this description that answered; docs/versioning.md says what may change in it', version),
    required: true,
  },
  'x-ratelimit-limit': {
    description: 'Requests a minute that this key may make; without a key, this address',
    schema: { type: 'integer', minimum: 1 },
    example: 6000,
  },
  'x-ratelimit-remaining': {
    description: 'Requests that are left in this minute',
    schema: { type: 'integer', minimum: 0 },
    example: 5998,
  },
  'x-ratelimit-reset': seconds('Seconds until the minute is over and all are back', 0),
  'Retry-After': { ...seconds('Seconds to wait before the same call is made again', 1), required: true },
  'WWW-Authenticate': {
    ...text(
      'RFC 6750: `error` says what is wrong with the key, `scope` what it lacks',
      'Bearer realm="tiktok-oauth", error="invalid_token"',
    ),
  },
  ETag: {
    ...text('Names this picture; send it as `If-None-Match` to hear 304 while it is the same', '"5d41402abc4b2a76"'),
    required: true,
  },
  Location: { ...text('Where it goes on, or what was made', '/accounts/acc_01k9z3m8r0000000000000000'), required: true },
  'Idempotency-Replayed': {
    description: 'An earlier call with this key made the reservation',
    schema: { type: 'string', const: 'true' },
    required: true,
  },
} as const

export type ResponseHeader = keyof typeof responseHeaders

/** @returns the headers of one answer, as references into the components */
export function headersOf(answer: {
  operation: { operationId?: string }
  status: string
  isLimited: boolean
  codes: readonly FailureCode[]
}): Record<string, { $ref: string }> {
  const { operation, status, isLimited, codes } = answer
  const names: ResponseHeader[] = ['x-request-id', 'API-Version']
  if (isLimited) names.push('x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset')
  if (status === '429' || status === '503') names.push('Retry-After')
  if (status === '401' || codes.includes('insufficient_scope')) names.push('WWW-Authenticate')
  if (status === '303') names.push('Location')
  for (const [id, at, name] of ownHeaders) if (operation.operationId === id && at === status) names.push(name)
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]))
}

const ownHeaders: readonly [operationId: string, status: string, ResponseHeader][] = [
  ['getAccountAvatar', '200', 'ETag'],
  ['getAccountAvatar', '304', 'ETag'],
  ['openConnectSession', '201', 'Location'],
  ['completeConnectSession', '201', 'Location'],
  ['reserveUpload', '201', 'Location'],
  ['reserveUpload', '200', 'Idempotency-Replayed'],
]
