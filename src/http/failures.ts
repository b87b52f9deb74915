// How failures leave: problem+json here, a plain page on the routes for people. What we did not foresee leaves as internal_error
// and a request id, and nothing else (S59).
import type { Socket } from 'node:net'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest, FastifySchemaValidationError } from 'fastify'
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'
import { type Problem, ServiceError, toProblem } from '../errors.ts'
import { type FailureCode, failures } from '../failures.ts'
import { newId } from '../ids.ts'
import type { Config } from '../settings/config.ts'
import type { Log } from '../telemetry.ts'
import { version } from '../version.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** the code it was answered with, for the metrics; null: it did not fail */
    failure: FailureCode | null
  }
}

export interface FailureDeps {
  config: Pick<Config, 'publicUrl'>
  log: Log
}

export function handleFailures(app: FastifyInstance, deps: FailureDeps): void {
  app.decorateRequest('failure', null)
  app.setErrorHandler((error: FastifyError | ServiceError, request, reply) => answerFailure(deps, error, request, reply))
}

/** On every answer: what it is called in the log, which description it keeps to. And no browser guesses a type, and one that came by https comes by https again. */
export const everywhere = ({ secureCookies }: Pick<Config, 'secureCookies'>, requestId: string) => ({
  'x-request-id': requestId,
  'api-version': version,
  'x-content-type-options': 'nosniff',
  ...(secureCookies ? { 'strict-transport-security': 'max-age=31536000' } : {}),
})

/** The path is known and the method is not: 405, and which methods there are. */
export function noSuchRoute(allowed: readonly string[], reply: FastifyReply): ServiceError {
  if (allowed.length === 0) return routeNotFound()
  reply.header('allow', allowed.join(', '))
  return new ServiceError('method_not_allowed', `This path takes ${allowed.join(', ')}.`)
}

export const routeNotFound = () => new ServiceError('route_not_found', 'See /docs for the routes there are.')

/** Also for errors from before routing, where there is no route to ask. */
export function answerFailure(deps: FailureDeps, error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const failure = prepareFailure(deps, error, request, reply)
  return reply
    .code(failures[failure.code].status)
    .serializer((payload: unknown) => JSON.stringify(payload))
    .type('application/problem+json')
    .send(toProblem(failure, { publicUrl: deps.config.publicUrl, requestId: request.id }))
}

/** What every failure has in common, whatever its body looks like: a log line if it is ours, and its headers. */
export function prepareFailure(
  deps: Pick<FailureDeps, 'log'>,
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): ServiceError {
  const failure = noted(deps, error, request)
  request.failure = failure.code
  if (failure.retryAfterSeconds !== undefined) reply.header('retry-after', String(failure.retryAfterSeconds))
  reply.header('cache-control', 'no-store')
  const challenge = challengeOf(failure, request)
  if (challenge !== undefined) reply.header('www-authenticate', challenge)
  return failure
}

/** The failure of a part of a request whose other parts are answered. */
export function problemOf(deps: FailureDeps, error: unknown, request: FastifyRequest): Problem {
  return toProblem(noted(deps, error, request), { publicUrl: deps.config.publicUrl, requestId: request.id })
}

function noted({ log }: Pick<FailureDeps, 'log'>, error: unknown, request: FastifyRequest): ServiceError {
  const failure = asServiceError(error)
  if (failure.code === 'internal_error')
    log.error('request failed unexpectedly', {
      requestId: request.id,
      route: request.routeOptions?.url ?? '',
      error,
    })
  return failure
}

/** RFC 6750 §3: whoever sent no key is told how, whoever sent one what is wrong with it. */
function challengeOf({ code, scope }: ServiceError, { headers }: FastifyRequest): string | undefined {
  const scheme = 'Bearer realm="tiktok-oauth"'
  if (code === 'insufficient_scope')
    return `${scheme}, error="insufficient_scope"${scope === undefined ? '' : `, scope="${scope}"`}`
  if (failures[code].status !== 401) return undefined
  return code === 'unauthenticated' && headers.authorization !== undefined ? `${scheme}, error="invalid_token"` : scheme
}

/** A failure as the description shows it, with what comes with its code. */
export function exampleProblem(code: FailureCode): Problem {
  const failure = new ServiceError(code, failures[code].remedy.replaceAll('`', ''), {
    retryAfterSeconds: 30,
    facts: exampleFacts[code] ?? {},
  })
  return toProblem(failure, { publicUrl: 'https://oauth.example.com', requestId: 'req_01k9z3m8r0000000000000000' })
}

const exampleFacts: Partial<Record<FailureCode, Record<string, unknown>>> = {
  confirm_invalid: { connect_session: 'cs_01k9z3m8r0000000000000000' },
  session_failed: { connect_session: 'cs_01k9z3m8r0000000000000000', error: 'access_denied' },
  reauthorization_required: { status_reason: 'refresh_token_rejected' },
  upload_quota_exhausted: { next_slot_at: '2026-11-22T12:00:30.000Z' },
}

