// How fast slots are reserved, on one account and spread over a thousand, beside the least a database can do: an UPDATE of
// one row by its key, on the same server, through the same guard, in the same run, taking turns. The ratio is the median over the
// turns, so that other work on the machine touches both sides. Reservations of one moment are one statement, as in the service; each
// has its own caller, who waits for the flush. `npm run bench -- reservations [--seconds 1] [--rounds 9]`
//
// Each account has 19 uploads in its window, as a busy one does. The measured reservations end at once (ttl 0), so that the window
// stays as it is; everything else about them is real: the lock, the count, the row, the flush to disk.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openBatch } from '../src/db/batch.ts'
import { type Db, openDb } from '../src/db/client.ts'
import { migrate } from '../src/db/migrate.ts'
import { type Reservation, reserveUploads } from '../src/db/uploads.ts'
import { newId } from '../src/ids.ts'
import { startEmbeddedPostgres } from '../tools/embedded-postgres/embedded.ts'
import { record } from './results.ts'

const accountCount = 1_000
const callers = 40
const { values } = parseArgs({ options: { seconds: { type: 'string', default: '1' }, rounds: { type: 'string', default: '9' } } })
const [turnMs, rounds] = [Number(values.seconds) * 1_000, Number(values.rounds)]

const dataDir = await mkdtemp(join(tmpdir(), 'tiktok-oauth-service-bench-'))
const server = await startEmbeddedPostgres({ dataDir })
await migrate(server.url)
const db = openDb({ url: server.url, poolSize: 10, queueMs: 30_000 })
const reservations = openBatch((asked: Reservation[]) => reserveUploads(db, asked))
try {
  await fillWindows(db)
  await compare(`one account, ${callers} callers`, () => accountId(0))
  await compare(`${accountCount} accounts, ${callers} callers`, () => accountId(Math.floor(Math.random() * accountCount)))
} finally {
  await db.close()
  await server.stop()
  await rm(dataDir, { recursive: true })
}

async function compare(title: string, pick: () => string): Promise<void> {
  const update = () => {
    const id = pick()
    return db.run('raw_update', (sql) => sql`update counters set n = n + 1 where id = ${id}`)
  }
  const reserve = async () => {
    const { outcome } = await reservations.ask({
      accountId: pick(),
      uploadId: newId('upl'),
      idempotencyKey: newId('req'),
      ttlSeconds: 0,
      limit: 1_000,
      actor: { keyId: 'key_bench', name: 'bench' },
    })
    if (outcome !== 'reserved') throw new Error(`not reserved: ${outcome}`)
  }
  await perSecond(update, 500) // warm connections, plans and caches are what a running service has
  await perSecond(reserve, 500)
  const turns: { raw: number; ours: number }[] = []
  for (let round = 0; round < rounds; round++)
    turns.push({ raw: await perSecond(update, turnMs), ours: await perSecond(reserve, turnMs) })
  const ratios = turns.map(({ raw, ours }) => ours / raw)
  const [raw, ours] = [median(turns.map((turn) => turn.raw)), median(turns.map((turn) => turn.ours))]
  record('reservations', 'ratio', `reservations beside raw updates, ${title}`, median(ratios))
  const range = `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`
  console.log(
    `${title}: ${Math.round(ours)} reservations/s, ${Math.round(raw)} raw updates/s, ratio ${median(ratios).toFixed(2)} (${range})`,
  )
}

async function perSecond(work: () => Promise<unknown>, durationMs: number): Promise<number> {
  const startedAtMs = performance.now()
  let done = 0
  const caller = async () => {
    while (performance.now() - startedAtMs < durationMs) {
      await work()
      done += 1
    }
  }
  await Promise.all(Array.from({ length: callers }, caller))
  return (done * 1_000) / (performance.now() - startedAtMs)
}

async function fillWindows(db: Db): Promise<void> {
  await db.run('owners', (sql) => sql`insert into owners (id) values ('user_bench')`)
  await db.run(
    'accounts',
    (sql) => sql`
      insert into accounts (id, owner_id, open_id, status, account_type, attested_at, attestation_version, age_confirmed_at, scopes)
      select 'acc_' || n, 'user_bench', 'open_' || n, 'active', 'creator', now(), '1', now(), '{video.upload}'
      from generate_series(0, ${accountCount - 1}::int) n`,
  )
  await db.run(
    'uploads',
    (sql) => sql`
      insert into uploads (id, account_id, tiktok_user, idempotency_key, caller, ttl_seconds, reserved_by, reserved_at, expires_at, held_until, committed_at)
      select 'upl_' || a.id || '_' || k, a.id, tiktok_user_of(a.open_id), 'filled' || k, 'bench', 1800, 'key_bench', now(), now(), now() + interval '24 hours', now()
      from accounts a, generate_series(1, 19) k`,
  )
  await db.run('counters', (sql) => sql`create table counters (id text primary key, n bigint not null default 0)`)
  await db.run('count', (sql) => sql`insert into counters (id) select id from accounts`)
  await db.run('vacuum', (sql) => sql`vacuum analyze`, { deadlineMs: 60_000 })
}

function accountId(n: number): string {
  return `acc_${n}`
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}
