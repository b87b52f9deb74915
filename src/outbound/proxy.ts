// The way out of a network that only a forward proxy leads out of: https goes through it by CONNECT, and TLS is with whom it would be without
// one. Plain http and this machine are reached directly.
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { buildConnector } from 'undici'
import { AddressNotAllowed, isLoopback, isPublicAddress, lookupPublic } from './public-address.ts'

export interface ForwardProxy {
  url: URL
  /** hosts that are reached directly, as NO_PROXY lists them */
  except: readonly string[]
}

type Way = buildConnector.BuildOptions & {
  timeout: number
  /** a name that leads into a private network is not followed */
  publicOnly?: boolean
}

/** What an Agent takes as `connect`. */
export function wayOut(
  proxy: ForwardProxy | undefined,
  { publicOnly = false, ...options }: Way,
): buildConnector.BuildOptions | buildConnector.connector {
  const direct = { ...options, ...(publicOnly && { lookup: lookupPublic }) }
  if (proxy === undefined) return direct
  const connect = buildConnector({ allowH2: false, ...direct })
  return (target, done) => {
    if (!leadsThrough(proxy, target)) return connect(target, done)
    tunnel(proxy, target, { publicOnly, timeoutMs: options.timeout }).then(
      (httpSocket) => connect({ ...target, httpSocket }, done),
      (error: Error) => done(error, null),
    )
  }
}

/**
 * Whom strangers' names lead to is looked up and judged here, and the proxy is given the address that was judged. Left to look the name up by
 * itself, it could be led into the network that it stands in.
 */
async function tunnel(
  proxy: ForwardProxy,
  { hostname, port }: buildConnector.Options,
  { publicOnly, timeoutMs }: { publicOnly: boolean; timeoutMs: number },
) {
  const [host, { tunnelTo }] = await Promise.all([publicOnly ? publicAddressOf(hostname) : hostname, import('./tunnel.ts')])
  return tunnelTo(proxy.url, `${isIP(host) === 6 ? `[${host}]` : host}:${port || 443}`, timeoutMs)
}

async function publicAddressOf(hostname: string): Promise<string> {
  const addresses = await lookup(hostname.replace(/^\[|\]$/g, ''), { all: true })
  const [first] = addresses
  if (!first || !addresses.every(({ address }) => isPublicAddress(address))) throw new AddressNotAllowed()
  return first.address
}

function leadsThrough({ except }: ForwardProxy, { protocol, hostname, port }: buildConnector.Options): boolean {
  if (protocol !== 'https:' || isLoopback(hostname)) return false
  return !except.some((entry) => fits(entry, hostname.toLowerCase().replace(/\.$/, ''), port || '443'))
}

/** @param entry `*`, or a name for itself and all below it, with or without a port; an address stands for itself */
function fits(entry: string, hostname: string, port: string): boolean {
  const [, written = '', itsPort] = /^(\[.*\]|[^:]*|.*:.*:.*?)(?::(\d+))?$/.exec(entry.toLowerCase()) ?? []
  if (itsPort !== undefined && itsPort !== port) return false
  const name = written.replace(/^\*?\./, '').replace(/^\[|\]$/g, '')
  const bare = hostname.replace(/^\[|\]$/g, '')
  return name === '*' || (name !== '' && (bare === name || bare.endsWith(`.${name}`)))
}
