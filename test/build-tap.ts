// Run by `npm ci` (prepare) and before `npm test`. Tap comes built with its own TypeScript plugin, which does not know TypeScript 7;
// it is built without it (.taprc) once per install, as a first run would build it too late for itself.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const fromHere = createRequire(import.meta.url)
const isThere = (name: string, from: NodeJS.Require) => {
  try {
    return from.resolve(name)
  } catch {
    return undefined // an install without development packages has no tap to build
  }
}

const tap = isThere('tap/package.json', fromHere)
const built = tap && isThere('@tapjs/test/built', createRequire(tap))
if (tap && built && readFileSync(built, 'utf8').includes('@tapjs/typescript')) {
  const { bin } = JSON.parse(readFileSync(tap, 'utf8')) as { bin: Record<string, string> }
  const { status } = spawnSync(process.execPath, [join(tap, '..', bin.tap ?? ''), 'build'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  process.exitCode = status ?? 1
}
