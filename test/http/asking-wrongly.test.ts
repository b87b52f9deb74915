// What a caller is told who asks wrongly: every place that does not fit, which methods there are, and that a HEAD takes nothing.
import t from 'tap'
import { hasDuplicateKeys } from '../../src/http/json-body.ts'
import { returnUrl, startWorld } from '../world.ts'

interface Refusal {
  code: string
  detail: string
  errors: { pointer?: string; parameter?: string; header?: string; detail: string }[]
}

const world = await startWorld(t)
const account = await world.connect()
const path = `/accounts/${account.id}`

t.test('a 400 names each place and what is wanted there, and never what was sent', async (t) => {
  const wrongBody = { owner_id: '', return_url: 7, account_type: 'x', completion: 'marker', age_confirmed: 'yes' }
  const { status, body, text } = await world.call<Refusal>('POST', '/connect-sessions', { body: wrongBody })
  t.equal(status, 400)
  t.same(
    new Set(body.errors.map(({ pointer }) => pointer)),
    new Set(['/owner_id', '/return_url', '/completion', '/age_confirmed']),
  )
  for (const { detail } of body.errors) t.match(detail, /^must |^has /)
  t.notMatch(text, /marker/)
  for (const [method, at, options, place] of [
    ['GET', '/accounts?limit=0', {}, { parameter: 'limit', detail: 'must be at least 1' }],
    ['GET', '/accounts?cursor=!', {}, { parameter: 'cursor' }],
    ['GET', '/accounts?marker=1', {}, { parameter: '' }],
    ['GET', `${path}?x=1`, {}, { parameter: '' }],
    ['GET', '/accounts/a%20b', {}, { parameter: 'account_id' }],
    ['PATCH', path, { body: { label: 'x'.repeat(101) } }, { pointer: '/label', detail: 'must have at most 100 characters' }],
    ['PATCH', path, { body: { label: null, marker: 1 } }, { pointer: '' }],
    ['POST', `${path}/verify`, { body: { marker: 1 } }, { pointer: '' }],
    ['POST', `${path}/token/rejected`, { body: { generation: 1.5 } }, { pointer: '/generation' }],
    ['POST', `${path}/token/rejected`, { body: { generation: 99 } }, { pointer: '/generation' }],
    ['POST', `${path}/uploads`, { headers: { 'idempotency-key': 'é' } }, { header: 'idempotency-key' }],
    ['POST', `${path}/uploads`, {}, { header: 'Idempotency-Key' }],
    ['POST', '/connect-sessions', { body: { owner_id: 'a', return_url: 'https://marker.example/' } }, { pointer: '/return_url' }],
    ['PUT', '/owners/a', { body: { tier: 'marker' } }, { pointer: '/tier' }],
    ['POST', '/connect-sessions', { body: '{"owner_id":' }, { pointer: '' }],
  ] as const) {
    const answer = await world.call<Refusal>(method, at, options)
    t.match(answer, { status: 400, body: { errors: [place] } }, `${method} ${at}`)
    t.notMatch(answer.text, /marker/)
  }
})

t.test('a key that comes twice is refused, however deep and however it is written', async (t) => {
  const open = (body: string) => world.call<Refusal>('POST', '/connect-sessions', { body })
  const rest = `"return_url":"${returnUrl}"`
  for (const twice of [
    `{"owner_id":"a",${rest},"owner_id":"b"}`,
    `{"owner_id":"a",${rest},"\\u006fwner_id":"b"}`,
    `{"owner_id":"a",${rest},"x":[{"y":1,"y":2}]}`,
  ])
    t.match(await open(twice), { status: 400, body: { code: 'invalid_json', errors: [{ pointer: '' }] } })
  t.equal((await open(`{"owner_id":"\\"owner_id\\":\\"a\\",",${rest}}`)).status, 201, 'in a string it is none')
  for (const fine of [
    '{}',
    '[]',
    '"a"',
    '1',
    '{"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}]}',
    '{"a":"{\\"a\\":1,\\"a\\":2}"}',
    '{"a\\\\":1,"a":2}',
  ])
    t.notOk(hasDuplicateKeys(fine), fine)
  for (const twice of ['{"a":1,"b":2,"a":3}', '[{"a":1},{"b":1,"b":1}]', '{"\\"":1,"\\u0022":2}', '{"a":{"b":[],"c":{},"b":1}}'])
    t.ok(hasDuplicateKeys(twice), twice)
})

