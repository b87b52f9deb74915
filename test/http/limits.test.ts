// Limits: what they count as one, what never has any, and that a refusal costs next to nothing.
import { spawnSync } from 'node:child_process'
import { crc32 } from 'node:zlib'
import t, { type Test } from 'tap'
import { eventually } from '../rig/eventually.ts'
import { startRedis } from '../rig/redis.ts'
import { startWorld, type World } from '../world.ts'

// In memory there is room for so many; Redis keeps them all, and is asked once for each.
const without = { name: 'in memory', crowd: 5200, skip: false as false | string, redis: async (_t: Test) => ({}) }
const withRedis = {
  name: 'through Redis',
  crowd: 520,
  skip: spawnSync('redis-server', ['--version']).status === 0 ? (false as const) : 'no redis-server on this machine',
  redis: async (t: Test) => ({ REDIS_URL: (await startRedis(t)).url }),
}

for (const { name, crowd, skip, redis } of [without, withRedis]) {
  t.test(`S80: health is never limited, whatever strangers do (${name})`, { skip }, async (t) => {
    const world = await startLimited(t, { RATE_LIMIT_PER_MINUTE: '20', ...(await redis(t)) })
    for (const path of ['/docs/problems', '/openapi.json', '/callback'])
      for (let visit = 0; visit < 25; visit++) await from(world, '192.0.2.1', path)
    for (const path of ['/health', '/health/live', '/health/ready']) {
      const statuses = await Promise.all(
        Array.from({ length: 50 }, async () => (await from(world, '192.0.2.1', path)).statusCode),
      )
      t.same(new Set(statuses), new Set([200]), path)
    }
  })

  t.test(`S80: pages and the documentation do not eat each other's share (${name})`, { skip }, async (t) => {
    const world = await startLimited(t, { RATE_LIMIT_PER_MINUTE: '20', ...(await redis(t)) })
    const visits = async (path: string, count: number) => {
      const answers = []
      for (let visit = 0; visit < count; visit++) answers.push((await from(world, '192.0.2.1', path)).statusCode)
      return answers
    }
    t.same((await visits('/docs/problems', 21)).at(-1), 429)
    t.same((await visits('/openapi.json', 1)).at(-1), 429, 'the description is part of the documentation')
    t.same(await visits('/callback', 1), [400], 'a person comes back from TikTok all the same')
    t.same((await visits('/callback', 20)).at(-1), 429)
    t.equal((await from(world, '192.0.2.2', '/callback')).statusCode, 400, 'and the neighbour never notices')
    t.equal((await from(world, '192.0.2.1', '/webhooks/tiktok', 'POST')).statusCode, 401, 'nor do notices')
  })

  t.test(`S80: ${crowd} addresses do not make a limited key forget that it is (${name})`, { skip }, async (t) => {
    const now = Date.now()
    t.capture(Date, 'now', () => now) // the minute of the limit does not end, however long they take
    const world = await startLimited(t, { RATE_LIMIT_PER_MINUTE: '10', ...(await redis(t)) })
    const key = await world.key('accounts:read')
    const call = async () => (await from(world, '192.0.2.1', '/accounts', 'GET', key)).statusCode
    for (let call_ = 0; call_ < 10; call_++) t.equal(await call(), 200)
    t.equal(await call(), 429)
    for (let one = 0; one < crowd; one++) {
      const address = `10.1.${one >> 8}.${one & 255}`
      await from(world, address, '/accounts')
      if (one % 10 === 0) await from(world, address, one % 20 === 0 ? '/docs/problems' : '/callback')
    }
    t.equal(await call(), 429)
  })

  t.test(`S80: a /64 is one address, and an IPv4 address is one however it is written (${name})`, { skip }, async (t) => {
    const world = await startLimited(t, { RATE_LIMIT_PER_MINUTE: '300', ...(await redis(t)) })
    const guesses = async (...addresses: string[]) => {
      const answers = []
      for (const address of addresses) answers.push((await from(world, address, '/accounts')).statusCode)
      return answers
    }
    t.same(
      await guesses('2001:db8:0:1::1', '2001:db8:0:1:ffff::2', '2001:0DB8:0000:0001:0:0:0:3', '2001:db8:0:1:a:b:c:d'),
      [401, 401, 401, 429],
    )
    t.same(await guesses('2001:db8:0:2::1'), [401], 'the next /64 is another')
    t.same(await guesses('192.0.2.7', '::ffff:192.0.2.7', '::ffff:c000:207', '192.0.2.7'), [401, 401, 401, 429])
    t.same(await guesses('192.0.2.8'), [401])
  })

  t.test(`S80: five hundred forged keys at once cost no look-ups beyond the limit (${name})`, { skip }, async (t) => {
    const world = await startLimited(t, { RATE_LIMIT_PER_MINUTE: '1000', ...(await redis(t)) })
    const [known, strange] = [await world.key('accounts:read'), await world.key('accounts:read')]
    t.equal((await from(world, '192.0.2.1', '/accounts', 'GET', known)).statusCode, 200)
    const lookUps = countLookUps(world)
    const answers = await Promise.all(
      Array.from({ length: 500 }, (_, guess) => from(world, '192.0.2.1', '/accounts', 'GET', forged(guess))),
    )
    t.same(
      [401, 429].map((status) => answers.filter(({ statusCode }) => statusCode === status).length),
      [10, 490],
    )
    t.ok(lookUps() <= 10, `${lookUps()} look-ups`)
    t.equal(
      (await from(world, '192.0.2.1', '/accounts', 'GET', known)).statusCode,
      200,
      'a key that is known to live is answered',
    )
    t.equal(
      (await from(world, '192.0.2.1', '/accounts', 'GET', strange)).statusCode,
      429,
      'one that nobody saw live is not asked for',
    )
    t.equal((await from(world, '192.0.2.2', '/accounts', 'GET', strange)).statusCode, 200, 'from anywhere else it is')
    t.equal((await from(world, '192.0.2.1', '/accounts', 'GET', strange)).statusCode, 200, 'and then it is known')
  })
}

