// Two readings of TikTok's documentation meet: this door and the simulator know nothing of each other.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { type Simulator, startSimulator } from 'tiktok-simulator'
import { createTikTok, type TikTok } from '../../src/tiktok/client.ts'
import { challengeOf, createVerifier } from '../../src/tiktok/pkce.ts'
import { parseNotice, verifyWebhook } from '../../src/tiktok/webhook.ts'

const redirectUri = 'https://us.test/callback'
const scopes = ['user.info.basic', 'user.info.profile', 'user.info.stats', 'video.upload']

async function simulated(
  t: Test,
  options: Parameters<typeof startSimulator>[0] = {},
): Promise<{ simulator: Simulator; tiktok: TikTok }> {
  const simulator = await startSimulator(options)
  const { url, clientKey, clientSecret } = simulator
  const tiktok = createTikTok({ authBaseUrl: url, apiBaseUrl: url, clientKey, clientSecret, timeouts: { totalMs: 400 } })
  t.teardown(async () => {
    await tiktok.close()
    await simulator.close()
  })
  return { simulator, tiktok }
}

function consent({ simulator, tiktok }: { simulator: Simulator; tiktok: TikTok }, codeChallenge?: string): string {
  const person = simulator.people.find('chef') ?? simulator.people.add({ id: 'chef', display_name: 'Fake Chef' })
  const authorize_url = tiktok.authorizationUrl({ state: 'opaque', redirectUri, scopes, codeChallenge })
  const decided = simulator.authorize({ authorize_url, person: person.id })
  if (!('redirect_to' in decided)) throw new Error(`the simulator shows an error page: ${decided.errorType}`)
  return new URL(decided.redirect_to).searchParams.get('code') ?? ''
}

async function connected(t: Test, options?: Parameters<typeof startSimulator>[0]) {
  const world = await simulated(t, options)
  const answer = await world.tiktok.exchangeCode({ code: consent(world), redirectUri })
  if (answer.kind !== 'granted') throw new Error(`not granted: ${JSON.stringify(answer)}`)
  return { ...world, tokenSet: answer.tokenSet, refreshToken: answer.tokenSet.refreshToken ?? '' }
}

t.test('a grant lives from consent to revocation', async (t) => {
  const { tiktok, tokenSet, refreshToken } = await connected(t)
  t.match(tokenSet, { expiresInSeconds: 7200, scopes })
  // The simulator states what is left of it, and its clock runs between issuing and stating.
  const elapsedSeconds = 180 * 86_400 - (tokenSet.refreshExpiresInSeconds ?? 0)
  t.ok(elapsedSeconds >= 0 && elapsedSeconds < 60, '180 days')

  const answer = await tiktok.userInfo(tokenSet.accessToken, scopes)
  if (answer.kind !== 'ok') return t.fail(`no user: ${JSON.stringify(answer)}`)
  t.match(answer.user, { openId: tokenSet.openId, displayName: 'Fake Chef', isVerified: false })
  t.match(await tiktok.avatar(answer.user.avatarUrl ?? ''), { kind: 'ok', contentType: /^image\// })

  const refreshed = await tiktok.refresh(refreshToken)
  if (refreshed.kind !== 'granted') return t.fail(`not refreshed: ${JSON.stringify(refreshed)}`)
  t.equal(refreshed.tokenSet.openId, tokenSet.openId)
  t.match(await tiktok.refresh(refreshToken), { kind: 'refused', error: 'invalid_grant' }, 'it rotates')

  t.same(await tiktok.revoke(refreshed.tokenSet.accessToken), { kind: 'revoked' })
  t.match(await tiktok.userInfo(refreshed.tokenSet.accessToken, scopes), { kind: 'token_invalid' })
  t.match(await tiktok.refresh(refreshed.tokenSet.refreshToken ?? ''), { kind: 'refused', error: 'invalid_grant' })
})

t.test('PKCE in TikTok’s spelling is verified, and a wrong verifier says nothing about our credentials', async (t) => {
  const world = await simulated(t, { pkce: 's256-hex' })
  const codeVerifier = createVerifier()
  const challenge = challengeOf(codeVerifier, 's256-hex')
  const exchange = (code: string, verifier: string) => world.tiktok.exchangeCode({ code, redirectUri, codeVerifier: verifier })
  t.match(await exchange(consent(world, challenge), codeVerifier), { kind: 'granted' })
  const wrong = await exchange(consent(world, challenge), createVerifier())
  t.ok(wrong.kind === 'refused' || (wrong.kind === 'client_refused' && wrong.blame === 'request'), wrong.kind)
})

t.test('F07–F18 as the simulator plays them', async (t) => {
  const { simulator, tiktok, refreshToken } = await connected(t)
  // Not processed, so that every line below meets the same live token.
  for (const [fault, expected] of [
    [{ before_ms: 1000 }, { kind: 'ambiguous', reason: 'timeout' }],
    [{ drip_ms: 20 }, { kind: 'ambiguous', reason: 'timeout' }],
    [{ status: 503 }, { kind: 'ambiguous', reason: 'server_error' }],
    [
      { status: 429, headers: { 'retry-after': '7' } },
      { kind: 'throttled', retryAfterSeconds: 7 },
    ],
    [{ reset: 'before' }, { kind: 'ambiguous', reason: 'reset' }],
    [{ body: '<html>' }, { kind: 'ambiguous', reason: 'foreign_body' }],
    [{ body: '{"access_token":"act' }, { kind: 'ambiguous', reason: 'cut_body' }],
    [{ redirect: 'http://127.0.0.1:9/' }, { kind: 'ambiguous', reason: 'redirect' }],
    [{ error: 'invalid_client' }, { kind: 'client_refused', blame: 'credentials' }],
    [{ error: 'temporarily_unavailable' }, { kind: 'ambiguous', reason: 'server_error' }],
  ] as const) {
    simulator.faults.add({ route: 'refresh', process: false, ...fault })
    t.match(await tiktok.refresh(refreshToken), expected, JSON.stringify(fault))
  }
  simulator.faults.add({ route: 'refresh', set: { expires_in: -1 }, omit: ['refresh_expires_in', 'scope'] })
  t.match(await tiktok.refresh(refreshToken), {
    kind: 'granted',
    tokenSet: { refreshToken: String, expiresInSeconds: null, refreshExpiresInSeconds: null, scopes: null },
  })
})

t.test('its notices verify and read', async (t) => {
  const arrived = Promise.withResolvers<{ signatureHeader: string | string[] | undefined; rawBody: Buffer }>()
  const receiver = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      response.end()
      arrived.resolve({ signatureHeader: request.headers['tiktok-signature'], rawBody: Buffer.concat(chunks) })
    })
  })
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
  t.teardown(() => receiver.close())
  const webhookUrl = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`
  const { simulator, tokenSet } = await connected(t, { webhookUrl })
  simulator.removeApp(tokenSet.openId, 3)

  const notice = await arrived.promise
  const nowSeconds = Math.floor(Date.now() / 1000)
  t.match(verifyWebhook({ ...notice, secrets: [simulator.clientSecret], nowSeconds }), { ok: true })
  t.match(parseNotice(notice.rawBody, nowSeconds), {
    event: 'authorization.removed',
    userOpenId: tokenSet.openId,
    removalReason: 3,
  })
})
