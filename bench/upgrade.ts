// `npm run upgrade`: the release before this one (or `--from REF`) and this one on one database, in the order of docs/upgrading.md, while people
// connect and callers read, refresh and reserve: the old one on the new schema, both at once, and back. Exit code 1 when a call failed.
// `--rehearse`: this release and one that nobody has made yet, with a migration more.
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Agent, setGlobalDispatcher } from 'undici'
import { freePort } from '../examples/demo/ports.ts'
import { keyScopes } from '../src/access/key-scopes.ts'
import { eventually } from '../test/rig/eventually.ts'
import { startFieldLoad } from '../test/rig/field-load.ts'
import { noHaproxy, startHaproxy } from '../test/rig/haproxy.ts'
import { violations } from '../test/rig/invariants.ts'
import { checkOut, makeNext, type Release, releaseBefore, thisRelease } from '../test/rig/release.ts'
import type { Replica } from '../test/rig/replica.ts'
import { type Rig, returnUrl, startRig } from '../test/rig/rig.ts'
import { rotate } from '../test/rig/rotate.ts'
import { makeAuthority, noOpenssl } from '../test/rig/tls-postgres.ts'
import { startBrowser } from '../test/world.ts'
import { startEmbeddedPostgres } from '../tools/embedded-postgres/embedded.ts'

const { values } = parseArgs({
  options: {
    from: { type: 'string' },
    rehearse: { type: 'boolean', default: false },
    rate: { type: 'string', default: '20' },
    seconds: { type: 'string', default: '15' },
    accounts: { type: 'string', default: '10' },
  },
})
const missing = [noHaproxy, noOpenssl].filter((word) => word !== false)
for (const word of missing) console.error(word)
if (missing.length > 0) process.exit(1)

const wrong: string[] = []
const endings: (() => unknown)[] = []
const t = { teardown: (end: () => unknown) => void endings.push(end) }
const rows: string[] = []

try {
  const [old, next] = values.rehearse
    ? [thisRelease, await makeNext(t)]
    : [await checkOut(t, values.from ?? (await releaseBefore())), thisRelease]
  console.log(`from ${old.name} to ${next.name}`)

  const dataDir = await mkdtemp(join(tmpdir(), 'tiktok-oauth-service-upgrade-'))
  t.teardown(() => rm(dataDir, { recursive: true, force: true }))
  const server = await startEmbeddedPostgres({ dataDir, throwaway: true, settings: { max_connections: '100' } })
  t.teardown(() => server.stop())
  const authority = await makeAuthority(t)
  const ports = [await freePort(0), await freePort(0), await freePort(0)]
  const haproxy = await startHaproxy(t, await authority.issue('127.0.0.1', ['IP:127.0.0.1']), ports)
  const rootCertificate = await readFile(authority.rootFile, 'utf8')
  setGlobalDispatcher(new Agent({ connect: { ca: rootCertificate } }))
  const rig = await startRig(t, server.url, { rootCertificate, makeKey: (rig) => keyOf(old, rig) })
  const operator = { ...rig.environment('operator'), LOG_LEVEL: 'warn' }
  await old.cli(['migrate'], operator)

  const serving = new Map<number, { replica: Replica; release: Release }>()
  const start = async (place: number, release: Release) => {
    const replica = await rig.start(`place-${place}`, {
      root: release.dir,
      preloads: [],
      env: {
        PORT: String(ports[place]),
        MIGRATE: 'off',
        PUBLIC_URL: haproxy.url,
        TRUSTED_PROXIES: '127.0.0.1',
        SHUTDOWN_DELAY_SECONDS: '3',
        LOG_LEVEL: 'info',
      },
    })
    serving.set(place, { replica, release })
    await allThere()
  }
  const end = async (place: number) => {
    const { replica } = serving.get(place) ?? {}
    serving.delete(place)
    replica?.signal('SIGTERM')
    const code = await replica?.ended()
    if (code !== 0) wrong.push(`place ${place} ended with ${code}`)
  }
  const allThere = () => eventually('all are sent calls', async () => (await haproxy.up()) === serving.size)
  /** As a rolling update goes: one at a time, and the next when the one before is ready. */
  const roll = async (release: Release) => {
    for (const place of [...serving.keys()]) {
      await end(place)
      await start(place, release)
    }
  }

  await start(0, old)
  await start(1, old)
  for (let n = 0; n < Number(values.accounts); n++) await connect(rig, haproxy.url, n)
  const load = startFieldLoad(rig, { url: haproxy.url }, Number(values.rate))
  t.teardown(load.stop)

  const step = async (name: string, work: () => Promise<void>) => {
    const { calls, failed, stallMs } = await load.during(async () => {
      await work()
      await pause(Number(values.seconds) * 1000)
    })
    const told = failed.size === 0 ? '0' : [...failed].map(([code, count]) => `${count} × ${code}`).join(', ')
    if (failed.size > 0) wrong.push(`${name}: ${told}`)
    rows.push(`| ${name} | ${calls} | ${told} | ${(stallMs / 1000).toFixed(1)} s |`)
    console.log(`${name}: ${calls} calls, failed: ${told}`)
  }

  await step('the release before, on its own schema', async () => {})
  const check = await next.cli(['migrate', '--check'], operator, [0, 1])
  console.log(check.stdout.trim().split('\n').slice(0, 20).join('\n'))
  if (check.code === 1)
    await step('this release refuses the old schema (MIGRATE=off), and the other one serves on', () =>
      refusedBy(rig, next, ports[2] ?? 0),
    )
  else
    await step('nothing is pending: both on the old schema', async () => {
      await start(2, next)
      await pause(Number(values.seconds) * 1000)
      await end(2)
    })
  await step('`migrate` while the release before serves, and then on the new schema', async () => {
    await next.cli(['migrate'], operator)
  })
  const after = await next.cli(['migrate', '--check'], operator, [0, 1])
  if (after.code !== 0) wrong.push(`after migrate: ${after.stdout}`)
  await step('rolling update: both at once', () => roll(next))
  await step('rolling back: the release before on the new schema', () => roll(old))
  await step('and forward again', () => roll(next))

  const connected = await load.stop()
  for (const { id } of rig.accounts) {
    const { read, status, code } = await rotate(rig, { url: haproxy.url }, id)
    if (status !== 200) wrong.push(`${id} was answered ${read.status} and then ${status} ${code}`)
  }
  wrong.push(...(await violations(rig)))
  const slots = await rig.sql<{ id: string }[]>`select id from uploads`
  const kept = new Set(slots.map(({ id }) => id))
  const gone = load.reserved.filter((id) => !kept.has(id))
  if (gone.length > 0 || slots.length !== load.reserved.length)
    wrong.push(
      `callers were given ${load.reserved.length} upload slots, and the database has ${slots.length}; ${gone.length} are lost`,
    )
  const lost = await rig.sql`select id from accounts where status <> 'active'`
  if (lost.length > 0) wrong.push(`${lost.length} accounts were lost`)
  const { double_spend_count: presentedTwice, refreshes_processed: refreshes } = rig.tiktok.stats.report()
  for (const place of [...serving.keys()]) await end(place)

  console.log(`\n| step | calls | failed | this machine stood still for |\n|---|---|---|---|\n${rows.join('\n')}`)
  console.log(`\n${rig.accounts.length} accounts, ${connected} of them connected meanwhile; ${refreshes} refreshes`)
  console.log(
    `${lost.length} accounts lost, ${presentedTwice} refresh tokens presented twice; ${slots.length} upload slots for ${load.reserved.length} that were given`,
  )
} catch (error) {
  wrong.push(error instanceof Error ? (error.stack ?? error.message) : String(error))
} finally {
  for (const end of endings.toReversed()) await end()
}
for (const line of wrong.slice(0, 30)) console.log(`WRONG: ${line}`)
process.exitCode = wrong.length === 0 ? 0 : 1

