// What comments and tests quote leads somewhere: S01, F01 and I1 to docs/guarantees.md, §1 to docs/tiktok.md or a standard, links to headings.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import t from 'tap'

const repository = join(import.meta.dirname, '..')
const read = (path: string) => readFileSync(join(repository, path), 'utf8')
const folders = ['src', 'test', 'packages', 'tools', 'drizzle', 'bench', 'examples', 'ops', 'docs']
const files = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'CHANGELOG.md',
  ...folders.flatMap((folder) =>
    readdirSync(join(repository, folder), { recursive: true, encoding: 'utf8' })
      .map((path) => `${folder}/${path.replaceAll('\\', '/')}`)
      .filter((path) => /\.(ts|sql|md)$/.test(path) && !path.includes('/node_modules/')),
  ),
]
const quotedIn = (pattern: RegExp) =>
  files.flatMap((path) => [...read(path).matchAll(pattern)].map((found) => ({ path, found: found.slice(1) as string[] })))

t.test('every S, F and I code has its line in docs/guarantees.md', async (t) => {
  const anchors = new Set([...read('docs/guarantees.md').matchAll(/<a id="([^"]+)">/g)].map(([, id]) => id))
  const nowhere = quotedIn(/(?<![\w#])([SF]\d\d|I[1-9])(?![\w.-])/g).filter(({ found: [code] }) => !anchors.has(code ?? ''))
  t.strictSame(nowhere, [])
})

t.test('every § says whose it is, and those of docs/tiktok.md exist', async (t) => {
  const sections = new Set([...read('docs/tiktok.md').matchAll(/^#+ (\d+)\. /gm)].map(([, number]) => number))
  const stated = /(RFC \d{4}|NIST SP 800-38D|docs\/tiktok\.md|tiktok\.md)((?:(?:,| and| to)? §[\d.]*\d)+)/g
  const wrong = quotedIn(/([^\n]*§[^\n]*)/g).flatMap(({ path, found: [line = ''] }) => {
    const ownPage = path === 'docs/tiktok.md'
    if (path.endsWith('references.test.ts')) return []
    const unstated = line.replace(stated, '').replace(ownPage ? /§\d/g : /$^/, '')
    const missing = [...line.matchAll(stated)]
      .filter(([, document = '']) => document.endsWith('tiktok.md'))
      .flatMap(([, , numbers = '']) => [...numbers.matchAll(/\d+/g)].map(([number]) => number))
      .filter((number) => !sections.has(number))
    return unstated.includes('§') || missing.length > 0 ? [`${path}: ${line.trim()}`] : []
  })
  t.strictSame(wrong, [])
})

t.test('every link to a heading or an anchor arrives', async (t) => {
  const slug = (heading: string) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-')
  const places = (page: string) =>
    new Set([
      ...[...read(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => slug(heading)),
      ...[...read(page).matchAll(/<a id="([^"]+)">/g)].map(([, id]) => id),
    ])
  const lost = quotedIn(/\]\((?!https?:)([^)#\s]*)#([^)\s]+)\)/g)
    .filter(({ path }) => path.endsWith('.md'))
    .filter(({ path, found: [target, id] }) => !places(target ? normalize(join(dirname(path), target)) : path).has(id ?? ''))
  t.strictSame(lost, [])
})
