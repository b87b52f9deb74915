// `npm run others -- --check` as a build server meets it: the clients are not to be had, or are others than the table says.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'

const source = join(import.meta.dirname, '..')
const page = readFileSync(join(source, '../../docs/simulator.md'), 'utf8')

/** The script where nothing is installed, with clients that say nothing when asked. */
function layout(t: Test, { installed, text = page }: { installed: boolean; text?: string }): string {
  const home = t.testdir({ docs: { 'simulator.md': text }, packages: { 'tiktok-simulator': {} } })
  const room = join(home, 'packages/tiktok-simulator')
  symlinkSync(join(source, 'src'), join(room, 'src'), 'junction')
  for (const file of ['run.ts', 'registry.ts', 'package.json', 'package-lock.json'])
    cpSync(join(source, 'others', file), join(room, 'others', file))
  if (installed) mkdirSync(join(room, 'others/node_modules'))
  mkdirSync(join(room, 'others/clients'))
  for (const name of [
    'arctic',
    'better-auth',
    'auth-core',
    'passport-tiktok-auth',
    'nuxt-auth-utils',
    'simple-oauth2',
    'oauth4webapi',
  ])
    writeFileSync(join(room, `others/clients/${name}.mjs`), '')
  return join(room, 'others/run.ts')
}

async function check(script: string) {
  const { NODE_OPTIONS: _, ...env } = process.env // tap's loaders are for what it starts itself
  const child = spawn(process.execPath, [script, '--check'], { env: { ...env, npm_config_registry: 'http://127.0.0.1:9' } })
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  const [code] = await once(child, 'close')
  return { code, said }
}

t.test('without a registry it is not made, and fails nothing', async (t) => {
  const { code, said } = await check(layout(t, { installed: false }))
  t.match(said, /NOT MADE: the registry does not have it, or does not answer \(ECONNREFUSED\)/)
  t.match(said, /others: 0 passed, 0 failed, \d+ not made\n$/)
  t.equal(code, 0)
})

t.test('a table that says something else fails', async (t) => {
  const script = layout(t, { installed: true })
  const { code, said } = await check(script)
  t.match(said, /others: 0 passed, 9 failed\n$/)
  t.equal(code, 1)
  t.equal(readFileSync(join(script, '../../../../docs/simulator.md'), 'utf8'), page, 'and is left as it is')
})
