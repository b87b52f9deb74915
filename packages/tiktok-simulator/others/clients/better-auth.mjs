// https://www.better-auth.com/docs/authentication/tiktok, with the scopes it asks for by itself
import { betterAuth } from 'better-auth'
import { memoryAdapter } from 'better-auth/adapters/memory'
import { browserOf, clientKey, clientSecret, consent, must, prove } from '../steps.mjs'

const origin = 'https://app.example.com'
const auth = betterAuth({
  baseURL: origin,
  secret: 'only for this run, and long enough for the library',
  database: memoryAdapter({ user: [], session: [], account: [], verification: [] }),
  socialProviders: { tiktok: { clientKey, clientSecret } },
  logger: { disabled: true },
  rateLimit: { enabled: false },
})
const visit = browserOf((request) => auth.handler(request), origin)

const start = async () => {
  const { url } = await (await visit('/api/auth/sign-in/social', { json: { provider: 'tiktok', callbackURL: '/in' } })).json()
  return consent(must(url, 'address'))
}
const come = async (back) => {
  const location = (await visit(back)).headers.get('location') ?? ''
  if (new URL(location, origin).pathname !== '/in') throw new Error(new URL(location, origin).searchParams.get('error'))
}
const refresh = async () => {
  const [{ id: accountId }] = await (await visit('/api/auth/list-accounts')).json()
  const answer = await visit('/api/auth/refresh-token', { json: { accountId } })
  const body = await answer.json()
  if (!answer.ok) throw new Error(body.code ?? body.message ?? answer.status)
  return { refresh: must(body.refreshToken, 'refresh token') }
}

await prove({
  async connect() {
    await come(await start())
    return {}
  },
  async userInfo() {
    const session = await (await visit('/api/auth/get-session')).json()
    return must(session?.user?.name, 'session')
  },
  async wrongCode() {
    const back = await start()
    back.searchParams.set('code', 'wrong')
    await come(back)
  },
  refresh,
  deadToken: refresh,
})
