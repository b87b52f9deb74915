// The rules and the dashboard ask for metrics that there are; every alert has its page, fires when it should and is quiet when it should not.
// What Prometheus itself thinks of it is asked of promtool where that is installed (Debian: apt-get install prometheus).
import { execFile, execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { rows } from '../../ops/grafana/dashboard.ts'
import { createMetrics } from '../../src/metrics.ts'
import { ownFolder } from '../folder.ts'

const root = join(import.meta.dirname, '..', '..')
const rulesFile = join(root, 'ops/prometheus/rules.yaml')
const rules = readFileSync(rulesFile, 'utf8')
const alerts = [...rules.matchAll(/- alert: (\w+)\n +expr: (.+)\n/g)].map(([, name = '', query = '']) => ({ name, query }))
const recorded = [...rules.matchAll(/- record: (\S+)\n +expr: (.+)\n/g)].map(([, name = '', query = '']) => ({ name, query }))
const runbook = readFileSync(join(root, 'docs/runbook.md'), 'utf8')
const { definitions, registry } = createMetrics()
const folder = await ownFolder(t, 'rules')
const hasPromtool = (() => {
  try {
    return execFileSync('promtool', ['--version']).length >= 0
  } catch {
    return false
  }
})()
const without = hasPromtool ? {} : { skip: 'promtool is not installed: apt-get install prometheus' }

/** The metrics a query asks for: what is left without labels, functions and keywords. */
function namesIn(query: string): string[] {
  const bare = query
    .replace(/"[^"]*"/g, '')
    .replace(/\{[^}]*\}/g, '')
    .replace(/\[[^\]]*\]/g, '')
    .replace(/\b(by|on|group_left|ignoring|without) ?\([^)]*\)/g, '')
    .replace(/\boffset \w+/g, '')
    .replace(/\b[a-z_]+\(/g, '(')
  return [...bare.matchAll(/[a-z_][\w:]*/g)]
    .map(([name]) => name)
    .filter((name) => !/^(and|or|unless|bool|sum|max|min|count|topk|histogram_quantile|e\d*)$/.test(name))
}

t.test('the rules and the dashboard ask for nothing that is not exposed', async (t) => {
  const exposed = new Set([
    ...definitions.flatMap(({ name, type }) =>
      type === 'histogram' ? ['bucket', 'sum', 'count'].map((part) => `${name}_${part}`) : [name],
    ),
    ...(await registry.getMetricsAsJSON()).map(({ name }) => name).filter((name) => /^(process|nodejs)_/.test(name)),
    ...recorded.map(({ name }) => name),
  ])
  const panels = Object.values(rows).flatMap((some) =>
    some.flatMap(({ title, lines }) => Object.values(lines).map((query) => [title, query])),
  )
  const asked = [...[...alerts, ...recorded].map(({ name, query }) => [name, query]), ...panels]
  for (const [name = '', query = ''] of asked) {
    const names = namesIn(query)
    t.ok(names.length > 0, `${name} asks for something`)
    t.strictSame(
      names.filter((each) => !exposed.has(each)),
      [],
      name,
    )
  }
})

t.test('and for no label value that is not there', async (t) => {
  const closed = new Map<string, Set<string>>()
  for (const { labels } of definitions)
    for (const [label, values] of Object.entries(labels)) {
      if (values !== null) closed.set(label, new Set([...(closed.get(label) ?? []), ...values]))
    }
  for (const { name, query } of [...alerts, ...recorded]) {
    for (const [, label = '', , values = ''] of query.matchAll(/(\w+)(=~|!=|!~|=)"([^"]*)"/g))
      t.strictSame(
        values.split('|').filter((value) => !closed.get(label)?.has(value)),
        [],
        name,
      )
  }
})

t.test('every panel is in the pictures of docs/dashboard.md: `npm run pictures` draws them', async (t) => {
  const page = readFileSync(join(root, 'docs/dashboard.md'), 'utf8')
  for (const [row, panels] of Object.entries(rows)) {
    const picture = `pictures/${row.toLowerCase()}.svg`
    t.match(page, picture)
    const svg = readFileSync(join(root, 'docs', picture), 'utf8')
    for (const { title } of panels) t.match(svg, `>${title}</text>`)
  }
})

