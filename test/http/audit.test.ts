// The audit over HTTP: all of it, in order, nothing skipped, and to a narrowed caller what is its own.
import t from 'tap'
import { createApiKey } from '../../src/http/api-keys.ts'
import { ageAudit } from '../audit-rows.ts'
import { startWorld } from '../world.ts'

interface Page {
  entries: { action: string; actor: string; object: string; via: unknown; request_id: string | null }[]
  next_cursor: string
}

t.test('tokens handed out, changes and operators stand in one trail, page by page', async (t) => {
  const world = await startWorld(t)
  const account = await world.connect()
  await world.call('GET', `/accounts/${account.id}/token`)
  await world.call('PATCH', `/accounts/${account.id}`, { body: { label: 'Shop' } })
  const read = async (query = '') => (await world.call<Page>('GET', `/audit${query}`)).body
  t.same((await read()).entries, [], 'what may still be overtaken is not shown')

  await ageAudit(world.parts, '1 minute')
  const whole = await read('?limit=1000')
  const of = (action: string) => whole.entries.find((entry) => entry.action === action)
  t.match(of('token_handed_out'), { actor: /^key_/, object: account.id, request_id: /^req_/ })
  t.match(of('label_changed'), { actor: /^key_/, object: account.id, via: null })
  t.match(of('api_key_created'), { object: /^key_/ })
  t.match(of('connected'), { via: { connect_session: /^cs_/, key_id: /^key_/ } })

  const pieces: Page['entries'] = []
  for (let page = await read('?limit=1'); page.entries.length > 0; page = await read(`?limit=1&after=${page.next_cursor}`))
    pieces.push(...page.entries)
  t.same(pieces, whole.entries, 'one by one it is the same')
  t.same((await read(`?after=${whole.next_cursor}`)).next_cursor, whole.next_cursor, 'an empty page is asked again')
  for (const wrong of [
    'x',
    '!',
    Buffer.from('1.9.x').toString('base64url'),
    Buffer.from("1.1.'; drop table").toString('base64url'),
  ])
    t.ok([200, 400].includes((await world.call('GET', `/audit?after=${wrong}`)).status), wrong)
})

t.test('it needs audit:read, and a narrow key sees what happened to its accounts only', async (t) => {
  const world = await startWorld(t)
  const [mine, theirs] = [await world.connect({ owner: 'acme_1' }), await world.connect({ owner: 'beta_1', person: 'jonas' })]
  for (const { id } of [mine, theirs]) await world.call('GET', `/accounts/${id}/token`)
  await ageAudit(world.parts, '1 minute')
  t.match(await world.call('GET', '/audit', { key: await world.key('accounts:read', 'ops:read', 'events:read') }), {
    status: 403,
  })
  const reach = { ownerPrefixes: ['acme_'], accountIds: null }
  const { key } = await createApiKey(world.parts, { name: 'acme', scopes: ['audit:read'], expiresAt: null, reach })
  const { body } = await world.call<Page>('GET', '/audit?limit=1000', { key })
  t.ok(body.entries.some(({ action }) => action === 'token_handed_out'))
  t.same(new Set(body.entries.map(({ object }) => object)), new Set([mine.id]))
})
