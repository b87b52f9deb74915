// Access tokens, borrowed: kept while they are good for long enough, one request in flight per account, and a refused one is replaced once.
import { isObject } from './errors.ts'
import type { CallOptions, Transport } from './transport.ts'
import { orAborted } from './waiting.ts'
import type { VendedToken, VendedTokens } from './wire.ts'

export interface TokenOptions extends CallOptions {
  /** how many seconds the token has to be good for, 300 unless said; the service never promises more than half of a token's life */
  minTtl?: number | undefined
}

interface Kept {
  token: VendedToken
  /** by both clocks: one of them may be set, the other stands still while the machine sleeps */
  askedAt: { wall: number; steady: number }
}

const usualMinTtl = 300
const maxKept = 10_000
/** TikTok's 401s that another token would not change. */
const notTheToken = new Set(['scope_not_authorized', 'scope_permission_missed'])

export class Tokens {
  readonly #transport: Transport
  readonly #kept = new Map<string, Kept>()
  readonly #inFlight = new Map<string, { minTtl: number; token: Promise<VendedToken> }>()

  constructor(transport: Transport) {
    this.#transport = transport
  }

  async get(accountId: string, { minTtl = usualMinTtl, ...options }: TokenOptions = {}): Promise<VendedToken> {
    const kept = this.#good(accountId, minTtl)
    if (kept) return kept
    const inFlight = this.#inFlight.get(accountId)
    if (!inFlight) {
      const ask = (call: CallOptions) => this.#transport.call('getAccessToken', { path: { accountId }, query: { minTtl } }, call)
      return this.#ask(accountId, { minTtl, ...options }, ask)
    }
    const token = await orAborted(inFlight.token, options.signal)
    // Whoever asked first may have been content with less.
    return inFlight.minTtl >= minTtl ? token : this.get(accountId, { minTtl, ...options })
  }

  /** Says that TikTok refused a token. @returns another: one that came meanwhile, or a fresh one */
  async replace(accountId: string, generation: number, options: CallOptions = {}): Promise<VendedToken> {
    const newer = () => {
      const kept = this.#good(accountId, 1)
      return kept && kept.generation > generation ? kept : undefined
    }
    for (let inFlight = this.#inFlight.get(accountId); inFlight; inFlight = this.#inFlight.get(accountId)) {
      await orAborted(inFlight.token, options.signal).catch(() => options.signal?.throwIfAborted())
    }
    const meanwhile = newer()
    if (meanwhile) return meanwhile
    this.forget(accountId)
    const ask = (call: CallOptions) =>
      this.#transport.call('replaceRejectedToken', { path: { accountId }, body: { generation } }, call)
    return this.#ask(accountId, { minTtl: 0, ...options }, ask)
  }

  async with<T>(accountId: string, options: TokenOptions, work: (token: VendedToken) => T | Promise<T>): Promise<T> {
    const token = await this.get(accountId, options)
    const first = await outcomeOf(work, token)
    if (!(await isTokenRefused(first))) return settled(first)
    if ('value' in first && isResponse(first.value)) await first.value.body?.cancel()
    return work(await this.replace(accountId, token.generation, options))
  }

  /** For each account a token or a problem, in one call; good ones are kept. */
  async several(accountIds: string[], { minTtl = usualMinTtl, ...options }: TokenOptions = {}): Promise<VendedTokens['tokens']> {
    const askedAt = now()
    const { tokens } = await this.#transport.call('getAccessTokens', { body: { accountIds, minTtl } }, options)
    for (const one of tokens) if (one.outcome === 'token') this.#keep(one.accountId, one.token, askedAt)
    return tokens
  }

  forget(accountId: string): void {
    this.#kept.delete(accountId)
  }

  /** The request is everybody's: one asker who gives up does not end it. */
  #ask(
    accountId: string,
    { minTtl, signal, ...call }: CallOptions & { minTtl: number },
    ask: (call: CallOptions) => Promise<VendedToken>,
  ): Promise<VendedToken> {
    const askedAt = now()
    const asked = ask(call)
      .then((token) => {
        this.#keep(accountId, token, askedAt)
        return token
      })
      .finally(() => this.#inFlight.delete(accountId))
    this.#inFlight.set(accountId, { minTtl, token: asked })
    asked.catch(() => {}) // nobody may be waiting any more
    return orAborted(asked, signal)
  }

  #keep(accountId: string, token: VendedToken, askedAt: Kept['askedAt']): void {
    const older = this.#kept.get(accountId)
    if (older && older.token.generation > token.generation) return // answers may overtake each other
    this.forget(accountId)
    if (this.#kept.size >= maxKept) this.forget(this.#kept.keys().next().value ?? '')
    this.#kept.set(accountId, { token, askedAt })
  }

  #good(accountId: string, minTtl: number): VendedToken | undefined {
    const kept = this.#kept.get(accountId)
    if (!kept) return undefined
    const { token, askedAt } = kept
    const ageMs = Math.max(Date.now() - askedAt.wall, performance.now() - askedAt.steady)
    return token.expiresIn - ageMs / 1000 >= minTtl ? token : undefined
  }
}

const now = () => ({ wall: Date.now(), steady: performance.now() })

type Outcome<T> = { value: T } | { error: unknown }

async function outcomeOf<T>(work: (token: VendedToken) => T | Promise<T>, token: VendedToken): Promise<Outcome<T>> {
  try {
    return { value: await work(token) }
  } catch (error) {
    return { error }
  }
}

function settled<T>(outcome: Outcome<T>): T {
  if ('error' in outcome) throw outcome.error
  return outcome.value
}

/** An answer with 401 that is returned, or thrown as most HTTP libraries do (`error.status`, `error.response.status`). */
async function isTokenRefused(outcome: Outcome<unknown>): Promise<boolean> {
  const told = 'error' in outcome ? outcome.error : outcome.value
  if (!isObject(told)) return false
  const answer = 'error' in outcome && isObject(told.response) ? told.response : told
  if (answer.status !== 401) return false
  const code = isResponse(answer) ? await tiktokCode(answer) : told.code
  return !notTheToken.has(String(code))
}

/** Another library's is no instance of ours. */
const isResponse = (value: unknown): value is Response => isObject(value) && typeof value.clone === 'function'

async function tiktokCode(answer: Response): Promise<unknown> {
  if (answer.bodyUsed) return undefined
  const body: unknown = await answer
    .clone()
    .json()
    .catch(() => undefined)
  return isObject(body) && isObject(body.error) ? body.error.code : undefined
}
