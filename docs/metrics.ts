// Writes docs/metrics.md from the metrics as the source says them, so that no page of them can be out of date.
import type { Definition } from '../src/meter.ts'

const head = `# Metrics

What \`/metrics\` exposes, by subject. The series of a counter or gauge with closed labels are there at 0 from the start, so that
\`rate\` and \`increase\` miss no first time and an alert can tell "none" from "not scraped".

- **Reading them.** A scraper uses a key with \`ops:read\`, or \`METRICS_TOKEN\` as its bearer token, or \`METRICS_PORT\`. All of this
  works while the database is away: what comes from the database then keeps its last value, and \`database_gauges_age_seconds\`
  says how old that is.
- **Units.** A name that ends in \`_seconds\`, \`_bytes\` or \`_timestamp_seconds\` says its unit; \`_total\` counts since the start of the
  process; the others are numbers of what they are called after. A histogram has \`_bucket\`, \`_sum\` and \`_count\`.
- **Of one process or of all.** Counters and most gauges are of the process that is scraped: add them up. Where a sentence says "of
  all replicas", every replica shows the same figure from the database: take \`max\`.
- **Labels** hold no account, owner, key or token. \`METRIC{label}\` below lists what a label can be.
- Beside these there are Node's own, \`process_*\` and \`nodejs_*\`: CPU, memory, event loop lag, garbage collection.

Generated from the source: \`npm run docs\`. [operators.md](operators.md) says what to do, [problems.md](problems.md) what a failure
code means.
`

export function metricsFile(definitions: readonly Definition[]): string {
  const subjects = Map.groupBy(definitions, ({ subject }) => subject)
  return [head, ...[...subjects].map(([subject, some]) => `## ${subject}\n\n${some.map(entry).join('\n\n')}\n`)].join('\n')
}

function entry({ name, type, help, labels, query }: Definition): string {
  const listed = Object.entries(labels).map(([label, values]) => `${label}: ${shown(label, values)}`)
  return [
    `### \`${name}\``,
    '',
    `${type}, ${unitOf(name)}. ${help}.`,
    ...(listed.length > 0 ? ['', ...listed.map((line) => `- ${line}`)] : []),
    '',
    '```promql',
    query,
    '```',
  ].join('\n')
}

/** What is as long as a list of its own is linked to instead. */
function shown(label: string, values: readonly string[] | null): string {
  if (label === 'code') return '`ok`, or a code of [problems.md](problems.md)'
  if (label === 'node' || label === 'version') return 'the one that runs'
  if (values === null) return openLabels[label] ?? 'as the source has them'
  return values.map((value) => `\`${value}\``).join(', ')
}

const openLabels: Record<string, string> = {
  method: 'GET, POST and so on',
  route: 'the pattern of the route, such as `/accounts/:account_id/token`; `none` where no route fits',
  status: 'the HTTP status',
  name: 'the statement, such as `vend_token_sets`',
  replica: 'of this process',
  key: 'the id of a vault key, such as `k2`',
}

function unitOf(name: string): string {
  if (name.endsWith('_timestamp_seconds')) return 'Unix time in seconds'
  if (name.endsWith('_seconds')) return 'seconds'
  if (name.endsWith('_bytes')) return 'bytes'
  return name.endsWith('_total') ? 'count' : 'number'
}
