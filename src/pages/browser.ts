// The way to TikTok and back. Redirects are 303 (S12), so nothing is posted on and the code leaves the address bar.
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import {
  type AuthorizationStart,
  type AuthorizeDeps,
  type ReceiveAuthorizationDeps,
  receiveAuthorization,
  startAuthorization,
} from '../connect/authorize.ts'
import { sessionOfLink } from '../connect/connect-session.ts'
import { asksFirst, checkBrowser } from '../connect/visit.ts'
import { ServiceError } from '../errors.ts'
import { addressOf } from '../http/limits.ts'
import { pagesOf } from '../http/openapi.ts'
import type { Config } from '../settings/config.ts'
import { readAuthorizationResponse } from '../tiktok/oauth.ts'
import { digest } from '../vault/digest.ts'
import { cookiesOf, keepCookie } from './cookies.ts'
import { type PageDeps, redirect } from './page.ts'
import { LinkSecret, passOfLink } from './visitor.ts'

const fromTikTok = (description: string) => z.string().max(2048).optional().describe(description)

const config = { public: true, page: true } as const

export type BrowserRouteDeps = AuthorizeDeps & ReceiveAuthorizationDeps & PageDeps & { config: Pick<Config, 'publicUrl'> }

export const browserRoutes: FastifyPluginAsyncZod<BrowserRouteDeps> = async (app, deps) => {
  for (const url of ['/authorize', '/authorize/']) {
    app.get(
      url,
      {
        config: { ...config, onHead: () => {} },
        schema: {
          hide: url.endsWith('/'),
          tags: ['browser'],
          operationId: 'startAuthorization',
          summary: 'Send a browser to TikTok',
          description:
            'The `authorize_url` of a connect session. Without account type or age confirmation, in `callback` mode and with `prompt` it goes to the connect page first. A prefetch changes nothing and gets 503.',
          querystring: z.strictObject({ session: LinkSecret }),
          response: {
            303: z.null().describe('To TikTok, or to the connect page'),
            ...pagesOf(['session_invalid', 'session_expired']),
          },
        },
      },
      async (request, reply) => {
        const session = await sessionOfLink(deps, request.query.session)
        const pass = passOfLink(deps, request, request.query.session)
        checkBrowser(deps, session, pass)
        const isUnasked = asksFirst(session) && session.visitorHash === null
        if (isUnasked || session.accountType === null || session.ageConfirmedAt === null) {
          return redirect(deps, reply, `${deps.config.publicUrl}/connect?session=${request.query.session}`)
        }
        const start = await startAuthorization(deps, session, { bindings: bindingsOf(deps, request) })
        bindState(deps, { request, reply }, start)
        return redirect(deps, reply, start.location)
      },
    )
  }

  // People register the redirect URI with a slash at its end, and TikTok compares it byte for byte.
  for (const url of ['/callback', '/callback/']) {
    app.get(
      url,
      {
        config: { ...config, onHead: () => {} },
        schema: {
          hide: url.endsWith('/'),
          tags: ['browser'],
          operationId: 'receiveAuthorization',
          summary: 'Take the browser back from TikTok',
          description:
            'The redirect_uri. TikTok sends people here; nobody else has a reason to call it. The same browser that comes again is sent on to where it belongs; a prefetch changes nothing and gets 503.',
          // Not strict: TikTok adds parameters of its own (`scopes`, `errCode`, …), which are only logged.
          querystring: z.looseObject({
            state: fromTikTok('What `/authorize` sent along; it works once'),
            code: fromTikTok('The authorization code; not there when the person said no'),
            error: fromTikTok("Why there is no code, in TikTok's word"),
            iss: fromTikTok('Who answers (RFC 9207), if TikTok says it'),
          }),
          response: {
            303: z
              .null()
              .describe(
                'To the return URL that was fixed with the session; or to TikTok once more, when it refused the optional scopes',
              ),
            ...pagesOf(['state_missing', 'state_invalid', 'state_expired', 'browser_mismatch', 'session_invalid']),
          },
        },
      },
      async (request, reply) => {
        const response = readAuthorizationResponse(request.query)
        const { state, words } = response
        if (state === undefined) {
          const who = addressOf(request)
          const event = 'authorization response came without a state'
          deps.refusals.note({ kind: 'state_missing', event, who, facts: { ...words, address: who } })
          throw new ServiceError(
            'state_missing',
            'TikTok sent you back without the ticket we gave you. Start again from where you came from.',
          )
        }
        // The cookie stays until it expires, so that a browser that comes again is recognised.
        const bindingSecret = cookiesOf(deps, request, 'departure').find(({ tag }) => tag === tagOf(state))?.secret ?? null
        const onward = await receiveAuthorization(deps, { ...response, state, bindingSecret })
        if (typeof onward === 'string') return redirect(deps, reply, onward)
        bindState(deps, { request, reply }, onward)
        return redirect(deps, reply, onward.location)
      },
    )
  }
}

/** Leaves the cookie that ties a state to this browser (S04). */
export function bindState(
  deps: PageDeps,
  visit: { request: FastifyRequest; reply: FastifyReply },
  { state, bindingSecret }: AuthorizationStart,
): void {
  keepCookie(deps, visit, 'departure', { tag: tagOf(state), secret: bindingSecret, lifeSeconds: 600 })
}

/** What this browser keeps of its departures to TikTok. */
export const bindingsOf = (deps: PageDeps, request: FastifyRequest): string[] =>
  cookiesOf(deps, request, 'departure').map(({ secret }) => secret)

/** Each state has a cookie of its own, so that two tabs do not overwrite each other's. */
const tagOf = (state: string) => digest(state).slice(0, 16)
