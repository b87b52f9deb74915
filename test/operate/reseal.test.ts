// Everything sealed moves to another key while the service works (S21, F31), and nothing is moved before every replica is ready for it.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import postgres from 'postgres'
import t from 'tap'
import { openParts, startApp } from '../../src/app.ts'
import { announceReplica } from '../../src/db/replicas.ts'
import { countSealedTexts, sealedTables } from '../../src/db/sealed-texts.ts'
import { readCanaries } from '../../src/db/vault-keys.ts'
import { reseal } from '../../src/operate/reseal.ts'
import { announce } from '../../src/replica/replica.ts'
import { createLog } from '../../src/telemetry.ts'
import { generateVaultKey, parseKeyring } from '../../src/vault/keyring.ts'
import { createVault } from '../../src/vault/vault.ts'
import { violations } from '../rig/invariants.ts'
import { changeKeys } from '../rig/key-change.ts'
import { seedAccounts } from '../rig/seed.ts'
import { startWorld, type World } from '../world.ts'

interface Teardown {
  teardown(work: () => unknown): unknown
}

const [oldKey, newKey] = [generateVaultKey('k1'), generateVaultKey('k2')]
const both = `${newKey},${oldKey}`
const silent = createLog('silent')

/** A world on the old key, whose process has left: what is in the database is all that is left of it. */
async function oldWorld(
  t: Teardown,
  count: number,
): Promise<World & { sql: postgres.Sql; accounts: Awaited<ReturnType<typeof seedAccounts>> }> {
  const world = await startWorld(t, { env: { VAULT_KEYS: oldKey } })
  const sql = postgres(world.databaseUrl, { max: 2, onnotice: () => {} })
  t.teardown(() => sql.end())
  const accounts = await seedAccounts({ sql, vault: world.parts.vault, tiktok: world.tiktok }, { count })
  await sql`delete from replicas`
  return { ...world, sql, accounts }
}

/** What the command is handed: parts with these keys. */
async function partsWith(t: Teardown, world: World, vaultKeys: string) {
  const opened = await openParts({ ...world.config, vaultKeys }, { log: silent, database: { url: world.databaseUrl } })
  t.teardown(() => opened.close())
  return opened.parts
}

t.test(
  'keys change and everything is resealed under load on three replicas: no call fails, nothing is left, no token is lost (S21, F31)',
  async (t) => {
    const world = await oldWorld(t, 400)
    const apiKey = await world.key('tokens:read')
    let report: Awaited<ReturnType<typeof reseal>> | undefined
    const change = await changeKeys({
      async start(name, vaultKeys) {
        const dataDir = join(world.config.dataDir, name)
        await mkdir(dataDir, { recursive: true })
        const app = await startApp(
          { ...world.config, dataDir, journal: { ...world.config.journal, dir: join(dataDir, 'journal') }, vaultKeys },
          { log: silent },
        )
        return { url: app.url, stop: () => app.close() }
      },
      async reseal(vaultKeys) {
        const parts = await partsWith(t, world, vaultKeys)
        report = await reseal(parts, { actor: 'operator', pageSize: 5 }) // small pages, so that the load meets it
      },
      apiKey,
      accountIds: world.accounts.map(({ id }) => id),
      oldKey,
      newKey,
      callsPerSecond: 50,
    })
    t.same(change.failed, [])
    t.ok(change.calls > 0 && change.refreshesAsked > 0 && change.callsDuringReseal > 0, JSON.stringify(change))
    t.match(report, { unreadable: [], left: [], retired: ['k1'], inJournal: [] })
    t.same([...(await countSealedTexts(world.parts.db)).keys()], ['k2'])
    const vault = createVault(parseKeyring(newKey))
    const watched = {
      tiktok: world.tiktok,
      sql: world.sql,
      vault,
      accounts: world.accounts,
      readings: [],
      secrets: [],
      logs: world.logged,
    }
    t.same(await violations(watched), [])
    t.comment(JSON.stringify({ ...change, resealed: report?.resealed }))
  },
)

t.test('every column that holds a sealed text is walked', async (t) => {
  const world = await startWorld(t)
  const found = await world.parts.db.run(
    'columns',
    (sql) => sql<{ name: string }[]>`
      select table_name || '.' || column_name as name from information_schema.columns
      where table_schema = 'public' and column_name like 'sealed\\_%' and table_name <> 'vault_keys' order by 1`,
  )
  const walked = sealedTables.flatMap((table) => table.columns.map((column) => `${table.name}.${column.name}`))
  t.same(
    walked.sort(),
    found.map(({ name }) => name),
  )
})

t.test('codes, verifiers and waiting revocations are moved too, and open in their places', async (t) => {
  const world = await startWorld(t, { env: { VAULT_KEYS: oldKey, TIKTOK_PKCE: 's256' } })
  const opened = await world.openSession()
  const back = await world.browser().walk(opened.authorize_url, { person: 'mara' })
  const disconnected = await world.connect({ person: 'jonas' })
  world.tiktok.faults.add({ route: 'revoke', times: 'always', status: 503, process: false })
  await world.call('DELETE', `/accounts/${disconnected.id}`)
  const { db } = world.parts
  const key = await world.key('connect:write')
  await db.run('left', (sql) => sql`delete from replicas`)

  const parts = await partsWith(t, world, both)
  const report = await reseal(parts, { actor: 'operator' })
  t.match(report, { left: [], unreadable: [], retired: ['k1'] })
  t.ok(report.resealed >= 5, 'a code, two verifiers and a pair of tokens')

  const app = await startApp({ ...world.config, vaultKeys: newKey }, { log: silent, background: false })
  t.teardown(() => app.close())
  const completed = await fetch(`${app.url}/connect-sessions/${opened.id}/complete`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ owner_id: 'user_42', confirm: back.searchParams.get('confirm') }),
  })
  t.equal(completed.status, 201)
})

