// Every operation of the OpenAPI description, asked wrongly in every way there is: never a 5xx, never a hang, never an echo,
// always a documented code.
import fc from 'fast-check'
import t from 'tap'
import { request } from 'undici'
import { failures } from '../../src/failures.ts'
import { startWorld } from '../world.ts'

interface Schema {
  $ref?: string
  type?: string
  properties?: Record<string, Schema>
  examples?: unknown[]
}
interface Operation {
  parameters?: { name: string; in: string; schema: Schema }[]
  requestBody?: { content: Record<string, { schema: Schema }> }
  responses: Record<string, { content?: Record<string, unknown> }>
  security?: unknown[]
}
interface Description {
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, Schema> }
}
interface Shot {
  method: string
  path: string
  headers: Record<string, string>
  body: Buffer | null
}

const runsPerOperation = Number(process.env.BAD_INPUTS_PER_OPERATION ?? 60)
/** Part of every bad value: it must never come back. */
const marker = 'zqxmarkerzqx'

const badText = fc.constantFrom(
  marker,
  `${marker}\u0000`,
  `${marker}\ud800`,
  `${marker}'; drop table accounts; --`,
  `<script>${marker}</script>`,
  `../../${marker}`,
  `%00${marker}%ff`,
  `${marker}${'x'.repeat(5000)}`,
  `\u202e${marker}\u0301\r\nset-cookie: ${marker}=1`,
  '',
)
const deep = Array.from({ length: 500 }).reduce<unknown>((inner) => ({ [marker]: [inner] }), marker)
const badValue: fc.Arbitrary<unknown> = fc.oneof(
  badText,
  fc.constantFrom<unknown>(null, true, -1, 0, 1e308, 2 ** 53, -0.5, [], {}, [marker], { [marker]: marker }, deep),
  fc.jsonValue({ maxDepth: 3 }),
)
const badKey = fc.constantFrom(
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  marker,
  '',
  'hasOwnProperty',
  'owner_id ',
  'OWNER_ID',
)
const contentTypes = fc.constantFrom(
  'application/json',
  'application/json; charset=utf-16',
  'text/plain',
  'application/xml',
  'multipart/form-data; boundary=x',
  'application/x-www-form-urlencoded',
  marker,
  '',
)

t.test('S40, S41, S59: no bad input gets a 5xx, an echo or an undocumented code', async (t) => {
  const world = await startWorld(t)
  const account = await world.connect()
  const { body: description } = await world.call<Description>('GET', '/openapi.json')
  const key = await world.key(
    'connect:write',
    'accounts:read',
    'accounts:write',
    'tokens:read',
    'quota:write',
    'owners:write',
    'events:read',
    'ops:read',
  )
  let asked = 0

  for (const [path, methods] of Object.entries(description.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      await t.test(`${method.toUpperCase()} ${path}`, async (t) => {
        const shots = shotsAt({ method: method.toUpperCase(), path, operation, description, accountId: account.id })
        await fc.assert(
          fc.asyncProperty(shots, async (shot) => {
            asked++
            await judge(shot, operation)
          }),
          { numRuns: runsPerOperation, seed: 20261122 },
        )
        t.pass(`${runsPerOperation} inputs`)
      })
    }
  }
  t.comment(`${asked} bad inputs were refused well`)

  async function judge(shot: Shot, operation: Operation): Promise<void> {
    const answer = await request(new URL(shot.path, world.app.url), {
      method: shot.method as 'GET',
      headers: { authorization: `Bearer ${key}`, ...shot.headers },
      body: shot.body,
      headersTimeout: 10_000,
      bodyTimeout: 10_000,
    })
    const text = await answer.body.text()
    const seen = `${shot.method} ${shot.path.slice(0, 200)} -> ${answer.statusCode} ${text.slice(0, 300)}`
    if (answer.statusCode >= 500) throw new Error(`a 5xx: ${seen}`)
    if (/problem\+json/.test(String(answer.headers['content-type']))) {
      if (text.includes(marker)) throw new Error(`an echo: ${seen}`)
      const { code, status } = JSON.parse(text) as { code: keyof typeof failures; status: number }
      if (!(code in failures) || failures[code].status !== status || status !== answer.statusCode)
        throw new Error(`an unknown code: ${seen}`)
      const documented = operation.responses[String(status)] !== undefined
      // What is wrong before a route is found cannot be documented at the route.
      if (!documented && !['route_not_found', 'validation_failed'].includes(code))
        throw new Error(`not documented at the operation: ${seen}`)
    } else if (answer.statusCode >= 400) {
      if (!/text\/html/.test(String(answer.headers['content-type'])))
        throw new Error(`a failure that is no problem+json: ${seen}`)
      if (text.includes(marker)) throw new Error(`an echo: ${seen}`)
    }
  }
})

