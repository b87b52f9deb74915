// The description: valid, whole, and the same as the file that callers generate their clients from.
import { readFileSync } from 'node:fs'
import t from 'tap'
import type { Account } from '../../src/account/account.ts'
import { type FailureCode, failures } from '../../src/failures.ts'
import { asFile } from '../../src/http/openapi.ts'
import { eventually } from '../rig/eventually.ts'
import { startWorld } from '../world.ts'

interface Schema {
  $ref?: string
  description?: string
  items?: Schema
  anyOf?: Schema[]
  allOf?: Schema[]
  type?: string
  examples?: unknown[]
  example?: unknown
  properties?: Record<string, Schema>
  const?: unknown
  enum?: unknown[]
  oneOf?: Schema[]
  discriminator?: { propertyName: string; mapping: Record<string, string> }
}
type Content = Record<string, { schema?: Schema; examples?: object; example?: unknown }>
interface Operation {
  operationId?: string
  summary?: string
  description?: string
  tags?: string[]
  security?: unknown[]
  parameters?: { name: string; in: string; required?: boolean; description?: string; schema: Schema }[]
  requestBody?: { required?: boolean; content: Content }
  responses: Record<string, Answer>
}
interface Answer {
  $ref?: string
  description?: string
  content?: Content
  headers?: object
}
interface Description {
  openapi: string
  info: { title: string; version: string }
  servers: { url: string }[]
  tags: { name: string }[]
  paths: Record<string, Record<string, Operation>>
  webhooks: Record<string, unknown>
  components: {
    schemas: Record<string, Schema>
    securitySchemes: Record<string, unknown>
    examples: Record<string, unknown>
    responses: Record<string, Answer>
  }
}

const world = await startWorld(t)
const { body: api } = await world.call<Description>('GET', '/openapi.json', { key: null })
const operations = Object.entries(api.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => {
    const responses = Object.entries(operation.responses).map(([status, answer]) => [status, whole(answer)] as const)
    const described = { ...operation, responses: Object.fromEntries(responses) }
    return { name: `${method.toUpperCase()} ${path}`, path, method, operation: described }
  }),
)

/** An answer that several operations share stands among the components. */
function whole(answer: Answer): Answer {
  return api.components.responses[answer.$ref?.split('/').at(-1) ?? ''] ?? answer
}

t.test('it is OpenAPI 3.1 with everything it refers to', async (t) => {
  t.match(api.openapi, /^3\.1\.\d+$/)
  t.ok(api.info.title && api.info.version && api.servers.length > 0)
  t.ok(operations.length > 25)
  const named = new Set([...JSON.stringify(api).matchAll(/"#\/components\/(\w+\/[^"]+)"/g)].map(([, name = '']) => name))
  t.ok(named.size > 50)
  for (const name of named) {
    const [kind = '', part = ''] = name.split('/')
    t.ok((api.components as unknown as Record<string, Record<string, unknown>>)[kind]?.[part], `${name} is there`)
  }

  for (const { name, path, operation } of operations) {
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter)
    const described = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path')
    t.same(described.map((parameter) => parameter.name).sort(), inPath.sort(), `${name} describes its path`)
    t.ok(
      described.every(({ required }) => required),
      `${name}: what is in the path is required`,
    )
    t.ok(Object.keys(operation.responses).every((status) => /^[1-5]\d\d$/.test(status)))
    t.ok(
      Object.values(operation.responses).every(({ description }) => description),
      `${name} describes each answer`,
    )
  }
})

t.test('the committed file is what the service says; `npm run openapi` writes it', async (t) => {
  const file = readFileSync(new URL('../../openapi/openapi.json', import.meta.url), 'utf8')
  t.ok(asFile(world.app.server.swagger()) === file, 'run `npm run openapi` and commit the file')
})

t.test('every operation has a name, a summary, and a tag that is explained', async (t) => {
  const ids = operations.map(({ operation }) => operation.operationId)
  t.equal(new Set(ids).size, operations.length, 'names are there and differ')
  const tags = new Set(api.tags.map(({ name }) => name))
  for (const { name, operation } of operations) {
    t.match(operation.operationId, /^[a-z][A-Za-z]+$/, name)
    t.ok(operation.summary, `${name} has a summary`)
    t.ok(operation.tags?.length === 1 && tags.has(operation.tags[0] ?? ''), `${name} has a tag`)
  }
})

