// The environment: what is wrong is named, what is secret is never shown, and a start that cannot be does not happen.
import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { ConfigError, databaseLinks, loadConfig } from '../../src/settings/config.ts'
import { envExample, secretVariables, variables } from '../../src/settings/variables.ts'
import { generateVaultKey } from '../../src/vault/keyring.ts'
import { ownFolder } from '../folder.ts'
import { freshDatabase } from '../postgres.ts'
import { ownNode } from '../rig/own-node.ts'

const enough = { TIKTOK_CLIENT_KEY: 'awtestkey0001', TIKTOK_CLIENT_SECRET: 'J8s0dk2LQmz7Wx91PvbnT4Rc' }

t.test('two variables are enough, and everything else has the default of the contract', (t) => {
  t.match(loadConfig(enough), {
    host: '127.0.0.1',
    port: 3000,
    publicUrl: 'http://127.0.0.1:3000',
    redirectUri: 'http://127.0.0.1:3000/callback',
    databaseUrl: undefined,
    dataDir: '.data',
    tiktok: {
      authBaseUrl: 'https://www.tiktok.com',
      apiBaseUrl: 'https://open.tiktokapis.com',
      scopes: ['user.info.basic', 'user.info.profile', 'user.info.stats', 'video.upload'],
      requiredScopes: ['user.info.basic', 'video.upload'],
      pkce: 'off',
    },
    tiers: {
      limits: new Map([
        ['free', 1],
        ['creator', 3],
        ['business', 10],
      ]),
      defaultTier: 'free',
    },
    uploadLimitPerDay: 20,
    journal: { namedBy: undefined, dir: '.data/journal', copyDir: undefined, hours: 168, spillDirs: ['.data/spill'] },
    rateLimitPerMinute: 6000,
    logLevel: 'info',
    secureCookies: false,
    trustedProxies: [],
    allowedReturnUrls: [],
  })
  t.end()
})

t.test('S23: a bad value is named, and never shown', (t) => {
  const marker = 'Zq7markerZq7'
  const png = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')
  const pictures = t.testdir({ 'large.png': Buffer.concat([png, Buffer.alloc(256 * 1024)]), 'a.png': png, 'a.svg': '<svg/>' })
  const bad: Record<string, string[]> = {
    HOST: [],
    PORT: [marker, '-1', '65536', '1.5', '3000x', '0x10', ' '],
    PUBLIC_URL: [
      marker,
      `http://${marker}.example`,
      `https://x/${marker}`,
      `https://x?${marker}`,
      `https://${marker}@x`,
      'ftp://x',
      'https://x/#a',
    ],
    DATABASE_URL: [marker, `mysql://${marker}`, `http://${marker}`],
    DATABASE_TLS: [marker, 'require', 'on'],
    DATABASE_POOLER: [marker, 'statement'],
    DATABASE_DIRECT_URL: [marker, `mysql://${marker}`],
    DATABASE_POOL_SIZE: [marker, '0', '-1', '1001', '1.5'],
    MIGRATE: [marker, 'yes'],
    PGPASSWORD: ['x'.repeat(1025)],
    TIKTOK_CLIENT_KEY: [`${marker}!`, 'a b', 'abc'],
    TIKTOK_CLIENT_SECRET: [
      'tiny',
      'aaaaaaaaaaaaaaaaaaaaaaaa',
      '00000000000000000000',
      'changeme-changeme',
      'your-client-secret',
      'example-secret-example',
    ],
    TIKTOK_CLIENT_SECRET_PREVIOUS: ['tiny', 'changemechangeme'],
    TIKTOK_AUTH_BASE_URL: [marker, `http://${marker}.com`, `https://x/${marker}`],
    TIKTOK_API_BASE_URL: [marker, `http://${marker}.com`],
    TIKTOK_SCOPES: [`${marker}`, 'user.info.basic;video.upload', ','],
    TIKTOK_REQUIRED_SCOPES: ['video.publish', `${marker}`],
    TIKTOK_PKCE: [marker, 'plain', 'S256', 'on'],
    ALLOWED_RETURN_URLS: [
      marker,
      `http://${marker}.example/x`,
      `https://x/?${marker}`,
      `https://x/#${marker}`,
      'javascript:alert(1)',
      'https://x/,nonsense',
    ],
    APP_NAME: ['x'.repeat(61), `two\nlines ${marker}`, '\u200b\u200d', 'turned \u202e around'],
    APP_LOGO: [
      `/nowhere/${marker}.png`,
      import.meta.filename,
      import.meta.dirname,
      `${pictures}/large.png`,
      `${pictures}/a.png,${pictures}/a.svg`,
    ],
    BRAND_COLOR: [marker, 'green', '#12345', '12345a', 'rgb(1,2,3)'],
    PRIVACY_URL: [marker, `http://${marker}.example`, 'javascript:alert(1)', `https://user:${marker}@x`],
    TERMS_URL: [marker, `ftp://${marker}`],
    SUPPORT_URL: [marker, 'mailto:nobody', `mailto:a@b?subject=${marker}`],
    TIKTOK_VERIFICATION: [
      'abc',
      `${marker}!`,
      `tiktok${marker}`,
      `tiktok-developers-site-verification=${marker}.`,
      `/nowhere/tiktok${marker}.txt`,
      import.meta.filename,
      `${marker},${marker}`,
    ],
    TIER_LIMITS: [marker, 'free', 'free:x', 'free:-1', 'free:1,free:2', 'Free:1'],
    DEFAULT_TIER: [marker],
    TIER_SERVICE_URL: [marker, `ftp://${marker}`],
    TIER_SERVICE_TOKEN: ['tiny'],
    UPLOAD_LIMIT_PER_DAY: [marker, '0', '-1', '1e2'],
    REDIS_URL: [marker, `http://${marker}`],
    EVENT_WEBHOOKS: [
      marker,
      `https://x`,
      `https://x|${marker}`,
      `http://x|${'A'.repeat(43)}=`,
      `https://x|${'A'.repeat(43)}=|${'B'.repeat(43)}=|${'C'.repeat(43)}=`,
    ],
    TRUSTED_PROXIES: [marker, '10.0.0.1,nonsense', 'proxy.example'],
    RATE_LIMIT_PER_MINUTE: [marker, '0', '-5'],
    LOG_LEVEL: [marker, 'verbose'],
  }
  for (const [name, values] of Object.entries(bad)) {
    for (const value of values) {
      const error = refused({ ...enough, [name]: value })
      t.equal(error.problems.length, 1, `${name}=${value}`)
      t.match(error.problems, [new RegExp(`^${name} `)])
      t.notMatch(error.message, /Zq7marker/)
      if (value.trim().length > 3) t.notOk(error.message.includes(value), `${name} is not shown`)
    }
  }
  t.end()
})

