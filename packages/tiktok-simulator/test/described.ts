/** Holds what `/_sim` takes and answers to its own description: the route, the status, every field there is. */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import { describeControl } from '../src/control-description.ts'

interface Content {
  content: Record<string, { schema: object }>
}
export interface Operation {
  parameters: { name: string; in: string }[]
  requestBody?: Content
  responses: Record<string, Content>
}

export const description = describeControl('http://127.0.0.1:4500')
export const operations = Object.entries(description.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({
    method: method.toUpperCase(),
    path,
    operation: operation as Operation,
  })),
)

// Schemas of answers are closed and name formats; `default` and the like are for readers.
const ajv = formats.default(new Ajv2020({ strict: false, allErrors: true }))
ajv.addSchema({ ...description, $id: 'control' })
const validators = new Map<object, ValidateFunction>()

/** @throws Error that names what is not as described. An answer that says no may be to a request that is not. */
export function holdToDescription(method: string, path: string, answer: { status: number; body: unknown }, sent?: object): void {
  if (answer.status === 404 && /^apps\/[^/]+\//.test(path)) return // perhaps there is no such app
  const [place = '', query = ''] = `/_sim/${path.replace(/^apps\/[^/]+\/(?=.)/, '')}`.split('?')
  const operation = operationOf(method, place)
  if (!operation) {
    if (answer.status !== 404) throw new Error(`${method} ${place} is answered with ${answer.status} and not described`)
    return
  }
  const wrong: string[] = []
  const response = operation.responses[answer.status]
  const isText = response && !('application/json' in response.content)
  if (response) wrong.push(...(isText ? [] : misfits(response, answer.body)))
  else wrong.push('the status is not described')
  if (answer.status < 300) {
    const known = operation.parameters.filter((parameter) => parameter.in === 'query').map(({ name }) => name)
    for (const name of new URLSearchParams(query).keys()) if (!known.includes(name)) wrong.push(`?${name} is not described`)
    if (sent && !operation.requestBody) wrong.push('a body is not described')
    else if (sent && operation.requestBody) wrong.push(...misfits(operation.requestBody, sent))
  }
  if (wrong.length > 0) throw new Error(`${method} ${place} ${answer.status} is not as described: ${wrong.join('; ')}`)
}

export function operationOf(method: string, place: string): Operation | undefined {
  const fitting = operations.filter((one) => new RegExp(`^${one.path.replace('{id}', '[^/]+')}$`).test(place))
  const exact = fitting.find((one) => one.path === place && one.method === method)
  return (exact ?? fitting.find((one) => one.method === method))?.operation
}

function misfits({ content }: Content, value: unknown): string[] {
  const [schema] = Object.values(content).map((one) => one.schema)
  if (!schema) return ['there is nothing to be']
  const validate = validators.get(schema) ?? ajv.compile(JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"control#/')))
  validators.set(schema, validate)
  return validate(value)
    ? []
    : (validate.errors ?? []).map(({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`)
}
