// Account type and age: said by the person, kept with when, by whom and in which words, and shown as nothing more than that.
import t from 'tap'
import { attestationVersion } from '../../src/account/attestation.ts'
import { returnUrl, startWorld } from '../world.ts'

t.test('other types and people under age are refused before TikTok is asked', async (t) => {
  const world = await startWorld(t)
  const open = (said: Record<string, unknown>) =>
    world.call<{ code?: string }>('POST', '/connect-sessions', { body: { owner_id: 'user_42', return_url: returnUrl, ...said } })
  for (const accountType of ['personal', 'Creator', 'organization', '', 'creator ']) {
    const answer = await open({ account_type: accountType, age_confirmed: true })
    t.match(answer, { status: 422, body: { code: 'account_type_not_supported', mended_by: 'user' } }, accountType)
  }
  t.match(await open({ account_type: 'business', age_confirmed: false }), { status: 422, body: { code: 'age_not_confirmed' } })
  t.match(await open({ account_type: 7, age_confirmed: true }), { status: 400, body: { code: 'validation_failed' } })
  t.match(await open({ account_type: 'creator', age_confirmed: 'yes' }), { status: 400, body: { code: 'validation_failed' } })
})

t.test('who has not been asked yet is asked on our page, and not sent to TikTok', async (t) => {
  const world = await startWorld(t)
  for (const said of [{ account_type: undefined }, { age_confirmed: undefined }]) {
    const session = await world.openSession(said)
    t.match(await world.browser().get(session.authorize_url), { status: 303, headers: { location: session.connect_url } })
  }
})

t.test('what was said is kept with its time, source and wording, and shown as self-attested', async (t) => {
  const world = await startWorld(t)
  const account = await world.connect({ session: { account_type: 'business' } })
  t.match(account.account_type, { value: 'business', source: 'self_attested', wording: attestationVersion })
  t.ok(Math.abs(Date.parse(account.account_type.attested_at) - Date.parse(account.connected_at)) < 60_000)
  t.equal(account.age_confirmed_at, account.account_type.attested_at)
  const [row] = await world.parts.db.run(
    'attestation',
    (sql) =>
      sql`select account_type, attestation_source, attestation_version, attested_at is not null as dated from accounts where id = ${account.id}`,
  )
  t.match(row, {
    accountType: 'business',
    attestationSource: 'self_attested',
    attestationVersion,
    dated: true,
  })

  await world.timePasses(3600)
  const again = await world.connect({ session: { account_type: 'creator' } })
  t.match(again, { id: account.id, account_type: { value: 'creator' } }, 'what is said later replaces it')
  t.ok(again.account_type.attested_at > account.account_type.attested_at)
})

t.test('the badge is the badge, and says nothing about the type', async (t) => {
  const world = await startWorld(t)
  const verified = await world.connect({ person: 'jonas', session: { account_type: 'creator' } })
  t.match(verified, { profile: { is_verified: true }, account_type: { value: 'creator', source: 'self_attested' } })
  const shop = await world.connect({ person: 'brightlane', session: { account_type: 'business' } })
  t.match(shop, { profile: { is_verified: false }, account_type: { value: 'business', source: 'self_attested' } })
})
