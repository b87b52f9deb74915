// Events are pushed, signed and in time, to receivers that are slow, down or gone.
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import dns from 'node:dns'
import { once } from 'node:events'
import { syncBuiltinESMExports } from 'node:module'
import { fileURLToPath } from 'node:url'
import postgres from 'postgres'
import { Webhook } from 'standardwebhooks'
import t from 'tap'
import { type Db, openDb } from '../../src/db/client.ts'
import { deliveryBacklog, enableEndpoint, listDeadLetters, listEndpoints, resendDeadLetters } from '../../src/db/deliveries.ts'
import { purgeEvents } from '../../src/db/events.ts'
import { createDispatcher, measureDeliveries, type Target, waitAfter } from '../../src/events/dispatcher.ts'
import { openReceiver } from '../../src/events/receiver.ts'
import { createMetrics } from '../../src/metrics.ts'
import { createLog } from '../../src/telemetry.ts'
import { freshDatabase } from '../postgres.ts'
import { eventually } from '../rig/eventually.ts'
import { startReceiver } from '../rig/receiver.ts'
import { everythingShown } from '../rig/shown.ts'
import { recede } from '../rig/time.ts'
import { startWorld } from '../world.ts'

interface Teardown {
  teardown(work: () => unknown): unknown
}

const newSecret = () => `whsec_${randomBytes(32).toString('base64')}`

/** A database, and events and dispatchers on it. */
async function startPost(t: Teardown) {
  const { url } = await freshDatabase(t)
  const db: Db = openDb({ url })
  const sql = postgres(url, { max: 1, onnotice: () => {} })
  t.teardown(async () => {
    await db.close()
    await sql.end()
  })
  const metrics = createMetrics()
  return {
    url,
    db,
    sql,
    metrics,
    dispatcher(target: Target, timeoutMs = 2000) {
      const dispatcher = createDispatcher({ db, log: createLog('silent'), metrics }, target, { timeoutMs })
      t.teardown(() => dispatcher.stop())
      return dispatcher
    },
    /** What happened: so many recovered accounts. */
    async announce(count = 1): Promise<string[]> {
      const rows = await sql<{ id: string }[]>`
        insert into events (type, account_id, data)
        select 'account.recovered', 'acc_' || n, jsonb_build_object('account_id', 'acc_' || n, 'owner_id', 'user_42')
        from generate_series(1, ${count}::int) n returning id`
      await everythingShown(db)
      return rows.map(({ id }) => id)
    },
    /** For the deliveries; what happened has happened when it did. */
    timePasses: (seconds: number) => recede(sql, seconds, { deliveries: 'true' }),
  }
}

/** Rounds until nothing is left to do now. */
async function rounds(dispatcher: ReturnType<typeof createDispatcher>): Promise<void> {
  for (let restMs = 0; restMs === 0; await dispatcher.settled()) restMs = await dispatcher.round()
}

function resolveBy(lookup: typeof dns.lookup): void {
  dns.lookup = lookup
  syncBuiltinESMExports()
}

const idsOf = (received: { headers: Record<string, string> }[]) => received.map(({ headers }) => headers['webhook-id'])

t.test('S55: what is pushed is what the feed shows, signed with every live secret', async (t) => {
  const receiver = await startReceiver(t)
  const [secret, oldSecret] = [newSecret(), newSecret().slice('whsec_'.length)]
  const world = await startWorld(t, { env: { EVENT_WEBHOOKS: `${receiver.url}|${secret}|${oldSecret}` } })
  const [target] = world.config.eventWebhooks
  if (!target) throw new Error('the endpoint is configured')
  const dispatcher = createDispatcher(world.parts, target)
  t.teardown(() => dispatcher.stop())
  await dispatcher.round()
  await world.connect()
  await everythingShown(world.parts.db)
  await rounds(dispatcher)

  const { body: page } = await world.call<{ events: object[] }>('GET', '/events')
  t.equal(receiver.received.length, 1)
  const [received] = receiver.received
  t.match(received?.headers, { 'content-type': 'application/json', 'webhook-timestamp': /^\d{10}$/ })
  for (const live of [secret, oldSecret])
    t.same(new Webhook(live).verify(received?.body ?? '', received?.headers ?? {}), page.events[0])
  t.throws(() => new Webhook(newSecret()).verify(received?.body ?? '', received?.headers ?? {}))
  t.throws(() => new Webhook(secret).verify(`${received?.body} `, received?.headers ?? {}))
  t.equal(received?.headers['webhook-id'], (page.events[0] as { id: string }).id)
  t.notMatch(world.logged(), new RegExp(secret.slice(6, 20).replace(/[+/]/g, '.')))
})

