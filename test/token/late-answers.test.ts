// What TikTok answered and was recorded late: after a mark, a disconnect, a failed session or a new connect, and what is in the way of each.
import postgres from 'postgres'
import t, { type Test } from 'tap'
import { replayExchange } from '../../src/connect/grant.ts'
import { closeBreaker, openBreaker, readBreaker } from '../../src/db/circuit-breakers.ts'
import { type Claim, claimTokenSet } from '../../src/db/claims.ts'
import { failSession, findSession } from '../../src/db/connect-sessions.ts'
import { beginRecovery } from '../../src/db/recoveries.ts'
import { settleRejections, suspectRejection } from '../../src/db/rejections.ts'
import { insertRevocation } from '../../src/db/revocations.ts'
import { saveTokenSet } from '../../src/db/token-sets.ts'
import { ServiceError } from '../../src/errors.ts'
import { newId } from '../../src/ids.ts'
import type { AnsweredExchange } from '../../src/journal/entries.ts'
import type { StoredEntry } from '../../src/journal/sealing.ts'
import { eventually } from '../rig/eventually.ts'
import { startWatchedWorld } from '../rig/watched-world.ts'
import { startWorld, type World } from '../world.ts'

t.test('S45: a late save that had to wait for the mark undoes it all the same', async (t) => {
  const { save, whileHeld, statusOf, events } = await spentAccount(t)
  const outcome = await whileHeld(async (sql, id) => {
    await sql`update token_sets set due_at = null, next_attempt_at = 'infinity' where account_id = ${id}`
    await sql`update accounts set status = 'reauthorization_required', status_reason = 'refresh_token_rejected' where id = ${id}`
  }, save)
  t.equal(outcome, 'recovered')
  t.match(await statusOf(), { status: 'active', reason: null, generation: 2 })
  t.match(await events(), ['account.recovered'])
  t.equal(await save(), 'saved', 'repeated, it finds itself saved')
  t.match(await statusOf(), { generation: 2 })
})

t.test('S48: a save that had to wait for a disconnect knows that the account is gone, and not only changed', async (t) => {
  const { save, whileHeld } = await spentAccount(t)
  const outcome = await whileHeld(async (sql, id) => {
    await sql`delete from token_sets where account_id = ${id}`
    await sql`update accounts set status = 'disconnected', open_id = null where id = ${id}`
  }, save)
  t.equal(outcome, 'gone')
})

t.test('a save that had to wait for itself, sent twice, is saved and not replaced', async (t) => {
  const { save, whileHeld, attemptId, statusOf } = await spentAccount(t)
  const outcome = await whileHeld(async (sql, id) => {
    await sql`update token_sets set generation = 2, saved_attempt_id = ${attemptId} where account_id = ${id}`
  }, save)
  t.equal(outcome, 'saved')
  t.match(await statusOf(), { generation: 2 })
})

t.test('S45: a read does not shorten the grace of a refused refresh token', async (t) => {
  const { world, watched, id, claim, read } = await spentAccount(t, { secondsLeft: 600 })
  t.ok(await suspectRejection(world.parts.db, claim, 60))
  await watched.sql`update token_sets set last_read_at = now() - interval '3 hours' where account_id = ${id}`
  t.match(await read(), { status: 200, generation: 1 })
  await watched.sql`update token_sets set due_at = due_at - interval '30 seconds' where account_id = ${id}`
  t.same(await settleRejections(world.parts.db, null, 10), [], 'half the grace is left')
})

t.test('F28: a refresh that is refused because a neighbour noticed a rewind says so, and does not blame TikTok', async (t) => {
  const { world, seedOne } = await startWatchedWorld(t)
  const { id } = await seedOne({ secondsLeft: -10 })
  await beginRecovery(world.parts.db, { reason: 'mark_behind', journalId: 'of a neighbour', rewoundTo: null })
  t.match(await world.call('GET', `/accounts/${id}/token`), { status: 503, body: { code: 'database_rewound' } })
})

t.test(
  'F05: a save that the database refuses for what an operator can mend is waited for, and nothing is spent twice',
  async (t) => {
    const { world, watched, seedOne } = await startWatchedWorld(t)
    const { sql } = watched
    const ready = async () => (await world.call('GET', '/health/ready', { key: null })).status
    // A right that is missing, a table that is, a page that cannot be read, a bug of the server's, a database that is dropped.
    for (const code of ['42501', '42P01', '58030', 'XX001', 'XX000', '57P04']) {
      const { id } = await seedOne()
      await sql.unsafe(`create function refuse() returns trigger language plpgsql as $$ begin
      if new.generation > old.generation then raise exception using errcode = '${code}'; end if; return new; end $$;
      create trigger refuse before update on token_sets for each row execute function refuse()`)
      const answer = world.call<{ generation: number }>('POST', `/accounts/${id}/token/rejected`, { body: { generation: 1 } })
      await eventually(`${code}: the answer waits`, () => world.parts.recording.isUnsaved(id))
      await eventually('and so the process is not ready', async () => (await ready()) === 503)
      await sql.unsafe('drop trigger refuse on token_sets; drop function refuse()')
      t.match(await answer, { status: 200, body: { generation: 2 } }, code)
    }
    await eventually('it is ready again', async () => (await ready()) === 200)
    t.match(world.tiktok.stats.report(), { double_spend_count: 0 })
    t.match(world.logged(), /"level":"error"[^\n]*"code":"42501"[^\n]*token answer waits: the database refuses to take it/)
  },
)

