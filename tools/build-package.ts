// `npm pack` of a workspace runs this in its folder: JavaScript and types in dist/, and a package.json that points there while the package is made. In the repository
// everybody imports the sources, which Node runs as they are. With `--undo` the sources are what it points to again.
import { execFileSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const folder = process.cwd()
const manifestFile = join(folder, 'package.json')
const undo = process.argv.includes('--undo')

rmSync(join(folder, 'dist'), { recursive: true, force: true })
if (!undo) {
  const compiler = createRequire(import.meta.url).resolve('typescript/package.json')
  const { bin } = JSON.parse(readFileSync(compiler, 'utf8')) as { bin: { tsc: string } }
  execFileSync(process.execPath, [join(compiler, '..', bin.tsc), '--project', folder], { stdio: 'inherit' })
}

type Target = string | { types: string; default: string }
interface Manifest {
  bin?: Record<string, string>
  exports: Record<string, Target>
}
const nameIn = (target: Target) => /\/([\w-]+)\.(ts|js)$/.exec(typeof target === 'string' ? target : target.default)?.[1] ?? ''
const manifest = JSON.parse(readFileSync(manifestFile, 'utf8')) as Manifest
const { bin = {} } = manifest
for (const [command, target] of Object.entries(bin))
  bin[command] = undo ? `./src/${nameIn(target)}.ts` : `./dist/${nameIn(target)}.js`
for (const [door, target] of Object.entries(manifest.exports)) {
  const name = nameIn(target)
  manifest.exports[door] = undo ? `./src/${name}.ts` : { types: `./dist/${name}.d.ts`, default: `./dist/${name}.js` }
}
writeFileSync(manifestFile, `${JSON.stringify(manifest, null, 2)}\n`)
