// The door: who may come in, what may be brought, and how it says no.

import { execFile } from 'node:child_process'
import { connect } from 'node:net'
import { Readable } from 'node:stream'
import { promisify } from 'node:util'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { Agent, request } from 'undici'
import { startApp } from '../src/app.ts'
import { measureRefreshing } from '../src/background/refresh-ahead.ts'
import { revokeApiKey } from '../src/db/api-keys.ts'
import type { Db } from '../src/db/client.ts'
import { Problem } from '../src/errors.ts'
import { failures } from '../src/failures.ts'
import { createApiKey, type KeyScope, keyScopes, openApiKeys } from '../src/http/api-keys.ts'
import { guardRoutes } from '../src/http/auth.ts'
import { handleFailures } from '../src/http/failures.ts'
import { limitRequests } from '../src/http/limits.ts'
import { createLog } from '../src/telemetry.ts'
import { eventually } from './rig/eventually.ts'
import { startProxy } from './rig/proxy.ts'
import { letTimePass } from './rig/time.ts'
import { type Answer, returnUrl, startWorld } from './world.ts'

const world = await startWorld(t)
const operations = await listOperations()
const guarded = operations.filter((operation): operation is Operation & { scope: KeyScope[] } => operation.scope !== undefined)

const here = '127.0.0.1'

t.test('what a whole server does not use is not loaded', async (t) => {
  const script = `import { registerHooks } from 'node:module'
    registerHooks({ resolve: (name, context, next) => { const found = next(name, context); console.log(found.url); return found } })
    const { openApiFile } = await import('./src/describe.ts')
    await openApiFile()`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { maxBuffer: 64 << 20 })
  t.match(stdout, /node_modules\/fastify-type-provider-zod\//, 'the look is worth something')
  for (const unused of ['ajv', 'fast-json-stringify-compiler', 'jose', 'ioredis'])
    t.notMatch(stdout, new RegExp(`node_modules/(@fastify/)?${unused}[-/]`), unused)
})

t.test('S31: a route that names no scope and is not public fails the start', async (t) => {
  const app = Fastify()
  const { failures } = await limitRequests(app, world.parts)
  handleFailures(app, world.parts)
  await guardRoutes(app, world.parts, { apiKeys: openApiKeys(world.parts), failures })
  t.throws(() => app.get('/forgotten', async () => 'open'), /names no scope/)
  t.throws(() => app.get('/misspelt', { config: { scope: 'accounts:raed' as KeyScope } }, async () => 'open'), /names no scope/)
  t.throws(() => app.get('/all', { config: { scope: 'accounts:read' } }, async () => 'open'), /narrowed caller/, 'S74')
  app.get('/named', { config: { scope: 'accounts:read', reach: 'nothing' } }, async () => 'closed')
  t.equal((await app.inject('/named')).statusCode, 401)
  await app.close()
})

t.test('S31, S33: without a key every route but the public ones is closed', async (t) => {
  t.ok(guarded.length >= 15, `${guarded.length} guarded operations`)
  for (const operation of guarded) {
    const answer = await world.call(operation.method, operation.path, { key: null })
    t.match(
      answer,
      { status: 401, body: { code: 'unauthenticated' }, headers: { 'www-authenticate': /^Bearer/ } },
      operation.name,
    )
  }
  for (const operation of operations.filter(({ scope }) => scope === undefined)) {
    t.match(
      operation.path,
      /^\/(authorize|callback|connect|webhooks\/tiktok|health|openapi\.json|docs)/,
      `${operation.name} is public`,
    )
    const answer = await world.call(operation.method, operation.path, { key: null })
    t.not(answer.status, 403, operation.name)
  }
})

t.test('S33: every scope opens its own routes and no other', async (t) => {
  t.same(new Set(guarded.flatMap(({ scope }) => scope)), new Set(keyScopes), 'every scope opens something')
  for (const scope of keyScopes) {
    const only = await world.key(scope)
    for (const operation of guarded.filter((operation) => operation.scope.includes(scope))) {
      const others = await world.key(...keyScopes.filter((other) => !operation.scope.includes(other)))
      const refused = await world.call(operation.method, operation.path, { key: others })
      t.match(refused, { status: 403, body: { code: 'insufficient_scope' } }, `${operation.name} without ${scope}`)
      const let_in = await world.call<{ code?: string }>(operation.method, operation.path, { key: only })
      t.notOk(let_in.status === 401 || let_in.body.code === 'insufficient_scope', `${operation.name} with ${scope}`)
    }
  }
})

