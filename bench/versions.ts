// `npm run versions`: the tests that lean on the database, with each PostgreSQL that the service is for, and a life of a token with each Node.
// Servers and Nodes come from npm; `--postgres 14,15` and `--node 26` choose, and `none` leaves one out. Exit code 1 when one fails.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import postgres from 'postgres'
import { ownNode } from '../test/rig/own-node.ts'
import { linkLibraries, openToAll } from '../tools/embedded-postgres/binaries.ts'

const run = promisify(execFile)
const here = join(import.meta.dirname, '..')
const platform = `${process.platform}-${process.arch}`
const { values } = parseArgs({
  options: {
    postgres: { type: 'string', default: '14,15,16,17,18' },
    node: { type: 'string', default: '22,24,26' },
    /** of this script itself, with PG_BIN set: its programs are looked for when the rig is loaded */
    here: { type: 'boolean', default: false },
  },
})
const majorsOf = (text: string) => (text === 'none' ? [] : text.split(','))

const onDatabase = [
  'test/life-of-a-token.test.ts',
  ...['audit', 'client', 'failover', 'install', 'migrate', 'roles', 'schema', 'session', 'uploads'].map(
    (name) => `test/db/${name}.test.ts`,
  ),
  'test/token/refresh.test.ts',
  'test/uploads/quota.test.ts',
  'test/operate/retention.test.ts',
  'test/operate/reseal.test.ts',
  'test/doctor/doctor.test.ts',
]
const onNode = ['test/life-of-a-token.test.ts', 'test/cli.test.ts', 'test/outbound/call.test.ts']

const endings: (() => unknown)[] = []
const t = { teardown: (end: () => unknown) => void endings.push(end) }
let failed = false
try {
  if (values.here) await testHere()
  else {
    const { makeHome } = await import('../test/rig/debian-postgres.ts')
    const home = await makeHome(t, 'versions')
    for (const major of majorsOf(values.postgres)) {
      const { folder, version } = await fetch(home, `@embedded-postgres/${platform}`, major)
      const native = join(folder, 'native')
      await linkLibraries(native)
      await openToAll(native)
      await tell(`PostgreSQL ${version}`, ownNode(['bench/versions.ts', '--here']), { PG_BIN: join(native, 'bin') })
    }
    for (const major of majorsOf(values.node)) {
      const { folder, version } = await fetch(home, `node-${platform}`, major)
      for (const file of onNode) await tell(`Node ${version}, ${file}`, [join(folder, 'bin/node'), [file]], {})
    }
  }
} finally {
  for (const end of endings.toReversed()) await end()
}
process.exitCode = failed ? 1 : 0

async function testHere(): Promise<void> {
  const { makeCluster, makeHome } = await import('../test/rig/debian-postgres.ts')
  const cluster = await makeCluster(await makeHome(t, 'version'), 'cluster', {
    settings: ['max_connections = 300', "password_encryption = 'scram-sha-256'"],
  })
  await cluster.start()
  t.teardown(() => cluster.stop('immediate'))
  const sql = postgres(cluster.url, { max: 1 })
  await sql.unsafe(`alter role postgres password 'only-in-tests'`)
  await writeFile(join(cluster.dir, 'pg_hba.conf'), 'host all all 127.0.0.1/32 scram-sha-256\n')
  await sql`select pg_reload_conf()`
  await sql.end()
  const tap = spawn('npx', ['tap', '--disable-coverage', '--reporter=tap', ...onDatabase], {
    cwd: here,
    env: { ...process.env, TEST_DATABASE_URL: Object.assign(new URL(cluster.url), { password: 'only-in-tests' }).href },
    stdio: 'inherit',
  })
  failed = (await once(tap, 'exit'))[0] !== 0
}

/** The newest of a major version that npm has. */
async function fetch(home: string, name: string, major: string): Promise<{ folder: string; version: string }> {
  const { stdout } = await run('npm', ['view', name, 'versions', '--json'])
  const version = (JSON.parse(stdout) as string[])
    .filter((each) => each.startsWith(`${major}.`))
    .toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true }))
    .at(-1)
  if (version === undefined) throw new Error(`npm has no ${name} of version ${major}`)
  const prefix = join(home, `${major}-${name.replace(/\W/g, '')}`)
  await run('npm', ['install', '--prefix', prefix, '--ignore-scripts', '--no-audit', '--no-fund', `${name}@${version}`])
  return { folder: join(prefix, 'node_modules', name), version }
}

async function tell(what: string, [program, args]: [string, string[]], env: Record<string, string>): Promise<void> {
  const child = spawn(program, args, { cwd: here, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      said += chunk
    })
  const [code] = (await once(child, 'close')) as [number]
  const total = /# \{ total: .*\}/.exec(said)?.[0] ?? ''
  console.log(`${code === 0 ? 'ok    ' : 'not ok'} ${what} ${total}`)
  if (code === 0) return
  failed = true
  console.log(
    said
      .split('\n')
      .filter((line) => /^\s*not ok/.test(line))
      .slice(0, 30)
      .join('\n') || said.slice(-3000),
  )
}
