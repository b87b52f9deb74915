// The style of all pages, light and dark. It is part of each page and allowed by its hash, because an error page must not need a
// second request to be readable. Contrast is at least 4.5:1 for text and 3:1 for the edges of controls.

/** What text stands on, by theme. */
export const grounds = {
  light: { ground: '#f6f4ef', card: '#fffefb' },
  dark: { ground: '#151614', card: '#1e201d' },
} as const

export const style = `
:root { color-scheme: light dark; --ground: ${grounds.light.ground}; --card: ${grounds.light.card}; --ink: #1f1d1a; --quiet: #5f5a52; --line: #e3ded3; --edge: #8d877c;
  --accent: #23584a; --accent-hover: #1a4539; --on-accent: #fff; --tint: #e6efe9; --good: #23584a; --good-ground: #e3efe7;
  --care: #6b4700; --care-ground: #fbefd7; --bad: #9b2c22; --bad-ground: #fbe9e5; --shadow: 0 1px 2px #00000010, 0 6px 24px -12px #00000022 }
@media (prefers-color-scheme: dark) { :root { --ground: ${grounds.dark.ground}; --card: ${grounds.dark.card}; --ink: #f0eee8; --quiet: #b4afa4; --line: #33352f; --edge: #7f7c72;
  --accent: #9fd4bd; --accent-hover: #b9e3d0; --on-accent: #0e2a20; --tint: #25332c; --good: #a5d8c1; --good-ground: #203129;
  --care: #f2cf8d; --care-ground: #352913; --bad: #f3b0a6; --bad-ground: #3b211d; --shadow: none } }
* { box-sizing: border-box }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto } *, ::before, ::after { transition: none !important } }
body { margin: 0; overflow-wrap: break-word; background: var(--ground); color: var(--ink); font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Open Sans", "Hiragino Sans", "Yu Gothic UI", sans-serif }
.wrap { max-width: 38rem; margin: 0 auto; padding: 2.5rem 1.25rem 3rem }
.wrap.wide { max-width: 67rem }
h1 { font-size: 1.75rem; line-height: 1.2; letter-spacing: -.015em; margin: 0; text-wrap: balance }
/* Letters that are joined stay joined, and Japanese breaks between its phrases. */
:lang(ar) :is(h1, h2) { letter-spacing: 0; line-height: 1.4 }
:lang(ja) { word-break: auto-phrase } :lang(ja) :is(h1, h2) { letter-spacing: 0 }
h2 { font-size: 1.2rem; line-height: 1.3; letter-spacing: -.005em; margin: 0 }
h3 { font-size: 1.075rem; line-height: 1.35; margin: 0; overflow-wrap: anywhere }
p { margin: .35rem 0 0 }
a { color: var(--accent); text-underline-offset: .18em }
a:hover { color: var(--accent-hover) }
.quiet { color: var(--quiet); font-size: .925rem }
.small { font-size: .875rem }
.unseen:not(:focus) { position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden; white-space: nowrap }
.skip:focus { position: absolute; inset-block-start: .75rem; inset-inline-start: .75rem; padding: .5rem .9rem; background: var(--card); border-radius: .5rem; z-index: 1 }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: .3rem }
[tabindex="-1"]:focus { outline: none }

.brand { display: flex; align-items: center; gap: .7rem; margin: 0 0 1.5rem; font-weight: 650; overflow-wrap: anywhere }
.brand img { display: block; height: 2.25rem; width: auto; max-width: 11rem; object-fit: contain; border-radius: .35rem }
/* Logos are made for white paper. */
@media (prefers-color-scheme: dark) { .brand img { background: #fff; padding: .2rem } }
header { margin: 0 0 1.75rem } .brand:last-child { margin: 0 }
header .quiet { margin-top: .4rem; overflow-wrap: anywhere }
footer { margin-top: 2.25rem; display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; justify-content: space-between }
footer p { margin: 0; display: flex; flex-wrap: wrap; gap: 0 1rem; overflow-wrap: anywhere }
footer nav { flex-basis: 100%; margin-top: .75rem }
.languages { list-style: none; display: flex; flex-wrap: wrap; gap: 0 1.25rem; margin: 0; padding: 0 }
.languages > li > * { display: inline-block; padding: .3rem 0 }
.languages summary { display: inline-block; padding: .3rem 0; color: var(--accent); text-decoration: underline; cursor: pointer }
.languages > li:has([open]) { flex: 1 1 100% } .languages h2 { font-size: 1.05rem; margin: .35rem 0 .2rem }
.languages [aria-current] { color: var(--ink); font-weight: 600 }
.part + .part::before { content: "· " }
.bar p { margin: 0 } .bar .jump { flex-basis: 100% }
.bar { display: flex; flex-wrap: wrap; gap: .35rem 1rem; align-items: baseline; justify-content: space-between; margin: 0 0 .9rem }
.panel { background: var(--card); border: 1px solid var(--line); border-radius: 1rem; padding: 1.5rem; box-shadow: var(--shadow) }
.note { border-radius: .75rem; padding: .8rem 1rem; background: var(--care-ground); color: var(--care) }
.note.top { margin: 0 0 1.25rem; padding: 1rem 1.25rem }
.note.good { background: var(--good-ground); color: var(--good) }
.note.bad { background: var(--bad-ground); color: var(--bad) }
.note p { margin: 0 } .note p + p { margin-top: .35rem }
.note strong { display: block }
.note a { color: inherit }
.note form { margin-top: .75rem }

button, .button { display: inline-flex; align-items: center; justify-content: center; min-height: 2.75rem; padding: .55rem 1.25rem; border: 1px solid var(--edge);
  border-radius: .65rem; background: transparent; color: var(--ink); font: inherit; font-weight: 600; text-decoration: none; text-align: center; cursor: pointer;
  transition: background-color .12s, border-color .12s }
button:hover, .button:hover { background: var(--tint); color: var(--ink) }
.primary { background: var(--accent); border-color: var(--accent); color: var(--on-accent) }
.primary:hover { background: var(--accent-hover); border-color: var(--accent-hover); color: var(--on-accent) }
.large { width: 100%; min-height: 3.25rem; font-size: 1.075rem }
.danger { background: var(--bad); border-color: var(--bad); color: var(--card) }
.danger:hover { background: var(--bad); border-color: var(--ink); color: var(--card) }
.minor { min-height: 2.75rem; padding: .4rem .9rem; font-size: .925rem; font-weight: 550; border-color: var(--line) }
.actions { display: flex; flex-wrap: wrap; gap: .6rem; align-items: start; margin-top: 1rem }

fieldset { border: 0; margin: 1.5rem 0 0; padding: 0; min-width: 0 }
legend { font-weight: 650; padding: 0; margin: 0 0 .5rem }
.asked { margin-top: 1.25rem; border-top: 1px solid var(--line) }
.asked > summary { display: flex; gap: .75rem; justify-content: space-between; align-items: center; width: auto; min-height: 2.75rem; padding: .5rem 0; font-weight: 600; cursor: pointer }
.asked > summary::after { content: ""; flex: none; width: .55rem; height: .55rem; margin-inline: .25rem; border: solid currentColor; border-width: 0 2px 2px 0; transform: rotate(45deg) translate(-.1rem, -.1rem) }
.asked[open] > summary::after { transform: rotate(225deg) translate(-.1rem, -.1rem) }
.asked > .scopes { margin-bottom: .5rem }
.choice { display: flex; gap: .75rem; align-items: flex-start; padding: .7rem .9rem; margin-top: .5rem; border: 1px solid var(--line); border-radius: .75rem; cursor: pointer;
  transition: background-color .12s, border-color .12s }
.choice:hover { border-color: var(--edge) }
.choice:has(:checked) { border-color: var(--accent); background: var(--tint) }
.choice:has(:focus-visible) { outline: 3px solid var(--accent); outline-offset: 2px }
.choice input:focus-visible { outline: none }
.choice > span { min-width: 0; overflow-wrap: anywhere }
.choice b { display: block; font-weight: 600 }
.choice .quiet { display: block; line-height: 1.4 }
input[type=radio], input[type=checkbox] { flex: none; width: 1.2rem; height: 1.2rem; margin: .18rem 0 0; accent-color: var(--accent) }
input[type=text] { width: 100%; min-height: 2.75rem; padding: .5rem .75rem; border: 1px solid var(--edge); border-radius: .6rem; background: var(--ground); color: var(--ink); font: inherit }
.wrong { color: var(--bad); font-weight: 600; margin: 0 0 .25rem }
.scopes { list-style: none; margin: .75rem 0 0; padding: 0 }
.scopes li { padding: .6rem 0; border-top: 1px solid var(--line) }
.scopes b { font-weight: 600 }
.scopes .quiet { display: block; line-height: 1.4 }
.tag { display: inline-block; padding: .05rem .5rem; border-radius: 1rem; background: var(--tint); color: var(--ink); font-size: .8125rem; line-height: 1.45; font-weight: 550; white-space: nowrap }
.tag.open { background: none; box-shadow: inset 0 0 0 1px var(--line); color: var(--quiet) }
.questions > .quiet { margin-top: .6rem }
h2.unseen + form fieldset:first-of-type, h2.unseen + .quiet { margin-top: 0 } h2.unseen + .quiet + form { margin-top: 1.25rem }
.panel > form > .large, .panel > .large { margin-top: 1.25rem }

.ended { margin: 2rem 0 }
.accounts { list-style: none; margin: 0; padding: 0; display: grid; gap: 1rem }
.account { display: grid; grid-template-columns: auto minmax(0, 1fr); gap: 0 1rem; padding: 1.35rem 1.5rem }
.account:target { border-color: var(--accent) }
.picture { width: 4rem; height: 4rem; border-radius: 50%; background: var(--tint); color: var(--good); display: grid; place-items: center; font-size: 1.5rem; font-weight: 600; object-fit: cover }
.account .wide { grid-column: 1 / -1 }
.head { display: flex; flex-wrap: wrap; gap: .1rem .75rem; align-items: baseline; justify-content: space-between }
.head h3 { flex: 1 1 9rem }
.state { font-size: .8125rem; font-weight: 600; padding: .1rem .6rem; border-radius: 1rem; background: var(--good-ground); color: var(--good); white-space: nowrap }
.state.care { background: var(--care-ground); color: var(--care) }
.state.bad { background: var(--bad-ground); color: var(--bad) }
.facts { display: flex; flex-wrap: wrap; gap: .1rem .9rem; margin: .15rem 0 0; padding: 0; list-style: none; overflow-wrap: anywhere }
.account .note { margin-top: 1rem }
.quota { margin-top: 1rem }
.quota svg { display: block; width: 100%; height: .5rem; border-radius: .25rem; background: var(--line); overflow: hidden; margin-bottom: .4rem }
.quota rect { fill: var(--accent) }
[dir=rtl] .quota svg { transform: scaleX(-1) }
.quota p { margin: 0; display: flex; flex-wrap: wrap; gap: 0 .75rem; justify-content: space-between; font-size: .925rem }
details { flex: 0 1 auto }
details[open] { flex: 1 1 100% }
summary { list-style: none; width: max-content }
summary::-webkit-details-marker { display: none }
details label { display: block; font-weight: 600; margin: .9rem 0 .35rem }
.rename { display: flex; flex-wrap: wrap; gap: .6rem }
.rename input { flex: 1 1 12rem; width: auto }
.steps { margin: .75rem 0 0; padding-inline-start: 1.25rem }
.steps li { margin-top: .35rem }
.steps + p, .actions + p, .large + p { margin-top: .9rem }
.panel > h1 + p { margin-top: .6rem; font-size: 1.05rem }
.facing { display: flex; gap: 1rem; align-items: center; margin-bottom: 1.25rem }

@media (min-width: 60rem) {
  .wide .columns { display: grid; grid-template-columns: minmax(0, 1fr) 25rem; gap: 2rem; align-items: start }
  .wrap { padding-top: 4rem }
  .bar .jump { display: none }
}
@media (max-width: 59.99rem) { .wrap.wide { max-width: 42rem } .columns > * + * { margin-top: 2rem } }
@media (max-width: 30rem) {
  .wrap { padding: 1.75rem 1rem 2rem }
  h1 { font-size: 1.5rem }
  .panel { padding: 1.25rem 1.1rem }
  .picture { width: 3.25rem; height: 3.25rem; font-size: 1.25rem }
  .actions > .button, .actions > form, .actions > form > button, .actions > details { flex: 1 1 0; white-space: nowrap }
  .actions > form > button, .actions summary { width: 100% }
  .actions > details[open] { flex-basis: 100% }
  .actions p { white-space: normal }
}
@media (forced-colors: active) { .panel, .note, .state, .tag, .choice:has(:checked) { border: 1px solid } .quota rect { fill: Highlight } }
`
