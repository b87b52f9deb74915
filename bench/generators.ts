// `npm run generators`: generators of clients, pinned in bench/generators/, make one each from the description. It has to compile under strict
// and to reserve an upload against a running service and the simulator. Prints the table of docs/integrating.md; not part of `npm test`, because
// it installs 270 packages into a temporary folder.
import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startTesting } from 'oauth-accounts-for-tiktok/testing'
import { type Generator, generators } from './generators/programs.ts'

const repository = join(import.meta.dirname, '..')
const folder = await mkdtemp(join(tmpdir(), 'generators-'))
const run = promisify(execFile)
const bin = (program: string) => join(folder, 'node_modules', '.bin', program)
const quietly = { env: { ...process.env, CI: 'true', NO_COLOR: '1', SCARF_ANALYTICS: 'false', DO_NOT_TRACK: '1' } }

interface Row {
  name: string
  version: string
  /** '' is yes; otherwise the compiler's first words */
  strict: string
  exact: string
  /** where the service found the key */
  key: string
  /** '' when the program did all it should */
  trouble: string
}

async function install(): Promise<void> {
  for (const file of ['package.json', 'package-lock.json'])
    await cp(join(repository, 'bench', 'generators', file), join(folder, file))
  await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: folder, ...quietly })
}

const ofThisHop = ['host', 'connection', 'content-length', 'transfer-encoding']

/** A door before the service that tells where each reservation's key was. */
async function openDoor(service: string, seen: string[]) {
  const door = createServer(async (request, response) => {
    const chunks: Uint8Array[] = []
    for await (const chunk of request) chunks.push(chunk)
    const body = Buffer.concat(chunks)
    if (request.method === 'POST') {
      const inBody = /"idempotency_key"/.test(body.toString())
      seen.push(request.headers['idempotency-key'] !== undefined ? 'header' : inBody ? 'body' : 'nowhere')
    }
    const headers = Object.entries(request.headers).filter(([name]) => !ofThisHop.includes(name))
    const answer = await fetch(service + request.url, {
      method: request.method ?? 'GET',
      headers: Object.fromEntries(headers) as Record<string, string>,
      ...(body.length > 0 ? { body } : {}),
    })
    response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' }).end(await answer.text())
  })
  await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(door.address() as AddressInfo).port}`, close: () => door.close() }
}

async function compile(place: string, exactOptionalPropertyTypes: boolean): Promise<string> {
  const compilerOptions = {
    ...{ target: 'es2023', module: 'preserve', lib: ['es2023', 'dom', 'dom.iterable'], types: [] },
    ...{ strict: true, exactOptionalPropertyTypes, skipLibCheck: true, noEmit: true, allowImportingTsExtensions: true },
  }
  await writeFile(join(place, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['use.ts'] }))
  return run(bin('tsc'), ['-p', place]).then(
    () => '',
    ({ stdout }) => String(stdout).split('\n')[0]?.slice(0, 160) ?? 'it does not compile',
  )
}

async function attempt(generator: Generator, service: { url: string; key: string; account: string }): Promise<Row> {
  const { name, command, files = {}, program } = generator
  const manifest = join(folder, 'node_modules', name === 'kubb' ? '@kubb/core' : name, 'package.json')
  const { version } = JSON.parse(await readFile(manifest, 'utf8')) as { version: string }
  const row: Row = { name, version, strict: 'not tried', exact: 'not tried', key: 'nowhere', trouble: '' }
  const place = join(folder, name.replaceAll(/\W+/g, '-'))
  const seen: string[] = []
  const door = await openDoor(service.url, seen)
  try {
    await mkdir(join(place, 'api'), { recursive: true })
    await symlink(join(folder, 'node_modules'), join(place, 'node_modules'))
    await cp(join(repository, 'openapi', 'openapi.json'), join(place, 'openapi.json'))
    for (const [file, text] of Object.entries({ ...files, 'use.ts': program })) await writeFile(join(place, file), text)
    const [tool, ...args] = command
    await run(bin(tool), args, { cwd: place, ...quietly })
    row.strict = await compile(place, false)
    row.exact = await compile(place, true)
    const bundle = ['use.ts', '--bundle', '--platform=node', '--format=esm', '--outfile=use.mjs', '--log-level=error']
    const banner = "--banner:js=import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);"
    await run(bin('esbuild'), [...bundle, banner], { cwd: place })
    const env = {
      PATH: process.env.PATH,
      URL: door.url,
      KEY: service.key,
      ACCOUNT: service.account,
      JOB: `job of ${name}`.replaceAll(/\W+/g, '-'),
    }
    const { stdout } = await run(process.execPath, ['use.mjs'], { cwd: place, env })
    const [first, again, reasons] = JSON.parse(stdout) as [string, string, unknown[]]
    row.key = [...new Set(seen)].join(' and ')
    if (!/^upl_/.test(first) || first !== again) row.trouble = 'a repeat was not the same reservation'
    else if (!Array.isArray(reasons) || !/^cs_/.test(String(reasons[0]))) row.trouble = 'the event was not told apart'
  } catch (error) {
    const { stderr = '', stdout = '', message } = error as { stderr?: string; stdout?: string; message: string }
    row.trouble = (stderr || stdout || message).trim().slice(0, 600)
  } finally {
    door.close()
  }
  return row
}

try {
  await install().catch((error: { stderr?: string }) => {
    throw new Error(`The generators were not installed, so nothing was tried. npm says: ${String(error.stderr).slice(0, 500)}`)
  })
  const service = await startTesting({ service: repository })
  const rows: Row[] = []
  try {
    const { id: account } = await service.connect()
    for (const generator of generators) rows.push(await attempt(generator, { url: service.url, key: service.key, account }))
  } finally {
    await service.close()
  }
  console.log(
    '| generator | compiles under `strict` | with `exactOptionalPropertyTypes` | the key of a reservation travels in | events narrow |',
  )
  console.log('|---|---|---|---|---|')
  for (const { name, version, strict, exact, key, trouble } of rows) {
    const compiles = (said: string) => (said === '' ? 'yes' : 'no')
    const works = trouble === '' && strict === ''
    console.log(`| ${name} ${version} | ${compiles(strict)} | ${compiles(exact)} | ${key} | ${works ? 'yes' : 'no'} |`)
  }
  const failed = rows.filter(({ strict, key, trouble }) => strict !== '' || trouble !== '' || !/^(header|body)$/.test(key))
  for (const { name, strict, exact, trouble } of rows)
    for (const said of new Set([strict, exact, trouble])) if (said !== '') console.error(`${name}: ${said}`)
  process.exitCode = failed.length === 0 ? 0 : 1
} finally {
  await rm(folder, { recursive: true, force: true })
}
