// The drill: a backup is taken, life goes on, the database is lost and the backup restored. Afterwards everybody's token has to work, what was
// ended has to stay so, and TikTok must not have seen a refresh token twice.
import postgres from 'postgres'
import { revokeApiKey } from '../../src/db/api-keys.ts'
import { createApiKey } from '../../src/http/api-keys.ts'
import { startBrowser } from '../world.ts'
import { eventually } from './eventually.ts'
import type { Replica } from './replica.ts'
import { publicUrl, type Rig, returnUrl } from './rig.ts'
import { rotate } from './rotate.ts'

export interface DrillSize {
  accounts: number
  connects: number
  disconnects: number
  erasedOwners: number
  revokedKeys: number
  /** between the backup and the loss, each account */
  rotations: number
}

export interface DrillResult {
  live: number
  vend: number
  refreshAfterwards: number
  presentedTwice: number
  eventsToPeople: number
  waitForTheirPerson: number
  disconnectedStay: number
  disconnected: number
  erasedStay: number
  erased: number
  keysDead: number
  keys: number
  /** from the start of the first replica to the end of the recovery */
  recoverySeconds: number
  /** seconds until the first and the last replica answered with a token */
  readySeconds: number
  /** whatever was not as it has to be */
  wrong: string[]
}

export interface DrillOptions {
  env?: Record<string, string>
  /** between the loss and the restore: volumes are moved, journals damaged */
  beforeRestore?: () => Promise<void>
  /** after the restore, before the replicas are started that have to bring everything home */
  beforeStart?: () => Promise<void>
  /** while the replicas that were started after the restore bring everything home */
  whileRecovering?: (replicas: Replica[]) => Promise<Replica[]>
  /** the half minute that a recovery gathers journals is stepped and not waited for */
  stepped?: boolean
  say?: (line: string) => void
}

const names = ['one', 'two', 'three']

