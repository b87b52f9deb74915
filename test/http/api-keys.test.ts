// API keys over their life: made, used, replaced, expired, revoked; on every replica (S32, S35, S36).
import { crc32 } from 'node:zlib'
import t from 'tap'
import { type App, startApp } from '../../src/app.ts'
import { listApiKeys, revokeApiKey, revokeOtherApiKeys } from '../../src/db/api-keys.ts'
import { createApiKey, openApiKeys } from '../../src/http/api-keys.ts'
import { createLog } from '../../src/telemetry.ts'
import { digest } from '../../src/vault/digest.ts'
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
  const make = () => createApiKey(world.parts, { name: 'web-app', scopes: ['accounts:read'], expiresAt: null })
  const [before, after] = [await make(), await make()]
  const fresh = () => openApiKeys(world.parts) // a replica that has believed nothing yet
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
  const { id, key } = await createApiKey(world.parts, {
    name: 'contractor',
    scopes: ['accounts:read'],
    expiresAt: new Date(Date.now() + 3_600_000),
  })
  t.match(await openApiKeys(world.parts).verify(key, here), { keyId: id })
  await world.timePasses(3601)
  t.equal(await openApiKeys(world.parts).verify(key, here), undefined)
  const row = (await listApiKeys(world.parts.db)).find((each) => each.id === id)
  t.match(row, { live: false, revokedAt: null })
})

t.test('a crowd with one key asks the database once', async (t) => {
  const { parts } = await startWorld(t)
  const { id, key } = await createApiKey(parts, { name: 'crowd', scopes: ['accounts:read'], expiresAt: null })
  let asked = 0
  const run: typeof parts.db.run = (name, ...rest) => {
    if (name === 'find_api_key') asked++
    return parts.db.run(name, ...rest)
  }
  const keys = openApiKeys({ ...parts, db: { ...parts.db, run } })
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
  const { key } = await createApiKey(world.parts, { name: 'web-app', scopes: ['accounts:read'], expiresAt: null })
  await world.parts.db.close()
  await t.rejects(openApiKeys(world.parts).verify(key, here), { code: 'storage_unavailable' })
})

t.test('S75: a key that was written or widened past the service is refused and alarmed', async (t) => {
  const world = await startWorld(t)
  const run = (statement: string) => world.parts.db.run('attack', (sql) => sql.unsafe(statement))
  const asked = async (key: string, path = '/accounts') => (await world.call('GET', path, { key })).status
  const made = () =>
    createApiKey(world.parts, {
      name: 'narrow',
      scopes: ['accounts:read'],
      expiresAt: new Date(Date.now() + 3_600_000),
      reach: { ownerPrefixes: ['acme_'], accountIds: null },
      networks: ['127.0.0.0/8'],
    })
  const donor = await made()
  t.equal(await asked(donor.key), 200)

  const secret = 'a'.repeat(64)
  const planted = `key_${'0'.repeat(25)}`
  const body = `ttk_${'0'.repeat(25)}_${secret}`
  const plantedKey = `${body}_${crc32(body).toString(16).padStart(8, '0')}`
  const plant = (seal: string) =>
    run(`insert into api_keys (id, name, secret_hash, scopes, sealed_facts) values ('${planted}', 'ops', '${digest(secret)}', '{accounts:read,tokens:read}', ${seal})
      on conflict (id) do update set sealed_facts = excluded.sealed_facts`)
  await plant('null')
  t.equal(await asked(plantedKey), 401, 'a planted key')
  await plant(`(select sealed_facts from api_keys where id = '${donor.id}')`)
  t.equal(await asked(plantedKey), 401, 'a planted key with the seal of another')

  const widened: Record<string, string> = {
    scopes: `scopes = '{accounts:read,tokens:read}'`,
    owners: 'owner_prefixes = null',
    accounts: `account_ids = '{}'`,
    networks: 'networks = null',
    'its end': `expires_at = expires_at + interval '1 day'`,
    'no end': 'expires_at = null',
    'another secret': `secret_hash = '${digest(secret)}'`,
    'its name, to whom slots belong': `name = 'uploader'`,
  }
  for (const [what, change] of Object.entries(widened)) {
    const { id, key } = await made()
    await run(`update api_keys set ${change} where id = '${id}'`)
    t.equal(await asked(what === 'another secret' ? rekeyed(key, secret) : key), 401, what)
  }
  const { id, key } = await made()
  await run(`update api_keys set expires_at = expires_at - interval '1 minute' where id = '${id}'`)
  t.equal(await asked(key), 200, 'an end that was moved to earlier takes nothing that is not its owner’s to take')
  t.match(world.logged(), /API key was written past the service/)
  t.match((await world.call('GET', '/metrics')).text, /security_refusals_total\{kind="foreign_key"\} [1-9]/)
})

function rekeyed(key: string, secret: string): string {
  const body = `${key.split('_').slice(0, 2).join('_')}_${secret}`
  return `${body}_${crc32(body).toString(16).padStart(8, '0')}`
}