t.test('it is refused while a live replica seals with another key or does not know the new one, and says which', async (t) => {
  const world = await oldWorld(t, 3)
  const { db } = world.parts
  const parts = await partsWith(t, world, both)
  const replica = { id: 'rep_other', journalKeyIds: [] }
  const refused = async (keyIds: string[], words: RegExp) => {
    await announceReplica(db, { ...replica, keyIds, primaryKeyId: keyIds[0] ?? '' })
    await t.rejects(reseal(parts, { actor: 'operator' }), { code: 'keyring_mismatch', message: words })
    await db.run('gone', (sql) => sql`delete from replicas`)
  }
  await refused(['k1'], /rep_other does not know "k2"/)
  await refused(['k1', 'k2'], /rep_other knows "k2" but still seals with "k1"/)
  t.same([...(await countSealedTexts(db)).keys()], ['k1'], 'nothing was moved')

  await announceReplica(db, { ...replica, keyIds: ['k1'], primaryKeyId: 'k1' })
  t.match(await reseal(parts, { actor: 'operator', dryRun: true }), { resealed: 13 }, 'a dry run may look')
  await world.timePasses(20)
  t.match(await reseal(parts, { actor: 'operator' }), { left: [] }, 'a replica that is silent is taken for gone')
})

t.test('a dry run counts and writes nothing; a run that was stopped goes on; a second one finds nothing', async (t) => {
  const world = await oldWorld(t, 30)
  const { db } = world.parts
  const parts = await partsWith(t, world, both)
  const before = await world.sql`select * from token_sets order by account_id`
  t.match(await reseal(parts, { actor: 'operator', dryRun: true }), {
    resealed: 121,
    left: [{ keyId: 'k1', count: 121 }],
    retired: [],
  })
  t.same(await world.sql`select * from token_sets order by account_id`, before)

  const stopped = new Error('stopped')
  const seen: number[][] = []
  const stop = (done: number, total: number) => {
    seen.push([done, total])
    if (done >= 20) throw stopped
  }
  await t.rejects(reseal(parts, { actor: 'operator', pageSize: 5, onProgress: stop }), stopped)
  t.same(seen, [
    [15, 121],
    [30, 121],
  ])
  t.same(
    [...(await countSealedTexts(db))],
    [
      ['k1', 91],
      ['k2', 30],
    ],
  )
  t.match(await reseal(parts, { actor: 'operator' }), { resealed: 91, left: [], retired: ['k1'] })
  t.match(await reseal(parts, { actor: 'operator' }), { resealed: 0, left: [], retired: [] })
  const generations = await world.sql`select distinct generation from token_sets`
  t.same(generations, [{ generation: 1 }], 'the generation stays')
  t.match(await world.sql`select actor, action, object from audit_log where action = 'vault_key_retired'`, [
    { actor: 'operator', object: 'k1' },
  ])
})

t.test('two at once do no harm', async (t) => {
  const world = await oldWorld(t, 200)
  const [one, two] = [await partsWith(t, world, both), await partsWith(t, world, both)]
  const reports = await Promise.all([one, two].map((parts) => reseal(parts, { actor: 'operator', pageSize: 10 })))
  for (const report of reports) t.match(report, { left: [], unreadable: [] })
  t.equal(
    reports.reduce((sum, { resealed }) => sum + resealed, 0),
    801,
    'each text was moved once',
  )
})

t.test('what does not open is told, stays as it is, and keeps its key from being retired', async (t) => {
  const world = await oldWorld(t, 5)
  const [victim] = world.accounts
  await world.sql`update token_sets set sealed_refresh_token = overlay(sealed_refresh_token placing 'AAAA' from 30) where account_id = ${victim?.id ?? ''}`
  const [before] = await world.sql`select * from token_sets where account_id = ${victim?.id ?? ''}`
  const parts = await partsWith(t, world, both)
  const report = await reseal(parts, { actor: 'operator' })
  t.match(report, { resealed: 20, left: [{ keyId: 'k1', count: 1 }], retired: [] })
  t.same(report.unreadable, [{ table: 'token_sets', row: victim?.id, keyId: 'k1' }])
  const [after] = await world.sql`select * from token_sets where account_id = ${victim?.id ?? ''}`
  t.equal(after?.sealed_refresh_token, before?.sealed_refresh_token)
  t.same((await readCanaries(world.parts.db)).map(({ keyId }) => keyId).sort(), ['k1', 'k2'])
})

t.test('a key that the journal of a live replica is sealed with is not retired before the journal is sealed anew', async (t) => {
  const world = await oldWorld(t, 2)
  await world.parts.journal.write({ kind: 'refresh', subject: 'acc_x', generation: 2, body: {} })
  const replica = await partsWith(t, world, both) // shares the directory
  await announce(replica)
  const parts = await partsWith(t, world, both)
  t.match(await reseal(parts, { actor: 'operator', journalPatienceMs: 0 }), { left: [], retired: [], inJournal: ['k1'] })
  await world.parts.journal.close()
  await replica.journal.keepHouse(168)
  await announce(replica)
  t.match(await reseal(parts, { actor: 'operator' }), { left: [], retired: ['k1'], inJournal: [] })
})

t.test('wrong keys of the command itself are refused before anything is opened', async (t) => {
  const world = await oldWorld(t, 2)
  for (const vaultKeys of [newKey, `${newKey},${generateVaultKey('k1')}`]) {
    const parts = await partsWith(t, world, vaultKeys)
    await t.rejects(reseal(parts, { actor: 'operator' }), { code: 'keyring_mismatch', message: /"k1"/ })
  }
})
