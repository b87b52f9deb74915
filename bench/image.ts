// `npm run image`: the Dockerfile without an engine. Its instructions run in an empty root by bubblewrap, and what comes out runs as its user on a
// read-only root beside a real PostgreSQL. Needs root and `apt-get install bubblewrap`; exit code 1 when anything is not as the Dockerfile promises.
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { generateVaultKey } from '../src/vault/keyring.ts'
import { eventually } from '../test/rig/eventually.ts'
import { startEmbeddedPostgres } from '../tools/embedded-postgres/embedded.ts'

const repository = join(import.meta.dirname, '..')
const npm = process.env.npm_execpath ?? ''
if (process.getuid?.() !== 0 || spawnSync('bwrap', ['--version']).status !== 0 || !npm.endsWith('.js')) {
  console.error('npm run image needs root, bubblewrap (apt-get install bubblewrap) and to be called by npm')
  process.exit(1)
}

/** Instruction and argument, continued lines joined, comments gone. */
const instructions = (await readFile(join(repository, 'Dockerfile'), 'utf8'))
  .replace(/^#.*\n/gm, '')
  .replace(/\\\n/g, ' ')
  .split('\n')
  .flatMap((line) => {
    const [, name = '', argument = ''] = /^(\S+)\s+(.*)$/.exec(line) ?? []
    return name === '' ? [] : [{ name, argument: argument.trim() }]
  })
const argumentOf = (name: string) => instructions.find((one) => one.name === name)?.argument ?? ''
const imageEnv = Object.fromEntries(
  argumentOf('ENV')
    .split(' ')
    .map((pair) => pair.split('=') as [string, string]),
)
const workdir = argumentOf('WORKDIR')
const [uid = '', gid = ''] = argumentOf('USER').split(':')

const root = await mkdtemp(join(tmpdir(), 'tts-image-'))
await chmod(root, 0o755)
for (const name of ['toolbox/bin', 'toolbox/npm', 'proc', 'dev', 'usr', 'etc', 'tmp'])
  await mkdir(join(root, name), { recursive: true })
await writeFile(join(root, 'toolbox/bin/npm'), '#!/bin/sh\nexec node /toolbox/npm/bin/npm-cli.js "$@"\n', { mode: 0o755 })
await writeFile(join(root, 'toolbox/bin/node'), '')
for (const name of ['bin', 'lib', 'lib64', 'sbin']) await symlink(`usr/${name}`, join(root, name))
/** What node:24-slim would bring: this machine's Debian, and the Node that the tests run on. */
const base = [
  ...['--ro-bind', '/usr', '/usr', '--ro-bind', '/etc', '/etc', '--proc', '/proc', '--dev', '/dev'],
  ...['--ro-bind', process.execPath, '/toolbox/bin/node', '--ro-bind', dirname(dirname(npm)), '/toolbox/npm'],
  ...['--clearenv', '--setenv', 'PATH', '/toolbox/bin:/usr/bin:/bin:/usr/sbin', '--chdir', workdir],
]
const given = (env: Record<string, string>) => Object.entries(env).flatMap(([name, value]) => ['--setenv', name, value])
const forNpm = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => /^(npm_config_registry|https?_proxy|no_proxy|NODE_EXTRA_CA_CERTS)$/i.test(name)),
) as Record<string, string>

let failed = 0
const check = (sentence: string, holds: boolean) => {
  console.log(`${holds ? 'ok    ' : 'NOT OK'}  ${sentence}`)
  if (!holds) failed += 1
}

