// One call of the service: sent, repeated while only time has to pass, and read. Every route of the service may be repeated, because a
// repeat of what was done already answers the same; so a lost answer is no reason to give up.
import { type AccountsError, CallerError, isObject, OperatorError, problemError, TimeError } from './errors.ts'
import { renamed, toCamel, toSnake } from './names.ts'
import { pause } from './waiting.ts'
import { type Operations, routes } from './wire.ts'

export interface TransportOptions {
  /** where the service is, such as `https://oauth.example.com` */
  url: string | URL
  /** an API key, or what gets one for each call, such as a JWT that is renewed */
  key: string | (() => string | Promise<string>)
  /** how long a call may take with all its waiting, 60,000 unless said */
  budgetMs?: number | undefined
  /** how long one attempt may take, 35,000 unless said: the service's own longest answer takes 25 s */
  attemptMs?: number | undefined
  /** before each attempt; headers may be added, such as `traceparent` */
  onRequest?: ((request: SentRequest) => void) | undefined
  /** after each attempt */
  onResponse?: ((response: HeardResponse) => void) | undefined
  /** another `fetch`, as for a proxy or a test */
  fetch?: typeof fetch | undefined
}

export interface SentRequest {
  operation: keyof Operations
  method: string
  url: string
  /** without the key */
  headers: Headers
  /** 1 for the first */
  attempt: number
}

export interface HeardResponse extends SentRequest {
  durationMs: number
  /** undefined when no answer came */
  status: number | undefined
  requestId: string | undefined
  error: AccountsError | undefined
}

export interface CallOptions {
  signal?: AbortSignal | undefined
  /** how long this call may take with all its waiting */
  budgetMs?: number | undefined
}

/** What an operation is given: only the parts that it has. */
export type Input<O extends keyof Operations> = {
  path?: Operations[O]['path']
  query?: Operations[O]['query']
  body?: Operations[O]['body']
  headers?: Record<string, string>
}

export interface Heard {
  status: number
  headers: Headers
  body: Uint8Array<ArrayBuffer>
}

/** Waits between attempts when the answer does not say how long. */
const firstWaitMs = 200
const longestWaitMs = 5_000
/** What a proxy says when nobody is behind it. */
const proxyWaits = new Set([502, 503, 504])

export class Transport {
  readonly #options: TransportOptions
  readonly #url: string

  constructor(options: TransportOptions) {
    const { protocol, username, password, href } = new URL(options.url)
    if (!/^https?:$/.test(protocol) || username !== '' || password !== '')
      throw new TypeError('url: the address of the service, http or https, without a name and password')
    if (typeof options.key === 'string') checkKey(options.key)
    this.#options = options
    this.#url = href.replace(/\/$/, '')
  }

  /** @returns what the operation answers, with camelCase names */
  async call<O extends keyof Operations>(
    operation: O,
    input: Input<O> = {},
    options: CallOptions = {},
  ): Promise<Operations[O]['answer']> {
    return readJson(await this.send(operation, input, options)) as Operations[O]['answer']
  }

  /** @returns a good answer, or 304 */
  async send<O extends keyof Operations>(operation: O, input: Input<O> = {}, options: CallOptions = {}): Promise<Heard> {
    const endsAt = performance.now() + (options.budgetMs ?? this.#options.budgetMs ?? 60_000)
    for (let attempt = 1; ; attempt += 1) {
      options.signal?.throwIfAborted()
      const outcome = await this.#attempt(operation, input, { attempt, endsAt, signal: options.signal })
      if (!('code' in outcome)) return outcome
      const wait = waitMs(outcome, attempt)
      if (wait === undefined || performance.now() + wait >= endsAt) throw outcome
      await pause(wait, options.signal)
    }
  }

  async #attempt<O extends keyof Operations>(
    operation: O,
    { path, query, body, headers = {} }: Input<O>,
    { attempt, endsAt, signal }: { attempt: number; endsAt: number; signal: AbortSignal | undefined },
  ): Promise<Heard | AccountsError> {
    const { onRequest, onResponse, fetch: fetchIt = fetch, key, attemptMs = 35_000 } = this.#options
    const [method = '', template = ''] = routes[operation].split(' ')
    const sent: SentRequest = {
      operation,
      method,
      url: this.#url + filled(template, path) + search(query),
      headers: new Headers(headers),
      attempt,
    }
    if (body !== undefined) sent.headers.set('content-type', 'application/json')
    onRequest?.(sent)
    const withKey = new Headers(sent.headers)
    withKey.set('authorization', `Bearer ${typeof key === 'string' ? key : checkKey(await key())}`)

    const startedAt = performance.now()
    const timeout = AbortSignal.timeout(Math.max(1, Math.ceil(Math.min(attemptMs, endsAt - startedAt))))
    let heard: Heard | undefined
    let error: AccountsError | undefined
    try {
      const answer = await fetchIt(sent.url, {
        method,
        headers: withKey,
        redirect: 'manual', // the key is for this address only
        signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
        ...(body === undefined ? {} : { body: JSON.stringify(renamed(body, toSnake)) }),
      })
      heard = { status: answer.status, headers: answer.headers, body: new Uint8Array(await answer.arrayBuffer()) }
      error = failureIn(heard)
    } catch (cause) {
      signal?.throwIfAborted()
      error = unreachable(timeout.aborted ? 'It took too long to answer.' : 'The connection failed.', { cause })
    }
    const status = heard?.status
    onResponse?.({
      ...sent,
      durationMs: performance.now() - startedAt,
      status,
      requestId: heard?.headers.get('x-request-id') ?? undefined,
      error,
    })
    return error ?? (heard as Heard)
  }
}

