// Connecting an account: open a session, send the browser away, finish when it comes back.
import { CallerError, UserError } from './errors.ts'
import { pages } from './pages.ts'
import type { CallOptions, Transport } from './transport.ts'
import type { Account, ConnectSession, CreateConnectSession, CreatedConnectSession, Operations } from './wire.ts'

type List = Omit<NonNullable<Operations['listConnectSessions']['query']>, 'cursor'> & CallOptions

export class ConnectSessions {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** @returns `authorizeUrl` to send the browser to, or `connectUrl`, where the service asks for account type and age itself */
  open(wish: CreateConnectSession & CallOptions): Promise<CreatedConnectSession> {
    const { signal, budgetMs, ...body } = wish
    return this.#transport.call('openConnectSession', { body }, { signal, budgetMs })
  }

  /** @param options `wait` up to 25 seconds until it moves on; at once when it is over */
  get(sessionId: string, { wait, ...options }: CallOptions & { wait?: number | undefined } = {}): Promise<ConnectSession> {
    return this.#transport.call(
      'getConnectSession',
      { path: { sessionId }, ...(wait === undefined ? {} : { query: { wait } }) },
      options,
    )
  }

  /** All of the last day, newest first, or those of an owner; pages by itself. */
  list({ signal, budgetMs, ...query }: List = {}): AsyncGenerator<ConnectSession, void, undefined> {
    return pages(async (from) => {
      const input = { query: { limit: 200, ...query, ...from } }
      const { sessions, nextCursor } = await this.#transport.call('listConnectSessions', input, { signal, budgetMs })
      return { items: sessions, nextCursor }
    })
  }

  /**
   * Finishes what the browser came back for. A repeat, as by a reload, answers with the same account.
   *
   * @param returnedTo the address the browser came to, `request.url` will do
   * @param options `ownerId` of whoever is logged in there: an account is connected for nobody else
   * @throws UserError session_failed with what went wrong in `reason`, such as `access_denied`; session_not_ready when they left before the end
   */
  async complete(returnedTo: string | URL, { ownerId, ...options }: { ownerId: string } & CallOptions): Promise<Account> {
    const back = new URL(returnedTo, 'http://localhost').searchParams
    const sessionId = back.get('connect_session') ?? ''
    const confirm = back.get('confirm')
    if (confirm !== null) {
      return this.#transport.call('completeConnectSession', { path: { sessionId }, body: { ownerId, confirm } }, options)
    }
    if (back.get('status') === 'failed') throw failed(back.get('error'))
    // Anybody can write an address: the session says what has happened, and for whom.
    const session = await this.get(sessionId, options)
    if (session.ownerId !== ownerId) {
      throw new CallerError({
        code: 'owner_mismatch',
        detail: 'Another owner started this connect session. Start one for this owner.',
      })
    }
    if (session.accountId !== null) return this.#transport.call('getAccount', { path: { accountId: session.accountId } }, options)
    if (session.status === 'failed') throw failed(session.error)
    if (session.status === 'expired')
      throw new UserError({ code: 'session_expired', detail: 'The connect session is over. Start again.' })
    throw new UserError({ code: 'session_not_ready', detail: 'The person has not finished at TikTok. Nothing is connected yet.' })
  }
}

function failed(reason: string | null): UserError {
  const detail = `The account was not connected (${reason ?? 'no reason was given'}). Start again with a new connect session.`
  return new UserError({ code: 'session_failed', detail, reason: reason ?? undefined })
}
