// `npm run check`: what a reviewer should not have to look for. A line per check, and what to run when one fails.
import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { generated, repository } from '../docs/generate.ts'
import { lintDescription } from '../openapi/lint.ts'
import { audit } from './audit.ts'

/** @returns what is wrong, '' when nothing is */
type Check = () => Promise<string>

/** A check that could not be made here, and why: it has neither passed nor failed. */
class NotMade extends Error {}

const checks: { name: string; remedy: string; check: Check }[] = [
  { name: 'types', remedy: 'mend the types', check: () => program('typescript', 'tsc', ['--noEmit', '--pretty', 'false']) },
  {
    name: 'lint and format',
    remedy: 'npm run format, and mend what it cannot',
    check: () => program('@biomejs/biome', 'biome', ['ci', '--colors=off', '.']),
  },
  {
    name: 'the API descriptions by the rules of Redocly, Spectral and IBM',
    remedy: 'mend the route, or give the reason in openapi/lint.ts',
    check: lintDescription,
  },
  ...Object.entries(generated).map(([path, text]) => ({
    name: `${path} is up to date`,
    remedy: 'npm run docs',
    check: async () => {
      const written = await readFile(join(repository, path), 'utf8').catch(() => '')
      return written === (await text()) ? '' : `${path} is not what the source says.`
    },
  })),
  {
    name: 'npm audit is clean at high',
    remedy: 'npm audit, then npm update of what it names',
    check: async () => {
      const heard = await audit({ cwd: repository })
      if (heard.kind === 'unanswered') throw new NotMade(`${heard.reason}; run it again where the registry answers`)
      return heard.kind === 'clean' ? '' : heard.packages.join('\n')
    },
  },
]

let passed = 0
let failed = 0
let notMade = 0
for (const { name, remedy, check } of checks) {
  const trouble = await check().catch((error: unknown) => (error instanceof NotMade ? error : String(error)))
  if (trouble === '') {
    passed += 1
    console.log(`ok      ${name}`)
  } else if (trouble instanceof NotMade) {
    notMade += 1
    console.log(`NOT MADE  ${name}: ${trouble.message}`)
  } else {
    failed += 1
    console.log(`FAILED  ${name}\n\n${trouble.trim()}\n\n        what to do: ${remedy}\n`)
  }
}
console.log(`checks: ${passed} passed, ${failed} failed${notMade > 0 ? `, ${notMade} not made` : ''}`)
process.exitCode = failed === 0 ? 0 : 1

/** Runs a package's program with this Node, whatever the machine's own is. */
async function program(packageName: string, name: string, args: string[]): Promise<string> {
  const manifest = createRequire(import.meta.url).resolve(`${packageName}/package.json`)
  const { bin } = JSON.parse(await readFile(manifest, 'utf8')) as { bin: Record<string, string> }
  const child = spawn(process.execPath, [join(manifest, '..', bin[name] ?? ''), ...args], { cwd: repository })
  let said = ''
  child.stdout.on('data', (data) => {
    said += data
  })
  child.stderr.on('data', (data) => {
    said += data
  })
  const code = await new Promise((resolve) => child.once('close', resolve))
  return code === 0 ? '' : said || `${name} ended with ${code}`
}
