// docs/security.md against the tests it names: every promise has one, and every one it names exists.
import { readFileSync } from 'node:fs'
import t from 'tap'

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')
/** The promises of the design; a number that is not here was merged into a neighbour before there was code. */
const promises =
  `S01 S02 S03 S04 S05 S06 S07 S08 S09 S10 S11 S12 S13 S14 S16 S17 S18 S19 S20 S21 S22 S23 S24 S25 S26 S27 S29 S31 S32 S33 S35 S36 S37 S39 S40
  S41 S42 S43 S44 S45 S46 S47 S48 S49 S51 S52 S53 S55 S57 S58 S59 S60 S61 S63 S64 S65 S66 S67 S70 S72`.split(/\s+/)

const rows = read('docs/security.md')
  .split('\n')
  .map((line) => /^\| (S\d\d) \| [012] \| (.+?) \| (.+) \|$/.exec(line))
  .filter((row) => row !== null)
  .map(([, id = '', promise = '', kept = '']) => ({ id, promise, kept }))

t.test('every promise is on the page, once', async (t) => {
  t.same(
    rows.map(({ id }) => id),
    promises,
  )
})

t.test('every promise names a test, and every test it names exists', async (t) => {
  for (const { id, kept } of rows) {
    const named = kept.split('<br>').map((entry) => /^`(test\/[a-z/-]+\.test\.ts)`: (.+)$/.exec(entry))
    t.ok(named.length > 0 && named.every((entry) => entry !== null), `${id} names tests as \`file\`: title`)
    for (const [, file = '', title = ''] of named.filter((entry) => entry !== null)) {
      t.ok(read(file).includes(title.replaceAll('\\|', '|')), `${id}: ${file} has “${title}”`)
    }
  }
})
