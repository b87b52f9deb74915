// The vault's keys from a program, for whoever keeps them in a KMS, Vault, SOPS or age: what it prints at start is what VAULT_KEYS would be.
// No shell reads the line, and nothing that the program prints is ever shown.
import { execFile } from 'node:child_process'
import { childEnvironment } from '../settings/child-environment.ts'
import { ConfigError } from '../settings/config.ts'

const patienceMs = 30_000
const mostBytes = 64 * 1024

/**
 * @param line a program and its arguments; quotes hold a word together, and nothing else is special
 * @throws ConfigError with a sentence for each way in which this can fail
 */
export async function keysFromCommand(
  line: string,
  { timeoutMs = patienceMs }: { timeoutMs?: number | undefined } = {},
): Promise<string> {
  const [program, ...args] = wordsOf(line)
  if (program === undefined) throw failed('is empty or has a quote that is not closed')
  const options = {
    encoding: 'utf8',
    env: commandEnvironment(),
    maxBuffer: mostBytes,
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  } as const
  return new Promise((resolve, reject) => {
    const child = execFile(program, args, options, (error, stdout) => {
      if (error) return reject(failed(whyOf(error, timeoutMs)))
      if (stdout.trim() === '')
        return reject(failed('printed nothing: it has to print ID:BASE64, as in VAULT_KEYS, to standard output'))
      resolve(stdout.trim())
    })
    child.stdin?.end()
  })
}

/** @returns no words at all when a quote is not closed */
export function wordsOf(line: string): string[] {
  const words = /^\s*((?:"[^"]*"|'[^']*'|[^\s"'])+\s*)*$/.test(line) ? line.match(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g) : null
  return (words ?? []).map((word) => word.replace(/"([^"]*)"|'([^']*)'/g, '$1$2'))
}

/** What such programs need to find their own keys; never our secrets. */
function commandEnvironment(): NodeJS.ProcessEnv {
  return childEnvironment(
    /^(AWS|GOOGLE|CLOUDSDK|AZURE|VAULT|SOPS|AGE|GNUPG|KUBERNETES|SSL)_|^(GNUPGHOME|SSH_AUTH_SOCK|XDG_[A-Z_]+)$/,
  )
}

function whyOf(error: Error & { code?: unknown; killed?: boolean | undefined; signal?: unknown }, timeoutMs: number): string {
  if (error.code === 'ENOENT') return 'names a program that is not there: give its whole path'
  if (error.code === 'EACCES') return 'names a program that this user may not run'
  if (error.code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER')
    return 'printed far more than keys: it has to print what VAULT_KEYS would be and nothing else'
  if (error.killed) return `did not end within ${timeoutMs / 1000} s`
  if (typeof error.code === 'number') return `ended with code ${error.code}: run it by hand as this user to see what it says`
  return `was ended by ${String(error.signal ?? 'a signal')}`
}

const failed = (why: string) => new ConfigError([`VAULT_KEYS_COMMAND ${why}`])