t.test('the service pushes by itself, and an endpoint hears what happens from when it is configured', async (t) => {
  const receiver = await startReceiver(t)
  const post = await startPost(t)
  await post.announce()
  const env = { EVENT_WEBHOOKS: `${receiver.url}|${newSecret()}`, DATABASE_URL: post.url }
  const world = await startWorld(t, { env, background: true })
  await eventually('the endpoint is known', async () => (await listEndpoints(world.parts.db)).length === 1)
  const arrived = new Promise<string>((resolve) =>
    receiver.answer((response, { body }) => resolve(body) ?? response.writeHead(204).end()),
  )
  const account = await world.connect()
  t.match(JSON.parse(await arrived), { type: 'account.connected', data: { account_id: account.id } })
  t.equal(receiver.received.length, 1)
})

t.test('F51: a receiver that is down gets it later, under the same id and with a fresh signature', async (t) => {
  const receiver = await startReceiver(t)
  const post = await startPost(t)
  const secret = newSecret()
  const dispatcher = post.dispatcher({ url: receiver.url, secrets: [secret] })
  await dispatcher.round()
  const [id] = await post.announce()
  receiver.answer(500)
  await rounds(dispatcher)
  await rounds(dispatcher)
  t.equal(receiver.received.length, 1, 'not again at once')
  await post.timePasses(7)
  receiver.answer((response) => response.destroy())
  await rounds(dispatcher)
  await post.timePasses(6 * 60 + 1)
  receiver.answer(200)
  await rounds(dispatcher)
  await post.timePasses(7 * 86_400)
  await rounds(dispatcher)

  t.same(idsOf(receiver.received), [id, id, id])
  t.equal(new Set(receiver.received.map(({ body }) => body)).size, 1, 'the same bytes')
  for (const { body, headers } of receiver.received) t.ok(new Webhook(secret).verify(body, headers))
  t.match(await deliveryBacklog(post.db, [dispatcher.endpointId]), { waiting: 0, dead: 0 })
})

t.test('tries go on for three days, with jitter, and a receiver may ask for more time', (t) => {
  const waits = Array.from({ length: 10 }, (_, n) => waitAfter(n + 1, 0, 0))
  t.same(waits, [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400, null])
  const days = waits.reduce<number>((sum, wait) => sum + (wait ?? 0), 0) / 86_400
  t.ok(days > 3 && days < 4)
  t.equal(waitAfter(1, 0, 1), 6)
  t.equal(waitAfter(1, 120, 0), 120)
  t.equal(waitAfter(1, 9_999_999, 0), 86_400)
  t.end()
})

t.test('F51: a slow receiver holds up nobody else, and a full one not even the next event', async (t) => {
  const [slow, quick] = [await startReceiver(t), await startReceiver(t)]
  const post = await startPost(t)
  const dispatchers = [slow, quick].map(({ url }) => post.dispatcher({ url, secrets: [newSecret()] }, 700))
  const [toSlow, toQuick] = dispatchers
  if (!toSlow || !toQuick) throw new Error('two dispatchers')
  for (const dispatcher of dispatchers) await dispatcher.round()
  slow.answer(() => undefined)
  await post.announce(20)
  await toSlow.round()
  await rounds(toQuick)
  t.equal(quick.received.length, 20)
  t.equal(slow.received.length, 8, 'no more at once than a receiver should have to bear')
  await toSlow.settled()
  const [failed] =
    await post.sql`select last_code, attempts from deliveries where endpoint_id = ${toSlow.endpointId} and last_code is not null`
  t.match(failed, { last_code: 'timeout', attempts: 1 })
})

t.test('F51: 410 ends the pushing until the endpoint is configured anew, and nothing is lost', async (t) => {
  const receiver = await startReceiver(t)
  const post = await startPost(t)
  const secret = newSecret()
  const dispatcher = post.dispatcher({ url: receiver.url, secrets: [secret] })
  await dispatcher.round()
  const [gone] = await post.announce()
  receiver.answer(410)
  await rounds(dispatcher)
  const later = await post.announce(3)
  await post.timePasses(86_400)
  await rounds(dispatcher)
  t.same(idsOf(receiver.received), [gone])
  t.match(await listEndpoints(post.db), [{ origin: new URL(receiver.url).origin, disabledAt: Date, dead: 1 }])

  receiver.answer(204)
  const restarted = post.dispatcher({ url: receiver.url, secrets: [secret] })
  await rounds(restarted)
  t.equal(receiver.received.length, 1, 'a restart is no new configuration')
  const reconfigured = post.dispatcher({ url: receiver.url, secrets: [newSecret(), secret] })
  await rounds(reconfigured)
  t.same(idsOf(receiver.received).slice(1).sort(), [...later].sort())
  t.equal(await resendDeadLetters(post.db, gone ?? '', 'operator'), 1)
  await rounds(reconfigured)
  t.equal(receiver.received.at(-1)?.headers['webhook-id'], gone)
})