t.test("TikTok's verification files are served to everybody as they are, to the byte", async (t) => {
  const [code, other, third] = [
    'O7CetRa9odzht3niNrsvitejVAuvQwcW',
    'hgNUP2jOBL4lC10ioiEatBEgMxy0ow8L',
    'Vr8r1YMiO490psCs9PIqCeFssNIy7bN8',
  ]
  const written = `tiktok-developers-site-verification=${code}\n`
  const folder = t.testdir({ [`tiktok${code}.txt`]: written })
  const { call } = await startWorld(t, {
    env: { TIKTOK_VERIFICATION: `${folder}/tiktok${code}.txt, ${other},tiktok-developers-site-verification=${third}` },
  })
  const get = (name: string, method = 'GET') => call(method, `/${name}`, { key: null })
  t.match(await get(`tiktok${code}.txt`), { status: 200, text: written, headers: { 'content-type': /^text\/plain/ } })
  for (const each of [other, third]) t.equal((await get(`tiktok${each}.txt`)).text, `tiktok-developers-site-verification=${each}`)
  t.match(await get(`tiktok${code}.txt`, 'HEAD'), {
    status: 200,
    text: '',
    headers: { 'content-length': String(written.length) },
  })
  t.match(await get(`tiktok${code}.txt`, 'POST'), { status: 405, headers: { allow: 'GET, HEAD' } })
  t.equal((await get(`tiktok${code.toLowerCase()}.txt`)).status, 404)
})

t.test('S33: the web app cannot read tokens, the upload service can neither connect nor disconnect', async (t) => {
  const account = await world.connect()
  const webApp = await world.key('connect:write', 'accounts:read', 'accounts:write')
  const uploader = await world.key('tokens:read', 'quota:write')
  const forbidden = { status: 403, body: { code: 'insufficient_scope' } }
  t.match(await world.call('GET', `/accounts/${account.id}/token`, { key: webApp }), forbidden)
  t.match(await world.call('POST', `/accounts/${account.id}/token/rejected`, { key: webApp, body: { generation: 1 } }), forbidden)
  t.match(await world.call('DELETE', `/accounts/${account.id}`, { key: uploader }), forbidden)
  t.match(await world.call('POST', '/connect-sessions', { key: uploader, body: {} }), forbidden)
  t.equal((await world.call('GET', `/accounts/${account.id}/token`, { key: uploader })).status, 200)
  await world.call('DELETE', `/accounts/${account.id}`, { key: webApp })
})

t.test('S37: credentials count in the Authorization header only', async (t) => {
  const key = await world.key('accounts:read')
  const tries: [string, Record<string, string>][] = [
    [`/accounts?key=${key}`, {}],
    [`/accounts?access_token=${key}`, {}],
    ['/accounts', { cookie: `key=${key}; authorization=Bearer ${key}` }],
    ['/accounts', { 'x-api-key': key }],
    ['/accounts', { authorization: key }],
    ['/accounts', { authorization: `Basic ${Buffer.from(`x:${key}`).toString('base64')}` }],
    ['/accounts', { authorization: `Bearer ${key} x` }],
    ['/accounts', { authorization: `Bearer ${key}, Bearer ${key}` }],
    ['/accounts', { authorization: 'Bearer ' }],
  ]
  for (const [path, headers] of tries) t.equal((await world.call('GET', path, { key: null, headers })).status, 401)
  t.equal((await world.call('GET', '/accounts', { key: null, headers: { authorization: `bearer ${key}` } })).status, 200)
})

t.test('S32: a key is 256 random bits behind a checksum, and a bad one costs no query', async (t) => {
  const key = await world.key('accounts:read')
  const [, id = '', secret = '', crc = ''] = key.split('_')
  t.match(key, /^ttk_[0-9a-z]{25}_[0-9a-f]{64}_[0-9a-f]{8}$/)
  const rows = await world.parts.db.run(
    'keys',
    (sql) => sql<{ row: string }[]>`select t::text as row from api_keys t where id = ${`key_${id}`}`,
  )
  t.notMatch(rows[0]?.row, secret)

  let queries = 0
  const { run } = world.parts.db
  const counted: Db = {
    ...world.parts.db,
    run: (...statement) => {
      queries++
      return run(...statement)
    },
  }
  const keys = openApiKeys({ ...world.parts, db: counted })
  const flipped = secret.startsWith('0') ? `1${secret.slice(1)}` : `0${secret.slice(1)}`
  for (const wrong of [
    '',
    'ttk_',
    key.slice(0, -1),
    `${key}0`,
    `ttk_${id}_${flipped}_${crc}`,
    `ttk_${id}_${secret}_00000000`,
    key.toUpperCase(),
  ])
    t.equal(await keys.verify(wrong, here), undefined)
  t.equal(queries, 0)
  t.match(await keys.verify(key, here), { keyId: `key_${id}`, scopes: ['accounts:read'] })
  t.ok(queries > 0)
})