t.test('all that is wrong is said at once', (t) => {
  const { problems } = refused({ PORT: 'x', LOG_LEVEL: 'x', TIKTOK_CLIENT_SECRET: 'x' })
  t.same(problems.map((problem) => problem.split(' ')[0]).sort(), [
    'LOG_LEVEL',
    'PORT',
    'TIKTOK_CLIENT_KEY',
    'TIKTOK_CLIENT_SECRET',
  ])
  t.same(refused({}).problems, ['TIKTOK_CLIENT_KEY is missing', 'TIKTOK_CLIENT_SECRET is missing'])
  t.same(refused({ TIKTOK_CLIENT_KEY: '', TIKTOK_CLIENT_SECRET: '' }).problems.length, 2, 'empty is unset')
  t.end()
})

t.test('what only fits together wrongly is named too', (t) => {
  const database = { DATABASE_URL: 'postgres://u:p@db/x' }
  const elsewhere = { ...enough, ...database, VAULT_KEYS: generateVaultKey() }
  t.match(refused({ ...enough, ...database }).problems, [/^VAULT_KEYS is missing/])
  t.match(refused({ ...elsewhere, DATABASE_URL: 'postgres://u:p@db/x?sslmode=require' }).problems, [
    /^DATABASE_URL has sslmode=require, with/,
  ])
  t.match(loadConfig({ ...elsewhere, DATABASE_TLS: 'off' }), { databaseAccess: { tls: 'off' } })
  const pooled = { ...elsewhere, DATABASE_URL: 'postgres://u@localhost/x', DATABASE_POOLER: 'transaction' }
  t.match(refused(pooled).problems, [/^DATABASE_DIRECT_URL is missing: with DATABASE_POOLER=transaction migrations need/])
  t.match(loadConfig({ ...pooled, MIGRATE: 'off' }), { migrate: false, databasePoolSize: 10 })
  t.match(refused({ ...pooled, DATABASE_DIRECT_URL: 'postgres://u@db/x?sslmode=prefer' }).problems, [
    /^DATABASE_DIRECT_URL has sslmode/,
  ])
  t.match(refused({ ...elsewhere, PGTARGETSESSIONATTRS: 'any' }).problems, [
    /^PGTARGETSESSIONATTRS is set: say target_session_attrs/,
  ])
  t.match(refused({ ...enough, DATABASE_DIRECT_URL: 'postgres://localhost/x' }).problems, [/^DATABASE_DIRECT_URL is set and/])
  t.match(databaseLinks(loadConfig({ ...pooled, DATABASE_DIRECT_URL: 'postgres://u@localhost:1/x', PGPASSWORD: 'p/w' })), {
    usual: { url: 'postgres://u@localhost/x', pooler: 'transaction', password: 'p/w' },
    direct: { url: 'postgres://u@localhost:1/x', pooler: undefined, password: 'p/w' },
  })
  t.match(refused({ ...enough, VAULT_KEYS: generateVaultKey(), VAULT_KEYS_FILE: '/x' }).problems, [/^VAULT_KEYS_FILE /])
  t.match(refused({ ...enough, HOST: '0.0.0.0' }).problems, [/^PUBLIC_URL is missing/])
  t.match(refused({ ...enough, DEFAULT_TIER: 'gold' }).problems, [/^DEFAULT_TIER /])
  t.equal(loadConfig({ ...enough, HOST: '0.0.0.0', PUBLIC_URL: 'https://oauth.example.com' }).secureCookies, true)
  t.equal(loadConfig({ ...enough, PUBLIC_URL: 'https://oauth.example.com/' }).publicUrl, 'https://oauth.example.com')
  t.equal(loadConfig({ ...enough, PUBLIC_URL: 'http://localhost:8080' }).redirectUri, 'http://localhost:8080/callback')
  t.end()
})

