// `npm run bench -- journal [--entries 1000000] [--accounts 10000]`: what a million refreshes take on disk and in time to write, and how
// long a database that is behind by all of them takes to be brought up to date, and in how much memory.
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openDb } from '../src/db/client.ts'
import { readDatabaseId } from '../src/db/epoch.ts'
import { migrate } from '../src/db/migrate.ts'
import { openJournal } from '../src/journal/journal.ts'
import { emptyTally, restoreTokens } from '../src/journal/replay.ts'
import { generateVaultKey, parseKeyring } from '../src/vault/keyring.ts'
import { createVault } from '../src/vault/vault.ts'
import { startEmbeddedPostgres } from '../tools/embedded-postgres/embedded.ts'

const { values } = parseArgs({
  options: { entries: { type: 'string', default: '1000000' }, accounts: { type: 'string', default: '10000' } },
})
const [entries, accounts] = [Number(values.entries), Number(values.accounts)]
const dataDir = await mkdtemp(join(tmpdir(), 'tiktok-oauth-service-bench-'))
const server = await startEmbeddedPostgres({ dataDir, throwaway: true })
const vault = createVault(parseKeyring(generateVaultKey()))
try {
  await migrate(server.url)
  const db = openDb({ url: server.url })
  await db.run('seed', (sql) => sql`insert into owners (id) values ('bench')`)
  await db.run(
    'seed',
    (sql) => sql`
      insert into accounts (id, owner_id, open_id, status, account_type, attested_at, attestation_version, age_confirmed_at, scopes)
      select 'acc_' || n, 'bench', 'open_' || n, 'active', 'creator', now(), 'bench', now(), '{}' from generate_series(0, ${accounts - 1}) n`,
    { deadlineMs: 300_000 },
  )
  await db.run(
    'seed',
    (sql) => sql`
      insert into token_sets (account_id, generation, client_key, sealed_access_token, sealed_refresh_token, access_expires_at, lifetime_seconds, saved_attempt_id)
      select 'acc_' || n, 1, 'client', 'old', 'old', now(), 86400, 'att' from generate_series(0, ${accounts - 1}) n`,
    { deadlineMs: 300_000 },
  )
  const dir = join(dataDir, 'journal')
  const troubles: unknown[] = []
  const journal = await openJournal({
    ...{ dir, id: 'rep_bench', databaseId: await readDatabaseId(db), vault },
    onTrouble: ({ error }) => troubles.push(error),
  })
  const now = Date.now()
  const startedAt = performance.now()
  const cpuBefore = process.cpuUsage()
  const together = 250
  for (let written = 0; written < entries; written += together) {
    await Promise.all(
      Array.from({ length: Math.min(together, entries - written) }, async (_, n) => {
        const number = written + n
        const subject = `acc_${number % accounts}`
        const generation = 1 + Math.floor(number / accounts)
        const body = {
          ...{ accountId: subject, generation, attemptId: `att_01k9z3${number}`, openId: `open_${number % accounts}` },
          // As long as TikTok's are.
          accessToken: `act.${'a'.repeat(68)}${number}`,
          refreshToken: `rft.${'r'.repeat(68)}${number}`,
          scopes: ['user.info.basic', 'user.info.profile', 'user.info.stats', 'video.upload'],
          accessExpiresAt: new Date(now + 86_400_000),
          refreshExpiresAt: new Date(now + 365 * 86_400_000),
          lifetimeSeconds: 86_400,
        }
        const entry = await journal.write({ kind: 'refresh', subject, generation: generation + 1, body })
        if (!entry.durable) throw new Error('the disk is too slow for this')
        journal.recorded(entry, { accountId: subject, generation: generation + 1 })
      }),
    )
    if (written % 100_000 === 0) console.error(`${written} entries written …`)
  }
  const writeSeconds = (performance.now() - startedAt) / 1000
  const cpu = process.cpuUsage(cpuBefore)
  await journal.close()
  const bytes = await sizeOf(dir)
  const reader = await openJournal({ dir, id: 'rep_reader', databaseId: journal.databaseId, vault, onTrouble: () => {} })
  const journals = await reader.journals()
  const rssBefore = process.memoryUsage().rss
  let rssMost = rssBefore
  const watch = setInterval(() => {
    rssMost = Math.max(rssMost, process.memoryUsage().rss)
  }, 50)
  const tally = emptyTally()
  const replayedFrom = performance.now()
  const parts = { db, vault, databaseId: journal.databaseId, known: reader.known, requiredScopes: [], actor: 'service' }
  await restoreTokens(parts, journals, null, tally, (done, total) => {
    rssMost = Math.max(rssMost, process.memoryUsage().rss)
    if (process.stderr.isTTY) process.stderr.write(`\rreplaying ${Math.round((done / total) * 100)} %`)
  })
  clearInterval(watch)
  const replaySeconds = (performance.now() - replayedFrom) / 1000
  const [row] = await db.run(
    'check',
    (sql) => sql<{ behind: number }[]>`
      select count(*)::int as behind from token_sets where generation < ${1 + Math.ceil(entries / accounts)}`,
  )
  console.log(`entries:                ${entries} for ${accounts} accounts`)
  console.log(`on disk:                ${(bytes / 2 ** 30).toFixed(2)} GiB, ${Math.round(bytes / entries)} bytes an entry`)
  console.log(
    `written:                ${Math.round(entries / writeSeconds)}/s, ${((cpu.user + cpu.system) / entries).toFixed(0)} µs of processor each`,
  )
  console.log(`replayed:               ${tally.tokensRestored} token sets in ${replaySeconds.toFixed(1)} s`)
  console.log(
    `memory while replaying: ${Math.round(rssBefore / 2 ** 20)} MiB before, ${Math.round(rssMost / 2 ** 20)} MiB at most`,
  )
  console.log(`left behind:            ${row?.behind}`)
  if (row?.behind !== 0 || troubles.length > 0) process.exitCode = 1
  await reader.close()
  await db.close()
} finally {
  await server.stop()
  await rm(dataDir, { recursive: true, force: true })
}

async function sizeOf(dir: string): Promise<number> {
  const files = await readdir(dir, { recursive: true, withFileTypes: true })
  const sizes = files.filter((file) => file.isFile()).map(async (file) => (await stat(join(file.parentPath, file.name))).size)
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
}
