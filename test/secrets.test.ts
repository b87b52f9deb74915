// Lives a whole life with every secret known, at trace, and then looks for each of them, however written, everywhere something
// is kept or shown.
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Account } from '../src/account/account.ts'
import type { TokenAnswer } from '../src/tiktok/client.ts'
import { startCollector } from './rig/collector.ts'
import { eventually } from './rig/eventually.ts'
import { everythingShown } from './rig/shown.ts'
import { startWorld, type World } from './world.ts'

const clientSecret = 'ClientSecretThatNobodyElseHas7f3a9c'
const previousSecret = 'PreviousSecretThatNobodyElseHas51d0'
const tierToken = 'TierServiceTokenThatNobodyElseHas88'
const eventSecret = Buffer.from('event secret that nobody else has').toString('base64')
const vaultKey = Buffer.from('8f2c1d5e7a9b3c4d6e0f1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f', 'hex').toString('base64')

t.test(
  'S16, S25, S58, I5: a life at trace leaves no secret in logs, tables, the journal, metrics, events or failures',
  async (t) => {
    process.env.OTEL_BSP_SCHEDULE_DELAY = '50' // OpenTelemetry's own variable: how long spans are gathered
    const collector = await startCollector(t)
    const world = await startWorld(t, {
      env: {
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        TIKTOK_PKCE: 's256',
        TIKTOK_CLIENT_SECRET_PREVIOUS: previousSecret,
        TIER_SERVICE_TOKEN: tierToken,
        EVENT_WEBHOOKS: `http://127.0.0.1:9/events|${eventSecret}`,
        VAULT_KEYS: `k1:${vaultKey}`,
      },
      simulator: { clientSecret, clientKey: 'clientkeythatnobodyelsehas0417' },
    })
    const secrets = watch(world)
    for (const [name, value] of Object.entries({ clientSecret, previousSecret, tierToken, eventSecret, vaultKey }))
      secrets.add(name, value)
    secrets.add('vault key bytes', Buffer.from(vaultKey, 'base64').toString('latin1'))
    const journalled: string[] = []
    const lookAtJournal = () => {
      for (const name of readdirSync(world.config.journal.dir, { recursive: true, encoding: 'utf8' }))
        if (name.endsWith('.open')) journalled.push(name, readFileSync(join(world.config.journal.dir, name), 'latin1'))
    }
    subscribe('tiktok-oauth-service.step', lookAtJournal)

    const failures: string[] = []
    const fail = (answer: { status: number; text: string; headers: object }) => {
      t.ok(answer.status >= 400, `${answer.status} is a failure`)
      failures.push(answer.text, JSON.stringify(answer.headers))
    }

    const key = await world.key('accounts:read', 'tokens:read')
    secrets.add('API key', key)
    secrets.add('API key secret', key.split('_')[2] ?? '')

    // Connect, in both modes, with a person who hesitates, one who denies and one who replays.
    const account = await connect(world, secrets, 'confirm', 'mara')
    await connect(world, secrets, 'callback', 'jonas')
    const denied = await world.openSession({ owner_id: 'denied' })
    secrets.addFrom('session', denied.authorize_url, 'session')
    await world.browser().walk(denied.authorize_url, { deny: true })

    // Read, report, refresh, with TikTok well and unwell.
    const path = `/accounts/${account.id}`
    const rejectedWith = (generation: number) => world.call('POST', `${path}/token/rejected`, { body: { generation } })
    await world.call('GET', `${path}/token`, { key })
    await rejectedWith(1)
    const { access_token: accessToken } = (await world.call<{ access_token: string }>('GET', `${path}/token`, { key })).body
    t.match(accessToken, /^act\./)
    world.tiktok.faults.add({ route: 'refresh', error: 'invalid_client' })
    fail(await rejectedWith(2))
    await world.timePasses(60)
    world.tiktok.faults.add({ route: 'refresh', reset: 'after' })
    fail(await rejectedWith(2))
    await world.call('POST', `${path}/verify`)
    world.tiktok.faults.add({ route: 'user_info', status: 500, body: { error: { code: 'x', message: 'act.in-a-message' } } })
    fail(await world.call('POST', `${path}/verify`))

    // Secrets where they do not belong.
    fail(await world.call('GET', `${path}/token?access_token=${accessToken}`, { key }))
    fail(await world.call('GET', `/accounts/${accessToken}`, { key }))
    fail(await world.call('GET', `/${accessToken}?key=${key}`, { key }))
    fail(await world.call('GET', '/accounts', { key: null, headers: { authorization: `Bearer ${accessToken}` } }))
    fail(await world.call('GET', '/accounts', { key: null, headers: { authorization: `Basic ${key}` } }))
    fail(await world.call('GET', '/accounts', { key: `${key.slice(0, -1)}x` }))
    fail(await world.call('GET', `/accounts?cursor=${encodeURIComponent(accessToken)}`, { key }))
    fail(await world.call('POST', '/connect-sessions', { body: `{"owner_id": "${accessToken}", ` }))
    fail(await world.call('POST', '/connect-sessions', { body: { owner_id: accessToken, return_url: key, [accessToken]: key } }))
    fail(await world.call('POST', `${path}/token/rejected`, { body: { generation: accessToken } }))
    fail(await world.call('POST', '/connect-sessions/cs_x/complete', { body: { owner_id: 'x', confirm: accessToken } }))
    fail(
      await world.call('PATCH', path, { body: { label: accessToken, secret: key }, headers: { 'content-type': 'text/plain' } }),
    )

    // An error of the database that quotes a token.
    await world.parts.db.run('test', (sql) =>
      sql.unsafe(
        `create function quote_it() returns trigger language plpgsql as $$ begin raise exception 'token ${accessToken}' using detail = '${accessToken}'; end $$`,
      ),
    )
    await world.parts.db.run('test', (sql) =>
      sql.unsafe('create trigger quote_it before insert on token_reads for each row execute function quote_it()'),
    )
    fail(await world.call('GET', `${path}/token`, { key }))
    await world.parts.db.run('test', (sql) => sql.unsafe('drop trigger quote_it on token_reads; drop function quote_it'))

    // Revoked while TikTok is away, so that the tokens wait in a row.
    world.tiktok.faults.add({ route: 'revoke', status: 500 })
    t.match(await world.call('DELETE', path), { status: 200, body: { revocation: 'pending' } })
    fail(await world.call('GET', `${path}/token`, { key }))
    unsubscribe('tiktok-oauth-service.step', lookAtJournal)

    await everythingShown(world.parts.db)
    await eventually('the last spans are in the collector', () =>
      collector.texts.join('').includes('DELETE /accounts/:account_id'),
    )
    const kept = {
      logs: world.logged(),
      tables: await dumpAll(world),
      journal: journalled.join('\n'),
      metrics: (await world.call<string>('GET', '/metrics')).text,
      events: (await world.call('GET', '/events')).text,
      failures: failures.join('\n'),
      traces: collector.texts.join('\n'),
      description: (await world.call('GET', '/openapi.json')).text,
    }
    t.match(kept.logs, /"level":"debug"/, 'the log is at its most talkative')
    t.match(kept.tables, /v1\.k1\./, 'the dump holds what was sealed')
    t.match(kept.journal, /rep_\w+.*00000001\.open[\s\S]*acc_/, 'the journal was seen')

    t.ok(secrets.known.size > 25, `${secrets.known.size} secrets are looked for`)
    for (const [where, text] of Object.entries(kept)) {
      for (const [value, name] of secrets.known) {
        // It stands in every authorization URL, and a grant has to know which app it was given to.
        if (name === 'client key' && where === 'tables') continue
        for (const [encoding, written] of Object.entries(writingsOf(value)))
          if (text.includes(written)) t.fail(`${name} is in the ${where}, as ${encoding}`)
      }
      t.pass(`no secret in the ${where} (${text.length} characters)`)
    }
  },
)

