// Accounts as callers see them: listed, labelled, shown, ended.
import t from 'tap'
import { request } from 'undici'
import type { Account } from '../../src/account/account.ts'
import { startWorld, type World } from '../world.ts'

const world = await startWorld(t)
let people = 0

interface Page {
  accounts: Account[]
  next_cursor: string | null
}

t.test('accounts are listed oldest first, in pages that lose and repeat nothing', async (t) => {
  const made: string[] = []
  for (let i = 0; i < 7; i++) made.push((await connected(world, 'lister')).id)
  await connected(world, 'somebody-else')
  const seen: string[] = []
  let cursor: string | null = null
  let pages = 0
  do {
    const query: string = cursor === null ? '' : `&cursor=${cursor}`
    const { body } = await world.call<Page>('GET', `/accounts?owner_id=lister&limit=3${query}`)
    seen.push(...body.accounts.map(({ id }) => id))
    cursor = body.next_cursor
    pages++
  } while (cursor !== null)
  t.same(seen, made)
  t.equal(pages, 3)
  const exact = await world.call<Page>('GET', '/accounts?owner_id=lister&limit=7')
  t.equal(exact.body.next_cursor, null, 'a page that is just full is the last one')
  t.same((await world.call('GET', '/accounts?owner_id=nobody')).body, { accounts: [], next_cursor: null })
  for (const wrong of [
    'limit=0',
    'limit=201',
    'limit=x',
    'limit=-1',
    'status=gone',
    'owner_id=',
    'cursor=%00',
    'cursor=acc_x',
    'status=active,',
    'status=active,gone',
  ])
    t.match(await world.call('GET', `/accounts?${wrong}`), { status: 400, body: { code: 'validation_failed' } }, wrong)
})

t.test('accounts are filtered by status', async (t) => {
  const [kept, ended] = [await connected(world, 'filter'), await connected(world, 'filter')]
  await world.call('DELETE', `/accounts/${ended.id}`)
  const ids = async (status: string) =>
    (await world.call<Page>('GET', `/accounts?owner_id=filter&status=${status}`)).body.accounts.map(({ id }) => id)
  t.same(await ids('active'), [kept.id])
  t.same(await ids('disconnected'), [ended.id])
  t.same(await ids('reauthorization_required'), [])
})

t.test('a label is one line of text, or none', async (t) => {
  const { id } = await connected(world, 'labeller')
  const label = (label: unknown) => world.call<Account>('PATCH', `/accounts/${id}`, { body: { label } })
  t.match(await label('  Señora 👩‍🍳 مارا  '), { status: 200, body: { id, label: 'Señora 👩‍🍳 مارا' } })
  t.match((await world.call('GET', `/accounts/${id}`)).body, { label: 'Señora 👩‍🍳 مارا' })
  t.match(await label(null), { status: 200, body: { label: null } })
  for (const wrong of ['', '   ', 'a\nb', 'a\u0000b', 'x'.repeat(101), '\ud83d', 7, undefined])
    t.match(await label(wrong), { status: 400, body: { code: 'validation_failed' } })
  t.match(await world.call('PATCH', '/accounts/acc_unknown', { body: { label: 'x' } }), {
    status: 404,
    body: { code: 'account_not_found' },
  })
  await world.call('DELETE', `/accounts/${id}`)
  t.match(await label('late'), { status: 410, body: { code: 'account_disconnected' } })
})

t.test('S47, I6: a disconnect stops reads at once, revokes at TikTok and leaves a tombstone without personal data', async (t) => {
  const account = await connected(world, 'leaver')
  await world.call('PATCH', `/accounts/${account.id}`, { body: { label: 'Private words' } })
  t.same((await world.call('DELETE', `/accounts/${account.id}`)).body, {
    id: account.id,
    status: 'disconnected',
    revocation: 'confirmed',
  })
  t.equal(grants(world, account), 0)
  const gone = { status: 410, body: { code: 'account_disconnected', mended_by: 'user' } }
  t.match(await world.call('GET', `/accounts/${account.id}/token`), gone)
  t.match(await world.call('POST', `/accounts/${account.id}/verify`), gone)
  t.match(await world.call('GET', `/accounts/${account.id}/avatar`), gone)

  const tombstone = await world.call<Account>('GET', `/accounts/${account.id}`)
  t.match(tombstone, {
    status: 200,
    body: {
      id: account.id,
      owner_id: 'leaver',
      open_id: null,
      label: null,
      status: 'disconnected',
      status_reason: 'disconnected_by_owner',
      profile: { username: null, display_name: null, avatar_url: null, follower_count: null, is_verified: null },
      token: null,
      health: { verdict: 'disconnected', reauthorize_by: null },
    },
  })
  t.match(tombstone.body.disconnected_at, /Z$/)
  const rows = await world.parts.db.run(
    'left',
    (sql) => sql<{ row: string }[]>`
      select to_jsonb(a)::text as row from accounts a where id = ${account.id}
      union all select to_jsonb(t)::text from token_sets t where account_id = ${account.id}
      union all select to_jsonb(r)::text from revocations r where account_id = ${account.id}
      union all select to_jsonb(p)::text from profiles p where account_id = ${account.id}`,
  )
  t.equal(rows.length, 1, 'only the tombstone is left')
  for (const personal of [account.open_id, account.profile.username, account.profile.display_name, 'Private words'])
    t.notOk(rows[0]?.row.includes(String(personal)), 'nothing personal')
})

