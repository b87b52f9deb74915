// Opaque ids: unique, sortable by age, safe in a URL.
import t from 'tap'
import { newId } from '../src/ids.ts'

t.test('an id is its prefix and 25 characters that need no encoding anywhere', async (t) => {
  for (const prefix of ['acc', 'cs', 'upl', 'evt', 'key', 'att', 'rev', 'req'] as const)
    t.match(newId(prefix), new RegExp(`^${prefix}_[0-9a-hjkmnp-tv-z]{25}$`))
})

t.test('ids never repeat, however many are made in one millisecond', async (t) => {
  const ids = Array.from({ length: 20_000 }, () => newId('acc'))
  t.equal(new Set(ids).size, ids.length)
})

t.test('ids of later milliseconds sort later', async (t) => {
  const startedAt = Date.now()
  let nowMs = startedAt
  const clock = Date.now
  Date.now = () => nowMs
  t.teardown(() => {
    Date.now = clock
  })
  const ids = [1, 31, 32, 1_000, 1_023, 1_024, 86_400_000, 10 * 365 * 86_400_000].map((ms) => {
    nowMs = startedAt + ms
    return newId('acc')
  })
  t.same(ids.toSorted(), ids)
})
