// The app's routes. Everything they do to an account they do for the logged-in user and only to an account of theirs: the API key
// opens every owner's accounts, so that the check is this app's job.
import { randomBytes } from 'node:crypto'
import cookies from '@fastify/cookie'
import forms from '@fastify/formbody'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { Html } from './html.ts'
import { accountsPage, disconnectPage, loginPage, messagePage, type TokenResult } from './pages.ts'
import { type Account, type ConnectWish, openService, ServiceProblem } from './service.ts'
import {
  checkForm,
  leaveMessage,
  type Message,
  type Session,
  sessionOf,
  startSession,
  takeMessage,
  WrongForm,
} from './session.ts'
import { style } from './style.ts'
import { findUser, type User } from './users.ts'
import { connectFailure, mayBeRepeated, problemMessage, revocationInWords } from './words.ts'

export interface WebAppOptions {
  port: number
  serviceUrl: string
  tiktokUrl: string
  webAppKey: string
  uploadKey: string
  cookieSecret: string
}

/** Nobody is logged in, and the page is for somebody. */
class LoginNeeded extends Error {}
/** Not there, or not theirs: the difference is nobody's business. */
class NotYours extends Error {}

type Form = Record<string, string | undefined>

/** Listens on loopback. */
export async function startWebApp(options: WebAppOptions): Promise<FastifyInstance> {
  const { cookieSecret, serviceUrl, tiktokUrl } = options
  const service = openService({ url: serviceUrl, webAppKey: options.webAppKey, uploadKey: options.uploadKey })
  const app = Fastify({ bodyLimit: 16 * 1024, requestTimeout: 10_000, forceCloseConnections: true })
  await app.register(cookies, { secret: cookieSecret })
  await app.register(forms)
  const policy = `default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self' ${serviceUrl} ${tiktokUrl}; base-uri 'none'; frame-ancestors 'none'`
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers({
      'content-security-policy': policy,
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
    })
  })

  const session = (request: FastifyRequest, reply: FastifyReply) => sessionOf(request, reply, cookieSecret)
  const send = (reply: FastifyReply, page: Html) => reply.type('text/html; charset=utf-8').send(page.markup)
  const back = (reply: FastifyReply, message?: Message) => {
    if (message) leaveMessage(reply, message)
    return reply.redirect('/', 303)
  }

  /** The form's session, its user and its fields, once it is known to be one of ours. */
  function readForm(request: FastifyRequest, reply: FastifyReply): { mine: Session; user: User; form: Form } {
    const mine = session(request, reply)
    const form = (request.body ?? {}) as Form
    checkForm(mine, form.csrf)
    return { mine, user: loggedIn(mine), form }
  }

  async function own(user: User, request: FastifyRequest): Promise<Account> {
    const { id } = request.params as { id: string }
    const account = await service.account(id).catch((error: unknown) => {
      const unknown = error instanceof ServiceProblem && /^(account_not_found|validation_failed)$/.test(error.code)
      throw unknown ? new NotYours() : error
    })
    if (account.owner_id !== user.id) throw new NotYours()
    return account
  }

  /** Opens a connect session for the logged-in user and sends the browser on. */
  async function connect(reply: FastifyReply, user: User, wish: Partial<ConnectWish>, way: 'authorize_url' | 'connect_url') {
    try {
      const opened = await service.openConnectSession({
        owner_id: user.id,
        tier: user.tier,
        return_url: `${originOf(app)}/tiktok/return`,
        ...wish,
      })
      return reply.redirect(opened[way], 303)
    } catch (error) {
      if (!(error instanceof ServiceProblem)) throw error
      return back(reply, connectFailure(error.code, error.message))
    }
  }

  app.get('/style.css', (_request, reply) =>
    reply.type('text/css; charset=utf-8').header('cache-control', 'max-age=60').send(style),
  )
  app.get('/health', async () => ({ status: 'ok' }))

  app.get('/', async (request, reply) => {
    const mine = session(request, reply)
    const message = takeMessage(request, reply)
    if (!mine.user) return send(reply, loginPage(mine, message))
    return send(reply, accountsPage(mine, mine.user, await service.accountsOf(mine.user.id), { message }))
  })

  app.post('/login', async (request, reply) => {
    const form = request.body as Form
    checkForm(session(request, reply), form.csrf)
    startSession(reply, findUser(form.user), cookieSecret)
    return back(reply)
  })

  app.post('/logout', async (request, reply) => {
    readForm(request, reply)
    startSession(reply, undefined, cookieSecret)
    return back(reply)
  })

  // Way one: this app asks for account type and age itself and sends people straight to TikTok.
  app.post('/connect', async (request, reply) => {
    const { user, form } = readForm(request, reply)
    const label = form.label?.trim()
    const attested = { account_type: form.account_type ?? '', age_confirmed: form.age_confirmed === 'yes' }
    return connect(reply, user, { ...attested, ...(label ? { label } : {}) }, 'authorize_url')
  })

  // Way two: the service's own page asks.
  app.post('/connect/hosted', async (request, reply) => connect(reply, readForm(request, reply).user, {}, 'connect_url'))

  app.post('/accounts/:id/reconnect', async (request, reply) => {
    const account = await own(readForm(request, reply).user, request)
    // Neither account type nor age is sent: nobody was asked just now, so what they stated when they connected stands, with its time. The
    // service's page says which account it is about and takes them to TikTok.
    return connect(reply, loggedIn(session(request, reply)), { reconnect_account_id: account.id }, 'connect_url')
  })

  /**
   * The return URL. The service has the code and waits for somebody to say whose it is: only this app knows who is logged in here, so a
   * link that was sent to somebody else connects nothing. A repeat is answered with the same account.
   */
  app.get('/tiktok/return', async (request, reply) => {
    const query = request.query as Record<string, string | undefined>
    if (query.status === 'failed') return back(reply, connectFailure(query.error ?? 'tiktok_rejected'))
    // They left the service's page by its link back: whatever they did there shows in the list.
    if (query.status === 'closed') return back(reply)
    const user = loggedIn(session(request, reply))
    try {
      const account = await service.complete(query.connect_session ?? '', user.id, query.confirm ?? '')
      const name = account.profile.display_name ?? account.label ?? 'The TikTok account'
      return back(reply, { kind: 'good', title: `${name} is connected`, text: 'Uploads can go there from now on.' })
    } catch (error) {
      if (!(error instanceof ServiceProblem)) throw error
      const message = connectFailure(error.code, error.message)
      // The address is kept where a reload is the remedy; otherwise it leaves the address bar.
      return mayBeRepeated(error.code) ? send(reply.code(503), messagePage(message)) : back(reply, message)
    }
  })

  app.post('/accounts/:id/label', async (request, reply) => {
    const { user, form } = readForm(request, reply)
    const account = await own(user, request)
    return back(reply, await labelled(account, form.label?.trim() || null))
  })

  async function labelled(account: Account, label: string | null): Promise<Message> {
    try {
      await service.label(account.id, label)
      return { kind: 'good', title: 'Saved', text: label === null ? 'The label is gone.' : `It is called ${label} now.` }
    } catch (error) {
      return problemMessage('The label was not saved', error)
    }
  }

  app.post('/accounts/:id/verify', async (request, reply) => {
    const account = await own(readForm(request, reply).user, request)
    try {
      await service.verify(account.id)
      return back(reply, { kind: 'good', title: 'Checked', text: 'This is what TikTok says now.' })
    } catch (error) {
      return back(reply, problemMessage('The check did not get through', error))
    }
  })

  app.post('/accounts/:id/token', async (request, reply) => {
    const { mine, user } = readForm(request, reply)
    const account = await own(user, request)
    const token = await fetchToken(account.id)
    return send(reply, accountsPage(mine, user, await service.accountsOf(user.id), { token }))
  })

  async function fetchToken(accountId: string): Promise<TokenResult> {
    try {
      const token = await service.tokenAsUploadService(accountId)
      const { access_token: secret, expires_at: expiresAt, generation, scopes } = token
      return { accountId, prefix: secret.slice(0, 8), expiresAt, generation, scopes, degraded: token.degraded === true }
    } catch (error) {
      if (!(error instanceof ServiceProblem)) throw error
      return { accountId, problem: error }
    }
  }

  app.get('/accounts/:id/disconnect', async (request, reply) => {
    const mine = session(request, reply)
    const user = loggedIn(mine)
    return send(reply, disconnectPage(mine, user, await own(user, request)))
  })

  app.post('/accounts/:id/disconnect', async (request, reply) => {
    const account = await own(readForm(request, reply).user, request)
    try {
      const { revocation } = await service.disconnect(account.id)
      const name = account.profile.display_name ?? 'The TikTok account'
      return back(reply, { kind: 'good', title: `${name} is disconnected`, text: revocationInWords[revocation] })
    } catch (error) {
      return back(reply, problemMessage('It was not disconnected', error))
    }
  })

  // Passed on, because the picture needs the key and the key stays here.
  app.get('/accounts/:id/picture', async (request, reply) => {
    const account = await own(loggedIn(session(request, reply)), request)
    const picture = await service.avatar(account.id, request.headers['if-none-match'])
    reply.header('cache-control', 'private, max-age=3600')
    const etag = picture.headers.get('etag')
    if (etag !== null) reply.header('etag', etag)
    if (picture.status === 304) return reply.code(304).send()
    const type = picture.headers.get('content-type') ?? ''
    if (!picture.ok || !/^image\/(jpeg|png|webp)$/.test(type)) throw new NotYours()
    return reply.type(type).send(Buffer.from(await picture.arrayBuffer()))
  })

  app.setNotFoundHandler((_request, reply) => send(reply.code(404), messagePage(notFound)))
  app.setErrorHandler((error, _request, reply) => {
    if (error instanceof LoginNeeded) return send(reply.code(401), messagePage(loginFirst))
    if (error instanceof NotYours) return send(reply.code(404), messagePage(notFound))
    if (error instanceof WrongForm) return send(reply.code(403), messagePage(oldForm))
    if (error instanceof ServiceProblem) return send(reply.code(503), messagePage(problemMessage('Please try again', error)))
    const number = randomBytes(4).toString('hex')
    console.error(`example app, error ${number}:`, error)
    return send(reply.code(500), messagePage({ kind: 'bad', title: 'Something broke', text: `Error number ${number}.` }))
  })

  await app.listen({ host: '127.0.0.1', port: options.port })
  return app
}

const loginFirst: Message = {
  kind: 'bad',
  title: 'Please log in first',
  text: 'Log in as the person who started this, then reload this page. Nothing was connected so far.',
}
const notFound: Message = { kind: 'bad', title: 'Not found', text: 'There is no such page, or it is not yours.' }
const oldForm: Message = { kind: 'bad', title: 'This form is too old', text: 'You logged in or out since. Please try again.' }

function loggedIn({ user }: Session): User {
  if (!user) throw new LoginNeeded()
  return user
}

/** As browsers reach it; a real app takes this from its configuration. */
function originOf(app: FastifyInstance): string {
  const address = app.server.address()
  if (address === null || typeof address === 'string') throw new Error('it listens on a port')
  return `http://127.0.0.1:${address.port}`
}