t.test('S36: a key ends by its date, and says when it was used', async (t) => {
  const { key, id } = await createApiKey(world.parts, {
    name: 'brief',
    scopes: ['accounts:read'],
    expiresAt: new Date(Date.now() + 60_000),
  })
  t.equal((await world.call('GET', '/accounts', { key })).status, 200)
  await eventually('its use is noted', async () => {
    const [row] = await world.parts.db.run(
      'key',
      (sql) => sql<{ used: boolean }[]>`select last_used_at is not null as used from api_keys where id = ${id}`,
    )
    return row?.used === true
  })
  const expired = await createApiKey(world.parts, {
    name: 'past',
    scopes: ['accounts:read'],
    expiresAt: new Date(Date.now() - 1000),
  })
  t.equal((await world.call('GET', '/accounts', { key: expired.key })).status, 401)
})

t.test('S35: a revoked key stops within five seconds on every replica', async (t) => {
  const neighbour = await startApp(
    {
      ...world.config,
      dataDir: `${world.config.dataDir}-neighbour`,
      journal: { ...world.config.journal, dir: `${world.config.dataDir}/neighbour` },
    },
    {
      background: false,
      log: createLog('silent'),
    },
  )
  t.teardown(() => neighbour.close())
  const { key, id } = await createApiKey(world.parts, { name: 'lost', scopes: ['accounts:read'], expiresAt: null })
  const both = () =>
    Promise.all([world.app.url, neighbour.url].map(async (url) => (await world.call('GET', `${url}/accounts`, { key })).status))
  t.same(await both(), [200, 200])
  t.ok(await revokeApiKey(world.parts.db, id, 'test'))
  letTimePass(t, 5_000)
  t.same(await both(), [401, 401])
})

t.test('S39: failed authentication is limited per address, and a key that is known to be good still works', async (t) => {
  const strict = await startWorld(t, { env: { RATE_LIMIT_PER_MINUTE: '300' } })
  const key = await strict.key('accounts:read')
  t.equal((await strict.call('GET', '/accounts', { key })).status, 200)
  const guess = (headers: Record<string, string> = {}) => strict.call('GET', '/accounts', { key: 'ttk_guess', headers })
  // S67: whatever the header says, it comes from one address.
  const statuses = []
  for (let tries = 0; tries < 5; tries++) statuses.push((await guess({ 'x-forwarded-for': `10.0.0.${tries}` })).status)
  t.same(statuses, [401, 401, 401, 429, 429])
  const limited = await guess()
  t.match(limited.body, { code: 'rate_limited', mended_by: 'time' })
  t.ok(Number(limited.headers['retry-after']) > 1 && Number(limited.headers['retry-after']) <= 60, 'until the minute is over')
  t.equal((await strict.call('GET', '/accounts', { key })).status, 200)
})

t.test('S39: requests are limited per key, and one key does not eat the share of another', async (t) => {
  const strict = await startWorld(t, { env: { RATE_LIMIT_PER_MINUTE: '5' } })
  const [busy, calm] = [await strict.key('accounts:read'), await strict.key('accounts:read')]
  const statuses = []
  for (let tries = 0; tries < 7; tries++) statuses.push((await strict.call('GET', '/accounts', { key: busy })).status)
  t.same(statuses, [200, 200, 200, 200, 200, 429, 429])
  const limited = await strict.call('GET', '/accounts', { key: busy })
  t.match(limited.body, { code: 'rate_limited' })
  t.ok(Number(limited.headers['retry-after']) > 1 && Number(limited.headers['retry-after']) <= 60)
  t.equal((await strict.call('GET', '/accounts', { key: calm })).status, 200)
})

