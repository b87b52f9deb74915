// What happens to accounts: followed as a feed, or verified when it is pushed.
import { AccountsError, CallerError } from './errors.ts'
import { type HeadersLike, type VerifyOptions, verifyEvent } from './signature.ts'
import type { Tokens } from './tokens.ts'
import type { CallOptions, Transport } from './transport.ts'
import { pause } from './waiting.ts'
import type { EventPage, Operations, ServiceEvent } from './wire.ts'

type Query = NonNullable<Operations['listEvents']['query']>

export interface FollowOptions extends Omit<Query, 'after' | 'limit'> {
  /** where an earlier run came to; without it from the oldest event there is, `latest` from now on */
  cursor?: string | undefined
  /** ends it */
  signal?: AbortSignal | undefined
  /** how long to wait after a page that was not full, 5,000 unless said */
  pollMs?: number | undefined
  /** told of what interrupted it; it goes on by itself */
  onTrouble?: ((error: AccountsError) => void) | undefined
}

/** `cursor` is where to go on once this event is dealt with. Store both together; some events may come again. */
export type FollowedEvent = ServiceEvent & { cursor: string | undefined }

const pageSize = 200
const troubleMs = 10_000

export class Events {
  readonly #transport: Transport
  readonly #tokens: Tokens

  constructor(transport: Transport, tokens: Tokens) {
    this.#transport = transport
    this.#tokens = tokens
  }

  /** One page. `after: 'latest'` has no events, and the cursor of now. */
  page({ signal, budgetMs, ...query }: Query & CallOptions = {}): Promise<EventPage> {
    return this.#transport.call('listEvents', { query }, { signal, budgetMs })
  }

  /**
   * All events in their order, and then each as it comes, until the signal. It outlives whatever a wait or the service's operators can
   * mend. New types of events may come: leave alone what you do not know.
   *
   * @throws AccountsError when asking again cannot help: a wrong cursor, a key that does not work
   */
  async *follow({
    cursor,
    signal,
    pollMs = 5_000,
    onTrouble,
    ...filter
  }: FollowOptions = {}): AsyncGenerator<FollowedEvent, void, undefined> {
    let after = cursor
    while (!signal?.aborted) {
      let page: EventPage
      try {
        page = await this.page({ ...filter, ...(after === undefined ? {} : { after }), limit: pageSize, signal })
      } catch (error) {
        if (signal?.aborted) return
        if (!(error instanceof AccountsError) || isFinal(error)) throw error
        onTrouble?.(error)
        await pause(error.retryAfterMs ?? troubleMs, signal).catch(() => {})
        continue
      }
      for (const [index, event] of page.events.entries()) {
        if (signal?.aborted) return
        this.#dropTokens(event)
        yield { ...event, cursor: index === page.events.length - 1 ? page.nextCursor : after }
      }
      after = page.nextCursor
      if (page.events.length < pageSize) await pause(pollMs, signal).catch(() => {})
    }
  }

  /** For a receiver of pushed events. It needs no key: `verifyEvent` is the same without a client. */
  verify(
    rawBody: string | Uint8Array,
    headers: HeadersLike,
    secrets: string | readonly string[],
    options?: VerifyOptions,
  ): Promise<ServiceEvent> {
    return verifyEvent(rawBody, headers, secrets, options)
  }

  /** Whoever follows the events does not go on with a token of an account that has ended. */
  #dropTokens(event: ServiceEvent): void {
    const ended = event.type === 'account.disconnected' || event.type === 'account.reauthorization_required'
    if (ended && typeof event.data.accountId === 'string') this.#tokens.forget(event.data.accountId)
  }
}

const isFinal = (error: AccountsError) => error instanceof CallerError || error.status === 403
