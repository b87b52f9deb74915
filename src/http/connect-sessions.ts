// Connect sessions for the web app's backend: open one, see how it stands, finish it.
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { Account, type AccountDeps, getAccount } from '../account/account.ts'
import { type CompleteDeps, completeConnect } from '../connect/complete.ts'
import {
  createConnectSession,
  errorOf,
  longestLifeSeconds,
  pageOfSessions,
  sessionStatuses,
  statusOf,
  usualLifeSeconds,
} from '../connect/connect-session.ts'
import { openSessionWaits, type SessionWaitDeps } from '../connect/session-waits.ts'
import { completions, prompts } from '../db/codes.ts'
import type { ConnectSession as Session } from '../db/connect-sessions.ts'
import { type Branding, isColor, isPageUrl, isSupportUrl } from '../display/branding.ts'
import { ServiceError } from '../errors.ts'
import type { Config } from '../settings/config.ts'
import type { Log } from '../telemetry.ts'
import { requireCaller } from './auth.ts'
import { cursorOf } from './cursors.ts'
import { failuresOf } from './openapi.ts'
import { Id, Label, LanguageTag, OwnerId, pageLimit, wholeNumber } from './shapes.ts'

const SessionParams = z
  .strictObject({ session_id: Id.describe('The connect session, `cs_…`') })
  .transform(({ session_id: sessionId }) => ({ sessionId }))

const color = z
  .string()
  .refine(isColor, 'must be a colour such as `#23584a`')
  .meta({ pattern: '^#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$' })
const link = z.string().max(2048).refine(isPageUrl, 'must be an https URL')

const SessionBranding = z
  .strictObject({
    name: Label.optional().describe('As APP_NAME'),
    logo: z.string().max(255).optional().describe('One of the files in APP_LOGO, by its name without the ending'),
    color: color.optional().describe('As BRAND_COLOR; where it could not be read it is darkened or lightened'),
    privacy_url: link.optional().describe('As PRIVACY_URL'),
    terms_url: link.optional().describe('As TERMS_URL'),
    support_url: z
      .string()
      .max(2048)
      .refine(isSupportUrl, 'must be an https URL or a mailto: address')
      .optional()
      .describe('As SUPPORT_URL'),
  })
  .meta({
    id: 'SessionBranding',
    description:
      'Whose page it is, for a service that several products share. What is absent is as the environment says; with a `name` of its own and no `logo` there is none',
  })

const CreateConnectSession = z
  .strictObject({
    owner_id: OwnerId,
    return_url: z.string().max(2048).describe('Where the browser goes afterwards; origin and path as in ALLOWED_RETURN_URLS'),
    account_type: z
      .string()
      .max(32)
      .optional()
      .describe(
        'What the person says to use it for: `creator` posts as themselves (TikTok calls that a personal account), `business` for a company or an organization. Asked for on the connect page when missing',
      ),
    age_confirmed: z
      .boolean()
      .optional()
      .describe('The person confirmed being 18 or older; asked for on the connect page when missing'),
    label: Label.optional().describe('What the owner will call the account'),
    tier: z.string().max(32).optional().describe("Sets the owner's tier; needs the scope `owners:write` too"),
    reconnect_account_id: Id.optional().describe(
      'Only this account may come back. Without `account_type` and `age_confirmed` nobody is asked again, and what was attested for it stands',
    ),
    completion: z
      .enum(completions)
      .default('confirm')
      .describe('confirm: your backend finishes with `complete`, so that a link sent to somebody else connects nothing'),
    owner_name: Label.optional().describe(
      'Who the person is in your product, such as their name or address: shown on the page instead of `owner_id`',
    ),
    locale: LanguageTag.optional().describe(
      'The language of the page. The closest of `en`, `de`, `es`, `fr`, `pt-BR`, `ja` and `ar` is taken; where none is close, the page asks the browser, and then it is English',
    ),
    expires_in: z
      .int()
      .min(1)
      .max(longestLifeSeconds)
      .default(usualLifeSeconds)
      .describe(
        'Seconds the link is good: up to four hours for one that you send to somebody. Whoever goes on to TikTok has ten minutes there all the same',
      ),
    prompt: z
      .enum(prompts)
      .optional()
      .describe(
        'consent: `authorize_url` shows the page with who gets access to what before TikTok, although you have told account type and age. In `callback` mode it always does',
      ),
    branding: SessionBranding.optional().describe('Whose page it is, where that is not what the environment says'),
  })
  .meta({
    id: 'CreateConnectSession',
    description: 'What a connect session is for',
    examples: [
      { owner_id: 'user_42', return_url: 'https://app.example.com/tiktok/return', account_type: 'creator', age_confirmed: true },
    ],
  })

