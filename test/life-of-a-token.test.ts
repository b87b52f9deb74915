// The whole story, against the simulator over HTTP and a real PostgreSQL.
import t from 'tap'
import { refresh } from '../src/token/refresh.ts'
import { startWorld } from './world.ts'

t.test('two refreshes at once spend the refresh token once', async (t) => {
  const { parts, connect, tiktok } = await startWorld(t)
  const account = await connect()
  const [first, second] = await Promise.all([refresh(parts, account.id, 1), refresh(parts, account.id, 1)])
  t.same([first, second], [{ kind: 'refreshed' }, { kind: 'refreshed' }])
  t.equal(tiktok.stats.report().refreshes_processed, 1)
})

t.test('an expired token is refreshed when it is read', async (t) => {
  const world = await startWorld(t)
  const account = await world.connect()
  await world.timePasses(2 * 3600)
  const read = await world.call<{ generation: number; expires_in: number }>('GET', `/accounts/${account.id}/token`)
  t.equal(read.status, 200)
  t.equal(read.body.generation, 2)
  t.ok(read.body.expires_in > 7000)
})
