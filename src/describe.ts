// The API's description without a service: everything is built and nothing is opened. The database is never dialled and nobody is listened to.
import { compose } from './app.ts'
import { loadConfig } from './config.ts'
import { openDb } from './db/client.ts'
import { asFile } from './http/openapi.ts'
import { createRefusals } from './refusals.ts'
import { buildServer } from './server.ts'
import { createLog, createMetrics } from './telemetry.ts'
import { createTikTok } from './tiktok/client.ts'
import { timings } from './timings.ts'
import type { Journal } from './vault/journal.ts'
import { generateVaultKey, parseKeyring } from './vault/keyring.ts'
import { createVault } from './vault/vault.ts'

const emptyJournal: Journal = {
  write: async () => false,
  remove: async () => {},
  list: async () => ({ entries: [], unreadable: [] }),
  count: () => 0,
  keyIds: async () => [],
}

/** @returns the text of `openapi/openapi.json` */
export async function openApiFile(): Promise<string> {
  const config = loadConfig({ TIKTOK_CLIENT_KEY: 'never-used', TIKTOK_CLIENT_SECRET: 'never-used-either' })
  const log = createLog('silent')
  const metrics = createMetrics()
  const parts = compose({
    config,
    log,
    metrics,
    refusals: createRefusals({ log, metrics }),
    db: openDb({ url: 'postgresql://127.0.0.1/never-dialled' }),
    vault: createVault(parseKeyring(generateVaultKey(), 'VAULT_KEYS')),
    journal: emptyJournal,
    tiktok: createTikTok(config.tiktok),
    tierService: undefined,
    timings,
    stopping: new AbortController().signal,
  })
  const server = await buildServer(parts)
  await server.ready()
  const text = asFile(server.swagger())
  await server.close()
  await parts.tiktok.close()
  await parts.db.close()
  return text
}
