// A TCP proxy between the service and something it needs, to take that away in the ways networks do.
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface TcpProxy {
  /** the target's URL with the proxy's address in it */
  url: string
  port: number
  /** Drops every connection and refuses new ones, like a server that is gone. */
  cut(): Promise<void>
  /**
   * Takes connections and forwards nothing, like a network that swallows packets. With 'answers' what is asked still
   * arrives and only the answer is held back: the statement takes effect, and nobody hears of it.
   */
  stall(what?: 'everything' | 'answers'): void
  /** Works again; what a stall held back is delivered. */
  resume(): Promise<void>
  /** Resets the connections there are; new ones are welcome. */
  killConnections(): void
  /** New connections lead here from now on: a server that came back elsewhere. */
  pointAt(targetUrl: string): void
  close(): Promise<void>
  readonly connections: number
}

interface Pair {
  client: Socket
  target: Socket
}

/** @param targetUrl such as a DATABASE_URL or `http://127.0.0.1:4000`; its port has to be written out */
export async function startProxy(
  t: { teardown(work: () => unknown): unknown } | undefined,
  targetUrl: string,
): Promise<TcpProxy> {
  let target = new URL(targetUrl)
  const pairs = new Set<Pair>()
  let stalled: 'everything' | 'answers' | undefined
  let server = createServer()

  function join(client: Socket): void {
    const pair = { client, target: connect(Number(target.port), target.hostname) }
    pairs.add(pair)
    for (const [one, other] of [
      [client, pair.target],
      [pair.target, client],
    ] as const) {
      one.setNoDelay(true)
      one.on('error', () => {})
      one.once('close', () => {
        other.destroy()
        pairs.delete(pair)
      })
    }
    flow(pair)
  }

  function flow({ client, target }: Pair): void {
    // Unpiped first: what is piped twice is sent twice.
    client.unpipe(target)
    target.unpipe(client)
    if (stalled !== 'everything') client.pipe(target)
    if (!stalled) target.pipe(client)
  }

  async function listen(port: number): Promise<void> {
    // allowHalfOpen: an end that was held back by a stall must not be acted upon
    server = createServer({ allowHalfOpen: true }, join)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, '127.0.0.1', resolve)
    })
  }

  function killConnections(): void {
    for (const { client, target } of pairs) {
      client.resetAndDestroy()
      target.destroy()
    }
  }

  async function cut(): Promise<void> {
    if (!server.listening) return
    const closed = new Promise((resolve) => server.close(resolve))
    killConnections()
    await closed
  }

  await listen(0)
  const { port } = server.address() as AddressInfo
  const url = new URL(targetUrl)
  url.hostname = '127.0.0.1'
  url.port = String(port)
  t?.teardown(cut)
  return {
    url: url.href,
    port,
    cut,
    stall(what = 'everything') {
      stalled = what
      pairs.forEach(flow)
    },
    async resume() {
      stalled = undefined
      pairs.forEach(flow)
      if (!server.listening) await listen(port)
    },
    killConnections,
    pointAt(targetUrl) {
      target = new URL(targetUrl)
    },
    close: cut,
    get connections() {
      return pairs.size
    },
  }
}
