// Draws a row of the dashboard as one SVG: two panels beside each other, each with its lines and their names.
import * as Plot from '@observablehq/plot'
import { parseHTML } from 'linkedom'
import type { Panel } from '../ops/grafana/dashboard.ts'

export interface Line {
  name: string
  points: { second: number; value: number }[]
}

const [width, height, columns] = [560, 210, 2]
const legendHeight = 34
const colours = ['#3b6fb6', '#d1495b', '#2e8b57', '#b07d00', '#7a4fa3', '#00838f', '#a0522d', '#6b7280', '#c2185b', '#558b2f']
const units: Record<Panel['unit'], string> = { s: 's', ops: '1/s', short: '', percentunit: '', bytes: 'MB' }

/** @returns the text of the SVG */
export function drawRow(title: string, seconds: number, panels: { panel: Panel; lines: Line[] }[]): string {
  const total = { width: width * columns, height: 30 + Math.ceil(panels.length / columns) * (height + legendHeight + 26) }
  const drawn = panels.map(({ panel, lines: all }, place) => {
    const moving = all.filter(({ points }) => points.some(({ value }) => value !== 0))
    const lines = moving.length > 0 ? moving : all.slice(0, 1)
    const [x, y] = [(place % columns) * width, 30 + Math.floor(place / columns) * (height + legendHeight + 26)]
    return `<g transform="translate(${x},${y})">${text(10, 14, panel.title, 'font-weight="600"')}${legend(lines, all.length)}${chart(panel, lines, seconds)}</g>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${total.width} ${total.height}" font-family="system-ui, sans-serif" font-size="12" fill="#1f2937">
<title>${title}</title>
<rect width="100%" height="100%" fill="#ffffff"/>
${text(10, 20, title, 'font-size="16" font-weight="700"')}
${drawn.join('\n')}
</svg>
`
}

function chart({ unit }: Panel, lines: Line[], seconds: number): string {
  const { document } = parseHTML('<html></html>')
  const scale = unit === 'bytes' ? 1 / 1e6 : 1
  const points = lines.flatMap(({ name, points }) => points.map(({ second, value }) => ({ name, second, value: value * scale })))
  const most = Math.max(0, ...points.map(({ value }) => value))
  const svg = Plot.plot({
    ...{ document, width, height, marginLeft: 58, marginBottom: 26, marginTop: 14, marginRight: 16 },
    x: { domain: [0, seconds], label: null, tickFormat: (second: number) => `${second} s` },
    y: {
      domain: [0, most === 0 ? 1 : most * 1.05],
      label: units[unit],
      grid: true,
      ticks: 4,
      ...(unit === 'percentunit' ? { tickFormat: (share: number) => `${Number((share * 100).toPrecision(3))} %` } : {}),
    },
    color: { domain: lines.map(({ name }) => name), range: lines.map((_, place) => colours[place % colours.length] ?? '') },
    marks: [Plot.line(points, { x: 'second', y: 'value', stroke: 'name', z: 'name', strokeWidth: 1.6 })],
  })
  svg.setAttribute('y', String(22 + legendHeight))
  svg.setAttribute('width', String(width))
  svg.setAttribute('height', String(height))
  for (const style of svg.querySelectorAll('style')) style.remove()
  return svg.outerHTML.replace(/ d="[^"]*"/g, (path: string) => path.replace(/(\d+\.\d)\d+/g, '$1'))
}

/** The names in their colours, in two lines at most; what does not fit, and what stays at 0, is counted. */
function legend(lines: Line[], of: number): string {
  const shown: string[] = []
  let [x, y] = [10, 32]
  for (const [place, { name }] of lines.entries()) {
    const long = name.length * 6.8 + 26
    if (x + long > width - 90 && y === 32) [x, y] = [10, 48]
    if (x + long > width - 90) {
      shown.push(text(x, y, `and ${of - place} more`, 'fill="#6b7280"'))
      return shown.join('')
    }
    shown.push(
      `<rect x="${x}" y="${y - 8}" width="9" height="9" fill="${colours[place % colours.length]}"/>${text(x + 13, y, name)}`,
    )
    x += long
  }
  if (of > lines.length) shown.push(text(x, y, `and ${of - lines.length} at 0`, 'fill="#6b7280"'))
  return shown.join('')
}

const text = (x: number, y: number, content: string, more = '') =>
  `<text x="${x}" y="${y}" ${more}>${content.replace(/&/g, '&amp;').replace(/</g, '&lt;')}</text>`