t.test('every JSON body and every JSON answer has an example', async (t) => {
  for (const { name, operation } of operations) {
    const bodies = operation.requestBody?.content['application/json']
    if (bodies) t.ok(hasExample(bodies), `${name}: its body`)
    for (const [status, { content }] of Object.entries(operation.responses)) {
      const json = content?.['application/json']
      if (json) t.ok(hasExample(json), `${name}: its ${status}`)
    }
  }
})

t.test('what must be sent is required, what may be left out is not, and neither is said in words of our own', async (t) => {
  const reserve = operations.find(({ operation }) => operation.operationId === 'reserveUpload')?.operation
  t.match(
    reserve?.parameters?.find(({ name }) => name === 'idempotency-key'),
    { in: 'header' },
  )
  t.equal(reserve?.requestBody?.required, false)
  for (const { name, path, method, operation } of operations) {
    if (operation.security?.length === 0) continue
    const call = (options: Parameters<typeof world.call>[2]) =>
      world.call(method.toUpperCase(), path.replace(/\{\w+\}/g, 'unknown_1'), options)
    const inHeader = (operation.parameters ?? []).filter((parameter) => parameter.in === 'header')
    const headers = Object.fromEntries(inHeader.map((parameter) => [parameter.name, 'example-1']))
    for (const { name: left, required } of inHeader) {
      if (left === 'idempotency-key') continue // it may stand in the body instead
      const { [left]: _, ...others } = headers
      t.equal((await call({ headers: others })).status === 400, required === true, `${name} without ${left}`)
    }
    if (operation.requestBody)
      t.equal((await call({ headers })).status === 400, operation.requestBody.required === true, `${name} without a body`)
  }
  t.notMatch(JSON.stringify(api), /"x-(?!request-id|ratelimit)/)
})

t.test('every operation names all its failures, with codes that exist and fit their status', async (t) => {
  for (const { name, method, operation } of operations) {
    const open = operation.security?.length === 0
    const named: FailureCode[] = []
    for (const [status, { description = '', content = {} }] of Object.entries(operation.responses)) {
      const codes = [...description.matchAll(/`(\w+)`/g)].map(([, code]) => code as FailureCode)
      if (Number(status) < 400 || content['application/json']) continue
      t.ok(codes.length > 0, `${name}: the codes of ${status}`)
      for (const code of codes) t.equal(failures[code]?.status, Number(status), `${name}: ${code}`)
      t.ok(content['application/problem+json'] || content['text/html'], `${name}: the shape of ${status}`)
      named.push(...codes)
    }
    if (open) continue
    for (const code of [
      'validation_failed',
      'unauthenticated',
      'insufficient_scope',
      'rate_limited',
      'internal_error',
      'storage_unavailable',
      'overloaded',
      'keyring_mismatch',
    ] as const)
      t.ok(named.includes(code), `${name} names ${code}`)
    if (operation.requestBody && method !== 'get')
      for (const code of ['invalid_json', 'payload_too_large', 'unsupported_media_type'] as const)
        t.ok(named.includes(code), `${name} names ${code}`)
    t.match(operation.description, /Scope: `[a-z]+:(read|write)`/, `${name} says who may`)
  }
})

t.test('what it shows as an example of a body is taken by the route', async (t) => {
  for (const { name, path, method, operation } of operations) {
    const schema = resolve(operation.requestBody?.content['application/json']?.schema)
    const example = schema?.examples?.[0]
    if (example === undefined || operation.security?.length === 0) continue
    const answer = await world.call<{ code?: string; detail?: string }>(
      method.toUpperCase(),
      path.replace(/\{\w+\}/g, 'unknown_1'),
      {
        body: example,
        headers: { 'idempotency-key': 'example-1' },
      },
    )
    t.not(answer.body.code, 'validation_failed', `${name}: ${answer.body.detail}`)
  }
})

t.test('an account as it is served has the fields that are described', async (t) => {
  const account = await world.connect()
  const described = Object.keys(api.components.schemas.Account?.properties ?? {})
  t.same(Object.keys(account).sort(), described.sort())
  const vended = await world.call('GET', `/accounts/${account.id}/token`)
  for (const field of Object.keys(vended.body)) t.ok(api.components.schemas.VendedToken?.properties?.[field], field)
})

t.test('the account of the example is one that could be served', async (t) => {
  const example = api.components.schemas.Account?.examples?.[0] as Account
  const served = await world.connect({ person: 'jonas', decline: example.missing_scopes })
  t.same(served.scopes.sort(), example.scopes.sort())
  t.same(served.missing_scopes, example.missing_scopes)
  t.same(served.profile.unavailable, example.profile.unavailable)
  t.same([served.health.verdict, served.health.reasons], [example.health.verdict, example.health.reasons])
})

t.test('S11: the page at /docs renders for everybody, from this service alone', async (t) => {
  let page = await world.call<string>('GET', '/docs', { key: null })
  if (page.status === 302) page = await world.call<string>('GET', String(page.headers.location), { key: null })
  t.equal(page.status, 200)
  t.match(page.headers['content-type'], /^text\/html/)
  t.match(page.headers['content-security-policy'], /default-src 'self'/)
  const files = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, file = '']) => file)
  t.ok(files.length >= 4)
  for (const file of files) {
    t.notMatch(file, /^(https?:)?\/\//)
    const url = new URL(file, new URL('/docs/', world.app.url))
    t.equal((await world.call('GET', url.pathname, { key: null })).status, 200, url.pathname)
  }
  t.same((await world.call('GET', '/docs/json', { key: null })).body, api)
})

