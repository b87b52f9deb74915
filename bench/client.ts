// `node bench/client.ts --seconds N [--client FOLDER/node_modules/oauth-accounts-for-tiktok/dist/client.js]`: callers with the client before
// three replicas that are killed, ended and paused in turn, and a database that goes away. The door between is a plain one that finds out too
// late who is gone. Every answer that reaches a caller is judged; none may be wrong.
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { migrate } from '../src/db/migrate.ts'
import { createApiKey, keyScopes } from '../src/http/api-keys.ts'
import { violations } from '../test/rig/invariants.ts'
import type { Replica } from '../test/rig/replica.ts'
import { startRig } from '../test/rig/rig.ts'
import { startEmbeddedPostgres } from '../tools/embedded-postgres/embedded.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    workers: { type: 'string', default: '16' },
    client: { type: 'string', default: 'oauth-accounts-for-tiktok' },
  },
})
const client: typeof import('oauth-accounts-for-tiktok') = await import(values.client)
const { AccountsError, TikTokAccounts, TikTokRefusal } = client
const seconds = Number(values.seconds)
const wrong: string[] = []
/** Accounts that had to wait for longer than a call's budget, or for their person. */
const troubled = new Set<string>()
const counts = {
  tokens: 0,
  refused: 0,
  uploads: 0,
  released: 0,
  full: 0,
  /** true answers after the budget, and grants that a kill lost between TikTok's answer and the disk */
  late: 0,
  lost: 0,
  kills: 0,
  pauses: 0,
  outages: 0,
  attempts: 0,
  repeated: 0,
  events: 0,
}

