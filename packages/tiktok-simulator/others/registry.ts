/** Installing for a check that may not fail because there is no network: what a registry does not answer is told apart from what is wrong here. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'

/** For a registry that hangs. */
const patienceMs = 180_000
const unanswered = /^(E[45]\d\d|ENOTFOUND|EAI_AGAIN|ENETUNREACH|EHOSTUNREACH|ECONN\w+|ETIMEDOUT|ERR_SOCKET\w*|FETCH_ERROR)$/

/**
 * @param words such as `ci`, or `install` and what
 * @returns why it could not be had, when the registry does not answer or has not got it; undefined when it is there
 * @throws Error for what is wrong here, such as a lockfile that does not fit
 */
export async function install(folder: string, ...words: string[]): Promise<string | undefined> {
  const patience = ['--fetch-retries=1', '--fetch-retry-mintimeout=1000', '--fetch-timeout=30000']
  const args = [...words, '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', ...patience]
  const npm = spawn('npm', args, {
    cwd: folder,
    stdio: ['ignore', 'inherit', 'pipe'],
    timeout: patienceMs,
    shell: process.platform === 'win32',
  })
  let said = ''
  npm.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  const [code] = await once(npm, 'close')
  if (code === 0) return undefined
  if (code === null) return 'npm did not come to an end: is the registry there?'
  const [, reason = ''] = /npm error code (\S+)/.exec(said) ?? []
  if (unanswered.test(reason)) return `the registry does not have it, or does not answer (${reason})`
  throw new Error(`npm ${words.join(' ')} failed: ${said}`)
}
