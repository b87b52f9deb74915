// Handing out access tokens: fresh enough, audited, and an honest answer when there is none.
import postgres from 'postgres'
import t from 'tap'
import { everything } from '../../src/access/reach.ts'
import type { Account } from '../../src/account/account.ts'
import { claimTokenSet, releaseClaim } from '../../src/db/claims.ts'
import type { BatchedStatement } from '../../src/db/client.ts'
import { newId } from '../../src/ids.ts'
import { type VendedToken, vend } from '../../src/token/vend.ts'
import { eventually } from '../rig/eventually.ts'
import { startProxy } from '../rig/proxy.ts'
import { type Answer, startWorld, type World } from '../world.ts'

const world = await startWorld(t)
const twoHours = 7200
let owners = 0

t.test('S26: a token comes with all an uploader needs and is never cached', async (t) => {
  const account = await connected(world)
  const { status, headers, body } = await read(world, account)
  t.equal(status, 200)
  t.equal(headers['cache-control'], 'no-store')
  t.match(body.access_token, /^act\./)
  t.strictSame(
    { ...body, access_token: '', expires_at: '', expires_in: 0 },
    {
      access_token: '',
      token_type: 'Bearer',
      expires_at: '',
      expires_in: 0,
      scopes: ['user.info.basic', 'user.info.profile', 'user.info.stats', 'video.upload'],
      open_id: account.open_id,
      generation: 1,
    },
  )
  t.ok(body.expires_in > twoHours - 30 && body.expires_in <= twoHours)
  t.equal(body.expires_at, account.token?.expires_at)
  t.ok(world.tiktok.grants.byAccessToken(body.access_token), 'TikTok takes it')
  t.equal((await world.call('GET', `/accounts/${account.id}/token?token=${body.access_token}`)).status, 400)
})

