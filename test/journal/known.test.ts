// The newest generation the journal knows of each account.
import t from 'tap'
import { KnownGenerations } from '../../src/journal/known.ts'

t.test('the highest generation of each account is known, of any number of accounts', async (t) => {
  const known = new KnownGenerations()
  t.equal(known.of('acc_1'), 0)
  const count = 50_000
  for (let n = 0; n < count; n++) known.note(`acc_${n}`, (n % 7) + 1)
  known.note('acc_3', 2)
  known.note('acc_5', 100)
  t.equal(known.size, count)
  t.equal(known.of('acc_3'), 4, 'a lower one changes nothing')
  t.equal(known.of('acc_5'), 100)
  let wrong = 0
  for (let n = 6; n < count; n++) if (known.of(`acc_${n}`) !== (n % 7) + 1) wrong++
  t.equal(wrong, 0)
  t.equal(known.of('acc_never'), 0)
})