t.test('an endpoint that said 410 can be enabled by hand', async (t) => {
  const receiver = await startReceiver(t)
  const post = await startPost(t)
  const dispatcher = post.dispatcher({ url: receiver.url, secrets: [newSecret()] })
  await dispatcher.round()
  await post.announce(2)
  receiver.answer(410)
  await rounds(dispatcher)
  receiver.answer(204)
  t.ok(await enableEndpoint(post.db, dispatcher.endpointId, 'operator'))
  t.notOk(await enableEndpoint(post.db, 'ep_unknown', 'operator'))
  await resendDeadLetters(post.db, null, 'operator')
  await rounds(dispatcher)
  t.match(await listEndpoints(post.db), [{ disabledAt: null, waiting: 0, dead: 0 }])
})

t.test('S57: after ten tries it is a dead letter: listed, counted, and sent again by hand', async (t) => {
  const receiver = await startReceiver(t)
  const post = await startPost(t)
  const dispatcher = post.dispatcher({ url: receiver.url, secrets: [newSecret()] })
  await dispatcher.round()
  const [id] = await post.announce()
  receiver.answer(503)
  for (let days = 0; days < 12; days++) {
    await rounds(dispatcher)
    await post.timePasses(1.3 * 86_400)
  }
  t.equal(receiver.received.length, 10)
  t.match(await listDeadLetters(post.db, 10), [{ eventId: id, type: 'account.recovered', attempts: 10, lastCode: 'status_503' }])
  await measureDeliveries(post, [dispatcher])
  t.match(await post.metrics.registry.metrics(), /^event_dead_letters 1$/m)

  receiver.answer(204)
  t.equal(await resendDeadLetters(post.db, 'evt_other', 'operator'), 0)
  t.equal(await resendDeadLetters(post.db, id ?? '', 'operator'), 1)
  await rounds(dispatcher)
  t.equal(receiver.received.at(-1)?.headers['webhook-id'], id)
  t.same(await listDeadLetters(post.db, 10), [])
})

t.test('F52: a dispatcher that is killed after its POST: another delivers again, under the same id', async (t) => {
  const receiver = await startReceiver(t)
  const post = await startPost(t)
  const secret = newSecret()
  const dispatcher = post.dispatcher({ url: receiver.url, secrets: [secret] })
  await dispatcher.round()
  const [id] = await post.announce()
  let child: ChildProcess | undefined
  let ended: Promise<unknown> | undefined
  t.teardown(() => child?.kill('SIGKILL'))
  const killed = new Promise<void>((resolve) => {
    receiver.answer((response) => {
      // It has the event; before it can say so, whoever sent it is gone.
      child?.kill('SIGKILL')
      void ended?.then(() => resolve(void response.destroy()))
    })
  })
  const { NODE_OPTIONS: _, ...env } = process.env
  const file = fileURLToPath(new URL('../rig/dispatcher.ts', import.meta.url))
  child = spawn(process.execPath, [file, post.url, receiver.url, secret], { env, stdio: ['ignore', 'ignore', 'inherit'] })
  ended = once(child, 'exit')
  await killed

  receiver.answer(204)
  await rounds(dispatcher)
  t.same(idsOf(receiver.received), [id], 'while its lease runs nobody interferes')
  await post.timePasses(31)
  await rounds(dispatcher)
  t.same(idsOf(receiver.received), [id, id])
  t.equal(receiver.received[0]?.body, receiver.received[1]?.body)
  await post.timePasses(3600)
  await rounds(dispatcher)
  t.equal(receiver.received.length, 2)
})

t.test('replicas share the deliveries: each event arrives once', async (t) => {
  const receiver = await startReceiver(t)
  const post = await startPost(t)
  const target = { url: receiver.url, secrets: [newSecret()] }
  const replicas = [post.dispatcher(target), post.dispatcher(target), post.dispatcher(target)]
  for (const replica of replicas) await replica.round()
  const ids = await post.announce(120)
  await Promise.all(replicas.map(rounds))
  await rounds(replicas[0] ?? post.dispatcher(target))
  t.same(idsOf(receiver.received).sort(), [...ids].sort())
})

