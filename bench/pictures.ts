// `npm run pictures`: the dashboard's panels over two replicas under load, asked of Debian's Prometheus (apt-get install prometheus) and drawn into
// docs/pictures. Exit code 1 when a panel's question has no answer. `-- --seconds 120` is how long is watched.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { request } from 'undici'
import { freePort } from '../examples/demo/ports.ts'
import { type Panel, rows } from '../ops/grafana/dashboard.ts'
import { migrate } from '../src/db/migrate.ts'
import { eventually } from '../test/rig/eventually.ts'
import { startFieldLoad } from '../test/rig/field-load.ts'
import { startReceiver } from '../test/rig/receiver.ts'
import { startRig } from '../test/rig/rig.ts'
import { startEmbeddedPostgres } from '../tools/embedded-postgres/embedded.ts'
import { drawRow, type Line } from './picture.ts'

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '120' } } })
const seconds = Number(values.seconds)
const repository = join(import.meta.dirname, '..')
const metricsToken = 'only-for-these-pictures'
if (spawnSync('prometheus', ['--version']).status !== 0) {
  console.error('npm run pictures needs Prometheus: apt-get install prometheus')
  process.exit(1)
}

const endings: (() => unknown)[] = []
const scope = { teardown: (end: () => unknown) => endings.push(end) }
const dir = await mkdtemp(join(tmpdir(), 'tts-pictures-'))
const server = await startEmbeddedPostgres({ dataDir: join(dir, 'postgres'), throwaway: true })
await migrate(server.url)
let unanswered = 0
try {
  const rig = await startRig(scope, server.url)
  const receiver = await startReceiver(scope)
  const env = {
    METRICS_TOKEN: metricsToken,
    EVENT_WEBHOOKS: `${receiver.url}|${Buffer.alloc(24, 'whsec').toString('base64')}`,
    LOG_LEVEL: 'info',
  }
  const replicas = await Promise.all(['one', 'two'].map((name) => rig.start(name, { env, preloads: [] })))
  await rig.seed({ count: 400 })

  const prometheus = await startPrometheus(replicas.map(({ url }) => new URL(url).host))
  const loads = replicas.map((replica) => startFieldLoad(rig, replica, 20))
  const from = Date.now() / 1000
  // Accounts that were read a while ago, for the background to refresh ahead of time.
  for (const share of [0.1, 0.3, 0.5, 0.7, 0.9]) {
    const idle = await rig.seed({ count: 100, secondsLeft: seconds + 300, dueInSeconds: share * seconds })
    await rig.sql`update token_sets set last_read_at = now() - interval '10 minutes' where account_id = any(${idle.map(({ id }) => id)})`
  }
  await pause((seconds / 3) * 1000)
  // For a moment TikTok fails, so that there is something to see.
  for (let n = 0; n < 8; n++) rig.tiktok.faults.add({ route: 'token', status: 502, body: 'x' })
  await pause((seconds / 3) * 1000)
  for (const { id } of rig.accounts.slice(-5)) await rig.call(replicas[0] ?? { url: '' }, 'DELETE', `/accounts/${id}`)
  await pause((seconds / 3) * 1000)
  for (const load of loads) await load.stop()

  await mkdir(join(repository, 'docs/pictures'), { recursive: true })
  for (const [row, panels] of Object.entries(rows)) {
    const drawn = await Promise.all(panels.map(async (panel) => ({ panel, lines: await linesOf(prometheus, panel, from) })))
    for (const { panel, lines } of drawn) {
      if (lines.some(({ points }) => points.length > 0)) continue
      unanswered += 1
      console.log(`${row}: ${panel.title}: no answer`)
    }
    const svg = drawRow(row, seconds, drawn)
    await writeFile(join(repository, 'docs/pictures', `${row.toLowerCase()}.svg`), svg)
    console.log(`docs/pictures/${row.toLowerCase()}.svg: ${panels.length} panels, ${Math.round(svg.length / 1024)} kB`)
  }
} finally {
  for (const end of endings.toReversed()) await end()
  await server.stop()
  await rm(dir, { recursive: true, force: true })
}
process.exitCode = unanswered === 0 ? 0 : 1

/** @returns its address, once it has scraped every target */
async function startPrometheus(targets: string[]): Promise<string> {
  const config = {
    global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '2s' },
    rule_files: [join(repository, 'ops/prometheus/rules.yaml')],
    scrape_configs: [{ job_name: 'tiktok-oauth', authorization: { credentials: metricsToken }, static_configs: [{ targets }] }],
  }
  const file = join(dir, 'prometheus.yaml')
  await writeFile(file, JSON.stringify(config))
  const address = `127.0.0.1:${await freePort(0)}`
  const options = [`--config.file=${file}`, `--storage.tsdb.path=${join(dir, 'tsdb')}`, `--web.listen-address=${address}`]
  const child = spawn('prometheus', [...options, '--log.level=error'], { stdio: ['ignore', 'inherit', 'inherit'] })
  endings.push(async () => {
    const exit = once(child, 'exit')
    child.kill('SIGTERM')
    await exit
  })
  await eventually('Prometheus has scraped everybody', async () => {
    const answer = await request(`http://${address}/api/v1/query?query=count(up==1)`).catch(() => undefined)
    const { data } = ((await answer?.body.json().catch(() => undefined)) ?? {}) as {
      data?: { result: { value: [number, string] }[] }
    }
    return Number(data?.result[0]?.value[1]) === targets.length
  })
  return `http://${address}`
}

/** What a panel would show: a line for each series of each of its questions. */
async function linesOf(prometheus: string, panel: Panel, from: number): Promise<Line[]> {
  const lines: Line[] = []
  for (const [name, query] of Object.entries(panel.lines)) {
    const asked = new URLSearchParams({
      query: query.replaceAll('$__rate_interval', '15s'),
      start: String(from),
      end: String(from + seconds),
      step: '3',
    })
    const { body } = await request(`${prometheus}/api/v1/query_range?${asked}`)
    const { status, error, data } = (await body.json()) as {
      status: string
      error?: string
      data: { result: { metric: Record<string, string>; values: [number, string][] }[] }
    }
    if (status !== 'success') throw new Error(`${panel.title}: ${error}`)
    for (const { metric, values } of data.result) {
      const points = values
        .map(([at, value]) => ({ second: at - from, value: Number(value) }))
        .filter(({ value }) => Number.isFinite(value))
      if (points.length > 0) lines.push({ name: name.replace(/\{\{(\w+)\}\}/g, (_, label) => metric[label] ?? ''), points })
    }
  }
  return lines
}
