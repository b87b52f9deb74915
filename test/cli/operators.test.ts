// The command line as an operator types it: real processes, and what they print.
import { join } from 'node:path'
import postgres from 'postgres'
import t from 'tap'
import { accounts } from '../../src/cli/accounts.ts'
import { audit } from '../../src/cli/audit.ts'
import { keys } from '../../src/cli/keys.ts'
import { moment, UsageError } from '../../src/cli/terminal.ts'
import { vault } from '../../src/cli/vault.ts'
import { ownerInAuditLog } from '../../src/db/audit.ts'
import { announce } from '../../src/replica/replica.ts'
import { generateVaultKey } from '../../src/vault/keyring.ts'
import { command, environmentOf } from '../rig/command.ts'
import { seedAccounts } from '../rig/seed.ts'
import { startWorld } from '../world.ts'

t.jobs = 3

t.test('keys: made with an end, listed without a secret, revoked one by one and all but one', async (t) => {
  const world = await startWorld(t)
  const run = (...args: string[]) => command(args, { DATABASE_URL: world.databaseUrl, VAULT_KEYS: world.config.vaultKeys ?? '' })
  const made = await run(
    'keys',
    'create',
    '--name',
    'web-app',
    '--scope',
    'accounts:read',
    '--scope',
    'connect:write',
    '--expires-days',
    '30',
  )
  t.match(made.stdout, /^ttk_[0-9a-z]{25}_[0-9a-f]{64}_[0-9a-f]{8}\n$/, 'the key, and only the key')
  const key = made.stdout.trim()
  t.equal((await world.call('GET', '/accounts', { key })).status, 200)

  const listed = await run('keys', 'list')
  const end = new Date(Date.now() + 30 * 86_400_000).toISOString().slice(0, 10)
  t.match(listed.stdout, new RegExp(`key_${key.split('_')[1]}\\tlive\\tweb-app\\taccounts:read,connect:write\\t.*expires ${end}`))
  t.notOk(listed.stdout.includes(key.split('_')[2] ?? ''))

  const rest = await run('keys', 'revoke', '--all-but', `key_${key.split('_')[1]}`)
  t.match(rest, { code: 0, stdout: /^1 keys are revoked/ })
  t.match((await run('keys', 'list')).stdout, /\trevoked\ttest\t/)
})

t.test('audit: what a key read, who read an account, what was changed; as a table and as JSON lines', async (t) => {
  const world = await startWorld(t)
  const account = await world.connect()
  const key = await world.key('tokens:read')
  const keyId = `key_${key.split('_')[1]}`
  await world.call('GET', `/accounts/${account.id}/token`, { key })
  const run = (...args: string[]) => command(['audit', ...args], { DATABASE_URL: world.databaseUrl })

  const [header, row] = (await run('reads', '--key', keyId)).stdout.trim().split('\n')
  t.equal(header, 'at\tkey_id\taccount_id\tgeneration\tdegraded\trequest_id')
  t.match(row, new RegExp(`^\\d{4}-.*Z\\t${keyId}\\t${account.id}\\t1\\tfalse\\treq_`))
  const json = await run('reads', '--account', account.id, '--from', '1h', '--json')
  t.match(JSON.parse(json.stdout), { key_id: keyId, account_id: account.id, generation: 1, degraded: false })
  t.match(await run('reads', '--from', '2d', '--to', '1d'), { code: 0, stdout: '', stderr: /^0 tokens were handed out/ })
  t.match((await run('changes', '--account', account.id)).stdout, /\tconnected\t/)
})

t.test('vault reseal: refused while the service is on the old key; a dry run; done; nothing left', async (t) => {
  const [oldKey, newKey] = [generateVaultKey('k1'), generateVaultKey('k2')]
  const world = await startWorld(t, { env: { VAULT_KEYS: oldKey } })
  await world.connect()
  const env = environmentOf(world, { VAULT_KEYS: `${newKey},${oldKey}`, DATA_DIR: join(world.config.dataDir, 'cli') })
  const reseal = (...args: string[]) => command(['vault', 'reseal', ...args], env)
  await announce(world.parts)
  t.match(await reseal(), { code: 1, stderr: /keyring_mismatch: .*\n {2}rep_\w+ does not know "k2"/ })
  await world.timePasses(20) // the world's service has no loops: it falls silent
  t.match(await reseal('--dry-run'), {
    code: 0,
    stdout: /^5 sealed texts would be moved to "k2", 0 do not open; nothing was written\n$/,
  })
  const done = await reseal()
  t.match(done, { code: 0, stderr: /resealing to k2 100 % \(5 of 5\)/ })
  t.match(done.stdout, /^5 sealed texts were moved to "k2" in [\d.]+ s\n"k1": 0 left; it can be taken out of VAULT_KEYS\n$/)
})

