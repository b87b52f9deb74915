// API keys over their life: made, used, replaced, expired, revoked; on every replica (S32, S35, S36).
import t from 'tap'
import { type App, startApp } from '../../src/app.ts'
import { listApiKeys, revokeApiKey, revokeOtherApiKeys } from '../../src/db/api-keys.ts'
import { createApiKey, openApiKeys } from '../../src/http/api-keys.ts'
import { createLog } from '../../src/telemetry.ts'
import { eventually } from '../rig/eventually.ts'
import { letTimePass } from '../rig/time.ts'
import { startWorld } from '../world.ts'

const idOf = (key: string) => `key_${key.split('_')[1]}`

const here = '127.0.0.1'

t.test('a revoked key is refused on every replica within 5 s, although each has just believed it (S35)', async (t) => {
  const world = await startWorld(t)
  const replicas: App[] = [world.app]
  for (let i = 0; i < 2; i++) replicas.push(await startApp(world.config, { log: createLog('silent'), background: false }))
  t.teardown(() => Promise.all(replicas.slice(1).map((app) => app.close())))
  const [revoked, other, kept] = [
    await world.key('accounts:read'),
    await world.key('accounts:read'),
    await world.key('accounts:read'),
  ]
  const statuses = (key: string) =>
    Promise.all(
      replicas.map(async ({ url }) => (await fetch(`${url}/accounts`, { headers: { authorization: `Bearer ${key}` } })).status),
    )
  for (const key of [revoked, other, kept]) t.same(await statuses(key), [200, 200, 200])

  await revokeApiKey(world.parts.db, idOf(revoked), 'operator')
  const others = await revokeOtherApiKeys(world.parts.db, [idOf(kept)], 'operator')
  t.ok(others.includes(idOf(other)) && !others.includes(idOf(kept)) && !others.includes(idOf(revoked)))
  letTimePass(t, 5_000)
  for (const key of [revoked, other]) t.same(await statuses(key), [401, 401, 401])
  t.same(await statuses(kept), [200, 200, 200], 'the one that was spared works')
})

t.test('a caller changes its key without an interruption: two are live, then the first is revoked (S36)', async (t) => {
  const world = await startWorld(t)
  const make = () => createApiKey(world.parts.db, { name: 'web-app', scopes: ['accounts:read'], expiresAt: null })
  const [before, after] = [await make(), await make()]
  const fresh = () => openApiKeys(world.parts.db) // a replica that has believed nothing yet
  t.match(await fresh().verify(before.key, here), { keyId: before.id, name: 'web-app' })
  t.match(await fresh().verify(after.key, here), { keyId: after.id, name: 'web-app' })
  t.equal(await revokeApiKey(world.parts.db, before.id, 'operator'), true)
  t.equal(await revokeApiKey(world.parts.db, before.id, 'operator'), true, 'repeating it is harmless')
  t.equal(await revokeApiKey(world.parts.db, 'key_unknown', 'operator'), false)
  t.equal(await fresh().verify(before.key, here), undefined)
  t.match(await fresh().verify(after.key, here), { keyId: after.id })
  const auditLog = await world.parts.db.run(
    'audit_log',
    (sql) => sql`select actor, action from audit_log where object = ${before.id} order by seq`,
  )
  t.same(auditLog, [
    { actor: 'service', action: 'api_key_created' },
    { actor: 'operator', action: 'api_key_revoked' },
  ])
})

t.test('a key expires by the clock of the database (S36)', async (t) => {
  const world = await startWorld(t)
  const { id, key } = await createApiKey(world.parts.db, {
    name: 'contractor',
    scopes: ['accounts:read'],
    expiresAt: new Date(Date.now() + 3_600_000),
  })
  t.match(await openApiKeys(world.parts.db).verify(key, here), { keyId: id })
  await world.timePasses(3601)
  t.equal(await openApiKeys(world.parts.db).verify(key, here), undefined)
  const row = (await listApiKeys(world.parts.db)).find((each) => each.id === id)
  t.match(row, { live: false, revokedAt: null })
})

t.test('a crowd with one key asks the database once', async (t) => {
  const { parts } = await startWorld(t)
  const { id, key } = await createApiKey(parts.db, { name: 'crowd', scopes: ['accounts:read'], expiresAt: null })
  let asked = 0
  const run: typeof parts.db.run = (name, ...rest) => {
    if (name === 'find_api_key') asked++
    return parts.db.run(name, ...rest)
  }
  const keys = openApiKeys({ ...parts.db, run })
  const callers = await Promise.all(Array.from({ length: 100 }, () => keys.verify(key, here)))
  t.ok(callers.every((caller) => caller?.keyId === id))
  t.equal(asked, 1)
})

t.test('its last use is known, to a minute', async (t) => {
  const world = await startWorld(t)
  const key = await world.key('accounts:read')
  const lastUsedAt = async () => (await listApiKeys(world.parts.db)).find((each) => each.id === idOf(key))?.lastUsedAt
  t.equal(await lastUsedAt(), null)
  t.equal((await world.call('GET', '/accounts', { key })).status, 200)
  await eventually('the use is noted', async () => (await lastUsedAt()) !== null)
  const noted = await lastUsedAt()
  t.ok(noted && Math.abs(Date.now() - noted.getTime()) < 60_000)
  await world.call('GET', '/accounts', { key })
  t.same(await lastUsedAt(), noted, 'not written for every call')
})

t.test('while the database is away a key that is not known well enough is refused, not believed (S60)', async (t) => {
  const world = await startWorld(t)
  const { key } = await createApiKey(world.parts.db, { name: 'web-app', scopes: ['accounts:read'], expiresAt: null })
  await world.parts.db.close()
  await t.rejects(openApiKeys(world.parts.db).verify(key, here), { code: 'storage_unavailable' })
})
