// Questions of one moment are one statement, and nobody waits longer than for one.
import t from 'tap'
import { openBatch } from '../../src/db/batch.ts'
import { ServiceError } from '../../src/errors.ts'

const overloaded = () => new ServiceError('overloaded', 'All database connections are busy; try again in a moment.')

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

t.test('F26: when a statement got no connection in time, nobody behind it waits that long once more', async (t) => {
  let giveUp = (_error: unknown) => {}
  let calls = 0
  const batch = openBatch<number, number>(
    () => {
      calls++
      return new Promise((_resolve, reject) => {
        giveUp = reject
      })
    },
    { lanes: 1, most: 1 },
  )
  const first = batch.ask(1)
  await new Promise((resolve) => setImmediate(resolve))
  const behind = [batch.ask(2), batch.ask(3)]
  giveUp(overloaded())
  for (const question of [first, ...behind]) await t.rejects(question, { code: 'overloaded' })
  t.equal(calls, 1)
})
