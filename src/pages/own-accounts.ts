// What owners do with their accounts on the hosted page: reconnect, name, disconnect. Each is a form with a token, and the page
// says how it went.
import type { FastifyReply } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { type AccountDeps, labelAccount, pictureOf } from '../account/account.ts'
import { type AuthorizeDeps, startAuthorization } from '../connect/authorize.ts'
import { wayBack } from '../connect/connect-session.ts'
import { accountOfVisit, formTokenOf, type Pass } from '../connect/visit.ts'
import type { Doer } from '../db/accounts.ts'
import type { ConnectSession } from '../db/connect-sessions.ts'
import { ServiceError } from '../errors.ts'
import { AccountParams, Label } from '../http/shapes.ts'
import type { Config } from '../settings/config.ts'
import { type DisconnectDeps, disconnect } from '../token/revoke.ts'
import { disconnectPage } from './account-card.ts'
import { brandOf } from './brand.ts'
import { bindingsOf, bindState } from './browser.ts'
import { ChosenLanguage, languageOf, rememberLanguage } from './languages.ts'
import { type Back, backTo, type PageDeps, redirect, sendPage } from './page.ts'
import { tongueOf } from './tongue.ts'
import { actingSession, addressOfPage, openSession, requirePass, type VisitorDeps, VisitTag, visitOf } from './visitor.ts'
import { type DoneCode, type NotDoneCode, notDoneCodes } from './words.ts'

const VisitQuery = z.strictObject({ visit: VisitTag.optional() })
export const FormToken = z.string().max(128).default('')

const config = { public: true, page: true } as const
const form = (summary: string) => ({ hide: true, summary, consumes: ['application/x-www-form-urlencoded'] })

export type OwnAccountRouteDeps = AccountDeps & AuthorizeDeps & VisitorDeps & PageDeps & DisconnectDeps