/** @throws OperatorError when it is not JSON, as from a proxy's login page */
export function readJson(heard: Heard): unknown {
  const value = parsed(heard)
  if (value === undefined) throw strange(heard)
  return renamed(value, toCamel)
}

/** @returns why this is no good answer; undefined when it is one */
function failureIn(heard: Heard): AccountsError | undefined {
  const { status, headers } = heard
  if ((status >= 200 && status < 300) || status === 304) return undefined
  const problem = parsed(heard)
  if (isObject(problem) && typeof problem.code === 'string')
    return problemError(problem, { status, retryAfterMs: retryAfterMs(headers) })
  if (proxyWaits.has(status))
    return unreachable(`A proxy answered ${status} for it.`, { status, retryAfterMs: retryAfterMs(headers) })
  return strange(heard)
}

function parsed({ headers, body }: Heard): unknown {
  if (!/\bjson\b/.test(headers.get('content-type') ?? '')) return undefined
  try {
    return JSON.parse(new TextDecoder().decode(body))
  } catch {
    return undefined
  }
}

const unreachable = (why: string, facts: { status?: number; retryAfterMs?: number | undefined; cause?: unknown }) =>
  new TimeError({ ...facts, code: 'service_unreachable', detail: `The service cannot be reached. ${why} Try again later.` })

function strange({ status, headers }: Heard): OperatorError {
  const type = headers.get('content-type') ?? 'no content type'
  const detail = `Something else than the service answered: status ${status}, ${type}. Look at \`url\` and at what stands between.`
  return new OperatorError({ code: 'not_the_service', detail, status })
}

/** @returns undefined when a repeat cannot help: only time mends, and a quota takes hours */
function waitMs(error: AccountsError, attempt: number): number | undefined {
  const isPassing = error.code === 'service_unreachable' || error.code === 'rate_limited' || error.status === 503
  if (!isPassing) return undefined
  const backoff = Math.min(longestWaitMs, firstWaitMs * 2 ** (attempt - 1))
  // Never before Retry-After, and not all callers at the same moment.
  return (error.retryAfterMs ?? backoff / 2) + (Math.random() * backoff) / 2
}

function retryAfterMs(headers: Headers): number | undefined {
  const text = headers.get('retry-after')
  if (!text) return undefined
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now()
  return Number.isNaN(ms) ? undefined : Math.max(0, ms)
}

function filled(template: string, path: object | undefined): string {
  const values = new Map(Object.entries(path ?? {}))
  return template.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = String(values.get(toCamel(name)) ?? '')
    // An empty id, or one of dots, would be another route.
    if (/^\.{0,2}$/.test(value)) throw new CallerError({ code: 'validation_failed', detail: `${toCamel(name)}: an id is needed` })
    return encodeURIComponent(value)
  })
}

/** A filter that is undefined would list everybody's: somebody's mistake, and not a wish. */
function search(query: object | undefined): string {
  const pairs = Object.entries(query ?? {}).map(([name, value]): [string, string] => {
    if (value === undefined)
      throw new CallerError({ code: 'validation_failed', detail: `${name}: it is undefined; leave it out instead` })
    return [toSnake(name), String(value)]
  })
  return pairs.length === 0 ? '' : `?${new URLSearchParams(pairs)}`
}

/** Looked at here, because `fetch` quotes a header that it cannot send. */
function checkKey(key: string): string {
  if (!/^[\x21-\x7e]+$/.test(key)) throw new TypeError('key: an API key is needed, without spaces or line breaks')
  return key
}