t.test(
  'accounts disconnect: an owner or all, never by accident, and TikTok is told at the rate that was asked for',
  async (t) => {
    const world = await startWorld(t)
    const sql = postgres(world.databaseUrl, { max: 2, onnotice: () => {} })
    t.teardown(() => sql.end())
    const seed = (count: number, owner: string) =>
      seedAccounts({ sql, vault: world.parts.vault, tiktok: world.tiktok }, { count, owner })
    const [own] = await Promise.all([seed(4, 'user_1'), seed(8, 'user_2')])
    const run = (...args: string[]) => command(['accounts', 'disconnect', ...args], environmentOf(world))

    const one = await run('--owner', 'user_1')
    t.match(one, {
      code: 0,
      stdout:
        /^4 accounts are disconnected: none of their tokens is handed out any more\nTikTok has been told of every one of them\n$/,
    })
    t.match(await sql`select owner_id, count(*)::int from accounts where status = 'active' group by 1`, [
      { owner_id: 'user_2', count: 8 },
    ])
    t.equal(world.tiktok.stats.report().revocations, 4)
    const gone = await world.call('GET', `/accounts/${own[0]?.id}/token`)
    t.match(gone, { status: 410, body: { code: 'account_disconnected' } })
    t.match((await world.call('GET', `/accounts/${own[0]?.id}`)).body, {
      status_reason: 'disconnected_by_operator',
      open_id: null,
    })

    await seed(2, 'user_3')
    const strange = environmentOf(world, { VAULT_KEYS: generateVaultKey('k1') })
    t.match(await command(['accounts', 'disconnect', '--owner', 'user_3'], strange), {
      code: 1,
      stdout: /^2 accounts are disconnected: none of their tokens is handed out any more\n$/,
      stderr: /keyring_mismatch: TikTok is not told by this command/,
    })
    t.match(await sql`select max(attempts) as most from revocations`, [{ most: 0 }], 'none was put off as unreadable')
    const again = await run('--owner', 'user_3')
    t.match(again, { code: 0, stdout: /^0 accounts are disconnected.*\nTikTok has been told of every one of them\n$/ })

    t.match(await run('--all'), { code: 1, stderr: /Nothing was disconnected; add --yes to confirm/ })
    t.match(await run(), { code: 1 })
    t.match(await run('--all', '--owner', 'user_2'), { code: 1 })
    const startedAt = performance.now()
    t.match(await run('--all', '--yes', '--per-second', '3'), { code: 0, stdout: /^8 accounts are disconnected/ })
    t.ok(performance.now() - startedAt > 2000, 'eight at three a second')
    t.equal(world.tiktok.stats.report().revocations, 14)
    t.same(await sql`select count(*)::int from revocations`, [{ count: 0 }])
    t.match(await run('--all', '--yes'), { code: 0, stdout: /^0 accounts are disconnected/ }, 'running it again is harmless')
    const auditLog = await sql`select action, object, detail from audit_log where action = 'accounts_disconnected' order by seq`
    t.same(auditLog, [
      { action: 'accounts_disconnected', object: ownerInAuditLog('user_1'), detail: '4 accounts' },
      { action: 'accounts_disconnected', object: ownerInAuditLog('user_3'), detail: '2 accounts' },
      { action: 'accounts_disconnected', object: 'all', detail: '8 accounts' },
    ])
  },
)

t.test('what is not a command is told with the usage, and missing configuration with its names', async (t) => {
  t.match(await command(['frobnicate'], {}), {
    code: 1,
    stdout: '',
    stderr: /There is no command "frobnicate".\s+Usage: npm run --silent cli/,
  })
  t.match(await command(['accounts', 'disconnect', '--all', '--yes'], {}), { code: 1, stderr: /TIKTOK_CLIENT_KEY is missing/ })
})

t.test('a mistake in the words is found before anything is done', async (t) => {
  const mistakes: [(argv: string[]) => Promise<void>, string, RegExp][] = [
    [keys, 'create --name x', /at least one --scope/],
    [keys, 'create --name x --scope everything', /no scope "everything"/],
    [keys, 'create --name x --scope ops:read --expires-days 0', /from 1 to 36500/],
    [keys, 'create --name x --scope ops:read --expires 5', /Unknown option/],
    [keys, 'revoke', /needs the id of a key/],
    [keys, 'burn', /knows create, list, revoke and allow/],
    [vault, 'open', /knows keygen and reseal/],
    [audit, 'reads', /needs --key, --account or --from/],
    [audit, 'reads --from yesterday', /takes a date/],
    [audit, 'reads --from 2026-13-01', /takes a date/],
    [audit, 'changes', /needs --account, --owner, --actor or --from/],
    [audit, 'everything', /knows reads, changes and verify/],
    [accounts, 'disconnect', /needs --owner O or --all/],
    [accounts, 'disconnect --all --owner user_2', /needs --owner O or --all/],
    [accounts, 'disconnect --all --per-second 0', /from 1 to 1000/],
    [accounts, 'erase --all', /knows disconnect/],
  ]
  for (const [family, words, message] of mistakes) {
    const error = await family(words.split(' ')).catch((error: unknown) => error)
    t.ok(error instanceof UsageError, words)
    t.match(error, { message }, words)
  }
})

t.test('moments are read in UTC unless they name a zone, or back from now', async (t) => {
  const now = new Date('2026-11-22T12:00:00Z')
  const read = (text: string) => moment('--from', text, now).toISOString()
  t.equal(read('2026-11-22'), '2026-11-22T00:00:00.000Z')
  t.equal(read('2026-11-22T14:00'), '2026-11-22T14:00:00.000Z')
  t.equal(read('2026-11-22T14:00:30.5Z'), '2026-11-22T14:00:30.500Z')
  t.equal(read('2026-11-22T14:00+02:00'), '2026-11-22T12:00:00.000Z')
  t.equal(read('90m'), '2026-11-22T10:30:00.000Z')
  t.equal(read('7d'), '2026-11-15T12:00:00.000Z')
})