export const ownAccountRoutes: FastifyPluginAsyncZod<OwnAccountRouteDeps> = async (app, deps) => {
  app.post(
    '/connect/accounts/:account_id/reconnect',
    {
      config,
      schema: { ...form('Connect an account again'), params: AccountParams, body: z.strictObject({ form_token: FormToken }) },
    },
    async (request, reply) => {
      const { session, pass } = await actingSession(deps, request, request.body.form_token)
      const { accountId } = request.params
      if ((session.reconnectAccountId ?? accountId) !== accountId)
        return backToPage(deps, reply, pass, { notDone: 'reconnect_other' })
      return orSay(deps, reply, pass, async () => {
        await accountOfVisit(deps, session, accountId)
        const start = await startAuthorization(deps, session, {
          bindings: bindingsOf(deps, request),
          reconnectAccountId: accountId,
        })
        deps.log.info('reconnect was started', { accountId, sessionId: session.id, keyId: session.createdBy, actor: 'owner' })
        bindState(deps, { request, reply }, start)
        return redirect(deps, reply, start.location)
      })
    },
  )

  app.post(
    '/connect/accounts/:account_id/label',
    {
      config,
      schema: {
        ...form('Name an account'),
        params: AccountParams,
        body: z.strictObject({ form_token: FormToken, label: z.string().max(1000) }),
      },
    },
    async (request, reply) => {
      const { session, pass } = await actingSession(deps, request, request.body.form_token)
      const { accountId } = request.params
      const label = request.body.label.trim() === '' ? null : Label.safeParse(request.body.label)
      if (label?.success === false) return backToPage(deps, reply, pass, { notDone: 'label_invalid' })
      return orSay(deps, reply, pass, async () => {
        await accountOfVisit(deps, session, accountId, 'accounts:write')
        await labelAccount(deps, accountId, label?.data ?? null, ownerOf(session))
        deps.log.info('account was named', { accountId, sessionId: session.id, keyId: session.createdBy, actor: 'owner' })
        return backToPage(deps, reply, pass, { done: label === null ? 'label_removed' : 'label_saved' })
      })
    },
  )

  app.get(
    '/connect/accounts/:account_id/disconnect',
    {
      config,
      schema: {
        hide: true,
        summary: 'Ask before an account is disconnected',
        params: AccountParams,
        querystring: VisitQuery.extend({ lang: ChosenLanguage }),
      },
    },
    async (request, reply) => {
      rememberLanguage(deps, reply, request.query.lang)
      const pass = requirePass(deps, request, request.query.visit)
      const session = await openSession(deps, pass)
      return orSay(deps, reply, pass, async () => {
        const account = await accountOfVisit(deps, session, request.params.accountId, 'accounts:read')
        const setting = {
          brand: brandOf(deps.config, session.branding),
          tongue: await tongueOf(languageOf(deps, request, session.locale)),
          here: request.url,
        }
        const from = { formToken: formTokenOf(pass), visit: visitOf(pass), back: backOf(session) }
        return sendPage(deps, reply, disconnectPage(account, setting, from))
      })
    },
  )

  app.post(
    '/connect/accounts/:account_id/disconnect',
    {
      config,
      schema: { ...form('Disconnect an account'), params: AccountParams, body: z.strictObject({ form_token: FormToken }) },
    },
    async (request, reply) => {
      const { session, pass } = await actingSession(deps, request, request.body.form_token)
      const { accountId } = request.params
      return orSay(deps, reply, pass, async () => {
        await accountOfVisit(deps, session, accountId, 'accounts:write')
        const end = { reason: 'disconnected_by_owner' as const, ...ownerOf(session), requestId: request.id }
        const revocation = await disconnect(deps, accountId, end)
        return backToPage(deps, reply, pass, { done: revocation === 'pending' ? 'disconnected_pending' : 'disconnected' })
      })
    },
  )

  app.get(
    '/connect/accounts/:account_id/avatar',
    {
      config,
      schema: { hide: true, summary: 'The picture of an account, for the page', params: AccountParams, querystring: VisitQuery },
    },
    async (request, reply) => {
      const session = await openSession(deps, requirePass(deps, request, request.query.visit))
      const { id } = await accountOfVisit(deps, session, request.params.accountId, 'accounts:read')
      const { contentType, etag, picture } = await pictureOf(deps, id)
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

/** On the page it is the owner, or whoever has the link: what the audit says of them is the link and who made it. */
const ownerOf = ({ id, createdBy }: ConnectSession): Doer => ({ actor: 'owner', via: { sessionId: id, keyId: createdBy } })

/** Shows the page again with a message at the top. */
export function backToPage(
  deps: PageDeps & { config: Pick<Config, 'publicUrl'> },
  reply: FastifyReply,
  pass: Pass,
  said: { done: DoneCode } | { notDone: NotDoneCode },
): FastifyReply {
  const query = 'done' in said ? `done=${said.done}` : `failed=${said.notDone}`
  return redirect(deps, reply, `${deps.config.publicUrl}${addressOfPage(pass)}&${query}`)
}

/** The return URL with the outcome for the web app: `failed`, or `closed` for everything else. */
export function backOf(session: ConnectSession): Back {
  return backTo(wayBack(session))
}

/** Failures that the page has a message for are shown on it, others on a page of their own. */
async function orSay(
  deps: Parameters<typeof backToPage>[0],
  reply: FastifyReply,
  pass: Pass,
  work: () => Promise<FastifyReply>,
): Promise<FastifyReply> {
  try {
    return await work()
  } catch (error) {
    const notDone = notDoneIn(error)
    if (!notDone) throw error
    return backToPage(deps, reply, pass, { notDone })
  }
}

/** The code of a failure, if this page has a message for it. */
export const notDoneIn = (error: unknown): NotDoneCode | undefined =>
  error instanceof ServiceError ? notDoneCodes.find((code) => code === error.code) : undefined
