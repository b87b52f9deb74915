// node --test: a TikTok in the process of the test, and in it an app for each test, so that all run at once.
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { startSimulator } from 'tiktok-simulator'
import { loginWith } from './login.js'

const redirectUri = 'https://app.example.com/callback'
const tiktok = await startSimulator()
after(() => tiktok.close())

/** People, clock, faults and requests of this app are its own: a test cannot disturb another. */
function newApp() {
  const app = tiktok.addApp({ redirect_uris: [redirectUri] })
  const login = loginWith({ authUrl: tiktok.url, apiUrl: tiktok.url, redirectUri, ...app })
  /** Where TikTok sends the browser when this person has decided. */
  const decided = (person, decision = {}) =>
    new URL(app.authorize({ authorize_url: login.authorizeUrl('s'), person, ...decision }).redirect_to).searchParams
  return { app, login, decided }
}

describe('login', { concurrency: true }, () => {
  test('Mara logs in', async () => {
    const { login, decided } = newApp()
    const { access_token } = await login.exchange(decided('mara').get('code'))
    assert.equal(await login.nameOf(access_token), 'Mara Cooks')
  })

  test('Jonas declines a scope, and Noura everything', async () => {
    const { login, decided } = newApp()
    const { scope } = await login.exchange(decided('jonas', { decline: ['video.upload'] }).get('code'))
    assert.equal(scope, 'user.info.basic')
    assert.equal(decided('noura', { deny: true }).get('error'), 'access_denied')
  })

  test('half a year passes', async () => {
    const { app, login, decided } = newApp()
    const { refresh_token } = await login.exchange(decided('mara').get('code'))
    app.clock.advance(181 * 86_400)
    await assert.rejects(login.refresh(refresh_token), /invalid_grant/)
  })

  test('the answer to a refresh is lost: TikTok has replaced the token all the same', async () => {
    const { app, login, decided } = newApp()
    const { refresh_token } = await login.exchange(decided('mara').get('code'))
    app.faults.add({ route: 'refresh', reset: 'after' })
    await assert.rejects(login.refresh(refresh_token))
    await assert.rejects(login.refresh(refresh_token), /invalid_grant/)
    assert.equal(app.requests()[0].rule, 'setting rotation') // why TikTok says so
  })
})
