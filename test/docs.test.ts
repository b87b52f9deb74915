// What is written about the service and what the service does are the same: everything is documented, and everything documented is there.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { generated, repository } from '../docs/generate.ts'
import { deadlineMs, maxBytes, rememberedMs } from '../src/connect/tier-service.ts'
import { failureCodes, failures } from '../src/failures.ts'
import { keptDays } from '../src/operate/retention.ts'
import { variables } from '../src/settings/variables.ts'
import { closures } from '../src/uploads/closures.ts'
import * as contract from './contract.ts'

const read = (path: string) => readFileSync(join(repository, path), 'utf8')
const readme = read('README.md')
const pages = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'CHANGELOG.md',
  ...readdirSync(join(repository, 'docs')).map((name) => `docs/${name}`),
].filter((path) => path.endsWith('.md'))
const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }

interface Operation {
  summary?: string
  responses?: Record<string, { content?: Record<string, unknown> }>
  security?: unknown[]
}
const api = JSON.parse(await openApi()) as { paths: Record<string, Record<string, Operation>> }
const operations = Object.entries(api.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ route: `${method.toUpperCase()} ${path}`, operation })),
)

async function openApi(): Promise<string> {
  return (await generated['openapi/openapi.json']?.()) ?? ''
}

t.test('files that are made from the source are up to date', async (t) => {
  for (const [path, text] of Object.entries(generated)) {
    t.ok(read(path) === (await text()), `${path}; otherwise run: npm run docs`)
  }
})

t.test('there is one version', async (t) => {
  const { version } = JSON.parse(read('package.json'))
  t.equal((JSON.parse(read('package-lock.json')) as { version: string }).version, version)
  t.equal((JSON.parse(read('openapi/openapi.json')) as { info: { version: string } }).info.version, version)
  t.equal(/^## (\S+?),/m.exec(read('CHANGELOG.md'))?.[1], version)
})

t.test('nothing of the contract is missing or has another name', async (t) => {
  const missing = (wanted: readonly string[], there: readonly string[]) => wanted.filter((one) => !there.includes(one))
  t.strictSame(missing(contract.variables, Object.keys(variables.shape)), [], 'variables')
  t.strictSame(missing(contract.scripts, Object.keys(scripts)), [], 'npm scripts')
  t.strictSame(missing(contract.commands, commands()), [], 'commands')
  const routes = operations.map(({ route }) => route.replace(/\{[^}]+\}/g, '{}'))
  t.strictSame(missing(contract.routes, routes), [], 'routes')
  for (const [status, codes] of Object.entries(contract.codes)) {
    const there = failureCodes.filter((code) => failures[code].status === Number(status))
    t.strictSame(missing(codes, there), [], `codes of status ${status}`)
  }
})

t.test('every variable has its sentence, and no page speaks of one that is not there', async (t) => {
  const example = read('.env.example')
  for (const [name, schema] of Object.entries(variables.shape)) {
    t.ok(schema.description && schema.description.length > 10, `${name} is described`)
    t.match(example, new RegExp(`^(# )?${name}=`, 'm'))
  }
  const others = new Set([
    'TEST_DATABASE_URL',
    'REDIS_TEST_URL',
    'POSTGRES_PASSWORD',
    'SERVICE_PASSWORD',
    'UV_THREADPOOL_SIZE',
    'NODE_EXTRA_CA_CERTS',
    'TIKTOK_OAUTH_SERVICE',
    'TIKTOK_SIMULATOR_COMMAND',
    // TikTok's own words.
    'PULL_FROM_URL',
    'SELF_ONLY',
    'INBOX_SHARE',
    'DIRECT_PUBLISH',
  ])
  for (const page of pages) {
    const named = [...read(page).matchAll(/`([A-Z][A-Z]+(?:_[A-Z]+)+)`/g)].map(([, name = '']) => name)
    t.strictSame(
      [...new Set(named)].filter((name) => !(name in variables.shape) && !others.has(name)),
      [],
      page,
    )
  }
})

