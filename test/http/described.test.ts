// The failures that any operation may have, each asked of each: whatever answers is as the description says (test/described.ts looks at it).
import { readFileSync } from 'node:fs'
import t from 'tap'
import { ServiceError } from '../../src/errors.ts'
import { sendNotice } from '../rig/notice.ts'
import { startWorld, type World } from '../world.ts'

interface Schema {
  $ref?: string
  examples?: unknown[]
}
interface Operation {
  operationId: string
  security?: unknown[]
  parameters?: { name: string; in: string; required?: boolean }[]
  requestBody?: { content: Record<string, { schema: Schema }> }
  responses: Record<string, unknown>
}
const api = JSON.parse(readFileSync(new URL('../../openapi/openapi.json', import.meta.url), 'utf8')) as {
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, Schema> }
}
const operations = Object.entries(api.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ ...operation, path, method: method.toUpperCase() })),
)
const may = (status: number) => operations.filter(({ responses }) => String(status) in responses)

type Wish = { body?: string; headers?: Record<string, string> }

/** Asked well, but for what is wished otherwise. */
function ask(
  world: World,
  { path, method, parameters = [], requestBody, security }: (typeof operations)[number],
  wish: Wish = {},
) {
  const needed = parameters.filter((parameter) => parameter.required && parameter.in === 'query')
  const query = new URLSearchParams(Object.fromEntries(needed.map(({ name }) => [name, 'x'.repeat(43)])))
  const { schema } = requestBody?.content['application/json'] ?? {}
  const named = api.components.schemas[schema?.$ref?.split('/').at(-1) ?? ''] ?? schema
  const example = method === 'GET' ? undefined : named?.examples?.[0]
  return world.call<{ code?: string }>(
    method,
    `${path.replace(/\{\w+\}/g, 'unknown_1')}${needed.length > 0 ? `?${query}` : ''}`,
    {
      ...(example === undefined ? {} : { body: example }),
      ...wish,
      headers: { 'idempotency-key': 'one', ...wish.headers },
      ...(security?.length === 0 ? { key: null } : {}),
    },
  )
}

t.test('too large, of another type, too often', async (t) => {
  const world = await startWorld(t)
  for (const operation of may(413))
    t.equal((await ask(world, operation, { body: `{"a":"${'x'.repeat(70_000)}"}` })).status, 413, operation.operationId)
  for (const operation of may(415)) {
    const answer = await ask(world, operation, { body: '<a/>', headers: { 'content-type': 'application/xml' } })
    t.equal(answer.status, 415, operation.operationId)
  }
  const busy = await startWorld(t, { env: { RATE_LIMIT_PER_MINUTE: '1' } })
  for (const operation of may(429)) {
    if (operation.operationId === 'takeNotice') continue // counts forgeries only
    await ask(busy, operation)
    t.equal((await ask(busy, operation)).status, 429, operation.operationId)
  }
})

t.test('a fault of ours, and a database that is away', async (t) => {
  const world = await startWorld(t)
  const { db } = world.parts
  const { run } = db
  for (const [status, failure] of [
    [500, new Error('a fault')],
    [503, new ServiceError('storage_unavailable', 'The database cannot be reached.')],
  ] as const) {
    db.run = async () => Promise.reject(failure)
    for (const operation of may(status)) {
      const answer = await ask(world, operation)
      const asksNobody = operation.security?.length === 0 || operation.operationId === 'getMetrics'
      if (!asksNobody) t.equal(answer.status, status, operation.operationId)
      t.ok(String(answer.status) in operation.responses, operation.operationId)
    }
  }
  db.run = run
})

t.test('pages and notices: a fault of ours, a database that is away, a session that is over', async (t) => {
  const world = await startWorld(t)
  const { db } = world.parts
  const { publicUrl } = world.config
  const opened = await world.openSession({ account_type: undefined, age_confirmed: undefined })
  const person = world.browser()
  const address = String((await person.get(opened.connect_url)).headers.location)
  const form_token = /name="form_token" value="([^"]+)"/.exec((await person.get(address)).text)?.[1] ?? ''
  const post = () => person.post(`${publicUrl}/connect`, { form_token, account_type: 'creator', age_confirmed: 'yes' })
  const { run } = db
  for (const [status, failure] of [
    [500, new Error('a fault')],
    [503, new ServiceError('storage_unavailable', 'The database cannot be reached.')],
  ] as const) {
    db.run = async () => Promise.reject(failure)
    for (const answer of [
      await person.get(address),
      await post(),
      await person.get(`${publicUrl}/callback?state=${'x'.repeat(43)}`),
      await person.get(opened.authorize_url),
    ])
      t.equal(answer.status, status)
    t.equal((await sendNotice(world, {})).status, 503, 'whatever went wrong, TikTok sends it again')
    db.run = run
  }
  await world.timePasses(86_400)
  t.match(await post(), { status: 410, text: /session_expired/ })
})

t.test('the page of problems: a query, a prefetch, a fault of ours', async (t) => {
  const world = await startWorld(t)
  const ask = (path: string, headers: Record<string, string> = {}) => world.call('GET', path, { key: null, headers })
  t.equal((await ask('/docs/problems', { 'sec-purpose': 'prefetch' })).status, 503)
  const { brand } = world.config
  let asked = 0
  const get = () => {
    if (asked++ === 0) throw new Error('a fault')
    return brand
  }
  Object.defineProperty(world.config, 'brand', { get })
  t.equal((await ask('/docs/problems')).status, 500)
  t.equal((await ask('/docs/problems?page=2')).status, 200, 'nothing is read of what it is sent')
})
