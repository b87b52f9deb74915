// docs/guarantees.md against the tests it names: what it calls kept is quoted by each of those tests, and what no test quotes stands apart.
import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')
const [kept = '', promised = ''] = read('docs/guarantees.md').split('## Not kept yet')
const tests = readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.test.ts') && path !== 'guarantees.test.ts')
  .map((path) => path.replaceAll('\\', '/').replace(/\.test\.ts$/, ''))

const rowsOf = (text: string) =>
  text
    .split('\n')
    .map((line) => /^\| <a id="([SF]\d\d)"><\/a>([SF]\d\d) \|.* \| (.+?) \|$/.exec(line))
    .filter((row) => row !== null)
    .map(([, anchor, code = '', lastCell = '']) => ({
      anchor,
      code,
      files: [...lastCell.matchAll(/`([^`]+)`/g)].map(([, file = '']) => file),
    }))
const promisedCodes = [...promised.matchAll(/^\| <a id="([SF]\d\d)"><\/a>\1 \|/gm)].map(([, code = '']) => code)
const quotes = (file: string, code: string) =>
  tests.includes(file) && new RegExp(`\\b${code}\\b`).test(read(`test/${file}.test.ts`))

t.test('every code is on the page once, under an anchor of its own name', async (t) => {
  const rows = rowsOf(kept)
  t.ok(rows.length > 80 && promisedCodes.length > 0)
  t.strictSame(
    rows.filter(({ anchor, code }) => anchor !== code),
    [],
  )
  const codes = [...rows.map(({ code }) => code), ...promisedCodes]
  t.equal(new Set(codes).size, codes.length)
})

t.test('every promise that is kept names tests, and each of them quotes it', async (t) => {
  for (const { code, files } of rowsOf(kept)) {
    t.ok(files.length > 0 && files.every((file) => quotes(file, code)), `${code}: ${files.join(', ')}`)
  }
})

t.test('what a test quotes is not listed as not kept: move its line up, with the tests that keep it', async (t) => {
  for (const code of promisedCodes) {
    t.strictSame(
      tests.filter((file) => quotes(file, code)),
      [],
      code,
    )
  }
})
