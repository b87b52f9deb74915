// One receiver of events, as the network has it: a pool of connections of its own, so that a slow one holds up nobody else; no
// redirects, a deadline, and no address inside our own network, looked at after resolution (S57).
import { Agent, request } from 'undici'
import { type ForwardProxy, wayOut } from '../outbound/proxy.ts'
import { ProxyFailed } from '../outbound/proxy-failed.ts'
import { AddressNotAllowed, isLoopback, isPrivateLiteral } from '../outbound/public-address.ts'
import type { SignedEvent } from './signature.ts'

/** What became of one POST. `code` is ours: nothing the receiver said is kept. */
export type Receipt =
  | { kind: 'delivered' }
  /** 410: the receiver wants no more */
  | { kind: 'gone' }
  | { kind: 'failed'; code: string; retryAfterSeconds?: number }

export interface Receiver {
  /** Never throws, and ends by its deadline or as soon as `stopping` aborts. */
  post(event: SignedEvent, stopping: AbortSignal): Promise<Receipt>
  close(): Promise<void>
}

export interface ReceiverOptions {
  connections: number
  proxy?: ForwardProxy | undefined
  timeoutMs?: number
}

/** Standard Webhooks asks for 15 to 30 s. */
const usualTimeoutMs = 15_000
/** As much of an answer is read as lets the connection be used again; nobody looks at it. */
const readBytes = 16 * 1024

/** @param target https, or a loopback host that was configured literally */
export function openReceiver(target: string, { connections, proxy, timeoutMs = usualTimeoutMs }: ReceiverOptions): Receiver {
  const url = new URL(target)
  const isOwnMachine = isLoopback(url.hostname)
  const mayPost = isOwnMachine || (url.protocol === 'https:' && !isPrivateLiteral(url))
  const agent = new Agent({
    connections,
    pipelining: 1,
    allowH2: false,
    connect: wayOut(proxy, { timeout: 3000, publicOnly: !isOwnMachine }),
    keepAliveTimeout: 4000,
    keepAliveMaxTimeout: 15_000,
  })
  return {
    async post({ headers, body }, stopping) {
      if (!mayPost) return { kind: 'failed', code: 'address_not_allowed' }
      const signal = AbortSignal.any([stopping, AbortSignal.timeout(timeoutMs)])
      try {
        const answer = await request(url, { dispatcher: agent, method: 'POST', headers, body, signal })
        // The status says it all: a body that drips is nobody's business but the connection's.
        answer.body.dump({ limit: readBytes, signal }).catch(() => undefined)
        return receiptOf(answer.statusCode, answer.headers['retry-after'])
      } catch (error) {
        return { kind: 'failed', code: codeOf(error, stopping) }
      }
    },
    close: () => agent.destroy(),
  }
}

function receiptOf(status: number, retryAfter: string | string[] | undefined): Receipt {
  if (status >= 200 && status < 300) return { kind: 'delivered' }
  if (status === 410) return { kind: 'gone' }
  const code = status >= 300 && status < 400 ? 'redirected' : `status_${status}`
  // In seconds or not at all: a receiver that states a date is tried by our own schedule.
  const retryAfterSeconds = typeof retryAfter === 'string' && /^\d{1,6}$/.test(retryAfter) ? Number(retryAfter) : undefined
  return { kind: 'failed', code, ...(retryAfterSeconds !== undefined && { retryAfterSeconds }) }
}

function codeOf(error: unknown, stopping: AbortSignal): string {
  if (stopping.aborted) return 'stopped'
  if (error instanceof AddressNotAllowed) return 'address_not_allowed'
  if (error instanceof ProxyFailed) return 'proxy'
  if (!(error instanceof Error)) return 'unreachable'
  if (error.name === 'TimeoutError') return 'timeout'
  const code = 'code' in error ? String(error.code) : ''
  if (code === 'ECONNREFUSED') return 'refused'
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'dns'
  if (code === 'UND_ERR_CONNECT_TIMEOUT' || code === 'ETIMEDOUT') return 'connect_timeout'
  if (/^(ERR_TLS|ERR_SSL|EPROTO|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_)/.test(code)) return 'tls'
  return 'unreachable'
}