t.test('a late failure of a lost lease does not undo what the next holder achieved', async (t) => {
  const receiver = await startReceiver(t)
  const post = await startPost(t)
  const target = { url: receiver.url, secrets: [newSecret()] }
  const [paused, neighbour] = [post.dispatcher(target, 10_000), post.dispatcher(target)]
  await paused.round()
  await post.announce()
  const slow = new Promise<() => void>((resolve) => receiver.answer((response) => resolve(() => response.writeHead(500).end())))
  await paused.round()
  const fail = await slow
  receiver.answer(204)
  await post.timePasses(31)
  await rounds(neighbour)
  fail()
  await paused.settled()
  await post.timePasses(86_400)
  await rounds(neighbour)
  t.equal(receiver.received.length, 2)
  t.match(await deliveryBacklog(post.db, [neighbour.endpointId]), { waiting: 0, dead: 0 })
})

t.test(
  'S57: redirects are not followed, private addresses are not called, and a dripping answer is not waited for',
  async (t) => {
    const [receiver, elsewhere] = [await startReceiver(t), await startReceiver(t)]
    const never = new AbortController().signal
    const envelope = { headers: {}, body: '{}' }
    const post = async (url: string, timeoutMs = 1000) => {
      const receiver = openReceiver(url, { connections: 1, timeoutMs })
      try {
        return await receiver.post(envelope, never)
      } finally {
        await receiver.close()
      }
    }
    receiver.answer((response) => response.writeHead(307, { location: elsewhere.url }).end())
    t.same(await post(receiver.url), { kind: 'failed', code: 'redirected' })
    t.equal(elsewhere.received.length, 0)

    const notAllowed = { kind: 'failed', code: 'address_not_allowed' }
    for (const host of ['10.1.2.3', '192.168.0.1', '169.254.169.254', '[fd00::1]', '[::ffff:10.0.0.1]', '0.0.0.0'])
      t.same(await post(`https://${host}/hook`), notAllowed, host)
    const { lookup } = dns
    t.teardown(() => resolveBy(lookup))
    resolveBy(((_name: string, _options: object, done: (error: null, found: object[]) => void) =>
      done(null, [{ address: '10.1.2.3', family: 4 }])) as unknown as typeof lookup)
    t.same(await post('https://receiver.example.com/hook'), notAllowed, 'a name that leads into our own network')
    t.same(await post('http://example.com/hook'), notAllowed, 'not encrypted')

    receiver.answer((response) => void response.writeHead(200).write('.'))
    t.same(await post(receiver.url), { kind: 'delivered' })
    receiver.answer((response) => response.writeHead(429, { 'retry-after': '90' }).end())
    t.same(await post(receiver.url), { kind: 'failed', code: 'status_429', retryAfterSeconds: 90 })
    receiver.answer(() => undefined)
    t.same(await post(receiver.url, 50), { kind: 'failed', code: 'timeout' })
    t.same(await post('http://127.0.0.1:9/hook'), { kind: 'failed', code: 'refused' })
  },
)

t.test('neither secrets nor whole URLs are in the database, and deliveries go with their events', async (t) => {
  const receiver = await startReceiver(t)
  const post = await startPost(t)
  const secret = newSecret()
  const dispatcher = post.dispatcher({ url: `${receiver.url}?token=part-of-the-address`, secrets: [secret] })
  await dispatcher.round()
  await post.announce(2)
  await rounds(dispatcher)
  const rows = await post.sql`select to_jsonb(p) as row from event_endpoints p union all select to_jsonb(d) from deliveries d`
  t.equal(rows.length, 3)
  t.notMatch(JSON.stringify(rows), /part-of-the-address/)
  t.notOk(JSON.stringify(rows).includes(secret.slice('whsec_'.length)))
  await recede(post.sql, 31 * 86_400)
  t.equal(await purgeEvents(post.db, 30, 500), 2)
  t.match(await post.sql`select count(*)::int as n from deliveries`, [{ n: 0 }])
})

t.test('stopping waits for a POST that is under way, and starts no other', async (t) => {
  const receiver = await startReceiver(t)
  const post = await startPost(t)
  const dispatcher = post.dispatcher({ url: receiver.url, secrets: [newSecret()] })
  await dispatcher.round()
  await post.announce()
  const underway = new Promise<() => void>((resolve) =>
    receiver.answer((response) => resolve(() => response.writeHead(204).end())),
  )
  await dispatcher.round()
  const finish = await underway
  const stopped = dispatcher.stop()
  await post.announce()
  await dispatcher.round()
  finish()
  await stopped
  t.equal(receiver.received.length, 1)
  t.match(await post.sql`select delivered_at from deliveries`, [{ delivered_at: Date }])
})
