// The package as others get it: made by `npm pack`, installed where nothing else is, compiled by the strictest callers, and run.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { promisify } from 'node:util'
import t from 'tap'

const source = join(import.meta.dirname, '..')
const resolved = createRequire(import.meta.url).resolve
const folderOf = (name: string) => join(resolved(`${name}/package.json`), '..')

/** Without the loaders that tap gives to every process a test starts. */
function bare(program: string, args: string[]): [string, string[]] {
  return process.platform === 'win32' ? [program, args] : ['/usr/bin/env', ['-u', 'NODE_OPTIONS', program, ...args]]
}
function run(program: string, args: string[], cwd: string, env = process.env) {
  return promisify(execFile)(...bare(program, args), { cwd, env, shell: process.platform === 'win32' })
}
const npm = (args: string[], cwd: string) => run('npm', [...args, '--no-audit', '--no-fund', '--offline'], cwd)

const program = `import { startSimulator } from 'tiktok-simulator'
import type { Simulator } from 'tiktok-simulator'
import type { FaultScript } from 'tiktok-simulator/faults'

const late: FaultScript = { route: 'refresh', after_ms: 60_000 }
const simulator: Simulator = await startSimulator({ clientKey: 'awmine', lifetimes: '90s/1h' })
simulator.faults.add(late)
const query = new URLSearchParams({
  client_key: simulator.clientKey,
  response_type: 'code',
  scope: 'user.info.basic',
  redirect_uri: 'https://app.example.com/callback',
  state: 's',
})
const decided = simulator.authorize({ authorize_url: \`\${simulator.url}/v2/auth/authorize/?\${query}\`, person: 'mara' })
if (!('redirect_to' in decided)) throw new Error(decided.errorType)
console.log(decided.redirect_to)
await simulator.close()
`

const misuse = `import { startSimulator } from 'tiktok-simulator'
// @ts-expect-error: no such mode
export const start = () => startSimulator({ pkce: 'plain' })
`

t.test('packed, installed in an empty folder, compiled under strict, imported and run', async (t) => {
  const home = t.testdir()
  const work = join(home, 'packages/tiktok-simulator')
  const tool = 'tools/build-package.ts'
  cpSync(join(source, '../..', tool), join(home, tool))
  for (const path of ['src', 'package.json', 'tsconfig.json', 'README.md'])
    cpSync(join(source, path), join(work, path), { recursive: true })
  const empty = await mkdtemp(join(tmpdir(), 'simulator-package-'))
  t.teardown(() => rm(empty, { recursive: true }))
  await npm(['pack', '--pack-destination', empty], work)
  t.equal(
    readFileSync(join(work, 'package.json'), 'utf8'),
    readFileSync(join(source, 'package.json'), 'utf8'),
    'packing leaves nothing changed',
  )

  const { version, dependencies } = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8'))
  await writeFile(join(empty, 'package.json'), '{"type": "module"}')
  // The copies that are here already stand in for the registry.
  const here = [...Object.keys(dependencies), '@types/node', 'undici-types'].map(folderOf)
  await npm(['install', `./tiktok-simulator-${version}.tgz`, ...here], empty)
  const { packages } = JSON.parse(readFileSync(join(empty, 'package-lock.json'), 'utf8'))
  t.strictSame(
    packages['node_modules/tiktok-simulator'].dependencies,
    dependencies,
    'it brings along what its manifest says, and no build tool',
  )

  const compilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    module: 'nodenext',
    target: 'es2022',
    skipLibCheck: false,
    types: ['node'],
  }
  await writeFile(join(empty, 'tsconfig.json'), JSON.stringify({ compilerOptions }))
  await writeFile(join(empty, 'program.ts'), program)
  await writeFile(join(empty, 'misuse.ts'), misuse)
  const compiler = folderOf('typescript')
  const tsc = join(compiler, JSON.parse(readFileSync(join(compiler, 'package.json'), 'utf8')).bin.tsc)
  t.strictSame(await run(process.execPath, [tsc, '--project', empty], empty).catch((error: unknown) => error), {
    stdout: '',
    stderr: '',
  })
  t.match((await run(process.execPath, ['program.js'], empty)).stdout, /^https:\/\/app\.example\.com\/callback\?code=/)

  for (const node of await nodesHere()) {
    const child = spawn(...bare(node, [join(empty, 'node_modules', 'tiktok-simulator', 'dist', 'bin.js'), '--port', '0']))
    const startedAt = performance.now()
    const [said] = await once(child.stdout, 'data')
    t.comment(`${node}: up in ${Math.round(performance.now() - startedAt)} ms`)
    const [, url] = /TikTok simulator at (\S+)/.exec(String(said)) ?? []
    t.strictSame(await (await fetch(`${url}/_sim/health`)).json(), { status: 'ok' })
    child.kill('SIGTERM')
    t.strictSame(await once(child, 'exit'), [0, null])
  }
  const npx = await run('npx', ['--offline', 'tiktok-simulator', '--help'], empty)
  t.match(npx.stdout, /^tiktok-simulator: TikTok/)
})

/** The one that runs this, and the machine's own where that is another: often an older one, which the package promises to run on. */
async function nodesHere(): Promise<string[]> {
  const paths = (process.env.PATH ?? '').split(delimiter).filter((path) => !path.includes('node_modules'))
  const print = ['-p', 'process.execPath']
  const others = await run('node', print, tmpdir(), { ...process.env, PATH: paths.join(delimiter) }).catch(() => undefined)
  return [...new Set([process.execPath, others?.stdout.trim() || process.execPath])]
}