t.test('S67: forwarded headers count from listed proxies only, and our own URLs never come from Host', async (t) => {
  const proxied = await startWorld(t, {
    env: { RATE_LIMIT_PER_MINUTE: '100', TRUSTED_PROXIES: '127.0.0.1', PUBLIC_URL: 'https://oauth.example.com' },
  })
  const guess = async (address: string) =>
    (await proxied.call('GET', '/accounts', { key: 'ttk_guess', headers: { 'x-forwarded-for': address } })).status
  t.same([await guess('192.0.2.1'), await guess('192.0.2.1'), await guess('192.0.2.2')], [401, 429, 401])

  const body = { owner_id: 'o', return_url: returnUrl }
  const headers = {
    host: 'evil.example',
    'x-forwarded-host': 'evil.example',
    'x-forwarded-proto': 'http',
    forwarded: 'host=evil.example',
  }
  const opened = await proxied.call('POST', '/connect-sessions', { body, headers })
  t.equal(opened.status, 201)
  t.notMatch(opened.text, /evil/)
  const described = await proxied.call('GET', '/openapi.json', { headers })
  t.notMatch(described.text, /evil/)
})

t.test('S40: unknown fields are refused, not dropped, in every body and every query', async (t) => {
  for (const operation of guarded) {
    const refused = await world.call(
      operation.method,
      `${operation.path}?unheard_of=1`,
      operation.example ? { body: operation.example } : {},
    )
    t.match(refused, { status: 400, body: { code: 'validation_failed' } }, `${operation.name} with a query`)
    if (operation.method === 'GET') continue
    const given = await world.call(operation.method, operation.path, {
      body: { ...operation.example, unheard_of: 1 },
      headers: { 'idempotency-key': 'one' },
    })
    t.match(given, { status: 400, body: { code: 'validation_failed' } }, `${operation.name} with a body`)
    t.notMatch(given.text, /unheard_of/, 'what was sent is not echoed')
  }
})

t.test('S40: bodies are not coerced', async (t) => {
  const open = (change: object) =>
    world.call('POST', '/connect-sessions', { body: { owner_id: 'o', return_url: returnUrl, ...change } })
  for (const change of [
    { age_confirmed: 'true' },
    { age_confirmed: 1 },
    { owner_id: 42 },
    { owner_id: ['o'] },
    { label: null },
    { completion: 'CALLBACK' },
  ])
    t.match(await open(change), { status: 400, body: { code: 'validation_failed' } })
  t.match(await open({ account_type: 'personal' }), {
    status: 422,
    body: { code: 'account_type_not_supported', mended_by: 'user' },
  })
  t.match(await open({ account_type: 'Creator' }), { status: 422, body: { code: 'account_type_not_supported' } })
  t.match(await open({ age_confirmed: false }), { status: 422, body: { code: 'age_not_confirmed', mended_by: 'user' } })
  t.match(await open({ tier: 'platinum' }), { status: 400, body: { code: 'validation_failed' } })
  for (const owner_id of ['', '.', '..', 'x'.repeat(129), '\u0000', 'two\nlines'])
    t.match(await open({ owner_id }), { status: 400, body: { code: 'validation_failed' } })
  for (const label of ['', '  ', 'two\nlines', 'x'.repeat(101), '\ud800', '\u0000'])
    t.match(await open({ label }), { status: 400, body: { code: 'validation_failed' } })
})

t.test('S41: repeated parameters are refused', async (t) => {
  for (const query of ['limit=1&limit=2', 'owner_id=a&owner_id=b', 'status=active&status=active', 'cursor=a&cursor=b'])
    t.match(await world.call('GET', `/accounts?${query}`), { status: 400, body: { code: 'validation_failed' } }, query)
  t.match(await world.call('GET', '/accounts/acc_x/token?min_ttl=1&min_ttl=1'), { status: 400 })
  const twice = await world.call('POST', '/connect-sessions', { body: '{"owner_id":"a","owner_id":"b","return_url":"http://x"}' })
  t.equal(twice.status, 400)
})

t.test('S59: what nobody foresaw leaves as internal_error and a request id, and nothing else', async (t) => {
  const { db } = world.parts
  const { run } = db
  const key = await world.key('accounts:read')
  await world.call('GET', '/accounts', { key }) // known for the next seconds
  db.run = () => Promise.reject(new TypeError('the inside of the service: act.secret'))
  t.teardown(() => Object.assign(db, { run }))
  const failed = await world.call('GET', '/accounts', { key })
  const { request_id, detail, ...rest } = failed.body
  t.equal(failed.status, 500)
  t.strictSame(rest, {
    type: `${world.config.publicUrl}/docs/problems#internal_error`,
    title: failures.internal_error.title,
    status: 500,
    code: 'internal_error',
    mended_by: 'operator',
  })
  t.match(request_id, /^req_/)
  t.notMatch(failed.text, /inside|act\.|TypeError|\.ts/)
  const line = world
    .logged()
    .split('\n')
    .find((text) => text.includes(String(request_id)) && text.includes('unexpectedly'))
  t.match(line, /"level":"error"/)
  t.notMatch(line, /act\.secret/, 'the log names the error and where it was, not what it quotes')
  t.match(line, /TypeError/)
})

