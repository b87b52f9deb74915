// The command line from the outside: answers on standard output, everything else on standard error, mistakes with an exit code.
import postgres from 'postgres'
import t from 'tap'
import { asksForHelp, usage } from '../src/cli/commands.ts'
import { openDb } from '../src/db/client.ts'
import { keyScopes, openApiKeys } from '../src/http/api-keys.ts'
import { generateVaultKey, parseKeyring } from '../src/vault/keyring.ts'
import { createVault } from '../src/vault/vault.ts'
import { emptyDatabase, freshDatabase } from './postgres.ts'
import { command } from './rig/command.ts'

t.jobs = 2

const here = '127.0.0.1'

t.test('migrate brings an empty database up to date, and says so when it is', async (t) => {
  const { url } = await emptyDatabase(t)
  t.match(await command(['migrate'], { DATABASE_URL: url }), {
    code: 0,
    stdout: /^\d+ migrations applied, \d+ functions installed\n$/,
  })
  t.match(await command(['migrate'], { DATABASE_URL: url }), { code: 0, stdout: 'up to date\n' })
})

t.test('migrate --check says what is pending or newer, and changes nothing', async (t) => {
  const { url } = await emptyDatabase(t)
  const check = () => command(['migrate', '--check'], { DATABASE_URL: url })
  const sql = postgres(url, { max: 1, onnotice: () => {} })
  t.teardown(() => sql.end())
  t.match(await check(), {
    code: 1,
    stdout: /^pending migration 0000_tables\npending migration 0001_\w+\n(pending function \w+\n)+$/,
    stderr: /Run `migrate` as the owner/,
  })
  t.strictSame([...(await sql`select nspname from pg_namespace where nspname = 'drizzle'`)], [], 'and it was only looked at')
  await command(['migrate'], { DATABASE_URL: url })
  t.match(await check(), { code: 0, stdout: 'nothing is pending\n' })
  await sql`update drizzle.installed_functions set hash = 'of another build' where name = (select min(name) from drizzle.installed_functions)`
  t.match(await check(), { code: 1, stdout: /^(pending function \w+\n)+$/ })
  await sql`update drizzle.installed_functions set version = '999.0.0'`
  await sql`insert into drizzle.__drizzle_migrations (hash, created_at) values ('later', 9999999999999)`
  t.match(await check(), {
    code: 0,
    stdout:
      /^the database is newer than this program: 1 migrations and \d+ functions are of a later release\nnothing is pending\n$/,
  })
  t.match(await command(['migrate', '--check'], { DATA_DIR: '/no/such/place' }), {
    code: 1,
    stderr: /it is not started only to be looked at/,
  })
})

t.test(
  'a database that cannot be used is told in words that say what to do, with host and port and without the password',
  async (t) => {
    const { url } = await emptyDatabase(t)
    const changed = (change: (address: URL) => void) => {
      const address = new URL(url)
      change(address)
      return address.href
    }
    for (const [address, sentence] of [
      [
        changed((to) => Object.assign(to, { port: '1', password: 'pa55word' })),
        /Nothing listens at 127.0.0.1:1, which DATABASE_URL names/,
      ],
      [
        changed((to) => Object.assign(to, { password: 'pa55word' })),
        /refuses the password of DATABASE_URL, or wants one and there is none: correct it/,
      ],
      [
        changed((to) => Object.assign(to, { pathname: '/no-such-database' })),
        /no database of the name in DATABASE_URL: create it/,
      ],
      ['postgres://u:pa55word@no-such-host.invalid/x', /host of DATABASE_URL is not known/],
    ] as const) {
      const { code, stdout, stderr } = await command(['keys', 'list'], { DATABASE_URL: address })
      t.match({ code, stdout }, { code: 1, stdout: '' })
      t.match(stderr, sentence)
      t.notMatch(stderr, /pa55word|no-such-database/)
    }
  },
)

t.test('keys create prints the key, only the key; it works until it is revoked, and is never shown again', async (t) => {
  const { url } = await emptyDatabase(t) // no migration by hand: the first key may come first
  const vaultKeys = generateVaultKey()
  const env = { DATABASE_URL: url, VAULT_KEYS: vaultKeys }
  const made = await command(['keys', 'create', '--name', 'ops', ...keyScopes.flatMap((scope) => ['--scope', scope])], env)
  t.match(made, { code: 0, stdout: /^ttk_[0-9a-z]{25}_[0-9a-f]{64}_[0-9a-f]{8}\n$/ })
  const beyond = ['keys', 'create', '--name', 'x', '--scope', 'ops:read', '--owner-prefix', '(']
  t.match(await command(beyond, env), { code: 1, stderr: /--owner-prefix/ }, 'no key reaches what was erased')
  const key = made.stdout.trim()
  const id = `key_${key.split('_')[1]}`
  t.match(made.stderr, id)
  t.notOk(made.stderr.includes(key))
  const db = openDb({ url })
  t.teardown(() => db.close())
  const vault = createVault(parseKeyring(vaultKeys))
  const refusals = { note: () => t.fail('our own key is refused'), flush: () => {} }
  t.match(await openApiKeys({ db, vault, refusals }).verify(key, here), { keyId: id, name: 'ops', scopes: [...keyScopes] })

  const listed = await command(['keys', 'list'], env)
  t.match(listed, { code: 0, stderr: '' })
  t.match(listed.stdout, new RegExp(`^${id}\\tlive\\tops\\t`))
  t.notMatch(listed.stdout, key.split('_')[2] ?? '')
  t.match(await command(['keys', 'revoke', id], env), { code: 0 })
  t.equal(await openApiKeys({ db, vault, refusals }).verify(key, here), undefined)
  t.match((await command(['keys', 'list'], env)).stdout, new RegExp(`^${id}\\trevoked\\t`))
})

