// JSON bodies: one object, no key twice. JSON.parse takes the last of two equal keys and a proxy may have read the first, so a caller could
// be told one thing and the service do another (RFC 8259 §4).

/** What in valid JSON is a string, opens, closes or separates; all else is of no interest here. */
const token = /"(?:[^"\\]|\\.)*"|[{}[\],:]/gs

/** @param text valid JSON */
export function hasDuplicateKeys(text: string): boolean {
  /** of each object that is open its keys, of each array null */
  const open: (Set<string> | null)[] = []
  let string = ''
  for (const [found] of text.matchAll(token)) {
    if (found === '{') open.push(new Set())
    else if (found === '[') open.push(null)
    else if (found === '}' || found === ']') open.pop()
    else if (found === ':') {
      const keys = open.at(-1)
      const key: string = JSON.parse(string) // however it is escaped
      if (keys?.has(key)) return true
      keys?.add(key)
    } else if (found !== ',') string = found
  }
  return false
}
