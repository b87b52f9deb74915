// `npm run packed`: the simulator as others get it, packed and installed in an empty folder. How large it is, how soon it is up, what it takes;
// and its examples, each with its own runner. What is not on this machine, or not to be had, is not made.
import { execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { promisify, stripVTControlCharacters } from 'node:util'
import { install } from '../others/registry.ts'

const source = join(import.meta.dirname, '..')
const { name, version } = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8'))
const { devDependencies } = JSON.parse(readFileSync(join(import.meta.dirname, 'vitest/package.json'), 'utf8'))
const folder = await mkdtemp(join(tmpdir(), 'packed-simulator-'))

const runners: { example: string; command: string[] }[] = [
  { example: 'node-test', command: [process.execPath, '--test'] },
  { example: 'vitest', command: [join(folder, 'node_modules/.bin/vitest'), 'run'] },
  { example: 'pytest', command: ['python3', '-B', '-m', 'pytest', '-q', '-p', 'no:cacheprovider'] },
  { example: 'phpunit', command: ['phpunit', '--do-not-cache-result', '.'] },
]

try {
  await pack()
  const notThere = await installAll()
  if (notThere === undefined) {
    await measure()
    runExamples()
  } else console.log(`NOT MADE: ${notThere}\npacked: 0 passed, 0 failed, ${runners.length} not made`)
} finally {
  await rm(folder, { recursive: true })
}

async function pack(): Promise<void> {
  await promisify(execFile)('npm', ['pack', '--pack-destination', folder, '--loglevel=error'], { cwd: source })
}

/** @returns why not, where the registry does not answer */
async function installAll(): Promise<string | undefined> {
  writeFileSync(join(folder, 'package.json'), '{"private": true, "type": "module"}')
  const tarball = `${name}-${version}.tgz`
  const without = await install(folder, 'install', `./${tarball}`)
  if (without !== undefined) return without
  console.log(`tarball ${kilobytes(statSync(join(folder, tarball)).size)} kB, installed ${installed()}`)
  return install(folder, 'install', `vitest@${devDependencies.vitest}`)
}

function installed(): string {
  const [own, zod] = [name, 'zod'].map((one) => {
    const place = join(folder, 'node_modules', one)
    const files = readdirSync(place, { recursive: true, encoding: 'utf8' }).map((file) => statSync(join(place, file)))
    return kilobytes(files.reduce((bytes, file) => bytes + (file.isFile() ? file.size : 0), 0))
  })
  return `${own} kB, and zod with ${zod} kB`
}

/** Of five, the one in the middle. */
async function measure(): Promise<void> {
  const times: number[] = []
  let resident = 'an unknown size'
  for (let count = 0; count < 5; count += 1) {
    const startedAt = performance.now()
    const child = spawn(process.execPath, [join(folder, `node_modules/${name}/dist/bin.js`), '--port', '0'])
    const [said] = await once(child.stdout, 'data')
    const [, url] = /TikTok simulator at (\S+)/.exec(String(said)) ?? []
    await (await fetch(`${url}/_sim/health`)).text()
    times.push(performance.now() - startedAt)
    const status = `/proc/${child.pid}/status`
    if (existsSync(status)) resident = `${Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(status, 'utf8'))?.[1]) / 1024)} MB`
    child.kill('SIGTERM')
    await once(child, 'exit')
  }
  const [, , middle = 0] = times.toSorted((one, other) => one - other)
  console.log(`up and answering in ${Math.round(middle)} ms, with ${resident} resident (Node ${process.versions.node})`)
}

function runExamples(): void {
  let passed = 0
  let failed = 0
  let notMade = 0
  for (const { example, command } of runners) {
    cpSync(join(import.meta.dirname, example), join(folder, example), { recursive: true })
    const [program = '', ...args] = command
    const env = {
      ...process.env,
      TIKTOK_SIMULATOR_COMMAND: `${process.execPath} ${join(folder, `node_modules/${name}/dist/bin.js`)}`,
    }
    const { status, error, stdout, stderr } = spawnSync(program, args, { cwd: join(folder, example), env, encoding: 'utf8' })
    const absent = error !== undefined || /No module named pytest/.test(stderr)
    const [, tests] = /(?:^\S* pass |Tests +|^OK \(|^(?=\d+ passed))(\d+)/m.exec(stripVTControlCharacters(stdout)) ?? []
    // A runner that finds no test may be content with that.
    const fine = status === 0 && Number(tests) > 0
    if (absent) notMade += 1
    else if (fine) passed += 1
    else failed += 1
    const outcome = absent ? 'NOT MADE' : fine ? 'ok      ' : 'FAILED  '
    console.log(`${outcome} ${example}${absent ? '' : fine ? `: ${tests} tests` : `\n${stdout}${stderr}`}`)
  }
  console.log(`packed: ${passed} passed, ${failed} failed${notMade > 0 ? `, ${notMade} not made` : ''}`)
  process.exitCode = failed > 0 ? 1 : 0
}

function kilobytes(bytes: number): number {
  return Math.round(bytes / 1000)
}
