// https://www.npmjs.com/package/simple-oauth2, configured for TikTok's names
import { AuthorizationCode } from 'simple-oauth2'
import { clientKey, clientSecret, consent, must, prove, redirectUri, userByHand } from '../steps.mjs'

const tiktok = new AuthorizationCode({
  client: { id: clientKey, secret: clientSecret, idParamName: 'client_key', secretParamName: 'client_secret' },
  auth: {
    authorizeHost: 'https://www.tiktok.com',
    authorizePath: '/v2/auth/authorize/',
    tokenHost: 'https://open.tiktokapis.com',
    tokenPath: '/v2/oauth/token/',
    revokePath: '/v2/oauth/revoke/',
  },
  options: { authorizationMethod: 'body', scopeSeparator: ',' },
})
const tokenOf = (made) => {
  if (made.token.error) throw new Error(`an answer without a token: ${made.token.error}`)
  return made
}

await prove({
  async connect() {
    const url = tiktok.authorizeURL({ redirect_uri: redirectUri, scope: ['user.info.basic'], state: 'a-state' })
    const code = (await consent(url)).searchParams.get('code')
    return tokenOf(await tiktok.getToken({ code, redirect_uri: redirectUri }))
  },
  userInfo: ({ token }) => userByHand(token.access_token),
  wrongCode: async () => tokenOf(await tiktok.getToken({ code: 'wrong', redirect_uri: redirectUri })),
  async refresh(session) {
    const renewed = tokenOf(await session.refresh())
    must(renewed.token.refresh_token !== session.token.refresh_token, 'new refresh token')
    return renewed
  },
  async revoke(session) {
    await session.revoke('access_token')
  },
  deadToken: async (session) => tokenOf(await session.refresh()),
})
