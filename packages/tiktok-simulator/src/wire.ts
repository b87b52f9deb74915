/**
 * Requests as the simulator reads them and answers as TikTok shapes them: flat at its OAuth endpoints, an envelope
 * everywhere else.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { isTikTokHost } from './hosts.ts'
import { styleSource } from './page.ts'
import type { Settings } from './settings.ts'

export interface Request {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
  /** How long the body was, a video's too, which is not kept. */
  readonly bodyBytes: number
  /** Where links to ourselves lead: the public address if there is one, else where the caller reached us. */
  readonly origin: string
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** A sequence of pieces when the whole would not fit in memory well. */
  readonly body: string | Buffer | Iterable<string | Buffer>
}

const maxBodyBytes = 1024 * 1024

export class BodyTooLarge extends Error {}
export class CallerGone extends Error {}

/** @throws BodyTooLarge above one megabyte, a video excepted, which is not kept; CallerGone before the end of the body */
export async function readRequest(incoming: IncomingMessage, publicUrl?: string): Promise<Request> {
  const target = incoming.url ?? '/'
  const queryStart = target.indexOf('?')
  return {
    method: incoming.method ?? 'GET',
    path: queryStart === -1 ? target : target.slice(0, queryStart),
    query: new URLSearchParams(queryStart === -1 ? '' : target.slice(queryStart + 1)),
    headers: incoming.headers,
    ...(incoming.method === 'GET' ? nothing : await readBody(incoming)),
    // Who came by one of TikTok's own names may know no other.
    origin: publicUrl === undefined || isTikTokHost(incoming.headers.host) ? originOf(incoming.headers) : publicUrl,
  }
}

/** Behind a proxy with TLS, as in a compose file, links to ourselves have to lead through it. */
export function originOf({ host = 'localhost', 'x-forwarded-proto': proto }: Request['headers']): string {
  return `${proto === 'https' ? 'https' : 'http'}://${host}`
}

export function bearerOf(request: Request): string | undefined {
  return /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1]
}

export function json(status: number, value: unknown, headers: Answer['headers'] = {}): Answer {
  return {
    status,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers },
    body: JSON.stringify(value),
  }
}

export function html(status: number, body: string, headers: Answer['headers'] = {}): Answer {
  return {
    status,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      'content-security-policy': `default-src 'none'; style-src ${styleSource}; img-src 'self'; frame-ancestors 'none'`,
      ...headers,
    },
    body,
  }
}

export function text(status: number, body: string): Answer {
  return { status, headers: { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' }, body }
}

export function redirect(status: 302 | 303, location: string, headers: Answer['headers'] = {}): Answer {
  return { status, headers: { location, 'cache-control': 'no-store', ...headers }, body: '' }
}

/** What TikTok's OAuth page lists, with the status RFC 6749 would give each. */
const oauthStatuses = {
  access_denied: 400,
  invalid_client: 401,
  invalid_grant: 400,
  invalid_request: 400,
  invalid_scope: 400,
  unauthorized_client: 400,
  unsupported_grant_type: 400,
  unsupported_response_type: 400,
  server_error: 500,
  temporarily_unavailable: 503,
} as const
export type OAuthError = keyof typeof oauthStatuses

export function oauthFailure(settings: Settings, error: string, description: string, status?: number): Answer {
  const rfcStatus = error in oauthStatuses ? oauthStatuses[error as OAuthError] : 400
  const logId = nextLogId()
  return json(
    status ?? (settings.errors_in_200 === 'none' ? rfcStatus : 200),
    { error, error_description: description, log_id: logId },
    { 'x-tt-logid': logId },
  )
}

const apiStatuses = {
  access_token_invalid: 401,
  scope_not_authorized: 401,
  scope_permission_missed: 400,
  invalid_params: 400,
  invalid_param: 400,
  invalid_file_upload: 400,
  rate_limit_exceeded: 429,
  internal_error: 500,
  spam_risk_too_many_pending_share: 403,
  spam_risk_too_many_posts: 403,
  spam_risk_user_banned_from_posting: 403,
  reached_active_user_cap: 403,
  unaudited_client_can_only_post_to_private_accounts: 403,
  url_ownership_unverified: 403,
  privacy_level_option_mismatch: 403,
  invalid_publish_id: 400,
  token_not_authorized_for_specified_publish_id: 400,
  publish_not_cancellable: 400,
} as const
export type ApiError = keyof typeof apiStatuses

export function apiSuccess(data: object): Answer {
  const logId = nextLogId()
  return json(200, { data, error: { code: 'ok', message: '', log_id: logId } }, { 'x-tt-logid': logId })
}

export function apiFailure(settings: Settings, code: string, message: string, status?: number): Answer {
  const documented = code in apiStatuses ? apiStatuses[code as ApiError] : 400
  const logId = nextLogId()
  return json(
    status ?? (settings.errors_in_200 === 'all' ? 200 : documented),
    { data: {}, error: { code, message, log_id: logId } },
    { 'x-tt-logid': logId },
  )
}

export function send(response: ServerResponse, answer: Answer): void {
  const { status, headers, body } = answer
  if (typeof body === 'string' || Buffer.isBuffer(body)) {
    response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) }).end(body)
    return
  }
  response.writeHead(status, headers)
  Readable.from(body)
    .on('error', () => response.destroy())
    .pipe(response)
}

type Body = Pick<Request, 'body' | 'bodyBytes'>
const nothing: Body = { body: Buffer.alloc(0), bodyBytes: 0 }

function readBody(incoming: IncomingMessage): Promise<Body> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const keep = incoming.method !== 'PUT'
    let bytes = 0
    incoming.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (!keep) return
      if (bytes > maxBodyBytes) reject(new BodyTooLarge())
      else chunks.push(chunk)
    })
    incoming.on('end', () => {
      const body = chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)
      resolve({ body, bodyBytes: bytes })
    })
    incoming.on('error', () => reject(new CallerGone()))
    incoming.on('close', () => {
      if (!incoming.complete) reject(new CallerGone())
    })
  })
}

let logCount = 0
let logSecond = 0
let logTime = ''

/** Shaped like TikTok's: the time, then something unique. */
function nextLogId(): string {
  const second = Math.floor(Date.now() / 1000)
  if (second !== logSecond) {
    logSecond = second
    logTime = new Date(second * 1000).toISOString().replace(/\D/g, '').slice(0, 14)
  }
  logCount += 1
  return `${logTime}${logCount.toString(16).toUpperCase().padStart(20, '0')}`
}