t.test('it says nothing that only its generator knows, and is open for what goes out', (t) => {
  const text = JSON.stringify(api)
  t.notMatch(text, /9007199254740991|Default Response|"format":"date-time","pattern"/)
  for (const path of Object.keys(api.paths)) t.notMatch(path, /\{[^}]*[A-Z]/, path)
  for (const name of ['Account', 'Upload', 'Problem', 'VendedToken', 'AccountConnectedEvent'])
    t.notOk('additionalProperties' in (api.components.schemas[name] ?? {}), `${name} is open`)
  t.match(api.components.schemas.CommitUpload, { additionalProperties: false }, 'what comes in is closed')
  t.match(api.components.schemas.Account?.properties?.label, { type: ['string', 'null'] })
  t.end()
})

t.test('every field and parameter is described, and every shape inside a shape has a name', (t) => {
  const undescribed: string[] = []
  const nameless: string[] = []
  const look = (schema: Schema, place: string) => {
    for (const [field, part] of Object.entries(schema.properties ?? {})) {
      const [own, referred] = [part.description, resolve(part)?.description]
      if (!own && !referred) undescribed.push(`${place}.${field}`)
      if ([part, part.items, ...(part.anyOf ?? [])].some((shape) => shape?.properties)) nameless.push(`${place}.${field}`)
      look(part, `${place}.${field}`)
    }
    for (const part of [schema.items ?? [], schema.anyOf ?? [], schema.oneOf ?? [], schema.allOf ?? []].flat()) look(part, place)
  }
  for (const [name, schema] of Object.entries(api.components.schemas)) look(schema, name)
  for (const { name, operation } of operations) {
    for (const { name: parameter, description } of operation.parameters ?? [])
      if (!description) undescribed.push(`${name} ${parameter}`)
    for (const { content } of Object.values(operation.responses))
      for (const { schema } of Object.values(content ?? {})) if (schema) look(schema, name)
  }
  t.same(undescribed, [])
  t.same(nameless, [])
  t.end()
})

t.test('a list of codes that may grow names those there are, and lets others pass', (t) => {
  const lists: [schema: string, field: string, one: string][] = [
    ['Account', 'status_reason', 'removed_by_user'],
    ['HealthReason', 'code', 'scope_not_granted'],
    ['UploadBlocker', 'code', 'upload_quota_exhausted'],
    ['UploadQuota', 'closed_by', 'spam_risk_too_many_posts'],
    ['TimelineEntry', 'kind', 'connected'],
    ['AccountDisconnectedEventData', 'reason', 'removed_by_user'],
    ['AccountReauthorizationRequiredEventData', 'reason', 'refresh_token_rejected'],
  ]
  for (const [schema, field, one] of lists) {
    const { anyOf = [], description } = api.components.schemas[schema]?.properties?.[field] ?? {}
    t.ok(anyOf[0]?.enum?.includes(one), `${schema}.${field}`)
    t.match(anyOf[1], { type: 'string', enum: undefined })
    t.match(description, /More may come/)
  }
  t.end()
})

