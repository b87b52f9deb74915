// With OTEL_EXPORTER_OTLP_ENDPOINT a request, its statements and its calls to TikTok are one trace, in a collector; without, nothing of it is there.
import { spawnSync } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { startCollector } from '../rig/collector.ts'
import { eventually } from '../rig/eventually.ts'
import { startWorld } from '../world.ts'

process.env.OTEL_BSP_SCHEDULE_DELAY = '50' // OpenTelemetry's own variable: how long spans are gathered

const collector = await startCollector(t)
const asked: (string | undefined)[] = []
const tiers = createServer((request, response) => {
  asked.push(request.headers.traceparent as string | undefined)
  response.setHeader('content-type', 'application/json').end('{"tier":"business"}')
})
await new Promise<void>((resolve) => tiers.listen(0, '127.0.0.1', resolve))
t.teardown(() => tiers.close())

const world = await startWorld(t, {
  env: {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    TIER_SERVICE_URL: `http://127.0.0.1:${(tiers.address() as AddressInfo).port}`,
    LOG_REQUESTS: 'on',
    LOG_LEVEL: 'info',
  },
})
const account = await world.connect()
const callers = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7' }

t.test("a request is part of its caller's trace, and its statements and calls to TikTok are part of it", async (t) => {
  const answer = await world.call('POST', `/accounts/${account.id}/token/rejected`, {
    body: { generation: 1 },
    headers: { traceparent: `00-${callers.traceId}-${callers.spanId}-01` },
  })
  t.equal(answer.status, 200)
  const ours = () => collector.spans().filter(({ traceId }) => traceId === callers.traceId)
  await eventually('the spans arrive', () => ours().some(({ kind }) => kind === 2))
  const request = ours().find(({ kind }) => kind === 2)
  t.match(request, {
    name: 'POST /accounts/:account_id/token/rejected',
    parentSpanId: callers.spanId,
    attributes: { 'http.route': '/accounts/:account_id/token/rejected', 'http.response.status_code': '200' },
  })
  const inner = ours().filter(({ kind }) => kind === 3)
  for (const span of inner) t.equal(span.parentSpanId, request?.spanId, span.name)
  t.match(inner.find(({ name }) => name === 'tiktok refresh')?.attributes, { 'tiktok.endpoint': 'refresh', outcome: 'granted' })
  t.match(inner.find(({ name }) => name === 'claim_token_set')?.attributes, { 'db.system.name': 'postgresql' })
})

t.test('what we call gets the trace, and so does the log', async (t) => {
  await world.openSession({ owner_id: 'traced' })
  await eventually('the tier service was asked', () => asked.length > 0)
  t.match(asked.at(-1), /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
  const lines = world
    .logged()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  const line = lines.find(({ msg, route }) => msg === 'request answered' && route === '/accounts/:account_id/token/rejected')
  t.match(line, { level: 'info', traceId: callers.traceId, status: 200 }, 'LOG_REQUESTS=on')
})

t.test('a failure says its kind, and a collector that is away takes nothing with it', async (t) => {
  await world.call('GET', '/accounts/acc_nobody/token')
  await eventually('its span arrives', () =>
    collector.spans().some(({ attributes }) => attributes['http.response.status_code'] === '404'),
  )
  const text = collector.texts.join('')
  t.notMatch(text, account.id, 'the pattern of the route, not the address')
})

t.test('off, neither its SDK nor our exporter is loaded', async (t) => {
  const script = `
    import { registerHooks } from 'node:module'
    const resolve = (specifier, context, next) => {
      const found = next(specifier, context)
      console.log(found.url)
      return found
    }
    registerHooks({ resolve })
    await import('./src/app.ts')`
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    timeout: 30_000,
  })
  t.equal(status, 0, stderr)
  t.match(stdout, /src\/tracing\/tracing\.ts/, 'the look is worth something')
  t.notMatch(stdout, /opentelemetry\/(sdk|context|semantic)|tracing\/export/)
})
