// Upload slots in the database: exactly the limit is given out, whatever comes at once and in whatever order.
import fc from 'fast-check'
import postgres from 'postgres'
import t, { type Test } from 'tap'
import { type Db, openDb } from '../../src/db/client.ts'
import {
  commitUpload,
  type Decided,
  purgeUploadGates,
  purgeUploads,
  type ReserveOutcome,
  releaseUpload,
  reserveUploads,
} from '../../src/db/uploads.ts'
import { newId } from '../../src/ids.ts'
import { freshDatabase } from '../postgres.ts'
import { recede } from '../rig/time.ts'

const actor = { keyId: 'key_test', name: 'uploader', requestId: 'req_test' }
const dayMs = 86_400_000

interface World {
  /** one pool per replica, as in real life */
  replicas: Db[]
  sql: postgres.Sql
  /** A connected account of a TikTok person, a new one when not given. */
  account(openId?: string): Promise<string>
  reserve(
    db: Db,
    accountId: string,
    wish?: { key?: string; ttlSeconds?: number; limit?: number },
  ): Promise<Decided<ReserveOutcome>>
}

async function world(t: Test, replicaCount = 1): Promise<World> {
  const { url } = await freshDatabase(t)
  const sql = postgres(url, { max: 1, onnotice: () => {} })
  t.teardown(() => sql.end())
  const replicas = Array.from({ length: replicaCount }, () => openDb({ url, queueMs: 60_000, deadlineMs: 30_000 }))
  t.teardown(() => Promise.all(replicas.map((db) => db.close())))
  await sql`insert into owners (id) values ('user_42')`
  return {
    replicas,
    sql,
    async account(openId = newId('req')) {
      const id = newId('acc')
      await sql`
        insert into accounts (id, owner_id, open_id, status, account_type, attested_at, attestation_version, age_confirmed_at, scopes)
        values (${id}, 'user_42', ${openId}, 'active', 'creator', now(), '1', now(), '{video.upload}')`
      return id
    },
    async reserve(db, accountId, { key, ttlSeconds, limit } = {}) {
      const [decided] = await reserveUploads(db, [wish(accountId, { key, ttlSeconds, limit })])
      if (!decided) throw new Error('Every question has its answer')
      return decided
    },
  }
}

const wish = (accountId: string, { key = newId('req'), ttlSeconds = 1800, limit = 20 } = {}) => ({
  accountId,
  uploadId: newId('upl'),
  idempotencyKey: key,
  ttlSeconds,
  limit,
  actor,
})

/** Time passes for the uploads of one account. */
function pass(sql: postgres.Sql, accountId: string, seconds: number): Promise<void> {
  return recede(sql, seconds, {
    uploads: `account_id = '${accountId}'`,
    upload_gates: `tiktok_user in (select tiktok_user from uploads where account_id = '${accountId}')`,
  })
}

t.test('200 reservations at once on 3 replicas get exactly the 20 slots, 20 times in a row (F40)', async (t) => {
  const { replicas, sql, account, reserve } = await world(t, 3)
  for (let round = 0; round < 20; round++) {
    const accountId = await account()
    const decided = await Promise.all(Array.from({ length: 200 }, (_, n) => reserve(replicas[n % 3] as Db, accountId)))
    const outcomes = { reserved: 0, exhausted: 0 }
    for (const { outcome, remaining } of decided) {
      if (outcome !== 'reserved' && outcome !== 'exhausted') throw new Error(`unexpected: ${outcome}`)
      outcomes[outcome] += 1
      if (outcome === 'exhausted' && remaining > 0) t.fail('no refusal while a slot is free')
    }
    t.same(outcomes, { reserved: 20, exhausted: 180 })
    t.match(await sql`select count(*)::int from uploads where account_id = ${accountId}`, [{ count: 20 }])
    t.match(
      await sql`select count(*)::int from events where account_id = ${accountId} and type = 'upload_quota.exhausted'`,
      [{ count: 1 }],
      'announced once',
    )
  }
})

t.test('reservations of one moment are one statement: each gets its own answer, and who came first goes first', async (t) => {
  const { replicas, sql, account } = await world(t)
  const db = replicas[0] as Db
  const [free, other, gone] = [await account(), await account(), await account()]
  await sql`update accounts set status = 'disconnected', open_id = null where id = ${gone}`
  const answers = await reserveUploads(db, [
    wish(free, { key: 'first', limit: 2 }),
    wish(gone),
    wish(other, { key: 'first', limit: 1 }),
    wish('acc_nobody'),
    wish(free, { key: 'second', limit: 2 }),
    wish(free, { key: 'first', limit: 2 }),
    wish(free, { key: 'first', ttlSeconds: 60, limit: 2 }),
    wish(free, { key: 'third', limit: 2 }),
    wish(other, { key: 'second', limit: 2 }),
  ])
  t.same(
    answers.map(({ outcome }) => outcome),
    [
      'reserved',
      'account_disconnected',
      'reserved',
      'account_not_found',
      'reserved',
      'repeated',
      'key_reused',
      'exhausted',
      'reserved',
    ],
  )
  t.equal(answers[5]?.upload?.id, answers[0]?.upload?.id)
  t.same(await reserveUploads(db, []), [])
})

