/** Long lists, sent while they are made: a hundred thousand grants should not have to fit in one string. */
import type { Answer, Request } from './wire.ts'

/** As lines of JSON for `?format=ndjson`, else as one JSON text: an object with that name, or a bare array without one. */
export function list(name: string, request: Request, items: Iterable<object>): Answer {
  const lines = request.query.get('format') === 'ndjson' || (request.headers.accept ?? '').includes('application/x-ndjson')
  const headers = { 'content-type': lines ? 'application/x-ndjson' : 'application/json', 'cache-control': 'no-store' }
  const [open, separator, close] = lines ? ['', '\n', '\n'] : name ? [`{"${name}":[`, ',', ']}'] : ['[', ',', ']']
  return { status: 200, headers, body: pieces(items, open, separator, close) }
}

/** Five hundred items to a piece: a write for each would take longer than making them. */
function* pieces(items: Iterable<object>, open: string, separator: string, close: string): Generator<string> {
  let piece = open
  let count = 0
  for (const item of items) {
    piece += count === 0 ? JSON.stringify(item) : separator + JSON.stringify(item)
    count += 1
    if (count % 500 === 0) {
      yield piece
      piece = ''
    }
  }
  yield piece + close
}
