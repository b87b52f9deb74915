// So much at once and no more, and an end that waits for all of it; and a wait that ends when the process does.
import t from 'tap'
import { forEachAtMost, InFlight } from '../../src/concurrency/in-flight.ts'
import { unlessAborted } from '../../src/concurrency/waiting.ts'

const aTurn = () => new Promise<void>((resolve) => setImmediate(resolve))

t.test('never more than the limit at once, and every item once', async (t) => {
  let running = 0
  let most = 0
  const done: number[] = []
  await forEachAtMost(3, [1, 2, 3, 4, 5, 6, 7], async (item) => {
    most = Math.max(most, ++running)
    await aTurn()
    running--
    done.push(item)
  })
  t.equal(most, 3)
  t.same(done.sort(), [1, 2, 3, 4, 5, 6, 7])
})

t.test('after a failure nothing new is begun, what runs is waited for, and the first failure is told', async (t) => {
  const begun: number[] = []
  let ended = 0
  const work = forEachAtMost(2, [1, 2, 3, 4, 5], async (item) => {
    begun.push(item)
    await aTurn()
    if (item === 1) throw new Error('first')
    await aTurn()
    ended++
  })
  await t.rejects(work, { message: 'first' })
  t.same(begun, [1, 2])
  t.equal(ended, 1)
})

t.test('a failure is the caller’s, and leaves its place', async (t) => {
  const inFlight = new InFlight()
  await t.rejects(inFlight.add(Promise.reject(new Error('boom'))), { message: 'boom' })
  await inFlight.landed()
  t.equal(inFlight.size, 0)
})

t.test('work that hangs is left alone once the process is asked to end, and leaves no listener behind', async (t) => {
  const stopping = new AbortController()
  const listeners: string[] = []
  const { signal } = stopping
  const { addEventListener, removeEventListener } = signal
  signal.addEventListener = (...given: Parameters<typeof addEventListener>) => {
    listeners.push('added')
    addEventListener.apply(signal, given)
  }
  signal.removeEventListener = (...given: Parameters<typeof removeEventListener>) => {
    listeners.pop()
    removeEventListener.apply(signal, given)
  }
  await unlessAborted(Promise.resolve(), signal)
  t.same(listeners, [])
  const hanging = unlessAborted(new Promise(() => {}), signal)
  stopping.abort()
  await hanging
  await unlessAborted(new Promise(() => {}), signal)
  t.same(listeners, [], 'also when it was aborted before')
})
