// What the service brings along: pinned, licensed, and nothing of it runs at installation where it serves.
import { readFileSync } from 'node:fs'
import t from 'tap'

interface Package {
  version?: string
  integrity?: string
  license?: string
  dev?: boolean
  optional?: boolean
  hasInstallScript?: boolean
}
const lock = JSON.parse(readFileSync(new URL('../package-lock.json', import.meta.url), 'utf8')) as {
  lockfileVersion: number
  packages: Record<string, Package>
}
const all = Object.entries(lock.packages).filter(([path]) => path !== '')
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
