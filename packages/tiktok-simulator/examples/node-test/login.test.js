// node --test: a TikTok in the process of the test, on a free port.
import assert from 'node:assert/strict'
import { after, beforeEach, test } from 'node:test'
import { startSimulator } from 'tiktok-simulator'
import { loginWith } from './login.js'

const redirectUri = 'https://app.example.com/callback'
const tiktok = await startSimulator({ redirectUris: [redirectUri] })
const login = loginWith({ authUrl: tiktok.url, apiUrl: tiktok.url, redirectUri, ...tiktok })
after(() => tiktok.close())
beforeEach(() => tiktok.reset())

/** Where TikTok sends the browser when this person has decided. */
const decided = (person, decision = {}) =>
  new URL(tiktok.authorize({ authorize_url: login.authorizeUrl('s'), person, ...decision }).redirect_to).searchParams

test('Mara logs in', async () => {
  const { access_token } = await login.exchange(decided('mara').get('code'))
  assert.equal(await login.nameOf(access_token), 'Mara Cooks')
})

test('Jonas declines a scope, and Noura everything', async () => {
  const { scope } = await login.exchange(decided('jonas', { decline: ['video.upload'] }).get('code'))
  assert.equal(scope, 'user.info.basic')
  assert.equal(decided('noura', { deny: true }).get('error'), 'access_denied')
})

test('half a year passes', async () => {
  const { refresh_token } = await login.exchange(decided('mara').get('code'))
  tiktok.clock.advance(181 * 86_400)
  await assert.rejects(login.refresh(refresh_token), /invalid_grant/)
})

test('the answer to a refresh is lost: TikTok has replaced the token all the same', async () => {
  const { refresh_token } = await login.exchange(decided('mara').get('code'))
  tiktok.faults.add({ route: 'refresh', reset: 'after' })
  await assert.rejects(login.refresh(refresh_token))
  await assert.rejects(login.refresh(refresh_token), /invalid_grant/)
  assert.equal(tiktok.requests()[0].rule, 'setting rotation') // why TikTok says so
})