t.test("S59: Fastify's own failures are problems too", async (t) => {
  const post = (body: string, headers: Record<string, string> = {}) => world.call('POST', '/connect-sessions', { body, headers })
  const cases: [Answer, number, string][] = [
    [await world.call('GET', '/accounts/%E0%A4%A'), 400, 'validation_failed'],
    [await world.call('GET', '/%'), 400, 'validation_failed'],
    [await world.call('GET', `/accounts/${'x'.repeat(500)}`), 400, 'validation_failed'],
    [await world.call('GET', '/no/such/route'), 404, 'route_not_found'],
    [await world.call('GET', '/no/such/route', { key: null }), 404, 'route_not_found'],
    [await world.call('PUT', '/accounts'), 405, 'method_not_allowed'],
    [await world.call('OPTIONS', '/accounts'), 405, 'method_not_allowed'],
    [await world.call('TRACE', '/accounts'), 405, 'method_not_allowed'],
    [await post('{"owner_id": '), 400, 'invalid_json'],
    [await post('not json'), 400, 'invalid_json'],
    [await post('{"__proto__": {"x": 1}}'), 400, 'invalid_json'],
    [await post('{"constructor": {"prototype": {"x": 1}}}'), 400, 'invalid_json'],
    [await post('[]'), 400, 'validation_failed'],
    [await post('null'), 400, 'validation_failed'],
    [await post('"text"'), 400, 'validation_failed'],
    [await post(''), 400, 'validation_failed'],
    [await post(JSON.stringify({ x: 'y'.repeat(17_000) })), 413, 'payload_too_large'],
    [await post('owner_id=x', { 'content-type': 'application/x-www-form-urlencoded' }), 415, 'unsupported_media_type'],
    [await post('{}', { 'content-type': 'text/plain' }), 415, 'unsupported_media_type'],
    [await post('{}', { 'content-type': 'application/jsonp' }), 415, 'unsupported_media_type'],
    [await post('--x--', { 'content-type': 'multipart/form-data; boundary=x' }), 415, 'unsupported_media_type'],
    [await post('{}', { 'content-type': 'nonsense' }), 415, 'unsupported_media_type'],
  ]
  for (const [answer, status, code] of cases) {
    t.equal(answer.status, status, code)
    isProblem(t, answer)
    t.equal(answer.body.code, code)
  }
})

t.test('S59: what is not even HTTP gets a problem and a closed connection', async (t) => {
  for (const bytes of [
    'NONSENSE\r\n\r\n',
    'GET / HTTP/9.9\r\n\r\n',
    'GET /health HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n',
    `GET /health HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`,
    'POST /connect-sessions HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\nx',
  ]) {
    const answer = await raw(bytes)
    t.match(answer, /^HTTP\/1\.1 4\d\d /)
    t.match(answer, /content-type: application\/problem\+json/i)
    t.match(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4)), { status: 400, code: 'validation_failed' })
  }
})

t.test('S65: DELETE and POST without a body work with and without a content type', async (t) => {
  const types = [undefined, 'application/json', 'application/json; charset=utf-8', 'application/x-www-form-urlencoded']
  for (const [method, path] of [
    ['DELETE', '/accounts/acc_unknown'],
    ['POST', '/accounts/acc_unknown/verify'],
  ] as const) {
    for (const type of types) {
      for (const body of [null, '']) {
        const answer = await request(new URL(path, world.app.url), {
          method,
          headers: { authorization: `Bearer ${await everything()}`, ...(type ? { 'content-type': type } : {}) },
          body,
        })
        t.match(await answer.body.json(), { code: 'account_not_found' }, `${method} as ${type}`)
      }
    }
  }
  const { status } = await world.call('POST', '/connect-sessions', {
    body: { owner_id: 'o', return_url: returnUrl },
    headers: { 'content-type': 'application/json; charset=utf-8' },
  })
  t.equal(status, 201)
})

