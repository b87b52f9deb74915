// Writes dashboard.json: every panel in a line or two here, and what Grafana wants of each once. `npm run docs` writes the file.
export interface Panel {
  title: string
  unit: 's' | 'ops' | 'short' | 'percentunit' | 'bytes'
  /** what a line is called, and what it shows; `$__rate_interval` is Grafana's */
  lines: Record<string, string>
  kind?: 'stat'
}

const rate = (series: string) => `rate(${series}[$__rate_interval])`
const quantile = (share: number, name: string, by = '') =>
  `histogram_quantile(${share}, sum by (le${by && `, ${by}`}) (${rate(`${name}_bucket`)}))`

export const rows: Record<string, Panel[]> = {
  Overview: [
    { title: 'Replicas ready', unit: 'short', kind: 'stat', lines: { ready: 'sum(service_ready)' } },
    {
      title: 'Accounts',
      unit: 'short',
      kind: 'stat',
      lines: { '{{status}}': 'sum by (status) (max by (status, reason) (accounts))' },
    },
    {
      title: 'Requests for tokens that failed in a day; the objective allows 0.05 %',
      unit: 'percentunit',
      kind: 'stat',
      lines: { failed: 'token_vends:failed:ratio_rate1d' },
    },
    {
      title: 'Refreshes after expiry in a day; the objective allows 0.01 %',
      unit: 'percentunit',
      kind: 'stat',
      lines: { late: 'token_refreshes:late:ratio_rate1d' },
    },
    { title: 'Requests', unit: 'ops', lines: { '{{status}}': `sum by (status) (${rate('http_requests_total')})` } },
    { title: 'Failures by code', unit: 'ops', lines: { '{{code}}': `topk(8, sum by (code) (${rate('http_failures_total')}))` } },
    {
      title: 'Memory',
      unit: 'bytes',
      lines: { 'resident {{instance}}': 'process_resident_memory_bytes', 'heap {{instance}}': 'nodejs_heap_size_used_bytes' },
    },
    { title: 'Event loop lag', unit: 's', lines: { '99 % {{instance}}': 'nodejs_eventloop_lag_p99_seconds' } },
    { title: 'CPU', unit: 'short', lines: { '{{instance}}': rate('process_cpu_seconds_total') } },
    { title: 'Security refusals', unit: 'ops', lines: { '{{kind}}': `sum by (kind) (${rate('security_refusals_total')})` } },
  ],
  Tokens: [
    {
      title: 'Requests for tokens by answer',
      unit: 'ops',
      lines: { '{{code}}': `sum by (code) (${rate('token_vends_total')})` },
    },
    {
      title: 'Time to a token',
      unit: 's',
      lines: { median: quantile(0.5, 'token_vend_duration_seconds'), '99 %': quantile(0.99, 'token_vend_duration_seconds') },
    },
    {
      title: 'Burn rate of the budget for vends',
      unit: 'short',
      lines: { '1 h': 'token_vends:failed:ratio_rate1h / 0.0005', '6 h': 'token_vends:failed:ratio_rate6h / 0.0005' },
    },
    {
      title: 'Tokens handed out degraded',
      unit: 'ops',
      lines: { degraded: `sum(${rate('tokens_vended_total{degraded="true"}')})` },
    },
    {
      title: 'Accounts that need their person, by reason',
      unit: 'short',
      lines: { '{{reason}}': 'max by (reason) (accounts{status="reauthorization_required"})' },
    },
    { title: 'Grants that end', unit: 'short', lines: { 'within {{within}}': 'max by (within) (grants_ending)' } },
  ],
  Refresh: [
    {
      title: 'Refreshes by outcome',
      unit: 'ops',
      lines: { '{{outcome}}': `sum by (outcome) (${rate('token_refreshes_total')})` },
    },
    {
      title: "Time of a refresh, and TikTok's part",
      unit: 's',
      lines: {
        'all of it, 95 %': quantile(0.95, 'token_refresh_duration_seconds'),
        'TikTok, 95 %': quantile(0.95, 'token_refresh_tiktok_seconds'),
      },
    },
    { title: 'Due now', unit: 'short', lines: { due: 'max(refresh_due_backlog)', waiting: 'sum(unsaved_tokens)' } },
    { title: 'Most overdue', unit: 's', lines: { overdue: 'max(refresh_oldest_due_age_seconds)' } },
    { title: 'Circuit breaker', unit: 'short', lines: { '{{reason}}': 'max by (reason) (circuit_breaker_open)' } },
    {
      title: 'Calls to TikTok',
      unit: 'ops',
      lines: { '{{endpoint}} {{outcome}}': `sum by (endpoint, outcome) (${rate('tiktok_requests_total')})` },
    },
    {
      title: 'Time of calls to TikTok, 95 %',
      unit: 's',
      lines: { '{{endpoint}}': quantile(0.95, 'tiktok_request_duration_seconds', 'endpoint') },
    },
    {
      title: 'Revocations',
      unit: 'short',
      lines: { waiting: 'max(revocations_waiting)', '{{outcome}}': `sum by (outcome) (${rate('revocations_total')})` },
    },
  ],
  Uploads: [
    { title: 'Slots', unit: 'ops', lines: { '{{outcome}}': `sum by (outcome) (${rate('upload_slots_total')})` } },
    { title: 'TikTok accounts without a slot', unit: 'short', lines: { '{{state}}': 'max by (state) (upload_accounts)' } },
    { title: 'Closed by TikTok', unit: 'ops', lines: { closures: `sum(${rate('upload_closures_total')})` } },
  ],
  Events: [
    { title: 'Deliveries', unit: 'ops', lines: { '{{outcome}}': `sum by (outcome) (${rate('event_deliveries_total')})` } },
    {
      title: 'Waiting and given up',
      unit: 'short',
      lines: { waiting: 'max(event_deliveries_waiting)', dead: 'max(event_dead_letters)' },
    },
    { title: 'Longest wait', unit: 's', lines: { oldest: 'max(event_oldest_delivery_age_seconds)' } },
    { title: "TikTok's notices", unit: 'ops', lines: { '{{outcome}}': `sum by (outcome) (${rate('tiktok_notices_total')})` } },
    { title: 'Notices waiting', unit: 's', lines: { oldest: 'max(tiktok_notices_oldest_age_seconds)' } },
  ],
  Database: [
    {
      title: 'Connections',
      unit: 'short',
      lines: { '{{state}} {{instance}}': 'database_connections', 'waiting {{instance}}': 'database_statements_waiting' },
    },
    {
      title: 'Time in statements, the eight that take most',
      unit: 's',
      lines: { '{{name}}': `topk(8, sum by (name) (${rate('database_statement_duration_seconds_sum')}))` },
    },
    { title: 'Time of a statement, 99 %', unit: 's', lines: { all: quantile(0.99, 'database_statement_duration_seconds') } },
    { title: 'Statements', unit: 'ops', lines: { all: `sum(${rate('database_statement_duration_seconds_count')})` } },
    {
      title: 'Trouble',
      unit: 'ops',
      lines: {
        '{{kind}}': `sum by (kind) (${rate('database_trouble_total')})`,
        overloaded: `sum(${rate('database_overloads_total')})`,
      },
    },
    { title: 'Journal on disk', unit: 'bytes', lines: { '{{instance}}': 'journal_bytes' } },
    { title: 'In the journal only', unit: 'short', lines: { '{{instance}}': 'spill_files' } },
    {
      title: 'Since each loop last got through',
      unit: 's',
      lines: { '{{loop}}': 'time() - max by (loop) (background_last_success_timestamp_seconds > 0)' },
    },
  ],
}

