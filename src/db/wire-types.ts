// How values cross between JavaScript and PostgreSQL. Columns arrive by their camelCase names (connection.ts).
//
//   int8         number; a value past 2^53 fails loudly instead of being rounded
//   timestamptz  Date, microseconds cut off; 'infinity' is the last Date there is, '-infinity' the first
//   json, jsonb  the parsed value; as a parameter `sql.json(value)`, or a string that is JSON text already
//   arrays       of the element types below, one dimension; `${['a', 'b']}` works, of Dates and booleans `sql.array(…)`
//
// The array types are written down here because postgres.js would otherwise ask for them on every new connection, and a
// connection that dies during that question ends the process with an unhandled rejection (3.4, fetchArrayTypes).

import postgres from 'postgres'

const int8 = {
  to: 20,
  from: [20],
  serialize: (value: number | bigint | string) => String(value),
  parse(text: string): number {
    const value = Number(text)
    if (!Number.isSafeInteger(value)) throw new RangeError('an int8 from the database does not fit a number')
    return value
  },
}

const lastDateMs = 8.64e15

const timestamptz = {
  to: 1184,
  from: [1184],
  serialize: (value: Date | string) => (value instanceof Date ? value.toISOString() : value),
  parse(text: string): Date {
    if (text === 'infinity') return new Date(lastDateMs)
    if (text === '-infinity') return new Date(-lastDateMs)
    return new Date(text)
  },
}

const json = {
  to: 3802,
  from: [114, 3802],
  serialize: (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value)),
  parse: (text: string): unknown => JSON.parse(text),
}

export const types = { int8, timestamptz, json }

/** `displayName` is the column `display_name`. */
export const columnName = postgres.fromCamel

/** What a function of the database takes as its one jsonb argument: with keys as columns are called. */
export function snakeCased(argument: object) {
  return Object.fromEntries(Object.entries(argument).map(([name, value]) => [columnName(name), value]))
}

/** Element type and its array type, by their fixed ids in pg_type. */
const arrayTypes = [
  [16, 1000], // boolean
  [17, 1001], // bytea
  [20, 1016], // int8
  [21, 1005], // int2
  [23, 1007], // int4
  [25, 1009], // text
  [701, 1022], // float8
  [1043, 1015], // varchar
  [1184, 1185], // timestamptz
  [2950, 2951], // uuid
  [3802, 3807], // jsonb
] as const

interface Codecs {
  parsers: Record<number, ((text: string) => unknown) | undefined>
  serializers: Record<number, ((value: unknown) => unknown) | undefined>
  shared: { typeArrayMap: Record<number, number> }
}

/** Teaches a fresh postgres.js client the array types, as its own question to the server would have done. */
export function teachArrays(codecs: Codecs): void {
  for (const [element, array] of arrayTypes) {
    const parse = codecs.parsers[element] ?? String
    const serialize = codecs.serializers[element] ?? String
    codecs.parsers[array] = (text) => parseArray(text, parse)
    codecs.serializers[array] = (values) => (Array.isArray(values) ? arrayText(values, serialize) : values)
    codecs.shared.typeArrayMap[element] = array
  }
}

/** One item of an array's text: quoted with backslash escapes, or bare up to the next comma or brace. */
const item = /"((?:[^"\\]|\\.)*)"|([^,{}"]+)/gs

function parseArray(text: string, parse: (item: string) => unknown): unknown[] {
  return Array.from(text.matchAll(item), ([, quoted, bare]) => {
    if (quoted !== undefined) return parse(quoted.replace(/\\(.)/gs, '$1'))
    return bare === 'NULL' ? null : parse(bare ?? '')
  })
}

function arrayText(values: unknown[], serialize: (value: unknown) => unknown): string {
  const items = values.map((value) => (value === null ? 'NULL' : `"${String(serialize(value)).replace(/["\\]/g, '\\$&')}"`))
  return `{${items.join(',')}}`
}
