// `cli doctor`: each mistake is named with what to do about it, in words without a secret; what is well is well; and nothing is changed.
import { execFile, spawnSync } from 'node:child_process'
import { cp, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { createServer as createWebServer } from 'node:http'
import { createServer as createTlsWebServer } from 'node:https'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import postgres from 'postgres'
import t from 'tap'
import { examine, type Report } from '../../src/doctor/examine.ts'
import type { Finding } from '../../src/doctor/finding.ts'
import { takeEnvFile } from '../../src/settings/env-file.ts'
import { generateVaultKey } from '../../src/vault/keyring.ts'
import { ownFolder } from '../folder.ts'
import { emptyDatabase, freshDatabase } from '../postgres.ts'
import { command, environmentOf } from '../rig/command.ts'
import { eventually } from '../rig/eventually.ts'
import { newSigningKey, startIdentityProvider } from '../rig/identity-provider.ts'
import { ownNode } from '../rig/own-node.ts'
import { noPgbouncer, startPgbouncer } from '../rig/pgbouncer.ts'
import { noRedis, startRedis } from '../rig/redis.ts'
import { restrictService } from '../rig/service-role.ts'
import { startTierService } from '../rig/tier-service.ts'
import { makeAuthority, noOpenssl } from '../rig/tls-postgres.ts'
import { startWorld } from '../world.ts'

type Env = Record<string, string>

const world = await startWorld(t)
await world.connect()
const owned = environmentOf(world, { PORT: '0', ALLOWED_RETURN_URLS: 'https://app.example.com/return' })
const well: Env = { ...owned, DATABASE_URL: await restrictService(world.databaseUrl), MIGRATE: 'off' }
const secret = well.TIKTOK_CLIENT_SECRET ?? ''
const key = well.TIKTOK_CLIENT_KEY ?? ''

const changed = (
  url: string | undefined,
  change: Partial<Record<'hostname' | 'port' | 'pathname' | 'username' | 'password', string>>,
) => Object.assign(new URL(url ?? ''), change).href
/** But for what is said of every PostgreSQL of the tests. */
const findingsOf = ({ checks }: Report): (Finding & { check: string })[] =>
  checks
    .flatMap(({ name, findings }) => findings.map((finding) => ({ ...finding, check: name })))
    .filter(({ what }) => !/fsync = off/.test(what))
const faultsOf = (report: Report) => findingsOf(report).filter(({ level }) => level === 'fault')

async function port(t: { teardown(work: () => unknown): unknown }, server: Server): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => sockets.add(socket.on('error', () => {})))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

t.test('what is well has no fault, as text and as JSON, and nothing is changed anywhere', async (t) => {
  // A copy, because the running service writes to its own.
  const dir = await ownFolder(t, 'doctor')
  await cp(world.config.dataDir, dir, { recursive: true, preserveTimestamps: true })
  const env = { ...well, DATA_DIR: dir }
  const before = await everything(dir)
  const shown = await command(['doctor'], env)
  t.equal(shown.code, 0, shown.stdout)
  t.match(shown.stdout, /database: PostgreSQL 1\d.* as tiktok_oauth_service$/m)
  t.match(shown.stdout, /^No fault was found, .* Nothing was changed\.$/m)
  t.match(shown.stderr, /examining 100 %/, 'progress')
  const json = JSON.parse((await command(['doctor', '--json'], env)).stdout)
  t.match(json, {
    healthy: true,
    checks: [{ name: 'configuration', state: 'well', findings: [] }, { name: 'ports' }, { name: 'database' }],
  })
  t.strictSame(await everything(dir), before)

  const empty = await ownFolder(t, 'doctor')
  const { DATABASE_URL: _, VAULT_KEYS: __, ...rest } = owned
  const unset = await examine({ ...rest, DATA_DIR: join(empty, 'data') })
  t.strictSame(faultsOf(unset), [], 'neither an embedded database nor a key is made to look at them')
  t.strictSame(await readdir(empty), [])
})

