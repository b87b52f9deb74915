// The README's session, command by command: what it shows is what happens.
import { spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { freePort } from '../examples/demo/ports.ts'
import { keyScopes } from '../src/access/key-scopes.ts'
import { startWorld } from './world.ts'

const readme = readFileSync(join(import.meta.dirname, '../README.md'), 'utf8')
const [, session = ''] = /```console\n(.*?)```/s.exec(readme) ?? []
const separator = '--- next command ---'

const lacking = ['bash', 'curl'].filter((program) => spawnSync(program, ['--version']).error)

t.test(
  "the README's session runs as it is shown",
  { skip: lacking.length > 0 && `not here: ${lacking.join(', ')}` },
  async (t) => {
    const port = await freePort(0)
    const returnUrl = 'http://127.0.0.1:5050/tiktok/return'
    const world = await startWorld(t, {
      env: { PORT: String(port), ALLOWED_RETURN_URLS: returnUrl },
      simulator: { controlToken: 'let-me-in' },
    })
    const key = await world.key(...keyScopes)
    const here = (text: string) =>
      text
        .replaceAll('http://127.0.0.1:3000', world.app.url)
        .replaceAll('http://127.0.0.1:4500', world.tiktok.url)
        .replaceAll('$(cat .data/demo/keys/you)', key)
        .replaceAll('$(cat .data/demo/keys/simulator)', 'let-me-in')

    const steps = here(session)
      .split(/^\$ /m)
      .slice(1)
      .map((step) => {
        const [command = '', ...answer] = step.trimEnd().split('\n')
        return { command, answer: answer.join('\n') }
      })
    t.ok(steps.length > 8)
    const script = steps.map(({ command }) => `${command}\necho '${separator}'`).join('\n')
    const answers = (await bash(script, t.testdir())).split(`${separator}\n`)
    for (const [index, { command, answer }] of steps.entries()) {
      t.match(answers[index]?.trimEnd(), pattern(answer), command.replaceAll(key, 'KEY'))
    }
  },
)

/** What differs from day to day may be anything: moments, seconds, and the four characters shown of something random before `…`. */
function pattern(shown: string): RegExp {
  const lasting = shown
    .replace(/(["=._])[\w-]{4}…/g, '$1…')
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '…')
    .replace(/"expires_in":\d+/, '"expires_in":…')
  const literal = lasting.split('…').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${literal.join('.*')}$`, 's')
}

function bash(script: string, cwd: string): Promise<string> {
  const { NODE_OPTIONS: _, ...env } = process.env
  const child = spawn('bash', [], { cwd, env, stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin.end(script)
  return new Promise((resolve, reject) => {
    let said = ''
    child.stdout.on('data', (chunk) => {
      said += chunk
    })
    child.once('error', reject)
    child.once('close', () => resolve(said))
  })
}
