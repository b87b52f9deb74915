// Keys that are lost or wrong, and rows that were changed or moved (F32–F35, S18–S20): nothing is written over, and whoever is not concerned
// does not notice.
import postgres from 'postgres'
import t from 'tap'
import { type App, startApp } from '../../src/app.ts'
import { createLog } from '../../src/telemetry.ts'
import { generateVaultKey } from '../../src/vault/keyring.ts'
import { eventually } from '../rig/eventually.ts'
import { seedAccounts } from '../rig/seed.ts'
import { startWorld, type World } from '../world.ts'

interface Teardown {
  teardown(work: () => unknown): unknown
}

t.jobs = 4 // most of the time is spent waiting for a loop to come round
const key = generateVaultKey('k1')
const silent = createLog('silent')

async function seededWorld(t: Teardown, count: number, dueInSeconds: number | null = null) {
  const world = await startWorld(t, { env: { VAULT_KEYS: key } })
  const sql = postgres(world.databaseUrl, { max: 2, onnotice: () => {} })
  t.teardown(() => sql.end())
  const accounts = await seedAccounts({ sql, vault: world.parts.vault, tiktok: world.tiktok }, { count, dueInSeconds })
  await sql`delete from replicas`
  return { ...world, sql, accounts }
}

/** The service as an operator would start it, loops and all. */
async function serve(t: Teardown, world: World, vaultKeys: string): Promise<App> {
  const app = await startApp({ ...world.config, vaultKeys }, { log: silent })
  t.teardown(() => app.close())
  return app
}

async function get(app: App, path: string, apiKey: string): Promise<{ status: number; code: unknown }> {
  const answer = await fetch(app.url + path, { headers: { authorization: `Bearer ${apiKey}` } })
  return { status: answer.status, code: ((await answer.json()) as { code?: string }).code }
}

/** Everything that a vault key has to do with. */
async function sealedRows(sql: postgres.Sql): Promise<unknown> {
  return Promise.all([
    sql`select * from token_sets order by account_id`,
    sql`select * from connect_sessions order by id`,
    sql`select * from revocations order by id`,
    sql`select key_id, sealed_canary, created_at from vault_keys order by key_id`,
    sql`select id, status, status_reason from accounts order by id`,
  ])
}