t.test('every npm script is in the README, and every one that is named exists', async (t) => {
  const named = pages.flatMap((page) => [...read(page).matchAll(/npm run (?:--silent )?([a-z:]+)/g)].map(([, name = '']) => name))
  t.strictSame(
    [...new Set(named)].filter((name) => !(name in scripts)),
    [],
  )
  const mentioned = (name: string) => new RegExp(`npm (run |run --silent )?${name}(?![\\w:])`).test(readme)
  t.strictSame(
    Object.keys(scripts).filter((name) => !/^(pre|post)/.test(name) && !mentioned(name)),
    [],
  )
})

t.test('every command is in the README, and every one that is named exists', async (t) => {
  const [, table = ''] = /## Command line(.*?)\n## /s.exec(readme) ?? []
  const named = [...table.matchAll(/^\| (.*?) \|/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name),
  )
  t.strictSame(named.toSorted(), commands().toSorted())
})

t.test('every operation says what it is for and how it fails, and which key it needs', async (t) => {
  for (const { route, operation } of operations) {
    t.ok(operation.summary, `${route} has a summary`)
    if (operation.security?.length === 0) continue
    for (const status of ['401', '403', '429', '500', '503']) t.ok(operation.responses?.[status], `${route} names its ${status}`)
  }
})

t.test('what is kept is kept for as long as the page for operators says', async (t) => {
  const rows = [...read('docs/operators.md').matchAll(/^\| (.+?) \| (\d+) days?\b/gm)].map(([, what = '', days]) => [
    what,
    Number(days),
  ])
  t.strictSame(Object.fromEntries(rows), {
    'token reads and timelines': keptDays.audit,
    'connect sessions': keptDays.sessions,
    'events and their deliveries': keptDays.events,
    "TikTok's notices": keptDays.notices,
    'upload reservations and their `Idempotency-Key`': keptDays.uploads,
  })
})

t.test('the page for integrators tells what closes an account, and how a tier service is judged, as the code does', async (t) => {
  const page = read('docs/integrating.md')
  const rows = [...page.matchAll(/^\| `(\w+)` \| (\d+) h \| (\d+) h \| (yes|no) \| `(\w+)` \|$/gm)].map(
    ([, code = '', first, last, waits, mendedBy]) => {
      const closure = { firstWaitSeconds: Number(first) * 3600, lastWaitSeconds: Number(last) * 3600 }
      return [code, { ...closure, untilWindowMoves: waits === 'yes', mendedBy }]
    },
  )
  t.strictSame(Object.fromEntries(rows), Object.fromEntries(closures))
  t.match(page, `It has ${deadlineMs / 1000} s for the whole answer`)
  t.match(page, `more than ${maxBytes / 1024} KiB is no answer`)
  t.match(page, `An answer is believed for ${rememberedMs / 1000} s`)
})

t.test('links between pages lead somewhere', async (t) => {
  for (const page of pages) {
    const targets = [...read(page).matchAll(/\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)/g)].map(([, target = '']) => target)
    t.strictSame(
      targets.filter((target) => !existsSync(join(repository, dirname(page), target))),
      [],
      page,
    )
  }
})

/** As `cli help` lists them, in at most two words; alternatives count one by one. */
function commands(): string[] {
  const { stdout } = spawnSync(process.execPath, [join(repository, 'src/cli.ts'), 'help'], { encoding: 'utf8', env: {} })
  return [...stdout.matchAll(/^ {2}([a-z]\S*.*?)(?: {2,}|$)/gm)]
    .flatMap(([, line = '']) => {
      const [family = '', ...rest] = line.split(' ')
      if (!/^[a-z]/.test(rest[0] ?? '')) return [family]
      return rest
        .join(' ')
        .split(' | ')
        .map((alternative) => alternative.split(' ')[0] ?? '')
        .filter((word) => /^[a-z]+$/.test(word))
        .map((word) => `${family} ${word}`)
    })
    .filter((name, index, all) => all.indexOf(name) === index)
}
