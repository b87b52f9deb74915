// Three replicas behind HAProxy (Debian's), restarted one after the other, twice each, while uploaders read tokens and reserve slots: how many calls
// failed (F67). Needs `haproxy`; no figure to compare, it ends with 1 if any call failed.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Agent, request } from 'undici'
import { migrate } from '../src/db/migrate.ts'
import { createApiKey, keyScopes } from '../src/http/api-keys.ts'
import { eventually } from '../test/rig/eventually.ts'
import type { Replica } from '../test/rig/replica.ts'
import { startRig } from '../test/rig/rig.ts'
import { startEmbeddedPostgres } from '../tools/embedded-postgres/embedded.ts'

const delaySeconds = Number(process.env.SHUTDOWN_DELAY_SECONDS ?? 5)
const perSecond = Number(process.env.BENCH_RATE ?? 60)
const restarts = Number(process.env.BENCH_RESTARTS ?? 6)

const dataDir = await mkdtemp(join(tmpdir(), 'tiktok-oauth-service-rolling-'))
const endings: (() => unknown)[] = [() => rm(dataDir, { recursive: true, force: true })]
try {
  const server = await startEmbeddedPostgres({ dataDir })
  endings.unshift(() => server.stop())
  await migrate({ url: server.url })
  const rig = await startRig({ teardown: (work: () => unknown) => endings.unshift(work) }, server.url)
  const accounts = await rig.seed({ count: 50, secondsLeft: 7200 })
  const { key } = await createApiKey(rig, { name: 'rolling', scopes: [...keyScopes], expiresAt: null })

  const ports = await freePorts(5)
  const [door = 0, stats = 0, ...places] = ports
  const env = (port: number) => ({ PORT: String(port), SHUTDOWN_DELAY_SECONDS: String(delaySeconds), LOG_LEVEL: 'info' })
  const start = (port: number) => rig.start(`replica-${port}`, { env: env(port), preloads: [] })
  const replicas = new Map<number, Replica>()
  for (const port of places) replicas.set(port, await start(port))

  const haproxy = await startHaproxy(join(dataDir, 'haproxy.cfg'), { door, stats, places })
  endings.unshift(() => end(haproxy))
  const origin = `http://127.0.0.1:${door}`
  await eventually('HAProxy has three', async () => (await upAt(stats)) === places.length)

  const agent = new Agent({ connections: 64, pipelining: 1 })
  endings.unshift(() => agent.destroy())
  const failed: string[] = []
  let calls = 0
  const call = async (n: number) => {
    const account = accounts[n % accounts.length]?.id ?? ''
    const reserve = n % 4 === 3
    calls++
    try {
      const { statusCode, body } = await request(`${origin}/accounts/${account}/${reserve ? 'uploads' : 'token'}`, {
        dispatcher: agent,
        method: reserve ? 'POST' : 'GET',
        headers: { authorization: `Bearer ${key}`, ...(reserve ? { 'idempotency-key': `roll-${n}` } : {}) },
      })
      const text = await body.text()
      // A full quota is an answer, not a failure.
      if (statusCode >= 400 && statusCode !== 429) failed.push(`${statusCode} ${text.slice(0, 120)}`)
    } catch (error) {
      failed.push(error instanceof Error ? error.message : 'failed')
    }
  }

  const over = new AbortController()
  const load = (async () => {
    const underWay: Promise<void>[] = []
    for (let n = 0; !over.signal.aborted; n++) {
      underWay.push(call(n))
      await sleep(1000 / perSecond)
    }
    await Promise.all(underWay)
  })()

  for (let n = 0; n < restarts; n++) {
    const port = places[n % places.length] ?? 0
    const replica = replicas.get(port)
    if (!replica) throw new Error('Every place has a replica')
    replica.signal('SIGTERM')
    const code = await replica.ended(60_000)
    replicas.set(port, await start(port))
    await eventually('HAProxy has three again', async () => (await upAt(stats)) === places.length, 60_000)
    console.log(`restart ${n + 1} of ${restarts}: exit code ${code}, ${calls} calls so far, ${failed.length} failed`)
  }
  over.abort()
  await load
  console.log(`${calls} calls over ${restarts} restarts with SHUTDOWN_DELAY_SECONDS=${delaySeconds}: ${failed.length} failed`)
  for (const failure of new Set(failed)) console.log(`  ${failure}`)
  if (failed.length > 0) process.exitCode = 1
} finally {
  for (const ending of endings) await ending()
}

async function startHaproxy(
  file: string,
  { door, stats, places }: { door: number; stats: number; places: number[] },
): Promise<ChildProcess> {
  const servers = places.map((port) => `  server s${port} 127.0.0.1:${port} check inter 500ms fall 2 rise 1`)
  await writeFile(
    file,
    `defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
listen service
  bind 127.0.0.1:${door}
  option httpchk GET /health/ready
  http-check expect status 200
${servers.join('\n')}
listen stats
  bind 127.0.0.1:${stats}
  stats enable
  stats uri /
`,
  )
  const child = spawn('haproxy', ['-f', file, '-db'], { stdio: 'inherit' })
  await Promise.race([
    once(child, 'spawn'),
    once(child, 'error').then(() => {
      throw new Error('haproxy is not here: `apt-get install haproxy` brings it')
    }),
  ])
  return child
}

/** @returns how many of the replicas HAProxy sends calls to */
async function upAt(stats: number): Promise<number> {
  const answer = await request(`http://127.0.0.1:${stats}/;csv`).catch(() => undefined)
  const lines = (await answer?.body.text())?.split('\n') ?? []
  return lines.filter((line) => /^service,s\d+,/.test(line) && line.split(',')[17] === 'UP').length
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1')
      await once(server, 'listening')
      return server
    }),
  )
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return ports
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill('SIGTERM')
  await exit
}
