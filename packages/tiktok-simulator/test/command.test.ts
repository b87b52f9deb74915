// The simulator as a program: what it says and how it ends.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { runSimulator } from '../src/command.ts'

const room = fileURLToPath(new URL('../src/command.ts', import.meta.url))

function start(...argv: string[]): ChildProcess {
  const script = `import { runSimulator } from ${JSON.stringify(room)}; await runSimulator(${JSON.stringify(argv)})`
  return spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: ['ignore', 'pipe', 'pipe'] })
}

async function textOf(child: ChildProcess, until: RegExp): Promise<string> {
  let text = ''
  for await (const chunk of child.stdout ?? []) {
    text += chunk
    if (until.test(text)) break
  }
  return text
}

t.test('the command says where it is and what to try, and ends on SIGTERM', async (t) => {
  const child = start('--port', '0', '--lifetimes', '24h/365d', '--client-key', 'awmine', '--app', '{"client_key":"sbmine"}')
  const text = await textOf(child, /curl .*\n/)
  t.match(text, /TIKTOK_API_BASE_URL=http:\/\/127\.0\.0\.1:\d+/)
  t.match(text, 'TIKTOK_CLIENT_KEY=awmine')
  t.match(text, /key sbmine, secret \w+\n/)

  const [, url, body] = /curl -s (\S+) -H 'content-type: application\/json' -d '(.*)'/.exec(text) ?? []
  const tried = await (
    await fetch(url ?? '', { method: 'POST', headers: { 'content-type': 'application/json' }, body: body ?? '' })
  ).json()
  t.match(tried, { redirect_to: /^http:\/\/127\.0\.0\.1:3000\/callback\?code=/ })

  child.kill('SIGTERM')
  t.strictSame(await once(child, 'exit'), [0, null])
})

t.test('the command explains itself, and refuses what it does not know', async (t) => {
  t.match(await textOf(start('--help'), /--help/), /--webhook-url URL/)
  await t.rejects(runSimulator(['--prot', '1']), { code: 'ERR_PARSE_ARGS_UNKNOWN_OPTION' })
  await t.rejects(runSimulator(['--lifetimes', 'long']), /must look like 2h/)
  await t.rejects(runSimulator(['--pkce', 'plain']), /s256-hex/)
  await t.rejects(runSimulator(['--latency-ms', 'slow']), /latency_ms/)
  await t.rejects(runSimulator(['--app', '{"pkse":1}']), /--app does not fit: .*"pkse"/)
  await t.rejects(runSimulator(['--settings', '{']), /--settings does not fit: it is not JSON/)
  await t.rejects(runSimulator(['--settings', '{"pkse":1}']), /--settings does not fit: .*"pkse"/)
})
