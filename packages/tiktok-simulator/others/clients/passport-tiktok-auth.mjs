// https://www.npmjs.com/package/passport-tiktok-auth, driven as passport drives a strategy
import { Strategy } from 'passport-tiktok-auth'
import { clientKey, clientSecret, consent, must, prove, redirectUri } from '../steps.mjs'

const scope = ['user.info.basic', 'user.info.profile', 'user.info.stats']
const options = { clientID: clientKey, clientSecret, callbackURL: redirectUri, scope, state: true }
const strategy = new Strategy(options, (access, refresh, profile, done) => done(null, { access, refresh, profile }))

const session = {}
const authenticate = (query) =>
  new Promise((resolve, reject) => {
    const acting = Object.assign(Object.create(strategy), {
      redirect: resolve,
      success: resolve,
      fail: (challenge) => reject(new Error(challenge?.message ?? 'refused')),
      error: reject,
    })
    acting.authenticate({ query, session, headers: {}, connection: {} }, {})
  })

await prove({
  async connect() {
    const back = await consent(await authenticate({}))
    return authenticate(Object.fromEntries(back.searchParams))
  },
  userInfo: ({ profile }) => must(profile?.displayName, 'profile'),
  async wrongCode() {
    const back = await consent(await authenticate({}))
    return authenticate({ ...Object.fromEntries(back.searchParams), code: 'wrong' })
  },
})
