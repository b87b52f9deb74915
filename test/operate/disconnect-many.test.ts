// The emergency: what ends at once, what TikTok is told and when, and that it can be stopped and run again (S72).
import postgres from 'postgres'
import t from 'tap'
import { openBreaker } from '../../src/db/circuit-breakers.ts'
import { claimRevocations } from '../../src/db/revocations.ts'
import { disconnectMany, revokeMany } from '../../src/operate/disconnect-many.ts'
import { eventually } from '../rig/eventually.ts'
import { seedAccounts } from '../rig/seed.ts'
import { startWorld } from '../world.ts'

interface Teardown {
  teardown(work: () => unknown): unknown
}

async function crowd(t: Teardown, count: number) {
  const world = await startWorld(t)
  const sql = postgres(world.databaseUrl, { max: 2, onnotice: () => {} })
  t.teardown(() => sql.end())
  const accounts = await seedAccounts({ sql, vault: world.parts.vault, tiktok: world.tiktok }, { count })
  const due = async () => (await sql`select 1 from revocations where next_attempt_at <= now()`).length
  const revoked = () => world.tiktok.stats.report().revocations
  return { ...world, sql, accounts, due, revoked }
}

const emergency = { ownerId: null, actor: 'operator', perSecond: 5 }
const unheard = () => {}

t.test('no token leaves from the moment it returns; TikTok is told at the rate, by whichever replica comes by', async (t) => {
  const { parts, accounts, call, due, revoked, timePasses } = await crowd(t, 42)
  const seen: [number, number][] = []
  const startedAt = performance.now()
  const fromNowOn = () => 5 * ((performance.now() - startedAt) / 1000) + 1
  t.equal(await disconnectMany(parts, emergency, (done, total) => seen.push([done, total])), 42)
  t.same(seen.at(-1), [42, 42])
  for (const { id } of accounts.slice(0, 5)) t.equal((await call('GET', `/accounts/${id}/token`)).status, 410)
  t.ok((await due()) <= fromNowOn(), 'nothing is due before its time')
  await parts.revocations.attemptDue(100)
  await timePasses(4)
  const dueNow = await due()
  t.ok(dueNow >= 15 && dueNow <= fromNowOn() + 20, `five a second: ${dueNow}`)
  while ((await parts.revocations.attemptDue(100)) > 0);
  await timePasses(10)
  await parts.revocations.attemptDue(100)
  t.equal(revoked(), 42)
})

t.test('stopped half-way it goes on with those that are left, and does not tell TikTok all of the rest at once', async (t) => {
  const { parts, sql, due, revoked, timePasses } = await crowd(t, 30)
  const stop = new Error('stopped')
  const stopping = disconnectMany(parts, emergency, (done) => {
    if (done >= 12) throw stop
  })
  await t.rejects(stopping, stop)
  const { length: before } = await sql`select 1 from accounts where status = 'disconnected'`
  t.ok(before >= 12 && before < 30)
  await timePasses(3600) // meanwhile no replica ran: all that was planned is overdue
  t.equal(await disconnectMany(parts, emergency, unheard), 30 - before)
  t.ok((await due()) <= 5, 'and is planned anew')
  const [{ spread = 0, last = 0 } = {}] = await sql<{ spread: number; last: number }[]>`
    select extract(epoch from max(next_attempt_at) - min(next_attempt_at))::float8 as spread,
      extract(epoch from max(next_attempt_at) - now())::float8 as last from revocations`
  t.ok(spread > 5.7 && last < 6.1, `thirty at five a second: ${spread} s from the first to the last, which is ${last} s away`)
  await timePasses(10)
  await revokeMany(parts, { ...emergency, perSecond: 100 }, unheard)
  t.equal(revoked(), 30)
})

t.test('run again while a grant is being revoked it leaves that one to whoever is at it', async (t) => {
  const { parts, due, timePasses } = await crowd(t, 3)
  await disconnectMany(parts, emergency, unheard)
  await timePasses(4)
  const taken = await claimRevocations(parts.db, null, 1)
  t.equal(taken.length, 1)
  await disconnectMany(parts, { ...emergency, perSecond: 1000 }, unheard)
  await eventually('the others are due', async () => (await due()) === 2)
  t.same(await claimRevocations(parts.db, taken[0]?.id ?? '', 1), [], 'its try is not over')
})

t.test('of one owner, nobody else is touched', async (t) => {
  const { parts, connect, call } = await crowd(t, 0)
  const [own, other] = [await connect({ owner: 'user_1' }), await connect({ owner: 'user_2', person: 'jonas' })]
  t.equal(await disconnectMany(parts, { ...emergency, ownerId: 'user_1' }, unheard), 1)
  t.equal((await call('GET', `/accounts/${own.id}/token`)).status, 410)
  t.equal((await call('GET', `/accounts/${other.id}/token`)).status, 200)
})

t.test('when TikTok asks for a pause, all revocations of all replicas wait for it', async (t) => {
  const { parts, tiktok, revoked, timePasses } = await crowd(t, 4)
  await disconnectMany(parts, { ...emergency, perSecond: 1000 }, unheard)
  await timePasses(1)
  tiktok.faults.add({ route: 'revoke', status: 429, headers: { 'retry-after': '30' }, process: false, body: {} })
  t.equal(await parts.revocations.attemptDue(1), 1)
  t.equal(revoked(), 0)
  t.equal(await parts.revocations.attemptDue(10), 0, 'the gate is closed')
  await timePasses(31)
  t.ok((await parts.revocations.attemptDue(10)) > 0)
  t.ok(revoked() >= 3)
})

t.test('while the gate is closed it says so, and goes on when it opens', async (t) => {
  const { parts, revoked, timePasses } = await crowd(t, 2)
  await disconnectMany(parts, { ...emergency, perSecond: 1000 }, unheard)
  await timePasses(1)
  await openBreaker(parts.db, 'throttled', 60)
  const notes: string[] = []
  const revoking = revokeMany(parts, emergency, (_done, _total, note = '') => notes.push(note))
  await eventually('it waits', () => notes.length > 0)
  t.match(notes[0], /^TikTok is left alone for (59|60) s: throttled$/)
  await timePasses(61)
  await revoking
  t.equal(revoked(), 2)
})