t.test('what browsers, TikTok and probes call is tagged so that a client leaves it out', (t) => {
  for (const { name, operation } of operations)
    t.equal(
      ['browser', 'tiktok', 'probes'].includes(operation.tags?.[0] ?? ''),
      operation.security?.length === 0 || operation.operationId === 'getMetrics',
      name,
    )
  t.end()
})

t.test('each failed answer has its own codes and an example of each', (t) => {
  for (const { name, operation } of operations)
    for (const [status, { description = '', content }] of Object.entries(operation.responses)) {
      const problem = content?.['application/problem+json']
      if (!problem) continue
      const named = [...description.matchAll(/`(\w+)`/g)].map(([, code]) => code ?? '')
      t.match(problem, { schema: { allOf: [{}, { properties: { code: { enum: named } } }] } }, `${name} ${status}`)
      t.same(Object.keys(problem.examples ?? {}), named)
      for (const code of named)
        t.match(api.components.examples[code], {
          value: { code, status: Number(status), type: new RegExp(`^https://.*#${code}$`) },
        })
    }
  t.end()
})

t.test('events narrow on their type, and each is a webhook', (t) => {
  const { oneOf = [], discriminator } = api.components.schemas.ServiceEvent ?? {}
  t.ok(oneOf.length >= 7)
  t.match(discriminator, { propertyName: 'type', mapping: { 'account.connected': '#/components/schemas/AccountConnectedEvent' } })
  t.same(Object.keys(api.webhooks).sort(), Object.keys(discriminator?.mapping ?? {}).sort())
  t.same(Object.values(discriminator?.mapping ?? {}).sort(), oneOf.map(({ $ref }) => $ref).sort())
  t.end()
})

t.test('answers have the headers that are described, and say what is wrong with a key', async (t) => {
  const challenge = async (key: string | null) => (await world.call('GET', '/accounts', { key })).headers['www-authenticate']
  t.match(await challenge(null), /^Bearer realm="[^"]+"$/)
  t.match(await challenge('ttk_wrong'), /^Bearer .*error="invalid_token"$/)
  t.match(await challenge(await world.key('events:read')), /error="insufficient_scope", scope="accounts:read"$/)
  for (const path of ['/accounts', '/accounts/acc_unknown', '/health/live', '/nowhere', '/%zz', '/connect']) {
    const { headers } = await world.call('GET', path)
    t.match(headers, { 'x-request-id': /^req_/, 'api-version': api.info.version }, path)
  }
  const { headers } = await world.call('GET', '/accounts')
  const described = api.paths['/accounts']?.get?.responses['200']?.headers ?? {}
  for (const name of Object.keys(described)) t.ok(headers[name.toLowerCase()], name)
})

t.test("a caller's own names of a request are logged beside ours, if they are names", async (t) => {
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
  const ask = async (headers: Record<string, string>) => {
    const answer = await world.call('GET', '/accounts', { headers })
    const line = () =>
      world.logged().match(new RegExp(`.*"requestId":"${answer.headers['x-request-id']}".*request answered.*`))?.[0]
    await eventually('it is logged', () => line() !== undefined)
    return JSON.parse(line() ?? '')
  }
  const refusedOf = async (key: string) => {
    await world.call('GET', '/accounts', { key, headers: { 'x-request-id': 'refused-1' } })
    return [...world.logged().matchAll(/.*"scope was missing".*/g)].map(([text]) => JSON.parse(text)).slice(-1)
  }
  const named = await ask({ 'x-request-id': 'Root=1-5f0c:a/b', traceparent: `00-${traceId}-00f067aa0ba902b7-01` })
  t.match(named, { callersRequestId: 'Root=1-5f0c:a/b', callersTraceId: traceId })
  t.not(named.requestId, named.callersRequestId)
  const [line] = await refusedOf(await world.key('events:read'))
  t.match(line, { callersRequestId: 'refused-1', outcome: 'refused' }, 'in each line that has ours')
  const wrong = [
    'x'.repeat(129),
    'a b',
    'a"b',
    'ttk_0123456789',
    'Bearer:ttk_01',
    'act.example',
    'rft.example',
    'eyJhbGciOi.eyJzdWIi.sig',
    '',
  ]
  for (const id of wrong) {
    const line = await ask({ 'x-request-id': id, traceparent: `00-${traceId.slice(1)}-00f067aa0ba902b7-01` })
    t.notOk('callersRequestId' in line || 'callersTraceId' in line, id)
  }
})

