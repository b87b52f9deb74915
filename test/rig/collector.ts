// A collector that takes OTLP over HTTP in JSON, on loopback, and keeps what it gets.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface CollectedSpan {
  traceId: string
  spanId: string
  parentSpanId?: string
  name: string
  kind: number
  attributes: Record<string, string>
  status: { code: number }
}

export interface Collector {
  url: string
  /** every body, as it came */
  texts: string[]
  spans(): CollectedSpan[]
}

interface Wire {
  resourceSpans: {
    scopeSpans: {
      spans: (Omit<CollectedSpan, 'attributes'> & {
        attributes: { key: string; value: { stringValue?: string; intValue?: string } }[]
      })[]
    }[]
  }[]
}

export async function startCollector(t: { teardown(work: () => unknown): unknown }): Promise<Collector> {
  const texts: string[] = []
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const chunk of request.setEncoding('utf8')) text += chunk
    if (request.url === '/v1/traces' && request.headers['content-type'] === 'application/json') texts.push(text)
    response.setHeader('content-type', 'application/json').end('{}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    texts,
    spans: () =>
      texts
        .flatMap((text) => (JSON.parse(text) as Wire).resourceSpans)
        .flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
        .map((span) => ({
          ...span,
          attributes: Object.fromEntries(
            span.attributes.map(({ key, value }) => [key, value.stringValue ?? value.intValue ?? '']),
          ),
        })),
  }
}
