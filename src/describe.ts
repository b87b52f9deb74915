// The API's description without a service: the routes are built, nobody calls them, and nothing outside is opened.
import { loadConfig } from './config.ts'
import { asFile } from './http/openapi.ts'
import type { Parts } from './parts.ts'
import { buildServer } from './server.ts'
import { createLog, createMetrics } from './telemetry.ts'

/** @returns the text of `openapi/openapi.json` */
export async function openApiFile(): Promise<string> {
  const config = loadConfig({ TIKTOK_CLIENT_KEY: 'never-used', TIKTOK_CLIENT_SECRET: 'never-used-either' })
  const untouched = new Proxy({}, { get: () => undefined })
  const parts = {
    config,
    log: createLog('silent'),
    metrics: createMetrics(),
    keyring: { fits: true },
    db: untouched,
    vault: untouched,
    tiktok: untouched,
  } as unknown as Parts
  const server = await buildServer(parts)
  await server.ready()
  const text = asFile(server.swagger())
  await server.close()
  return text
}
