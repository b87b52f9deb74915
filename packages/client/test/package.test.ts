// The package as others get it: made by `npm pack`, installed where nothing else is, compiled by the strictest callers, and run.
import { execFile } from 'node:child_process'
import { cpSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'

/** Without the loaders that tap gives to every process a test starts. */
function run(program: string, args: string[], cwd: string) {
  const [file, all] = process.platform === 'win32' ? [program, args] : ['/usr/bin/env', ['-u', 'NODE_OPTIONS', program, ...args]]
  return promisify(execFile)(file, all, { cwd, shell: process.platform === 'win32' })
}
const npm = (args: string[], cwd: string) => run('npm', [...args, '--no-audit', '--no-fund', '--offline'], cwd)
const source = join(import.meta.dirname, '..')

const program = `import { AccountsError, CallerError, TikTokAccounts, readTikTok, verifyEvent } from 'oauth-accounts-for-tiktok'
import type { Account } from 'oauth-accounts-for-tiktok'
import { startTesting } from 'oauth-accounts-for-tiktok/testing'

const tiktok = new TikTokAccounts({ url: 'http://127.0.0.1:9', key: 'a-key', budgetMs: 1 })
export const start = () => startTesting({ returnUrl: 'http://127.0.0.1:5050/return' })
export async function every(ownerId: string): Promise<Account[]> {
  const found: Account[] = []
  for await (const account of tiktok.accounts.list({ ownerId, status: ['active'] })) found.push(account)
  return found
}
export async function each(signal: AbortSignal): Promise<string | undefined> {
  for await (const event of tiktok.events.follow({ signal })) if (event.type === 'account.expiring') return event.data.reauthorizeBy.slice(0, 10)
  return undefined
}
export const upload = (id: string) =>
  tiktok.uploads.run(id, { key: 'job' }, async ({ token }) => {
    const init = await fetch('http://127.0.0.1:9', { headers: { authorization: token.accessToken } })
    return { publishId: (await readTikTok<{ publish_id: string }>(init)).publish_id }
  })
// @ts-expect-error: everybody's accounts are not what is meant
tiktok.accounts.list({ ownerId: undefined })
// @ts-expect-error: no such field
tiktok.connectSessions.open({ ownerId: 'user_42', returnUrl: 'http://127.0.0.1/', acountType: 'creator' }).catch(() => {})

const unreachable = await every('user_42').catch((error: unknown) => error)
const unsigned = await verifyEvent('{}', {}, 'whsec_AAAA').catch((error: unknown) => error)
if (!(unreachable instanceof AccountsError) || !(unsigned instanceof CallerError)) throw unreachable
console.log(unreachable.code, unsigned.code)
`

t.test('packed, installed, compiled and run in an empty folder', async (t) => {
  const home = t.testdir()
  const work = join(home, 'packages/client')
  const tool = 'tools/build-package.ts'
  cpSync(join(source, '../..', tool), join(home, tool))
  for (const path of ['src', 'package.json', 'tsconfig.json']) cpSync(join(source, path), join(work, path), { recursive: true })
  const empty = await mkdtemp(join(tmpdir(), 'client-package-'))
  t.teardown(() => rm(empty, { recursive: true }))
  await npm(['pack', '--pack-destination', empty], work)
  t.equal(
    readFileSync(join(work, 'package.json'), 'utf8'),
    readFileSync(join(source, 'package.json'), 'utf8'),
    'packing leaves nothing changed',
  )

  const { version } = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8'))
  await writeFile(join(empty, 'package.json'), '{"type": "module"}')
  await npm(['install', `./oauth-accounts-for-tiktok-${version}.tgz`], empty)
  const { packages } = JSON.parse(readFileSync(join(empty, 'package-lock.json'), 'utf8'))
  t.strictSame(Object.keys(packages), ['', 'node_modules/oauth-accounts-for-tiktok'], 'it brings nothing else along')

  // A browser's types and none of Node's, and the declarations themselves are looked at.
  const compilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    module: 'nodenext',
    target: 'es2022',
    lib: ['es2023', 'dom', 'dom.iterable'],
    types: [],
  }
  await writeFile(join(empty, 'tsconfig.json'), JSON.stringify({ compilerOptions }))
  await writeFile(join(empty, 'program.ts'), program)
  const compiler = createRequire(import.meta.url).resolve('typescript/package.json')
  const tsc = join(compiler, '..', JSON.parse(readFileSync(compiler, 'utf8')).bin.tsc)
  t.strictSame(await run(process.execPath, [tsc, '--project', empty], empty).catch((error: unknown) => error), {
    stdout: '',
    stderr: '',
  })
  t.equal((await run(process.execPath, ['program.js'], empty)).stdout, 'service_unreachable invalid_signature\n')
})
