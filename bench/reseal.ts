// A change of vault keys under load with real processes: 3 replicas, 100 calls a second, refreshes on demand and in the background, the key changed
// everywhere by rolling restarts, `cli vault reseal` in between. `npm run bench -- reseal [--accounts 20000] [--calls 100]`
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { openDb } from '../src/db/client.ts'
import { migrate } from '../src/db/migrate.ts'
import { countSealedTexts } from '../src/db/sealed-texts.ts'
import { createApiKey } from '../src/http/api-keys.ts'
import { generateVaultKey, parseKeyring } from '../src/vault/keyring.ts'
import { createVault } from '../src/vault/vault.ts'
import { violations } from '../test/rig/invariants.ts'
import { changeKeys } from '../test/rig/key-change.ts'
import { startRig } from '../test/rig/rig.ts'
import { startEmbeddedPostgres } from '../tools/embedded-postgres/embedded.ts'

const options = { accounts: { type: 'string', default: '20000' }, calls: { type: 'string', default: '100' } } as const
const { values } = parseArgs({ options })
const [accounts, callsPerSecond] = [Number(values.accounts), Number(values.calls)]
const [oldKey, newKey] = [generateVaultKey('k1'), generateVaultKey('k2')]
const cli = promisify(execFile)

const dataDir = await mkdtemp(join(tmpdir(), 'tts-bench-'))
const database = await startEmbeddedPostgres({ dataDir })
await migrate(database.url)
const db = openDb({ url: database.url })
const rig = await startRig({ teardown: () => {} }, database.url)
try {
  Object.assign(rig.vault, createVault(parseKeyring(oldKey))) // what the rig seeds and judges with
  console.error(`seeding ${accounts} accounts …`)
  // A tenth falls due while it runs, for the background; the others are refreshed when somebody asks.
  await rig.seed({ count: Math.ceil(accounts * 0.9) })
  for (let second = 0; second < 30; second++) await rig.seed({ count: Math.ceil(accounts / 300), dueInSeconds: 5 + second * 2 })
  const { key: apiKey } = await createApiKey(rig, { name: 'bench', scopes: ['tokens:read'], expiresAt: null })

  const change = await changeKeys({
    async start(name, vaultKeys) {
      const replica = await rig.start(name, { env: { VAULT_KEYS: vaultKeys, LOG_LEVEL: 'info', DATABASE_URL: database.url } })
      return {
        url: replica.url,
        async stop() {
          replica.signal('SIGTERM')
          const code = await replica.ended()
          if (code !== 0) throw new Error(`${name} ended with ${code}`)
        },
      }
    },
    async reseal(vaultKeys) {
      const env = {
        PATH: process.env.PATH,
        DATABASE_URL: database.url,
        DATA_DIR: join(rig.dir, 'cli'),
        VAULT_KEYS: vaultKeys,
        TIKTOK_CLIENT_KEY: rig.tiktok.clientKey,
        TIKTOK_CLIENT_SECRET: rig.tiktok.clientSecret,
      }
      const { stdout, stderr } = await cli(process.execPath, ['src/cli.ts', 'vault', 'reseal'], { env, maxBuffer: 2 ** 24 })
      console.log(`${stderr}${stdout}`.trim())
    },
    apiKey,
    accountIds: rig.accounts.map(({ id }) => id),
    oldKey,
    newKey,
    callsPerSecond,
  })

  Object.assign(rig.vault, createVault(parseKeyring(newKey)))
  const { refreshes_processed: refreshes, double_spend_count: doubleSpends } = rig.tiktok.stats.report()
  const left = [...(await countSealedTexts(db))].map(([keyId, count]) => `${keyId}: ${count}`).join(', ')
  console.log(
    `${change.calls} calls in ${change.seconds.toFixed(1)} s, ${change.callsDuringReseal} of them during ${change.resealSeconds.toFixed(1)} s of reseal, p99 ${Math.round(change.p99Ms)} ms\n` +
      `${change.failed.length} failed${change.failed.length > 0 ? `: ${[...new Set(change.failed)].join(', ')}` : ''}\n` +
      `${refreshes} refreshes, ${doubleSpends} refresh tokens presented twice\n` +
      `texts under each key: ${left}\n` +
      `violated invariants: ${(await violations(rig, { deadlineMs: 10_000 })).length}`,
  )
} finally {
  await rig.close()
  await db.close()
  await database.stop()
  await rm(dataDir, { recursive: true, force: true })
}
