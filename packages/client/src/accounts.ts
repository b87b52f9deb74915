// The accounts that were connected: whose they are, how they are doing, and their tokens.
import { pages } from './pages.ts'
import type { TokenOptions, Tokens } from './tokens.ts'
import type { CallOptions, Transport } from './transport.ts'
import type { Account, AccountHealth, Disconnected, Operations, Timeline, VendedToken, VendedTokens } from './wire.ts'

type List<O extends 'listAccounts' | 'getAccountTimeline'> = Omit<NonNullable<Operations[O]['query']>, 'cursor'> & CallOptions
type Work<T> = (token: VendedToken) => T | Promise<T>

export interface Picture {
  /** undefined when `etag` still names it */
  bytes: Uint8Array<ArrayBuffer> | undefined
  contentType: string | null
  etag: string | null
}

export class Accounts {
  readonly #transport: Transport
  readonly #tokens: Tokens

  constructor(transport: Transport, tokens: Tokens) {
    this.#transport = transport
    this.#tokens = tokens
  }

  /** All of them, oldest first, or those of an owner or of some statuses; pages by itself. */
  list({ signal, budgetMs, ...query }: List<'listAccounts'> = {}): AsyncGenerator<Account, void, undefined> {
    return pages(async (from) => {
      const { accounts, nextCursor } = await this.#transport.call(
        'listAccounts',
        { query: { limit: 200, ...query, ...from } },
        { signal, budgetMs },
      )
      return { items: accounts, nextCursor }
    })
  }

  get(accountId: string, options: CallOptions = {}): Promise<Account> {
    return this.#transport.call('getAccount', { path: { accountId } }, options)
  }

  /** @param label null takes it away */
  label(accountId: string, label: string | null, options: CallOptions = {}): Promise<Account> {
    return this.#transport.call('labelAccount', { path: { accountId }, body: { label } }, options)
  }

  /** Asks TikTok now, and refreshes the profile. */
  verify(accountId: string, options: CallOptions = {}): Promise<Account> {
    return this.#transport.call('verifyAccount', { path: { accountId } }, options)
  }

  health(accountId: string, options: CallOptions = {}): Promise<AccountHealth> {
    return this.#transport.call('getAccountHealth', { path: { accountId } }, options)
  }

  /** @param options `etag` of the picture that is there already */
  async avatar(accountId: string, { etag, ...options }: CallOptions & { etag?: string | undefined } = {}): Promise<Picture> {
    const headers: Record<string, string> = etag === undefined ? {} : { 'if-none-match': etag }
    const heard = await this.#transport.send('getAccountAvatar', { path: { accountId }, headers }, options)
    return {
      bytes: heard.status === 304 ? undefined : heard.body,
      contentType: heard.headers.get('content-type'),
      etag: heard.headers.get('etag'),
    }
  }

  /** Why it is in its state, newest first; pages by itself. */
  timeline(
    accountId: string,
    { signal, budgetMs, ...query }: List<'getAccountTimeline'> = {},
  ): AsyncGenerator<Timeline['entries'][number], void, undefined> {
    return pages(async (from) => {
      const input = { path: { accountId }, query: { limit: 200, ...query, ...from } }
      const { entries, nextCursor } = await this.#transport.call('getAccountTimeline', input, { signal, budgetMs })
      return { items: entries, nextCursor }
    })
  }

  /** Ends it: revokes at TikTok and erases. A token that somebody holds may work at TikTok until then. */
  async disconnect(accountId: string, options: CallOptions = {}): Promise<Disconnected> {
    try {
      return await this.#transport.call('disconnectAccount', { path: { accountId } }, options)
    } finally {
      this.#tokens.forget(accountId)
    }
  }

  /**
   * Runs your work with a token that is good for at least `minTtl` seconds. When it returns or throws a 401 of TikTok's, the token is
   * reported as refused, and the work runs once more with another one.
   *
   * @throws UserError reauthorization_required | account_disconnected; TimeError when TikTok or the service is away for longer than the budget
   */
  withToken<T>(accountId: string, work: Work<T>): Promise<T>
  withToken<T>(accountId: string, options: TokenOptions, work: Work<T>): Promise<T>
  withToken<T>(accountId: string, first: TokenOptions | Work<T>, second?: Work<T>): Promise<T> {
    if (typeof first === 'function') return this.#tokens.with(accountId, {}, first)
    if (second === undefined) throw new TypeError('withToken: the last argument is the work, a function')
    return this.#tokens.with(accountId, first, second)
  }

  /** A token to hand to another program. Prefer `withToken`, which also knows what to do about a 401. */
  token(accountId: string, options: TokenOptions = {}): Promise<VendedToken> {
    return this.#tokens.get(accountId, options)
  }

  /** For many accounts at once, 50 at most: for each a token or the problem it has. */
  tokens(accountIds: string[], options: TokenOptions = {}): Promise<VendedTokens['tokens']> {
    return this.#tokens.several(accountIds, options)
  }

  /** For a token of `token`: TikTok refused this generation. @returns another */
  tokenRejected(accountId: string, generation: number, options: CallOptions = {}): Promise<VendedToken> {
    return this.#tokens.replace(accountId, generation, options)
  }
}
