// The routes a person's browser walks: the connect page, the way to TikTok, the way back. Redirects are 303 (S12), so that nothing is
// posted on, and the code leaves the address bar with one.
import type { FastifyReply } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { ServiceError } from '../errors.ts'
import type { Parts } from '../parts.ts'
import { type AuthorizationResponse, receiveAuthorization, startAuthorization } from '../token/authorize.ts'
import { attest, sessionOfBrowser } from '../token/connect.ts'
import { digest } from '../vault/digest.ts'
import { html, page, sendPage, withBrowserHeaders } from './pages.ts'

const Session = z.string().regex(/^[A-Za-z0-9_-]{43}$/)
const fromTikTok = z.string().max(2048).optional()

const config = { public: true, page: true } as const

export const browserRoutes: FastifyPluginAsyncZod<{ parts: Parts }> = async (app, { parts }) => {
  app.get(
    '/authorize',
    {
      config,
      schema: {
        tags: ['connect'],
        summary: 'Send a browser to TikTok',
        description:
          'The `authorize_url` of a connect session. Without account type or age confirmation it goes to the connect page first.',
        querystring: z.strictObject({ session: Session }),
        response: { 303: z.null().describe('To TikTok, or to the connect page') },
      },
    },
    async (request, reply) => {
      const session = await sessionOfBrowser(parts, request.query.session)
      if (session.accountType === null || session.ageConfirmedAt === null) {
        return redirect(parts, reply, `${parts.config.publicUrl}/connect?session=${request.query.session}`)
      }
      const { location, state, browserSecret } = await startAuthorization(parts, session)
      const cookie = cookieOf(parts, state)
      reply.setCookie(cookie.name, browserSecret, cookie.options)
      return redirect(parts, reply, location)
    },
  )

  app.get(
    '/callback',
    {
      config,
      schema: {
        tags: ['connect'],
        summary: 'Take the browser back from TikTok',
        description: 'The redirect_uri. TikTok sends people here; nobody else has a reason to call it.',
        // Not strict: TikTok adds parameters of its own (`scopes`, `errCode`, …) and nothing of them is used.
        querystring: z.object({ state: fromTikTok, code: fromTikTok, error: fromTikTok, iss: fromTikTok }),
        response: { 303: z.null().describe('To the return URL that was fixed with the session') },
      },
    },
    async (request, reply) => {
      const { state, code, error, iss } = request.query
      if (state === undefined || state === '') {
        throw new ServiceError(
          'state_missing',
          'TikTok sent you back without the ticket we gave you. Start again from where you came from.',
        )
      }
      const cookie = cookieOf(parts, state)
      const response: AuthorizationResponse = {
        state,
        code,
        error,
        issuer: iss,
        browserSecret: request.cookies[cookie.name] ?? null,
      }
      const location = await receiveAuthorization(parts, response)
      reply.clearCookie(cookie.name, cookie.options)
      return redirect(parts, reply, location)
    },
  )

  app.get(
    '/connect',
    {
      config,
      schema: {
        tags: ['connect'],
        summary: 'Ask the person for account type and age',
        querystring: z.strictObject({ session: Session }),
        response: { 200: z.string().describe('A page') },
      },
    },
    async (request, reply) => {
      await sessionOfBrowser(parts, request.query.session)
      return sendPage(parts, reply, attestationPage(request.query.session))
    },
  )

  app.post(
    '/connect',
    {
      config,
      schema: {
        tags: ['connect'],
        summary: 'Take the answers of the connect page',
        consumes: ['application/x-www-form-urlencoded'],
        body: z.strictObject({
          session: Session,
          account_type: z.string().max(32).optional(),
          age_confirmed: z.literal('yes').optional(),
        }),
        response: { 303: z.null().describe('On to /authorize') },
      },
    },
    async (request, reply) => {
      const { session: secret, account_type: accountType = '', age_confirmed: ageConfirmed } = request.body
      const session = await sessionOfBrowser(parts, secret)
      await attest(parts, session, { accountType, ageConfirmed: ageConfirmed === 'yes' })
      return redirect(parts, reply, `${parts.config.publicUrl}/authorize?session=${secret}`)
    },
  )
}

function redirect(parts: Parts, reply: FastifyReply, location: string): FastifyReply {
  return withBrowserHeaders(parts, reply)
    .code(303)
    .header('location', location)
    .serializer(() => '')
    .send(null)
}

/** The state is bound to the browser by a cookie of its own, so that two tabs do not fight over one (S04). */
function cookieOf({ config }: Parts, state: string) {
  const tag = digest(state).slice(0, 16)
  return {
    name: config.secureCookies ? `__Host-tts-${tag}` : `tts-${tag}`,
    // Lax: the way back from TikTok is a cross-site navigation, which Strict would leave without its cookie.
    options: { httpOnly: true, secure: config.secureCookies, sameSite: 'lax', path: '/', maxAge: 600 } as const,
  }
}

const attestationPage = (secret: string) =>
  page(
    'Connect a TikTok account',
    html`<form method="post" action="/connect">
<h1>Connect a TikTok account</h1>
<input type="hidden" name="session" value="${secret}">
<fieldset><legend>What kind of account is it?</legend>
<label><input type="radio" name="account_type" value="creator" required> <span>Creator<br><span class="quiet">You post as yourself.</span></span></label>
<label><input type="radio" name="account_type" value="business" required> <span>Business<br><span class="quiet">You post for a company or brand.</span></span></label>
</fieldset>
<fieldset><legend>Your age</legend>
<label><input type="checkbox" name="age_confirmed" value="yes" required> <span>I am 18 or older.</span></label>
</fieldset>
<button type="submit">Connect TikTok</button>
<p class="quiet">TikTok does not tell us either, so we keep your answers as your own statement.</p>
</form>`,
  )
