// /_sim/openapi.json and the routes are one truth. Every answer of `sim` is held to it as well, in every test of this folder.
import t from 'tap'
import { request } from 'undici'
import type { Simulator } from '../src/server.ts'
import { api, authorizeUrl, type Begun, connect, draftRoute, fileOf, sim, simulatorFor } from './app.ts'
import { description, holdToDescription, operationOf, operations } from './described.ts'

t.test('it is served, and leads to where it is asked', async (t) => {
  const simulator = await simulatorFor(t, { publicUrl: 'https://tiktok.example.com' })
  const here = { ...simulator, url: simulator.localUrl }
  const { body } = await sim(here, 'GET', 'openapi.json')
  t.strictSame(body, JSON.parse(JSON.stringify({ ...description, servers: [{ url: 'https://tiktok.example.com' }] })))
})

t.test('what is not described is not there', async (t) => {
  const simulator = await simulatorFor(t)
  for (const path of Object.keys(description.paths)) {
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
      if (operations.some((one) => one.path === path && one.method === method)) continue
      t.equal((await bare(simulator, method, path.replace('{id}', 'mara'), '{}')).status, 404, `${method} ${path}`)
    }
  }
})

t.test('a body may have what is described and nothing else', async (t) => {
  const simulator = await simulatorFor(t)
  for (const { method, path, operation } of operations) {
    if (!operation.requestBody) continue
    const place = path.replace('{id}', 'mara')
    for (const { kind, fields } of shapesOf(operation.requestBody)) {
      const refused = await bare(simulator, method, place, JSON.stringify({ ...kind, not_described: 1 }))
      t.equal(refused.status, 400, `${method} ${path}`)
      t.match(JSON.stringify(refused.body), 'not_described')
      for (const name of fields) {
        const wrong = { ...kind, [name]: { no: ['such', 'value'] } }
        const { status, body } = await bare(simulator, method, place, JSON.stringify(wrong))
        t.notMatch(JSON.stringify(body), `Unrecognized key: \\"${name}\\"`, `${method} ${path} knows ${name}`)
        holdToDescription(method, place.slice('/_sim/'.length), { status, body })
      }
    }
    t.equal((await bare(simulator, method, place, '{')).status, 400, 'and is JSON')
    t.equal((await bare(simulator, method, place, '{}', { 'content-type': 'text/plain' })).status, 415)
    t.equal((await bare(simulator, method, place, `"${'x'.repeat(1024 * 1024)}"`)).status, 413)
  }
})

t.test('each status that is described is one that is answered', async (t) => {
  const simulator = await simulatorFor(t)
  const guarded = await simulatorFor(t, { controlToken: 'let-me-in' })
  const seen = new Set<string>()
  const see = async (method: string, path: string, body?: object) => {
    const answer = await sim(simulator, method, path, body)
    const operation = operations.find((one) => one.operation === operationOf(method, `/_sim/${path.split('?')[0]}`))
    seen.add(`${method} ${operation?.path} ${answer.status}`)
    return answer.body
  }
  const { refresh_token, access_token } = await connect(simulator, 'mara')
  const draft = await api<Begun>(simulator, draftRoute, access_token, fileOf(5))
  await see('GET', `publications/${draft.body.data.publish_id}`)
  await see('POST', `publications/${draft.body.data.publish_id}`, { step: 'show' })
  await see('POST', `publications/${draft.body.data.publish_id}`, { step: 'advance' })
  const fault = await see('POST', 'faults', { route: 'refresh', reset: 'after' })
  for (const { method, path } of operations) if (method === 'GET') await see('GET', path.slice(6).replace('{id}', 'mara'))
  await see('GET', `refresh-tokens?token=${refresh_token}`)
  await see('POST', 'clock', { advance_seconds: 1 })
  await see('POST', 'settings', { app_name: 'Another' })
  await see('POST', 'authorize', { authorize_url: authorizeUrl(simulator), person: 'mara' })
  await see('POST', 'people', { id: 'new' })
  await see('POST', 'people', { id: 'new' })
  await see('PATCH', 'people/new', { bio: 'x' })
  await see('POST', 'people/mara/scopes', { scopes: ['user.info.basic'] })
  await see('POST', 'people/mara/remove-app', {})
  await see('POST', 'grants', { count: 1 })
  await see('POST', 'stats/reset')
  await see('POST', 'faults/timeout', {})
  await see('DELETE', `faults/${fault.id}`)
  await see('DELETE', 'faults')
  await see('POST', 'webhooks', { event: 'authorization.removed' })
  await see('POST', 'apps', { client_key: 'sbanother' })
  await see('POST', 'apps', { client_key: 'sbanother' })
  await see('GET', 'apps/sbanother')
  await see('DELETE', 'apps/sbanother')
  await see('DELETE', `apps/${simulator.clientKey}`)
  await see('POST', 'snapshots/first')
  await see('POST', 'snapshots/no.name')
  await see('POST', 'snapshots/first/load')
  await see('DELETE', 'snapshots/first')
  await see('DELETE', 'snapshots/first')
  await see('POST', 'reset')

  for (const { method, path, operation } of operations) {
    const place = path.replace('{id}', 'nobody')
    const fitting = path.endsWith('/scopes') ? '{"scopes":[]}' : path.includes('publications') ? '{"step":"advance"}' : '{}'
    const refusals = [
      bare(guarded, method, place, fitting),
      bare(simulator, method, place, fitting),
      bare(simulator, method, place, fitting, { host: 'rebound.example' }),
      ...(operation.requestBody ? [bare(simulator, method, place, '{"no":1}')] : []),
      ...(operation.requestBody ? [bare(simulator, method, place, fitting, { 'content-type': 'text/plain' })] : []),
      ...(operation.requestBody ? [bare(simulator, method, place, `"${'x'.repeat(1024 * 1024)}"`)] : []),
    ]
    for (const { status, body } of await Promise.all(refusals)) {
      holdToDescription(method, place.slice('/_sim/'.length), { status, body })
      seen.add(`${method} ${path} ${status}`)
    }
  }
  const all = operations.flatMap(({ method, path, operation }) =>
    Object.keys(operation.responses).map((status) => `${method} ${path} ${status}`),
  )
  t.strictSame(
    all.filter((one) => !seen.has(one)),
    [],
  )
})

interface Shape {
  properties?: Record<string, { const?: unknown; enum?: unknown[] }>
  required?: string[]
  oneOf?: Shape[]
}

/** One, or several that a field tells apart. */
function shapesOf(body: { content: Record<string, { schema: object }> }) {
  const [, name = ''] = /schemas\/(\w+)/.exec(JSON.stringify(body.content['application/json'])) ?? []
  const whole = description.components.schemas[name] as Shape
  return (whole.oneOf ?? [whole]).map(({ properties = {} }) => {
    const told = whole.oneOf ? Object.entries(properties).filter(([, field]) => field.const ?? field.enum) : []
    return {
      kind: Object.fromEntries(told.map(([field, schema]) => [field, schema.const ?? schema.enum?.[0]])),
      fields: Object.keys(properties),
    }
  })
}

async function bare(
  simulator: Simulator,
  method: string,
  path: string,
  sent: string | null,
  headers: Record<string, string> = {},
) {
  const body = method === 'GET' ? null : sent
  const answer = await request(simulator.url + path, {
    method: method as 'GET',
    headers: { ...(body !== null && { 'content-type': 'application/json' }), ...headers },
    body,
  })
  const text = await answer.body.text()
  return { status: answer.statusCode, body: (text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : text) as unknown }
}
