// The feed of events: everything that happens, in an order that a poller can rely on.
import postgres from 'postgres'
import t from 'tap'
import { type EventType, eventPayloads, eventTypes } from '../../src/events/events.ts'
import { applyRetention } from '../../src/operate/retention.ts'
import { believeRejections } from '../../src/token/refresh.ts'
import { reserve } from '../../src/uploads/reservations.ts'
import { everythingShown } from '../rig/shown.ts'
import { startWorld, type World } from '../world.ts'

interface Page {
  events: { id: string; type: EventType; occurred_at: string; data: Record<string, unknown> }[]
  next_cursor: string
}

const feed = (world: World, query: Record<string, string> = {}, key?: string) =>
  world.call<Page>('GET', `/events?${new URLSearchParams(query)}`, key === undefined ? {} : { key })

const insertEvent = (sql: postgres.Sql | postgres.TransactionSql, n: number) =>
  sql`insert into events (type, account_id, data) values ('account.recovered', 'acc_1', ${sql.json({ account_id: 'acc_1', owner_id: `o${n}` })})`

/** Connections beside the service's, for transactions that take their time. */
function connectionsTo(t: { teardown(work: () => unknown): unknown }, world: World, max: number): postgres.Sql {
  const sql = postgres(world.databaseUrl, { max })
  t.teardown(() => sql.end())
  return sql
}

t.test('everything that happens is announced as its schema says, and nothing of it is a secret', async (t) => {
  const world = await startWorld(t, { env: { UPLOAD_LIMIT_PER_DAY: '1' } })
  const { parts, tiktok } = world
  const account = await world.connect({ decline: ['user.info.stats'] })
  await world.connect()
  await reserve(
    parts,
    account.id,
    { idempotencyKey: 'k', ttlSeconds: 1800 },
    { keyId: 'key_1', name: 'uploader', requestId: 'req_1' },
  )
  tiktok.faults.add({ route: 'refresh', error: 'invalid_grant' })
  await parts.refresher.refresh(account.id, 2)
  await world.timePasses(61)
  await believeRejections(parts, null, 10)
  await world.connect()
  await world.call('DELETE', `/accounts/${account.id}`)
  const refused = await world.openSession()
  await world.browser().walk(refused.authorize_url, { deny: true })

  await everythingShown(parts.db)
  const { body } = await feed(world)
  const expected = [
    'account.connected',
    'account.reconnected',
    'upload_quota.exhausted',
    'account.reauthorization_required',
    'account.reconnected',
    'account.recovered',
    'account.disconnected',
    'connect_session.failed',
  ]
  t.same(
    body.events.map(({ type }) => type),
    expected,
  )
  for (const { type, data } of body.events) t.ok(eventPayloads[type].safeParse(data).success, `${type}: ${JSON.stringify(data)}`)
  t.same(
    eventTypes.filter((type) => !expected.includes(type)),
    ['account.expiring'],
  )
  t.match(body.events[0]?.data, { account_id: account.id, owner_id: 'user_42', missing_scopes: ['user.info.stats'] })
  t.match(body.events[0]?.data.connect_session_id, /^cs_/)
  t.strictSame(body.events[7]?.data, {
    account_id: null,
    owner_id: 'user_42',
    connect_session_id: refused.id,
    error: 'access_denied',
  })
  t.match(body.events[3]?.data, { reason: 'refresh_token_rejected' })
  t.match(body.events[6]?.data, { reason: 'disconnected_by_owner' })
  for (const { id, occurred_at } of body.events) {
    t.match(id, /^evt_[0-9a-f]{32}$/)
    t.equal(new Date(occurred_at).toISOString(), occurred_at)
  }
  t.notMatch(JSON.stringify(body), /act\.|rft\.|ttk_/)
})

t.test('the feed is read page by page, and its cursor is good for polling', async (t) => {
  const world = await startWorld(t)
  const sql = connectionsTo(t, world, 1)
  const empty = await feed(world)
  t.match(empty, { status: 200, body: { events: [] } })
  for (let n = 0; n < 5; n++) await insertEvent(sql, n)
  await everythingShown(world.parts.db)

  const owners: unknown[] = []
  let after = empty.body.next_cursor
  for (const size of [2, 2, 1, 0, 0]) {
    const { body } = await feed(world, { after, limit: '2' })
    t.equal(body.events.length, size)
    owners.push(...body.events.map(({ data }) => data.owner_id))
    after = body.next_cursor
  }
  t.same(owners, ['o0', 'o1', 'o2', 'o3', 'o4'])
  await insertEvent(sql, 5)
  await everythingShown(world.parts.db)
  t.same(
    (await feed(world, { after })).body.events.map(({ data }) => data.owner_id),
    ['o5'],
  )
  t.equal((await feed(world)).body.events.length, 6, 'from the start without a cursor')
})