t.test('the search would find a secret in each of its writings', async (t) => {
  const secret = 'rft.Ab-9_x!6432.u1/é'
  const inBase64 = ['', 'x', 'xy'].map((before) => Buffer.from(`${before}${secret}and more`).toString('base64'))
  const texts = [secret, encodeURIComponent(secret), JSON.stringify(secret), Buffer.from(secret).toString('hex'), ...inBase64]
  for (const text of texts)
    t.ok(
      Object.values(writingsOf(secret)).some((written) => text.includes(written)),
      text,
    )
})

/** Everything that passes the door to TikTok is a secret: codes, verifiers, tokens of every generation. */
function watch({ parts: { tiktok } }: World) {
  const known = new Map<string, string>()
  const add = (name: string, value: string | null | undefined) => {
    if (value && value.length >= 16) known.set(value, name)
  }
  const addAnswer = async (answer: Promise<TokenAnswer>) => {
    const settled = await answer
    if (settled.kind === 'granted') {
      add('access token', settled.tokenSet.accessToken)
      add('refresh token', settled.tokenSet.refreshToken)
    }
    return settled
  }
  const { exchangeCode, refresh } = tiktok
  tiktok.exchangeCode = (exchange) => {
    add('code', exchange.code)
    add('code verifier', exchange.codeVerifier)
    return addAnswer(exchangeCode(exchange))
  }
  tiktok.refresh = (refreshToken) => {
    add('refresh token', refreshToken)
    return addAnswer(refresh(refreshToken))
  }
  const addFrom = (name: string, url: string, parameter: string) => add(name, new URL(url).searchParams.get(parameter))
  return { known, add, addFrom }
}

