// The API's description without a service: everything is built and nothing is opened. The database is never dialled and nobody is listened to.
import { compose } from './app.ts'
import { openDb } from './db/client.ts'
import { asFile } from './http/openapi.ts'
import type { Journal } from './journal/journal.ts'
import { KnownGenerations } from './journal/known.ts'
import { createMetrics } from './metrics.ts'
import { createRefusals } from './refusals.ts'
import { buildServer } from './server.ts'
import { loadConfig } from './settings/config.ts'
import { createLog } from './telemetry.ts'
import { createTikTok } from './tiktok/client.ts'
import { timings } from './token/timings.ts'
import { generateVaultKey, parseKeyring } from './vault/keyring.ts'
import { createVault } from './vault/vault.ts'

const emptyJournal: Journal = {
  id: 'never-opened',
  dir: '',
  databaseId: '',
  known: new KnownGenerations(),
  now: () => new Date(),
  syncClock: () => {},
  write: async () => ({ sequence: 0, durable: false }),
  note: () => {},
  recorded: () => {},
  lately: () => [],
  forgetLately: () => {},
  wroteSince: () => false,
  settled: () => {},
  count: () => 0,
  pending: async () => ({ entries: [], unreadable: [] }),
  journals: async () => [],
  keyIds: async () => [],
  keepHouse: async () => {},
  copyLagSeconds: null,
  measure: async () => ({ bytes: 0, segments: 0, oldestAtMs: null }),
  close: async () => {},
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
    replicaId: 'never-announced',
    tiktok: createTikTok(config.tiktok),
    tierService: undefined,
    timings,
    leaving: new AbortController().signal,
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
