// One run of the command line, as an operator types it.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { World } from '../world.ts'
import { ownNode } from './own-node.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

export interface Ran {
  code: number | null
  stdout: string
  stderr: string
}

/** @param env the whole environment: nothing of the test runner's */
export async function command(
  args: string[],
  env: Record<string, string>,
  started: (child: ChildProcess) => void = () => {},
): Promise<Ran> {
  const child = spawn(...ownNode(['src/cli.ts', ...args]), {
    cwd: root,
    env: { PATH: process.env.PATH ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  started(child)
  const ran: Ran = { code: null, stdout: '', stderr: '' }
  child.stdout.on('data', (chunk) => {
    ran.stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    ran.stderr += chunk
  })
  const [code] = (await once(child, 'close')) as [number | null]
  return { ...ran, code }
}

/** The environment of a world's service. */
export function environmentOf(world: World, env: Record<string, string> = {}): Record<string, string> {
  return {
    DATABASE_URL: world.databaseUrl,
    DATA_DIR: world.config.dataDir,
    VAULT_KEYS: world.config.vaultKeys ?? '',
    TIKTOK_CLIENT_KEY: world.tiktok.clientKey,
    TIKTOK_CLIENT_SECRET: world.tiktok.clientSecret,
    TIKTOK_AUTH_BASE_URL: world.tiktok.url,
    TIKTOK_API_BASE_URL: world.tiktok.url,
    ...env,
  }
}