t.test(
  'F05: with the database back, a token whose lease ran out is not sent before its holder could record the answer',
  async (t) => {
    const { world, watched, id, save, statusOf } = await spentAccount(t)
    await world.timePasses(31)
    const { requests } = world.tiktok.stats.report()
    const neighbours = world.parts.refresher.refresh(id, 1)
    await eventually('the neighbour has claimed it', async () => {
      const [row] = await watched.sql`select unsettled_attempts as n from token_sets where account_id = ${id}`
      return row?.n === 2
    })
    t.equal(await save(), 'saved')
    t.match(await neighbours, { kind: 'yielded' })
    t.equal(world.tiktok.stats.report().requests, requests, 'TikTok was not asked')
    t.match(await statusOf(), { status: 'active', generation: 2 })
  },
)

t.test('F10: a wait that TikTok asked for is not shortened by trouble of another kind', async (t) => {
  const { parts } = await startWorld(t)
  await openBreaker(parts.db, 'throttled', 600)
  await openBreaker(parts.db, 'unavailable', 2)
  t.ok((await readBreaker(parts.db)).openForSeconds > 300)
  t.notOk(await closeBreaker(parts.db), 'nor by a probe that was out already')
  t.ok((await readBreaker(parts.db)).openForSeconds > 300)
})

t.test('F38: an answer that comes after its session failed connects nothing, and its grant is revoked', async (t) => {
  const world = await startWorld(t)
  const late = await journalledExchange(world, 'late')
  await failSession(world.parts.db, late.session, 'tiktok_rejected')
  await replayExchange(world.parts, entryOf(late))
  t.equal(grantsOf(world, late.person), 0)
  t.match(await world.call('GET', `/accounts?owner_id=late`), { body: { accounts: [] } })
  t.match(await findSession(world.parts.db, late.session), { status: 'failed' })

  await t.test('and neither when the person has connected anew since', async (t) => {
    const again = await journalledExchange(world, 'anew')
    await failSession(world.parts.db, again.session, 'tiktok_rejected')
    const account = await world.connect({ owner: 'anew', person: again.person })
    await replayExchange(world.parts, entryOf(again))
    t.match(await world.call('GET', `/accounts/${account.id}`), { body: { status: 'active', token: { generation: 1 } } })
    t.ok(grantsOf(world, again.person) > 0, 'the new grant lives')
  })
})

t.test('F24: an exchange whose beginning was recorded, and the answer lost, is carried out', async (t) => {
  const world = await startWorld(t)
  const { session, confirm } = await back(world, 'lucky')
  loseAnswers(world, 'begin_exchange', 1)
  const body = { owner_id: 'lucky', confirm }
  t.match(await world.call('POST', `/connect-sessions/${session}/complete`, { body }), { status: 201 })
})

t.test('a grant of somebody who is connected here is never put on the list of those to revoke', async (t) => {
  const { parts, connect } = await startWorld(t)
  const account = await connect()
  const row = { id: newId('rev'), accountId: null, sessionId: 'cs_1', reason: 'late_refresh', subject: 'x', generation: 0 }
  const sealed = { sealedAccessToken: 'a', sealedRefreshToken: 'b', accessExpiresAt: new Date() }
  t.notOk(await insertRevocation(parts.db, { ...row, ...sealed, openId: account.open_id ?? '' }))
  t.ok(await insertRevocation(parts.db, { ...row, ...sealed, openId: 'somebody else' }))
})

t.test('S47: a revocation that is under way stops when the person connects anew, whose grant it would end', async (t) => {
  const world = await startWorld(t)
  const { person, openId } = await disconnectedWhileAway(world, 'returns')
  world.tiktok.faults.add({ route: 'refresh', before_ms: 1500 })
  const { requests } = world.tiktok.stats.report()
  const revoking = world.parts.revocations.attemptDue(10)
  await eventually('its expired token is being refreshed', () => world.tiktok.stats.report().requests > requests)
  const account = await world.connect({ owner: 'returns', person })
  await revoking
  t.equal(account.open_id, openId)
  t.equal(world.tiktok.stats.report().revocations, 0)
  t.equal((await world.call('GET', `/accounts/${account.id}/token`)).status, 200)
})

t.test('S47: a pair that was renewed to be revoked is revoked though it cannot be recorded', async (t) => {
  const world = await startWorld(t)
  const { person } = await disconnectedWhileAway(world, 'unrecorded')
  loseAnswers(world, 'renew_revocation', 1, false)
  await world.parts.revocations.attemptDue(10)
  t.equal(grantsOf(world, person), 0)
})

