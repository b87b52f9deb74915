// Questions of one moment are one statement, and nobody waits longer than one patience for it to leave.
import t from 'tap'
import { openBatch } from '../../src/db/batch.ts'
import { eventually } from '../rig/eventually.ts'
import { letTimePass } from '../rig/time.ts'

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
  const { promise: answered, resolve: answer } = Promise.withResolvers<void>()
  const patiences: number[] = []
  const batch = openBatch<number, number>(
    async (questions, queueMs) => {
      patiences.push(queueMs)
      await answered
      return questions
    },
    { lanes: 1, most: 1, queueMs: 1_000 },
  )
  const both = [batch.ask(1), batch.ask(2)]
  await eventually('the first is out', () => patiences.length === 1)
  letTimePass(t, 600)
  answer()
  t.same(await Promise.all(both), [1, 2])
  t.ok((patiences[1] ?? 0) <= 400, `600 of 1000 ms were spent behind the first, and ${patiences[1]} are left`)
})

t.test('F26: with no statement coming back whoever waits is told in time', async (t) => {
  const { promise: answered, resolve: answer } = Promise.withResolvers<number[]>()
  const batch = openBatch<number, number>(() => answered, { lanes: 1, most: 1, queueMs: 200 })
  const alive = setTimeout(() => {}, 600_000) // what watches the queue keeps no process alive
  t.teardown(() => clearTimeout(alive))
  const slow = batch.ask(1)
  await new Promise((resolve) => setImmediate(resolve))
  await Promise.all([2, 3].map((question) => t.rejects(batch.ask(question), { code: 'overloaded' })))
  answer([0])
  await t.resolves(slow)
})
