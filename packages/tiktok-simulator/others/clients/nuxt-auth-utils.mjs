// https://github.com/atinux/nuxt-auth-utils, as Nuxt bundles it: `#imports` is what Nuxt puts there, `import.meta.dev` is decided by the build
import { registerHooks } from 'node:module'
import { createApp, createError, toWebHandler } from 'h3'
import { $fetch } from 'ofetch'
import { browserOf, clientKey, clientSecret, consent, must, prove, redirectUri } from '../steps.mjs'

const imports = `export { createError } from ${JSON.stringify(import.meta.resolve('h3'))}; export const useRuntimeConfig = () => ({})`
registerHooks({
  resolve: (name, context, next) =>
    name === '#imports'
      ? { url: `data:text/javascript,${encodeURIComponent(imports)}`, shortCircuit: true }
      : next(name, context),
  load(url, context, next) {
    const loaded = next(url, context)
    if (!url.includes('/nuxt-auth-utils/')) return loaded
    return { ...loaded, source: String(loaded.source).replaceAll('import.meta.dev', String(process.env.VARIANT === 'dev')) }
  },
})
globalThis.$fetch = $fetch
const { defineOAuthTikTokEventHandler } = await import(
  new URL('../node_modules/nuxt-auth-utils/dist/runtime/server/lib/oauth/tiktok.js', import.meta.url)
)
const handler = defineOAuthTikTokEventHandler({
  config: { clientKey, clientSecret, redirectURL: redirectUri },
  onSuccess: (_event, { user, tokens }) => ({ user, tokens }),
  onError: (_event, error) => createError({ statusCode: 401, data: error.data, message: error.message }),
})
const origin = 'https://app.example.com'
const visit = browserOf(toWebHandler(createApp().use(handler)), origin)

const start = async () => consent((await visit('/callback')).headers.get('location'))
const come = async (back) => {
  const answer = await visit(back)
  const body = await answer.json()
  if (!answer.ok) throw Object.assign(new Error(body.message ?? body.statusMessage), { data: body.data })
  return body
}

await prove({
  connect: async () => come(await start()),
  userInfo: ({ user }) => must(user?.display_name, 'user'),
  async wrongCode() {
    const back = await start()
    back.searchParams.set('code', 'wrong')
    await come(back)
  },
})