t.test('what commits late is not skipped: nothing younger is shown before it', async (t) => {
  const world = await startWorld(t)
  const sql = connectionsTo(t, world, 2)
  const { body: start } = await feed(world)
  const slow = await sql.reserve()
  await slow`begin`
  await insertEvent(slow, 1)
  await insertEvent(sql, 2)

  const meanwhile = await feed(world, { after: start.next_cursor })
  t.same(meanwhile.body.events, [], 'the younger one is there, and waits')
  await slow`commit`
  slow.release()
  await everythingShown(world.parts.db)
  const afterwards = await feed(world, { after: meanwhile.body.next_cursor })
  t.same(
    afterwards.body.events.map(({ data }) => data.owner_id),
    ['o1', 'o2'],
  )
})

t.test('a transaction that began early and wrote late does not slip in behind a reader', async (t) => {
  const world = await startWorld(t)
  const sql = connectionsTo(t, world, 2)
  const late = await sql.reserve()
  await late`begin`
  await late`select pg_current_xact_id()` // takes its place in the order now, and its row number later
  await insertEvent(sql, 2)
  const meanwhile = await feed(world)
  await insertEvent(late, 1)
  await late`commit`
  late.release()
  await everythingShown(world.parts.db)
  const rest = await feed(world, { after: meanwhile.body.next_cursor })
  t.same(
    [...meanwhile.body.events, ...rest.body.events].map(({ data }) => data.owner_id),
    ['o1', 'o2'],
  )
})

t.test('the order is that of numbers, and a page ends where the next begins', async (t) => {
  const world = await startWorld(t, { madeUp: true })
  const sql = connectionsTo(t, world, 1)
  for (const xid of ['9', '10', '99', '100', '101']) {
    await sql`insert into events (xid, type, data) values (${xid}::text::xid8, 'account.recovered', ${sql.json({ owner_id: xid })})`
  }
  const seen: unknown[] = []
  let after: string | undefined
  for (let page = 0; page < 3; page++) {
    const { body } = await feed(world, { limit: '2', ...(after === undefined ? {} : { after }) })
    seen.push(...body.events.map(({ data }) => data.owner_id))
    after = body.next_cursor
  }
  t.same(seen, ['9', '10', '99', '100', '101'])
})

t.test('a reader beside many writers sees each event exactly once', async (t) => {
  const world = await startWorld(t)
  const sql = connectionsTo(t, world, 8)
  const writers = Array.from({ length: 8 }, async (_, writer) => {
    for (let n = 0; n < 10; n++) {
      await sql.begin(async (tx) => {
        await insertEvent(tx, writer * 10 + n)
        await tx`select pg_sleep(${Math.random() / 50})`
      })
    }
  })
  let isWriting = true
  const written = Promise.all(writers).finally(() => {
    isWriting = false
  })
  const seen: string[] = []
  let after: string | undefined
  for (let last = false; ; ) {
    const { body } = await feed(world, { limit: '7', ...(after === undefined ? {} : { after }) })
    after = body.next_cursor
    seen.push(...body.events.map(({ data }) => String(data.owner_id)))
    if (body.events.length > 0) continue
    if (last) break
    if (isWriting) continue
    await everythingShown(world.parts.db)
    last = true
  }
  await written
  t.same([...seen].sort(), Array.from({ length: 80 }, (_, n) => `o${n}`).sort())
})

t.test('a filter leaves out the rest, and neither skips nor repeats, page by page', async (t) => {
  const world = await startWorld(t, { madeUp: true })
  const sql = connectionsTo(t, world, 1)
  for (let n = 0; n < 12; n++) {
    const data = { owner_id: `o${n % 2}`, n }
    await sql`insert into events (type, account_id, data) values (${eventTypes[n % 3] ?? ''}, ${`acc_${n % 4}`}, ${sql.json(data)})`
  }
  await everythingShown(world.parts.db)
  const all = async (query: Record<string, string>) => {
    const seen: unknown[] = []
    for (let after = ''; ; ) {
      const { status, body } = await feed(world, { ...query, limit: '2', ...(after === '' ? {} : { after }) })
      t.equal(status, 200)
      seen.push(...body.events.map(({ data }) => data.n))
      if (body.events.length < 2) return seen
      after = body.next_cursor
    }
  }
  const [first = '', second = ''] = eventTypes
  t.same(await all({ account_id: 'acc_1' }), [1, 5, 9])
  t.same(await all({ owner_id: 'o0' }), [0, 2, 4, 6, 8, 10])
  t.same(await all({ type: first }), [0, 3, 6, 9])
  t.same(await all({ type: `${second},${first},${second}` }), [0, 1, 3, 4, 6, 7, 9, 10])
  t.same(await all({ type: `${first},${second}`, owner_id: 'o1', account_id: 'acc_1' }), [1, 9])
  t.same(await all({ account_id: 'acc_none' }), [])
  t.same((await all({})).length, 12)
  for (const query of [{ type: 'account.admired' }, { type: '' }, { type: `${first},` }, { account_id: '' }, { owner_id: '..' }])
    t.equal((await feed(world, query)).status, 400, JSON.stringify(query))
})