t.test('the example file names every variable with its sentence', (t) => {
  const text = envExample()
  for (const [name, schema] of Object.entries(variables.shape)) {
    t.match(text, new RegExp(`^(# )?${name}=`, 'm'))
    t.ok(text.includes(schema.description ?? 'no description'), `${name} has its sentence`)
  }
  t.end()
})

t.test('a start with a bad or missing variable names it on standard error and ends with an exit code', async (t) => {
  const nowhere = await ownFolder(t, 'config')
  const { url } = await freshDatabase(t)
  const secret = 'K3yBytesThatMustNeverBeShown0042'
  const cases: [Record<string, string>, RegExp][] = [
    [{}, /TIKTOK_CLIENT_KEY/],
    [{ ...enough, TIKTOK_CLIENT_SECRET: '' }, /TIKTOK_CLIENT_SECRET/],
    [{ ...enough, PORT: secret }, /PORT/],
    [{ ...enough, DATABASE_URL: url }, /VAULT_KEYS/],
    [{ ...enough, DATABASE_URL: url, VAULT_KEYS: `k1:${secret}` }, /VAULT_KEYS/],
    [{ ...enough, DATABASE_URL: url, VAULT_KEYS: `k1:${Buffer.alloc(32).toString('base64')}` }, /VAULT_KEYS/],
    [{ ...enough, DATABASE_URL: url, VAULT_KEYS_FILE: join(nowhere, 'missing') }, /VAULT_KEYS_FILE/],
  ]
  for (const result of await Promise.all(cases.map(async ([env, name]) => ({ name, ...(await run(nowhere, env)) })))) {
    t.ok(result.code !== 0 && result.code !== null, `${result.name} ends with ${result.code}`)
    t.match(result.stderr, result.name)
    t.notMatch(result.stderr + result.stdout, secret)
  }
})

t.test('.env is read where the service starts, the environment wins, and keys may be in a file', async (t) => {
  const home = await ownFolder(t, 'config')
  const { url } = await freshDatabase(t)
  await writeFile(join(home, 'keys'), `${generateVaultKey('k2')},${generateVaultKey('k1')}\n`)
  const lines = { ...enough, DATABASE_URL: url, VAULT_KEYS_FILE: join(home, 'keys'), LOG_LEVEL: 'verbose', PORT: '0' }
  await writeFile(
    join(home, '.env'),
    Object.entries(lines)
      .map(([name, value]) => `${name}=${value}`)
      .join('\n'),
  )
  const wrong = await run(home, {})
  t.match(wrong.stderr, /LOG_LEVEL/)
  t.notMatch(wrong.stderr, /TIKTOK_CLIENT/)
  const right = await run(home, { LOG_LEVEL: 'info' }, /service is ready/)
  t.match(right.stdout, /service is ready/)
  t.equal(right.code, 0)
})