t.test('S66: bodies end at 16 KiB, whatever their length claims, and every timeout is set', async (t) => {
  const exact = JSON.stringify({ x: '' }).length
  const sized = (bytes: number) => JSON.stringify({ x: 'y'.repeat(bytes - exact) })
  t.equal((await world.call('POST', '/connect-sessions', { body: sized(16 * 1024) })).status, 400)
  t.equal((await world.call('POST', '/connect-sessions', { body: sized(16 * 1024 + 1) })).status, 413)
  const chunked = await request(new URL('/connect-sessions', world.app.url), {
    method: 'POST',
    headers: { authorization: `Bearer ${await everything()}`, 'content-type': 'application/json' },
    body: Readable.from(Array.from({ length: 40 }, () => Buffer.alloc(1024, ' '))),
  })
  t.equal(chunked.statusCode, 413)
  await chunked.body.dump()

  const { server, initialConfig } = world.app.server
  for (const timeout of [server.requestTimeout, server.headersTimeout, server.keepAliveTimeout, server.timeout])
    t.ok(timeout > 0 && timeout <= 60_000)
  t.ok(server.headersTimeout < server.requestTimeout, 'the other way round Node takes the two for each other')
  t.ok(Number((initialConfig as { handlerTimeout?: number }).handlerTimeout) > 0)
})

t.test(
  'F58: who drips a head or a body is cut off in that order, who says nothing too, and a connection at rest stays',
  async (t) => {
    const patience = { headMs: 300, requestMs: 900, lookEveryMs: 50, idleMs: 20_000, handlerMs: 25_000 }
    const strict = await startWorld(t, { patience })
    const key = await strict.key('connect:write')
    const head = `POST /connect-sessions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\ncontent-type: application/json\r\n`
    const ends: string[] = []
    const drip = (name: string, start: string, drop: string) => {
      const socket = connect(Number(new URL(strict.app.url).port), '127.0.0.1')
      let answer = ''
      socket
        .on('error', () => {})
        .on('data', (chunk) => {
          answer += chunk
        })
      if (start !== '') socket.write(start)
      const dripping = drop === '' ? undefined : setInterval(() => socket.write(drop), 30)
      t.teardown(() => {
        clearInterval(dripping)
        socket.destroy()
      })
      return new Promise<string>((resolve) =>
        socket.once('close', () => {
          clearInterval(dripping)
          ends.push(name)
          resolve(answer)
        }),
      )
    }
    const agent = new Agent({ connections: 1 })
    t.teardown(() => agent.destroy())
    const live = async () => {
      const { statusCode, body } = await request(new URL('/health/live', strict.app.url), { dispatcher: agent })
      await body.dump()
      return statusCode
    }
    t.equal(await live(), 200)
    const connections = () => promisify(strict.app.server.server.getConnections.bind(strict.app.server.server))()
    const silent = Array.from({ length: 300 }, () => drip('silence', '', ''))
    const answers = await Promise.all([
      drip('body', `${head}content-length: 16000\r\n\r\n{`, ' '),
      drip('head', head, 'x: y\r\n'),
      drip('chunks', `${head}transfer-encoding: chunked\r\n\r\n`, '1\r\n \r\n'),
    ])
    t.equal(await live(), 200, 'health answers meanwhile')
    await Promise.all(silent)
    const order = ends.filter((name) => name !== 'silence')
    t.equal(order[0], 'head')
    t.same([...order].sort(), ['body', 'chunks', 'head'])
    for (const answer of answers) t.match(answer, /^HTTP\/1\.1 400 .*did not arrive in time/s)
    t.ok((await connections()) >= 1, 'the connection at rest is kept')
    t.equal(await live(), 200)
  },
)

t.test('F58: a 401 with an unread body closes the connection, and one without keeps it', async (t) => {
  const head = 'POST /connect-sessions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n'
  for (const framing of ['content-length: 1000000', 'transfer-encoding: chunked']) {
    const answer = await rawOpen(t, `${head}${framing}\r\n\r\n`)
    t.match(answer, /^HTTP\/1\.1 401 /)
    t.match(answer, /connection: close/i)
  }
  const kept = await request(new URL('/accounts', world.app.url))
  await kept.body.dump()
  t.equal(kept.statusCode, 401)
  t.equal(kept.headers.connection, 'keep-alive')
})