function shotsAt(at: {
  method: string
  path: string
  operation: Operation
  description: Description
  accountId: string
}): fc.Arbitrary<Shot> {
  const { method, path, operation, description, accountId } = at
  const pathParameters = operation.parameters?.filter((parameter) => parameter.in === 'path') ?? []
  const queryParameters = operation.parameters?.filter((parameter) => parameter.in === 'query') ?? []
  const jsonSchema = operation.requestBody?.content['application/json']?.schema
  const example = jsonSchema ? exampleOf(description, jsonSchema) : undefined

  const goodPath = path.replace(/\{account_id\}/g, accountId).replace(/\{[^}]+\}/g, 'x')
  const badPath =
    pathParameters.length === 0
      ? fc.constant(goodPath)
      : badText.map((text) => path.replace(/\{[^}]+\}/g, encodeURIComponent(text.toWellFormed()) || 'x'))
  const query = fc
    .array(fc.tuple(fc.constantFrom(...queryParameters.map(({ name }) => name), 'unknown', '__proto__', 'a[b]'), badText), {
      maxLength: 4,
    })
    .map((pairs) =>
      pairs.map(([name, text]) => `${encodeURIComponent(name)}=${encodeURIComponent(text.toWellFormed())}`).join('&'),
    )
  const rawQuery = fc.constantFrom('%', '%zz', '&&&==', `=${marker}`, '%00', '\u00e9'.repeat(3).replace(/./g, '%ff'))
  const address = fc
    .tuple(fc.oneof(fc.constant(goodPath), badPath), fc.oneof(fc.constant(''), query, rawQuery))
    .map(([where, search]) => (search ? `${where}?${search}` : where))

  const body =
    method === 'GET' || method === 'HEAD'
      ? fc.constant<Buffer | null>(null)
      : fc.oneof(fc.constant<Buffer | null>(null), badBody(example))
  return fc
    .record({ path: address, body, type: contentTypes, encoding: fc.constantFrom('', 'gzip', marker) })
    .map(({ path, body, type, encoding }) => ({
      method,
      path,
      headers: {
        ...(body && type ? { 'content-type': type } : {}),
        ...(body && encoding ? { 'content-encoding': encoding } : {}),
        'idempotency-key': marker,
      },
      body,
    }))
}

function badBody(example: unknown): fc.Arbitrary<Buffer> {
  const fields = example && typeof example === 'object' ? Object.keys(example) : []
  const changed = fc
    .record({ field: fc.constantFrom(...fields, marker), value: badValue, extra: fc.option(badKey), missing: fc.boolean() })
    .map(({ field, value, extra, missing }) => {
      const entries = Object.entries({ ...(example as object), [field]: value }).filter(([name]) => !(missing && name === field))
      if (extra !== null) entries.push([extra, value])
      // By hand, because an object literal would swallow __proto__ and repeated names.
      return `{${entries.map(([name, inner]) => `${JSON.stringify(name)}:${JSON.stringify(inner)}`).join(',')}}`
    })
  const rubbish = fc.constantFrom(
    '',
    '{',
    '[]',
    'null',
    '"x"',
    '1',
    '{"a":1}{"b":2}',
    '\u0000',
    `{"${marker}":`,
    '[[[[',
    '{"owner_id":"a","owner_id":"b"}',
  )
  return fc.oneof(
    changed.map((text) => Buffer.from(text)),
    badValue.map((value) => Buffer.from(JSON.stringify(value) ?? 'undefined')),
    rubbish.map((text) => Buffer.from(text)),
    fc.constantFrom(
      Buffer.from([0xff, 0xfe, 0x00, 0x7b]),
      Buffer.from('{"owner_id":"\xff"}', 'latin1'),
      Buffer.alloc(20_000, 'x'),
      Buffer.from('['.repeat(8000)),
    ),
  )
}

function exampleOf(description: Description, schema: Schema): unknown {
  const resolved = schema.$ref ? description.components.schemas[schema.$ref.split('/').at(-1) ?? ''] : schema
  return resolved?.examples?.[0] ?? Object.fromEntries(Object.keys(resolved?.properties ?? {}).map((name) => [name, 'x']))
}