t.test('every alert has a heading in the runbook, and every heading is one', async (t) => {
  const headings = [...runbook.matchAll(/^### (\w+)$/gm)].map(([, heading]) => heading)
  t.strictSame(headings.toSorted(), alerts.map(({ name }) => name).toSorted())
  for (const { name } of alerts) t.match(rules, `docs/runbook.md#${name.toLowerCase()}\n`)
})

t.test('the one command of the page puts an address of your own into every alert', async (t) => {
  const [, from = '', to = ''] = /^sed 's#([^#]+)#([^#]+)#' ops\/prometheus\/rules\.yaml/m.exec(runbook) ?? []
  const own = rules.replaceAll(from, to)
  t.equal(own.split(`runbook_url: ${to}/docs/runbook.md#`).length, alerts.length + 1)
  t.notMatch(own, /YOUR-ORGANISATION/)
})

interface Trial {
  /** by series, values a minute apart: `1x60`, `0+5x120` */
  fires: Record<string, string>
  quiet: Record<string, string>
  /** when both are looked at, in minutes; 70 unless given */
  atMinutes?: number
  /** values are ten minutes apart, and looked at each half hour: for windows of days */
  days?: boolean
}

const at = (series: string, high: string, low: string, more: Record<string, string> = {}): Trial => ({
  fires: { [series]: high, ...more },
  quiet: { [series]: low, ...more },
})
const code = (name: string) => `token_vends_total{code="${name}",instance="a"}`
const late = 'token_refreshes_in_time_total{timeliness="after_expiry",instance="a"}'
const inTime = 'token_refreshes_in_time_total{timeliness="before_expiry",instance="a"}'
const check = (name: string) => `service_check{check="${name}",instance="a"}`
const active = { 'accounts{status="active",reason="none",instance="a"}': '1000x200' }
const tiktok = (outcome: string) => `tiktok_requests_total{endpoint="refresh",outcome="${outcome}",instance="a"}`
const slow = (name: string, labels = '') => ({
  [`${name}_bucket{${labels}le="1",instance="a"}`]: '0+1x200',
  [`${name}_bucket{${labels}le="3",instance="a"}`]: '0+1x200',
  [`${name}_bucket{${labels}le="12",instance="a"}`]: '0+100x200',
  [`${name}_bucket{${labels}le="+Inf",instance="a"}`]: '0+100x200',
})
const quick = (name: string, labels = '') =>
  Object.fromEntries(Object.keys(slow(name, labels)).map((series) => [series, '0+100x200']))

const threeDays = { atMinutes: 4350, days: true }

const trials: Record<string, Trial> = {
  VendBudgetBurnsFast: { ...at(code('overloaded'), '0+30x120', '0+2x120', { [code('ok')]: '0+1000x120' }) },
  VendBudgetBurnsSlowly: {
    ...at(code('tiktok_unavailable'), '0+50x450', '0+3x450', { [code('ok')]: '0+10000x450' }),
    ...threeDays,
  },
  RefreshBudgetBurnsFast: { ...at(late, '0+3x120', '0+0.2x120', { [inTime]: '0+1000x120' }) },
  RefreshBudgetBurnsSlowly: { ...at(late, '0+10x450', '0+0.5x450', { [inTime]: '0+10000x450' }), ...threeDays },
  ServiceAway: at('service_ready{instance="a"}', '0x100', '1x100'),
  ReplicaNotReady: at('service_ready{instance="a"}', '0x100', '1x100', { 'service_ready{instance="b"}': '1x100' }),
  KeyringMismatch: at(check('keyring'), '0x100', '1x100', { [check('database')]: '1x100' }),
  MigrationsPending: at(check('migrations'), '0x100', '1x100', { [check('database')]: '1x100' }),
  ReplicaRestarts: at('process_start_time_seconds{instance="a"}', '0+300x100', '60x100'),
  ReleasesMixed: at('service_build_info{version="2",instance="b"}', '1x100', '_x100', {
    'service_build_info{version="1",instance="a"}': '1x100',
  }),
  LoopSilent: at('background_last_success_timestamp_seconds{loop="refresher",instance="a"}', '10x100', '0+60x100'),
  LoopFails: at('background_failures_total{loop="refresher",instance="a"}', '0+1x100', '0+0.1x100'),
  FiguresOld: at('fleet_gauges_age_seconds{instance="a"}', '0+60x100', '25x100'),
  RefreshesOverdue: at('refresh_oldest_due_age_seconds{instance="a"}', '400x100', '20x100'),
  RefusalBrakeHolds: at('circuit_breaker_open{reason="invalid_grant",instance="a"}', '1x100', '0x100'),
  ClientRefused: at('circuit_breaker_open{reason="client_refused",instance="a"}', '1x100', '0x100'),
  BreakerOpen: at('circuit_breaker_open{reason="throttled",instance="a"}', '1x100', '0x68 1x5'),
  TokenSpentTwice: at('exactly_once_violation_total{instance="a"}', '0x60 1x40', '0x100'),
  TokensUnsaved: at('unsaved_tokens{instance="a"}', '3x100', '0x100'),
  ReauthorizationsRise: at(
    'accounts{status="reauthorization_required",reason="refresh_token_rejected",instance="a"}',
    '10x30 90x100',
    '10x30 15x100',
    active,
  ),
  GrantsEnd: { ...at('grants_ending{within="7d",instance="a"}', '50x200', '5x200', active), atMinutes: 90 },
  RevocationsStuck: at('revocations_oldest_age_seconds{instance="a"}', '30000x100', '60x100'),
  TikTokUnavailable: at(tiktok('unavailable'), '0+50x100', '0+1x100', { [tiktok('ok')]: '0+100x100' }),
  TikTokThrottles: at(tiktok('throttled'), '0+2x100', '0+0.1x100'),
  TikTokSlow: {
    fires: slow('tiktok_request_duration_seconds', 'endpoint="refresh",'),
    quiet: quick('tiktok_request_duration_seconds', 'endpoint="refresh",'),
  },
  PeopleDoNotReturn: at('tiktok_departures_without_return{instance="a"}', '5x100', '4x100'),
  ScopesNarrowed: at('authorizations_narrowed_total{cause="refused",instance="a"}', '0x60 1x40', '0x100'),
  LifetimesAssumed: at('tiktok_assumed_lifetimes_total{instance="a"}', '0x60 1x40', '0x100'),
  NoticesStuck: at('tiktok_notices_oldest_age_seconds{instance="a"}', '1000x100', '30x100'),
  NoticesRefused: at('tiktok_notices_total{outcome="refused",instance="a"}', '0+5x100', '0+0.5x100'),
  UploadsClosed: at('upload_accounts{state="closed",instance="a"}', '80x100', '12x100', active),
  UploadsLate: at('upload_slots_total{outcome="late",instance="a"}', '0+1x100', '0+0.01x100', {
    'upload_slots_total{outcome="committed",instance="a"}': '0+5x100',
  }),
  DeliveriesLate: at('event_oldest_delivery_age_seconds{instance="a"}', '1000x100', '30x100'),
  DeliveriesDead: at('event_dead_letters{instance="a"}', '1x100', '0x100'),
  AuditStreamLags: at('audit_stream_lag_seconds{instance="a"}', '700x100', '40x100'),
  DatabaseAway: at(check('database'), '0x100', '1x100'),
  DatabaseRewound: at('database_rewound{instance="a"}', '1x100', '0x100'),
  PoolExhausted: at('database_overloads_total{instance="a"}', '0+5x100', '0x100'),
  PoolBusy: at('database_statements_waiting{instance="a"}', '9x100', '1x100'),
  StatementsSlow: {
    fires: slow('database_statement_duration_seconds', 'name="vend_token_sets",'),
    quiet: quick('database_statement_duration_seconds', 'name="vend_token_sets",'),
  },
  ConnectionsLost: at('database_trouble_total{kind="connection_lost",instance="a"}', '0+3x100', '0+0.1x100'),
  JournalWaits: at('spill_files{instance="a"}', '2x100', '0x68 2x5'),
  JournalWriteFails: at('spill_write_failures_total{instance="a"}', '0+1x100', '4x100'),
  JournalCopyLags: at('journal_copy_lag_seconds{instance="a"}', '90x100', '2x100'),
  VaultKeyWorn: at('vault_key_seals{key="k1",instance="a"}', '2200000000x100', '1000000x100'),
  CallersGuess: at('security_refusals_total{kind="unauthenticated",instance="a"}', '0+600x100', '0+10x100'),
  RedisAway: at('redis_state{state="away",instance="a"}', '1x100', '0x100'),
  JwksAway: at('jwks_fetches_total{outcome="failed",instance="a"}', '0+1x100', '0x100', {
    'jwks_fetches_total{outcome="fetched",instance="a"}': '0x100',
  }),
}

t.test('every alert has a trial', async (t) => {
  t.strictSame(Object.keys(trials).toSorted(), alerts.map(({ name }) => name).toSorted())
})

t.test('promtool: the rules are whole', without, async (t) => {
  t.match(await promisify(execFile)('promtool', ['check', 'rules', rulesFile]), { stdout: /SUCCESS/ })
})

t.test('promtool: the questions of the panels and of the page are PromQL', without, async (t) => {
  const queries = [
    ...definitions.map(({ query }) => query),
    ...Object.values(rows).flatMap((some) => some.flatMap(({ lines }) => Object.values(lines))),
  ]
  const file = join(folder, 'queries.json')
  const asRules = queries.map((query, place) => ({ record: `asked:${place}`, expr: query.replaceAll('$__rate_interval', '5m') }))
  writeFileSync(file, JSON.stringify({ groups: [{ name: 'asked', rules: asRules }] }))
  t.match(await promisify(execFile)('promtool', ['check', 'rules', file]), { stdout: `${queries.length} rules found` })
})

/** Trials that ask for different metrics do not disturb each other: one run of Prometheus for as many as will go. */
function together(all: [string, Trial][], kind: 'fires' | 'quiet'): [string, Trial][][] {
  const namesOf = (trial: Trial) => Object.keys(trial[kind]).map((series) => series.replace(/(_bucket)?\{.*/, ''))
  const runs: { names: Set<string>; some: [string, Trial][] }[] = []
  for (const one of all) {
    const names = namesOf(one[1])
    let run = runs.find((each) => names.every((name) => !each.names.has(name)))
    if (!run) {
      run = { names: new Set(), some: [] }
      runs.push(run)
    }
    run.some.push(one)
    for (const name of names) run.names.add(name)
  }
  return runs.map(({ some }) => some)
}

for (const days of [false, true]) {
  t.test(`promtool: each alert fires, and stays quiet (${days ? 'within days' : 'within hours'})`, without, async (t) => {
    const chosen = Object.entries(trials).filter(([, trial]) => (trial.days ?? false) === days)
    const tests = (['fires', 'quiet'] as const).flatMap((kind) =>
      together(chosen, kind).map((some) => ({
        interval: days ? '10m' : '1m',
        input_series: some.flatMap(([, trial]) => Object.entries(trial[kind]).map(([series, values]) => ({ series, values }))),
        promql_expr_test: some.map(([name, { atMinutes = 70 }]) => ({
          expr: `count(ALERTS{alertname="${name}",alertstate="firing"})`,
          eval_time: `${atMinutes}m`,
          exp_samples: kind === 'quiet' ? [] : [{ labels: '{}', value: 1 }],
        })),
      })),
    )
    t.ok(tests.length > 0)
    const file = join(folder, `${days}.json`)
    writeFileSync(file, JSON.stringify({ rule_files: [rulesFile], evaluation_interval: days ? '30m' : '2m', tests }))
    const { stdout } = await promisify(execFile)('promtool', ['test', 'rules', file]).catch((error) => error)
    t.match(stdout, 'SUCCESS')
  })
}
