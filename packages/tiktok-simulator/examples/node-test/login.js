// The code under test: log in with TikTok, as your app would. It knows TikTok by two addresses and nothing of a simulator.
export function loginWith({ authUrl, apiUrl, clientKey, clientSecret, redirectUri }) {
  const token = async (fields) => {
    const answer = await fetch(`${apiUrl}/v2/oauth/token/`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ client_key: clientKey, client_secret: clientSecret, ...fields }).toString(),
    })
    const tokens = await answer.json()
    if (tokens.error) throw new Error(tokens.error) // TikTok says so in a 200, too
    return tokens
  }
  return {
    authorizeUrl: (state) =>
      `${authUrl}/v2/auth/authorize/?${new URLSearchParams({
        client_key: clientKey,
        response_type: 'code',
        scope: 'user.info.basic,video.upload',
        redirect_uri: redirectUri,
        state,
      })}`,
    exchange: (code) => token({ grant_type: 'authorization_code', code, redirect_uri: redirectUri }),
    refresh: (refreshToken) => token({ grant_type: 'refresh_token', refresh_token: refreshToken }),
    async nameOf(accessToken) {
      const answer = await fetch(`${apiUrl}/v2/user/info/?fields=display_name`, {
        headers: { authorization: `Bearer ${accessToken}` },
      })
      const { data, error } = await answer.json()
      if (error.code !== 'ok') throw new Error(error.code)
      return data.user.display_name
    },
  }
}
