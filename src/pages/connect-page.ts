// The hosted page, where a person manages the TikTok accounts of one owner while a connect session lives, without script or login.
// The web app's link says who they are and a cookie remembers it (visitor.ts). Every change is POST, 303, GET.
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { AccountDeps } from '../account/account.ts'
import { attest, errorOf, statusOf } from '../connect/connect-session.ts'
import { type Allowance, allowanceOf, type TierDeps } from '../connect/limits.ts'
import { asksRequiredOnly, scopesAsked } from '../connect/scopes.ts'
import { accountsOfVisit, formTokenOf, openVisit, sessionOfVisit } from '../connect/visit.ts'
import type { ConnectSession } from '../db/connect-sessions.ts'
import { ServiceError } from '../errors.ts'
import { answerAs, pagesOf } from '../http/openapi.ts'
import type { Config } from '../settings/config.ts'
import type { Log } from '../telemetry.ts'
import { brandOf } from './brand.ts'
import { bindingsOf } from './browser.ts'
import { connectPage } from './connect-view.ts'
import { ChosenLanguage, languageOf, rememberLanguage } from './languages.ts'
import { backOf, backToPage, FormToken, notDoneIn } from './own-accounts.ts'
import { messagePage, type Page, type PageDeps, redirect, type Setting, sendPage } from './page.ts'
import { tongueOf } from './tongue.ts'
import {
  actingSession,
  actingSessionOfLink,
  addressOfPage,
  LinkSecret,
  passOfLink,
  requirePass,
  type VisitorDeps,
  VisitTag,
  visitOf,
  writePass,
} from './visitor.ts'
import { doneCodes, failureInWords, notDoneCodes } from './words.ts'

const config = { public: true, page: true } as const

export type ConnectPageRouteDeps = AccountDeps &
  TierDeps &
  VisitorDeps &
  PageDeps & { log: Log; config: { tiktok: Pick<Config['tiktok'], 'clientKey' | 'scopes' | 'requiredScopes' | 'authBaseUrl'> } }

