// JSON lines to a place of the operator's choice: a file on disk, or a collector over HTTP.
import { open } from 'node:fs/promises'
import { Agent, request } from 'undici'
import { type ForwardProxy, wayOut } from './proxy.ts'

const deadlineMs = 15_000

/** @returns what takes a batch of lines, and has kept them when it resolves; it repeats nothing */
export function linesTo(target: URL, proxy?: ForwardProxy): (lines: string) => Promise<void> {
  return target.protocol === 'file:' ? toFile(target) : toCollector(target, proxy)
}

/** On disk when it returns. */
function toFile(target: URL): (lines: string) => Promise<void> {
  return async (lines) => {
    const file = await open(target, 'a', 0o600)
    try {
      await file.writeFile(lines)
      await file.sync()
    } finally {
      await file.close()
    }
  }
}

function toCollector(target: URL, proxy: ForwardProxy | undefined): (lines: string) => Promise<void> {
  const url = new URL(target)
  const credentials =
    url.username + url.password === '' ? undefined : `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
  url.username = ''
  url.password = ''
  const dispatcher = new Agent({ connections: 1, connect: wayOut(proxy, { timeout: deadlineMs }) })
  return async (lines) => {
    const answer = await request(url, {
      method: 'POST',
      dispatcher,
      headers: {
        'content-type': 'application/x-ndjson',
        ...(credentials === undefined ? {} : { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` }),
      },
      body: lines,
      signal: AbortSignal.timeout(deadlineMs),
    })
    await answer.body.dump()
    if (answer.statusCode < 200 || answer.statusCode > 299)
      throw new Error(`the collector of AUDIT_STREAM answered ${answer.statusCode}`)
  }
}
