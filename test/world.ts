// A world for a test: PostgreSQL of its own, the simulator as a real HTTP server, the service in this process on a port of its own,
// keys, and a browser that remembers cookies. Time is stepped, never waited for.
import { Writable } from 'node:stream'
import { type Simulator, type SimulatorOptions, startSimulator } from 'tiktok-simulator'
import { request } from 'undici'
import type { Account } from '../src/account/account.ts'
import { type App, type AppOptions, type Parts, startApp } from '../src/app.ts'
import { createApiKey, type KeyScope, keyScopes } from '../src/http/api-keys.ts'
import { type Config, loadConfig } from '../src/settings/config.ts'
import { createLog } from '../src/telemetry.ts'
import { generateVaultKey } from '../src/vault/keyring.ts'
import { holdToDescription } from './described.ts'
import { ownFolder } from './folder.ts'
import { freshDatabase } from './postgres.ts'
import { recede } from './rig/time.ts'

interface Teardown {
  teardown(work: () => unknown): unknown
}

export const returnUrl = 'http://127.0.0.1:5999/return'

export interface WorldOptions extends AppOptions {
  env?: Record<string, string>
  simulator?: SimulatorOptions
  /** rows were written by hand: what is shown of them is not held to the description */
  madeUp?: boolean
  /** the service's way to its database: gets the URL, says which one to use, such as a proxy's */
  through?: (databaseUrl: string) => Promise<string>
}

export interface Answer<T = Record<string, unknown>> {
  status: number
  headers: Record<string, string | string[] | undefined>
  body: T
  text: string
}

export interface World {
  app: App
  parts: Parts
  config: Config
  tiktok: Simulator
  databaseUrl: string
  /** everything the service logged, at trace */
  logged(): string
  /** A call of the API with a key that may do everything, or with `key`. */
  call<T = Record<string, unknown>>(method: string, path: string, options?: CallOptions): Promise<Answer<T>>
  key(...scopes: KeyScope[]): Promise<string>
  /** Opens a session, walks a person through TikTok in a fresh browser and completes: the whole connect. */
  connect(options?: ConnectOptions): Promise<Account>
  openSession(body?: Record<string, unknown>): Promise<{ id: string; authorize_url: string; connect_url: string }>
  /** @param acceptLanguage what it asks for in every request */
  browser(acceptLanguage?: string): Browser
  /** Moves the service's clock, which is the database's, and TikTok's: every stored moment recedes. */
  timePasses(seconds: number): Promise<void>
}

export interface CallOptions {
  body?: unknown
  key?: string | null
  headers?: Record<string, string>
}

export interface ConnectOptions {
  owner?: string
  person?: string
  decline?: string[]
  session?: Record<string, unknown>
}

export interface Browser {
  get(url: string): Promise<Answer<string>>
  /** From authorize_url to the redirect to TikTok, over our page where that asks first. */
  setOut(authorizeUrl: string): Promise<Answer<string>>
  post(url: string, form: Record<string, string>): Promise<Answer<string>>
  /** Follows authorize_url to TikTok, lets the person decide, comes back. @returns where the browser ends: the return URL */
  walk(authorizeUrl: string, decision: { person?: string; decline?: string[]; deny?: boolean }): Promise<URL>
  cookies: Map<string, string>
}