/** Translates what Fastify throws; everything unknown is ours to mend and nobody's to read. */
function asServiceError(error: unknown): ServiceError {
  if (error instanceof ServiceError) return error
  if (hasZodFastifySchemaValidationErrors(error)) {
    return invalid(error.validation, error.validationContext ?? 'body')
  }
  const { code = '', statusCode = 500 } = error instanceof Error ? (error as Partial<FastifyError>) : {}
  const known = fastifyFailures[code]
  if (known) return new ServiceError(...known)
  if (statusCode === 429) return new ServiceError('rate_limited', 'Slow down; the limit is per key and minute.', { cause: error })
  if (statusCode >= 400 && statusCode < 500)
    return new ServiceError('validation_failed', 'The request is malformed.', { cause: error })
  return new ServiceError('internal_error', 'This is our fault; tell us the request id.', { cause: error })
}

/**
 * For what is not HTTP, or too slow, or has too many headers: there is no request yet and nobody to ask, only a socket that may still be
 * written to.
 */
export function answerUnreadable({ config, log }: FailureDeps, error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  const requestId = newId('req')
  log.debug('request was unreadable', { requestId, code: error.code ?? '' })
  const sentence =
    error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
      ? 'The request did not arrive in time; send it at once.'
      : 'This is not a request that HTTP/1.1 allows.'
  const problem = toProblem(new ServiceError('validation_failed', sentence), { publicUrl: config.publicUrl, requestId })
  const body = JSON.stringify(problem)
  socket.end(
    `HTTP/1.1 ${problem.status} Bad Request\r\ncontent-type: application/problem+json\r\ncontent-length: ${Buffer.byteLength(body)}\r\ncache-control: no-store\r\nx-request-id: ${requestId}\r\napi-version: ${version}\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n${body}`,
  )
  // Whoever goes on sending keeps a half-closed connection open; destroyed at once it might take the answer with it.
  setTimeout(() => socket.destroy(), farewellMs).unref()
}

const farewellMs = 1000

const notJson = 'Send one JSON object, UTF-8, as application/json.'
const all = { facts: { errors: [{ pointer: '', detail: notJson }] } }
const fastifyFailures: Record<string, ConstructorParameters<typeof ServiceError>> = {
  FST_ERR_CTP_INVALID_JSON_BODY: ['invalid_json', notJson, all],
  FST_ERR_CTP_EMPTY_JSON_BODY: ['invalid_json', notJson, all],
  FST_ERR_CTP_BODY_TOO_LARGE: ['payload_too_large', 'Send a smaller body.'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ['unsupported_media_type', 'Send application/json.'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['validation_failed', 'Content-Length does not fit the body.'],
  FST_ERR_BAD_URL: ['validation_failed', 'The URL is malformed.'],
  FST_ERR_HANDLER_TIMEOUT: ['overloaded', 'This took too long; try again.'],
}

/** Names each place and what is wanted there, never what was sent. */
function invalid(issues: FastifySchemaValidationError[], context: string): ServiceError {
  const errors = issues.slice(0, 20).map(({ keyword, instancePath, params, message = '' }) => {
    // Path segments that are ours are plain names and indexes; anything else came from outside.
    const path = /^(\/[a-z0-9_-]{1,40})+$/.test(instancePath) ? instancePath : ''
    return { ...placeOf(context, path), detail: /^must |^has /.test(message) ? message : wanted(keyword, params) }
  })
  const sentences = errors
    .slice(0, 5)
    .map(({ detail, ...place }) => `${String(Object.values(place)[0]).replace(/^\//, '') || context} ${detail}`)
  return new ServiceError('validation_failed', `${sentences.join('; ')}.`, { facts: { errors } })
}

function placeOf(context: string, path: string): { pointer: string } | { parameter: string } | { header: string } {
  const [, first = ''] = path.split('/')
  if (context === 'headers') return { header: first }
  return context === 'body' ? { pointer: path } : { parameter: first }
}

function wanted(keyword: string, params: FastifySchemaValidationError['params']): string {
  switch (keyword) {
    case 'unrecognized_keys':
      return 'has fields that are not known here'
    case 'invalid_type':
      return `must be ${/^[aeio]/.test(String(params.expected)) ? 'an' : 'a'} ${params.expected}`
    case 'invalid_value':
      return `must be ${[params.values].flat().join(' or ')}`
    case 'too_small':
      return `must ${amount(params.origin)} at least ${params.minimum}${unit(params.origin)}`
    case 'too_big':
      return `must ${amount(params.origin)} at most ${params.maximum}${unit(params.origin)}`
    default:
      return 'does not fit its format'
  }
}

const amount = (origin: unknown) => (origin === 'string' || origin === 'array' ? 'have' : 'be')
const unit = (origin: unknown) => (origin === 'string' ? ' characters' : origin === 'array' ? ' items' : '')
