// The last hand on the description: what the generator cannot know, or says in a way that no reader of it would. It works on the finished
// document, so that routes stay schema, one call, answer.
import { eventTypes, nameOfEvent, ServiceEvent, typedEvents } from '../events/events.ts'
import type { FailureCode } from '../failures.ts'
import { exampleProblem } from './failures.ts'
import { headersOf, responseHeaders } from './response-headers.ts'
import { nameSchemasOnce, reachable } from './schema-names.ts'
import { shareResponses } from './shared-responses.ts'

export interface JsonSchema {
  $ref?: string
  type?: string | string[]
  const?: unknown
  enum?: unknown[]
  description?: string
  format?: string
  pattern?: string
  minimum?: number
  maximum?: number
  exclusiveMinimum?: number
  default?: unknown
  additionalProperties?: unknown
  propertyNames?: unknown
  properties?: Record<string, JsonSchema>
  required?: string[]
  items?: JsonSchema
  anyOf?: JsonSchema[]
  oneOf?: JsonSchema[]
  allOf?: JsonSchema[]
  discriminator?: { propertyName: string; mapping: Record<string, string> }
  examples?: unknown[]
}

type Content = Record<string, { schema?: JsonSchema; example?: unknown; examples?: Record<string, unknown> }>

interface Response {
  description: string
  content?: Content
  headers?: Record<string, unknown>
}

export interface Operation {
  operationId?: string
  tags?: string[]
  parameters?: { name?: string; in?: string; style?: string; explode?: boolean; required?: boolean; schema?: JsonSchema }[]
  requestBody?: { required?: boolean; content?: Content }
  responses?: Record<string, Response>
}

export interface Document {
  paths?: Record<string, Record<string, Operation>>
  webhooks?: Record<string, unknown>
  components?: { schemas?: Record<string, JsonSchema>; headers?: Record<string, unknown>; examples?: Record<string, unknown> }
}

/** What a route knows about itself and its schemas do not say. */
export interface RouteFacts {
  /** by status */
  codes: Record<string, readonly FailureCode[]>
  /** whether requests to it are counted, so that its answers say how many are left */
  isLimited: boolean
}

/**
 * @param factsOf by operation id
 * @param everywhere the codes that any operation may answer with
 */
export function finish<T extends object>(
  document: T,
  factsOf: (operationId: string) => RouteFacts | undefined,
  everywhere: readonly FailureCode[],
): T {
  const described = document as Document
  for (const operation of operationsOf(described)) {
    sayHowItIsSent(operation)
    const facts = factsOf(operation.operationId ?? '')
    for (const [status, response] of Object.entries(operation.responses ?? {})) {
      sayWhatItIs(response, described.components?.schemas ?? {})
      sayWhichFailures(response, facts?.codes[status] ?? [])
      response.headers = headersOf({ operation, status, isLimited: facts?.isLimited ?? false, codes: facts?.codes[status] ?? [] })
    }
  }
  described.webhooks = webhooks()
  Object.assign(described.components?.schemas ?? {}, { ServiceEvent: eventSchema() })
  const named = nameSchemasOnce(document) as T & Document
  const codes = new Set(
    operationsOf(named).flatMap(({ operationId = '' }) => Object.values(factsOf(operationId)?.codes ?? {}).flat()),
  )
  named.components = { ...named.components, headers: responseHeaders, examples: examplesOf([...codes].sort()) }
  const sent = operationsOf(named).map(({ requestBody }) => requestBody)
  const incoming = reachable(sent, named.components.schemas ?? {})
  for (const [name, schema] of Object.entries(named.components.schemas ?? {})) plainly(schema, named, incoming.has(name))
  for (const operation of operationsOf(named)) {
    for (const { schema } of operation.parameters ?? []) plainly(schema, named, true)
    for (const { schema } of Object.values(operation.requestBody?.content ?? {})) plainly(schema, named, true)
    for (const { content } of Object.values(operation.responses ?? {}))
      for (const { schema } of Object.values(content ?? {})) plainly(schema, named, false)
  }
  Object.assign(named.components, { responses: shareResponses(operationsOf(named), everywhere) })
  return named
}

const operationsOf = ({ paths }: Document): Operation[] => Object.values(paths ?? {}).flatMap((methods) => Object.values(methods))

/** A body that may be nothing need not be sent, and a list in a query has commas; the generator says neither. */
function sayHowItIsSent({ requestBody, parameters }: Operation): void {
  const json = requestBody?.content?.['application/json']
  const [body, nothing] = json?.schema?.anyOf ?? []
  if (requestBody && json && body && nothing?.type === 'null') {
    requestBody.required = false
    json.schema = body
  }
  // What is in the path first: it is required.
  parameters?.sort((one, other) => Number(other.in === 'path') - Number(one.in === 'path'))
  for (const parameter of parameters ?? []) {
    if (parameter.in === 'query' && parameter.schema?.type === 'array')
      Object.assign(parameter, { style: 'form', explode: false })
  }
}

/** An answer without words of its own is what its schema is. */
function sayWhatItIs(response: Response, schemas: Record<string, JsonSchema>): void {
  if (response.description !== 'Default Response') return
  const schema = response.content?.['application/json']?.schema
  const named = schemas[schema?.$ref?.slice(refTo('').length) ?? '']
  response.description = named?.description ?? schema?.description ?? 'Done'
}