export async function restoreDrill(
  rig: Rig,
  databaseUrl: string,
  size: DrillSize,
  options: DrillOptions = {},
): Promise<DrillResult> {
  const { env = {}, say = () => {} } = options
  const wrong: string[] = []
  let replicas = await Promise.all(names.map((name) => rig.start(name, { preloads: [], env })))
  const replicaOf = (index: number) => replicas[index % replicas.length] as Replica

  const seeded = await rig.seed({ count: size.accounts, secondsLeft: 7200 })
  const owners = Array.from({ length: size.erasedOwners }, (_, n) => `leaving_${n}`)
  const leaving = (await Promise.all(owners.map((owner) => rig.seed({ count: 2, secondsLeft: 7200, owner })))).flat()
  const keys = await Promise.all(
    Array.from({ length: size.revokedKeys }, () =>
      createApiKey(rig, { name: 'leaked', scopes: ['accounts:read'], expiresAt: null }),
    ),
  )
  await rotateAll([...seeded, ...leaving].map(({ id }) => id))
  await beats(rig)
  await copyDatabase(databaseUrl, 'backup')
  const { high: lastSeq } = await highestEvent()
  say(`backup taken: ${seeded.length + leaving.length} accounts`)

  for (let n = 0; n < size.rotations; n++) await rotateAll([...seeded, ...leaving].map(({ id }) => id))
  const connected = await Promise.all(Array.from({ length: size.connects }, (_, n) => connect(replicaOf(n), `newcomer_${n}`)))
  await rotateAll(connected)
  const disconnected = [...seeded.slice(0, size.disconnects - 2).map(({ id }) => id), ...connected.slice(0, 2)]
  await each(disconnected, async (id, n) =>
    expect(`DELETE ${id}`, await rig.call(replicaOf(n), 'DELETE', `/accounts/${id}`), 200),
  )
  // Somebody comes back whose account was disconnected: it is another account.
  const returned = await connect(replicaOf(0), 'newcomer_0')
  await each(owners, async (owner, n) =>
    expect(`DELETE ${owner}`, await rig.call(replicaOf(n), 'DELETE', `/owners/${owner}`), 200),
  )
  for (const { id } of keys) await revokeApiKey(rig.db, id, 'operator')
  await beats(rig)
  const gone = new Set([...disconnected, ...leaving.map(({ id }) => id)])
  const live = [...seeded.map(({ id }) => id), ...connected, returned].filter((id) => !gone.has(id))
  say(`life went on: ${size.rotations} rotations each, ${connected.length + 1} connects, ${disconnected.length} disconnects`)

  for (const replica of replicas) replica.signal('SIGKILL')
  await Promise.all(replicas.map((replica) => replica.ended()))
  await restoreDatabase(databaseUrl, 'backup')
  await options.beforeRestore?.()
  const { refreshes_processed: before } = rig.tiktok.stats.report()
  say('database restored')

  await options.beforeStart?.()
  const startedAt = performance.now()
  const seconds = () => (performance.now() - startedAt) / 1000
  replicas = await Promise.all(names.map((name) => rig.start(name, { preloads: [], env, ready: 'listening' })))
  if (options.whileRecovering) replicas = await options.whileRecovering(replicas)
  await eventually(
    'the recovery is over',
    async () => {
      if (options.stepped)
        await rig.sql`update recoveries set began_at = began_at - interval '1 minute' where began_at > now() - interval '1 minute'`
      const [row] = await rig.sql<{ n: number }[]>`select count(*)::int as n from recoveries where ended_at is not null`
      if (row?.n !== 1) return false
      const rewound = await Promise.all(replicas.map((replica) => rig.metric(replica, 'database_rewound')))
      return rewound.every((value) => value === 0)
    },
    180_000,
  )
  const recoverySeconds = seconds()
  const restoredOnly = rig.tiktok.stats.report().refreshes_processed - before
  if (restoredOnly > 0) wrong.push(`${restoredOnly} refreshes were sent before the recovery was over`)

  let vend = 0
  await each(live, async (id, n) => {
    const { status, code, wrong: bad } = await rig.read(replicaOf(n), id, 0)
    if (status === 200 && !bad) vend++
    else wrong.push(`${id} was answered ${status} ${code ?? bad ?? ''}`)
  })
  const readySeconds = seconds()
  const refreshAfterwards = await rotateAll(live)
  let disconnectedStay = 0
  await each(disconnected, async (id, n) => {
    if ((await rig.read(replicaOf(n), id)).status === 410) disconnectedStay++
    else wrong.push(`${id} is back`)
  })
  let erasedStay = 0
  await each(owners, async (owner, n) => {
    if ((await rig.call(replicaOf(n), 'GET', `/owners/${owner}`)).status === 404) erasedStay++
    else wrong.push(`${owner} is back`)
  })
  await each(leaving, async ({ id }, n) => {
    if ((await rig.read(replicaOf(n), id)).status !== 410) wrong.push(`${id} of an erased owner is back`)
  })
  let keysDead = 0
  await each(keys, async ({ key }, n) => {
    const answer = await rig.call(replicaOf(n), 'GET', '/accounts', undefined, { authorization: `Bearer ${key}` })
    if (answer.status === 401) keysDead++
    else wrong.push(`a revoked key is answered ${answer.status}`)
  })
  const [people] = await rig.sql<
    { n: number }[]
  >`select count(*)::int as n from accounts where status = 'reauthorization_required'`
  const [told] = await rig.sql<{ n: number }[]>`select count(*)::int as n from events where seq > ${lastSeq}`
  const { double_spend_count: presentedTwice } = rig.tiktok.stats.report()
  for (const { person, presented } of rig.tiktok.stats.report().double_spends)
    wrong.push(`a refresh token of ${person} was presented ${presented} times`)
  return {
    ...{
      live: live.length,
      vend,
      refreshAfterwards,
      presentedTwice,
      eventsToPeople: told?.n ?? 0,
      waitForTheirPerson: people?.n ?? 0,
    },
    ...{ disconnectedStay, disconnected: disconnected.length, erasedStay, erased: owners.length, keysDead, keys: keys.length },
    ...{ recoverySeconds, readySeconds, wrong },
  }

  /** @returns how many were refreshed */
  async function rotateAll(ids: readonly string[]): Promise<number> {
    let done = 0
    await each(ids, async (id, n) => {
      const { status, code } = await rotate(rig, replicaOf(n + Math.floor(Math.random() * 3)), id)
      if (status === 200 && code === '') done++
      else wrong.push(`refresh of ${id} was answered ${status} ${code}`)
    })
    return done
  }

  async function connect(replica: Replica, owner: string): Promise<string> {
    const person = rig.tiktok.people.find(`person-${owner}`)?.id ?? rig.tiktok.people.add({ id: `person-${owner}` }).id
    const opened = await rig.call(replica, 'POST', '/connect-sessions', {
      ...{ owner_id: owner, return_url: returnUrl, account_type: 'creator', age_confirmed: true },
    })
    expect('connect session', opened, 201)
    const back = await startBrowser(replica.url, publicUrl, rig.tiktok).walk(String(opened.body.authorize_url), { person })
    const confirm = back.searchParams.get('confirm') ?? ''
    const completed = await rig.call(replica, 'POST', `/connect-sessions/${opened.body.id}/complete`, {
      owner_id: owner,
      confirm,
    })
    expect('complete', completed, 201)
    const account = { id: String(completed.body.id), openId: String(completed.body.open_id), person }
    rig.adopt(account)
    return account.id
  }

  function expect(what: string, answer: { status: number; body: Record<string, unknown> }, status: number): void {
    if (answer.status !== status) wrong.push(`${what} was answered ${answer.status} ${String(answer.body.code ?? '')}`)
  }

  async function highestEvent(): Promise<{ high: number }> {
    const [row] = await rig.sql<{ high: number }[]>`select coalesce(max(seq), 0)::int as high from events`
    return { high: row?.high ?? 0 }
  }
}