t.test('S60: a key that cannot be looked up is refused, and the caller is told to come back', async (t) => {
  const cable: { proxy?: Awaited<ReturnType<typeof startProxy>> } = {}
  const fragile = await startWorld(t, {
    through: async (url) => {
      cable.proxy = await startProxy(t, url)
      return cable.proxy.url
    },
  })
  const key = await fragile.key('accounts:read')
  await cable.proxy?.cut()
  const refused = await fragile.call('GET', '/accounts', { key })
  t.match(refused, { status: 503, body: { code: 'storage_unavailable' }, headers: { 'retry-after': /^[1-9]\d*$/ } })
  isProblem(t, refused)

  // S64: alive is about the process, ready about what it needs.
  t.equal((await fragile.call('GET', '/health/live', { key: null })).status, 200)
  for (const path of ['/health', '/health/ready']) {
    const unready = await fragile.call('GET', path, { key: null })
    t.match(unready, { status: 503, body: { status: 'unavailable', checks: { database: 'unavailable' } } })
    t.match(unready.headers['retry-after'], /^[1-9]\d*$/)
  }
  await cable.proxy?.resume()
})

t.test('S64: ready when the database, the keys and the migrations are, whether or not TikTok is', async (t) => {
  await world.tiktok.faults.add({ route: 'token', status: 503, times: 1 })
  for (const path of ['/health', '/health/ready'])
    t.match(await world.call('GET', path, { key: null }), {
      status: 200,
      body: { status: 'ok', checks: { database: 'ok', keyring: 'ok', migrations: 'ok' } },
      headers: { 'cache-control': 'no-store' },
    })
  world.tiktok.faults.clear()
})

t.test('S63: metrics need a key and carry no ids', async (t) => {
  t.equal((await world.call('GET', '/metrics', { key: null })).status, 401)
  const account = await world.connect({ owner: 'measured', person: 'quiet' })
  await world.call('GET', `/accounts/${account.id}/token`)
  await world.call('GET', '/a-path-nobody-has')
  const { text, headers } = await world.call('GET', '/metrics', { key: await world.key('ops:read') })
  t.match(headers['content-type'], /^text\/plain/)
  t.match(text, /tokens_vended_total\{degraded="false"\} [1-9]/)
  t.match(text, /token_refreshes_total\{outcome="refreshed"\} \d/)
  t.match(text, /http_requests_total\{method="GET",route="\/accounts\/:account_id\/token",status="200"\} [1-9]/)
  t.notMatch(text, /(acc|cs|key|evt|req|upl)_[0-9a-z]{10}|a-path-nobody-has|measured/)
})

t.test('metrics answer while the database is away: to METRICS_TOKEN, on METRICS_PORT, and to keys that were live', async (t) => {
  const cable: { proxy?: Awaited<ReturnType<typeof startProxy>> } = {}
  const token = 'Xq7mPz2vK9rT4wLs8nBd'
  const world = await startWorld(t, {
    env: { METRICS_TOKEN: token, METRICS_PORT: '0' },
    through: async (url) => {
      cable.proxy = await startProxy(t, url)
      return cable.proxy.url
    },
  })
  const [ops, other, brief] = [await world.key('ops:read'), await world.key('accounts:read'), await world.key('ops:read')]
  const scrape = (key: string | null, url = '/metrics') => world.call('GET', url, { key })
  const own = `${world.app.metricsUrl}/metrics`
  for (const key of [ops, brief, token]) t.equal((await scrape(key)).status, 200)
  t.equal((await scrape(other)).status, 403)
  t.equal((await scrape(token, own)).status, 200)
  t.equal((await world.call('GET', '/accounts', { key: token })).status, 401, 'the token opens nothing else')
  await revokeApiKey(world.parts.db, `key_${brief.split('_')[1]}`, 'test')
  letTimePass(t, 5000)
  t.equal((await scrape(brief)).status, 401, 'revoked, and known to be')
  await measureRefreshing(world.parts)
  world.parts.metrics.databaseGauges.wereRead()

  await cable.proxy?.cut()
  letTimePass(t, 60_000)
  for (const [key, url] of [
    [ops, '/metrics'],
    [token, '/metrics'],
    [token, own],
  ] as const) {
    const answer = await scrape(key, url)
    t.equal(answer.status, 200)
    t.match(answer.headers['content-type'], /^text\/plain/)
    t.match(answer.text, /^refresh_due_backlog 0$/m, 'the last value stays')
    const age = Number(/^database_gauges_age_seconds (\S+)$/m.exec(answer.text)?.[1])
    t.ok(age >= 60, `and says how old it is: ${age}`)
  }
  t.equal((await scrape(other)).status, 403)
  t.equal((await scrape(brief)).status, 503, 'one that was not live when it was last looked up cannot be looked up now')
  for (const wrong of [null, `${token}x`, 'ttk_guess']) {
    t.equal((await scrape(wrong)).status, 401)
    t.equal((await scrape(wrong, own)).status, 401)
  }
  t.equal((await scrape(token, `${world.app.metricsUrl}/health`)).status, 404, 'and its port has nothing else')
  t.notMatch(world.logged(), token)
  await cable.proxy?.resume()
})

