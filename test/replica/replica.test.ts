// What a process tells of itself: how much its vault key has sealed, so that a new one comes in time.
import t from 'tap'
import { countSeals } from '../../src/replica/replica.ts'
import { startWorld } from '../world.ts'

t.test('seals of all replicas are added up, and half of what a key may seal is warned about once', async (t) => {
  const world = await startWorld(t)
  const { db } = world.parts
  const seals = async () =>
    (await db.run('seals', (sql) => sql<{ seals: number }[]>`select seals from vault_keys`))[0]?.seals ?? 0
  await world.connect()
  await countSeals(world.parts)
  const first = await seals()
  t.ok(first >= 4, `${first} seals`)
  await countSeals(world.parts)
  t.equal(await seals(), first, 'none is counted twice')
  t.notMatch(world.logged(), /has sealed half/)
  await db.run('nearly', (sql) => sql`update vault_keys set seals = ${2 ** 31 - 1}`)
  await world.connect({ owner: 'second', person: 'jonas' })
  await countSeals(world.parts)
  await countSeals(world.parts)
  t.equal(world.logged().split('has sealed half').length - 1, 1)
  t.match((await world.call('GET', '/metrics')).text, /vault_primary_key_seals 214748\d{4}/)
})
