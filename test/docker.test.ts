// The image, as far as it can be known without an engine: what the Dockerfile says, and that what it copies is enough.
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'

const repository = join(import.meta.dirname, '..')
const read = (path: string) => readFileSync(join(repository, path), 'utf8')
/** Instruction and argument, continued lines joined, comments gone. */
const instructions = read('Dockerfile')
  .replace(/\\\n/g, ' ')
  .split('\n')
  .filter((line) => line.trim() !== '' && !line.startsWith('#'))
  .map((line) => {
    const [, name = '', argument = ''] = /^(\S+)\s+(.*)$/.exec(line) ?? []
    return { name, argument: argument.trim() }
  })
const argumentsOf = (name: string) => instructions.filter((one) => one.name === name).map(({ argument }) => argument)

t.test('the image has the Node that the service is tested on, and no development or optional packages', async (t) => {
  const { optionalDependencies } = JSON.parse(read('package.json'))
  t.strictSame(argumentsOf('FROM'), ['node:24-slim'])
  for (const [name, range] of Object.entries(optionalDependencies)) if (name.startsWith('node-')) t.equal(range, '^24.0.0', name)
  const installs = argumentsOf('RUN').filter((line) => line.includes('npm'))
  t.equal(installs.length, 1)
  t.match(installs[0], /^npm ci --omit=dev --omit=optional --ignore-scripts\b/)
})

t.test('nothing of the workspaces gets in: npm would install what is nested in them, development packages too', async (t) => {
  const { packages } = JSON.parse(read('package-lock.json'))
  t.strictSame(
    Object.keys(packages).filter((path) => /^packages\/.*\/node_modules\//.test(path)),
    [],
  )
})

t.test('it runs as a user who owns nothing but the data, and as process 1 hears SIGTERM itself', async (t) => {
  const order = instructions.map(({ name }) => name)
  t.strictSame(argumentsOf('USER'), ['1000:1000'], 'as a number: Kubernetes does not know whether a name is root')
  t.ok(order.indexOf('USER') > order.lastIndexOf('COPY'), 'what is copied belongs to root')
  t.ok(order.indexOf('USER') > order.lastIndexOf('RUN'))
  t.match(argumentsOf('RUN').join(), 'chown 1000:1000 /data')
  t.strictSame(argumentsOf('VOLUME'), ['/data'])
  t.match(argumentsOf('ENV').join(' '), /NODE_ENV=production.*HOST=0\.0\.0\.0.*PORT=3000.*DATA_DIR=\/data/)
  t.strictSame(argumentsOf('EXPOSE'), ['3000'])
  t.strictSame(argumentsOf('STOPSIGNAL'), ['SIGTERM'])
  t.strictSame(
    argumentsOf('CMD').map((line) => JSON.parse(line)),
    [['node', 'src/main.ts']],
    'no shell in between',
  )
})

t.test('its health is asked by bash alone, and bash understands the answer', async (t) => {
  const [check = ''] = argumentsOf('HEALTHCHECK')
  const [, command = ''] = /CMD (\[.*\])$/.exec(check) ?? []
  const [program, ...rest] = JSON.parse(command) as string[]
  t.equal(program, 'bash')
  let status = 200
  const server = createServer((request, response) => response.writeHead(request.url === '/health/live' ? status : 404).end())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const PORT = String((server.address() as AddressInfo).port)
  const healthy = () =>
    promisify(execFile)('bash', rest, { env: { PATH: process.env.PATH, PORT } }).then(
      () => true,
      () => false,
    )
  t.ok(await healthy())
  status = 503
  t.notOk(await healthy())
  server.close()
  t.notOk(await healthy(), 'nobody listens')
})

t.test('its labels name the release', async (t) => {
  t.match(argumentsOf('ARG'), [`VERSION=${JSON.parse(read('package.json')).version} `])
  for (const name of ['title', 'description', 'licenses', 'version', 'revision', 'created'])
    t.match(argumentsOf('LABEL').join(), `org.opencontainers.image.${name}=`)
})

t.test('only what the service needs gets in, and no secret that lies about', async (t) => {
  const copied = argumentsOf('COPY')
    .flatMap((line) => line.split(/\s+/).slice(0, -1))
    .map((path) => path.replace(/^\.\//, ''))
  t.strictSame(copied.toSorted(), ['.npmrc', 'drizzle', 'package-lock.json', 'package.json', 'src'])
  const ignore = read('.dockerignore')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
  t.equal(ignore[0], '*', 'everything is left out')
  t.strictSame(
    ignore
      .slice(1)
      .map((line) => line.replace(/^!/, ''))
      .toSorted(),
    copied.toSorted(),
    'but this',
  )
  t.notMatch(read('.npmrc'), /_auth|token|password/i)
  const literals = instructions.filter(
    ({ name, argument }) => /^(ENV|ARG)$/.test(name) && /SECRET|VAULT|PASSWORD|KEY/.test(argument),
  )
  t.strictSame(literals, [])
})
