// One style sheet: light and dark, from a phone's width up.
export const style = `
:root { color-scheme: light dark; --ground: #f5f6f4; --card: #fff; --ink: #1a1d1b; --quiet: #5a615c; --line: #d6dbd7;
  --accent: #12634a; --on-accent: #fff; --good: #12634a; --warn: #7a4a00; --bad: #a4262c; --tint: #e8f1ed }
@media (prefers-color-scheme: dark) { :root { --ground: #131614; --card: #1d211e; --ink: #eef2ef; --quiet: #a5aea8; --line: #384039;
  --accent: #86d8b5; --on-accent: #06281b; --good: #86d8b5; --warn: #f0c27a; --bad: #f4b1ae; --tint: #1f2f28 } }
* { box-sizing: border-box }
body { margin: 0; background: var(--ground); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif }
header, main, footer { max-width: 60rem; margin: 0 auto; padding: 0 1rem }
header { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; justify-content: space-between; padding-top: 1rem; padding-bottom: 1rem }
header p { margin: 0 }
header button { white-space: nowrap }
header form { display: flex; gap: .75rem; align-items: center }
main { display: grid; gap: 1rem }
footer { padding-top: 2rem; padding-bottom: 3rem }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 }
h2 { font-size: 1.15rem; line-height: 1.3; margin: 0 }
h3 { font-size: 1rem; margin: 0 }
p { margin: 0 }
.brand { font-weight: 700 }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .8rem; padding: 1.1rem; display: grid; gap: .9rem; min-width: 0 }
.accounts { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 24rem), 1fr)); align-items: start; padding: 0; margin: 0; list-style: none }
.who { display: flex; gap: .9rem; align-items: center; min-width: 0 }
.who > div { min-width: 0; overflow-wrap: anywhere }
.face { width: 4rem; height: 4rem; border-radius: 50%; flex: none; background: var(--tint); color: var(--quiet); display: grid; place-items: center; font-size: 1.5rem; object-fit: cover }
.badge { display: inline-block; background: var(--accent); color: var(--on-accent); border-radius: 1rem; padding: 0 .55rem; font-size: .75rem; font-weight: 600; vertical-align: .1em }
.quiet { color: var(--quiet); font-size: .925rem }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem .9rem; margin: 0; font-size: .95rem }
dt { color: var(--quiet) }
dd { margin: 0; min-width: 0; overflow-wrap: anywhere }
.good { color: var(--good) } .warn { color: var(--warn) } .bad { color: var(--bad) }
.status { font-weight: 600 }
.message { border-left: .35rem solid currentColor; background: var(--card); border-radius: .5rem; padding: .8rem 1rem }
.message p { color: var(--ink) }
.token { background: var(--tint); border-radius: .5rem; padding: .8rem 1rem; display: grid; gap: .5rem }
code { font-family: ui-monospace, monospace; font-size: .9em; overflow-wrap: anywhere }
.form { max-width: 38rem; justify-self: start; width: 100% }
.stack { display: grid; gap: .9rem }
hr { border: 0; border-top: 1px solid var(--line); margin: 0; width: 100% }
form.row, .row { display: flex; flex-wrap: wrap; gap: .6rem; align-items: end }
fieldset { border: 0; margin: 0; padding: 0; display: grid; gap: .3rem; min-width: 0 }
legend { font-weight: 600; padding: 0 0 .3rem }
label.choice { display: flex; gap: .6rem; align-items: flex-start; padding: .3rem 0; min-height: 2.25rem }
label.field { display: grid; gap: .2rem; font-size: .925rem; flex: 1 1 10rem; min-width: 0 }
input[type=radio], input[type=checkbox] { width: 1.2rem; height: 1.2rem; margin: .15rem 0 0; accent-color: var(--accent); flex: none }
input[type=text] { font: inherit; padding: .5rem .7rem; min-height: 2.5rem; border: 1px solid var(--quiet); border-radius: .5rem; background: var(--ground); color: var(--ink); width: 100% }
button, a.button { font: inherit; font-weight: 600; line-height: 1.4; padding: .5rem 1rem; min-height: 2.5rem; border: 1px solid var(--quiet); border-radius: .5rem; background: transparent; color: var(--ink); cursor: pointer; text-decoration: none; display: inline-block }
button.primary { background: var(--accent); color: var(--on-accent); border-color: var(--accent) }
button.danger, a.danger { color: var(--bad); border-color: currentColor }
button:hover, a.button:hover { filter: brightness(1.08); text-decoration: underline }
a { color: var(--accent) }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
details summary { cursor: pointer; padding: .3rem 0 }
ul.plain { margin: .4rem 0 0; padding-left: 1.2rem }
.unseen { position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden; white-space: nowrap }
`
