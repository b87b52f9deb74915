// vitest: a TikTok for each file of tests, which vitest runs in a process of their own.
import { startSimulator } from 'tiktok-simulator'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loginWith } from './login.js'

const redirectUri = 'https://app.example.com/callback'
let tiktok
let login

beforeAll(async () => {
  tiktok = await startSimulator({ redirectUris: [redirectUri] })
  login = loginWith({ authUrl: tiktok.url, apiUrl: tiktok.url, redirectUri, ...tiktok })
  return () => tiktok.close()
})
afterAll(() => expect(tiktok.stats.report().double_spends, 'no refresh token was sent twice').toEqual([]))

const codeOf = (person) =>
  new URL(tiktok.authorize({ authorize_url: login.authorizeUrl('s'), person }).redirect_to).searchParams.get('code')

test('Mara logs in', async () => {
  const { access_token } = await login.exchange(codeOf('mara'))
  expect(await login.nameOf(access_token)).toBe('Mara Cooks')
})

test('an access token lives for two hours, and a refresh gives another', async () => {
  const { access_token, refresh_token } = await login.exchange(codeOf('jonas'))
  tiktok.clock.advance(7200)
  await expect(login.nameOf(access_token)).rejects.toThrow('access_token_invalid')
  const { access_token: next } = await login.refresh(refresh_token)
  expect(await login.nameOf(next)).toBe('Jonas Lindqvist')
})

test('Mara removes the app at TikTok', async () => {
  const { access_token, refresh_token } = await login.exchange(codeOf('mara'))
  tiktok.removeApp('mara')
  await expect(login.nameOf(access_token)).rejects.toThrow('access_token_invalid')
  await expect(login.refresh(refresh_token)).rejects.toThrow('invalid_grant')
})