const stops: (() => Promise<unknown>)[] = [() => rm(root, { recursive: true })]
try {
  await mkdir(join(root, workdir))
  for (const { name, argument } of instructions) {
    if (name === 'COPY') {
      const places = argument.split(' ')
      const target = join(root, workdir, places.at(-1) ?? '')
      for (const place of places.slice(0, -1))
        await cp(join(repository, place), target.endsWith('/') ? join(target, basename(place)) : target, { recursive: true })
    }
    if (name !== 'RUN') continue
    const atMs = performance.now()
    const options = [...['--bind', root, '/'], ...base, ...given({ ...forNpm, ...imageEnv, HOME: '/tmp' }), '--cap-add', 'ALL']
    execFileSync('bwrap', [...options, 'sh', '-c', argument], { stdio: ['ignore', 'ignore', 'inherit'] })
    console.log(`ran     ${Math.round(performance.now() - atMs)} ms: ${argument.slice(0, 100)}`)
  }

  const dataDir = await mkdtemp(join(tmpdir(), 'tts-image-pg-'))
  const postgres = await startEmbeddedPostgres({ dataDir })
  stops.unshift(
    () => postgres.stop(),
    () => rm(dataDir, { recursive: true }),
  )
  const owner = { DATABASE_URL: postgres.url }
  const service = {
    DATABASE_URL: Object.assign(new URL(postgres.url), { username: 'tiktok_oauth_service', password: 'of-the-service' }).href,
    ...{ MIGRATE: 'off', TIKTOK_CLIENT_KEY: 'awimage0001', TIKTOK_CLIENT_SECRET: 'only-for-this-image' },
    ...{ VAULT_KEYS: generateVaultKey(), PUBLIC_URL: 'https://oauth.example.com', PORT: '3777', SHUTDOWN_DELAY_SECONDS: '0' },
  }
  const inside = (env: Record<string, string>) => [
    ...['--ro-bind', root, '/', ...base, '--bind', join(root, 'data'), '/data'],
    ...given({ ...imageEnv, ...env }),
    ...['--cap-add', 'CAP_SETUID', '--cap-add', 'CAP_SETGID', '--unshare-pid', '--as-pid-1', '--die-with-parent'],
  ]
  const asUser = ['setpriv', '--reuid', uid, '--regid', gid, '--clear-groups', '--no-new-privs', '--bounding-set=-all', '--']
  const run = (env: Record<string, string>, command: string[], input = '') =>
    spawnSync('bwrap', [...inside(env), ...asUser, ...command], { input, encoding: 'utf8' })

  check('what is not the volume cannot be written to', run({}, ['touch', `${workdir}/x`, '/tmp/x']).status !== 0)
  check('the volume can', run({}, ['touch', '/data/.tried']).status === 0)
  check('migrate works there', run(owner, ['node', 'src/cli.ts', 'migrate']).status === 0)
  check('roles works there', run(owner, ['node', 'src/cli.ts', 'roles', '--password-stdin'], 'of-the-service\n').status === 0)

  const command = JSON.parse(argumentOf('CMD')) as string[]
  const [, health = '[]'] = /CMD (\[.*\])$/.exec(argumentOf('HEALTHCHECK')) ?? []
  const healthy = () => run({ PORT: service.PORT }, JSON.parse(health)).status === 0
  const start = async () => {
    const startedAtMs = performance.now()
    const child = spawn('bwrap', [...inside(service), '--info-fd', '3', ...asUser, ...command], {
      stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
    })
    let logged = ''
    let info = ''
    child.stdout?.on('data', (data) => {
      logged += data
    })
    child.stdio[3]?.on('data', (data) => {
      info += data
    })
    const exit = once(child, 'exit')
    await eventually('it is ready', () => {
      if (child.exitCode !== null) throw new Error(`it ended: ${logged}`)
      return logged.includes('"msg":"service is ready"')
    })
    const readyMs = Math.round(performance.now() - startedAtMs)
    const pid = Number((JSON.parse(info) as { 'child-pid': number })['child-pid'])
    const end = async () => {
      process.kill(pid, 'SIGTERM')
      return (await exit)[0] as number
    }
    return { pid, readyMs, end }
  }

  check('nobody answers the health check before it runs', !healthy())
  const times: number[] = []
  for (let round = 0; round < 3; round++) {
    const { pid, readyMs, end } = await start()
    times.push(readyMs)
    if (round === 0) {
      const status = await readFile(`/proc/${pid}/status`, 'utf8')
      check(`it is ${uid}:${gid}, without any capability`, /^Uid:\t1000\t/m.test(status) && /^CapEff:\t0+$/m.test(status))
      check('it is healthy', healthy())
      const atMs = performance.now()
      healthy()
      console.log(`        a health check takes ${Math.round(performance.now() - atMs)} ms`)
      check(
        'its journal is in the volume',
        (await readdir(join(root, 'data/journal'))).some((name) => name.startsWith('rep_')),
      )
    }
    check('asked to end, it ends with 0', (await end()) === 0)
  }
  const compiled = join(root, workdir, 'node_modules/.cache/compiled')
  check('what was compiled belongs to root', (await stat(compiled)).uid === 0)
  await rename(compiled, `${compiled}.away`)
  const without = await start()
  await without.end()
  console.log(`        ready after ${times.join(', ')} ms; ${without.readyMs} ms without what was compiled`)
  check('what was compiled when the image was made is used', Math.min(...times) < without.readyMs)

  const bom = JSON.parse(execFileSync('node', [join(repository, 'ops/sbom.ts')], { encoding: 'utf8' })) as {
    components: { 'bom-ref': string }[]
  }
  const installed = new Set<string>()
  for (const path of await readdir(join(root, workdir, 'node_modules'), { recursive: true })) {
    if (!/(^|node_modules\/)(@[^/]+\/)?[^/]+\/package\.json$/.test(path)) continue
    const { name, version } = JSON.parse(await readFile(join(root, workdir, 'node_modules', path), 'utf8')) as {
      name?: string
      version?: string
    }
    if (name && version) installed.add(`${name}@${version}`)
  }
  const listed = bom.components.map((one) => one['bom-ref'])
  check(
    `the SBOM lists what is in it, no more and no less (${listed.length})`,
    listed.toSorted().join() === [...installed].sort().join(),
  )
} finally {
  for (const stop of stops) await stop()
}
process.exitCode = failed === 0 ? 0 : 1