t.test('whatever is kept of a person, in a column of tomorrow too, is gone after a disconnect', async (t) => {
  const account = await connected(world, 'stargazer')
  const { db } = world.parts
  await db.run('tomorrow', (sql) => sql`alter table profiles add column if not exists star_sign text`)
  const [profile] = await db.run(
    'learned',
    (sql) =>
      sql<
        { unionId: string }[]
      >`update profiles set star_sign = 'Scorpio rising' where account_id = ${account.id} returning union_id`,
  )
  const unionId = profile?.unionId ?? ''
  t.match(unionId, /^[0-9a-f-]{36}$/)
  await world.call('DELETE', `/accounts/${account.id}`)
  const tables = await db.run(
    'tables',
    (sql) => sql<{ name: string }[]>`
      select relname as name from pg_class where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace and not relispartition`,
  )
  t.ok(tables.length > 15)
  for (const { name } of tables) {
    const rows = await db.run('look_through', (sql) => sql<{ row: string }[]>`select t::text as row from ${sql(name)} t`)
    t.notMatch(JSON.stringify(rows), /Scorpio rising/, name)
    t.notOk(JSON.stringify(rows).includes(unionId), name)
  }
})

t.test('S47: repeating a disconnect is harmless, and an unknown account is 404', async (t) => {
  const account = await connected(world, 'repeater')
  const revocations = world.tiktok.stats.report().revocations
  const answers = await Promise.all(Array.from({ length: 10 }, () => world.call('DELETE', `/accounts/${account.id}`)))
  for (const answer of answers) t.match(answer, { status: 200, body: { id: account.id, status: 'disconnected' } })
  t.match(await world.call('DELETE', `/accounts/${account.id}`), { status: 200, body: { revocation: 'already_gone' } })
  t.equal(world.tiktok.stats.report().revocations - revocations, 1)
  t.match(await world.call('DELETE', '/accounts/acc_unknown'), { status: 404, body: { code: 'account_not_found' } })
  const { body } = await world.call<{ entries: { kind: string }[] }>('GET', `/accounts/${account.id}/timeline`)
  t.equal(body.entries.filter(({ kind }) => kind === 'disconnected').length, 1)
})

t.test('a grant that the person ended at TikTok is already gone', async (t) => {
  const account = await connected(world, 'ended-there')
  world.tiktok.removeApp(account.open_id ?? '')
  t.match(await world.call('DELETE', `/accounts/${account.id}`), { status: 200, body: { revocation: 'already_gone' } })
})

t.test('S47: while TikTok is away the revocation is pending, and the background carries it out', async (t) => {
  const account = await connected(world, 'offline')
  // How often it is asked meanwhile depends on the machine: a repeat asks again once its turn has come.
  world.tiktok.faults.add({ route: 'revoke', status: 503, times: 'always' })
  t.match(await world.call('DELETE', `/accounts/${account.id}`), {
    status: 200,
    body: { status: 'disconnected', revocation: 'pending' },
  })
  t.match(await world.call('GET', `/accounts/${account.id}/token`), { status: 410 })
  t.match(await world.call('DELETE', `/accounts/${account.id}`), { body: { revocation: 'pending' } }, 'to whoever repeats it too')
  t.equal(grants(world, account), 1)
  await world.timePasses(60)
  t.equal(await world.parts.revocations.attemptDue(10), 1)
  t.equal(grants(world, account), 1, 'still away')
  world.tiktok.faults.clear()
  await world.timePasses(600)
  t.equal(await world.parts.revocations.attemptDue(10), 1)
  t.equal(grants(world, account), 0)
  await world.timePasses(7200)
  t.equal(await world.parts.revocations.attemptDue(10), 0, 'and then it is done')
  const { text } = await world.call('GET', `/accounts/${account.id}/timeline`)
  t.match(text, /"grant_revoked"/)
})

