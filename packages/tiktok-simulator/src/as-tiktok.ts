/**
 * TikTok under its own names, for clients that have them built in: a proxy that leads TikTok's hosts to here and nowhere else, and TLS
 * with a certificate for them. Nothing leaves the machine unless a host was allowed by name.
 */
import type { RequestListener, Server } from 'node:http'
import { createServer } from 'node:https'
import { type AddressInfo, connect } from 'node:net'
import type { Duplex } from 'node:stream'
import { certificateFor } from './certificate.ts'
import { domains, isTikTokHost } from './hosts.ts'

export interface AsTikTokOptions {
  /** Where TLS is spoken without a proxy before it: 443 serves a hosts file. 0, the default, takes any free port. */
  tlsPort?: number | undefined
  /** Hosts that the proxy connects to, at whatever port; none by default. */
  allowHosts?: readonly string[] | undefined
  /** Told of each host that was asked for and is not here. */
  onRefused?: ((host: string) => void) | undefined
}

export interface AsTikTok {
  /** PEM of the authority to trust, for NODE_EXTRA_CA_CERTS and the like. */
  readonly authority: string
  readonly tlsPort: number
  close(): Promise<void>
}

export async function serveAsTikTok(
  proxy: Server,
  host: string,
  { tlsPort, allowHosts = [], onRefused }: AsTikTokOptions,
  serve: RequestListener,
): Promise<AsTikTok> {
  const { authority, certificate, key } = certificateFor(domains)
  const secure = createServer({ key, cert: certificate, keepAliveTimeout: 65_000 }, (incoming, response) => {
    incoming.headers['x-forwarded-proto'] = 'https' // links to ourselves are made from it
    serve(incoming, response)
  })
  await new Promise<void>((resolve, reject) => {
    secure.once('error', reject)
    secure.listen(tlsPort ?? 0, host, resolve)
  })
  const { address, port } = secure.address() as AddressInfo
  const near = address === '0.0.0.0' ? '127.0.0.1' : address === '::' ? '::1' : address

  const open = new Set<Duplex>()
  const pipe = (client: Duplex, head: Buffer, to: { host: string; port: number }) => {
    const upstream = connect(to, () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n')
      upstream.write(head)
      upstream.pipe(client).pipe(upstream)
    })
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(one)
      one.on('error', () => other.destroy())
      one.on('close', () => {
        open.delete(one)
        other.destroy()
      })
    }
  }
  proxy.on('connect', (request, client: Duplex, head: Buffer) => {
    const target = `http://${request.url}`
    if (!URL.canParse(target)) return void client.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n')
    const url = new URL(target)
    const wanted = { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || 80) }
    if (isTikTokHost(wanted.host) && wanted.port === 443) pipe(client, head, { host: near, port })
    else if (allowHosts.includes(wanted.host)) pipe(client, head, wanted)
    else {
      onRefused?.(`${wanted.host}:${wanted.port}`)
      client.on('error', () => client.destroy())
      client.end(refusal(wanted.host))
    }
  })

  return {
    authority,
    tlsPort: port,
    async close() {
      const closed = new Promise<void>((resolve) => secure.close(() => resolve()))
      for (const stream of open) stream.destroy()
      secure.closeAllConnections()
      await closed
    },
  }
}

/** What the proxy says of a host that is not TikTok's. */
export function whyRefused(host: string): string {
  return `This proxy is the TikTok simulator: it leads to TikTok's hosts only, and nothing leaves the machine. --allow-host ${host} lets this one through.`
}

/** The sentence stands in the first line too: most clients show that one only. */
function refusal(host: string): string {
  const body = `${whyRefused(host)}\n`
  return `HTTP/1.1 403 ${whyRefused(host)}\r\ncontent-type: text/plain\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`
}