t.test(
  'statements that reserve for the same people in opposite orders do not wait for each other in a circle (F40)',
  async (t) => {
    const { replicas, account } = await world(t, 2)
    const accounts = await Promise.all(Array.from({ length: 64 }, () => account()))
    for (let round = 0; round < 20; round++) {
      const outcomes = await Promise.all(
        Array.from({ length: 6 }, async (_, n) => {
          const order = n % 2 ? accounts : accounts.toReversed()
          return reserveUploads(
            replicas[n % 2] as Db,
            order.map((id) => wish(id, { ttlSeconds: 0 })),
          )
        }),
      )
      t.same(new Set(outcomes.flat().map(({ outcome }) => outcome)), new Set(['reserved']))
    }
  },
)

t.test('a slot given back while others wait for it is had by exactly one of them', async (t) => {
  const { replicas, account, reserve } = await world(t, 3)
  const db = replicas[0] as Db
  const accountId = await account()
  const held = await Promise.all(Array.from({ length: 5 }, () => reserve(db, accountId, { limit: 5 })))
  for (const { upload } of held) {
    const [, ...others] = await Promise.all([
      releaseUpload(db, { accountId, uploadId: upload?.id ?? '', tiktokError: null, closure: null, limit: 5, actor }),
      ...Array.from({ length: 20 }, (_, n) => reserve(replicas[n % 3] as Db, accountId, { limit: 5 })),
    ])
    const after = await reserve(db, accountId, { limit: 5 })
    t.equal([...others, after].filter(({ outcome }) => outcome === 'reserved').length, 1)
  }
})

t.test('one key at once on 3 replicas makes one reservation, also when it takes the last slot (F42)', async (t) => {
  const { replicas, sql, account, reserve } = await world(t, 3)
  for (let round = 0; round < 10; round++) {
    const accountId = await account()
    const decided = await Promise.all(
      Array.from({ length: 30 }, (_, n) => reserve(replicas[n % 3] as Db, accountId, { key: 'the-upload', limit: 1 })),
    )
    t.equal(decided.filter(({ outcome }) => outcome === 'reserved').length, 1)
    t.equal(decided.filter(({ outcome }) => outcome === 'repeated').length, 29)
    t.equal(new Set(decided.map(({ upload }) => upload?.id)).size, 1)
    t.match(await sql`select count(*)::int from uploads where account_id = ${accountId}`, [{ count: 1 }])
  }
})

t.test('whoever disconnects and connects again finds the window as it was: TikTok counts per person', async (t) => {
  const { replicas, sql, account, reserve } = await world(t)
  const db = replicas[0] as Db
  const first = await account('open_person')
  const { upload } = await reserve(db, first, { limit: 1 })
  await commitUpload(db, { accountId: first, uploadId: upload?.id ?? '', publishId: null, limit: 1, actor })
  await sql`update accounts set status = 'disconnected', open_id = null where id = ${first}`
  t.equal((await reserve(db, first, { limit: 1 })).outcome, 'account_disconnected')
  const second = await account('open_person')
  t.equal((await reserve(db, second, { limit: 1 })).outcome, 'exhausted')
  await pass(sql, first, 86_401)
  t.equal((await reserve(db, second, { limit: 1 })).outcome, 'reserved')
})

t.test('what is long over is purged, what still counts or may be asked for is not', async (t) => {
  const { replicas, sql, account, reserve } = await world(t)
  const db = replicas[0] as Db
  const accountId = await account()
  for (let n = 0; n < 3; n++) await reserve(db, accountId, { limit: 3 })
  await pass(sql, accountId, 8 * 86_400)
  await reserve(db, accountId, { key: 'young', limit: 1 })
  t.equal(await purgeUploads(db, 7, 2), 2)
  t.equal(await purgeUploads(db, 7, 2), 1)
  t.equal(await purgeUploads(db, 7, 2), 0)
  t.match(await sql`select idempotency_key from uploads`, [{ idempotency_key: 'young' }])
  t.equal(await purgeUploadGates(db, 7), 0)
  await pass(sql, accountId, 8 * 86_400)
  t.equal(await purgeUploadGates(db, 7), 1)
})

type Step =
  | { do: 'reserve'; ttlSeconds: number }
  | { do: 'upload' | 'commit' | 'release'; which: number }
  | { do: 'wait'; seconds: number }