t.test('S80: a hundred callers that come at once with good keys are all answered', async (t) => {
  const world = await startLimited(t, { RATE_LIMIT_PER_MINUTE: '1000' })
  const keys = await Promise.all(Array.from({ length: 100 }, () => world.key('accounts:read')))
  const answers = await Promise.all(keys.map((key) => from(world, '192.0.2.1', '/accounts', 'GET', key)))
  t.same(new Set(answers.map(({ statusCode }) => statusCode)), new Set([200]))
})

t.test('S80: five hundred refused requests are two lines of the log and a counter', async (t) => {
  const world = await startLimited(t, { RATE_LIMIT_PER_MINUTE: '1000' })
  for (let guess = 0; guess < 500; guess++) await from(world, '192.0.2.1', '/accounts', 'GET', 'ttk_guess')
  const lines = () => parsed(world).filter(({ outcome }) => outcome === 'refused')
  t.match(lines(), [{ msg: 'authentication failed', address: '192.0.2.1', route: '/accounts', requestId: /^req_/ }])
  t.equal(lines().length, 1)
  world.parts.refusals.flush()
  t.equal(lines().length, 2)
  t.match(lines()[1], { level: 'warn', reason: 'unauthenticated', count: 499 })
  const { text } = await world.call('GET', '/metrics')
  t.match(text, 'security_refusals_total{kind="unauthenticated"} 500')
  await from(world, '192.0.2.1', '/accounts', 'GET', 'ttk_guess')
  t.equal(lines().length, 3, 'the next window has its own line')
})

t.test('S80: whoever owns many networks gets no line for each', async (t) => {
  const world = await startLimited(t, {})
  for (let one = 0; one < 500; one++) await from(world, `2001:db8:0:${one.toString(16)}::1`, '/accounts')
  t.equal(parsed(world).filter(({ outcome }) => outcome === 'refused').length, 100)
})

t.test('a start with a public https address and no trusted proxy warns, because then everybody is one address', async (t) => {
  const publicUrl = 'https://oauth.example.com'
  const warned = (world: World) => parsed(world).some(({ level, msg }) => level === 'warn' && /TRUSTED_PROXIES/.test(msg))
  t.ok(warned(await startWorld(t, { env: { PUBLIC_URL: publicUrl } })))
  t.notOk(warned(await startWorld(t, { env: { PUBLIC_URL: publicUrl, TRUSTED_PROXIES: '127.0.0.1' } })))
  t.notOk(warned(await startWorld(t)))
})

async function startLimited(t: Test, env: Record<string, string>): Promise<World> {
  const world = await startWorld(t, { env: { TRUSTED_PROXIES: '127.0.0.1', LOG_LEVEL: 'info', ...env } })
  if (env.REDIS_URL !== undefined)
    await eventually('Redis is connected', () => world.logged().includes('rate limits are shared through Redis'))
  return world
}

/** A request of somebody behind the trusted proxy. */
function from(world: World, address: string, url: string, method: 'GET' | 'POST' = 'GET', key?: string) {
  return world.app.server.inject({
    method,
    url,
    headers: { 'x-forwarded-for': address, ...(key === undefined ? {} : { authorization: `Bearer ${key}` }) },
  })
}

/** A key with a good checksum that nobody made. */
function forged(number: number): string {
  const body = `ttk_${String(number).padStart(25, '0')}_${'0'.repeat(64)}`
  return `${body}_${crc32(body).toString(16).padStart(8, '0')}`
}

function countLookUps({ parts: { db } }: World): () => number {
  const { run } = db
  let count = 0
  db.run = (name, ...rest) => {
    if (name === 'find_api_key') count++
    return run(name, ...rest)
  }
  return () => count
}

function parsed(world: World) {
  return world
    .logged()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
}
