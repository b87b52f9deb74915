// One promise per key: joined, bounded, and independent of whoever started it.
import t from 'tap'
import { SingleFlight } from '../../src/concurrency/single-flight.ts'
import { within } from '../../src/concurrency/waiting.ts'

t.test('whoever comes while a flight is up joins it, whoever comes later starts the next', async (t) => {
  const flights = new SingleFlight<number>(1000, () => -1)
  const gate = Promise.withResolvers<number>()
  const first = flights.join('a', () => gate.promise)
  const second = flights.join('a', () => Promise.resolve(2))
  const other = flights.join('b', () => Promise.resolve(3))
  t.equal(flights.started, 2)
  t.ok(flights.has('a'))
  gate.resolve(1)
  t.same(await Promise.all([first, second, other]), [1, 1, 3])
  await flights.landed()
  t.equal(flights.size, 0)
  t.equal(await flights.join('a', () => Promise.resolve(4)), 4)
})

t.test('F56: a flight that never settles dies at its deadline, and the next one flies', async (t) => {
  const flights = new SingleFlight<string>(20, (key) => `gave up on ${key}`)
  t.equal(await flights.join('a', () => new Promise(() => {})), 'gave up on a')
  t.notOk(flights.has('a'))
  t.equal(await flights.join('a', () => Promise.resolve('well')), 'well')
})

t.test('F56: a deadline may be a failure', async (t) => {
  const flights = new SingleFlight<string>(20, () => {
    throw new Error('too late')
  })
  await t.rejects(
    flights.join('a', () => new Promise(() => {})),
    { message: 'too late' },
  )
})

t.test('a failure is told to all who wait, ends no process when nobody does, and blocks nothing', async (t) => {
  const flights = new SingleFlight<number>(1000, () => -1)
  const fail = () => Promise.reject(new Error('boom'))
  const waiting = [flights.join('a', fail), flights.join('a', fail)]
  for (const waiter of waiting) await t.rejects(waiter, { message: 'boom' })
  void flights.join('a', fail)
  await flights.landed()
  t.equal(await flights.join('a', () => Promise.resolve(1)), 1)
})

t.test('S13: waiting has an end, the work goes on', async (t) => {
  const work = Promise.withResolvers<string>()
  t.equal(await within(work.promise, 5), undefined)
  work.resolve('done')
  t.equal(await within(work.promise, 5), 'done')
  await t.rejects(within(Promise.reject(new Error('boom')), 5), { message: 'boom' })
})