/** Every row of every table, the roles and their rights, the files, and what TikTok has handed out. */
async function everything(dir: string): Promise<unknown> {
  const sql = postgres(world.databaseUrl, { max: 1, onnotice: () => {} })
  try {
    const tables = await sql<{ name: string }[]>`
      select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname not in ('pg_catalog', 'information_schema') order by 1`
    const rows: Record<string, unknown> = {}
    for (const { name } of tables)
      rows[name] = (await sql.unsafe(`select md5(string_agg(t::text, '|' order by t::text)) as rows from ${name} t`))[0]?.rows
    const rights = await sql`select relname, relacl::text from pg_class where relnamespace = 'public'::regnamespace order by 1`
    const locks =
      await sql`select count(*) from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())`
    const files = await Promise.all(
      (await readdir(dir, { recursive: true })).sort().map(async (name) => {
        const facts = await stat(join(dir, name))
        return facts.isFile() ? [name, facts.mtimeMs, await readFile(join(dir, name), 'hex')] : [name]
      }),
    )
    const { exchanges, refreshes_processed: refreshes } = world.tiktok.stats.report()
    return { rows, rights: [...rights], locks: [...locks], files, exchanges, refreshes }
  } finally {
    await sql.end()
  }
}

interface Mistake {
  env: Env
  check?: string
  level?: Finding['level']
  what: RegExp
  remedy: RegExp
}

