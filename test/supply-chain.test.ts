// What the service brings along: pinned, licensed, and nothing of it runs at installation where it serves.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { audit } from './audit.ts'

interface Package {
  version?: string
  integrity?: string
  license?: string
  dev?: boolean
  optional?: boolean
  hasInstallScript?: boolean
  link?: boolean
}
const lock = JSON.parse(readFileSync(new URL('../package-lock.json', import.meta.url), 'utf8')) as {
  lockfileVersion: number
  packages: Record<string, Package>
}
/** What comes from elsewhere: our own workspaces stand in the lockfile too. */
const all = Object.entries(lock.packages).filter(([path, { link }]) => path.includes('node_modules/') && !link)
const production = all.filter(([, { dev, optional }]) => !dev && !optional)

t.test('S70: every package is pinned to a version and to its bytes', async (t) => {
  t.ok(all.length > 100)
  t.same(
    all
      .filter(([, { version, integrity }]) => !/^\d+\.\d+\.\d+/.test(version ?? '') || !/^sha512-/.test(integrity ?? ''))
      .map(([path]) => path),
    [],
  )
})

t.test('S70: no production dependency runs a script when it is installed', async (t) => {
  t.ok(production.length > 30)
  t.same(
    production.filter(([, { hasInstallScript }]) => hasInstallScript).map(([path]) => path),
    [],
  )
})

t.test('S70: production dependencies are under licences that let a service use them', async (t) => {
  const fine = [
    'MIT',
    'ISC',
    'Apache-2.0',
    'BSD-2-Clause',
    'BSD-3-Clause',
    'BlueOak-1.0.0',
    'Unlicense',
    '0BSD',
    'CC0-1.0',
    'Python-2.0',
  ]
  t.same(
    production.filter(([, { license }]) => !fine.includes(license ?? '')).map(([path, { license }]) => `${path}: ${license}`),
    [],
  )
})

t.test('S70: what the registry knows against a package fails the check, and silence is not a pass', async (t) => {
  process.env.npm_config_cache = t.testdir() // npm remembers faults by their number
  const answer = (severity: string, id: number) => {
    const fault = { id, url: `https://registry.test/${id}`, title: 'a fault', vulnerable_versions: '*', severity }
    return { undici: [{ ...fault, cwe: [], cvss: { score: 0, vectorString: null } }] }
  }
  t.same(await audit({ cwd, registry: await registry(t, 200, {}) }), { kind: 'clean' })
  t.same(await audit({ cwd, registry: await registry(t, 200, answer('moderate', 1)) }), { kind: 'clean' })
  const found = await audit({ cwd, registry: await registry(t, 200, answer('high', 2)) })
  t.ok(found.kind === 'found' && found.packages.includes('undici: high'), JSON.stringify(found))
  t.match(await audit({ cwd, registry: await registry(t, 405, {}) }), { kind: 'unanswered', reason: /405/ })
  t.match(await audit({ cwd, registry: 'http://127.0.0.1:9' }), { kind: 'unanswered' })
})

const cwd = fileURLToPath(new URL('..', import.meta.url))

/** A registry that gives every question about faults the same answer. */
async function registry(t: Test, status: number, answer: unknown): Promise<string> {
  const server = createServer((request, response) => {
    request.resume()
    response
      .writeHead(request.method === 'POST' ? status : 404, { 'content-type': 'application/json' })
      .end(JSON.stringify(answer))
  })
  t.teardown(() => server.close())
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
