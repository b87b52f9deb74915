// The example that needs nothing more than Node. `npm run packed` runs all of them, out of the package and with their own runners.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'

t.test('the example for node --test passes', async (t) => {
  const { NODE_OPTIONS: _, NODE_TEST_CONTEXT: __, ...env } = process.env // tap's loaders are for what it starts itself
  const cwd = join(import.meta.dirname, '../examples/node-test')
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--test', '--test-reporter=tap'], {
    cwd,
    env,
    encoding: 'utf8',
  })
  t.equal(status, 0, stderr)
  t.match(stdout, /^# pass 4\n# fail 0$/m)
})