const base64 = (bytes: number) => Buffer.alloc(bytes, 'q8Zk2xLpV0').toString('base64')
const mistakes: Record<string, Mistake> = {
  'a wrong password': {
    env: { DATABASE_URL: changed(well.DATABASE_URL, { password: 'pa55word' }) },
    check: 'database',
    what: /refuses the password of DATABASE_URL/,
    remedy: /Correct it .*%25/,
  },
  'a database that is not there': {
    env: { DATABASE_URL: changed(well.DATABASE_URL, { pathname: '/nosuchdatabase' }) },
    check: 'database',
    what: /no database of the name/,
    remedy: /createdb/,
  },
  'a role that is not there': {
    env: { DATABASE_URL: changed(well.DATABASE_URL, { username: 'nobody_of_that_name' }) },
    check: 'database',
    what: /PostgreSQL (refuses the password|does not admit the user)/,
    remedy: /./,
  },
  'a host that nobody knows': {
    env: { DATABASE_URL: 'postgres://u:pa55word@no-such-host.invalid/x' },
    check: 'database',
    what: /host of DATABASE_URL is not known/,
    remedy: /Correct its name/,
  },
  'a port where nothing listens': {
    env: { DATABASE_URL: changed(well.DATABASE_URL, { port: '1' }) },
    check: 'database',
    what: /Nothing listens at 127\.0\.0\.1:1/,
    remedy: /Start PostgreSQL/,
  },
  'an authority whose file is missing': {
    env: { DATABASE_URL: `${well.DATABASE_URL}?sslmode=verify-full&sslrootcert=/no/such/root.crt` },
    check: 'database',
    what: /sslrootcert|offers no TLS/,
    remedy: /./,
  },
  'TLS that the server does not offer': {
    env: { DATABASE_TLS: 'verify' },
    check: 'database',
    what: /offers no TLS/,
    remedy: /ssl = on/,
  },
  'more connections than there are': {
    env: { DATABASE_POOL_SIZE: '999' },
    check: 'database',
    what: /DATABASE_POOL_SIZE is 999, and max_connections allows \d+/,
    remedy: /Set DATABASE_POOL_SIZE=\d+/,
  },
  'the owner of the tables instead of the role': {
    env: { DATABASE_URL: owned.DATABASE_URL ?? '' },
    check: 'database',
    level: 'warning',
    what: /is a superuser|owns the tables/,
    remedy: /roles --password-stdin/,
  },
  'a key of 31 bytes': {
    env: { VAULT_KEYS: `k1:${base64(31)}` },
    check: 'vault keys',
    what: /VAULT_KEYS: entry 1 is not 32 bytes/,
    remedy: /vault keygen/,
  },
  'another key under the same id': {
    env: { VAULT_KEYS: generateVaultKey() },
    check: 'vault keys',
    what: /"k1" is not the one that this database was sealed with/,
    remedy: /Put the right bytes/,
  },
  'a key that is missing': {
    env: { VAULT_KEYS: generateVaultKey('k9') },
    check: 'vault keys',
    what: /sealed with the vault key "k1", which is not among the keys/,
    remedy: /Put "k1:BASE64" back/,
  },
  'a file of keys that is not there': {
    env: { VAULT_KEYS: '', VAULT_KEYS_FILE: '/no/such/file' },
    check: 'vault keys',
    what: /VAULT_KEYS_FILE cannot be read/,
    remedy: /path or its rights/,
  },
  'a program of keys that fails': {
    env: { VAULT_KEYS: '', VAULT_KEYS_COMMAND: '/no/such/program' },
    check: 'vault keys',
    what: /VAULT_KEYS_COMMAND names a program that is not there/,
    remedy: /whole path/,
  },
  'a journal below a file': {
    env: { JOURNAL_DIR: join(import.meta.filename, 'journal') },
    check: 'journal',
    what: /JOURNAL_DIR .* is a file, or below one/,
    remedy: /Set JOURNAL_DIR/,
  },
  'a wrong client secret': {
    env: { TIKTOK_CLIENT_SECRET: 'NotTheSecretOfThisApp7' },
    check: 'TikTok',
    what: /TikTok refuses TIKTOK_CLIENT_KEY with TIKTOK_CLIENT_SECRET \(invalid_client/,
    remedy: /Copy both anew/,
  },
  'key and secret swapped': {
    env: { TIKTOK_CLIENT_KEY: secret, TIKTOK_CLIENT_SECRET: key },
    check: 'configuration',
    what: /look swapped/,
    remedy: /Swap the two/,
  },
  'a secret with a line break': {
    env: { TIKTOK_CLIENT_SECRET: `${secret}\n` },
    check: 'configuration',
    what: /TIKTOK_CLIENT_SECRET ends with a line break/,
    remedy: /printf %s/,
  },
  'a secret with a blank before it': {
    env: { TIKTOK_CLIENT_SECRET: ` ${secret}` },
    what: /TIKTOK_CLIENT_SECRET begins or ends with white space/,
    remedy: /Set it anew/,
  },
  'a secret with a character that nobody sees': {
    env: { TIKTOK_CLIENT_SECRET: `${secret.slice(0, 8)}\u200b${secret.slice(8)}` },
    what: /TIKTOK_CLIENT_SECRET has a character inside that nobody sees/,
    remedy: /Set it anew/,
  },
  'quotes that stayed': {
    env: { TIKTOK_CLIENT_SECRET: `"${secret}"` },
    what: /TIKTOK_CLIENT_SECRET has quotes in its value/,
    remedy: /without quotes/,
  },
  'quotes around a URL': {
    env: { DATABASE_URL: `'${well.DATABASE_URL}'` },
    what: /DATABASE_URL has quotes in its value/,
    remedy: /without quotes/,
  },
  'TikTok out of reach': {
    env: { TIKTOK_API_BASE_URL: 'http://127.0.0.1:1' },
    check: 'TikTok',
    what: /Nothing listens at 127\.0\.0\.1:1 \(TIKTOK_API_BASE_URL\)/,
    remedy: /correct the address/,
  },
  'half of a simulator': {
    env: { TIKTOK_AUTH_BASE_URL: 'https://www.tiktok.invalid' },
    check: 'configuration',
    what: /lead to different TikToks/,
    remedy: /Take both away/,
  },
  'a public service on a simulator': {
    env: { PUBLIC_URL: 'https://oauth.example.com' },
    what: /TikTok is a simulator/,
    remedy: /Take TIKTOK_AUTH_BASE_URL and TIKTOK_API_BASE_URL away/,
  },
  'an http PUBLIC_URL': {
    env: { PUBLIC_URL: 'http://oauth.example.com' },
    check: 'configuration',
    what: /PUBLIC_URL must be an origin/,
    remedy: /Correct PUBLIC_URL/,
  },
  'a scope that nobody knows': {
    env: { TIKTOK_SCOPES: 'user.info.basic,video.upload,user.info.states' },
    level: 'warning',
    what: /user\.info\.states, which TikTok does not list/,
    remedy: /letter for letter/,
  },
  'a scope that nobody was given': {
    env: { TIKTOK_SCOPES: 'user.info.basic,video.upload,video.list' },
    check: 'TikTok',
    level: 'warning',
    what: /None of the newest accounts was granted video\.list/,
    remedy: /TIKTOK_SCOPES=user\.info\.basic,video\.upload$/,
  },
  'a misspelt variable': {
    env: { TIKTOK_CLIENT_SECERT: 'x' },
    level: 'warning',
    what: /TIKTOK_CLIENT_SECERT is no variable of this service: did you mean TIKTOK_CLIENT_SECRET\?/,
    remedy: /Rename it/,
  },
  'Redis that is down': {
    env: { REDIS_URL: 'redis://:pa55word@127.0.0.1:1' },
    check: 'Redis',
    what: /Redis at 127\.0\.0\.1:1 cannot be reached \(ECONNREFUSED\)/,
    remedy: /Start it/,
  },
  'an identity provider that is down': {
    env: { JWT_JWKS_URL: 'http://127.0.0.1:1/jwks', JWT_ISSUER: 'https://i', JWT_AUDIENCE: 'a', JWT_SCOPES: 'x=ops:read' },
    check: 'identity provider',
    what: /Nothing listens at 127\.0\.0\.1:1/,
    remedy: /correct the address/,
  },
  'a receiver that is down': {
    env: { EVENT_WEBHOOKS: `http://127.0.0.1:1/hooks/pa55word|${base64(32)}` },
    check: 'event receivers',
    what: /Nothing listens at 127\.0\.0\.1:1 \(EVENT_WEBHOOKS\)/,
    remedy: /Start it/,
  },
  'a receiver inside a private network': {
    env: { EVENT_WEBHOOKS: `https://localhost.localdomain./x|${base64(32)}` },
    check: 'event receivers',
    what: /private network|is not known/,
    remedy: /public name|Correct its name/,
  },
}

for (const [name, { env, check, level = 'fault', what, remedy }] of Object.entries(mistakes)) {
  t.test(`named with its cure: ${name}`, async (t) => {
    const report = await examine({ ...well, ...env })
    const found = findingsOf(report).find((finding) => what.test(finding.what))
    t.match(found, { level, remedy, ...(check && { check }) }, JSON.stringify(findingsOf(report), null, 2))
    t.equal(report.healthy, level === 'warning')
    const text = JSON.stringify(report)
    for (const hidden of [
      'pa55word',
      'only-in-tests',
      secret,
      'NotTheSecretOfThisApp7',
      base64(32),
      (env.VAULT_KEYS || 'k1:none-here').slice(3),
    ])
      t.notOk(text.includes(hidden), 'and no secret')
  })
}

t.test('with the production hosts of TikTok: a sandbox key, and redirect URIs that its portal refuses', async (t) => {
  const { TIKTOK_AUTH_BASE_URL: _, TIKTOK_API_BASE_URL: __, ...rest } = well
  const find = async (env: Env) => findingsOf(await examine({ ...rest, ...env }, { timeoutMs: 1 }))
  const sandbox = { TIKTOK_CLIENT_KEY: 'sbaw1234567890abcd' }
  t.match(await find({ ...sandbox, PUBLIC_URL: 'https://oauth.example.com' }), [
    {
      level: 'fault',
      what: /is that of a sandbox \(it begins with sb\), and PUBLIC_URL is oauth\.example\.com/,
      remedy: /Set key and secret of the production app/,
    },
  ])
  t.match(await find({ ...sandbox, PUBLIC_URL: 'https://sandbox.example.com' }), [
    { level: 'warning', what: /is that of a sandbox/ },
  ])
  t.match(await find({ PUBLIC_URL: 'https://oauth-staging.example.com' }), [{ level: 'warning', what: /production app/ }])
  t.match(await find({}), [
    { level: 'fault', what: /redirect URI http:\/\/127\.0\.0\.1:0\/callback is not https/, remedy: /tunnel/ },
  ])
  t.match(await find({ PUBLIC_URL: 'https://10.0.0.7' }), [{ level: 'fault', what: /is no public name/ }])
  t.match(await find({ PUBLIC_URL: `https://${'a.'.repeat(250)}example.com` }), [
    { level: 'fault', what: /has 5\d\d characters/ },
  ])
})

t.test('all that is wrong is said at once, and what is not wrong is looked at all the same', async (t) => {
  const faults = faultsOf(
    await examine({
      ...well,
      PORT: 'x',
      JOURNAL_HOURS: '0',
      TIKTOK_CLIENT_KEY: '',
      DATABASE_URL: changed(well.DATABASE_URL, { password: 'no' }),
      JWT_JWKS_URL: `${world.tiktok.url}/none`,
    }),
  )
  for (const what of [
    /^PORT must/,
    /^JOURNAL_HOURS must/,
    /^TIKTOK_CLIENT_KEY is missing/,
    /^JWT_ISSUER is missing/,
    /refuses the password/,
  ])
    t.ok(
      faults.some((finding) => what.test(finding.what)),
      String(what),
    )
  t.notOk(
    faults.some((finding) => /invalid_client/.test(finding.what)),
    'half a pair of credentials is sent to nobody',
  )
})

t.test("a variable that is nearly one of ours is named; those of Kubernetes and of others' programs are not", async (t) => {
  const { checks } = await examine({
    ...well,
    PUBLIC_ULR: 'x',
    DATABSE_POOLER: 'x',
    TIKTOK_APP_ID: 'x',
    VAULT_ADDR: 'https://vault.example',
    VAULT_TOKEN: 'x',
    DATABASE_NAME: 'x',
    TIKTOK_OAUTH_SERVICE_SERVICE_HOST: '10.0.0.1',
    TIKTOK_OAUTH_SERVICE_PORT_3000_TCP_ADDR: '10.0.0.1',
  })
  t.match(
    checks[0]?.findings.map(({ what }) => what),
    [/^PUBLIC_ULR .* mean PUBLIC_URL\?/, /^DATABSE_POOLER .* mean DATABASE_POOLER\?/, /^TIKTOK_APP_ID is no variable/],
  )
  t.equal(checks[0]?.findings.length, 3)
})

t.test('.env: what is cut or lost is named, and the rest of it counts', async (t) => {
  const dir = await ownFolder(t, 'doctor')
  await writeFile(join(dir, '.env'), 'DOCTOR_TEST_ONE=a#b\nDOCTOR_TEST_TWO=whole\nnothing here\n')
  const problems = takeEnvFile(join(dir, '.env'))
  t.match([process.env.DOCTOR_TEST_ONE, process.env.DOCTOR_TEST_TWO], [undefined, 'whole'])
  const faults = faultsOf(await examine(well, { envFileProblems: problems }))
  t.match(faults, [
    { check: 'configuration', what: /^DOCTOR_TEST_ONE in \.env would be cut at its #/, remedy: /single quotes/ },
    { check: 'configuration', what: /^line 3 of \.env says nothing/, remedy: /NAME=value/ },
  ])
})

t.test('the database: encoding, rights, what is pending, another database in the journal', async (t) => {
  const { url } = await emptyDatabase(t)
  const admin = postgres(url, { max: 1, onnotice: () => {} })
  const ascii = `ascii_${process.pid}`
  await admin.unsafe(`create database ${ascii} encoding 'SQL_ASCII' locale 'C' template template0`)
  t.teardown(async () => {
    await admin.unsafe(`drop database ${ascii} with (force)`)
    await admin.unsafe(`drop role if exists doctors_guest`)
    await admin.end()
  })
  const on = async (address: string, env: Env = {}) => findingsOf(await examine({ ...well, DATABASE_URL: address, ...env }))
  t.match(await on(changed(url, { pathname: `/${ascii}` })), [
    { level: 'fault', what: /encoding is not UTF8/, remedy: /createdb --encoding=UTF8/ },
  ])

  const pending = { what: /^2 migrations \(.*\) and \d+ functions are pending/ }
  t.match(
    (await on(url)).filter(({ level }) => level === 'fault'),
    [{ ...pending, why: /MIGRATE=off/, remedy: /migrate/ }].slice(0, 1),
  )
  t.match((await on(url, { MIGRATE: 'on' })).filter(pendingOnly), [{ level: 'warning', ...pending }])

  await admin.unsafe(`create role doctors_guest login password 'only-in-tests'`)
  const guest = changed(url, { username: 'doctors_guest', password: 'only-in-tests' })
  t.match((await on(guest, { MIGRATE: 'on' })).filter(pendingOnly), [
    { level: 'fault', what: /doctors_guest lacks (CREATE ON SCHEMA public and )?CREATE ON DATABASE/, remedy: /as the owner/ },
  ])
  const guestHere = changed(world.databaseUrl, { username: 'doctors_guest', password: 'only-in-tests' })
  t.match(await on(guestHere), [
    {
      level: 'fault',
      what: /doctors_guest lacks rights: DELETE ON .* and \d+ more/,
      remedy: /roles --role doctors_guest/,
    },
  ])

  const other = await freshDatabase(t)
  const there = postgres(other.url, { max: 1 })
  await there`update epoch set database_id = gen_random_uuid()`.finally(() => there.end()) // the tests' databases are copies of one
  t.match(await on(await restrictService(other.url)), [
    { check: 'journal', level: 'fault', what: /holds journals of another database/, remedy: /correct DATABASE_URL/ },
  ])
  t.match(
    await on(world.databaseUrl, { DATABASE_DIRECT_URL: other.url }).then((all) => all.filter(({ level }) => level === 'fault')),
    [{ what: /lead to different databases/ }],
  )
})

const pendingOnly = ({ what }: Finding) => /are pending/.test(what)

t.test('a pooler that was not named, and one that stands in the direct way', { skip: noPgbouncer }, async (t) => {
  const pooler = await startPgbouncer(t, well.DATABASE_URL ?? '', { pool_mode: 'transaction' })
  const on = async (env: Env) => faultsOf(await examine({ ...well, ...env }))
  t.match(await on({ DATABASE_URL: pooler.url }), [{ what: /another session/, remedy: /Set DATABASE_POOLER=transaction/ }])
  t.match(await on({ DATABASE_URL: pooler.url, DATABASE_POOLER: 'session' }), [{ what: /another session/ }])
  t.strictSame(await on({ DATABASE_URL: pooler.url, DATABASE_POOLER: 'transaction' }), [])
  t.match(await on({ DATABASE_URL: pooler.url, DATABASE_POOLER: 'transaction', DATABASE_DIRECT_URL: pooler.url }), [
    { what: /DATABASE_DIRECT_URL leads through a pooler, too/ },
  ])
})

t.test('Redis: a password that is wrong or missing', { skip: noRedis }, async (t) => {
  const redis = await startRedis(t, ['--requirepass', 'right'])
  const on = async (user: string) =>
    faultsOf(await examine({ ...well, REDIS_URL: redis.url.replace('//', `//${user}`) })).filter(({ check }) => check === 'Redis')
  await eventually('Redis takes connections', async () => (await on(':right@')).length === 0)
  t.match(await on(':pa55word@'), [{ what: /refuses the password/, remedy: /redis:\/\/:PASSWORD@HOST/ }])
  t.match(await on(''), [{ what: /refuses the password/ }])
})

t.test('the identity provider and the tier service: what they may answer wrongly', async (t) => {
  const provider = await startIdentityProvider(t, await newSigningKey('one'))
  const jwt = { JWT_JWKS_URL: provider.jwksUrl, JWT_ISSUER: provider.issuer, JWT_AUDIENCE: 'a', JWT_SCOPES: 'x=ops:read' }
  const asked = async (env: Env) => findingsOf(await examine({ ...well, ...env }))
  t.strictSame(await asked(jwt), [])
  t.match(await asked({ ...jwt, JWT_JWKS_URL: `${world.tiktok.url}/no/such/page` }), [
    { level: 'fault', what: /answers 404/, remedy: /jwks_uri/ },
  ])
  provider.answer('with rubbish')
  t.match(await asked(jwt), [{ level: 'fault', what: /something else than a JWKS/ }])
  provider.answer('with 500')
  t.match(await asked(jwt), [{ level: 'fault', what: /answers 500/ }])

  const tiers = await startTierService(t)
  const tier = { TIER_SERVICE_URL: `${tiers.url}/tiers`, TIER_SERVICE_TOKEN: 'TierTokenOfTheTest1' }
  t.strictSame(await asked(tier), [])
  t.match(
    tiers.seen.at(-1),
    { path: '/tiers/user_42', authorization: 'Bearer TierTokenOfTheTest1' },
    'about an owner that there is',
  )
  for (const [fault, what] of [
    [{ status: 500 }, /answers 500/],
    [{ status: 401 }, /refuses TIER_SERVICE_TOKEN/],
    [{ status: 404 }, /answers 404/],
    [{ status: 302, headers: { location: '/' } }, /elsewhere/],
    [{ body: '<html>' }, /without a tier or an account_limit/],
  ] as const) {
    tiers.fail(fault)
    t.match(await asked(tier), [{ level: 'fault', check: 'tier service', what }])
  }
})

t.test('certificates of receivers: an unknown authority, another name', { skip: noOpenssl }, async (t) => {
  const authority = await makeAuthority(t)
  const serve = async (names: string[]) => {
    const { certFile, keyFile } = await authority.issue('a receiver', names)
    return port(
      t,
      createTlsWebServer({ cert: await readFile(certFile), key: await readFile(keyFile) }, (_, response) => response.end()),
    )
  }
  const at = (number: number) => examine({ ...well, EVENT_WEBHOOKS: `https://127.0.0.1:${number}/x|${base64(32)}` })
  t.match(faultsOf(await at(await serve(['IP:127.0.0.1']))), [
    { what: /authority that is not known/, remedy: /NODE_EXTRA_CA_CERTS/ },
  ])
  const plain = await port(
    t,
    createWebServer((_, response) => response.end()),
  )
  t.match(faultsOf(await at(plain)), [{ what: /TLS with 127\.0\.0\.1:\d+ \(EVENT_WEBHOOKS\) cannot be agreed upon/ }])
})

t.test('a clock that is wrong, told by TikTok and by the database', async (t) => {
  const tiktok = await port(
    t,
    createWebServer((_, response) => {
      response.writeHead(200, { date: new Date(Date.now() - 3_600_000).toUTCString(), 'content-type': 'application/json' })
      response.end('{"access_token":"clt.x","expires_in":7200,"token_type":"Bearer"}')
    }),
  )
  const url = `http://127.0.0.1:${tiktok}`
  t.match(faultsOf(await examine({ ...well, TIKTOK_AUTH_BASE_URL: url, TIKTOK_API_BASE_URL: url })), [
    { check: 'TikTok', what: /clock of this machine is 3\d\d\d s ahead of that of TikTok/, remedy: /timedatectl/ },
  ])
  const [program, args] = ownNode(['--import', './test/rig/skewed-clock.ts', 'src/cli.ts', 'doctor', '--json'])
  const late = await promisify(execFile)(program, args, {
    cwd: join(import.meta.dirname, '../..'),
    env: { PATH: process.env.PATH, ...well, TIKTOK_API_BASE_URL: 'http://127.0.0.1:1', CLOCK_SKEW_SECONDS: '-600' },
  }).catch((ended: { stdout: string }) => ended)
  t.match(faultsOf(JSON.parse(late.stdout)), [
    { check: 'database', what: /60\d s behind that of the database/ },
    { check: 'TikTok' },
  ])
})

t.test('a port that something else has; the running service may have it', async (t) => {
  const on = async (env: Env) => findingsOf(await examine({ ...well, ...env }))
  const other = await port(
    t,
    createWebServer((_, response) => response.end('<h1>It works!</h1>')),
  )
  t.match(await on({ PORT: `${other}` }), [{ level: 'fault', what: /Something else listens at .* \(PORT\)/, remedy: /ss -ltnp/ }])
  t.match(await on({ METRICS_PORT: `${other}` }), [{ level: 'fault', what: /\(METRICS_PORT\)/ }])
  t.strictSame(await on({ PORT: new URL(world.app.url).port }), [])
  t.match(await on({ PORT: '9', HOST: 'no-such-host.invalid' }), [
    { what: /PUBLIC_URL is missing/ },
    { level: 'warning', remedy: /Set HOST/ },
  ])
})

t.test('PUBLIC_URL from outside: the service, something else, nothing', async (t) => {
  const from = async (url: string) => findingsOf(await examine({ ...well, PUBLIC_URL: url }, { fromOutside: true }))
  t.strictSame(await from(world.app.url), [])
  t.match(await from('http://127.0.0.1:1'), [
    { check: 'public address', level: 'fault', what: /Nothing listens/, remedy: /curl -i/ },
  ])
  const other = await port(
    t,
    createWebServer((_, response) => response.end('<h1>It works!</h1>')),
  )
  t.match(await from(`http://127.0.0.1:${other}`), [{ level: 'fault', what: /is not this service/ }])
  const moved = await port(
    t,
    createWebServer((_, response) => response.writeHead(301, { location: 'https://www.example.com' }).end()),
  )
  t.match(await from(`http://127.0.0.1:${moved}`), [{ level: 'fault', what: /elsewhere \(status 301\)/ }])
})

t.test('whoever hangs or drips is told of, one by one, and nobody waits for them', async (t) => {
  const silent = await port(
    t,
    createServer(() => {}),
  )
  const dripping = await port(
    t,
    createWebServer((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      const drip = setInterval(() => response.write(' '), 50)
      response.once('close', () => clearInterval(drip))
    }),
  )
  const there = `http://127.0.0.1:${dripping}`
  const report = await examine(
    {
      ...well,
      DATABASE_URL: changed(well.DATABASE_URL, { port: String(silent) }),
      TIKTOK_AUTH_BASE_URL: there,
      TIKTOK_API_BASE_URL: there,
      REDIS_URL: `redis://127.0.0.1:${silent}`,
      JWT_JWKS_URL: there,
      JWT_ISSUER: 'https://i',
      JWT_AUDIENCE: 'a',
      JWT_SCOPES: 'x=ops:read',
      TIER_SERVICE_URL: `http://127.0.0.1:${silent}`,
      EVENT_WEBHOOKS: `http://127.0.0.1:${silent}/x|${base64(32)}`,
    },
    { timeoutMs: 300 },
  )
  t.strictSame(
    // A disk that is busy with other things may be late, too.
    report.checks.filter(({ name, state }) => state === 'fault' && name !== 'journal').map(({ name }) => name),
    ['database', 'TikTok', 'Redis', 'identity provider', 'tier service', 'event receivers'],
  )
  t.ok(faultsOf(report).every(({ what }) => /did not answer within/.test(what)))
})

t.test('a look-up or a disk that hangs does not keep the process: it leaves with the right code', async (t) => {
  const dir = await ownFolder(t, 'doctor')
  const pipe = join(dir, 'pipe')
  if (spawnSync('mkfifo', [pipe]).status !== 0) return t.comment('no mkfifo on this machine')
  const { VAULT_KEYS: _, ...rest } = well
  const ran = await command(['doctor', '--json', '--timeout', '1'], { ...rest, VAULT_KEYS_FILE: pipe })
  t.equal(ran.code, 1)
  const keys = faultsOf(JSON.parse(ran.stdout)).filter(({ check }) => check === 'vault keys')
  t.match(keys, [{ what: /did not answer within/ }])
})