function refused(env: Record<string, string>): ConfigError {
  try {
    loadConfig(env)
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
  throw new Error(`this was taken: ${JSON.stringify(env)}`)
}

/** A real process. @param until ends it kindly when this is on its standard output */
function run(
  cwd: string,
  env: Record<string, string>,
  until?: RegExp,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
  const child = spawn(...ownNode([main]), { cwd, env: { PATH: process.env.PATH ?? '', ...env } })
  let [stdout, stderr, asked] = ['', '', false]
  child.stdout.on('data', (chunk) => {
    stdout += chunk
    if (!asked && until?.test(stdout)) asked = child.kill('SIGTERM')
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, stdout, stderr }))
  })
}

t.test('every variable that holds a secret can be read from a file', async (t) => {
  const file = `${t.testdir({ secret: 'a-secret-from-a-file\n' })}/secret`
  const { TIKTOK_CLIENT_SECRET: _, ...without } = { TIKTOK_CLIENT_KEY: 'awsimulator00001', TIKTOK_CLIENT_SECRET: '' }
  t.equal(loadConfig({ ...without, TIKTOK_CLIENT_SECRET_FILE: file }).tiktok.clientSecret, 'a-secret-from-a-file')
  for (const name of secretVariables) {
    t.throws(
      () => loadConfig({ ...without, [name]: 'x', [`${name}_FILE`]: file }),
      new RegExp(`${name}_FILE and ${name} are both set`),
    )
    t.throws(() => loadConfig({ ...without, [`${name}_FILE`]: '/nowhere/secret' }), new RegExp(`${name}_FILE cannot be read`))
  }
})

t.test('the proxy is read as other programs read it', async (t) => {
  const { proxy } = loadConfig({
    ...enough,
    https_proxy: 'http://proxy.example.com:3128',
    no_proxy: 'a.example, .b.example  ::1,',
  })
  t.match(proxy, { url: new URL('http://proxy.example.com:3128'), except: ['a.example', '.b.example', '::1'] })
  const upper = { HTTPS_PROXY: 'http://u:p@127.0.0.1:1', https_proxy: 'http://127.0.0.1:2' }
  t.match(loadConfig({ ...enough, ...upper }).proxy, { url: new URL('http://u:p@127.0.0.1:1'), except: [] }, 'ours goes first')
  const empty = { HTTPS_PROXY: '', NO_PROXY: '', https_proxy: 'http://127.0.0.1:2', no_proxy: 'a.example' }
  t.match(loadConfig({ ...enough, ...empty }).proxy, { url: new URL('http://127.0.0.1:2'), except: ['a.example'] })
  t.equal(loadConfig({ ...enough, NO_PROXY: '*' }).proxy, undefined)
  for (const bad of ['proxy.example.com:3128', 'socks5://127.0.0.1:1', 'S3cret'])
    t.match(refused({ ...enough, HTTPS_PROXY: bad }).message, /^HTTPS_PROXY must read http:\/\/\[USER:PASSWORD@\]HOST:PORT$/)
})

t.test('a user or a password in a URL that cannot be decoded is refused at the start, and not at every call', async (t) => {
  for (const [name, at] of [
    ['HTTPS_PROXY', 'http://u:S3%cret@127.0.0.1:1'],
    ['HTTPS_PROXY', 'http://u%:S3cret@127.0.0.1:1'],
    ['HTTPS_PROXY', 'http://u:S3%ffcret@127.0.0.1:1'],
    ['AUDIT_STREAM', 'https://u:S3%cret@logs.example.com/'],
  ] as const)
    t.equal(refused({ ...enough, [name]: at }).message, `${name} must have %25 for each % in its user and password`)
  t.match(loadConfig({ ...enough, HTTPS_PROXY: 'http://u:S3%25cret@127.0.0.1:1' }).proxy?.url, { password: 'S3%25cret' })
})

t.test('the tier service is asked in the clear on loopback only, or when it is said so', async (t) => {
  const start =
    (url: string, more = {}) =>
    () =>
      loadConfig({
        TIKTOK_CLIENT_KEY: 'awsimulator00001',
        TIKTOK_CLIENT_SECRET: 'SimulatorSecret1',
        TIER_SERVICE_URL: url,
        ...more,
      })
  t.throws(start('http://tiers.internal/tiers'), /TIER_SERVICE_URL is http/)
  t.throws(start('http://10.0.0.7/tiers'), /TIER_SERVICE_TLS=off/)
  for (const url of ['http://127.0.0.1:9/tiers', 'http://localhost/tiers', 'https://tiers.internal/tiers'])
    t.doesNotThrow(start(url), url)
  t.doesNotThrow(start('http://tiers.internal/tiers', { TIER_SERVICE_TLS: 'off' }))
})