t.test('vault keygen prints an entry that VAULT_KEYS takes, another one every time', async (t) => {
  const [first, second] = await Promise.all([command(['vault', 'keygen'], {}), command(['vault', 'keygen', '--id', 'k2'], {})])
  t.match(
    [first, second],
    [
      { code: 0, stderr: '' },
      { code: 0, stderr: '' },
    ],
  )
  t.same(parseKeyring(`${second.stdout.trim()},${first.stdout.trim()}`).ids, ['k2', 'k1'])
  t.match(await command(['vault', 'keygen', '--id', 'Not An Id'], {}), { code: 1, stdout: '', stderr: /1 to 32 of a-z/ })
})

t.test('unknown words get the usage and exit code 1, and nothing is done', async (t) => {
  const { url } = await freshDatabase(t)
  const words = ['keys', 'keys revoke key_a key_b', 'keys list all', 'migrate now', 'migrate --force', 'vault keygen k2']
  const answers = await Promise.all(words.map((line) => command(line.split(' '), { DATABASE_URL: url })))
  for (const [index, answer] of answers.entries())
    t.match(answer, { code: 1, stdout: '', stderr: /Usage: npm run --silent cli/ }, `${words[index]}`)
  t.match(await command(['help'], {}), { code: 0, stdout: /^Usage: / })
})

t.test('every command says what it takes, by `COMMAND --help` and by `help COMMAND`, and does nothing', async (t) => {
  const { stdout } = await command(['help'], {})
  const names = [...stdout.matchAll(/^ {2}([a-z]+(?: [a-z]+)?)(?= |$)/gm)].map(([, name = '']) => name)
  t.ok(names.length >= 15 && names.includes('keys create'), names.join(', '))
  for (const name of names) {
    const words = name.split(' ')
    t.ok(asksForHelp([...words, '--help']) && asksForHelp(['help', ...words]), name)
    const shown = usage(words)
    t.ok(shown.includes(name) && shown.length < stdout.length / 2, `${name}: that command, and not all of them`)
  }
  // As processes, one of each kind: they all go the same way, and a process costs a quarter of a second.
  for (const name of ['migrate', 'keys create', 'simulator']) {
    const asked = await Promise.all([command([...name.split(' '), '--help'], {}), command(['help', ...name.split(' ')], {})])
    for (const answer of asked)
      t.match(answer, { code: 0, stderr: '', stdout: new RegExp(name === 'simulator' ? '--port' : name) }, name)
    t.equal(asked[0]?.stdout, asked[1]?.stdout)
  }
  const family = await command(['keys', '-h'], {})
  t.match(family.stdout, /keys create.*keys list.*keys revoke/s)
  t.match(family.stdout, /Scopes: connect:write/)
  t.notMatch(family.stdout, /vault/)
  t.match(await command(['keys', 'create', '--name', 'x', '--scope', 'ops:read', '--help'], {}), {
    code: 0,
    stdout: /keys create --name/,
  })
  t.match(await command(['help', 'no-such'], {}), { code: 1, stdout: '', stderr: /There is no command "no-such"/ })
  t.match(await command(['toString'], {}), { code: 1, stdout: '', stderr: /There is no command "toString"/ })
  t.match(await command(['keys', 'destroy'], {}), { code: 1, stdout: '', stderr: /keys knows.*keys create/s })
})

t.test('a database that is named wrongly or is not there is said in a line, without its password', async (t) => {
  const password = 'pAsswordThatNobodyMaySee'
  const wrong = await command(['keys', 'list'], { DATABASE_URL: `mysql://u:${password}@db/x` })
  t.match(wrong, { code: 1, stdout: '', stderr: /DATABASE_URL/ })
  const away = await command(['keys', 'list'], { DATABASE_URL: `postgres://u:${password}@127.0.0.1:9/x` })
  t.match(away, { code: 1, stdout: '', stderr: /storage_unavailable/ })
  t.notMatch(wrong.stderr + away.stderr, password)
})

t.test('a place where the simulator cannot listen is told in words of its own', async (t) => {
  const nowhere = await command(['simulator', '--host', 'no-such-host.invalid'], {})
  t.match(nowhere, {
    code: 1,
    stdout: '',
    stderr: '--host is not an address of this machine: take one that is, such as 127.0.0.1.\n',
  })
})
