// What is exposed, what the page says and what the source means are one; and each figure is there before anything has happened.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { measureTheFleet } from '../src/background/fleet.ts'
import { createMetrics } from '../src/metrics.ts'
import { type Exposed, readExposition } from './rig/exposition.ts'
import { startWorld } from './world.ts'

const { definitions } = createMetrics()
const ofNode = /^(process|nodejs)_/
const page = readFileSync(join(import.meta.dirname, '..', 'docs', 'metrics.md'), 'utf8')

const world = await startWorld(t)
const account = await world.connect()
const scrape = async (): Promise<Exposed[]> => readExposition((await world.call<string>('GET', '/metrics')).text)
const figureOf = (exposed: Exposed[], name: string, labels: Record<string, string> = {}) =>
  exposed
    .find((metric) => metric.name === name)
    ?.series.find((one) => Object.entries(labels).every(([label, value]) => one.labels[label] === value))?.value

t.test('the page lists what a live service exposes, with its type and its labels, and nothing else', async (t) => {
  const live = (await scrape()).filter(({ name }) => !ofNode.test(name))
  const entries = [...page.matchAll(/^### `(\w+)`\n\n(counter|gauge|histogram), [^.]+\. .+\n((?:\n- \w+: .+)*)/gm)]
  t.strictSame(entries.map(([, name, type]) => `${name} ${type}`).sort(), live.map(({ name, type }) => `${name} ${type}`).sort())
  for (const [, name, , list = ''] of entries) {
    const documented = [...list.matchAll(/^- (\w+): /gm)].map(([, label]) => label)
    const exposed = live.find((metric) => metric.name === name)?.series.flatMap(({ labels }) => Object.keys(labels)) ?? []
    t.strictSame(
      [...new Set(exposed)].filter((label) => label !== 'le' && !documented.includes(label)),
      [],
      `labels of ${name}`,
    )
  }
})

t.test('every metric says what it means and has a question that asks for it', async (t) => {
  for (const { name, help, query } of definitions) {
    t.match(query, name)
    t.ok(help.length > 10 && !help.endsWith('.'), `${name}: ${help}`)
  }
})

t.test('S63: series of closed labels are there at 0 from the start', async (t) => {
  const fresh = readExposition(await createMetrics().registry.metrics())
  for (const { name, labels, type } of definitions) {
    const values = Object.values(labels)
    if (values.includes(null)) continue
    const combinations = values.reduce((product, each) => product * (each?.length ?? 0), 1)
    const series = fresh.find((metric) => metric.name === name)?.series ?? []
    const counted = type === 'histogram' ? series.filter(({ suffix }) => suffix === 'count') : series
    t.equal(counted.length, combinations, name)
  }
})

t.test('vends are counted by what they were answered, also where a guard could not ask the database', async (t) => {
  const before = await scrape()
  const added = async (code: string) => {
    const now = await scrape()
    return (figureOf(now, 'token_vends_total', { code }) ?? 0) - (figureOf(before, 'token_vends_total', { code }) ?? 0)
  }
  await world.call('GET', `/accounts/${account.id}/token`)
  await world.call('GET', '/accounts/acc_nobody/token')
  await world.call('GET', `/accounts/${account.id}/token`, { key: 'ttk_nonsense' })
  t.equal(await added('ok'), 1)
  t.equal(await added('account_not_found'), 1)
  t.equal(await added('unauthenticated'), 1)
  const seconds = (await scrape()).find(({ name }) => name === 'token_vend_duration_seconds')?.series ?? []
  t.ok(Number(seconds.find(({ suffix }) => suffix === 'count')?.value) >= 3)
})

t.test('TikTok, its part of a refresh, uploads and statements leave their figures', async (t) => {
  await world.parts.refresher.refresh(account.id, 1)
  const { body: upload } = await world.call<{ id: string }>('POST', `/accounts/${account.id}/uploads`, {
    headers: { 'idempotency-key': 'a' },
  })
  await world.call('POST', `/accounts/${account.id}/uploads/${upload.id}/release`, {
    body: { tiktok_error: 'spam_risk_too_many_posts' },
  })
  await world.call('POST', `/accounts/${account.id}/uploads`, { headers: { 'idempotency-key': 'b' } })
  const now = await scrape()
  t.ok(Number(figureOf(now, 'tiktok_requests_total', { endpoint: 'exchange', outcome: 'ok' })) > 0)
  t.equal(figureOf(now, 'tiktok_requests_total', { endpoint: 'refresh', outcome: 'ok' }), 1)
  t.equal(figureOf(now, 'upload_slots_total', { outcome: 'reserved' }), 1)
  t.equal(figureOf(now, 'upload_slots_total', { outcome: 'released' }), 1)
  t.equal(figureOf(now, 'upload_slots_total', { outcome: 'closed' }), 1)
  t.equal(figureOf(now, 'upload_closures_total'), 1)
  const statements = now.find(({ name }) => name === 'database_statement_duration_seconds')?.series ?? []
  t.ok(statements.some(({ labels, suffix }) => suffix === 'count' && labels.name === 'claim_token_set'))
  const parts = now.find(({ name }) => name === 'token_refresh_tiktok_seconds')?.series ?? []
  t.equal(parts.find(({ suffix }) => suffix === 'count')?.value, 1)
})

t.test('one replica counts all accounts, every change of one is counted, and any replica shows the figures', async (t) => {
  const { db } = world.parts
  const shown = async () => {
    await db.run('next_turn', (sql) => sql`update fleet_figures set lease_until = '-infinity'`)
    await measureTheFleet(world.parts)
    return scrape()
  }
  const counts = (exposed: Exposed[]) =>
    Object.fromEntries(
      (exposed.find(({ name }) => name === 'accounts')?.series ?? [])
        .filter(({ value }) => value !== 0)
        .map(({ labels, value }) => [`${labels.status} ${labels.reason}`, value]),
    )
  t.strictSame(counts(await shown()), { 'active none': 1 })
  await db.run(
    'end_soon',
    (sql) => sql`update token_sets set refresh_expires_at = now() + interval '20 days' where account_id = ${account.id}`,
  )
  const soon = await shown()
  t.equal(figureOf(soon, 'grants_ending', { within: '7d' }), 0)
  t.equal(figureOf(soon, 'grants_ending', { within: '30d' }), 1)
  t.equal(figureOf(soon, 'upload_accounts', { state: 'closed' }), 1)
  t.ok(Number(figureOf(soon, 'vault_key_seals')) >= 0)

  await db.run(
    'come_back',
    (sql) => sql`update accounts set status = 'reauthorization_required', status_reason = 'refresh_token_rejected'`,
  )
  t.strictSame(counts(await shown()), { 'reauthorization_required refresh_token_rejected': 1 })
  await db.run('label', (sql) => sql`update accounts set label = 'nothing that counts'`)
  await db.run('well', (sql) => sql`update accounts set status = 'active', status_reason = null`)
  t.strictSame(counts(await shown()), { 'active none': 1 })
  await world.call('DELETE', `/accounts/${account.id}`)
  t.strictSame(counts(await shown()), { 'disconnected disconnected_by_owner': 1 })
  const [tallies] = await db.run('tallies', (sql) => sql<{ rows: number }[]>`select count(*)::int as rows from account_tallies`)
  t.equal(tallies?.rows, 1, 'what was counted since is folded by that turn')
})

t.test('whose turn it is not reads what the other has counted', async (t) => {
  const { db } = world.parts
  const metrics = createMetrics()
  await db.run('taken', (sql) => sql`update fleet_figures set lease_until = now() + interval '1 hour'`)
  await measureTheFleet({ db, metrics })
  t.match(await metrics.registry.metrics(), /^accounts\{status="disconnected",reason="disconnected_by_owner"\} 1$/m)
})
