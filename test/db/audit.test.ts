// The audit: a row for every token that left, added to and never changed, kept for as long as it was promised.
import postgres from 'postgres'
import t from 'tap'
import { startApp } from '../../src/app.ts'
import {
  dropOldPartitions,
  ensurePartitions,
  ownerInAuditLog,
  readChanges,
  readTokenReads,
  type TokenRead,
} from '../../src/db/audit.ts'
import { applyRetention } from '../../src/operate/retention.ts'
import { createLog } from '../../src/telemetry.ts'
import { freshDatabase } from '../postgres.ts'
import { eventually } from '../rig/eventually.ts'
import { seedAccounts } from '../rig/seed.ts'
import { restrictService, serviceRole } from '../rig/service-role.ts'
import { recede } from '../rig/time.ts'
import { startWorld } from '../world.ts'

interface Teardown {
  teardown(work: () => unknown): unknown
}

function connect(t: Teardown, url: string): postgres.Sql {
  const sql = postgres(url, { max: 2, onnotice: () => {} })
  t.teardown(() => sql.end())
  return sql
}

t.test('no row, no token: an audit that takes no row stops the tokens (S27)', async (t) => {
  const world = await startWorld(t)
  const account = await world.connect()
  const sql = connect(t, world.databaseUrl)
  await sql.unsafe(`create function refuse() returns trigger language plpgsql as $$ begin raise exception 'the audit is full'; end $$;
    create trigger refuse before insert on token_reads for each row execute function refuse()`)
  const refused = await world.call('GET', `/accounts/${account.id}/token`)
  t.equal(refused.status, 500)
  t.notMatch(refused.text, /access_token/)
  await sql`drop trigger refuse on token_reads`
  t.equal((await world.call('GET', `/accounts/${account.id}/token`)).status, 200)
})

t.test('each token that leaves has its row: caller, account, generation, request, time (S27, S72)', async (t) => {
  const world = await startWorld(t)
  const [mara, jonas] = [await world.connect(), await world.connect({ person: 'jonas' })]
  const [one, two] = [await world.key('tokens:read'), await world.key('tokens:read')]
  for (let i = 0; i < 3; i++) await world.call('GET', `/accounts/${mara.id}/token`, { key: one })
  await world.call('POST', `/accounts/${mara.id}/token/rejected`, { key: two, body: { generation: 1 } })
  await world.call('GET', `/accounts/${jonas.id}/token`, { key: two })
  await world.call('GET', '/accounts/acc_unknown/token', { key: two })

  const idOf = (key: string) => `key_${key.split('_')[1]}`
  const ask = async (filter: Partial<Parameters<typeof readTokenReads>[1]>) => {
    const found: TokenRead[] = []
    const all = { keyId: null, accountId: null, from: null, to: null, ...filter }
    const count = await readTokenReads(world.parts.db, all, async (reads) => void found.push(...reads))
    t.equal(count, found.length)
    return found.map(({ keyId, accountId, generation }) => [keyId, accountId, generation])
  }
  const ofOne = [1, 1, 1].map((generation) => [idOf(one), mara.id, generation])
  t.same(await ask({ keyId: idOf(one) }), ofOne, 'what did this key read?')
  t.same(await ask({ accountId: mara.id }), [...ofOne, [idOf(two), mara.id, 2]], 'who read this account?')
  const hour = 3_600_000
  t.equal(
    (await ask({ from: new Date(Date.now() - hour), to: new Date(Date.now() + hour) })).length,
    5,
    'every token of a time span',
  )
  t.same(await ask({ to: new Date(Date.now() - hour) }), [])
})

t.test('an answer of any length is read piece by piece', async (t) => {
  const world = await startWorld(t)
  const sql = connect(t, world.databaseUrl)
  await sql`
    insert into token_reads (at, account_id, key_id, generation, request_id)
    select now() - n * interval '1 second', 'acc_1', 'key_1', 1, 'req_' || n from generate_series(1, 2200) n`
  const pieces: number[] = []
  const everything = { keyId: 'key_1', accountId: null, from: null, to: null }
  t.equal(await readTokenReads(world.parts.db, everything, async (reads) => void pieces.push(reads.length)), 2200)
  t.same(pieces, [500, 500, 500, 500, 200])
})

t.test('changes of accounts and of keys are found by their account and by who made them', async (t) => {
  const world = await startWorld(t)
  const account = await world.connect()
  const key = await world.key('accounts:write', 'owners:write')
  for (const tier of ['creator', 'creator', 'business']) await world.call('PUT', '/owners/user_42', { key, body: { tier } })
  await world.call('PATCH', `/accounts/${account.id}`, { key, body: { label: 'Main shop' } })
  await world.call('DELETE', `/accounts/${account.id}`, { key })
  const ask = async (filter: Partial<Parameters<typeof readChanges>[1]>) => {
    const found: string[] = []
    const all = { actor: null, object: null, from: null, to: null, ...filter }
    await readChanges(world.parts.db, all, async (changes) => void found.push(...changes.map(({ action }) => action)))
    return found
  }
  t.same(await ask({ object: account.id }), ['connected', 'label_changed', 'disconnected', 'grant_revoked'])
  const keyId = `key_${key.split('_')[1]}`
  t.same(await ask({ actor: keyId }), ['tier_set', 'tier_set', 'label_changed', 'disconnected'])
  t.same(await ask({ object: ownerInAuditLog('user_42') }), ['tier_set', 'tier_set'], 'an owner by the hash of its id')
  const auditLog = await world.parts.db.run('audit_log', (sql) => sql`select row_to_json(t)::text as text from audit_log t`)
  t.notMatch(JSON.stringify(auditLog), /user_42/, 'which may have to be erased one day')
  t.same(await ask({ object: keyId }), ['api_key_created'])
})