/** It has to end with a sentence, and to have changed nothing. */
async function refusedBy(rig: Rig, release: Release, port: number): Promise<void> {
  const replica = await rig.start('too-early', {
    root: release.dir,
    preloads: [],
    ready: false,
    env: { PORT: String(port), MIGRATE: 'off', LOG_LEVEL: 'info' },
  })
  const code = await replica.ended()
  if (code !== 1 || !/The database is not up to date, and MIGRATE=off/.test(replica.logged()))
    wrong.push(`on the old schema this release ended with ${code}: ${replica.logged().slice(-500)}`)
}

async function keyOf(release: Release, rig: Rig): Promise<string> {
  const scopes = keyScopes.flatMap((scope) => ['--scope', scope])
  return (await release.cli(['keys', 'create', '--name', 'rig', ...scopes], rig.environment('operator'))).stdout.trim()
}

async function connect(rig: Rig, url: string, n: number): Promise<void> {
  const person = rig.tiktok.people.add({ id: `first-${n}` })
  const owner = { owner_id: 'user_upgrade' }
  const opened = await rig.call({ url }, 'POST', '/connect-sessions', {
    ...owner,
    return_url: returnUrl,
    account_type: 'creator',
    age_confirmed: true,
  })
  if (opened.status !== 201) throw new Error(`a connect session was answered ${opened.status}: ${JSON.stringify(opened.body)}`)
  const back = await startBrowser(url, url, rig.tiktok).walk(String(opened.body.authorize_url), { person: person.id })
  const confirmed = { ...owner, confirm: back.searchParams.get('confirm') }
  const { status, body } = await rig.call({ url }, 'POST', `/connect-sessions/${opened.body.id}/complete`, confirmed)
  if (status !== 201) throw new Error(`a connect was answered ${status}: ${JSON.stringify(body)}`)
  rig.adopt({ id: String(body.id), openId: rig.tiktok.people.openIdOf(person), person: person.id })
}