const datasource = { type: 'prometheus', uid: '$' + '{datasource}' }
const width = 12
const height = 7

/** @returns the text of ops/grafana/dashboard.json, which Grafana imports */
export function dashboardFile(): string {
  const panels: object[] = []
  let y = 0
  for (const [row, some] of Object.entries(rows)) {
    panels.push({ type: 'row', id: panels.length + 1, title: row, collapsed: false, gridPos: { x: 0, y, w: 24, h: 1 } })
    y += 1
    for (const [place, { title, unit, lines, kind = 'timeseries' }] of some.entries()) {
      panels.push({
        ...{ type: kind, id: panels.length + 1, title, datasource },
        gridPos: { x: (place % 2) * width, y: y + Math.floor(place / 2) * height, w: width, h: height },
        fieldConfig: { defaults: { unit, min: 0 }, overrides: [] },
        targets: Object.entries(lines).map(([legendFormat, expr], index) => ({
          refId: 'ABCD'[index],
          datasource,
          expr,
          legendFormat,
        })),
      })
    }
    y += Math.ceil(some.length / 2) * height
  }
  const dashboard = {
    ...{ uid: 'tiktok-oauth', title: 'TikTok OAuth service', tags: ['tiktok-oauth'], schemaVersion: 39, version: 1 },
    ...{ editable: true, refresh: '30s', time: { from: 'now-3h', to: 'now' }, timezone: 'utc' },
    templating: { list: [{ name: 'datasource', type: 'datasource', query: 'prometheus', label: 'Prometheus' }] },
    panels,
  }
  return `${JSON.stringify(dashboard, null, 2)}\n`
}
