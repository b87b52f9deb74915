// Questions of one moment are one statement, and nobody waits longer than one patience for it to leave.
import t from 'tap'
import { openBatch } from '../../src/db/batch.ts'
import { openDb } from '../../src/db/client.ts'
import { emptyDatabase } from '../postgres.ts'
import { eventually } from '../rig/eventually.ts'

t.test('questions of one moment leave together, and each gets its own answer', async (t) => {
  const statements: number[][] = []
  const batch = openBatch<number, number>(
    async (questions) => {
      statements.push(questions)
      return questions.map((question) => question * 2)
    },
    { lanes: 1, most: 3 },
  )
  t.same(await Promise.all([1, 2, 3, 4].map((question) => batch.ask(question))), [2, 4, 6, 8])
  t.same(statements, [[1, 2, 3], [4]])
})

t.test('a statement that fails fails its own questions and no others', async (t) => {
  let calls = 0
  const batch = openBatch<number, number>(
    async (questions) => {
      if (calls++ === 0) throw new Error('broken')
      return questions
    },
    { lanes: 1, most: 1 },
  )
  const [first, second] = await Promise.allSettled([batch.ask(1), batch.ask(2)])
  t.equal(first.status, 'rejected')
  t.same(second, { status: 'fulfilled', value: 2 })
})

t.test('F26: waiting behind a statement and for a connection is one wait', async (t) => {
  const { url } = await emptyDatabase(t)
  const db = openDb({ url, poolSize: 2, queueMs: 1_000 })
  t.teardown(() => db.close())
  const batch = openBatch<number, number>(
    async ([seconds = 0], queueMs) => {
      await db.run('sleep', (sql) => sql`select pg_sleep(${seconds})`, { queueMs })
      return [seconds]
    },
    { lanes: 1, most: 1, queueMs: 1_000 },
  )
  await Promise.all([1, 2].map(() => db.run('warm', (sql) => sql`select pg_sleep(0.05)`)))
  // The slow statement succeeds, and by then others hold every connection.
  const slow = batch.ask(0.6)
  await eventually('it has a connection', () => db.state.inFlight === 1)
  const behind = batch.ask(0)
  const askedAtMs = performance.now()
  const others = [1, 2].map(() => db.run('hold', (sql) => sql`select pg_sleep(2)`))
  await t.resolves(slow)
  await t.rejects(behind, { code: 'overloaded' })
  const waitedMs = performance.now() - askedAtMs
  t.ok(waitedMs > 900 && waitedMs < 1_400, `told after ${Math.round(waitedMs)} ms, where one patience is 1000`)
  await Promise.all(others)
  t.match(await batch.ask(0), 0, 'and then it is served again')
})

t.test('F26: with no statement coming back whoever waits is told in time', async (t) => {
  const batch = openBatch<number, number>(() => new Promise((resolve) => setTimeout(resolve, 1_000, [0])), {
    lanes: 1,
    most: 1,
    queueMs: 200,
  })
  const slow = batch.ask(1)
  await new Promise((resolve) => setImmediate(resolve))
  await Promise.all([2, 3].map((question) => t.rejects(batch.ask(question), { code: 'overloaded' })))
  await t.resolves(slow)
})
