// The service's own role: its rights are given anew without a moment in which it has fewer, and a file that fails leaves all as it was.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import postgres from 'postgres'
import t from 'tap'
import { openDb } from '../../src/db/client.ts'
import { grantRole } from '../../src/db/roles.ts'
import { generateVaultKey } from '../../src/vault/keyring.ts'
import { freshDatabase } from '../postgres.ts'
import { command } from '../rig/command.ts'
import { restrictService, serviceRole } from '../rig/service-role.ts'

const repository = join(import.meta.dirname, '..', '..')
const run = promisify(execFile)
const noPsql = await run('psql', ['--version']).then(
  () => false as const,
  () => 'no psql on this machine: `apt-get install postgresql-client` brings it',
)

interface Ended {
  code: number
  stderr: string
}

async function psql(url: string, file: string, variables: string[] = []): Promise<Ended> {
  const args = [url, '-X', '-q', ...variables.flatMap((variable) => ['-v', variable]), '-f', file]
  return run('psql', args).then(
    () => ({ code: 0, stderr: '' }),
    ({ code, stderr }: Ended) => ({ code, stderr }),
  )
}

const rolesFile = join(repository, 'ops', 'roles.sql')

for (const way of ['psql', 'cli'] as const) {
  t.test(
    `given anew under load, by ${way}, nobody misses a right for a moment`,
    { skip: way === 'psql' && noPsql },
    async (t) => {
      const { url } = await freshDatabase(t)
      const service = openDb({ url: await restrictService(url), poolSize: 5 })
      const owner = openDb({ url, poolSize: 1 })
      t.teardown(() => Promise.all([service.close(), owner.close()]))
      const failures: unknown[] = []
      let busy = true
      let done = 0
      const callers = Array.from({ length: 5 }, async () => {
        while (busy) {
          await service
            .run(
              'work',
              (sql) =>
                sql`select (select count(*) from accounts), (select count(*) from token_reads), (select count(*) from api_keys)`,
            )
            .then(() => (done += 1))
            .catch((error: unknown) => failures.push(error))
        }
      })
      for (let round = 0; round < 5; round++) {
        if (way === 'psql') t.match(await psql(url, rolesFile), { code: 0 })
        else await grantRole(owner, serviceRole)
      }
      busy = false
      await Promise.all(callers)
      t.ok(done > 0)
      t.same(failures, [])
    },
  )
}

t.test("two at once do not get into each other's way", async (t) => {
  const { url } = await freshDatabase(t)
  await restrictService(url)
  const owner = openDb({ url, poolSize: 4 })
  t.teardown(() => owner.close())
  await t.resolves(Promise.all(Array.from({ length: 8 }, () => grantRole(owner, serviceRole))))
})

t.test('a file that fails halfway says so in its exit code, and leaves all as it was', { skip: noPsql }, async (t) => {
  const { url } = await freshDatabase(t)
  const role = `halfway_${process.pid}`
  const dir = t.testdir()
  for (const folder of ['ops', 'src/db']) await mkdir(join(dir, folder), { recursive: true })
  await copyFile(rolesFile, join(dir, 'ops', 'roles.sql'))
  const grants = await readFile(join(repository, 'src', 'db', 'roles.sql'), 'utf8')
  await writeFile(join(dir, 'src', 'db', 'roles.sql'), `${grants}\nselect 1 / 0;\n`)
  const { code } = await psql(url, join(dir, 'ops', 'roles.sql'), [`role=${role}`])
  t.not(code, 0)
  const sql = postgres(url, { max: 1 })
  t.teardown(() => sql.end())
  t.match(await sql`select count(*)::int as n from pg_roles where rolname = ${role}`, [{ n: 0 }])

  t.match(await psql(url, rolesFile, [`role=${role}`]), { code: 0 }, 'the whole one makes the role of that name')
  t.match(await sql`select rolsuper, rolcanlogin from pg_roles where rolname = ${role}`, [{ rolsuper: false, rolcanlogin: true }])
  await sql.unsafe(`drop owned by ${role}; drop role ${role}`)
})

t.test("as a command: the service gets its role and password, and the owner's work stays the owner's", async (t) => {
  const { url } = await freshDatabase(t)
  const role = `commanded_${process.pid}`
  const sql = postgres(url, { max: 1 })
  t.teardown(async () => {
    await sql.unsafe(`drop owned by ${role}; drop role ${role}`)
    await sql.end()
  })
  const given = spawn(process.execPath, ['src/cli.ts', 'roles', '--role', role, '--password-stdin'], {
    cwd: repository,
    env: { PATH: process.env.PATH ?? '', DATABASE_URL: url },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  given.stdin.end('a/b#c?d%e\n')
  t.match(await once(given, 'exit'), [0])
  const asService = Object.assign(new URL(url), { username: role, password: '' }).href
  const env = { DATABASE_URL: asService, PGPASSWORD: 'a/b#c?d%e', VAULT_KEYS: generateVaultKey() }
  t.match(await command(['keys', 'list'], env), { code: 0 })
  t.match(await command(['keys', 'create', '--name', 'n', '--scope', 'ops:read'], env), {
    code: 1,
    stderr: /The role of DATABASE_URL lacks a right: the owner of the tables runs/,
  })
  t.match(await command(['roles', '--role', 'postgres'], { DATABASE_URL: url }), {
    code: 1,
    stderr: /is a superuser or owns the tables/,
  })
  t.match(await command(['roles', '--role', 'x; drop'], { DATABASE_URL: url }), {
    code: 1,
    stderr: /--role takes lower-case letters/,
  })
})
