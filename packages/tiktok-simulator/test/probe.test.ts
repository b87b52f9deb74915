// The probe finds out how a simulator was set, by asking it what it would ask TikTok.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { receiveNotices } from '../src/probe/notices.ts'
import { ask, type Means } from '../src/probe/questions.ts'
import type { Simulator } from '../src/server.ts'
import { defaultSettings, type Settings } from '../src/settings.ts'
import { redirectUri, simulatorFor } from './app.ts'

const scopes = 'user.info.basic,video.upload'

/** Mara at the browser: she agrees, and copies what the address bar says, or TikTok's error page. */
async function visit(address: string): Promise<string> {
  const page = await fetch(address)
  if (!page.ok) return /error=param_error[^<]*/.exec((await page.text()).replaceAll('&amp;', '&'))?.[0] ?? ''
  const agreed = await fetch(address, { method: 'POST', body: 'person=mara', redirect: 'manual' })
  return agreed.headers.get('location') ?? ''
}

function appAt({ url, clientKey, clientSecret }: Simulator) {
  return { clientKey, clientSecret, redirectUri, scopes, authUrl: url, apiUrl: url }
}

function meansFor({ clock }: Simulator, more: Partial<Means> = {}): Means {
  return {
    open: visit,
    wait: async (seconds) => clock.advance(seconds),
    now: () => clock.now(),
    say: () => undefined,
    notices: undefined,
    codeSeconds: [60, 300, 600],
    ...more,
  }
}

const asked = [
  'errors_in_200',
  'require_state',
  'pkce',
  'lifetimes',
  'rotation',
  'old_access_token',
  'code_seconds',
  'revoke_dead_token',
] as const

const worlds: Partial<Settings>[] = [
  {},
  { require_state: true, rotation: 'overlap', errors_in_200: 'none' },
  { pkce: 's256', old_access_token: 'dies', code_seconds: 300, lifetimes: '24h/365d', errors_in_200: 'all' },
  { pkce: 's256-hex', require_state: true, rotation: 'none', revoke_dead_token: 'ok', code_seconds: 60, lifetimes: '90s/90m' },
  { rotation: 'none', old_access_token: 'dies', revoke_dead_token: 'invalid_request', errors_in_200: 'none' },
]

for (const world of worlds) {
  t.test(`it finds ${JSON.stringify(world)}`, async (t) => {
    const simulator = await simulatorFor(t, { settings: world })
    const { settings, variables } = await ask(appAt(simulator), meansFor(simulator))
    const expected = Object.fromEntries(asked.map((name) => [name, { ...defaultSettings, ...world }[name]]))
    t.strictSame(settings, expected)
    t.strictSame(variables, { TIKTOK_PKCE: expected.pkce, TIKTOK_SCOPES: scopes })
    t.strictSame([...simulator.grants.all()], [], 'and leaves nothing connected')
  })
}

for (const resign_retries of [false, true]) {
  t.test(`it finds whether a repeated notice is signed anew: ${resign_retries}`, async (t) => {
    const { settings, notes } = await withNotices(t, { resign_retries, webhook_retry_ms: 1050 }, 20_000)
    t.equal(settings.resign_retries, resign_retries)
    t.match(notes.join(), 'came again after 1 s')
    t.notMatch(notes.join(), 'Its signature')
  })
}

t.test('a notice that does not come again is told', async (t) => {
  const { settings, notes } = await withNotices(t, { webhook_retry_ms: 600_000 }, 1)
  t.notOk('resign_retries' in settings)
  t.match(notes.join(), 'No notice of the removal came twice in time')
})

async function withNotices(t: Test, settings: Partial<Settings>, patienceMs: number) {
  const notices = await receiveNotices(defaultSettings.client_secret, 0, patienceMs)
  t.teardown(() => notices.close())
  const simulator = await simulatorFor(t, { settings, webhookUrl: `http://127.0.0.1:${notices.port}/` })
  return ask(appAt(simulator), meansFor(simulator, { notices, codeSeconds: [] }))
}

t.test('a wrong secret, and a page that it knows nothing to do about, end it with a sentence', async (t) => {
  const simulator = await simulatorFor(t, { redirectUris: ['https://another.example/callback'] })
  await t.rejects(ask({ ...appAt(simulator), apiUrl: 'http://127.0.0.1:9' }, meansFor(simulator)), /could not be reached/)
  await t.rejects(ask({ ...appAt(simulator), clientSecret: 'wrong' }, meansFor(simulator)), /does not know this client key/)
  await t.rejects(ask(appAt(simulator), meansFor(simulator)), /There is no code in it.*error_type=redirect_uri/)
})

t.test('at a terminal it asks, and ends with lines to copy; the secret is in none', async (t) => {
  const simulator = await simulatorFor(t, { settings: { rotation: 'overlap', require_state: true } })
  const argv = [
    'probe',
    '--redirect-uri',
    redirectUri,
    '--code-seconds',
    '0',
    '--auth-url',
    simulator.url,
    '--api-url',
    simulator.url,
  ]
  // The minute in which a replaced token may die is not waited for: no answer of this simulator depends on it.
  const quick = `import timers from 'node:timers/promises'; import { syncBuiltinESMExports } from 'node:module'; timers.setTimeout = async () => {}; syncBuiltinESMExports()`
  const child = spawn(
    process.execPath,
    ['--import', `data:text/javascript,${encodeURIComponent(quick)}`, join(import.meta.dirname, '../src/bin.ts'), ...argv],
    {
      env: { ...process.env, TIKTOK_CLIENT_KEY: simulator.clientKey, TIKTOK_CLIENT_SECRET: simulator.clientSecret },
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  )
  let said = ''
  let seen = 0
  for await (const text of child.stdout.setEncoding('utf8')) {
    said += text
    const [, address] = /Open this[^\n]*\n\n(\S+)\n\nWhat the address bar says now, or the page: $/.exec(said.slice(seen)) ?? []
    if (address === undefined) continue
    seen = said.length
    child.stdin.write(`${await visit(address)}\n`)
  }
  const [code] = child.exitCode === null ? await once(child, 'exit') : [child.exitCode]
  t.equal(code, 0)
  const [, settings = '{}'] = /tiktok-simulator --settings '(.*)'/.exec(said) ?? []
  t.match(JSON.parse(settings), { rotation: 'overlap', require_state: true, pkce: 'off' })
  t.match(said, `TIKTOK_PKCE=off\n  TIKTOK_SCOPES=user.info.basic\n`)
  t.match(said, 'A minute after it was replaced, a refresh token still works.')
  t.notMatch(said, simulator.clientSecret)
  t.notMatch(said, /(act|rft)\.\w/)
  const again = await simulatorFor(t, { settings: JSON.parse(settings) })
  t.match(again.settings, { rotation: 'overlap', require_state: true }, 'a simulator takes what it prints')
})

t.test('without what it needs it says what', async (t) => {
  const { runProbe } = await import('../src/probe/command.ts')
  await t.rejects(runProbe([], {}), /TIKTOK_CLIENT_KEY and TIKTOK_CLIENT_SECRET have to be in the environment/)
  await t.rejects(runProbe([], { TIKTOK_CLIENT_KEY: 'a', TIKTOK_CLIENT_SECRET: 'b' }), /--redirect-uri is missing/)
})
