// https://arcticjs.dev/providers/tiktok
import { generateCodeVerifier, generateState, TikTok } from 'arctic'
import { clientKey, clientSecret, consent, must, prove, redirectUri, userByHand } from '../steps.mjs'

const tiktok = new TikTok(clientKey, clientSecret, redirectUri)

await prove({
  async connect() {
    const verifier = generateCodeVerifier()
    const back = await consent(tiktok.createAuthorizationURL(generateState(), verifier, ['user.info.basic']))
    const tokens = await tiktok.validateAuthorizationCode(back.searchParams.get('code'), verifier)
    return { access: tokens.accessToken(), refresh: tokens.refreshToken() }
  },
  userInfo: ({ access }) => userByHand(access),
  wrongCode: async () => (await tiktok.validateAuthorizationCode('wrong', generateCodeVerifier())).accessToken(),
  async refresh({ refresh }) {
    const tokens = await tiktok.refreshAccessToken(refresh)
    must(tokens.refreshToken() !== refresh, 'new refresh token')
    return { access: tokens.accessToken(), refresh: tokens.refreshToken() }
  },
  async revoke({ access }) {
    await tiktok.revokeToken(access)
  },
  deadToken: async ({ refresh }) => (await tiktok.refreshAccessToken(refresh)).accessToken(),
})
