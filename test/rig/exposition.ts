// Reads the text that Prometheus scrapes.
export interface Exposed {
  name: string
  type: string
  series: { suffix: 'bucket' | 'sum' | 'count' | undefined; labels: Record<string, string>; value: number }[]
}

export function readExposition(text: string): Exposed[] {
  const exposed: Exposed[] = []
  for (const line of text.split('\n')) {
    const [, named, type] = /^# TYPE (\w+) (\w+)$/.exec(line) ?? []
    if (named !== undefined && type !== undefined) exposed.push({ name: named, type, series: [] })
    const [, name = '', labelled = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
    const metric = exposed.at(-1)
    if (value === undefined || metric === undefined) continue
    const labels = Object.fromEntries(
      [...labelled.matchAll(/(\w+)="([^"]*)"/g)].map(([, label = '', text = '']) => [label, text]),
    )
    const suffix = (['bucket', 'sum', 'count'] as const).find((one) => name === `${metric.name}_${one}`)
    metric.series.push({ suffix, labels, value: Number(value) })
  }
  return exposed
}
