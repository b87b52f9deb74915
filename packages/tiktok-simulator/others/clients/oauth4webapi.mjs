// https://github.com/panva/oauth4webapi, with its own hooks: the client's name, and the header without its charset
import * as oauth from 'oauth4webapi'
import { clientKey, clientSecret, consent, must, prove, redirectUri, userByHand } from '../steps.mjs'

const server = {
  issuer: 'https://www.tiktok.com',
  authorization_endpoint: 'https://www.tiktok.com/v2/auth/authorize/',
  token_endpoint: 'https://open.tiktokapis.com/v2/oauth/token/',
  revocation_endpoint: 'https://open.tiktokapis.com/v2/oauth/revoke/',
}
const client = { client_id: clientKey }
const authentication = (_server, _client, body) => {
  body.set('client_key', clientKey)
  body.set('client_secret', clientSecret)
}
const plain = {
  [oauth.customFetch]: (url, { body, headers, ...rest }) =>
    fetch(url, { ...rest, body: String(body), headers: { ...headers, 'content-type': 'application/x-www-form-urlencoded' } }),
}
const options = process.env.VARIANT === 'hooked' ? plain : {}

const callback = (parameters) => oauth.validateAuthResponse(server, client, parameters, 'a-state')
const exchange = async (parameters) =>
  oauth.processAuthorizationCodeResponse(
    server,
    client,
    await oauth.authorizationCodeGrantRequest(server, client, authentication, parameters, redirectUri, oauth.nopkce, options),
  )
const refresh = async (session) =>
  oauth.processRefreshTokenResponse(
    server,
    client,
    await oauth.refreshTokenGrantRequest(server, client, authentication, session.refresh_token, options),
  )

await prove({
  async connect() {
    const url = new URL(server.authorization_endpoint)
    const asked = {
      client_key: clientKey,
      response_type: 'code',
      scope: 'user.info.basic',
      redirect_uri: redirectUri,
      state: 'a-state',
    }
    url.search = new URLSearchParams(asked).toString()
    return exchange(callback(await consent(url)))
  },
  userInfo: (session) => userByHand(must(session, 'session').access_token),
  wrongCode: () => exchange(callback(new URLSearchParams({ code: 'wrong', state: 'a-state' }))),
  async refresh(session) {
    const renewed = await refresh(must(session, 'session'))
    must(renewed.refresh_token !== session.refresh_token, 'new refresh token')
    return renewed
  },
  async revoke(session) {
    const answer = await oauth.revocationRequest(server, client, authentication, must(session, 'session').access_token, options)
    await oauth.processRevocationResponse(answer)
  },
  deadToken: (session) => refresh(must(session, 'session')),
})