t.test('a reservation carries its key in the header or in the body, and not two', async (t) => {
  const account = await world.connect()
  const reserve = (body: object, headers?: Record<string, string>) =>
    world.call('POST', `/accounts/${account.id}/uploads`, headers ? { body, headers } : { body })
  t.match(await reserve({ idempotency_key: 'one' }), {
    status: 201,
    headers: { location: /^\/accounts\/acc_\w+\/uploads\/upl_\w+$/ },
  })
  t.match(await reserve({}, { 'idempotency-key': 'one' }), { status: 200, headers: { 'idempotency-replayed': 'true' } })
  t.equal((await reserve({ idempotency_key: 'one' }, { 'idempotency-key': 'one' })).status, 200)
  t.match(await reserve({ idempotency_key: 'two' }, { 'idempotency-key': 'one' }), {
    status: 400,
    body: { code: 'validation_failed' },
  })
  t.match(await reserve({}), { status: 400, body: { code: 'idempotency_key_required' } })
})

function resolve(schema: Schema | undefined): Schema | undefined {
  return schema?.$ref ? api.components.schemas[schema.$ref.split('/').at(-1) ?? ''] : schema
}

/** Its own, or one for each of its parts; a value that can only be one thing is its own example. */
function hasExample({ schema, example, examples }: Content[string]): boolean {
  if (example !== undefined || examples !== undefined) return true
  const whole = resolve(schema)
  if (!whole) return false
  if (whole.examples?.length || whole.example !== undefined || whole.const !== undefined) return true
  const parts = Object.values(whole.properties ?? {})
  return (
    parts.length > 0 &&
    parts.every(
      (part) =>
        hasExample({ schema: part }) || resolve((part as { items?: Schema }).items)?.examples !== undefined || isPlain(part),
    )
  )
}

const isPlain = ({ type, $ref }: Schema) => $ref === undefined && type !== 'object' && type !== 'array'

t.test(
  'every answer says nosniff, and by https HSTS; the documentation can be switched off; security.txt says whom to tell',
  async (t) => {
    const paths = [
      '/health/live',
      '/docs',
      '/docs/',
      '/docs/static/index.html',
      '/openapi.json',
      '/accounts',
      '/nowhere',
      '/%zz',
      '/connect',
      '/callback',
      '/docs/problems',
    ]
    const plain = await startWorld(t)
    const secure = await startWorld(t, {
      env: {
        PUBLIC_URL: 'https://oauth.example.com',
        DOCS: 'off',
        SECURITY_CONTACT: 'mailto:security@example.com,https://example.com/report',
      },
    })
    for (const path of paths) {
      const [here, there] = [await plain.call('GET', path, { key: null }), await secure.call('GET', path, { key: null })]
      t.match(here.headers, { 'x-content-type-options': 'nosniff', 'strict-transport-security': undefined }, path)
      t.match(there.headers, { 'x-content-type-options': 'nosniff', 'strict-transport-security': /max-age=/ }, path)
    }
    t.match((await plain.call('GET', '/docs/', { key: null })).headers, {
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
      'content-security-policy': String,
    })
    for (const path of ['/docs', '/docs/', '/docs/json', '/docs/static/index.html', '/openapi.json'])
      t.equal((await secure.call('GET', path, { key: null })).status, 404, path)
    t.equal((await secure.call('GET', '/docs/problems', { key: null })).status, 200, 'where `type` points stays')
    const told = await secure.call('GET', '/.well-known/security.txt', { key: null })
    t.match(told, { status: 200, headers: { 'content-type': /^text\/plain/ } })
    t.match(
      told.text,
      /^Contact: mailto:security@example.com\nContact: https:\/\/example.com\/report\nExpires: 20\d\d-.+Z\nCanonical: https:\/\/oauth.example.com\//,
    )
    t.equal((await plain.call('GET', '/.well-known/security.txt', { key: null })).status, 404)
  },
)
