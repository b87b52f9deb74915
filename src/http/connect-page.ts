// The hosted page: a person looks after the TikTok accounts of one owner for as long as a connect session lives, with no script and no login of
// ours. The web app's link says who they are; a cookie keeps it (visit.ts). Every change is POST, 303, GET.
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { labelAccount, pictureOf } from '../account/account.ts'
import { type Allowance, allowanceOf } from '../account/limits.ts'
import type { ConnectSession } from '../db/connect-sessions.ts'
import { type FailureCode, ServiceError } from '../errors.ts'
import type { Parts } from '../parts.ts'
import { startAuthorization } from '../token/authorize.ts'
import { attest, errorOf, sessionOfBrowser, statusOf } from '../token/connect.ts'
import { disconnect } from '../token/revoke.ts'
import {
  accountOfVisit,
  accountsOfVisit,
  actInVisit,
  checkBrowser,
  formTokenOf,
  openVisit,
  type Pass,
  sessionOfVisit,
} from '../token/visit.ts'
import { sameDigest } from '../vault/digest.ts'
import { disconnectPage } from './account-card.ts'
import { AccountParams } from './accounts.ts'
import { bindState } from './browser.ts'
import { Label } from './connect-sessions.ts'
import { connectPage } from './connect-view.ts'
import { type Back, type Html, messagePage, redirect, sendPage } from './pages.ts'
import { type DoneCode, failureInWords, type NotDoneCode, texts } from './texts.ts'
import { readPass, writePass } from './visit-cookie.ts'

export const LinkSecret = z.string().regex(/^[A-Za-z0-9_-]{43}$/)
const FormToken = z.string().max(128).default('')
const oneOf = <Code extends string>(words: Record<Code, string>) => z.enum(Object.keys(words) as [Code, ...Code[]])

const config = { public: true, page: true } as const
const form = (summary: string) => ({ hide: true, summary, consumes: ['application/x-www-form-urlencoded'] })

