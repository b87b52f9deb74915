// `npm pack` runs this: JavaScript and types in dist/, and a package.json that points there while the package is made. In the repository
// everybody imports the sources, which Node runs as they are. With `--undo` the sources are what it points to again.
import { execFileSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const folder = import.meta.dirname
const manifestFile = join(folder, 'package.json')
const undo = process.argv.includes('--undo')

rmSync(join(folder, 'dist'), { recursive: true, force: true })
if (!undo) {
  const compiler = createRequire(import.meta.url).resolve('typescript/package.json')
  const { bin } = JSON.parse(readFileSync(compiler, 'utf8')) as { bin: { tsc: string } }
  execFileSync(process.execPath, [join(compiler, '..', bin.tsc), '--project', folder], { stdio: 'inherit' })
}

interface Manifest {
  exports: Record<string, string | { types: string; default: string }>
}
const manifest = JSON.parse(readFileSync(manifestFile, 'utf8')) as Manifest
const names = Object.entries(manifest.exports).map(([door, target]) => {
  const [, name = ''] = /\/([\w-]+)\.(ts|js)$/.exec(typeof target === 'string' ? target : target.default) ?? []
  return [door, undo ? `./src/${name}.ts` : { types: `./dist/${name}.d.ts`, default: `./dist/${name}.js` }] as const
})
writeFileSync(manifestFile, `${JSON.stringify({ ...manifest, exports: Object.fromEntries(names) }, null, 2)}\n`)