t.test(
  'under the role of ops/roles.sql the whole life works, and no row of the audit can be changed or taken away',
  async (t) => {
    const { url: ownerUrl } = await freshDatabase(t)
    const owner = connect(t, ownerUrl)
    const databaseUrl = await restrictService(ownerUrl)
    await owner.unsafe(`grant insert on api_keys to ${serviceRole}`) // the world makes its keys itself
    const world = await startWorld(t, { env: { DATABASE_URL: databaseUrl } })
    await owner.unsafe(`revoke insert on api_keys from ${serviceRole}`)

    const account = await world.connect()
    t.match(await world.call('GET', `/accounts/${account.id}/token`), { status: 200, body: { generation: 1 } })
    world.tiktok.clock.advance(7200)
    await recede(owner, 7200)
    t.match(await world.call('GET', `/accounts/${account.id}/token`), { status: 200, body: { generation: 2 } })
    const answers = {
      reserve: await world.call('POST', `/accounts/${account.id}/uploads`, { headers: { 'idempotency-key': 'one' }, body: {} }),
      verify: await world.call('POST', `/accounts/${account.id}/verify`),
      label: await world.call('PATCH', `/accounts/${account.id}`, { body: { label: 'Shop' } }),
      list: await world.call('GET', '/accounts'),
      timeline: await world.call('GET', `/accounts/${account.id}/timeline`),
      disconnect: await world.call('DELETE', `/accounts/${account.id}`),
      health: await world.call('GET', '/health'),
    }
    for (const [what, { status }] of Object.entries(answers)) t.ok([200, 201, 404].includes(status), `${what}: ${status}`)
    await world.parts.revocations.attemptDue(10)
    await applyRetention(world.parts)

    const service = connect(t, databaseUrl)
    for (const table of ['token_reads', 'timeline', 'audit_log']) {
      for (const statement of [
        `update ${table} set actor = 'x'`.replace("token_reads set actor = 'x'", "token_reads set key_id = 'x'"),
        `delete from ${table}`,
        `truncate ${table}`,
        `drop table ${table}`,
      ])
        await t.rejects(service.unsafe(statement), { code: '42501' }, statement)
    }
    const [day] = await owner<
      { name: string }[]
    >`select inhrelid::regclass::text as name from pg_inherits where inhparent = 'token_reads'::regclass order by 1`
    for (const statement of [
      `delete from ${day?.name}`,
      `drop table ${day?.name}`,
      `alter table token_reads detach partition ${day?.name}`,
      "insert into api_keys (id, name, secret_hash, scopes) values ('key_x', 'x', 'x', '{tokens:read}')",
      'update api_keys set revoked_at = null, expires_at = null',
      'delete from vault_keys',
      'create table mine (x int)',
      'alter function drop_daily_partitions(text, integer) reset all',
    ])
      await t.rejects(service.unsafe(statement), { code: '42501' }, statement)
    for (const days of [0, 31, 89])
      await t.rejects(
        service`select drop_daily_partitions('token_reads', ${days})`,
        { code: '22023' },
        `S76: retention is not its to shorten (${days})`,
      )
    await t.rejects(service`select drop_old_audit_log(364, 100)`, { code: '22023' }, 'nor that of the audit log')
    const forged: Record<string, string> = {
      'a token read of yesterday': `insert into token_reads (at, account_id, key_id, generation, request_id) values (now() - interval '1 day', 'acc_1', 'key_1', 1, 'req_1')`,
      'a change of yesterday': `insert into timeline (at, account_id, kind, actor) values (now() - interval '1 day', 'acc_1', 'connected', 'service')`,
      'a log entry of tomorrow': `insert into audit_log (at, actor, action, object) values (now() + interval '1 day', 'service', 'x', 'x')`,
    }
    for (const [what, statement] of Object.entries(forged))
      await t.rejects(service.unsafe(statement), { code: '42501' }, `${what}`)
    for (const statement of [
      `insert into audit_log (actor, action, object) values ('operator', 'api_key_created', 'key_x')`,
      `insert into timeline (account_id, kind, actor) values ('acc_1', 'disconnected', 'operator')`,
    ])
      await t.rejects(service.unsafe(statement), { code: '23514' }, 'S76: nobody but the owner writes as operator')
    await owner.unsafe(`insert into audit_log (actor, action, object) values ('operator', 'tried', 'x')`)
    await t.rejects(service`select drop_daily_partitions('accounts', 90)`, { code: '22023' }, 'and only the audit has days')
  },
)

