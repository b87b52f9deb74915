// `npm run --silent sbom > sbom.json`: what the image installs, in CycloneDX. npm's own `--omit dev` forgets packages that development needs too, so
// npm is asked for everything, and the lock file says which of that the image takes.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

interface Bom {
  metadata: { component: { 'bom-ref': string } }
  components: { 'bom-ref': string; properties?: { name: string; value: string }[] }[]
  dependencies: { ref: string; dependsOn: string[] }[]
}
interface Locked {
  version: string
  dev?: boolean
  optional?: boolean
  devOptional?: boolean
  link?: boolean
}

const root = join(import.meta.dirname, '..')
const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as { packages: Record<string, Locked> }
const taken = new Set(
  Object.entries(packages)
    .filter(
      ([path, { dev, optional, devOptional, link }]) => /^node_modules\//.test(path) && !(dev || optional || devOptional || link),
    )
    .map(([path, { version }]) => `${path.replace(/^.*node_modules\//, '')}@${version}`),
)

const options = ['--package-lock-only', '--sbom-format', 'cyclonedx', '--sbom-type', 'application']
const bom = JSON.parse(execFileSync('npm', ['sbom', ...options], { cwd: root, encoding: 'utf8', maxBuffer: 64 << 20 })) as Bom
const kept = new Set([...taken, bom.metadata.component['bom-ref']])
bom.components = bom.components.filter((one) => kept.has(one['bom-ref']))
bom.dependencies = bom.dependencies
  .filter(({ ref }) => kept.has(ref))
  .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((other) => kept.has(other)) }))

const missing = [...taken].filter((name) => !bom.components.some((one) => one['bom-ref'] === name))
if (missing.length > 0) throw new Error(`npm did not list ${missing.join(', ')}`)
console.log(JSON.stringify(bom, null, 2))
