// What a benchmark found, for the report: `npm run bench -- all` names a file in BENCH_RESULTS, and each benchmark adds its lines.
import { appendFileSync } from 'node:fs'

export interface Figure {
  bench: string
  what: string
  value: number
  /** `ratio` where something of ours is held against something else in the same run; 1 is as good */
  unit: 'ratio' | '1/s' | 'ms' | 'µs' | 'MiB' | 'GiB'
}

export function record(bench: string, unit: Figure['unit'], what: string, value: number): void {
  const file = process.env.BENCH_RESULTS
  if (file)
    appendFileSync(file, `${JSON.stringify({ bench, what, value: Number(value.toPrecision(3)), unit } satisfies Figure)}\n`)
}