t.test('METRICS_PORT without METRICS_TOKEN asks for nothing', async (t) => {
  const world = await startWorld(t, { env: { METRICS_PORT: '0' } })
  t.equal((await world.call('GET', `${world.app.metricsUrl}/metrics`, { key: null })).status, 200)
  t.equal((await world.call('GET', '/metrics', { key: null })).status, 401)
})

t.test('S61: what was refused at the door is in the log, with who and what', async (t) => {
  const { key, id } = await createApiKey(world.parts, { name: 'curious', scopes: ['accounts:read'], expiresAt: null })
  await world.call('GET', '/accounts/acc_x/token', { key })
  await world.call('GET', '/accounts', { key: 'ttk_nonsense' })
  const lines = world
    .logged()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  t.ok(lines.some((line) => line.msg === 'scope was missing' && line.keyId === id && line.route && line.requestId))
  t.ok(lines.some((line) => line.msg === 'authentication failed' && line.outcome === 'refused'))
})

interface Operation {
  name: string
  method: string
  path: string
  scope: KeyScope[] | undefined
  example: Record<string, unknown> | undefined
}

/** From the service's own description: what it says of a route is what these tests hold it to. */
async function listOperations(): Promise<Operation[]> {
  interface Described {
    description?: string
    security?: unknown[]
    requestBody?: { content: Record<string, { schema: { $ref?: string; examples?: Record<string, unknown>[] } }> }
  }
  const { body } = await world.call<{
    paths: Record<string, Record<string, Described>>
    components: { schemas: Record<string, { examples?: Record<string, unknown>[] }> }
  }>('GET', '/openapi.json')
  return Object.entries(body.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, described]) => {
      const schema = described.requestBody?.content['application/json']?.schema
      const named = schema?.$ref ? body.components.schemas[schema.$ref.split('/').at(-1) ?? ''] : schema
      const open = Array.isArray(described.security) && described.security.length === 0
      return {
        name: `${method.toUpperCase()} ${path}`,
        method: method.toUpperCase(),
        path: path.replace(/\{[^}]+\}/g, 'acc_x'),
        scope: open ? undefined : keyScopes.filter((scope) => scopesSaid(described.description).includes(`\`${scope}\``)),
        example: named?.examples?.[0],
      }
    }),
  )
}

function scopesSaid(description = ''): string {
  return /Scope: (.+)\.$/.exec(description)?.[1] ?? ''
}

function isProblem(t: Test, { headers, body, status }: Answer): void {
  t.equal(headers['content-type'], 'application/problem+json')
  t.equal(headers['cache-control'], 'no-store')
  const problem = Problem.strict().parse(body)
  t.equal(problem.status, status)
  t.equal(problem.type, `${world.config.publicUrl}/docs/problems#${problem.code}`)
  t.equal(problem.title, failures[problem.code].title)
  if (status === 429 || status === 503) t.match(headers['retry-after'], /^[1-9]\d*$/)
  t.equal(problem.retry_after?.toString(), headers['retry-after'])
}

async function everything(): Promise<string> {
  return world.key(...keyScopes)
}

async function raw(bytes: string): Promise<string> {
  const socket = connect(Number(new URL(world.app.url).port), '127.0.0.1')
  socket.on('error', () => {})
  socket.end(bytes)
  let answer = ''
  for await (const chunk of socket) answer += chunk
  return answer
}

/** The answer to somebody who sends no more and does not hang up either: all there is until the service does. */
async function rawOpen(t: Test, bytes: string): Promise<string> {
  const socket = connect(Number(new URL(world.app.url).port), '127.0.0.1')
  t.teardown(() => socket.destroy())
  socket.on('error', () => {})
  socket.write(bytes)
  let answer = ''
  for await (const chunk of socket) answer += chunk
  return answer
}