export const connectPageRoutes: FastifyPluginAsyncZod<ConnectPageRouteDeps> = async (app, deps) => {
  app.get(
    '/connect',
    {
      config,
      schema: {
        tags: ['browser'],
        operationId: 'showConnectPage',
        summary: "A person's accounts, and connecting one more",
        description:
          'The `connect_url` of a connect session. Its secret moves into a cookie and out of the address; the first browser that does something on the page keeps the session, looking binds nothing. A person who leaves goes to the return URL with `connect_session` and `status=closed`.',
        querystring: z.strictObject({
          session: LinkSecret.optional(),
          visit: VisitTag.optional(),
          lang: ChosenLanguage,
          done: z.enum(doneCodes).optional().describe('Set by the page itself: what was just done'),
          failed: z.enum(notDoneCodes).optional().describe('Set by the page itself: what just failed'),
        }),
        response: {
          200: answerAs('A page', 'text/html'),
          303: z.null().describe('The same, without the secret in the address'),
          ...pagesOf(['session_invalid', 'browser_mismatch']),
          410: answerAs('`session_expired`: its time is over', 'text/html'),
        },
      },
    },
    async (request, reply) => {
      const { session: linkSecret, visit, lang, done, failed } = request.query
      rememberLanguage(deps, reply, lang)
      if (linkSecret !== undefined) {
        const { pass, lifeSeconds } = await openVisit(deps, linkSecret, passOfLink(deps, request, linkSecret))
        if (lifeSeconds !== null) writePass(deps, { request, reply }, pass, lifeSeconds)
        return redirect(deps, reply, deps.config.publicUrl + addressOfPage(pass))
      }
      const pass = requirePass(deps, request, visit)
      const session = await sessionOfVisit(deps, pass)
      const setting = {
        brand: brandOf(deps.config, session.branding),
        tongue: await tongueOf(languageOf(deps, request, session.locale)),
        here: request.url,
      }
      const over = overPage(session, setting)
      if (over) return sendPage(deps, reply.code(over.status), over.page)
      const [owned, allowance, requiredOnly] = await Promise.all([
        accountsOfVisit(deps, session),
        allowanceIfKnown(deps, session.ownerId),
        asksRequiredOnly(deps, session.id, bindingsOf(deps, request)),
      ])
      const { requiredScopes, authBaseUrl } = deps.config.tiktok
      const content = connectPage({
        session,
        ...owned,
        allowance,
        scopes: scopesAsked(deps.config.tiktok, requiredOnly),
        requiredScopes,
        requiredOnly,
        tiktokHost: new URL(authBaseUrl).host,
        setting,
        formToken: formTokenOf(pass),
        visit: visitOf(pass),
        back: backOf(session),
        done,
        notDone: failed,
      })
      return sendPage(deps, reply, content, [new URL(session.returnUrl).origin])
    },
  )

  app.post(
    '/connect',
    {
      config,
      schema: {
        tags: ['browser'],
        operationId: 'takeConnectPage',
        summary: 'Take the answers of the connect page',
        description: 'The form of the page. Also with the `session` of the link instead of its cookie.',
        consumes: ['application/x-www-form-urlencoded'],
        body: z
          .strictObject({
            session: LinkSecret.optional(),
            form_token: FormToken.describe('Proves that the form is of our page in this browser'),
            account_type: z.string().max(32).optional().describe('`creator` or `business`'),
            age_confirmed: z.literal('yes').optional().describe('The person says to be 18 or older'),
          })
          .describe('What the person chose on the connect page'),
        response: {
          303: z.null().describe('On to /authorize, or back to the page'),
          ...pagesOf([
            'session_invalid',
            'session_expired',
            'browser_mismatch',
            'account_type_not_supported',
            'age_not_confirmed',
            'payload_too_large',
            'unsupported_media_type',
          ]),
        },
      },
    },
    async (request, reply) => {
      const { session: linkSecret, form_token: formToken, account_type: accountType, age_confirmed: age } = request.body
      // No more is asked than at /authorize, where the link's secret would be enough too.
      const { session, pass } =
        linkSecret === undefined
          ? await actingSession(deps, request, formToken)
          : { session: await actingSessionOfLink(deps, request, linkSecret), pass: undefined }
      if (accountType === undefined && pass) return backToPage(deps, reply, pass, { notDone: 'account_type_missing' })
      try {
        const language = languageOf(deps, request, session.locale)
        await attest(deps, session, { accountType: accountType ?? '', ageConfirmed: age === 'yes', language })
      } catch (error) {
        const notDone = notDoneIn(error)
        if (notDone && pass) return backToPage(deps, reply, pass, { notDone })
        throw error
      }
      deps.log.info('account type and age were attested', {
        sessionId: session.id,
        keyId: session.createdBy,
        ownerId: session.ownerId,
        actor: 'owner',
      })
      return redirect(deps, reply, `${deps.config.publicUrl}/authorize?session=${linkSecret ?? pass?.linkSecret}`)
    },
  )
}

/** Without the tier service there is no connect button; everything else works. */
async function allowanceIfKnown(deps: TierDeps, ownerId: string): Promise<Allowance | undefined> {
  try {
    return await allowanceOf(deps, ownerId)
  } catch (error) {
    if (error instanceof ServiceError) return undefined
    throw error
  }
}

/** What to say when the session has moved on, with the way back. */
function overPage(session: ConnectSession, setting: Setting): { status: 200 | 410; page: Page } | undefined {
  const status = statusOf(session)
  if (status === 'pending' || status === 'authorizing') return undefined
  const { url, host } = backOf(session)
  const { say } = setting.tongue
  const way = { url, words: say('frame.back', { host }) }
  if (status === 'failed') {
    const said = failureInWords(setting.tongue, errorOf(session) ?? '')
    return { status: 200, page: messagePage(said, setting, { tone: 'bad', way }) }
  }
  const said = {
    title: say(`over.${status}`),
    text: status === 'expired' ? say('over.expired.text', { host }) : say(`over.${status}.text`, { host }),
  }
  return { status: status === 'expired' ? 410 : 200, page: messagePage(said, setting, { tone: 'good', way }) }
}
