// Every answer that a test gets is held to the description: its status, its headers, its type and its body. What no operation describes, such as
// the documentation's own files, passes.
import { readFileSync } from 'node:fs'
import { Ajv2020, type AnySchema, type ValidateFunction } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'

interface Response {
  $ref?: string
  headers?: Record<string, { $ref: string }>
  content?: Record<string, object>
}
interface Description {
  paths: Record<string, Record<string, { responses: Record<string, Response> }>>
  components: {
    schemas: Record<string, Record<string, unknown>>
    responses: Record<string, Response>
    headers: Record<string, { required?: boolean; schema: AnySchema }>
  }
}

export interface LiveAnswer {
  status: number
  headers: Record<string, string | string[] | undefined>
  text: string
}

/** Read when the first answer comes. */
let open: ReturnType<typeof openDescription> | undefined

/** @throws Error that names everything which is not as described */
export function holdToDescription(method: string, url: string, answer: LiveAnswer): void {
  const wrong = deviations(method, url, answer)
  if (wrong.length > 0) throw new Error(`an answer is not as openapi/openapi.json describes it: ${wrong.join('; ')}`)
}

function deviations(method: string, url: string, answer: LiveAnswer): string[] {
  open ??= openDescription()
  const { operationOf, headers: known, validate } = open
  const found = operationOf(method, url.split('?')[0] ?? '')
  if (!found) return []
  const { pointer, responses, refused } = found
  const place = `${method} ${pointer.template} ${answer.status}`
  if (refused) return answer.status === 405 || answer.status === 404 ? [] : [`${place}: a method that is not described`]
  // A HEAD that would take something ends early, as described in docs/versioning.md and not in the document.
  if (method === 'HEAD' && answer.status === 200) return []
  const response = responses[String(answer.status)]
  if (!response) return [`${place}: the status is not described: ${answer.text.slice(0, 300)}`]
  const wrong: string[] = []

  for (const [name, { required, schema }] of Object.entries(known)) {
    const value = answer.headers[name.toLowerCase()]
    const isNamed = response.headers?.[name] !== undefined
    if (isNamed && required && value === undefined) wrong.push(`${place}: ${name} is missing`)
    if (!isNamed && value !== undefined) wrong.push(`${place}: ${name} is not described`)
    if (!isNamed || value === undefined) continue
    const told = (schema as { type: string }).type === 'integer' ? Number(value) : value
    const misfit = validate(`#/components/headers/${escaped(name)}/schema`, told)
    if (misfit) wrong.push(`${place}: ${name}: ${misfit}`)
  }

  const type = String(answer.headers['content-type'] ?? '').split(';')[0] ?? ''
  const types = Object.keys(response.content ?? {})
  if (method === 'HEAD') return wrong
  if (types.length === 0 ? answer.text !== '' : !types.includes(type)) return [...wrong, `${place}: its type is ${type}`]
  if (!/json$/.test(type)) return wrong
  const where = response.$ref ?? `#/paths/${escaped(pointer.template)}/${pointer.method}/responses/${answer.status}`
  const misfit = validate(`${where}/content/${escaped(type)}/schema`, JSON.parse(answer.text))
  return misfit ? [...wrong, `${place}: ${misfit}`] : wrong
}

const escaped = (part: string) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))

function openDescription() {
  const description = JSON.parse(readFileSync(new URL('../openapi/openapi.json', import.meta.url), 'utf8')) as Description
  const { paths, components } = description
  // Answers are open for what comes later; what is there today is described.
  for (const schema of Object.values(components.schemas)) if (schema.properties) schema.unevaluatedProperties = false
  // The description itself is checked elsewhere, and what is compiled here is used a few times only.
  const hasty = { meta: false, validateSchema: false, inlineRefs: false, code: { optimize: false } }
  const ajv = new Ajv2020({ strict: false, allErrors: false, validateFormats: true, ...hasty })
  formats.default(ajv)
  ajv.addSchema(description as unknown as AnySchema, 'description')
  const compiled = new Map<string, ValidateFunction>()

  const templates = Object.entries(paths).map(([template, methods]) => ({
    template,
    methods,
    fits: new RegExp(`^${template.replaceAll('.', '\\.').replace(/\{\w+\}/g, '[^/]+')}$`),
    parameters: template.split('{').length,
  }))
  templates.sort((one, other) => one.parameters - other.parameters)

  return {
    headers: components.headers,
    operationOf(method: string, path: string) {
      const match = templates.find(({ fits }) => fits.test(path))
      if (!match) return undefined
      const name = method === 'HEAD' ? 'get' : method.toLowerCase()
      const operation = match.methods[name]
      const pointer = { template: match.template, method: name }
      const responses = Object.entries(operation?.responses ?? {}).map(([status, response]) => {
        const shared = components.responses[response.$ref?.split('/').at(-1) ?? '']
        return [status, { ...shared, ...response }] as const
      })
      return { pointer, responses: Object.fromEntries(responses), refused: operation === undefined }
    },
    /** @returns what does not fit, undefined when all does */
    validate(pointer: string, value: unknown): string | undefined {
      const check = compiled.get(pointer) ?? ajv.compile({ $ref: `description${pointer}` })
      compiled.set(pointer, check)
      if (check(value)) return undefined
      return `${ajv.errorsText(check.errors?.slice(-3))} ${JSON.stringify(check.errors?.at(-1)?.params)}`
    },
  }
}