/** Until every replica has counted on twice: then each has told its journal what it saw. */
async function beats(rig: Rig): Promise<void> {
  const marks = async () => rig.sql<{ id: string; mark: number }[]>`select id, mark::int as mark from journals order by id`
  const before = new Map((await marks()).map(({ id, mark }) => [id, mark]))
  await eventually('every replica beats twice', async () =>
    (await marks()).every(({ id, mark }) => mark >= (before.get(id) ?? 0) + 2),
  )
}

/** As `pg_dump` and a restore of it would leave it; connections are cut for the moment that it takes. */
export async function copyDatabase(url: string, to: string): Promise<void> {
  const { name, admin } = administrator(url)
  try {
    await admin.unsafe(`alter database ${name} with allow_connections false`)
    await admin`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${name}`
    await admin.unsafe(`drop database if exists ${name}_${to}`)
    await admin.unsafe(`create database ${name}_${to} template ${name}`)
  } finally {
    await admin.unsafe(`alter database ${name} with allow_connections true`)
    await admin.end()
  }
}

export async function restoreDatabase(url: string, from: string): Promise<void> {
  const { name, admin } = administrator(url)
  await admin.unsafe(`drop database ${name} with (force)`)
  await admin.unsafe(`alter database ${name}_${from} rename to ${name}`)
  await admin.unsafe(`alter database ${name} with allow_connections true`)
  await admin.end()
}

function administrator(url: string) {
  const server = new URL(url)
  const name = server.pathname.slice(1)
  server.pathname = '/template1'
  return { name, admin: postgres(server.href, { max: 1, onnotice: () => {} }) }
}

async function each<T>(items: readonly T[], work: (item: T, index: number) => Promise<void>): Promise<void> {
  let next = 0
  const worker = async () => {
    for (let index = next++; index < items.length; index = next++) await work(items[index] as T, index)
  }
  await Promise.all(Array.from({ length: 24 }, worker))
}
