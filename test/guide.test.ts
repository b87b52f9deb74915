// docs/integrating.md is true: its files compile under a caller's strictest settings and do what the page says, against the real service.
import { execFile } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { AccountsError, TimeError, UserError } from 'oauth-accounts-for-tiktok'
import t from 'tap'
import { timings } from '../src/token/timings.ts'
import { ownNode } from './rig/own-node.ts'

const repository = join(import.meta.dirname, '..')
const page = readFileSync(join(repository, 'docs/integrating.md'), 'utf8')
const files = [...page.matchAll(/```ts\n\/\/ ([\w-]+\.ts)\n(.*?)```/gs)].map(([, name = '', text = '']) => ({ name, text }))
const folder = t.testdir()
for (const { name, text } of files) writeFileSync(join(folder, name), text)
writeFileSync(join(folder, 'package.json'), '{"type": "module"}')
const run = (args: string[], env = {}) => promisify(execFile)(...ownNode(args), { cwd: folder, env: { ...process.env, ...env } })

t.test('every snippet of TypeScript is a file, and they compile under strict with exactOptionalPropertyTypes', async (t) => {
  t.equal(page.split('```ts').length - 1, files.length)
  const strictest = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    allowImportingTsExtensions: true,
  }
  const compilerOptions = { ...strictest, module: 'nodenext', target: 'es2022', types: ['node'], noEmit: true }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }))
  const compiler = createRequire(import.meta.url).resolve('typescript/package.json')
  const tsc = join(compiler, '..', JSON.parse(readFileSync(compiler, 'utf8')).bin.tsc)
  const found = await run([tsc, '--project', folder]).catch((error: unknown) => error)
  t.strictSame(found, { stdout: '', stderr: '' })
})

t.test('the last file runs the others, and prints what its comments say', async (t) => {
  const { stdout } = await run(['try.ts'], { TIKTOK_OAUTH_SERVICE: repository })
  const promised = [...page.matchAll(/console\.log\(.*\) \/\/ (.*)$/gm)].map(([, text = '']) => text)
  t.equal(promised.length, 4)
  t.strictSame(
    stdout
      .trim()
      .replace(/acc_\w+/, 'acc_…')
      .split('\n'),
    promised,
  )
})

t.test('the receiver takes what is signed, and nothing else', async (t) => {
  const { receiver } = await import(join(folder, 'receive.ts'))
  const bytes = Buffer.alloc(32, 1)
  const taken: string[] = []
  const server = receiver([`whsec_${bytes.toString('base64')}`], (type: string, id: string) => taken.push(type, id))
  t.teardown(() => server.close())
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const send = (signature: string, timestamp = String(Math.floor(Date.now() / 1000))) =>
    fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`, {
      method: 'POST',
      headers: { 'webhook-id': 'evt_1', 'webhook-timestamp': timestamp, 'webhook-signature': signature },
      body,
    })
  const body = JSON.stringify({ id: 'evt_1', type: 'account.recovered', occurred_at: new Date().toISOString(), data: {} })
  const now = String(Math.floor(Date.now() / 1000))
  const signature = `v1,${createHmac('sha256', bytes).update(`evt_1.${now}.${body}`).digest('base64')}`
  t.equal((await send(signature, now)).status, 204)
  t.equal((await send('v1,AAAA', now)).status, 401)
  t.strictSame(taken, ['account.recovered', 'evt_1'])
})

t.test('a failed job is put away, asked about or reported', async (t) => {
  const { afterwards } = await import(join(folder, 'errors.ts'))
  const facts = { detail: 'what to do', status: 429 }
  const problem = {
    type: '',
    title: '',
    status: 429,
    detail: '',
    code: 'upload_quota_exhausted',
    mendedBy: 'time',
    requestId: '',
  } as const
  const nextSlotAt = '2026-11-23T12:00:00.000Z'
  const full = new TimeError({ ...facts, code: 'upload_quota_exhausted', problem: { ...problem, nextSlotAt } })
  t.strictSame(afterwards(full), { retryAt: new Date(nextSlotAt) })
  t.strictSame(afterwards(new UserError({ ...facts, code: 'reauthorization_required' })), { askThePerson: 'what to do' })
  t.strictSame(afterwards(new Error('disk full')), { report: 'Error: disk full' })
  t.type(full, AccountsError)
})

t.test('the waits it names are those of the service', async (t) => {
  const { patienceMs, completionPatienceMs, profilePatienceMs, verifyPatienceMs, flightDeadlineMs } = timings
  const seconds = (ms: number) => Math.ceil(ms / 1000)
  t.match(page, `| a token, or another for a refused one | ${seconds(patienceMs)} s,`)
  t.match(
    page,
    `| \`complete\` | ${seconds(completionPatienceMs + profilePatienceMs)} s, of which TikTok has ${seconds(completionPatienceMs)} |`,
  )
  t.match(page, `| \`verify\` | ${seconds(2 * verifyPatienceMs + patienceMs)} s |`)
  t.match(page, `| anything else | ${seconds(flightDeadlineMs)} s |`)
})
