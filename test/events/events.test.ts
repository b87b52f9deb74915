// The page about events says what the code does, and a receiver that cannot be right stops the start.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Webhook } from 'standardwebhooks'
import t from 'tap'
import { waitAfter } from '../../src/events/dispatcher.ts'
import { eventPayloads, eventTypes, ServiceEvent } from '../../src/events/events.ts'
import { signEvent } from '../../src/events/signature.ts'
import { createMetrics } from '../../src/metrics.ts'
import { ConfigError, loadConfig } from '../../src/settings/config.ts'

const page = await readFile(new URL('../../docs/events.md', import.meta.url), 'utf8')
const block = (language: string) => new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'ms').exec(page)?.[1] ?? ''

t.test('docs/events.md names every event and every field of it, and no other', async (t) => {
  const rows = [...page.matchAll(/^\| `([a-z_.]+)` \| .* \| (.*) \|$/gm)].map(([, type, fields = '']) => [
    type,
    [...fields.matchAll(/`([a-z_]+)`/g)].map(([, field]) => field),
  ])
  t.same(
    rows,
    eventTypes.map((type) => [type, Object.keys(eventPayloads[type].shape)]),
  )
})

t.test('the example is an event', async (t) => {
  const { data, ...event } = ServiceEvent.parse(JSON.parse(block('json')))
  const type = eventTypes.find((type) => type === event.type)
  t.ok(type && eventPayloads[type].safeParse(data).success)
})

t.test('the sample verifies what is sent, as the reference library does', async (t) => {
  const file = join(t.testdir(), 'verify-event.mjs')
  await writeFile(file, block('js'))
  const { verifyEvent } = (await import(file)) as { verifyEvent(body: Buffer, headers: object, secret: string): unknown }
  const [secret, oldSecret] = ['whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD', 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=']
  const event = { ...ServiceEvent.parse(JSON.parse(block('json'))), data: { label: 'Łódź 🎬' } }
  const { headers, body } = signEvent(event, [secret, oldSecret], new Date())
  for (const live of [secret, oldSecret]) {
    t.same(verifyEvent(Buffer.from(body), headers, live), event)
    t.same(new Webhook(live).verify(body, headers), event)
  }
  t.throws(() => verifyEvent(Buffer.from(body), headers, 'whsec_bm90IHRoZSBzZWNyZXQgdGhhdCBzaWduZWQgaXQ='))
  t.throws(() => verifyEvent(Buffer.from(`${body} `), headers, secret))
  t.throws(() => verifyEvent(Buffer.from(body), { ...headers, 'webhook-id': 'evt_other' }, secret))
  const old = signEvent(event, [secret], new Date(Date.now() - 301_000))
  t.throws(() => verifyEvent(Buffer.from(old.body), old.headers, secret), { message: /too old/ })
})

t.test('the waits and the metrics on the page are those of the dispatcher', async (t) => {
  const inWords = (seconds: number) =>
    seconds < 60 ? `${seconds} s` : seconds < 3600 ? `${seconds / 60} min` : `${seconds / 3600} h`
  const waits: string[] = []
  for (let wait = waitAfter(1, 0, 0); wait !== null; wait = waitAfter(waits.length + 1, 0, 0)) waits.push(inWords(wait))
  t.match(page, `${waits.slice(0, -1).join(', ')} and ${waits.at(-1)}`)
  t.equal(waits.length, 9)
  const known = (await createMetrics().registry.getMetricsAsJSON()).map(({ name }) => name)
  for (const [, name = ''] of page.matchAll(/`(event_\w+)`/g)) t.ok(known.includes(name), name)
})

t.test('S57, S23: a receiver that cannot be right stops the start, and neither its URL nor its secret is said', (t) => {
  const secret = `whsec_${Buffer.alloc(32, 'entropy').toString('base64')}`
  const webhooks = (text: string) =>
    loadConfig({ TIKTOK_CLIENT_KEY: 'awkey', TIKTOK_CLIENT_SECRET: 'a-long-secret', EVENT_WEBHOOKS: text }).eventWebhooks
  const [one, other] = ['https://app.example.com/hook?x=1', 'http://127.0.0.1:4000/hook']
  t.same(webhooks(''), [])
  t.same(webhooks(`${one}|${secret}, ${other}|${secret}|${secret.slice(6)}`), [
    { url: one, secrets: [secret] },
    { url: other, secrets: [secret, secret.slice(6)] },
  ])
  const bad = [
    one,
    `${one}|`,
    `${one}|short`,
    `${one}|whsec_${'A'.repeat(43)}=`,
    `${one}|${secret}|${secret}|${secret}`,
    `${one}|${secret},${one}|${secret}`,
    `http://app.example.com/hook|${secret}`,
    `https://user:password@app.example.com/hook|${secret}`,
    `https://10.0.0.8/hook|${secret}`,
    `https://[fd00::1]/hook|${secret}`,
    `https://169.254.169.254/latest|${secret}`,
    `ftp://app.example.com|${secret}`,
    `app.example.com|${secret}`,
  ]
  for (const text of bad) {
    try {
      webhooks(text)
      t.fail(text)
    } catch (error) {
      const message = error instanceof ConfigError ? error.message : ''
      t.match(message, /^EVENT_WEBHOOKS must /, text)
      t.notMatch(message, /example\.com|entropy|short/)
    }
  }
  t.end()
})