async function connect(world: World, secrets: ReturnType<typeof watch>, completion: string, person: string): Promise<Account> {
  const opened = await world.openSession({ owner_id: person, completion })
  secrets.addFrom('session', opened.authorize_url, 'session')
  const browser = world.browser()
  const out = await browser.setOut(opened.authorize_url)
  const toTikTok = String(out.headers.location)
  secrets.addFrom('state', toTikTok, 'state')
  secrets.addFrom('client key', toTikTok, 'client_key')
  for (const value of browser.cookies.values()) secrets.add('cookie', value)
  const decided = world.tiktok.authorize({ authorize_url: toTikTok, person })
  if (!('redirect_to' in decided)) throw new Error('TikTok refused')
  secrets.addFrom('code', decided.redirect_to, 'code')
  await world.browser().get(decided.redirect_to) // from another browser
  const comeBack = async () => new URL(String((await browser.get(decided.redirect_to)).headers.location))
  secrets.add('void confirm', (await comeBack()).searchParams.get('confirm'))
  const back = await comeBack() // once more
  const confirm = back.searchParams.get('confirm')
  secrets.add('confirm', confirm)
  if (confirm === null) return (await world.call<Account>('GET', `/accounts/${back.searchParams.get('account_id')}`)).body
  const complete = (given: string) =>
    world.call<Account>('POST', `/connect-sessions/${opened.id}/complete`, { body: { owner_id: person, confirm: given } })
  await complete(`${confirm}x`)
  return (await complete(confirm)).body
}

async function dumpAll({ parts }: World): Promise<string> {
  const tables = await parts.db.run(
    'tables',
    (sql) => sql<{ name: string }[]>`
      select quote_ident(c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema' and c.relkind in ('r', 'p') and n.nspname = 'public'`,
  )
  const rows: string[] = []
  for (const { name } of tables) {
    const found = await parts.db.run('dump', (sql) => sql.unsafe<{ row: string }[]>(`select t::text as row from ${name} t`))
    rows.push(...found.map(({ row }) => row))
  }
  return rows.join('\n')
}

/** How a secret could be written down without being recognised at first sight. */
function writingsOf(secret: string): Record<string, string> {
  const bytes = Buffer.from(secret)
  const writings: Record<string, string> = {
    plain: secret,
    'URL-encoded': encodeURIComponent(secret),
    JSON: JSON.stringify(secret).slice(1, -1),
    hex: bytes.toString('hex'),
    HEX: bytes.toString('hex').toUpperCase(),
  }
  // In the middle of something longer its base64 depends on where it starts; the ends are mixed with the neighbours.
  for (const shift of [0, 1, 2]) {
    const shifted = Buffer.concat([Buffer.alloc(shift), bytes])
    const whole = shifted
      .subarray(0, shifted.length - (shifted.length % 3))
      .toString('base64')
      .slice(shift === 0 ? 0 : 4)
    writings[`base64 at ${shift}`] = whole
    writings[`base64url at ${shift}`] = whole.replaceAll('+', '-').replaceAll('/', '_')
  }
  return writings
}
