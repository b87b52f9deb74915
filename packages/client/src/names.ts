// The wire says owner_id where this client says ownerId. Turned here, for every field there is and every one that will be.

export const toCamel = (name: string): string => name.replace(/_([a-z0-9])/g, (_, next: string) => next.toUpperCase())
export const toSnake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

/** @returns the same value with its fields renamed, however deep; words that are values stay */
export function renamed(value: unknown, rename: (name: string) => string): unknown {
  if (Array.isArray(value)) return value.map((one) => renamed(one, rename))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [rename(name), renamed(one, rename)]))
}
