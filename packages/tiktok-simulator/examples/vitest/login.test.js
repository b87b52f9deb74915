// vitest: a TikTok for each file of tests, and in it an app for each test, so that all run at once.
import { startSimulator } from 'tiktok-simulator'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loginWith } from './login.js'

const redirectUri = 'https://app.example.com/callback'
let tiktok

beforeAll(async () => {
  tiktok = await startSimulator()
  return () => tiktok.close()
})
afterAll(() => {
  for (const app of tiktok.apps()) expect(app.stats.report().double_spends, 'no refresh token was sent twice').toEqual([])
})

/** People, clock, faults and requests of this app are its own: a test cannot disturb another. */
function newApp() {
  const app = tiktok.addApp({ redirect_uris: [redirectUri] })
  const login = loginWith({ authUrl: tiktok.url, apiUrl: tiktok.url, redirectUri, ...app })
  const codeOf = (person) =>
    new URL(app.authorize({ authorize_url: login.authorizeUrl('s'), person }).redirect_to).searchParams.get('code')
  return { app, login, codeOf }
}

describe.concurrent('login', () => {
  test('Mara logs in', async () => {
    const { login, codeOf } = newApp()
    const { access_token } = await login.exchange(codeOf('mara'))
    expect(await login.nameOf(access_token)).toBe('Mara Cooks')
  })

  test('an access token lives for two hours, and a refresh gives another', async () => {
    const { app, login, codeOf } = newApp()
    const { access_token, refresh_token } = await login.exchange(codeOf('jonas'))
    app.clock.advance(7200)
    await expect(login.nameOf(access_token)).rejects.toThrow('access_token_invalid')
    const { access_token: next } = await login.refresh(refresh_token)
    expect(await login.nameOf(next)).toBe('Jonas Lindqvist')
  })

  test('Mara removes the app at TikTok', async () => {
    const { app, login, codeOf } = newApp()
    const { access_token, refresh_token } = await login.exchange(codeOf('mara'))
    app.removeApp('mara')
    await expect(login.nameOf(access_token)).rejects.toThrow('access_token_invalid')
    await expect(login.refresh(refresh_token)).rejects.toThrow('invalid_grant')
  })
})
