// The app's routes. Everything they do to an account they do for the logged-in user and only to an account of theirs: the API key
// opens every owner's accounts, so that the check is this app's job.
import { randomBytes } from 'node:crypto'
import cookies from '@fastify/cookie'
import forms from '@fastify/formbody'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import {
  type Account,
  AccountsError,
  CallerError,
  type CreateConnectSession,
  TikTokAccounts,
  UserError,
} from 'oauth-accounts-for-tiktok'
import type { Html } from './html.ts'
import { accountsPage, disconnectPage, loginPage, messagePage, type TokenResult } from './pages.ts'
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
import { connectProblem, mayBeRepeated, problemMessage, revocationInWords } from './words.ts'

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
  const tiktok = new TikTokAccounts({ url: serviceUrl, key: options.webAppKey, budgetMs: 30_000 })
  // A real web app has no such key: tokens are for the upload service.
  const asUploadService = new TikTokAccounts({ url: serviceUrl, key: options.uploadKey, budgetMs: 30_000 })
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
    const account = await tiktok.accounts.get(id).catch((error: unknown) => {
      const unknown = error instanceof AccountsError && /^(account_not_found|validation_failed)$/.test(error.code)
      throw unknown ? new NotYours() : error
    })
    if (account.ownerId !== user.id) throw new NotYours()
    return account
  }

  async function accountsOf({ id }: User): Promise<Account[]> {
    const accounts: Account[] = []
    for await (const account of tiktok.accounts.list({ ownerId: id })) accounts.push(account)
    return accounts
  }

  /** Opens a connect session for the logged-in user and sends the browser on. */
  async function connect(
    reply: FastifyReply,
    user: User,
    wish: Partial<CreateConnectSession>,
    way: 'authorizeUrl' | 'connectUrl',
  ) {
    try {
      const opened = await tiktok.connectSessions.open({
        ownerId: user.id,
        ownerName: user.name,
        tier: user.tier,
        returnUrl: `${originOf(app)}/tiktok/return`,
        ...wish,
      })
      return reply.redirect(opened[way], 303)
    } catch (error) {
      if (!(error instanceof AccountsError)) throw error
      return back(reply, connectProblem(error))
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
    return send(reply, accountsPage(mine, mine.user, await accountsOf(mine.user), { message }))
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
    const attested = { accountType: form.account_type ?? '', ageConfirmed: form.age_confirmed === 'yes' }
    return connect(reply, user, { ...attested, ...(label ? { label } : {}) }, 'authorizeUrl')
  })

  // Way two: the service's own page asks.
  app.post('/connect/hosted', async (request, reply) => connect(reply, readForm(request, reply).user, {}, 'connectUrl'))

  app.post('/accounts/:id/reconnect', async (request, reply) => {
    const account = await own(readForm(request, reply).user, request)
    // Neither account type nor age is sent: nobody was asked just now, so what they stated when they connected stands, with its time. The
    // service's page says which account it is about and takes them to TikTok.
    return connect(reply, loggedIn(session(request, reply)), { reconnectAccountId: account.id }, 'connectUrl')
  })

  /**
   * The return URL. The service has the code and waits for somebody to say whose it is: only this app knows who is logged in here, so a
   * link that was sent to somebody else connects nothing. A repeat is answered with the same account.
   */
  app.get('/tiktok/return', async (request, reply) => {
    const { status } = request.query as { status?: string }
    // They left the service's page by its link back: whatever they did there shows in the list.
    if (status === 'closed') return back(reply)
    const user = loggedIn(session(request, reply))
    try {
      const account = await tiktok.connectSessions.complete(request.url, { ownerId: user.id })
      const name = account.profile.displayName ?? account.label ?? 'The TikTok account'
      return back(reply, { kind: 'good', title: `${name} is connected`, text: 'Uploads can go there from now on.' })
    } catch (error) {
      if (!(error instanceof AccountsError)) throw error
      const message = connectProblem(error)
      // The address is kept where a reload is the remedy; otherwise it leaves the address bar.
      return mayBeRepeated(error) ? send(reply.code(503), messagePage(message)) : back(reply, message)
    }
  })

  app.post('/accounts/:id/label', async (request, reply) => {
    const { user, form } = readForm(request, reply)
    const account = await own(user, request)
    return back(reply, await labelled(account, form.label?.trim() || null))
  })

  async function labelled(account: Account, label: string | null): Promise<Message> {
    try {
      await tiktok.accounts.label(account.id, label)
      return { kind: 'good', title: 'Saved', text: label === null ? 'The label is gone.' : `It is called ${label} now.` }
    } catch (error) {
      return problemMessage('The label was not saved', error)
    }
  }

  app.post('/accounts/:id/verify', async (request, reply) => {
    const account = await own(readForm(request, reply).user, request)
    try {
      await tiktok.accounts.verify(account.id)
      return back(reply, { kind: 'good', title: 'Checked', text: 'This is what TikTok says now.' })
    } catch (error) {
      return back(reply, problemMessage('The check did not get through', error))
    }
  })

  app.post('/accounts/:id/token', async (request, reply) => {
    const { mine, user } = readForm(request, reply)
    const account = await own(user, request)
    const token = await fetchToken(account.id)
    return send(reply, accountsPage(mine, user, await accountsOf(user), { token }))
  })

  async function fetchToken(accountId: string): Promise<TokenResult> {
    try {
      const token = await asUploadService.accounts.token(accountId)
      const { accessToken: secret, expiresAt, generation, scopes } = token
      return { accountId, prefix: secret.slice(0, 8), expiresAt, generation, scopes, degraded: token.degraded === true }
    } catch (error) {
      if (!(error instanceof AccountsError)) throw error
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
      const { revocation } = await tiktok.accounts.disconnect(account.id)
      const name = account.profile.displayName ?? 'The TikTok account'
      return back(reply, { kind: 'good', title: `${name} is disconnected`, text: revocationInWords[revocation] })
    } catch (error) {
      return back(reply, problemMessage('It was not disconnected', error))
    }
  })

  // Passed on, because the picture needs the key and the key stays here.
  app.get('/accounts/:id/picture', async (request, reply) => {
    const account = await own(loggedIn(session(request, reply)), request)
    const etag = request.headers['if-none-match']
    const picture = await tiktok.accounts.avatar(account.id, { etag }).catch((error: unknown) => {
      throw error instanceof CallerError || error instanceof UserError ? new NotYours() : error
    })
    reply.header('cache-control', 'private, max-age=3600')
    if (picture.etag !== null) reply.header('etag', picture.etag)
    if (picture.bytes === undefined) return reply.code(304).send()
    if (!/^image\/(jpeg|png|webp)$/.test(picture.contentType ?? '')) throw new NotYours()
    return reply.type(picture.contentType ?? '').send(Buffer.from(picture.bytes))
  })

  app.setNotFoundHandler((_request, reply) => send(reply.code(404), messagePage(notFound)))
  app.setErrorHandler((error, _request, reply) => {
    if (error instanceof LoginNeeded) return send(reply.code(401), messagePage(loginFirst))
    if (error instanceof NotYours) return send(reply.code(404), messagePage(notFound))
    if (error instanceof WrongForm) return send(reply.code(403), messagePage(oldForm))
    if (error instanceof AccountsError) return send(reply.code(503), messagePage(problemMessage('Please try again', error)))
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
