/** The frame and look of every page a person sees here. No third party, no logo of anybody's, and a script on the inspector only. */
import { createHash } from 'node:crypto'

/** Text that is HTML already; everything else is escaped. */
export class Markup {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

type Value = string | number | Markup | readonly Markup[]

/** A template whose values cannot become tags: names come from tests, and tests write `<b>`. */
export function markup(strings: TemplateStringsArray, ...values: readonly Value[]): Markup {
  return new Markup(String.raw({ raw: strings }, ...values.map(toText)))
}

export function page(title: string, main: Markup, width: 'narrow' | 'wide' = 'narrow'): string {
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} · TikTok simulator</title>
<style>${style}</style>
</head>
<body>
<header class="ribbon"><strong>TikTok simulator</strong> This is not TikTok. The people are invented and nothing leaves this machine.</header>
<main class="${width}">${main}</main>
</body>
</html>
`.text
}

export function inWords(count: number, singular: string): string {
  const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 }).format(count)
  return `${short} ${count === 1 ? singular : `${singular}s`}`
}

function toText(value: Value): string {
  if (value instanceof Markup) return value.text
  if (typeof value === 'object') return value.map((part) => part.text).join('')
  return String(value).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}

const style = new Markup(`
:root { color-scheme: light dark; --ground: #f6f5f2; --card: #fff; --ink: #1d1c22; --quiet: #625f6b; --line: #dcd9d2;
  --accent: #3d3bc4; --on-accent: #fff; --tint: #eeeefc; --warn: #7a3d00; --warn-ground: #fff1dc }
@media (prefers-color-scheme: dark) { :root { --ground: #15151a; --card: #1f1f26; --ink: #f1f0f5; --quiet: #a9a6b5;
  --line: #3a3944; --accent: #a9a8ff; --on-accent: #16152e; --tint: #2a2a45; --warn: #ffd9a0; --warn-ground: #3a2a12 } }
* { box-sizing: border-box }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
.ribbon { margin: 0; padding: .6rem 1rem; background: var(--warn-ground); color: var(--warn); text-align: center; font-size: .9rem }
.ribbon strong { margin-right: .5rem }
main { max-width: 46rem; margin: 0 auto; padding: 1.5rem 1rem 4rem }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .5rem 0 }
h2, legend { font-size: 1.05rem; font-weight: 650; margin: 0; padding: 0 }
fieldset { border: 0; margin: 1.75rem 0 0; padding: 0; min-width: 0 }
.quiet { color: var(--quiet); margin: .15rem 0 0 }
small, .small { font-size: .875rem }
code { font-size: .85em; overflow-wrap: anywhere }
.people { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: .75rem; margin-top: .75rem; padding: 0 }
.card { display: flex; gap: .8rem; padding: .8rem; background: var(--card); border: 2px solid var(--line); border-radius: .8rem;
  position: relative; min-width: 0; list-style: none }
label.card { cursor: pointer }
.card:has(:checked) { border-color: var(--accent); background: var(--tint) }
.card:has(:focus-visible) { outline: 3px solid var(--accent); outline-offset: 2px }
.card img { width: 3.25rem; height: 3.25rem; border-radius: 50%; flex: none }
.card > span, .card > div { min-width: 0; flex: 1 }
.name { font-weight: 650; display: block; overflow-wrap: anywhere }
.line { display: block }
.badge { display: inline-block; background: var(--accent); color: var(--on-accent); border-radius: 1rem; padding: 0 .5rem; font-size: .75rem }
input { accent-color: var(--accent); width: 1.15rem; height: 1.15rem; flex: none; margin: .2rem 0 0 }
.scope { display: flex; gap: .75rem; padding: .7rem 0; border-bottom: 1px solid var(--line) }
.actions { display: flex; flex-wrap: wrap; gap: .75rem; margin-top: 1.75rem }
button { font: inherit; font-weight: 600; padding: .65rem 1.4rem; border-radius: .6rem; border: 2px solid var(--line);
  background: var(--card); color: var(--ink); cursor: pointer; min-height: 2.75rem }
button.primary { background: var(--accent); border-color: var(--accent); color: var(--on-accent); flex: 1 1 12rem }
button.minor { padding: .3rem .9rem; font-size: .875rem; margin-top: .6rem }
button:hover { filter: brightness(.96) }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1rem; margin: .75rem 0 0 }
dt { color: var(--quiet) } dd { margin: 0; overflow-wrap: anywhere }
section { margin-top: 2rem }
.wide { max-width: 80rem }
.filter { display: flex; flex-wrap: wrap; gap: .75rem 1.25rem; align-items: center; margin: 1rem 0 }
.filter[hidden] { display: none }
.filter select, .filter input:not([type=checkbox]) { font: inherit; width: auto; height: auto; margin: 0 0 0 .4rem; padding: .35rem .6rem;
  border: 2px solid var(--line); border-radius: .5rem; background: var(--card); color: var(--ink) }
.filter .check { display: flex; gap: .4rem; align-items: center }
.filter .check input { margin: 0 }
.requests { list-style: none; margin: 0; padding: 0; display: grid; gap: .35rem }
.requests li { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; min-width: 0 }
.requests li[hidden] { display: none }
.requests li[data-wrong=true] { border-left: .3rem solid var(--warn) }
.requests summary { display: grid; grid-template-columns: 6.5rem minmax(12rem, 2fr) minmax(8rem, 1fr) minmax(6rem, 1fr) minmax(10rem, 1.5fr);
  gap: .2rem .8rem; padding: .45rem .7rem; cursor: pointer; font-size: .875rem; overflow-wrap: anywhere }
.requests .when, .requests .who { color: var(--quiet) }
.requests .why .badge { margin-left: .4rem }
.requests dl, .requests h2, .requests pre { margin: .5rem .9rem }
.requests h2 { font-size: .9rem }
.requests pre { padding: .6rem; background: var(--ground); border-radius: .4rem; white-space: pre-wrap; overflow-wrap: anywhere; font-size: .8rem }
@media (max-width: 46rem) { .requests summary { grid-template-columns: 1fr } }
.unseen { position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden }
`)

/** For a page's policy: this style and no other. */
export const styleSource = `'sha256-${createHash('sha256').update(style.text).digest('base64')}'`
