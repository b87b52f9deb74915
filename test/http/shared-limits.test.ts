// Limits shared by replicas through a real Redis, where the machine has one.
import t from 'tap'
import { startApp } from '../../src/app.ts'
import { eventually } from '../rig/eventually.ts'
import { noRedis, startRedis } from '../rig/redis.ts'
import { startWorld } from '../world.ts'

t.test(
  'S39: two replicas count one caller together, and serve it without limits while Redis is away',
  { skip: noRedis },
  async (t) => {
    const redis = await startRedis(t)
    const world = await startWorld(t, { env: { REDIS_URL: redis.url, RATE_LIMIT_PER_MINUTE: '1000' } })
    const neighbour = await startApp(world.config, { log: world.parts.log, background: false })
    t.teardown(() => neighbour.close())
    const key = await world.key('accounts:read')
    const remaining = async (url: string) => {
      const answer = await world.call('GET', new URL('/accounts', url).href, { key })
      t.equal(answer.status, 200)
      return Number(answer.headers['x-ratelimit-remaining'])
    }

    await eventually('both replicas are connected to Redis', async () => world.logged().split('shared through Redis').length > 2)
    t.equal(await remaining(world.app.url), 999)
    t.equal(await remaining(neighbour.url), 998)
    t.equal(await remaining(world.app.url), 997)

    await redis.stop()
    const away = await world.call('GET', '/accounts', { key })
    t.equal(away.status, 200, 'a limit that cannot be asked refuses nobody')
    await eventually('the log says so', async () => /Redis is away/.test(world.logged()))
  },
)

t.test('S39: failed authentication is counted over all replicas', { skip: noRedis }, async (t) => {
  const redis = await startRedis(t)
  const world = await startWorld(t, { env: { REDIS_URL: redis.url, RATE_LIMIT_PER_MINUTE: '1000' } })
  const neighbour = await startApp(world.config, { log: world.parts.log, background: false })
  t.teardown(() => neighbour.close())
  await eventually('both replicas are connected to Redis', async () => world.logged().split('shared through Redis').length > 2)

  const statuses: number[] = []
  for (let i = 0; i < 12; i++) {
    const url = i % 2 === 0 ? world.app.url : neighbour.url
    statuses.push((await world.call('GET', new URL('/accounts', url).href, { key: 'ttk_wrong' })).status)
  }
  t.same(statuses, [...Array<number>(10).fill(401), 429, 429])
})
