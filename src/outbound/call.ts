// One HTTP call to TikTok, and the one question a single-use token asks of it: can anything of this request have left us?
import { type Dispatcher, errors } from 'undici'
import { traceHeaders } from '../tracing/tracing.ts'
import { decodeBody } from './coding.ts'

export interface CallRequest {
  url: URL
  method: 'GET' | 'HEAD' | 'POST'
  headers?: Record<string, string>
  form?: Record<string, string>
  /** of the answer's body, as it comes and once decoded */
  maxBytes: number
  /** From this moment to the last byte of the answer, waiting for a free connection included. */
  totalMs: number
}

/** How the rooms of this folder reach TikTok: the client has filled in the bounds. */
export type Send = (request: Omit<CallRequest, 'maxBytes' | 'totalMs'>) => Promise<CallOutcome>

export type NotSentReason =
  | 'dns'
  | 'refused'
  | 'connect_timeout'
  | 'tls'
  | 'no_free_connection'
  | 'closed'
  | 'proxy'
  | 'unreachable'
export type BrokenReason = 'timeout' | 'reset' | 'cut_body' | 'foreign_body' | 'too_large'

/**
 * `answered`: a whole HTTP answer, whatever it says, its body decoded. `not_sent`: not a byte of the request was written, so sending it again is
 * safe. `broken`: it was (or may have been) written, and TikTok may have acted on it.
 */
export type CallOutcome =
  | { kind: 'answered'; status: number; headers: Headers; body: Buffer }
  | { kind: 'not_sent'; reason: NotSentReason; cause: unknown }
  | { kind: 'broken'; reason: BrokenReason; status?: number }

type Headers = Record<string, string | string[] | undefined>

/**
 * Makes one call and always ends by its deadline. Follows no redirect and repeats nothing.
 *
 * undici's `dispatch` rather than `request`, for two facts that only its handler sees. `onRequestStart` comes right before the
 * first byte is written: a failure without it is proof that nothing was sent, whatever its code, where a table of error codes
 * would have to guess (the same ECONNRESET ends a TLS handshake and a request on a kept connection). And a signal given to
 * `request` is not heard while the call still waits for a connection; the deadline here is.
 */
export function call(dispatcher: Dispatcher, request: CallRequest): Promise<CallOutcome> {
  return new Promise((resolve) => {
    let connection: Dispatcher.DispatchController | undefined // once set, bytes may be on the wire
    let status: number | undefined
    let headers: Headers = {}
    const chunks: Buffer[] = []
    let byteCount = 0
    let settled = false

    const settle = (outcome: CallOutcome) => {
      if (settled) return
      settled = true
      clearTimeout(deadline)
      resolve(outcome)
      if (outcome.kind === 'broken') connection?.abort(new Error('given up'))
    }
    const breakOff = (reason: BrokenReason) => settle({ kind: 'broken', reason, ...(status !== undefined && { status }) })

    const deadline = setTimeout(() => {
      if (connection) breakOff('timeout')
      else settle({ kind: 'not_sent', reason: 'no_free_connection', cause: new Error('no connection within the deadline') })
    }, request.totalMs)

    const options: Dispatcher.DispatchOptions = {
      origin: request.url.origin,
      path: request.url.pathname + request.url.search,
      method: request.method,
      headers: {
        accept: 'application/json',
        'accept-encoding': 'identity',
        'user-agent': 'tiktok-oauth-service',
        // Exactly this: a `; charset=` suffix was seen to be answered with invalid_request.
        ...(request.form && { 'content-type': 'application/x-www-form-urlencoded' }),
        ...traceHeaders(),
        ...request.headers,
      },
      body: request.form ? new URLSearchParams(request.form).toString() : null,
    }
    dispatcher.dispatch(options, {
      onRequestStart(controller) {
        if (settled) return controller.abort(new Error('given up before it was sent'))
        connection = controller
      },
      onResponseStart(_controller, statusCode, responseHeaders) {
        if (statusCode < 200) return // 103 Early Hints and the like: the answer is still to come
        status = statusCode
        headers = responseHeaders
      },
      onResponseData(_controller, chunk) {
        byteCount += chunk.length
        if (byteCount > request.maxBytes) breakOff('too_large')
        else chunks.push(chunk)
      },
      onResponseEnd() {
        if (status === undefined || settled) return
        const body = decodeBody(Buffer.concat(chunks), [headers['content-encoding'] ?? []].flat().join(), request.maxBytes)
        if (typeof body === 'string') breakOff(body)
        else settle({ kind: 'answered', status, headers, body })
      },
      onResponseError(_controller, error) {
        if (connection) breakOff(brokenReason(error, status !== undefined))
        else settle({ kind: 'not_sent', reason: notSentReason(error), cause: error })
      },
    })
  })
}

/** @returns a single header's value; repeated ones are taken for absent rather than guessed between */
export function headerOf(headers: Headers, name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'string' ? value : undefined
}

/** The label says where to look (their DNS, our firewall, a certificate); what to do does not depend on it. */
function notSentReason(error: unknown): NotSentReason {
  const code = codeOf(error)
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN' || code === 'EAI_FAIL' || code === 'ENODATA') return 'dns'
  if (code === 'PROXY_FAILED') return 'proxy'
  if (code === 'ECONNREFUSED') return 'refused'
  if (code === 'UND_ERR_CONNECT_TIMEOUT' || code === 'ETIMEDOUT') return 'connect_timeout'
  if (code === 'UND_ERR_CLOSED' || code === 'UND_ERR_DESTROYED') return 'closed'
  if (/^(ERR_TLS|ERR_SSL|EPROTO|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_)/.test(code)) return 'tls'
  return 'unreachable'
}

function brokenReason(error: unknown, answerHadBegun: boolean): BrokenReason {
  const code = codeOf(error)
  if (code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE' || code === 'UND_ERR_HEADERS_OVERFLOW') return 'too_large'
  if (code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT') return 'timeout'
  if (answerHadBegun) return 'cut_body'
  return error instanceof errors.HTTPParserError ? 'foreign_body' : 'reset'
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
