// The house holds: imports point one way, nothing goes in a circle, and no room is called after nothing in particular. Type imports count: they
// tell who has to know whom.
import { readdirSync, readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { basename, dirname, join, relative, resolve } from 'node:path'
import t from 'tap'

const repository = resolve(import.meta.dirname, '..')
const src = join(repository, 'src')

interface Import {
  from: string
  /** a path in src, or a package */
  to: string
  dynamic: boolean
}

const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map((path) => path.replaceAll('\\', '/'))
  .sort()
const imports = files.flatMap(importsOf)
const inside = imports.filter(({ to }) => files.includes(to))

function importsOf(file: string): Import[] {
  const text = readFileSync(join(src, file), 'utf8')
  const statics = text.matchAll(/^(?:import|export)\b[^'"]*?\bfrom '([^']+)'|^import '([^']+)'/gms)
  const dynamics = text.matchAll(/\bimport\('([^']+)'\)/g)
  return [
    ...Array.from(statics, ([, named, bare]) => ({ from: file, to: target(file, named ?? bare ?? ''), dynamic: false })),
    ...Array.from(dynamics, ([, name]) => ({ from: file, to: target(file, name ?? ''), dynamic: true })),
  ]
}

function target(file: string, specifier: string): string {
  if (!specifier.startsWith('.')) return specifier
  return relative(src, resolve(src, dirname(file), specifier)).replaceAll('\\', '/')
}

/** Who stands on whom, from the roof down. A room may import from its own floor and from any below; floors are folders or files. */
const floors: string[][] = [
  ['main.ts', 'cli.ts'],
  ['compile-cache.ts'],
  ['cli'],
  ['doctor'],
  ['app.ts', 'describe.ts'],
  ['metrics.ts'],
  ['server.ts', 'background'],
  ['pages'],
  ['http'],
  ['inbound', 'operate'],
  ['connect'],
  ['token'],
  ['account'],
  ['uploads', 'events'],
  ['replica'],
  ['journal'],
  ['db', 'tiktok', 'vault', 'ids.ts', 'refusals.ts', 'telemetry.ts'],
  [
    'outbound',
    'settings',
    'concurrency',
    'access',
    'display',
    'tracing',
    'errors.ts',
    'failures.ts',
    'growing-list.ts',
    'meter.ts',
    'version.ts',
  ],
]

const placeOf = (file: string) => (file.includes('/') ? (file.split('/')[0] ?? file) : file)
const floorOf = (file: string) => floors.findIndex((floor) => floor.includes(placeOf(file)))

t.test('every room has a floor, and stands on lower ones only', async (t) => {
  t.strictSame(
    [...new Set(files.map(placeOf))].filter((place) => floorOf(place) === -1),
    [],
  )
  const upward = inside.filter(({ from, to }) => {
    if (placeOf(from) === placeOf(to)) return false
    return floorOf(to) < floorOf(from)
  })
  t.strictSame(upward.map(arrow), [])
})

t.test('neighbours on a floor do not know each other both ways, and nothing goes in a circle', async (t) => {
  t.strictSame(circleIn(inside.map(({ from, to }) => [from, to])), [], 'files')
  const places = inside.map(({ from, to }): [string, string] => [placeOf(from), placeOf(to)]).filter(([from, to]) => from !== to)
  t.strictSame(circleIn(places), [], 'folders')
})

t.test('the packages know nothing of the service, and only the command line starts the simulator', async (t) => {
  const out = readdirSync(join(repository, 'packages'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !path.includes('node_modules'))
    .flatMap((path) =>
      [...readFileSync(join(repository, 'packages', path), 'utf8').matchAll(/from '([^']*)'/g)].map(([, to = '']) => ({
        from: path,
        to,
      })),
    )
    .filter(({ from, to }) => to.startsWith('.') && resolve('/', dirname(from), to).split('/')[1] !== from.split('/')[0])
  t.strictSame(out, [])
  const into = imports.filter(({ to }) => to.startsWith('tiktok-simulator'))
  t.strictSame(into.map(arrow), ['cli/commands.ts -> tiktok-simulator/command'])
})

t.test('only the composition root knows everything: no room below the roof is handed all there is', async (t) => {
  const whoAsks = inside.filter(({ to }) => to === 'app.ts').map(({ from }) => from)
  t.strictSame([...new Set(whoAsks)].sort(), ['cli/database.ts', 'describe.ts', 'main.ts'])
})

t.test('one door per outside world', async (t) => {
  const doors: [RegExp, string[]][] = [
    [/^(postgres|drizzle-orm)(\/|$)/, ['db']],
    [/^(@fastify\/|fastify)/, ['http', 'pages', 'server.ts']],
    [/^undici(\/|$)/, ['outbound', 'tiktok', 'connect', 'events']],
  ]
  const allowed = ['app.ts -> fastify'] // the type of the server it hands on
  for (const [packages, places] of doors) {
    const elsewhere = imports.filter(({ from, to }) => packages.test(to) && !places.includes(placeOf(from)))
    t.strictSame(
      elsewhere.map(arrow).filter((found) => !allowed.includes(found)),
      [],
      `${packages}: ${places.join(', ')} only`,
    )
  }
  const ciphers = files.filter((file) => /\bcreate(Cipher|Decipher)iv\b/.test(readFileSync(join(src, file), 'utf8')))
  t.strictSame(
    ciphers.filter((file) => placeOf(file) !== 'vault'),
    [],
    'vault/ only',
  )
})

t.test('the service does not load the query builder: it costs more than all of the rest of a start', (t) => {
  const loaded = files.filter((file) =>
    /^import (?!type ).*from '(\.{1,2}\/)(db\/)?schema\.ts'/m.test(readFileSync(join(src, file), 'utf8')),
  )
  t.strictSame(loaded, [], 'of the tables only types are used')
  const drizzle = imports.filter(({ from, to }) => to.startsWith('drizzle-orm') && from !== 'db/schema.ts')
  t.strictSame(drizzle.map(arrow), ['db/migrate.ts -> drizzle-orm/migrator'], 'and of Drizzle one small file')
  t.end()
})

t.test('rooms are called after what they hold, and none re-exports others', async (t) => {
  const nameless = /^(utils?|commons?|types?|helpers?|index|misc|shared|lib|constants?|functions?)$/
  t.strictSame(
    files.filter((file) => file.split('/').some((part) => nameless.test(basename(part, '.ts')))),
    [],
  )
  const barrels = files.filter((file) => /^export \* from /m.test(readFileSync(join(src, file), 'utf8')))
  t.strictSame(barrels, [])
})

t.test('every file begins with what it is for', async (t) => {
  const places = ['src', 'test', 'bench', 'docs', 'examples', 'packages', 'tools']
  const silent = places.flatMap((place) =>
    readdirSync(join(repository, place), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts') && !path.includes('node_modules'))
      .map((path) => join(place, path))
      .filter((path) => !/^(#!.*\n)?(\/\/ |\/\*\*)/.test(readFileSync(join(repository, path), 'utf8'))),
  )
  t.strictSame(silent, [])
})

t.test('a folder of a test goes with it', (t) => {
  const makers = readdirSync(join(repository, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && /\bmkdtemp(Sync)?\(/.test(readFileSync(join(repository, 'test', path), 'utf8')))
    .map((path) => path.replaceAll('\\', '/'))
  // A browser is kept for the next run, and the keeper outlives those who asked for it.
  t.strictSame(makers.sort(), ['folder.ts', 'rig/chromium.ts', 'rig/postgres-keeper.ts'])
  t.end()
})

t.test('the service runs without development and optional packages', async (t) => {
  const { dependencies, optionalDependencies } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8'))
  const packageOf = (name: string) => name.split('/', /^(@|\.)/.test(name) ? 2 : 1).join('/')
  const foreign = imports.filter(({ to }) => !files.includes(to) && !to.startsWith('node:') && !builtinModules.includes(to))
  const missing = foreign.filter(({ to }) => !(packageOf(to) in dependencies))
  const lazily = new Set([...Object.keys(optionalDependencies), 'tiktok-simulator', '../tools'])
  t.strictSame(missing.filter(({ to, dynamic }) => !(dynamic && lazily.has(packageOf(to)))).map(arrow), [])
  const used = new Set(foreign.map(({ to }) => packageOf(to)))
  t.strictSame(
    Object.keys(dependencies).filter((name) => !used.has(name)),
    [],
    'and has no package it does not use',
  )
})

t.test('the examples know the contract and its client only', async (t) => {
  const examples = join(repository, 'examples')
  for (const file of ['upload-service.ts', ...readdirSync(join(examples, 'web-app')).map((name) => join('web-app', name))]) {
    const text = readFileSync(join(examples, file), 'utf8')
    const outward = [...text.matchAll(/(?:from|import) '(\.[^']+)'/g)].filter(([, to = '']) => !/^\.\/[a-z-]+\.ts$/.test(to))
    t.strictSame(
      outward.map(([found]) => found),
      [],
      file,
    )
  }
})

function arrow({ from, to }: Import): string {
  return `${from} -> ${to}`
}

/** @returns one circle, by its stations; nothing when there is none */
function circleIn(edges: readonly (readonly [string, string])[]): string[] {
  const next = Map.groupBy(edges, ([from]) => from)
  const done = new Set<string>()
  const walk = (at: string, path: string[]): string[] => {
    if (path.includes(at)) return [...path.slice(path.indexOf(at)), at]
    if (done.has(at)) return []
    for (const [, to] of next.get(at) ?? []) {
      const circle = walk(to, [...path, at])
      if (circle.length > 0) return circle
    }
    done.add(at)
    return []
  }
  for (const start of next.keys()) {
    const circle = walk(start, [])
    if (circle.length > 0) return circle
  }
  return []
}