const CreatedConnectSession = z
  .object({
    id: z.string().describe('`cs_…`'),
    status: z.literal('pending').describe('Nobody has come yet'),
    authorize_url: z.url().describe('Send the browser here'),
    connect_url: z.url().describe('Or here: our own page'),
    expires_at: z.iso.datetime().describe('When the link ends'),
  })
  .meta({
    id: 'CreatedConnectSession',
    description: 'A connect session, and where to send the browser',
    examples: [
      {
        id: 'cs_01k9z3m8r0000000000000000',
        status: 'pending',
        authorize_url: 'https://oauth.example.com/authorize?session=SECRET',
        connect_url: 'https://oauth.example.com/connect?session=SECRET',
        expires_at: '2026-11-22T12:10:00.000Z',
      },
    ],
  })

const ConnectSession = z
  .object({
    id: z.string().describe('`cs_…`'),
    owner_id: z.string().describe("The caller's own id of the person or team that it is for"),
    status: z.enum(sessionStatuses).describe('How far it is'),
    account_id: z.string().nullable().describe('What was connected; null until then'),
    error: z.string().nullable().describe('A code of this service, or an OAuth error of TikTok such as `access_denied`'),
    reconnect_account_id: z.string().nullable().describe('The only account that may come back, if it is for one'),
    created_at: z.iso.datetime().describe('When it was opened'),
    expires_at: z.iso.datetime().describe('When the link ends, or has ended'),
  })
  .meta({
    id: 'ConnectSession',
    description: 'How a connect session stands',
    examples: [
      {
        id: 'cs_01k9z3m8r0000000000000000',
        owner_id: 'user_42',
        status: 'completed',
        account_id: 'acc_01k9z3m8r0000000000000000',
        error: null,
        reconnect_account_id: null,
        created_at: '2026-11-22T12:00:00.000Z',
        expires_at: '2026-11-22T12:10:00.000Z',
      },
    ],
  })

const brandingOf = (sent: z.infer<typeof SessionBranding>): Branding => ({
  name: sent.name,
  logo: sent.logo,
  color: sent.color,
  privacyUrl: sent.privacy_url,
  termsUrl: sent.terms_url,
  supportUrl: sent.support_url,
})

const sessionAnswer = (session: Session): z.infer<typeof ConnectSession> => ({
  id: session.id,
  owner_id: session.ownerId,
  status: statusOf(session),
  account_id: session.accountId,
  error: errorOf(session),
  reconnect_account_id: session.reconnectAccountId,
  created_at: session.createdAt.toISOString(),
  expires_at: session.expiresAt.toISOString(),
})

const SessionCursor = cursorOf('connect-sessions', /^cs_[0-9a-z]{25}$/)
const ConnectSessionPage = z
  .object({
    sessions: z.array(ConnectSession).describe('One page of sessions, the youngest first'),
    next_cursor: z.string().nullable().describe('Send it as `cursor` for the next page; null on the last one'),
  })
  .meta({ id: 'ConnectSessionPage', description: 'One page of connect sessions' })

/** The longest `wait`, and an answer after it: longer than other calls may take, shorter than an idle connection is kept. */
const longestWaitSeconds = 25
const waitPatienceMs = 29_000

const CompleteConnectSession = z
  .strictObject({ owner_id: OwnerId, confirm: z.string().max(128).describe('`confirm` of the return URL') })
  .meta({
    id: 'CompleteConnectSession',
    description: 'Who finishes it, and the proof that the browser came back',
    examples: [{ owner_id: 'user_42', confirm: 'from-the-return-url' }],
  })

export type ConnectSessionRouteDeps = AccountDeps &
  CompleteDeps &
  SessionWaitDeps & {
    log: Log
    config: Pick<Config, 'allowedCompletions' | 'allowedReturnUrls' | 'brand' | 'publicUrl' | 'tiers'>
  }

