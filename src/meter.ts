// Metrics, each said once: name, meaning, labels and a question it answers. docs/metrics.md is written from that. No ids and no free text
// as labels: what a label may hold is a closed list, and every series of it is there at 0 from the start (S63).
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/** By name of a label its values; null: they come with the routes or the statements, which are as many as the source has. */
type Labels = Record<string, readonly string[] | null>
type NoLabels = Record<never, never>
type ValuesOf<L> = { [Name in keyof L]: L[Name] extends readonly (infer Value)[] ? Value : string }
type Labelled<L, Rest extends unknown[]> = keyof L extends never ? Rest : [labels: ValuesOf<L>, ...Rest]

interface Values {
  values: { labels: Partial<Record<string, string | number>>; value: number }[]
}

export interface Counts<L = NoLabels> {
  inc(...labelsAndCount: Labelled<L, [count?: number]>): void
  get(): Promise<Values>
}
export interface Measures<L = NoLabels> {
  set(...labelsAndValue: Labelled<L, [value: number]>): void
  /** Drops every series: for open labels, whose values may go. */
  reset(): void
  get(): Promise<Values>
}
export interface Observes<L = NoLabels> {
  observe(...labelsAndSeconds: Labelled<L, [seconds: number]>): void
}

interface Said<L> {
  name: string
  help: string
  labels?: L
  /** a question in PromQL that it answers */
  query: string
}

/** What a scrape is answered from. */
export type Exposition = Pick<Registry, 'contentType' | 'metrics'>

export interface Definition {
  subject: string
  type: 'counter' | 'gauge' | 'histogram'
  name: string
  help: string
  labels: Labels
  query: string
}

/** Defines the metrics of one subject. */
export interface Meter {
  counter<const L extends Labels = NoLabels>(said: Said<L>): Counts<L>
  /** @param said.read asked at every scrape, and quick: whatever takes a statement is set by a loop */
  gauge<const L extends Labels = NoLabels>(said: Said<L> & { read?: (gauge: Measures<L>) => void }): Measures<L>
  histogram<const L extends Labels = NoLabels>(said: Said<L> & { buckets: readonly number[] }): Observes<L>
}

/** A registry of its own, so that several services can run in one test process. */
export function openRegistry() {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  const definitions: Definition[] = []

  function meter(subject: string): Meter {
    const define = (type: Definition['type'], { name, help, labels = {}, query }: Said<Labels>) => {
      definitions.push({ subject, type, name, help, labels, query })
      return { name, help, labelNames: Object.keys(labels), registers }
    }
    return {
      counter(said) {
        const counter = new Counter(define('counter', said))
        for (const labels of combinations(said.labels)) counter.inc(labels, 0)
        return counter as Counts<NonNullable<typeof said.labels>>
      },
      gauge(said) {
        const { read } = said
        const gauge = new Gauge({ ...define('gauge', said), ...(read ? { collect: () => read(typed) } : {}) })
        const typed = gauge as Measures<NonNullable<typeof said.labels>>
        for (const labels of combinations(said.labels)) gauge.set(labels, 0)
        return typed
      },
      histogram(said) {
        const histogram = new Histogram({ ...define('histogram', said), buckets: [...said.buckets] })
        for (const labels of combinations(said.labels)) histogram.zero(labels)
        return histogram as Observes<NonNullable<typeof said.labels>>
      },
    }
  }
  return { registry, definitions, meter }
}

/** Every combination of the values of closed labels; none when one of them is open. */
function combinations(labels: Labels = {}): Record<string, string>[] {
  return Object.entries(labels).reduce<Record<string, string>[]>(
    (all, [name, values]) => all.flatMap((one) => (values ?? []).map((value) => ({ ...one, [name]: value }))),
    [{}],
  )
}