t.test('retention drops whole days, and what the default partition holds of them', async (t) => {
  const world = await startWorld(t)
  const sql = connect(t, world.databaseUrl)
  const insert = (days: number) => sql`
    insert into token_reads (at, account_id, key_id, generation, request_id) values (now() - make_interval(days => ${days}), 'acc_1', 'key_1', 1, ${`req_${days}`})`
  const makeDay = (days: number) =>
    sql.unsafe(`do $$ declare day date := (now() at time zone 'UTC')::date - ${days}; begin
    execute format('create table token_reads_%s partition of token_reads for values from (%L) to (%L)', to_char(day, 'YYYYMMDD'), day::text || ' 00:00+00', (day + 1)::text || ' 00:00+00'); end $$`)
  for (const days of [95, 91, 89]) await makeDay(days)
  for (const days of [120, 95, 91, 89, 0]) await insert(days) // no partition was made for the first
  t.equal(await dropOldPartitions(world.parts.db, 'token_reads', 90), 2)
  t.same(
    (await sql`select request_id from token_reads order by at`).map(({ request_id }) => request_id),
    ['req_89', 'req_0'],
  )
})

t.test('a long look at the audit holds up neither the tokens nor the house', async (t) => {
  const world = await startWorld(t)
  const account = await world.connect()
  const sql = connect(t, world.databaseUrl)
  await sql.unsafe(
    `create table token_reads_20200101 partition of token_reads for values from ('2020-01-01 00:00+00') to ('2020-01-02 00:00+00')`,
  )
  await sql.unsafe(
    `drop table token_reads_${(await sql`select to_char((now() at time zone 'UTC')::date + 7, 'YYYYMMDD') as day`)[0]?.day}`,
  )
  const looking = await sql.reserve()
  await looking.unsafe('begin; declare look cursor for select * from token_reads; fetch 1 from look')

  const house = Promise.all([ensurePartitions(world.parts.db), dropOldPartitions(world.parts.db, 'token_reads', 90)])
  let isPutOff = false
  house.finally(() => {
    isPutOff = true
  })
  await eventually('the house waits for its lock, and whoever comes later waits behind it', async () => {
    const waiting = await sql`select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`
    return waiting.length > 0 || isPutOff
  })
  t.equal((await world.call('GET', `/accounts/${account.id}/token`)).status, 200, 'while the look still holds its own')
  t.same(await house, [0, 0], 'put off until the next round')
  await looking.unsafe('commit')
  looking.release()
  t.same(await Promise.all([ensurePartitions(world.parts.db), dropOldPartitions(world.parts.db, 'token_reads', 90)]), [1, 1])
})

t.test(
  'a key reads so many accounts in ten minutes and no more, over all replicas; without the cap nothing is counted',
  async (t) => {
    const cap = 3
    const world = await startWorld(t, { env: { READ_CAP_ACCOUNTS_PER_KEY: String(cap) } })
    const second = await startApp(world.config, { log: createLog('silent'), background: false })
    t.teardown(() => second.close())
    const sql = connect(t, world.databaseUrl)
    const accounts = await seedAccounts({ sql, vault: world.parts.vault, tiktok: world.tiktok }, { count: 20 })
    const [thief, other] = [await world.key('tokens:read'), await world.key('tokens:read')]
    const read = async (id: string, key: string, index = 0) => {
      const base = index % 2 === 0 ? world.app.url : second.url
      const answer = await fetch(`${base}/accounts/${id}/token`, { headers: { authorization: `Bearer ${key}` } })
      return {
        id,
        status: answer.status,
        wait: Number(answer.headers.get('retry-after')),
        body: (await answer.json()) as { code?: string },
      }
    }
    const answers = await Promise.all(accounts.map(({ id }, index) => read(id, thief, index)))
    const served = answers.filter(({ status }) => status === 200)
    t.equal(served.length, cap, 'all at once on two replicas')
    for (const { status, body, wait } of answers.filter(({ status }) => status !== 200)) {
      t.same([status, body.code], [429, 'rate_limited'])
      t.ok(wait > 590 && wait <= 600)
    }
    for (const { id } of served) t.equal((await read(id, thief)).status, 200, 'what it has read it may read again')
    const unread = accounts.find(({ id }) => !served.some((account) => account.id === id))
    const forced = await world.call('POST', `/accounts/${unread?.id}/token/rejected`, { key: thief, body: { generation: 1 } })
    t.equal(forced.status, 429, 'nor can it have others refreshed')
    t.equal((await read(accounts[19]?.id ?? '', other)).status, 200, 'another key has its own')
    await recede(sql, 601)
    const later = accounts.filter(({ id }) => !served.some((account) => account.id === id)).slice(0, cap)
    for (const { id } of later) t.equal((await read(id, thief)).status, 200, 'ten minutes later it may read others')

    const free = await startWorld(t, { env: { READ_CAP_ACCOUNTS_PER_KEY: '0' } })
    const account = await free.connect()
    await free.call('GET', `/accounts/${account.id}/token`)
    t.same(await connect(t, free.databaseUrl)`select * from read_windows`, [])
  },
)
