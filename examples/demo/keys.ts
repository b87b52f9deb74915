// The demo's API keys, one per caller as in real life, kept beside the demo's database.
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openDb } from '../../src/db/client.ts'
import { createApiKey, type KeyScope, keyScopes } from '../../src/http/api-keys.ts'
import { openKeyring } from '../../src/vault/open-keyring.ts'
import { createVault } from '../../src/vault/vault.ts'
import { runningEmbeddedPostgres } from '../../tools/embedded-postgres/embedded.ts'

const callers = {
  /** `owners:write` because it says with each connect session which plan the owner has */
  'web-app': ['connect:write', 'accounts:read', 'accounts:write', 'owners:write'],
  'upload-service': ['tokens:read', 'quota:write', 'accounts:read'],
  /** for whoever tries the API by hand */
  you: [...keyScopes],
} as const satisfies Record<string, KeyScope[]>
export type DemoCaller = keyof typeof callers

export type Keys = Record<DemoCaller, { key: string; file: string }>

/**
 * The keys of an earlier start as long as they work, otherwise new ones, made as `cli keys create` makes them.
 *
 * @param serviceUrl of the service, which is up
 */
export async function keysFor(serviceUrl: string, dataDir: string): Promise<Keys> {
  const folder = join(dataDir, 'keys')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const names = Object.keys(callers) as DemoCaller[]
  const kept = await Promise.all(
    names.map(async (name) => {
      const file = join(folder, name)
      const key = (await readFile(file, 'utf8').catch(() => '')).trim()
      return { name, file, key: key !== '' && (await isLive(serviceUrl, key)) ? key : undefined }
    }),
  )
  const keys: [DemoCaller, { key: string; file: string }][] = []
  const url = kept.every(({ key }) => key !== undefined) ? undefined : await runningEmbeddedPostgres(dataDir)
  const db = url === undefined ? undefined : openDb({ url, poolSize: 1, applicationName: 'tiktok-oauth-demo' })
  const config = { dataDir, vaultKeys: process.env.VAULT_KEYS, vaultKeysFile: undefined, vaultKeysCommand: undefined }
  const vault = db && createVault(await openKeyring(config, () => {}))
  for (const { name, file, key: keptKey } of kept) {
    let key = keptKey
    if (key === undefined) {
      if (!db || !vault) throw new Error('The demo found no database to make its API keys in')
      key = (await createApiKey({ db, vault }, { name: `demo ${name}`, scopes: [...callers[name]], expiresAt: null })).key
      await writeFile(file, `${key}\n`, { mode: 0o600 })
    }
    keys.push([name, { key, file }])
  }
  await db?.close()
  return Object.fromEntries(keys) as Keys
}

/** A secret of the web app's own, so that a login outlives a restart too. */
export const cookieSecret = (dataDir: string): Promise<string> => keptSecret(join(dataDir, 'web-app-cookie-secret'))

/** What the simulator's control API asks for: beside the keys, for whoever tries it by hand. */
export async function controlToken(dataDir: string): Promise<string> {
  await mkdir(join(dataDir, 'keys'), { recursive: true, mode: 0o700 })
  return keptSecret(join(dataDir, 'keys', 'simulator'))
}

async function keptSecret(file: string): Promise<string> {
  const kept = await readFile(file, 'utf8').catch(() => undefined)
  if (kept !== undefined) return kept.trim()
  const secret = randomBytes(32).toString('base64url')
  await writeFile(file, `${secret}\n`, { mode: 0o600 })
  return secret
}

/** 403 is a live key too: this asks for nothing that the key is for. */
async function isLive(serviceUrl: string, key: string): Promise<boolean> {
  const answer = await fetch(`${serviceUrl}/metrics`, { headers: { authorization: `Bearer ${key}` } })
  await answer.body?.cancel()
  return answer.status !== 401
}