export const connectPageRoutes: FastifyPluginAsyncZod<{ parts: Parts }> = async (app, { parts }) => {
  const to = (reply: FastifyReply, said: { done: DoneCode } | { notDone: NotDoneCode }) =>
    redirect(parts, reply, `${parts.config.publicUrl}/connect?${'done' in said ? `done=${said.done}` : `failed=${said.notDone}`}`)

  app.get(
    '/connect',
    {
      config,
      schema: {
        tags: ['connect'],
        summary: "A person's accounts, and connecting one more",
        description:
          'The `connect_url` of a connect session. Its secret moves into a cookie and out of the address; the first browser that does something on the page keeps the session, looking binds nothing. A person who leaves goes to the return URL with `connect_session` and `status=closed`.',
        querystring: z.strictObject({
          session: LinkSecret.optional(),
          done: oneOf(texts.done).optional(),
          failed: oneOf(texts.notDone).optional(),
        }),
        response: {
          200: z.string().describe('A page'),
          303: z.null().describe('The same, without the secret in the address'),
          410: z.string().describe('A page: the ten minutes are over'),
        },
      },
    },
    async (request, reply) => {
      const { session: linkSecret, done, failed } = request.query
      if (linkSecret !== undefined) {
        writePass(parts, reply, await openVisit(parts, linkSecret, readPass(parts, request)))
        return redirect(parts, reply, `${parts.config.publicUrl}/connect`)
      }
      const pass = requirePass(parts, request)
      const session = await sessionOfVisit(parts, pass)
      const over = overPage(session)
      if (over) return sendPage(parts, reply.code(over.status), over.page)
      const [accounts, allowance] = await Promise.all([accountsOfVisit(parts, session), allowanceIfKnown(parts, session.ownerId)])
      const { scopes, requiredScopes, authBaseUrl } = parts.config.tiktok
      const content = connectPage({
        session,
        accounts,
        allowance,
        scopes,
        requiredScopes,
        tiktokHost: new URL(authBaseUrl).host,
        formToken: formTokenOf(pass),
        back: backOf(session),
        done,
        notDone: failed,
        now: new Date(),
      })
      return sendPage(parts, reply, content, [new URL(session.returnUrl).origin])
    },
  )

  app.post(
    '/connect',
    {
      config,
      schema: {
        tags: ['connect'],
        summary: 'Take the answers of the connect page',
        description: 'The form of the page. Also with the `session` of the link instead of its cookie.',
        consumes: ['application/x-www-form-urlencoded'],
        body: z.strictObject({
          session: LinkSecret.optional(),
          form_token: FormToken,
          account_type: z.string().max(32).optional(),
          age_confirmed: z.literal('yes').optional(),
        }),
        response: { 303: z.null().describe('On to /authorize, or back to the page') },
      },
    },
    async (request, reply) => {
      const { session: linkSecret, form_token: formToken, account_type: accountType, age_confirmed: age } = request.body
      // Whoever has the link's secret could as well go to /authorize with it: nothing is gained here, so nothing more is asked.
      const session =
        linkSecret === undefined
          ? await actingSession(parts, request, formToken)
          : await sessionOfSecret(parts, request, linkSecret)
      const secret = linkSecret ?? requirePass(parts, request).linkSecret
      if (accountType === undefined && linkSecret === undefined) return to(reply, { notDone: 'account_type_missing' })
      try {
        await attest(parts, session, { accountType: accountType ?? '', ageConfirmed: age === 'yes' })
      } catch (error) {
        const notDone = codeIn(error, texts.notDone)
        if (notDone && linkSecret === undefined) return to(reply, { notDone })
        throw error
      }
      parts.log.info('account type and age were attested', { sessionId: session.id, ownerId: session.ownerId, actor: 'owner' })
      return redirect(parts, reply, `${parts.config.publicUrl}/authorize?session=${secret}`)
    },
  )

  app.post(
    '/connect/accounts/:accountId/reconnect',
    {
      config,
      schema: { ...form('Connect an account again'), params: AccountParams, body: z.strictObject({ form_token: FormToken }) },
    },
    async (request, reply) => {
      const session = await actingSession(parts, request, request.body.form_token)
      const { accountId } = request.params
      if ((session.reconnectAccountId ?? accountId) !== accountId) return to(reply, { notDone: 'reconnect_other' })
      return orSay(reply, to, async () => {
        await accountOfVisit(parts, session, accountId)
        const start = await startAuthorization(parts, session, accountId)
        parts.log.info('reconnect was started', { accountId, sessionId: session.id, actor: 'owner' })
        bindState(parts, reply, start)
        return redirect(parts, reply, start.location)
      })
    },
  )

  app.post(
    '/connect/accounts/:accountId/label',
    {
      config,
      schema: {
        ...form('Name an account'),
        params: AccountParams,
        body: z.strictObject({ form_token: FormToken, label: z.string().max(1000) }),
      },
    },
    async (request, reply) => {
      const session = await actingSession(parts, request, request.body.form_token)
      const { accountId } = request.params
      const label = request.body.label.trim() === '' ? null : Label.safeParse(request.body.label)
      if (label?.success === false) return to(reply, { notDone: 'label_invalid' })
      return orSay(reply, to, async () => {
        await accountOfVisit(parts, session, accountId)
        await labelAccount(parts, accountId, label?.data ?? null, 'owner')
        parts.log.info('account was named', { accountId, sessionId: session.id, actor: 'owner' })
        return to(reply, { done: label === null ? 'label_removed' : 'label_saved' })
      })
    },
  )

  app.get(
    '/connect/accounts/:accountId/disconnect',
    { config, schema: { hide: true, summary: 'Ask before an account is disconnected', params: AccountParams } },
    async (request, reply) => {
      const pass = requirePass(parts, request)
      const session = await openSession(parts, pass)
      return orSay(reply, to, async () => {
        const account = await accountOfVisit(parts, session, request.params.accountId)
        return sendPage(parts, reply, disconnectPage(account, { formToken: formTokenOf(pass), back: backOf(session) }))
      })
    },
  )

  app.post(
    '/connect/accounts/:accountId/disconnect',
    {
      config,
      schema: { ...form('Disconnect an account'), params: AccountParams, body: z.strictObject({ form_token: FormToken }) },
    },
    async (request, reply) => {
      const session = await actingSession(parts, request, request.body.form_token)
      const { accountId } = request.params
      return orSay(reply, to, async () => {
        await accountOfVisit(parts, session, accountId)
        const end = { reason: 'disconnected_by_owner', actor: 'owner', requestId: request.id }
        const revocation = await disconnect(parts, accountId, end)
        return to(reply, { done: revocation === 'pending' ? 'disconnected_pending' : 'disconnected' })
      })
    },
  )

  app.get(
    '/connect/accounts/:accountId/avatar',
    { config, schema: { hide: true, summary: 'The picture of an account, for the page', params: AccountParams } },
    async (request, reply) => {
      const session = await openSession(parts, requirePass(parts, request))
      const { id } = await accountOfVisit(parts, session, request.params.accountId)
      const { contentType, etag, picture } = await pictureOf(parts, id)
      reply.headers({
        etag: `"${etag}"`,
        'cache-control': 'private, max-age=600',
        'x-content-type-options': 'nosniff',
        'content-security-policy': "default-src 'none'; sandbox",
        'cross-origin-resource-policy': 'same-origin',
      })
      if (request.headers['if-none-match'] === `"${etag}"`) return reply.code(304).send()
      return reply
        .type(contentType)
        .serializer((bytes: unknown) => bytes as string)
        .send(picture)
    },
  )
}

