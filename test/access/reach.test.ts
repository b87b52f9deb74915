// A caller reaches what lies inside its owners, accounts and networks, and the JSON for the database says the same.
import fc from 'fast-check'
import t from 'tap'
import { everything, isFrom, isNetwork, narrower, reachesAccount } from '../../src/access/reach.ts'

t.test('who is narrowed twice reaches what both reach, and nothing else', async () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '_'), maxLength: 3 })
  const list = fc.option(fc.array(text, { minLength: 1, maxLength: 3 }))
  const reach = fc.record({ ownerPrefixes: list, accountIds: list })
  fc.assert(
    fc.property(reach, reach, text, text, (one, other, owner, account) => {
      const both = reachesAccount(one, owner, account) && reachesAccount(other, owner, account)
      return reachesAccount(narrower(one, other), owner, account) === both && reachesAccount(everything, owner, account)
    }),
  )
})

t.test('networks are those of the address, however it is written', async (t) => {
  for (const good of ['10.0.0.0/8', '192.0.2.7', '2001:db8::/32', '::1', '0.0.0.0/0']) t.ok(isNetwork(good), good)
  for (const bad of ['', '10.0.0.0/33', '10.0.0/8', '::/129', 'example.com', '10.0.0.0/8/8', '10.0.0.0/'])
    t.notOk(isNetwork(bad), bad)
  t.ok(isFrom(['10.0.0.0/8'], '::ffff:10.1.2.3'))
  t.ok(isFrom(['2001:db8::/32'], '2001:db8:1::1'))
  t.notOk(isFrom(['10.0.0.0/8'], '11.0.0.1'))
  t.notOk(isFrom(['10.0.0.0/8'], 'unknown'))
  t.notOk(isFrom([], '10.0.0.1'))
  t.ok(isFrom(null, 'anywhere'))
})