const dataDir = await mkdtemp(join(tmpdir(), 'tts-bench-client-'))
const server = await startEmbeddedPostgres({ dataDir, throwaway: true })
const endings: (() => unknown)[] = []
await migrate(server.url)
try {
  const rig = await startRig({ teardown: (end) => endings.push(end) }, server.url)
  const accounts = await rig.seed({ count: 400 })
  const names = ['a', 'b', 'c']
  const replicas: Replica[] = []
  for (const name of names) replicas.push(await rig.start(name))
  const { key } = await createApiKey(rig, { name: 'bench', scopes: [...keyScopes], expiresAt: null })
  const onResponse = ({ attempt }: { attempt: number }) => {
    counts.attempts++
    if (attempt > 1) counts.repeated++
  }
  const tiktok = new TikTokAccounts({ url: await openDoor(replicas), key, onResponse })

  const endsAt = Date.now() + seconds * 1000
  const committed = new Map<string, number>()
  const stop = new AbortController()
  const seen = new Set<string>()
  const following = follow()
  const killing = killInTurn()
  await Promise.all(Array.from({ length: Number(values.workers) }, (_, worker) => work(worker)))
  await killing

  for (const { id } of accounts) {
    const { used, reserved } = await tiktok.uploads.quota(id)
    if (used !== (committed.get(id) ?? 0) || reserved !== 0)
      wrong.push(`${id}: ${committed.get(id) ?? 0} uploads, the service counts ${used} and ${reserved} reserved`)
  }
  const [{ n = 0 } = {}] = await rig.sql<{ n: number }[]>`select count(*)::int as n from events`
  for (let waited = 0; seen.size < n && waited < 100; waited++) await pause(100)
  stop.abort()
  await following
  if (seen.size !== n) wrong.push(`${seen.size} events were followed, ${n} are there`)
  // It was true only if the account works now, or its person has to come back because nobody knows what TikTok answered.
  const down: Record<string, string> = {}
  for (const id of troubled) {
    const call = tiktok.accounts.token(id, { budgetMs: 180_000 })
    const works = await call.then(
      () => true,
      () => false,
    )
    if (works) continue
    down[id] = 'refresh_outcome_unknown'
    counts.lost++
  }
  wrong.push(...(await violations(rig, { excused: accounts.map(({ id }) => id), down })))
  console.log({ ...counts, wrong: wrong.length })
  for (const what of wrong.slice(0, 20)) console.log(what)
  process.exitCode = wrong.length > 0 ? 1 : 0

  async function work(worker: number): Promise<void> {
    for (let n = 0; Date.now() < endsAt; n++) {
      const account = accounts[Math.floor(Math.random() * accounts.length)]
      if (!account) return
      await (n % 4 === 3 ? upload(account.id, `job-${worker}-${n}`) : useToken(account, n)).catch((error: unknown) => {
        const isTrue =
          error instanceof AccountsError && /^(refresh_in_progress|tiktok_unavailable|reauthorization_required)$/.test(error.code)
        if (error instanceof AccountsError && error.code === 'upload_quota_exhausted') counts.full++
        else if (isTrue) {
          counts.late++
          troubled.add(account.id)
        } else wrong.push(error instanceof AccountsError ? `${error.code}: ${error.message}` : String(error))
      })
      await pause(20)
    }
  }

  async function useToken({ id, openId }: { id: string; openId: string }, n: number): Promise<void> {
    let refuse = n % 20 === 0
    await tiktok.accounts.withToken(id, ({ accessToken }) => {
      counts.tokens++
      const owner = rig.tiktok.grants.byAccessToken(accessToken)?.openId
      if (owner !== openId)
        wrong.push(`${id}: ${owner === undefined ? 'a token that TikTok does not take' : 'a token of somebody else'}`)
      const status = refuse ? 401 : 200
      if (refuse) counts.refused++
      refuse = false
      return { status }
    })
  }

  async function upload(id: string, job: string): Promise<void> {
    let worked = 0
    const fails = job.endsWith('7')
    const done = await tiktok.uploads
      .run(id, { key: job }, async () => {
        worked++
        if (fails) throw new TikTokRefusal('file_format_check_failed')
        return { publishId: `v_${job}` }
      })
      .catch((error: unknown) => {
        if (error instanceof TikTokRefusal) return undefined
        throw error
      })
    if (!done) return void counts.released++
    if (worked !== 1 || done.alreadyDone || done.upload.publishId !== `v_${job}`)
      wrong.push(`${job}: the work ran ${worked} times`)
    committed.set(id, (committed.get(id) ?? 0) + 1)
    counts.uploads++
  }

  async function follow(): Promise<void> {
    for await (const { id } of tiktok.events.follow({ signal: stop.signal, pollMs: 200 })) {
      if (seen.has(id)) wrong.push(`${id}: this event came twice`)
      seen.add(id)
      counts.events++
    }
  }

  /** One at a time is gone, ending or paused, and comes back; the others serve. Now and then all are without their database. */
  async function killInTurn(): Promise<void> {
    for (let n = 0; Date.now() < endsAt - 5_000; n++) {
      await pause(1_500)
      const place = n % names.length
      const replica = replicas[place]
      if (n % 5 === 3) {
        counts.pauses++
        replica?.signal('SIGSTOP')
        await pause(2_000)
        replica?.signal('SIGCONT')
      } else if (n % 5 === 4) {
        counts.outages++
        await rig.proxy.cut()
        await pause(2_000)
        await rig.proxy.resume()
      } else {
        counts.kills++
        replica?.signal(n % 2 === 0 ? 'SIGKILL' : 'SIGTERM')
        await replica?.ended()
        replicas[place] = await rig.start(names[place] ?? '')
      }
    }
  }
} finally {
  for (const end of endings.toReversed()) await end()
  await server.stop()
  await rm(dataDir, { recursive: true, force: true })
}

/** Connections go to one replica after the other; who is sent to one that is gone is cut off. */
async function openDoor(replicas: Replica[]): Promise<string> {
  let turn = 0
  const door = createServer((client) => {
    const { port } = new URL(replicas[turn++ % replicas.length]?.url ?? '')
    const target = connect(Number(port), '127.0.0.1')
    client.pipe(target)
    target.pipe(client)
    for (const [one, other] of [
      [client, target],
      [target, client],
    ] as const)
      one.on('error', () => {}).once('close', () => other.destroy())
  })
  await new Promise<void>((done) => door.listen(0, '127.0.0.1', done))
  endings.push(() => new Promise((done) => door.close(done)))
  return `http://127.0.0.1:${(door.address() as AddressInfo).port}`
}
