// https://authjs.dev/getting-started/providers/tiktok, with the scope and the checks it has by itself
import { Auth } from '@auth/core'
import TikTok from '@auth/core/providers/tiktok'
import { browserOf, clientKey, clientSecret, consent, must, prove } from '../steps.mjs'

const origin = 'https://app.example.com'
let failed
const config = {
  secret: 'only for this run, and long enough for the library',
  trustHost: true,
  basePath: '/auth',
  providers: [TikTok({ clientId: clientKey, clientSecret })],
  logger: { error: (error) => (failed = error), warn() {}, debug() {} },
}
const visit = browserOf((request) => Auth(request, config), origin)

const start = async () => {
  const { csrfToken } = await (await visit('/auth/csrf')).json()
  return consent(
    (await visit('/auth/signin/tiktok', { form: { csrfToken, callbackUrl: `${origin}/in` } })).headers.get('location'),
  )
}
const come = async (back) => {
  const location = (await visit(back)).headers.get('location') ?? ''
  if (!location.endsWith('/in')) throw failed?.cause?.err ?? failed ?? new Error(location)
}

await prove({
  async connect() {
    await come(await start())
    return {}
  },
  async userInfo() {
    const session = await (await visit('/auth/session')).json()
    return must(session?.user?.name, 'session')
  },
  async wrongCode() {
    const back = await start()
    back.searchParams.set('code', 'wrong')
    await come(back)
  },
})
