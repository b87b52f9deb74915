// Failures that several operations answer in the same way stand once in the description, by name, and the operations refer to them.
import { STATUS_CODES } from 'node:http'

interface Answers {
  responses?: Record<string, object>
}

/**
 * @param everywhere codes that any operation has: they give no name
 * @returns the shared ones by name; in the operations each is now a reference
 */
export function shareResponses(operations: readonly Answers[], everywhere: readonly string[]): Record<string, object> {
  const found = new Map<string, { status: string; response: object; places: Record<string, object>[] }>()
  for (const { responses = {} } of operations)
    for (const [status, response] of Object.entries(responses)) {
      if (Number(status) < 400 || codesOf(response).length === 0) continue
      const text = JSON.stringify([status, response])
      const same = found.get(text) ?? { status, response, places: [] }
      same.places.push(responses)
      found.set(text, same)
    }
  const shared: Record<string, object> = {}
  for (const { status, response, places } of found.values()) {
    if (places.length < 2) continue
    const name = nameOf(status, response, everywhere, shared)
    shared[name] = response
    for (const responses of places) responses[status] = { $ref: `#/components/responses/${name}` }
  }
  return Object.fromEntries(Object.entries(shared).sort(([one], [other]) => (one < other ? -1 : 1)))
}

/** After what is special about it, such as `AccountNotFound`; else after its status. Pages for people say so. */
function nameOf(status: string, response: object, everywhere: readonly string[], taken: Record<string, object>): string {
  const { content = {} } = response as { content?: object }
  const codes = codesOf(response)
  const own = codes.filter((code) => !everywhere.includes(code)).map(inPascalCase)
  const page = 'text/html' in content ? 'Page' : ''
  const plain = page + (own.join('Or') || (STATUS_CODES[status] ?? '').replaceAll(/\W/g, ''))
  return plain in taken ? `${plain}Or${inPascalCase(codes.at(-1) ?? '')}` : plain
}

/** A failed answer is described by its codes. */
const codesOf = (response: object) => {
  const { description = '' } = response as { description?: string }
  return [...description.matchAll(/`(\w+)`/g)].map(([, code = '']) => code)
}

const inPascalCase = (code: string) => code.replace(/(?:^|_)([a-z])/g, (_match, letter: string) => letter.toUpperCase())
