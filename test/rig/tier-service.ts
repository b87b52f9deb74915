// Somebody else's tier service, on a port of its own: it says what it is told to say, or fails in the way it is told to fail.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

interface Teardown {
  teardown(work: () => unknown): unknown
}

export interface TierFault {
  status?: number
  headers?: Record<string, string>
  body?: unknown
  /** never answers */
  hang?: boolean
}

export interface FakeTierService {
  url: string
  seen: { path: string; authorization: string | undefined }[]
  say(body: Record<string, unknown>): void
  fail(fault: TierFault): void
}

export async function startTierService(t: Teardown): Promise<FakeTierService> {
  let present: TierFault = { status: 200, body: { tier: 'free' } }
  const seen: FakeTierService['seen'] = []
  const server = createServer((request, response) => {
    const path = request.url ?? ''
    seen.push({ path, authorization: request.headers.authorization })
    // Where a redirect would lead: whoever follows it is told what they want to hear.
    const {
      status = 200,
      headers = {},
      body = {},
      hang = false,
    } = path.startsWith('/ok/') ? { body: { tier: 'business' } } : present
    if (hang) return
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(typeof body === 'string' ? body : JSON.stringify(body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    say(body) {
      present = { body }
    },
    fail(fault) {
      present = fault
    },
  }
}