export const connectSessionRoutes: FastifyPluginAsyncZod<ConnectSessionRouteDeps> = async (app, deps) => {
  const waits = openSessionWaits(deps)

  app.post(
    '/connect-sessions',
    {
      config: { scope: 'connect:write', reach: 'filtered' },
      schema: {
        tags: ['connect'],
        operationId: 'openConnectSession',
        summary: 'Open a connect session',
        body: CreateConnectSession,
        response: {
          201: CreatedConnectSession,
          ...failuresOf(
            [
              'return_url_not_allowed',
              'account_type_not_supported',
              'age_not_confirmed',
              'owner_not_found',
              'account_not_found',
              'owner_mismatch',
              'account_disconnected',
            ],
            {
              body: true,
            },
          ),
        },
      },
    },
    async (request, reply) => {
      const body = request.body
      const caller = requireCaller(request)
      if (body.tier !== undefined && !caller.scopes.includes('owners:write'))
        throw new ServiceError('insufficient_scope', 'tier: setting it needs a key with the scope owners:write.', {
          scope: 'owners:write',
        })
      const session = await createConnectSession(
        deps,
        {
          ownerId: body.owner_id,
          returnUrl: body.return_url,
          accountType: body.account_type,
          ageConfirmed: body.age_confirmed,
          label: body.label,
          tier: body.tier,
          reconnectAccountId: body.reconnect_account_id,
          completion: body.completion,
          ownerName: body.owner_name,
          locale: body.locale,
          prompt: body.prompt,
          branding: body.branding && brandingOf(body.branding),
          lifeSeconds: body.expires_in,
        },
        caller,
      )
      reply.code(201).header('location', `/connect-sessions/${session.id}`).header('cache-control', 'no-store') // the URLs carry the session's secret
      return {
        id: session.id,
        status: session.status,
        authorize_url: session.authorizeUrl,
        connect_url: session.connectUrl,
        expires_at: session.expiresAt.toISOString(),
      }
    },
  )

  app.get(
    '/connect-sessions',
    {
      config: { scope: 'connect:write', reach: 'filtered' },
      schema: {
        tags: ['connect'],
        operationId: 'listConnectSessions',
        summary: 'List connect sessions, newest first',
        description: 'For support: what became of the links an owner was given. A session is forgotten a day after it ended.',
        querystring: z.strictObject({
          owner_id: OwnerId.optional(),
          limit: pageLimit(50),
          cursor: SessionCursor.schema.optional(),
        }),
        response: { 200: ConnectSessionPage, ...failuresOf([]) },
      },
    },
    async (request) => {
      const { owner_id: ownerId = null, limit, cursor: before = null } = request.query
      const { sessions, nextId } = await pageOfSessions(deps, { ownerId, before, limit, reach: requireCaller(request).reach })
      return { sessions: sessions.map(sessionAnswer), next_cursor: nextId === null ? null : SessionCursor.write(nextId) }
    },
  )

  app.get(
    '/connect-sessions/:session_id',
    {
      config: { scope: 'connect:write' },
      handlerTimeout: waitPatienceMs,
      schema: {
        tags: ['connect'],
        operationId: 'getConnectSession',
        summary: 'See how a connect session stands',
        description:
          'With `wait` the answer comes as soon as the status is another than now; at once when the session is over, and after that many seconds in any case. An `overloaded` says that too many wait already.',
        params: SessionParams,
        querystring: z.strictObject({
          wait: wholeNumber({ minimum: 0, maximum: longestWaitSeconds, usual: 0 }, 'Seconds to wait for a change'),
        }),
        response: { 200: ConnectSession, ...failuresOf(['connect_session_not_found']) },
      },
    },
    async (request) => {
      // Nobody reads the status that a HEAD would wait for.
      const seconds = request.method === 'HEAD' ? 0 : request.query.wait
      const wait = { keyId: requireCaller(request).keyId, seconds, signal: request.signal }
      return sessionAnswer(await waits.next(request.params.sessionId, wait))
    },
  )

  app.post(
    '/connect-sessions/:session_id/complete',
    {
      config: { scope: 'connect:write' },
      schema: {
        tags: ['connect'],
        operationId: 'completeConnectSession',
        summary: 'Finish a connect session',
        description: "Called by the web app's backend for its logged-in user. Only now is the code exchanged. 200 when repeated.",
        params: SessionParams,
        body: CompleteConnectSession,
        response: {
          200: Account.describe('It was completed before'),
          201: Account.describe('Connected'),
          ...failuresOf(
            [
              'connect_session_not_found',
              'owner_mismatch',
              'confirm_invalid',
              'session_not_ready',
              'session_failed',
              'session_expired',
              'scope_not_granted',
              'account_limit_reached',
              'account_already_connected',
              'account_mismatch',
              'tiktok_rejected',
              'tiktok_unavailable',
              'credential_unreadable',
              'keyring_mismatch',
            ],
            { body: true },
          ),
        },
      },
    },
    async (request, reply) => {
      const { owner_id: ownerId, confirm } = request.body
      const { accountId, connectedNow } = await completeConnect(
        deps,
        request.params.sessionId,
        { ownerId, confirm },
        requireCaller(request).keyId,
      )
      const account = await getAccount(deps, accountId)
      if (connectedNow) reply.header('location', `/accounts/${accountId}`)
      return reply.code(connectedNow ? 201 : 200).send(account)
    },
  )
}