t.test('a method that a path does not have is 405 with those it has; a path that is none stays 404', async (t) => {
  for (const [method, at, allow] of [
    ['PUT', '/accounts', 'GET, HEAD'],
    ['OPTIONS', '/accounts', 'GET, HEAD'],
    ['POST', path, 'DELETE, GET, HEAD, PATCH'],
    ['GET', '/webhooks/tiktok', 'POST'],
    ['DELETE', `${path}/token`, 'GET, HEAD'],
    ['GET', '/connect-sessions/cs_1/complete', 'POST'],
    ['PATCH', '/owners/a%2Fb?x=1', 'DELETE, GET, HEAD, PUT'],
    ['POST', '/health/live', 'GET, HEAD'],
    ['DELETE', '/docs', 'GET, HEAD'],
  ] as const) {
    const answer = await world.call<Refusal>(method, at)
    t.match(answer, { status: 405, headers: { allow }, body: { code: 'method_not_allowed' } }, `${method} ${at}`)
  }
  t.match(await world.call('PUT', '/callback', { key: null }), {
    status: 405,
    headers: { 'content-type': /html/, allow: 'GET, HEAD' },
  })
  t.match(await world.call('GET', '/no/such/route'), { status: 404, body: { code: 'route_not_found' } })
})

t.test('HEAD is where GET is, and takes no token, no refresh and no state', async (t) => {
  for (const at of [
    '/accounts',
    path,
    `${path}/quota`,
    '/health',
    '/health/ready',
    '/health/live',
    '/docs/problems',
    '/openapi.json',
  ])
    t.match(await world.call('HEAD', at), { status: 200, text: '' }, at)
  t.equal((await world.call('HEAD', '/accounts', { key: null })).status, 401)
  t.equal((await world.call('HEAD', '/accounts/acc_unknown/token')).status, 404)

  const { requests } = world.tiktok.stats.report()
  const reads = async () => {
    const [row] = await world.parts.db.run('test', (sql) => sql<{ n: number }[]>`select count(*)::int as n from token_reads`)
    return row?.n
  }
  const before = await reads()
  const vends = (await world.call<string>('GET', '/metrics')).text.match(/^token_vends_total.*$/gm)?.join('\n')
  await world.parts.db.run('test', (sql) => sql`update token_sets set access_expires_at = now() where account_id = ${account.id}`)
  t.match(await world.call('HEAD', `${path}/token`), { status: 200, text: '' })
  t.equal(await reads(), before, 'nothing was handed out')
  t.equal((await world.call<string>('GET', '/metrics')).text.match(/^token_vends_total.*$/gm)?.join('\n'), vends, 'and counted')
  t.equal(world.tiktok.stats.report().requests, requests, 'nothing was refreshed')

  const session = await world.openSession()
  const browser = world.browser()
  const out = await browser.setOut(session.authorize_url)
  const decided = world.tiktok.authorize({ authorize_url: String(out.headers.location), person: 'jonas' })
  if (!('redirect_to' in decided)) throw new Error('TikTok refused')
  const back = new URL(decided.redirect_to)
  t.match(await world.call('HEAD', `${back.pathname}${back.search}`, { key: null }), { status: 200, text: '' })
  const link = new URL((await world.openSession()).authorize_url)
  t.match(await world.call('HEAD', `${link.pathname}${link.search}`, { key: null }), { status: 200, text: '' })
  t.match((await browser.get(decided.redirect_to)).headers.location, /confirm=/, 'the state is still good')
})