for (const [fault, vaultKeys] of [
  ['a lost key (F32)', generateVaultKey('k2')],
  ['wrong bytes under a known id (F33)', generateVaultKey('k1')],
  ['wrong bytes under the id of the key that still opens', `${generateVaultKey('k2')},${generateVaultKey('k1')}`],
] as const) {
  t.test(`${fault}: not ready, nobody is served, nothing is written, nothing is refreshed (S20)`, async (t) => {
    const world = await seededWorld(t, 5, -10) // all due: the background would have work
    await world.openSession()
    const before = await sealedRows(world.sql)
    const apiKey = await world.key('tokens:read', 'accounts:read', 'connect:write', 'accounts:write')
    const app = await serve(t, world, vaultKeys)
    const [account] = world.accounts

    t.equal((await fetch(`${app.url}/health/live`)).status, 200)
    const health = await fetch(`${app.url}/health/ready`)
    t.equal(health.status, 503)
    t.match(await health.json(), { status: 'unavailable', checks: { database: 'ok', keyring: 'mismatch' } })
    for (const path of [`/accounts/${account?.id}/token`, '/accounts', `/accounts/${account?.id}`])
      t.same(await get(app, path, apiKey), { status: 503, code: 'keyring_mismatch' })
    const opened = await fetch(`${app.url}/connect-sessions`, { method: 'POST', headers: { authorization: `Bearer ${apiKey}` } })
    t.equal(opened.status, 503)
    const gone = await fetch(`${app.url}/accounts/${account?.id}`, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${apiKey}` },
    })
    t.equal(gone.status, 503)

    // A round of every loop has begun and gone by when the replica has announced itself a second time.
    const seen = () => world.sql`select seen_at > started_at as again from replicas`
    await eventually('the second heartbeat', async () => (await seen())[0]?.again === true)
    t.same(await sealedRows(world.sql), before, 'every row is as it was')
    t.equal(world.tiktok.stats.report().refreshes_processed, 0)
  })
}

t.test(
  'one flipped bit (F34): that account is credential_unreadable, its row stays, all others are served and refreshed',
  async (t) => {
    const world = await seededWorld(t, 6, -10)
    const victim = world.accounts[0]?.id ?? ''
    for (const column of ['sealed_access_token', 'sealed_refresh_token'])
      await world.sql.unsafe(`update token_sets set ${column} = $2 where account_id = $1`, [
        victim,
        flipped(await text(world.sql, victim, column)),
      ])
    const [before] =
      await world.sql`select sealed_access_token, sealed_refresh_token, generation from token_sets where account_id = ${victim}`
    const apiKey = await world.key('tokens:read', 'accounts:read')
    const app = await serve(t, world, key)
    t.equal((await fetch(`${app.url}/health/ready`)).status, 200)

    t.same(await get(app, `/accounts/${victim}/token`, apiKey), { status: 500, code: 'credential_unreadable' })
    const others = world.accounts.slice(1)
    for (const { id } of others) t.equal((await get(app, `/accounts/${id}/token`, apiKey)).status, 200)
    const refreshed = () => world.sql`select 1 from token_sets where generation > 1 and account_id <> ${victim}`
    await eventually('all others are refreshed', async () => (await refreshed()).length === others.length)
    const [after] =
      await world.sql`select sealed_access_token, sealed_refresh_token, generation from token_sets where account_id = ${victim}`
    t.same(after, before, 'nothing is written over: with a restored row the account works again')
    t.match(
      await world.sql`select status from accounts where id = ${victim}`,
      [{ status: 'active' }],
      'it is not the person who has to mend it',
    )
  },
)

t.test('swapped rows, swapped columns and older generations do not open (F35, S18)', async (t) => {
  const world = await seededWorld(t, 5)
  const [one, two, columns, older, untouched] = world.accounts.map(({ id }) => id) as [string, string, string, string, string]
  await world.sql`
    update token_sets t set sealed_access_token = o.sealed_access_token, sealed_refresh_token = o.sealed_refresh_token
    from token_sets o where (t.account_id = ${one} and o.account_id = ${two}) or (t.account_id = ${two} and o.account_id = ${one})`
  await world.sql`update token_sets set sealed_access_token = sealed_refresh_token, sealed_refresh_token = sealed_access_token where account_id = ${columns}`
  await world.sql`update token_sets set generation = 2 where account_id = ${older}`
  const before = await sealedRows(world.sql)
  const apiKey = await world.key('tokens:read')
  const app = await serve(t, world, key)
  for (const id of [one, two, columns, older])
    t.same(await get(app, `/accounts/${id}/token`, apiKey), { status: 500, code: 'credential_unreadable' })
  t.equal((await get(app, `/accounts/${untouched}/token`, apiKey)).status, 200)
  t.same(await sealedRows(world.sql), before)
})

t.test(
  'a primary that a live replica does not know is not taken into use: the new process waits, the others go on',
  async (t) => {
    const world = await seededWorld(t, 1)
    const apiKey = await world.key('tokens:read')
    const path = `/accounts/${world.accounts[0]?.id}/token`
    const present = await serve(t, world, key)
    const hasty = await serve(t, world, `${generateVaultKey('k2')},${key}`)
    t.same(await get(hasty, path, apiKey), { status: 503, code: 'keyring_mismatch' })
    t.equal((await fetch(`${hasty.url}/health/ready`)).status, 503)
    t.equal((await get(present, path, apiKey)).status, 200)
    t.equal((await fetch(`${present.url}/health/ready`)).status, 200)
    await present.close()
    await eventually('the last that did not know it has left', async () => (await get(hasty, path, apiKey)).status === 200)
  },
)

async function text(sql: postgres.Sql, accountId: string, column: string): Promise<string> {
  const [row] = await sql.unsafe<Record<string, string>[]>(`select ${column} from token_sets where account_id = $1`, [accountId])
  return row?.[column] ?? ''
}

/** One bit of the ciphertext, in the middle. */
function flipped(sealed: string): string {
  const [version, keyId, encoded = ''] = sealed.split('.')
  const bytes = Buffer.from(encoded, 'base64url')
  const middle = bytes.length >> 1
  bytes.writeUInt8(bytes.readUInt8(middle) ^ 1, middle)
  return `${version}.${keyId}.${bytes.toString('base64url')}`
}
