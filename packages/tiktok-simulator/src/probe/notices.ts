/** Takes TikTok's notices for the probe, and is slow to be content: a notice has to come again before it is accepted. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { signatureHeader } from '../webhooks.ts'

export interface Arrival {
  readonly event: string
  /** By this machine's clock. */
  readonly at: number
  /** Seconds, out of the signature. */
  readonly t: number
  readonly genuine: boolean
}

export interface Notices {
  readonly port: number
  clear(): void
  /** @returns the first delivery and one at least a second younger; undefined where none comes in time */
  repeated(event: string): Promise<[Arrival | undefined, Arrival | undefined]>
  close(): Promise<void>
}

/** Two signatures of the same second look alike, so the repetition has to be in another. */
const apart = 1000

export async function receiveNotices(clientSecret: string, port: number, patienceMs: number): Promise<Notices> {
  let arrivals: Arrival[] = []
  let heard = () => {}
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (text: string) => {
      body += text
    })
    request.on('end', () => {
      const header = String(request.headers['tiktok-signature'] ?? '')
      const t = Number(/^t=(\d+),/.exec(header)?.[1])
      const event = /"event":\s*"([^"]*)"/.exec(body)?.[1] ?? ''
      const first = arrivals.find((one) => one.event === event)
      arrivals.push({ event, at: Date.now(), t, genuine: header === signatureHeader(clientSecret, t, body) })
      response.writeHead(first && Date.now() - first.at > apart ? 200 : 500).end()
      heard()
    })
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, resolve))
  return {
    port: (server.address() as AddressInfo).port,
    clear: () => {
      arrivals = []
    },
    repeated: (event) =>
      new Promise((resolve) => {
        const pair = (): [Arrival | undefined, Arrival | undefined] => {
          const [first, ...rest] = arrivals.filter((one) => one.event === event)
          return [first, rest.filter(({ at }) => first && at - first.at > apart).at(-1)]
        }
        const timer = setTimeout(() => resolve(pair()), patienceMs)
        heard = () => {
          if (pair()[1] === undefined) return
          clearTimeout(timer)
          resolve(pair())
        }
        heard()
      }),
    close: async () => {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