t.test('S25: no answer of the whole API holds the refresh token or a sealed text', async (t) => {
  const account = await connected(world)
  const person = world.tiktok.people.findByOpenId(account.open_id ?? '')
  const grant = person && world.tiktok.grants.ofPerson(person)[0]
  const paths = ['', '/token', '/timeline', '/health', '/quota'].map((rest) => `/accounts/${account.id}${rest}`)
  const answers = await Promise.all(
    [...paths, '/accounts', '/metrics', '/health', '/openapi.json'].map((path) => world.call('GET', path)),
  )
  for (const { text } of answers) {
    t.notMatch(text, grant?.refreshToken ?? /./)
    t.notMatch(text, /rft\.|"v1\.k1\.|client_secret":"|sealed[_A-Z]/)
    t.notMatch(text, world.tiktok.clientSecret)
  }
})

t.test('S27: every token that leaves is in the audit, with who, whose, which and when', async (t) => {
  const accounts = await Promise.all(Array.from({ length: 5 }, () => connected(world)))
  const key = await world.key('tokens:read')
  const wanted = Array.from({ length: 60 }, (_, index) => accounts[index % 5] as Account)
  const answers = await Promise.all(wanted.map((account) => read(world, account, '', key)))
  const tokenOf = new Map<string, string>()
  for (const [index, { status, body }] of answers.entries()) {
    t.equal(status, 200)
    t.equal(body.open_id, wanted[index]?.open_id, 'nobody gets the token of another account')
    tokenOf.set(body.open_id, body.access_token)
  }
  t.equal(new Set(tokenOf.values()).size, 5)
  const rows = await audited(world, accounts)
  t.equal(rows.length, 60)
  t.equal(new Set(rows.map((row) => row.requestId)).size, 60)
  t.ok(rows.every((row) => key.includes(row.keyId.slice('key_'.length)) && row.generation === 1 && !row.degraded))
})

t.test('S27, S60: when the audit cannot be written, no token leaves', async (t) => {
  const account = await connected(world)
  const sql = (text: string) => world.parts.db.run('test', (db) => db.unsafe(text))
  await sql(
    `create function refuse() returns trigger language plpgsql as $$ begin raise exception 'the audit is full: act.secret'; end $$`,
  )
  await sql('create trigger refuse before insert on token_reads for each row execute function refuse()')
  const answers = [
    await read(world, account),
    await read(world, account, '?min_ttl=0'),
    await world.call('POST', `/accounts/${account.id}/token/rejected`, { body: { generation: 1 } }),
  ]
  await sql('drop trigger refuse on token_reads')
  for (const { status, text } of answers) {
    t.ok(status >= 500)
    t.notMatch(text, /act\.|the audit is full/)
  }
  t.equal((await audited(world, [account])).length, 0)
  t.equal((await read(world, account)).status, 200, 'and afterwards it does')
})

t.test('min_ttl refreshes a token that has less left, and is clamped to half of its life', async (t) => {
  const account = await connected(world)
  const generationAt = async (minTtl: string) => (await read(world, account, `?min_ttl=${minTtl}`)).body.generation
  t.equal(await generationAt('999999'), 1, 'a fresh token is as good as TikTok gives')
  await world.timePasses(3500)
  t.equal(await generationAt('999999'), 1, 'more than half is left')
  await world.timePasses(200)
  t.equal(await generationAt('3000'), 1)
  t.equal(await generationAt('999999'), 2, 'less than half is left')
  await world.timePasses(twoHours - 310)
  t.equal((await read(world, account)).body.generation, 2, '310 s are left and 300 are asked for')
  await world.timePasses(20)
  t.equal(await generationAt('280'), 2)
  t.equal(await generationAt('0'), 2)
  t.equal((await read(world, account)).body.generation, 3)
  for (const wrong of ['-1', '1.5', 'abc', '', '1e3', '9999999', '300&min_ttl=1']) {
    const refused = await read(world, account, `?min_ttl=${wrong}`)
    t.match(refused, { status: 400, body: { code: 'validation_failed' } }, wrong)
  }
})

t.test('both lifetimes of TikTok work: everything comes from expires_in', async (t) => {
  const daily = await startWorld(t, { simulator: { lifetimes: '24h/365d' } })
  const account = await daily.connect()
  t.ok((await read(daily, account)).body.expires_in > 86_000)
  await daily.timePasses(13 * 3600)
  t.equal((await read(daily, account)).body.generation, 1)
  t.equal((await read(daily, account, '?min_ttl=43200')).body.generation, 2, 'clamped to twelve hours')
  daily.tiktok.changeSettings({ lifetimes: '2h/180d' })
  await daily.timePasses(86_400)
  const changed = await read(daily, account)
  t.equal(changed.body.generation, 3)
  t.ok(changed.body.expires_in <= twoHours, 'TikTok changed its mind in between, and nobody has to be told')
})

t.test('fifty readers of an expired token cause one refresh and get equal answers', async (t) => {
  const account = await connected(world)
  await world.timePasses(twoHours)
  const before = world.tiktok.stats.report().refreshes_processed
  const answers = await Promise.all(Array.from({ length: 50 }, () => read(world, account)))
  t.equal(world.tiktok.stats.report().refreshes_processed - before, 1)
  t.equal(new Set(answers.map(({ body }) => body.access_token)).size, 1)
  t.ok(answers.every(({ status, body }) => status === 200 && body.generation === 2))
})

t.test('while TikTok is down the present token is served as degraded, and after it none', async (t) => {
  const account = await connected(world)
  await world.timePasses(twoHours - 200)
  world.tiktok.faults.add({ route: 'refresh', status: 502, process: false, times: 'always' })
  const degraded = await read(world, account)
  t.match(degraded, { status: 200, body: { degraded: true, generation: 1 } })
  t.ok(degraded.body.expires_in <= 200 && degraded.body.expires_in > 100)
  t.equal((await read(world, account, '?min_ttl=60')).body.degraded, undefined, 'enough is left for this one')
  await world.timePasses(200)
  const none = await read(world, account)
  t.match(none, { status: 503, body: { code: 'tiktok_unavailable', mended_by: 'time' } })
  t.match(none.headers['retry-after'], /^[1-9]\d*$/)
  t.same(
    (await audited(world, [account])).map((row) => row.degraded),
    [true, false],
  )

  world.tiktok.faults.clear()
  await world.timePasses(120)
  t.match(await read(world, account), { status: 200, body: { generation: 2 } })
})

t.test('nobody waits longer than patience for a slow TikTok, and the refresh goes on', async (t) => {
  const slow = await startWorld(t, { timings: { patienceMs: 100 } })
  const account = await slow.connect()
  await slow.timePasses(twoHours - 100)
  const answerFirst = holdRefreshes(slow)
  t.match(await read(slow, account), { status: 200, body: { degraded: true, generation: 1 } })
  answerFirst()
  await slow.parts.refresher.landed()
  t.match(await read(slow, account), { status: 200, body: { generation: 2 } })

  await slow.timePasses(twoHours)
  const answerSecond = holdRefreshes(slow)
  const answers = await Promise.all(Array.from({ length: 20 }, () => read(slow, account)))
  t.equal(slow.parts.refresher.inFlight, 1, 'answered before TikTok did')
  t.ok(answers.every(({ status, body }) => status === 503 && (body as { code?: string }).code === 'refresh_in_progress'))
  t.match(answers[0]?.headers['retry-after'], /^[1-9]\d*$/)
  answerSecond()
  await slow.parts.refresher.landed()
  t.match(await read(slow, account), { status: 200, body: { generation: 3 } })
  t.equal(slow.tiktok.stats.report().refreshes_processed, 2)
  t.equal(slow.tiktok.stats.report().double_spend_count, 0)
})

t.test('a reader who joins the wait of an earlier one is not sent away with it', async (t) => {
  const account = await connected(world)
  await world.timePasses(twoHours)
  const { timings, db } = world.parts
  const usual = timings.patienceMs
  t.teardown(() => Object.assign(timings, { patienceMs: usual }))
  const neighbours = await claimTokenSet(db, account.id, 1, { attemptId: newId('att'), leaseSeconds: 60 })
  if (!neighbours) throw new Error('the claim of the neighbour is not to be had')

  let looks = 0
  const { run } = db
  const counted: typeof run = (name, work, options) => {
    if (name === 'read_generations') looks++
    return run(name, work, options)
  }
  Object.assign(db, { run: counted })
  t.teardown(() => Object.assign(db, { run }))
  timings.patienceMs = 1000
  const early = read(world, account)
  await eventually('the early one waits', () => looks > 0)
  timings.patienceMs = usual
  const late = read(world, account)
  t.match(await early, { status: 503, body: { code: 'refresh_in_progress' } })
  await releaseClaim(db, neighbours, 'throttled', 0)
  t.match(await late, { status: 200, body: { generation: 2 } })
})

t.test('a refused token: a hundred callers cause one refresh, and none of them gets it back', async (t) => {
  const account = await connected(world)
  const refused = (await read(world, account)).body
  const before = world.tiktok.stats.report().refreshes_processed
  const report = () => rejected(world, account, refused.generation)
  const answers = await Promise.all(Array.from({ length: 100 }, report))
  t.equal(world.tiktok.stats.report().refreshes_processed - before, 1)
  t.ok(answers.every(({ status, body }) => status === 200 && body.generation === 2 && body.access_token !== refused.access_token))
  t.equal(answers[0]?.headers['cache-control'], 'no-store')
  t.match(await report(), { status: 200, body: { generation: 2 } }, 'a straggler gets what there is')
  t.equal(world.tiktok.stats.report().refreshes_processed - before, 1)
  t.match(await rejected(world, account, 3), { status: 400, body: { code: 'validation_failed' } }, 'from the future')
  for (const generation of [0, -1, 1.5, '1', null, 2 ** 31])
    t.match(await rejected(world, account, generation), { status: 400, body: { code: 'validation_failed' } })
})

t.test('a refused token is not handed out again because TikTok is down', async (t) => {
  const account = await connected(world)
  world.tiktok.faults.add({ route: 'refresh', status: 502, process: false, times: 'always' })
  t.match(await rejected(world, account, 1), { status: 503, body: { code: 'tiktok_unavailable' } })
  world.tiktok.faults.clear()
  await world.timePasses(60)
  t.match(await rejected(world, account, 1), { status: 200, body: { generation: 2 } })
})

t.test('an unknown account is 404, a disconnected one 410, whichever way it is asked for', async (t) => {
  for (const id of ['acc_unknown', 'acc_01k9z3m8r000000000000000x', 'x']) {
    t.match(await world.call('GET', `/accounts/${id}/token`), { status: 404, body: { code: 'account_not_found' } })
    t.match(await world.call('POST', `/accounts/${id}/token/rejected`, { body: { generation: 1 } }), {
      status: 404,
      body: { code: 'account_not_found' },
    })
  }
  const account = await connected(world)
  await world.call('DELETE', `/accounts/${account.id}`)
  t.match(await read(world, account), { status: 410, body: { code: 'account_disconnected', mended_by: 'user' } })
  t.match(await rejected(world, account, 1), { status: 410, body: { code: 'account_disconnected' } })
})

t.test('a refused refresh token is believed after its grace, and then the person is asked for', async (t) => {
  const account = await connected(world)
  world.tiktok.removeApp(personOf(world, account))
  await world.timePasses(twoHours)
  const inGrace = await read(world, account)
  t.match(inGrace, { status: 503, body: { code: 'refresh_in_progress' } })
  await world.timePasses(61)
  t.match(await read(world, account), {
    status: 409,
    body: { code: 'reauthorization_required', mended_by: 'user', status_reason: 'refresh_token_rejected' },
  })
  t.match(await rejected(world, account, 1), { status: 409, body: { code: 'reauthorization_required' } })
  t.match(await world.call('GET', `/accounts/${account.id}`), {
    body: { status: 'reauthorization_required', status_reason: 'refresh_token_rejected' },
  })

  const again = await world.connect({ owner: String(account.owner_id), person: personOf(world, account) })
  t.match(again, { id: account.id, status: 'active', status_reason: null })
  t.equal((await read(world, account)).status, 200)
})

t.test('a refresh token past its own end is not sent: the person is asked for', async (t) => {
  const account = await connected(world)
  await world.timePasses(181 * 86_400)
  const before = world.tiktok.stats.report().requests
  t.match(await read(world, account), {
    status: 409,
    body: { code: 'reauthorization_required', status_reason: 'refresh_token_expired' },
  })
  t.equal(world.tiktok.stats.report().requests, before)
})

t.test(
  'S09: scopes that TikTok takes back are noticed at the refresh: optional ones missing, required ones need the person',
  async (t) => {
    const account = await connected(world)
    const grant = world.tiktok.grants.ofPerson(personIn(world, account))[0]
    if (!grant) throw new Error('connected without a grant')
    grant.scopes = ['user.info.basic', 'video.upload']
    t.match(await rejected(world, account, 1), { status: 200, body: { scopes: ['user.info.basic', 'video.upload'] } })
    t.match((await world.call('GET', `/accounts/${account.id}`)).body, {
      status: 'active',
      missing_scopes: ['user.info.profile', 'user.info.stats'],
    })
    grant.scopes = ['user.info.basic']
    t.match(await rejected(world, account, 2), {
      status: 409,
      body: { code: 'reauthorization_required', status_reason: 'required_scope_removed' },
    })
    t.match(await read(world, account), { status: 409 })
  },
)

for (const nonsense of [{ expires_in: 0 }, { expires_in: -1 }, { expires_in: 1e12 }, { expires_in: 'soon' }, undefined]) {
  t.test(
    `F17: a refresh that says ${JSON.stringify(nonsense ?? 'nothing')} of its expiry gives a token for ten assumed minutes`,
    async (t) => {
      const account = await connected(world)
      await world.timePasses(twoHours)
      world.tiktok.faults.add({ route: 'refresh', ...(nonsense ? { set: nonsense } : { omit: ['expires_in'] }) })
      const fresh = await read(world, account)
      t.match(fresh, { status: 200, body: { generation: 2 } })
      t.ok(fresh.body.expires_in > 590 && fresh.body.expires_in <= 600)
      const shown = await world.call<Account>('GET', `/accounts/${account.id}`)
      t.equal(shown.status, 200)
      t.notOk(Number.isNaN(Date.parse(shown.body.token?.expires_at ?? '')))
      t.match(shown.body, { status: 'active', token: { generation: 2 } }, 'the new refresh token was kept')
      await world.timePasses(600)
      t.match(await read(world, account), { status: 200, body: { generation: 3 } })
    },
  )
}

t.test('F17: a refresh without a new refresh token keeps the old one', async (t) => {
  const lenient = await startWorld(t, { simulator: { settings: { rotation: 'none' } } })
  const account = await lenient.connect()
  lenient.tiktok.faults.add({ route: 'refresh', omit: ['refresh_token'] })
  t.match(await rejected(lenient, account, 1), { status: 200, body: { generation: 2 } })
  t.match(await rejected(lenient, account, 2), { status: 200, body: { generation: 3 } })
})

t.test('F17: a connect whose token says nonsense of its expiry is stored, and handed out for ten minutes', async (t) => {
  world.tiktok.faults.add({ route: 'exchange', set: { expires_in: -1 } })
  const account = await connected(world)
  t.notOk(Number.isNaN(Date.parse(account.token?.expires_at ?? '')))
  t.match(await read(world, account), { status: 200, body: { generation: 1 } })
  await world.timePasses(600)
  t.match(await read(world, account), { status: 200, body: { generation: 2 } })
})

t.test('F32: a flipped bit costs one account and no other, and nothing is overwritten', async (t) => {
  const [broken, well] = [await connected(world), await connected(world)]
  const flip = (column: string) =>
    world.parts.db.run(
      'flip',
      (sql) => sql`update token_sets set ${sql(column)} = overlay(${sql(column)} placing
        case substr(${sql(column)}, 60, 1) when 'A' then 'B' else 'A' end from 60) where account_id = ${broken.id}`,
    )
  const sealed = async () =>
    (
      await world.parts.db.run(
        'sealed',
        (sql) => sql`select sealed_access_token, sealed_refresh_token from token_sets where account_id = ${broken.id}`,
      )
    )[0]
  await flip('sealed_access_token')
  const stored = await sealed()
  t.match(await read(world, broken), { status: 500, body: { code: 'credential_unreadable', mended_by: 'operator' } })
  t.equal((await read(world, well)).status, 200)
  await world.timePasses(twoHours)
  t.match(await read(world, broken), { status: 200, body: { generation: 2 } }, 'the refresh token still opens')
  t.notSame(await sealed(), stored)

  await flip('sealed_refresh_token')
  const kept = await sealed()
  await world.timePasses(twoHours)
  t.match(await read(world, broken), { status: 500, body: { code: 'credential_unreadable' } })
  t.strictSame(await sealed(), kept)
  t.equal((await read(world, well)).status, 200)
})

t.test('S18: the tokens of one account do not open as those of another', async (t) => {
  const [mine, theirs] = [await connected(world), await connected(world)]
  await world.parts.db.run(
    'swap',
    (sql) => sql`update token_sets a set sealed_access_token = b.sealed_access_token from token_sets b
      where a.account_id = ${mine.id} and b.account_id = ${theirs.id}`,
  )
  t.match(await read(world, mine), { status: 500, body: { code: 'credential_unreadable' } })
})

t.test('without a database there is no token, and the caller is told to come back', async (t) => {
  const cable: { proxy?: Awaited<ReturnType<typeof startProxy>> } = {}
  const fragile = await startWorld(t, {
    through: async (url) => {
      cable.proxy = await startProxy(t, url)
      return cable.proxy.url
    },
  })
  const account = await fragile.connect()
  await cable.proxy?.cut()
  const refused = await read(fragile, account)
  t.equal(fragile.parts.db.state.deadlinesMissed, 0, 'at once, not at the deadline of the statement')
  t.match(refused, { status: 503, body: { code: 'storage_unavailable', mended_by: 'time' } })
  t.match(refused.headers['retry-after'], /^[1-9]\d*$/)
  t.equal((await fragile.call('GET', '/health/live', { key: null })).status, 200)
  await cable.proxy?.resume()
  await eventually('it is back', async () => (await read(fragile, account)).status === 200)
})

/** TikTok takes its time with every refresh. @returns lets it answer */
function holdRefreshes({ parts: { tiktok } }: World): () => void {
  const { refresh } = tiktok
  const { promise: answered, resolve: answer } = Promise.withResolvers<void>()
  tiktok.refresh = async (refreshToken) => {
    await answered
    return refresh(refreshToken)
  }
  return () => {
    tiktok.refresh = refresh
    answer()
  }
}

/** An account of a new owner and a new person. */
function connected(world: World): Promise<Account> {
  const person = world.tiktok.people.add({ id: `reader-${++owners}` })
  return world.connect({ owner: `owner-${owners}`, person: person.id })
}

function read(world: World, account: Account, query = '', key?: string): Promise<Answer<VendedToken>> {
  return world.call('GET', `/accounts/${account.id}/token${query}`, key === undefined ? {} : { key })
}

function rejected(world: World, account: Account, generation: unknown): Promise<Answer<VendedToken>> {
  return world.call('POST', `/accounts/${account.id}/token/rejected`, { body: { generation } })
}

function personIn({ tiktok }: World, { open_id }: Account) {
  const person = tiktok.people.findByOpenId(open_id ?? '')
  if (!person) throw new Error('nobody at TikTok')
  return person
}

const personOf = (world: World, account: Account) => personIn(world, account).id

async function audited({ parts }: World, accounts: Account[]) {
  return parts.db.run(
    'audited',
    (sql) => sql<{ keyId: string; requestId: string; generation: number; degraded: boolean }[]>`
      select key_id as "keyId", request_id as "requestId", generation, degraded from token_reads
      where account_id = any(${accounts.map(({ id }) => id)}) order by at`,
  )
}

t.test('I6: a disconnect that was answered is final, also for a read that hangs in the audit meanwhile', async (t) => {
  const gone = await connected(world)
  const before = await read(world, gone)
  t.equal(before.status, 200)
  const sql = postgres(world.databaseUrl, { max: 1, onnotice: () => {} })
  t.teardown(() => sql.end())
  const held = Promise.withResolvers<void>()
  const locked = Promise.withResolvers<void>()
  const audit = sql.begin(async (tx) => {
    await tx`lock table token_reads in access exclusive mode`
    locked.resolve()
    await held.promise
  })
  await locked.promise
  const late = read(world, gone)
  await eventually('the read waits for its audit row', async () => {
    const waiting = await world.parts.db.run(
      'test',
      (sql) => sql`select from pg_stat_activity where wait_event_type = 'Lock' and query like '%with wanted as%'`,
    )
    return waiting.length > 0
  })
  t.equal((await world.call('DELETE', `/accounts/${gone.id}`)).status, 200)
  held.resolve()
  await audit
  t.match(await late, { status: 410, body: { code: 'account_disconnected', access_token: undefined } })
})

t.test('S75: a row that was changed past the service hands out nothing, and spends no refresh token', async (t) => {
  const change = async (account: Account, statement: string) => {
    const [before] = await world.parts.db.run(
      'before',
      (sql) =>
        sql`select a.owner_id, a.open_id, t.access_expires_at, t.generation, t.sealed_expiry from accounts a join token_sets t on t.account_id = a.id where a.id = ${account.id}`,
    )
    await world.parts.db.run('attack', (sql) => sql.unsafe(statement.replaceAll('$id', `'${account.id}'`)))
    return before
  }
  const victim = await connected(world)
  const attacks: Record<string, string> = {
    'a swapped owner': `update accounts set owner_id = (select id from owners where id <> accounts.owner_id limit 1) where id = $id`,
    'another open_id': `update accounts set open_id = open_id || 'x' where id = $id`,
    'a moved expiry': `update token_sets set access_expires_at = access_expires_at + interval '1 second' where account_id = $id`,
    'another generation': `update token_sets set generation = generation + 1 where account_id = $id`,
    'the expiry of another account': `update token_sets set sealed_expiry = (select sealed_expiry from token_sets where account_id = '${victim.id}') where account_id = $id`,
    'no identity at all': `update accounts set sealed_identity = null where id = $id`,
    'no expiry at all': `update token_sets set sealed_expiry = null where account_id = $id`,
    'the identity of another account': `update accounts set sealed_identity = (select sealed_identity from accounts where id = '${victim.id}') where id = $id`,
  }
  const spentBefore = world.tiktok.stats.report().refreshes_processed
  for (const [what, statement] of Object.entries(attacks)) {
    const account = await connected(world)
    t.equal((await read(world, account)).status, 200)
    await change(account, statement)
    const answer = await world.call<{ code?: string; access_token?: string }>('GET', `/accounts/${account.id}/token`)
    t.match(answer, { status: 500, body: { code: 'credential_unreadable', access_token: undefined } }, what)
  }
  const due = await connected(world)
  await change(due, `update accounts set owner_id = (select id from owners where id <> accounts.owner_id limit 1) where id = $id`)
  await change(due, `update token_sets set access_expires_at = now() - interval '1 minute' where account_id = $id`)
  t.equal((await world.call('GET', `/accounts/${due.id}/token`)).status, 500, 'nor is it refreshed')
  t.equal(world.tiktok.stats.report().refreshes_processed, spentBefore)
  const early = await connected(world)
  await change(early, `update token_sets set access_expires_at = access_expires_at - interval '1 minute' where account_id = $id`)
  t.equal((await read(world, early)).status, 200, 'an expiry moved to earlier costs a refresh at most')
})

t.test(
  'S75: a whole row put back as it once was is noticed before its token leaves, and the journal brings the newest home',
  async (t) => {
    const own = await startWorld(t)
    const account = await own.connect()
    const path = `/accounts/${account.id}/token`
    const keep = (statement: string) => own.parts.db.run('attack', (sql) => sql.unsafe(statement))
    await keep('create table kept_sets as table token_sets')
    const { body: old } = await own.call<VendedToken>('GET', path)
    const { body: fresh } = await own.call<VendedToken>('POST', `${path}/rejected`, { body: { generation: 1 } })
    t.equal(fresh.generation, 2)
    await keep(`update token_sets t set generation = k.generation, sealed_access_token = k.sealed_access_token, sealed_refresh_token = k.sealed_refresh_token,
    sealed_expiry = k.sealed_expiry, access_expires_at = k.access_expires_at, saved_attempt_id = k.saved_attempt_id, refused_generation = null
    from kept_sets k where k.account_id = t.account_id`)
    let last: Answer<VendedToken> | undefined
    await eventually('the newest token is back', async () => {
      last = await own.call<VendedToken>('GET', path)
      t.not(last.body.access_token, old.access_token)
      return last.status === 200
    })
    t.match(last?.body, { generation: 2, access_token: fresh.access_token })
  },
)

t.test('a refresh that is recorded while a row is looked at again is no sign that the database went back', async (t) => {
  const { id } = await connected(world)
  const { db } = world.parts
  let known = 1
  let metOlder = 0
  const epoch = {
    vouchesFor: () => true,
    knownGeneration: () => known,
    metOlderRow: async () => {
      metOlder++
      return false
    },
  }
  let recorded = 0
  const slow = {
    ...db,
    async batched<Question, Answer>(statement: BatchedStatement<Question, Answer>, question: Question) {
      const answer = await db.batched(statement, question)
      if (statement.name === 'vendTokenSets') known += recorded
      if (statement.name !== 'presentGenerations') return answer
      const seen = known
      known += recorded // while the answer is under way
      return (recorded > 0 ? seen : answer) as Answer
    },
  }
  const reader = { keyId: 'key_test', requestId: 'req_test', reach: everything }
  known = 2
  t.match(await vend({ ...world.parts, db: slow, epoch }, id, 0, reader), { generation: 1 })
  t.equal(metOlder, 1, 'a row that stays behind is older')

  known = 1
  recorded = 1
  t.match(await vend({ ...world.parts, db: slow, epoch }, id, 0, { ...reader, requestId: 'req_test2' }), { generation: 1 })
  t.equal(metOlder, 1, 'one that is as new as what was known when it was asked for is not')
})
