// The names of schemas in the description. The generator makes two of each, for what goes in and for what comes out, and keeps both; readers want
// one `Account`, and those that nothing refers to gone.

interface Described {
  components?: { schemas?: Record<string, unknown> }
}

const reference = /"#\/components\/schemas\/([^"]+)"/g
const inputEnding = /Input$/

/** @returns the same description; a schema keeps the ending `Input` only where its other half is in use too */
export function nameSchemasOnce<T extends object>(description: T): T {
  const { components = {}, ...rest } = description as Described
  const schemas = components.schemas ?? {}
  const used = reachable(rest, schemas)
  const nameOf = (name: string) => {
    const plain = name.replace(inputEnding, '')
    return name !== plain && plain in schemas && !used.has(plain) ? plain : name
  }
  const kept = [...used].sort().map((name) => [nameOf(name), schemas[name]])
  const text = JSON.stringify({ ...rest, components: { ...components, schemas: Object.fromEntries(kept) } })
  return JSON.parse(text.replace(reference, (_match, name: string) => `"#/components/schemas/${nameOf(name)}"`))
}

/** @returns the names of all schemas that it refers to, directly or by way of others */
export function reachable(from: object, schemas: Record<string, unknown>): Set<string> {
  const found = new Set<string>()
  const look = (value: unknown) => {
    for (const [, name = ''] of (JSON.stringify(value) ?? '').matchAll(reference)) {
      if (found.has(name)) continue
      found.add(name)
      look(schemas[name])
    }
  }
  look(from)
  return found
}