function requirePass(parts: Parts, request: FastifyRequest): Pass {
  const pass = readPass(parts, request)
  if (!pass) throw new ServiceError('session_invalid', 'Open the link again, with cookies allowed.')
  return pass
}

/** For looking at one thing of a session that is still open. */
async function openSession(parts: Parts, pass: Pass): Promise<ConnectSession> {
  const session = await sessionOfBrowser(parts, pass.linkSecret)
  checkBrowser(parts, session, pass)
  return session
}

/**
 * For a form of the page: its cookie, its token, and no sign of another site. From here on the session is this browser's.
 *
 * @throws ServiceError session_invalid | session_expired | browser_mismatch
 */
async function actingSession(parts: Parts, request: FastifyRequest, formToken: string): Promise<ConnectSession> {
  refuseOtherSites(parts, request)
  const pass = requirePass(parts, request)
  if (!sameDigest(formToken, formTokenOf(pass))) {
    parts.log.warn('form came without its token', {
      requestId: request.id,
      route: request.routeOptions.url ?? '',
      outcome: 'refused',
    })
    throw new ServiceError('session_invalid', 'This form is not from the page that is open now; open the page again.')
  }
  return actInVisit(parts, pass)
}

async function sessionOfSecret(parts: Parts, request: FastifyRequest, linkSecret: string): Promise<ConnectSession> {
  refuseOtherSites(parts, request)
  const session = await sessionOfBrowser(parts, linkSecret)
  checkBrowser(parts, session, readPass(parts, request))
  return session
}

/** The second line behind the token. `Origin` is `null` from our own page, which sends no referrer; Sec-Fetch-Site tells the truth then. */
function refuseOtherSites({ config: { publicUrl }, log }: Parts, request: FastifyRequest): void {
  const { origin, 'sec-fetch-site': site } = request.headers
  const foreign = site === undefined ? origin !== undefined && origin !== 'null' && origin !== publicUrl : site !== 'same-origin'
  if (!foreign) return
  log.warn('form came from another site', { requestId: request.id, route: request.routeOptions.url ?? '', outcome: 'refused' })
  throw new ServiceError('session_invalid', 'Forms are taken from our own page only; open the page again.')
}

/** Failures that the page has a sentence for are said on the page, the others on a page of their own. */
async function orSay(
  reply: FastifyReply,
  to: (reply: FastifyReply, said: { notDone: NotDoneCode }) => FastifyReply,
  work: () => Promise<FastifyReply>,
): Promise<FastifyReply> {
  try {
    return await work()
  } catch (error) {
    const notDone = codeIn(error, texts.notDone)
    if (!notDone) throw error
    return to(reply, { notDone })
  }
}

const codeIn = <Code extends string>(error: unknown, words: Record<Code, string>): Code | undefined =>
  error instanceof ServiceError && error.code in words ? (error.code as FailureCode & Code) : undefined

/** The tier service being away closes the connect button and nothing else. */
async function allowanceIfKnown(parts: Parts, ownerId: string): Promise<Allowance | undefined> {
  try {
    return await allowanceOf(parts, ownerId)
  } catch (error) {
    if (error instanceof ServiceError) return undefined
    throw error
  }
}

/** What is left to say when the session has gone on, with the way back. */
function overPage(session: ConnectSession): { status: 200 | 410; page: Html } | undefined {
  const status = statusOf(session)
  if (status === 'pending' || status === 'authorizing') return undefined
  const { url, host } = backOf(session)
  const way = { url, words: texts.frame.back(host) }
  if (status === 'failed') return { status: 200, page: messagePage(failureInWords(errorOf(session) ?? ''), { tone: 'bad', way }) }
  const { title, text } = texts.over[status]
  return { status: status === 'expired' ? 410 : 200, page: messagePage({ title, text: text(host) }, { tone: 'good', way }) }
}

/** The return URL that was fixed with the session, and what the web app is told there: `failed` as always, `closed` for everything else. */
function backOf(session: ConnectSession): Back {
  const url = new URL(session.returnUrl)
  url.searchParams.set('connect_session', session.id)
  const failed = statusOf(session) === 'failed'
  url.searchParams.set('status', failed ? 'failed' : 'closed')
  if (failed) url.searchParams.set('error', errorOf(session) ?? 'tiktok_rejected')
  return { url: url.href, host: url.host }
}