t.test('a refused token is not handed out again by the landing of the refresh that brought it', async (t) => {
  const world = await startWorld(t)
  const account = await world.connect()
  const { refresher } = world.parts
  const { refresh } = refresher
  let landings = 0
  // The first caller joins a refresh that is just landing: the one that brought the refused token.
  refresher.refresh = async (id, generation) => (landings++ === 0 ? { kind: 'refreshed' } : refresh(id, generation))
  const reported = world.call('POST', `/accounts/${account.id}/token/rejected`, { body: { generation: 1 } })
  t.match(await reported, { status: 200, body: { generation: 2 } })
})

/** An account whose refresh token has just been spent; its answer is to be saved. */
async function spentAccount(t: Test, { secondsLeft = 7200 } = {}) {
  const { world, watched, seedOne, read, statusOf } = await startWatchedWorld(t)
  const account = await seedOne({ secondsLeft })
  const { id } = account
  const { db, vault } = world.parts
  const attemptId = newId('att')
  const claim: Claim | undefined = await claimTokenSet(db, id, 1, { attemptId, leaseSeconds: 30 })
  if (!claim) throw new Error('nobody else holds it')
  const place = { subject: id, generation: 2 }
  const next = {
    sealedAccessToken: vault.seal({ purpose: 'access_token', ...place }, 'act.next'),
    sealedRefreshToken: vault.seal({ purpose: 'refresh_token', ...place }, 'rft.next'),
    sealedExpiry: null,
    accessExpiresAt: new Date(Date.now() + 7_200_000),
    refreshExpiresAt: null,
    lifetimeSeconds: 7200,
    scopes: claim.scopes,
    lostRequiredScope: false,
  }
  const save = () => saveTokenSet(db, { accountId: id, spentGeneration: 1, attemptId, ...next })
  /** Runs `work` in a transaction that holds the token set, and ends it once `then` waits for it. */
  async function whileHeld<T>(
    work: (sql: postgres.TransactionSql, id: string) => Promise<void>,
    then: () => Promise<T>,
  ): Promise<T> {
    const holder = postgres(world.databaseUrl, { max: 1, onnotice: () => {} })
    let waiting: Promise<T> | undefined
    await holder.begin(async (sql) => {
      await work(sql, id)
      waiting = then()
      await eventually('it waits for the row', async () => {
        const [row] =
          await watched.sql`select count(*)::int as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
        return row?.n === 1
      })
    })
    await holder.end()
    return waiting as Promise<T>
  }
  return {
    world,
    watched,
    id,
    claim,
    attemptId,
    save,
    whileHeld,
    read: () => read(id),
    statusOf: () => statusOf(id),
    events: async () =>
      (await watched.sql<{ type: string }[]>`select type from events where account_id = ${id} order by seq`).map(
        ({ type }) => type,
      ),
  }
}

/** Somebody is back from TikTok, their code is exchanged, and the answer lies in the journal of a process that is gone. */
async function journalledExchange(world: World, owner: string) {
  const { session, person, confirm } = await back(world, owner)
  const { journal } = world.parts
  const { write } = journal
  let answer: AnsweredExchange | undefined
  const crashed = new Error('the process is gone')
  journal.write = (entry) => {
    answer = entry.body as AnsweredExchange
    return Promise.reject(crashed)
  }
  await world.call('POST', `/connect-sessions/${session}/complete`, { body: { owner_id: owner, confirm } })
  journal.write = write
  if (!answer) throw new Error('nothing was answered')
  return { session, person, answer }
}

const entryOf = ({ session, answer }: { session: string; answer: AnsweredExchange }): StoredEntry => ({
  ...{ kind: 'exchange', subject: session, generation: 0, body: answer },
  ...{ journalId: 'rep_gone', sequence: 1, atMs: 0 },
})

async function back(world: World, owner: string) {
  const person = world.tiktok.people.add({ id: `person-${owner}` }).id
  const opened = await world.openSession({ owner_id: owner })
  const url = await world.browser().walk(opened.authorize_url, { person })
  return { session: opened.id, person, confirm: url.searchParams.get('confirm') ?? '' }
}

/** Disconnected while TikTok was away, and so long ago that the access token is over. */
async function disconnectedWhileAway(world: World, owner: string) {
  const person = world.tiktok.people.add({ id: `person-${owner}` }).id
  const account = await world.connect({ owner, person })
  world.tiktok.faults.add({ route: 'revoke', status: 503 })
  t.match(await world.call('DELETE', `/accounts/${account.id}`), { body: { revocation: 'pending' } })
  await world.timePasses(3 * 3600)
  return { person, openId: account.open_id }
}

const grantsOf = ({ tiktok }: World, id: string): number => {
  const person = tiktok.people.find(id)
  return person ? tiktok.grants.ofPerson(person).length : 0
}

/** The database does what it is asked, or not, and in both cases the connection is lost before its answer. */
function loseAnswers({ parts }: World, statement: string, times: number, done = true): void {
  const { run } = parts.db
  let left = times
  const lossy: typeof run = async (name, work, options) => {
    if (name !== statement || left === 0) return run(name, work, options)
    left--
    if (done) await run(name, work, options)
    throw new ServiceError('storage_unavailable', 'The answer was lost.')
  }
  Object.assign(parts.db, { run: lossy })
}