t.test('a filter that finds nothing moves on all the same, and never past what is yet to be shown', async (t) => {
  const world = await startWorld(t, { madeUp: true })
  const sql = connectionsTo(t, world, 2)
  await insertEvent(sql, 1)
  const slow = await sql.reserve()
  await slow`begin`
  await slow`insert into events (type, account_id, data) values ('account.recovered', 'acc_2', '{"owner_id":"late"}')`
  await insertEvent(sql, 3)
  const filter = { account_id: 'acc_2' }
  const { body: empty } = await feed(world, filter)
  t.same(empty.events, [])
  await slow`commit`
  slow.release()
  await everythingShown(world.parts.db)
  const { body: rest } = await feed(world, { ...filter, after: empty.next_cursor })
  t.same(
    rest.events.map(({ data }) => data.owner_id),
    ['late'],
  )
  t.not((await feed(world, { account_id: 'acc_none' })).body.next_cursor, (await feed(world, { limit: '1' })).body.next_cursor)
})

t.test('after=latest begins with what happens from now on', async (t) => {
  const world = await startWorld(t)
  const sql = connectionsTo(t, world, 1)
  const nothing = await feed(world, { after: 'latest' })
  t.match(nothing, { status: 200, body: { events: [] } })
  for (const n of [1, 2]) await insertEvent(sql, n)
  await everythingShown(world.parts.db)
  const latest = await feed(world, { after: 'latest', account_id: 'acc_1' })
  t.same(latest.body.events, [])
  await insertEvent(sql, 3)
  await everythingShown(world.parts.db)
  const owners = async (after: string) => (await feed(world, { after })).body.events.map(({ data }) => data.owner_id)
  t.same(await owners(latest.body.next_cursor), ['o3'])
  t.same(await owners(nothing.body.next_cursor), ['o1', 'o2', 'o3'])
})

t.test('the feed needs its scope and refuses what is not its cursor', async (t) => {
  const world = await startWorld(t)
  t.equal((await feed(world, {}, await world.key('events:read'))).status, 200)
  t.match(await feed(world, {}, await world.key('accounts:read', 'ops:read')), {
    status: 403,
    body: { code: 'insufficient_scope' },
  })
  const foreign = (text: string) => Buffer.from(text).toString('base64url')
  const bad = [
    '',
    'x',
    '%00',
    foreign('1'),
    foreign('1.2.3'),
    foreign('99999999999999999999.1'),
    foreign('-1.1'),
    foreign('1.1e5'),
    'a'.repeat(65),
  ]
  for (const after of bad) t.match(await feed(world, { after }), { status: 400, body: { code: 'validation_failed' } }, after)
  for (const limit of ['0', '201', '-1', '1e1', '']) t.match(await feed(world, { limit }), { status: 400 }, `limit ${limit}`)
  t.equal((await world.call('GET', '/events?after=MC4w&after=MC4w')).status, 400)
})

t.test('an event that a younger replica wrote and this one does not know is shown all the same', async (t) => {
  const world = await startWorld(t, { madeUp: true })
  const sql = connectionsTo(t, world, 1)
  await sql`insert into events (type, data) values ('account.admired', '{"by":"everybody"}')`
  await everythingShown(world.parts.db)
  t.match(await feed(world), { status: 200, body: { events: [{ type: 'account.admired', data: { by: 'everybody' } }] } })
})

t.test('events are kept for 30 days', async (t) => {
  const world = await startWorld(t)
  const sql = connectionsTo(t, world, 1)
  await insertEvent(sql, 1)
  await world.timePasses(29 * 86_400)
  await insertEvent(sql, 2)
  await everythingShown(world.parts.db)
  await applyRetention(world.parts)
  t.equal((await feed(world)).body.events.length, 2)
  await world.timePasses(2 * 86_400)
  await applyRetention(world.parts)
  t.same(
    (await feed(world)).body.events.map(({ data }) => data.owner_id),
    ['o2'],
  )
})
