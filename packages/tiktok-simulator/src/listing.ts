/** Long lists, sent while they are made: a hundred thousand grants should not have to fit in one string. */
import type { Answer, Request } from './wire.ts'

/** As lines of JSON for `?format=ndjson`, else as one JSON text: an object with that name, or a bare array without one. */
export function list(name: string, request: Request, items: Iterable<object>): Answer {
  const asLines = request.query.get('format') === 'ndjson' || (request.headers.accept ?? '').includes('application/x-ndjson')
  const headers = { 'content-type': asLines ? 'application/x-ndjson' : 'application/json', 'cache-control': 'no-store' }
  const lines = { open: '', before: '', after: '\n', close: '' }
  const text = { open: name ? `{"${name}":[` : '[', before: ',', after: '', close: name ? ']}' : ']' }
  return { status: 200, headers, body: pieces(items, asLines ? lines : text) }
}

/** Five hundred items to a piece: a write for each would take longer than making them. */
function* pieces(
  items: Iterable<object>,
  frame: { open: string; before: string; after: string; close: string },
): Generator<string> {
  let piece = frame.open
  let count = 0
  for (const item of items) {
    piece += (count === 0 ? '' : frame.before) + JSON.stringify(item) + frame.after
    count += 1
    if (count % 500 === 0) {
      yield piece
      piece = ''
    }
  }
  yield piece + frame.close
}