const tenMinutes = 600
/** Which attempt, counted back from the youngest: those are the ones that are under way. */
const which = fc.oneof({ weight: 5, arbitrary: fc.nat(3) }, { weight: 1, arbitrary: fc.nat(30) })
/** Waits are whole tens of minutes and times to live are not, so that nothing ends in the very moment of a step. */
const reserving = fc.nat(40).map((n): Step => ({ do: 'reserve', ttlSeconds: n * tenMinutes + 300 }))
const waiting = (min: number, max: number) => fc.integer({ min, max }).map((n): Step => ({ do: 'wait', seconds: n * tenMinutes }))

/** Single steps, and whole uploads that take hours; long waits bring a history near the end of its windows: there the mistakes would be. */
const steps: fc.Arbitrary<Step[]> = fc.oneof(
  { weight: 3, arbitrary: reserving.map((step) => [step]) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom('upload', 'commit', 'release'), which }).map((step): Step[] => [step]),
  },
  { weight: 2, arbitrary: waiting(1, 24).map((step) => [step]) },
  { weight: 2, arbitrary: waiting(110, 145).map((step) => [step]) },
  {
    weight: 3,
    arbitrary: waiting(1, 39).map((wait): Step[] => [
      { do: 'reserve', ttlSeconds: 40 * tenMinutes },
      wait,
      { do: 'commit', which: 0 },
    ]),
  },
)

interface Attempt {
  id: string
  holdEnds: number
  uploadedAt?: number
  committed?: boolean
  late?: boolean
  released?: boolean
}

t.test(
  'over any history, no 24 hours see more uploads than the limit, late ones apart, and no refusal is untrue (I4)',
  async (t) => {
    const { replicas, sql, account, reserve } = await world(t)
    const db = replicas[0] as Db
    let reservations = 0
    let refusals = 0
    let lateOnes = 0

    const history = fc.asyncProperty(
      fc.constantFrom(1, 3, 20),
      fc.array(steps, { minLength: 40, maxLength: 80 }),
      async (limit, story) => {
        const accountId = await account()
        const attempts: Attempt[] = []
        let nowMs = 0 // of the story; the database's clock is behind by what has passed in it
        for (const each of story.flat()) {
          if (each.do === 'wait') {
            await pass(sql, accountId, each.seconds)
            nowMs += each.seconds * 1000
          } else if (each.do === 'reserve') {
            const held = attempts.filter(({ holdEnds }) => holdEnds > nowMs).length
            const { outcome, upload, remaining } = await reserve(db, accountId, { ttlSeconds: each.ttlSeconds, limit })
            if (outcome !== (held < limit ? 'reserved' : 'exhausted')) throw new Error(`${outcome} with ${held} of ${limit} held`)
            if (outcome === 'reserved' && remaining !== limit - held - 1)
              throw new Error(`${remaining} remaining with ${held + 1} held`)
            if (upload) attempts.push({ id: upload.id, holdEnds: nowMs + each.ttlSeconds * 1000 })
            if (outcome === 'reserved') reservations += 1
            else refusals += 1
          } else {
            const attempt = attempts.at(-1 - each.which)
            if (!attempt || attempt.released) continue
            if (each.do === 'upload') attempt.uploadedAt ??= nowMs
            if (each.do === 'commit') {
              attempt.uploadedAt ??= nowMs
              const { outcome, upload } = await commitUpload(db, {
                accountId,
                uploadId: attempt.id,
                publishId: null,
                limit,
                actor,
              })
              if (outcome !== (attempt.committed ? 'repeated' : 'committed')) throw new Error(outcome)
              if (attempt.committed) continue
              const late = attempt.holdEnds <= nowMs
              if (upload?.late !== late) throw new Error(`late is ${upload?.late}`)
              Object.assign(attempt, { committed: true, late, holdEnds: nowMs + dayMs })
              if (late) lateOnes += 1
            }
            if (each.do === 'release' && attempt.uploadedAt === undefined) {
              await releaseUpload(db, { accountId, uploadId: attempt.id, tiktokError: null, closure: null, limit, actor })
              Object.assign(attempt, { released: true, holdEnds: Math.min(attempt.holdEnds, nowMs) })
            }
          }
        }
        const uploads = attempts.filter(({ committed, late }) => committed && !late).map(({ uploadedAt }) => uploadedAt ?? 0)
        for (const start of uploads) {
          const inWindow = uploads.filter((at) => at >= start && at < start + dayMs).length
          if (inWindow > limit) throw new Error(`${inWindow} uploads in the 24 hours from ${start}, limit ${limit}`)
        }
      },
    )

    await fc.assert(history, { numRuns: 40 })
    t.ok(reservations > 100 && refusals > 100 && lateOnes > 10, 'the histories were eventful', {
      reservations,
      refusals,
      lateOnes,
    } as never)
  },
)
