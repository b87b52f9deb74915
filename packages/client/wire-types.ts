// Writes src/wire.ts from the service's OpenAPI document: every named schema, and for each operation of the JSON API its route, its
// parameters, its body and its answer. Names are turned to camelCase here, and src/names.ts does the same to the values.
import { toCamel } from './src/names.ts'

interface Schema {
  $ref?: string
  type?: string | string[]
  description?: string
  enum?: unknown[]
  const?: unknown
  properties?: Record<string, Schema>
  required?: string[]
  additionalProperties?: boolean | Schema
  items?: Schema
  anyOf?: Schema[]
  oneOf?: Schema[]
  allOf?: Schema[]
}
interface Parameter {
  name: string
  in: string
  required?: boolean
  description?: string
  schema: Schema
}
type Contents = Record<string, { schema?: Schema }>
interface Operation {
  operationId: string
  summary?: string
  tags?: string[]
  parameters?: Parameter[]
  requestBody?: { required?: boolean; content: Contents }
  responses: Record<string, { content?: Contents }>
}
export interface Document {
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, Schema> }
}

export interface SdkOperation {
  method: string
  path: string
  operation: Operation
}

/** What browsers, TikTok and probes call, as the document tags it. A client is for the rest. */
const notForClients = ['browser', 'tiktok', 'probes']

export function sdkOperations({ paths }: Document): SdkOperation[] {
  return Object.entries(paths)
    .flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => ({ method, path, operation })))
    .filter(({ operation }) => !operation.tags?.some((tag) => notForClients.includes(tag)))
}

/** @returns the text of src/wire.ts */
export function wireTypes(document: Document): string {
  const schemas = Object.entries(document.components.schemas).map(
    ([name, schema]) => `${comment(schema.description, '')}export type ${name} = ${typeOf(schema, '')}\n`,
  )
  const operations = sdkOperations(document)
  const routes = operations.map(
    ({ method, path, operation }) => `  ${operation.operationId}: '${method.toUpperCase()} ${path}',\n`,
  )
  return `// Made from openapi/openapi.json by \`npm run docs\`: do not edit.

/** No such part in the request. */
export type Nothing = undefined

${schemas.join('\n')}
export interface Operations {
${operations.map(({ operation }) => operationType(operation)).join('')}}

export const routes = {
${routes.join('')}} as const satisfies Record<keyof Operations, string>
`
}

function operationType({ operationId, summary, parameters = [], requestBody, responses }: Operation): string {
  const given = (place: string) => {
    const some = parameters.filter((parameter) => parameter.in === place)
    const fields = some.map(({ name, required, description, schema }) => ({
      name,
      required: required === true,
      schema: description === undefined ? schema : { ...schema, description },
    }))
    // A filter that is undefined by mistake would list everybody's: it has to be left out.
    return some.length === 0 ? 'Nothing' : objectType(fields, '    ').replaceAll(' | undefined\n', '\n')
  }
  const body = requestBody?.content['application/json']?.schema
  const answers = Object.entries(responses)
    .filter(([status]) => status.startsWith('2'))
    .map(([, { content }]) => content?.['application/json']?.schema)
    .map((schema) => (schema ? typeOf(schema, '    ') : 'Uint8Array'))
  return `${comment(summary, '  ')}  ${operationId}: {
    path: ${given('path')}
    query: ${given('query')}
    body: ${body ? typeOf(body, '    ') : 'Nothing'}
    answer: ${[...new Set(answers)].join(' | ')}
  }
`
}

function typeOf(schema: Schema, indent: string): string {
  const { $ref, type, properties, items, additionalProperties } = schema
  if ($ref !== undefined) return $ref.split('/').at(-1) ?? ''
  if (schema.const !== undefined) return literal(schema.const)
  if (schema.enum) return schema.enum.map(literal).join(' | ')
  const choice = schema.anyOf ?? schema.oneOf
  if (choice) return unionOf(choice.map((one) => typeOf(one, indent)))
  if (schema.allOf) return schema.allOf.map((one) => `(${typeOf(one, indent)})`).join(' & ')
  if (Array.isArray(type)) return unionOf(type.map((one) => typeOf({ ...schema, type: one }, indent)))
  switch (type) {
    case 'string':
    case 'boolean':
    case 'null':
      return type
    case 'integer':
    case 'number':
      return 'number'
    case 'array':
      return `(${items ? typeOf(items, indent) : 'unknown'})[]`
    case 'object': {
      const fields = Object.entries(properties ?? {})
      if (fields.length > 0) {
        return objectType(
          fields.map(([name, field]) => ({ name, required: schema.required?.includes(name) === true, schema: field })),
          indent,
        )
      }
      return `Record<string, ${typeof additionalProperties === 'object' ? typeOf(additionalProperties, indent) : 'unknown'}>`
    }
    case undefined:
      return 'unknown'
    default:
      throw new Error(`The document has a schema that src/wire.ts cannot be made of yet: ${JSON.stringify(schema)}`)
  }
}

function objectType(fields: { name: string; required: boolean; schema: Schema }[], indent: string): string {
  const inner = `${indent}  `
  const lines = fields.map(({ name, required, schema }) => {
    const key = /^\w+$/.test(toCamel(name)) ? toCamel(name) : `'${name}'`
    const type = typeOf(schema, inner)
    // Callers may hand on a variable that is undefined: it is left out, exactOptionalPropertyTypes or not.
    return `${comment(schema.description, inner)}${inner}${key}${required ? `: ${type}` : `?: ${unionOf([type, 'undefined'])}`}\n`
  })
  return `{\n${lines.join('')}${indent}}`
}

/** A list that may grow keeps its known words: an editor offers them, and any other string fits. */
function unionOf(types: string[]): string {
  const known = types.some((type) => type.includes("'"))
  return [...new Set(types.map((type) => (known && type === 'string' ? '(string & {})' : type)))].join(' | ')
}

const literal = (value: unknown) => (typeof value === 'string' ? `'${value.replaceAll("'", "\\'")}'` : JSON.stringify(value))

function comment(text: string | undefined, indent: string): string {
  if (!text) return ''
  const lines = text.replaceAll('*/', '* /').split('\n')
  return lines.length === 1
    ? `${indent}/** ${lines[0]} */\n`
    : `${indent}/**\n${lines.map((line) => `${indent} * ${line}`.trimEnd()).join('\n')}\n${indent} */\n`
}
