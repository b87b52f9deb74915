// Every statement of src/db as the server would get it, found by calling each exported function with arguments that stand for
// anything: nothing is run.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { sealedTables } from '../../src/db/sealed-texts.ts'

export interface Statement {
  name: string
  /** with $1, $2 … for its parameters */
  text: string
}

const dir = join(import.meta.dirname, '../../src/db')

/** @returns what was found, and the names that stand in the sources and were not */
export async function allStatements(): Promise<{ statements: Statement[]; missed: string[] }> {
  const found = new Map<string, Statement>()
  const named = new Set<string>()
  for (const file of readdirSync(dir).filter((name) => name.endsWith('.ts'))) {
    for (const [, name = ''] of readFileSync(join(dir, file), 'utf8').matchAll(/\.run\(\s*'([a-z_]+)'/g)) named.add(name)
    const room: Record<string, unknown> = await import(join(dir, file))
    for (const value of Object.values(room)) {
      if (typeof value !== 'function') continue
      for (const rest of [anything(), nothing(), null, 'text']) {
        const keep = (statement: Statement) => found.set(`${statement.name} ${statement.text}`, statement)
        try {
          await value(recorder(keep), ...Array.from({ length: 8 }, () => rest))
        } catch {
          // Not one that takes a database, or one that goes on with the answer.
        }
      }
    }
  }
  const statements = [...found.values()]
  const missed = [...named].filter((name) => !statements.some((statement) => statement.name === name))
  return { statements, missed }
}

class Written {
  readonly strings: readonly string[]
  readonly values: unknown[]
  constructor(strings: readonly string[], values: unknown[]) {
    this.strings = strings
    this.values = values
  }
  cursor(): Readable {
    return Readable.from([])
  }
  text(from = { count: 0 }): string {
    return this.strings
      .map((string, index) => {
        if (index === this.strings.length - 1) return string
        const value = this.values[index]
        if (value instanceof Written) return string + value.text(from)
        from.count += 1
        return `${string}$${from.count}`
      })
      .join('')
  }
}

/** A database that keeps what it is asked: what stands in another text is a part of it, and no statement. */
function recorder(keep: (statement: Statement) => void): unknown {
  return {
    async run(name: string, work: (sql: unknown) => unknown) {
      const written: Written[] = []
      const texts = new Set<unknown>()
      const write = (strings: readonly string[], ...values: unknown[]) => {
        const one = new Written(strings, values)
        written.push(one)
        return one
      }
      const unsafe = (text: string) => {
        const one = write([text])
        texts.add(one)
        return one
      }
      let whole = false
      try {
        await work(Object.assign(write, { unsafe, json: (value: unknown) => value, array: (value: unknown) => value }))
        whole = true
      } finally {
        const parts = new Set(written.flatMap(({ values }) => values))
        // What was thrown in between may have left a text that was to be a part.
        for (const one of written) if (!parts.has(one) && (whole || !texts.has(one))) keep({ name, text: one.text() })
      }
      return [anything()]
    },
    batched: (statement: (db: unknown, questions: unknown[], options: object) => unknown, question: unknown) =>
      statement(recorder(keep), [question], {}),
  }
}

/** Whatever is asked of it, it has it. */
function anything(): unknown {
  const known: Record<PropertyKey, unknown> = {
    [Symbol.toPrimitive]: () => 1,
    *[Symbol.iterator]() {
      yield anything()
    },
    length: 1,
    map: (work: (one: unknown) => unknown) => [work(anything())],
    toJSON: () => 1,
    ownerId: 'owner', // is hashed, which takes nothing but text
    ...sealedTables[0],
  }
  return new Proxy(() => {}, {
    get: (_, property) => {
      if (property === 'then') return undefined // it is no promise
      return property in known ? known[property] : anything()
    },
    apply: () => anything(),
  })
}

/** Of which nothing is told: a filter that filters nothing. */
const nothing = (): unknown => new Proxy({}, { get: () => null })