t.test('S47: an access token that died waiting is refreshed to be revoked', async (t) => {
  const account = await connected(world, 'long-offline')
  world.tiktok.faults.add({ route: 'revoke', status: 503 })
  await world.call('DELETE', `/accounts/${account.id}`)
  await world.timePasses(3 * 3600)
  await world.parts.revocations.attemptDue(10)
  t.equal(grants(world, account), 0)
})

t.test('S47: a TikTok that hangs does not hold up a disconnect', async (t) => {
  const account = await connected(world, 'hanging')
  world.tiktok.faults.add({ route: 'revoke', before_ms: 600_000 })
  t.match(await world.call('DELETE', `/accounts/${account.id}`), { body: { revocation: 'pending' } })
})

t.test('whoever disconnected connects anew: a new account, and the tombstone stays', async (t) => {
  const first = await connected(world, 'comes-back')
  await world.call('DELETE', `/accounts/${first.id}`)
  const person = world.tiktok.people.findByOpenId(first.open_id ?? '')?.id ?? ''
  const second = await world.connect({ owner: 'comes-back', person })
  t.not(second.id, first.id)
  t.equal(second.open_id, first.open_id)
  t.match((await world.call('GET', `/accounts/${first.id}`)).body, { status: 'disconnected', open_id: null })
})

t.test('the picture is ours, cacheable, and not sent again to whoever has it', async (t) => {
  const account = await connected(world, 'pictured')
  t.equal(account.profile.avatar_url, `${world.config.publicUrl}/accounts/${account.id}/avatar`)
  const key = await world.key('accounts:read')
  const get = (headers: Record<string, string> = {}) =>
    request(new URL(`/accounts/${account.id}/avatar`, world.app.url), { headers: { authorization: `Bearer ${key}`, ...headers } })
  const first = await get()
  const bytes = Buffer.from(await first.body.arrayBuffer())
  t.match(first.headers, {
    'content-type': /^image\/(png|jpeg|webp)$/,
    'cache-control': /^private, max-age=\d+/,
    'x-content-type-options': 'nosniff',
    'content-security-policy': /default-src 'none'/,
  })
  t.same(bytes.subarray(0, 4), Buffer.from([0x89, 0x50, 0x4e, 0x47]))
  const etag = String(first.headers.etag)
  for (const tag of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
    const again = await get({ 'if-none-match': tag })
    t.equal(again.statusCode, 304, tag)
    t.equal((await again.body.text()).length, 0)
    t.equal(again.headers.etag, etag)
  }
  t.equal((await get({ 'if-none-match': '"other"' })).statusCode, 200)
  t.match(await world.call('GET', '/accounts/acc_unknown/avatar'), { status: 404, body: { code: 'account_not_found' } })
  t.equal((await world.call('GET', `/accounts/${account.id}/avatar`, { key: null })).status, 401)
})

t.test('an account says who may come back, what was attested, and nothing else', async (t) => {
  const account = await connected(world, 'shape')
  t.same(Object.keys(account).sort(), [
    'account_type',
    'age_confirmed_at',
    'connected_at',
    'disconnected_at',
    'health',
    'id',
    'label',
    'missing_scopes',
    'open_id',
    'owner_id',
    'profile',
    'scopes',
    'status',
    'status_reason',
    'token',
    'upload_quota',
  ])
  t.match(account, {
    account_type: { value: 'creator', source: 'self_attested', attested_at: /Z$/, wording: /\S/ },
    age_confirmed_at: /Z$/,
    upload_quota: { limit: 20, used: 0, reserved: 0, remaining: 20, window_seconds: 86_400, next_slot_at: null },
  })
})

function connected(world: World, owner: string): Promise<Account> {
  const person = world.tiktok.people.add({
    id: `owner-of-${++people}`,
    username: `handle_${people}`,
    display_name: `Name ${people}`,
  })
  return world.connect({ owner, person: person.id })
}

function grants({ tiktok }: World, { open_id }: Account): number {
  const person = tiktok.people.findByOpenId(open_id ?? '')
  return person ? tiktok.grants.ofPerson(person).length : 0
}