/** @param t the test: everything ends with it */
export async function startWorld(t: Teardown, options: WorldOptions = {}): Promise<World> {
  const { url: databaseUrl } = await freshDatabase(t)
  const tiktok = await startSimulator(options.simulator ?? {})
  const dataDir = await ownFolder(t, 'test')
  t.teardown(async () => {
    await tiktok.close()
  })
  const lines: string[] = []
  const config = loadConfig({
    PORT: '0',
    DATABASE_URL: options.through ? await options.through(databaseUrl) : databaseUrl,
    DATA_DIR: dataDir,
    VAULT_KEYS: generateVaultKey(),
    TIKTOK_CLIENT_KEY: tiktok.clientKey,
    TIKTOK_CLIENT_SECRET: tiktok.clientSecret,
    TIKTOK_AUTH_BASE_URL: tiktok.url,
    TIKTOK_API_BASE_URL: tiktok.url,
    ALLOWED_RETURN_URLS: returnUrl,
    ALLOWED_COMPLETIONS: 'confirm,callback',
    RATE_LIMIT_PER_MINUTE: '1000000',
    DEFAULT_TIER: 'business',
    LOG_LEVEL: 'trace',
    ...options.env,
  })
  const sink = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk))
      done()
    },
  })
  const log = options.log ?? createLog(config.logLevel, sink)
  const app = await startApp(config, { background: false, ...options, log })
  t.teardown(() => app.close())

  const { parts } = app
  const key = async (...scopes: KeyScope[]) => (await createApiKey(parts, { name: 'test', scopes, expiresAt: null })).key
  const allKey = await key(...keyScopes)

  const world: World = {
    app,
    parts,
    config,
    tiktok,
    databaseUrl,
    logged: () => lines.join(''),
    key,
    async call<T>(
      method: string,
      path: string,
      { body, key: callKey = allKey, headers = {} }: CallOptions = {},
    ): Promise<Answer<T>> {
      const answer = await request(new URL(path, app.url), {
        method: method as 'GET',
        headers: {
          ...(callKey === null ? {} : { authorization: `Bearer ${callKey}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        body: body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body),
      })
      const text = await answer.body.text()
      if (!options.madeUp) holdToDescription(method, path, { status: answer.statusCode, headers: answer.headers, text })
      const isJson = text !== '' && /json/.test(String(answer.headers['content-type']))
      return { status: answer.statusCode, headers: answer.headers, body: (isJson ? JSON.parse(text) : text) as T, text }
    },
    async openSession(body = {}) {
      const opened = await world.call<{ id: string; authorize_url: string; connect_url: string }>('POST', '/connect-sessions', {
        body: { owner_id: 'user_42', return_url: returnUrl, account_type: 'creator', age_confirmed: true, ...body },
      })
      if (opened.status !== 201) throw new Error(`connect session was refused: ${opened.text}`)
      return opened.body
    },
    async connect({ owner = 'user_42', person = 'mara', decline, session = {} } = {}) {
      const opened = await world.openSession({ owner_id: owner, ...session })
      const back = await world.browser().walk(opened.authorize_url, { person, ...(decline ? { decline } : {}) })
      const completed = await world.call<Account>('POST', `/connect-sessions/${opened.id}/complete`, {
        body: { owner_id: owner, confirm: back.searchParams.get('confirm') ?? '' },
      })
      if (completed.status !== 201 && completed.status !== 200) throw new Error(`connect was refused: ${completed.text}`)
      return completed.body
    },
    browser: (acceptLanguage) => startBrowser(app.url, config.publicUrl, tiktok, acceptLanguage),
    async timePasses(seconds) {
      tiktok.clock.advance(seconds)
      await parts.db.run('recede', (sql) => recede(sql, seconds))
    },
  }
  return world
}

/** To TikTok, over our page where that asks first (`completion: callback`). */
async function setOut(
  visit: (url: string, options: { method?: 'GET' | 'POST'; form?: Record<string, string> }) => Promise<Answer<string>>,
  authorizeUrl: string,
): Promise<Answer<string>> {
  const out = await visit(authorizeUrl, {})
  const page = String(out.headers.location)
  if (!/\/connect\?session=/.test(page)) return out
  const entered = await visit(page, {})
  const shown = await visit(String(entered.headers.location), {})
  const token = /name="form_token" value="([^"]+)"/.exec(shown.text)?.[1] ?? ''
  const form = { form_token: token, account_type: 'creator', age_confirmed: 'yes' }
  const answered = await visit(page.replace(/\?.*/, ''), { method: 'POST', form })
  return visit(String(answered.headers.location), {})
}

/** Public URLs are answered by the port this test happens to have. */
export function startBrowser(serviceUrl: string, publicUrl: string, tiktok: Simulator, acceptLanguage?: string): Browser {
  const cookies = new Map<string, string>()
  const visit = async (
    url: string,
    options: { method?: 'GET' | 'POST'; form?: Record<string, string> },
  ): Promise<Answer<string>> => {
    const target = new URL(url)
    const actual = target.origin === new URL(publicUrl).origin ? new URL(target.pathname + target.search, serviceUrl) : target
    const answer = await request(actual, {
      method: options.method ?? 'GET',
      headers: {
        cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; '),
        ...(acceptLanguage === undefined ? {} : { 'accept-language': acceptLanguage }),
        ...(options.form ? { 'content-type': 'application/x-www-form-urlencoded' } : {}),
      },
      body: options.form ? new URLSearchParams(options.form).toString() : null,
    })
    for (const line of [answer.headers['set-cookie'] ?? []].flat()) {
      const [pair = ''] = line.split(';')
      const [name = '', value = ''] = pair.split(/=(.*)/s)
      if (/max-age=0|expires=thu, 01 jan 1970/i.test(line)) cookies.delete(name)
      else cookies.set(name, value)
    }
    const text = await answer.body.text()
    const isOurs = actual.origin === new URL(serviceUrl).origin
    if (isOurs)
      holdToDescription(options.method ?? 'GET', actual.pathname, { status: answer.statusCode, headers: answer.headers, text })
    return { status: answer.statusCode, headers: answer.headers, body: text, text }
  }
  return {
    cookies,
    get: (url) => visit(url, {}),
    setOut: (url) => setOut(visit, url),
    post: (url, form) => visit(url, { method: 'POST', form }),
    async walk(authorizeUrl, { person = 'mara', decline, deny }) {
      const out = await setOut(visit, authorizeUrl)
      if (out.status !== 303) throw new Error(`the way to TikTok answered ${out.status}: ${out.text}`)
      const decided = await tiktok.authorize({
        authorize_url: String(out.headers.location),
        person,
        ...(decline ? { decline } : {}),
        ...(deny ? { deny } : {}),
      })
      if (!('redirect_to' in decided)) throw new Error(`TikTok refused: ${JSON.stringify(decided)}`)
      const back = await visit(decided.redirect_to, {})
      if (back.status !== 303) throw new Error(`the callback answered ${back.status}: ${back.text}`)
      return new URL(String(back.headers.location))
    },
  }
}
