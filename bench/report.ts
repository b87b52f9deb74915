// `npm run bench -- all`: every figure in one run, as a page with a plot, beside those of the last report. On a machine that does nothing else
// it takes about twenty minutes. Writes docs/benchmarks.md, docs/benchmarks.json and docs/pictures/benchmarks.svg.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join, resolve } from 'node:path'
import * as Plot from '@observablehq/plot'
import { parseHTML } from 'linkedom'
import type { Figure } from './results.ts'

interface Report {
  date: string
  commit: string
  machine: string
  figures: Figure[]
}

const docs = resolve(import.meta.dirname, '../docs')
const benches = ['start', 'vend', 'reservations', 'refresh', 'accounts']

const scratch = mkdtempSync(join(tmpdir(), 'tiktok-oauth-service-bench-'))
const file = join(scratch, 'results')
writeFileSync(file, '')
for (const [place, bench] of benches.entries()) {
  console.error(`${place + 1} of ${benches.length}: ${bench}`)
  const path = join(import.meta.dirname, `${bench}.ts`)
  const { status } = spawnSync(process.execPath, [path], { stdio: 'inherit', env: { ...process.env, BENCH_RESULTS: file } })
  if (status !== 0) throw new Error(`${bench} ended with ${status}: nothing is written`)
}
const figures = readFileSync(file, 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Figure)
rmSync(scratch, { recursive: true })

const last = readLast()
const [cpu] = cpus()
const report: Report = {
  date: new Date().toISOString().slice(0, 10),
  commit: execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim(),
  machine: `${cpus().length} × ${cpu?.model.trim() ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${process.platform}, Node ${process.versions.node}`,
  figures,
}
writeFileSync(join(docs, 'benchmarks.json'), `${JSON.stringify(report, null, 2)}\n`)
writeFileSync(join(docs, 'pictures/benchmarks.svg'), plotOf(figures))
writeFileSync(join(docs, 'benchmarks.md'), pageOf(report, last))
console.error('docs/benchmarks.md is written')

function readLast(): Report | undefined {
  try {
    return JSON.parse(readFileSync(join(docs, 'benchmarks.json'), 'utf8')) as Report
  } catch {
    return undefined
  }
}

function pageOf({ date, commit, machine, figures }: Report, last: Report | undefined): string {
  const rows = figures.map(({ bench, what, value, unit }) => {
    const before = last?.figures.find((one) => one.bench === bench && one.what === what)?.value
    const change =
      before === undefined || before === 0 ? '' : `${value >= before ? '+' : ''}${Math.round((value / before - 1) * 100)} %`
    return `| ${bench} | ${what} | ${value} ${unit === 'ratio' ? '' : unit} | ${before ?? ''} | ${change} |`
  })
  return `# Benchmarks

Written by \`npm run bench -- all\` on ${date} at \`${commit}\`: ${machine}. Load, service, PostgreSQL and the simulator share those cores.
A ratio is held against something else in the same run, taking turns; 1 is as good.${
    last ? ` The last report was of ${last.date} at \`${last.commit}\`.` : ''
  }

![ratios of this run](pictures/benchmarks.svg)

| benchmark | figure | now | last report | change |
|---|---|---|---|---|
${rows.join('\n')}
`
}

function plotOf(figures: Figure[]): string {
  const { document } = parseHTML('<html></html>')
  const bars = figures
    .filter(({ unit }) => unit === 'ratio')
    .map(({ bench, what, value }) => ({ name: `${bench}: ${what}`, value }))
  const svg = Plot.plot({
    ...{ document, width: 900, height: 60 + bars.length * 26, marginLeft: 360, marginRight: 50 },
    x: { label: 'ratio', grid: true, domain: [0, Math.max(1.2, ...bars.map(({ value }) => value)) * 1.05] },
    y: { label: null, domain: bars.map(({ name }) => name) },
    marks: [
      Plot.barX(bars, { x: 'value', y: 'name', fill: '#3b6fb6' }),
      Plot.ruleX([1], { stroke: '#d1495b', strokeWidth: 2 }),
      Plot.text(bars, { x: 'value', y: 'name', text: ({ value }) => String(value), dx: 16 }),
    ],
  })
  for (const style of svg.querySelectorAll('style')) style.remove()
  svg.setAttribute('font-family', 'system-ui, sans-serif')
  svg.setAttribute('font-size', '12')
  return `${svg.outerHTML}\n`
}