/** The codes of a failed answer, each with an example of its own. */
function sayWhichFailures({ content }: Response, codes: readonly FailureCode[]): void {
  const problem = content?.['application/problem+json']
  if (!problem || codes.length === 0) return
  const code = { type: 'string', enum: [...codes], description: 'Which of the failures of this status it is' }
  problem.schema = {
    allOf: [problem.schema ?? {}, { type: 'object', properties: { code }, required: ['code'] }],
  }
  problem.examples = Object.fromEntries(codes.map((name) => [name, { $ref: `#/components/examples/${name}` }]))
}

const examplesOf = (codes: readonly FailureCode[]) =>
  Object.fromEntries(codes.map((code) => [code, { summary: exampleProblem(code).title, value: exampleProblem(code) }]))

/** One of the named events; which one, its `type` says. At run time a younger replica's are let through, too. */
function eventSchema(): JsonSchema {
  const { description = '' } = ServiceEvent.meta() ?? {}
  return { description, oneOf: eventTypes.map((type) => ({ $ref: refTo(nameOfEvent(type)) })) }
}

function webhooks(): Record<string, unknown> {
  return Object.fromEntries(
    eventTypes.map((type) => [
      type,
      {
        post: {
          operationId: `on${nameOfEvent(type)}`,
          tags: ['events'],
          summary: typedEvents[type].description,
          description:
            'Sent to each URL of `EVENT_WEBHOOKS`, signed as Standard Webhooks says. It may come more than once and out of order: keep the `id`s you have seen.',
          security: [],
          parameters: signatureHeaders,
          requestBody: { required: true, content: { 'application/json': { schema: { $ref: refTo(nameOfEvent(type)) } } } },
          responses: {
            '200': { description: 'You have it; any 2xx says so' },
            '410': {
              description:
                'You want no more of them: nothing is sent to this URL until its entry in `EVENT_WEBHOOKS` changes or an operator enables it, and then everything that was missed',
            },
            '503': {
              description:
                'Later, please: so says any other status, a redirect or silence. There are ten attempts in three days, more and more seldom and not before a `Retry-After` in seconds',
            },
          },
        },
      },
    ]),
  )
}

const signatureHeaders = [
  ['webhook-id', 'The id of the event, the same over all deliveries', 'evt_5f0c3b1e8d2a4f6b9c7d0e1f2a3b4c5d'],
  [
    'webhook-timestamp',
    'Seconds since 1970 when this delivery was sent; refuse what is more than five minutes off',
    '1795348800',
  ],
  [
    'webhook-signature',
    'HMAC-SHA256 over `id.timestamp.body`, one `v1,BASE64` for each live secret with a space between them',
    'v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=',
  ],
].map(([name, description, example]) => ({
  name,
  in: 'header',
  required: true,
  description,
  schema: { type: 'string' },
  example,
}))

const refTo = (name: string) => `#/components/schemas/${name}`

/** Says a schema as people would: no bounds that are only JavaScript's, no patterns that a format says, null as a type, one word per variant. */
function plainly(schema: JsonSchema | undefined, document: Document, isIncoming: boolean): void {
  if (!schema) return
  if (schema.format === 'date-time') delete schema.pattern
  if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum
  // Closed for what comes in, open for what goes out: a field that is new breaks nobody who was told so.
  if (!isIncoming && schema.additionalProperties === false) delete schema.additionalProperties
  for (const part of partsOf(schema)) plainly(part, document, isIncoming)
  joinNull(schema)
  sayWhatTellsApart(schema, document)
}

function partsOf({ properties, items, anyOf, oneOf, allOf, additionalProperties }: JsonSchema): JsonSchema[] {
  const rest =
    typeof additionalProperties === 'object' && additionalProperties !== null ? [additionalProperties as JsonSchema] : []
  return [
    ...Object.values(properties ?? {}),
    ...(items ? [items] : []),
    ...(anyOf ?? []),
    ...(oneOf ?? []),
    ...(allOf ?? []),
    ...rest,
  ]
}

/** `anyOf: [x, null]` is `type: [x, null]`, or one more of the choices that x is, unless x is a schema with a name. */
function joinNull(schema: JsonSchema): void {
  const [one, nothing, ...more] = schema.anyOf ?? []
  if (!one || nothing?.type !== 'null' || more.length > 0) return
  if (one.anyOf) Object.assign(schema, { ...one, ...schema, anyOf: [...one.anyOf, nothing] })
  if (typeof one.type !== 'string') return
  delete schema.anyOf
  Object.assign(schema, { ...one, ...schema, type: [one.type, 'null'] }, one.enum ? { enum: [...one.enum, null] } : {})
}

/** Variants that a constant tells apart have it named, so that generated code narrows on it. */
function sayWhatTellsApart(schema: JsonSchema, { components }: Document): void {
  const refs = (schema.oneOf ?? schema.anyOf ?? []).map(({ $ref }) => $ref)
  if (refs.length < 2 || schema.discriminator) return
  const variants = refs.map((ref) => components?.schemas?.[ref?.slice(refTo('').length) ?? '']?.properties ?? {})
  const propertyName = Object.keys(variants[0] ?? {}).find((name) =>
    variants.every((variant) => variant[name]?.const !== undefined),
  )
  if (propertyName === undefined) return
  const mapping = Object.fromEntries(variants.map((variant, index) => [String(variant[propertyName]?.const), refs[index] ?? '']))
  schema.oneOf = schema.oneOf ?? schema.anyOf ?? []
  delete schema.anyOf
  schema.discriminator = { propertyName, mapping }
}
