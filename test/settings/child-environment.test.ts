// What processes that we start can read of our environment, as they themselves see it.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { runAs } from '../../tools/embedded-postgres/home.ts'

t.test("S79: the embedded PostgreSQL's programs see nothing of ours", { skip: process.platform === 'win32' }, async (t) => {
  const before = { ...process.env }
  t.teardown(() => {
    process.env = before
  })
  const secrets = {
    VAULT_KEYS: 'k1:secret',
    DATABASE_URL: 'postgres://u:p@h/d',
    TIKTOK_CLIENT_SECRET: 'hidden',
    PGPASSWORD: 'hidden',
    AWS_SECRET_ACCESS_KEY: 'hidden',
  }
  Object.assign(process.env, secrets)
  const seen = (await runAs(undefined, 'env', [])).split('\n').map((line) => line.split('=', 1)[0] ?? '')
  t.ok(seen.includes('PATH'))
  t.same(
    Object.keys(secrets).filter((name) => seen.includes(name)),
    [],
  )
})

t.test('SIGUSR1 opens no debugger', { skip: process.platform === 'win32' }, async (t) => {
  const env = {
    PATH: process.env.PATH ?? '',
    DATABASE_URL: 'postgres://nobody:nothing@127.0.0.1:9/none',
    VAULT_KEYS: 'k1:bm90IHRoZXJlIHlldCwgYnV0IDMyIGJ5dGVzIGxvbmc=',
    TIKTOK_CLIENT_KEY: 'awsimulator00001',
    TIKTOK_CLIENT_SECRET: 'SimulatorSecret1',
    JOURNAL_DIR: t.testdir(),
  }
  const child = spawn(process.execPath, ['src/main.ts'], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  t.teardown(() => child.kill('SIGKILL'))
  let said = ''
  child.stderr.on('data', (chunk) => {
    said += chunk
  })
  await once(child.stdout, 'data') // it waits for its database
  child.kill('SIGUSR1')
  child.kill('SIGTERM')
  await once(child, 'close')
  t.notMatch(said, /Debugger listening/)
})
