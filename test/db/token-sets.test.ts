// Answers that TikTok gave at the same moment are recorded in one commit, and none of them at another's expense.
import postgres from 'postgres'
import t, { type Test } from 'tap'
import { everything } from '../../src/access/reach.ts'
import { openDb } from '../../src/db/client.ts'
import { type Save, saveTokenSet, vendTokenSets } from '../../src/db/token-sets.ts'
import { freshDatabase } from '../postgres.ts'

const ids = ['acc_c', 'acc_a', 'acc_d', 'acc_b']

async function fourAccounts(t: Test, { deadlineMs = 5_000 } = {}) {
  const { url } = await freshDatabase(t)
  const statements: string[] = []
  const db = openDb({ url, deadlineMs, onStatement: (name) => statements.push(name) })
  const sql = postgres(url, { onnotice: () => {}, max: 2 })
  t.teardown(async () => {
    await sql.end()
    await db.close()
  })
  await sql`insert into owners (id) values ('user_1')`
  await sql`
    insert into accounts (id, owner_id, open_id, status, account_type, attested_at, attestation_version, age_confirmed_at, scopes)
    select id, 'user_1', 'open_' || id, 'active', 'creator', now(), '1', now(), '{video.upload}' from unnest(${ids}::text[]) id`
  await sql`
    insert into token_sets (account_id, generation, client_key, sealed_access_token, sealed_refresh_token, access_expires_at, lifetime_seconds, saved_attempt_id)
    select id, 1, 'key', 'old', 'old', now(), 7200, 'att_0' from unnest(${ids}::text[]) id`
  const generations = async () =>
    Object.fromEntries(
      (await sql`select account_id, generation from token_sets order by 1`).map((row) => [row.account_id, row.generation]),
    )
  const saveAll = (change: (id: string) => Partial<Save> = () => ({})) =>
    Promise.allSettled(ids.map((id) => saveTokenSet(db, { ...answered(id), ...change(id) })))
  return { url, db, sql, statements, generations, saveAll }
}

const answered = (accountId: string): Save => ({
  accountId,
  spentGeneration: 1,
  attemptId: `att_${accountId}`,
  sealedAccessToken: `access of ${accountId}`,
  sealedRefreshToken: `refresh of ${accountId}`,
  sealedExpiry: null,
  accessExpiresAt: new Date('2027-01-01'),
  refreshExpiresAt: null,
  lifetimeSeconds: 7200,
  scopes: ['video.upload'],
  lostRequiredScope: false,
})

const outcomesOf = (saves: PromiseSettledResult<string>[]) =>
  saves.map((save) => (save.status === 'fulfilled' ? save.value : (save.reason as { code: string }).code))

t.test('S46: what is answered at the same moment is recorded in one statement, each in its own row', async (t) => {
  const { sql, statements, saveAll, generations } = await fourAccounts(t)
  await sql`update token_sets set generation = 3 where account_id = 'acc_a'`
  await sql`delete from token_sets where account_id = 'acc_d'`
  t.same(outcomesOf(await saveAll()), ['saved', 'replaced', 'gone', 'saved'], 'each has its own outcome, in the order asked')
  t.same(statements, ['save_token_set'])
  t.same(await generations(), { acc_a: 3, acc_b: 2, acc_c: 2 })
  const rows = await sql`select account_id, sealed_refresh_token from token_sets where generation = 2`
  for (const row of rows) t.equal(row.sealed_refresh_token, `refresh of ${row.account_id}`)
  t.same(outcomesOf(await saveAll()), ['saved', 'replaced', 'gone', 'saved'], 'to repeat it changes nothing')
})

t.test('one that PostgreSQL cannot take costs the others nothing', async (t) => {
  const { saveAll, generations } = await fourAccounts(t)
  const saves = await saveAll((id) => (id === 'acc_d' ? { lifetimeSeconds: 2 ** 40 } : {}))
  t.same(outcomesOf(saves), ['saved', 'saved', '22003', 'saved'])
  t.same(await generations(), { acc_a: 2, acc_b: 2, acc_c: 2, acc_d: 1 })
})

t.test('a row that somebody holds stands in the way of the others once; alone they pass it', async (t) => {
  const { url, sql, saveAll, generations } = await fourAccounts(t, { deadlineMs: 300 })
  const patient = openDb({ url })
  t.teardown(() => patient.close())
  await sql.begin(async (holder) => {
    await holder`select from token_sets where account_id = 'acc_b' for update`
    t.same(outcomesOf(await saveAll()), new Array(4).fill('storage_unavailable'))
    for (const id of ['acc_c', 'acc_a', 'acc_d']) t.equal(await saveTokenSet(patient, answered(id), { alone: true }), 'saved')
  })
  t.equal(await saveTokenSet(patient, answered('acc_b'), { alone: true }), 'saved')
  t.same(await generations(), { acc_a: 2, acc_b: 2, acc_c: 2, acc_d: 2 })
})

t.test(
  'a cold account that is read is remembered without a flush, and one that waits for its person costs nothing more',
  async (t) => {
    const { db, sql, statements } = await fourAccounts(t)
    await sql`update token_sets set last_read_at = now() - interval '3 hours', rejected_at = case when account_id = 'acc_b' then now() end`
    await sql`create table seen (commit text)`
    await sql.unsafe(`create function see() returns trigger language plpgsql as $$ begin
    insert into seen select current_setting('synchronous_commit'); return new; end $$;
    create trigger see before update on token_sets for each row execute function see()`)
    const read = (accountId: string) =>
      vendTokenSets(db, [{ accountId, keyId: 'key_1', requestId: 'req_1', degraded: false, minTtlSeconds: 0, reach: everything }])
    await read('acc_b')
    await read('acc_a')
    await db.close()
    t.same(statements.toSorted(), ['vend_token_sets', 'vend_token_sets', 'warm_token_sets'])
    t.same(await sql`select account_id from token_sets where last_read_at > now() - interval '1 hour'`, [{ account_id: 'acc_a' }])
    t.same([...(await sql`select commit from seen`)], [{ commit: 'off' }])
  },
)
