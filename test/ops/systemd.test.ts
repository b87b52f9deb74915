// The units for systemd: what they name is there, they fit the service's variables, and systemd itself finds nothing to say against them.
import { execFile, execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { families } from '../../src/cli/commands.ts'
import { variables } from '../../src/settings/variables.ts'
import { ownFolder } from '../folder.ts'

const root = join(import.meta.dirname, '../..')
const unit = (name: string) => readFileSync(join(root, 'ops/systemd', name), 'utf8')
const units = {
  'tiktok-oauth@.service': unit('tiktok-oauth@.service'),
  'tiktok-oauth-migrate.service': unit('tiktok-oauth-migrate.service'),
}
const { 'tiktok-oauth@.service': service, 'tiktok-oauth-migrate.service': migration } = units
const settings = (text: string, name: string) =>
  [...text.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(([, value = '']) => value)
const analyze = (args: string[]) => promisify(execFile)('systemd-analyze', ['--no-pager', ...args])
const without = (() => {
  try {
    execFileSync('systemd-analyze', ['--version'])
    return {}
  } catch {
    return { skip: 'systemd-analyze is not installed: apt-get install systemd' }
  }
})()

t.test('every variable is one of the service, and every secret is a credential', async (t) => {
  for (const text of Object.values(units)) {
    const pairs = settings(text, 'Environment').flatMap((line) => line.split(' ').map((pair) => pair.split('=')))
    const credentials = settings(text, 'LoadCredential').map((line) => line.split(':')[0])
    for (const [name = '', value = ''] of pairs) {
      t.ok(name in variables.shape || name === 'NODE_ENV', name)
      if (name.endsWith('_FILE')) t.ok(credentials.includes(value.replace('%d/', '')), `${name} is a credential`)
    }
  }
  t.match(service, /MIGRATE=off/)
})

t.test('there is time to end, and what is run is there', async (t) => {
  const [, graceMs = ''] = /const graceMs = (\d+_\d+)/.exec(readFileSync(join(root, 'src/main.ts'), 'utf8')) ?? []
  const delaySeconds = Number(/SHUTDOWN_DELAY_SECONDS=(\d+)/.exec(service)?.[1])
  t.ok(Number(settings(service, 'TimeoutStopSec')[0]) > delaySeconds + Number(graceMs.replace('_', '')) / 1000)
  t.strictSame(settings(service, 'ExecStart'), ['/usr/bin/node src/main.ts'])
  const commands = settings(migration, 'ExecStart').map((line) => /src\/cli\.ts (\w+)/.exec(line)?.[1] ?? '')
  t.strictSame(commands, ['migrate', 'roles'])
  for (const name of commands) t.ok(Object.hasOwn(families, name))
})

t.test('systemd finds no mistake in them, and little that they could do harm with', without, async (t) => {
  const folder = await ownFolder(t, 'units')
  for (const [name, text] of Object.entries(units)) {
    const path = join(folder, name.replace('@', '@3001'))
    writeFileSync(path, text.replaceAll('/usr/bin/node', process.execPath)) // verify looks for the program
    t.strictSame(await analyze(['verify', path]), { stdout: '', stderr: '' }, name)
    const { stdout } = await analyze(['security', '--offline=true', path])
    t.ok(Number(/Overall exposure level for \S+: ([\d.]+)/.exec(stdout)?.[1] ?? 10) < 1.5, name)
  }
})
