// Accounts over HTTP: list, read, label, check, disconnect, picture, timeline.
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { Account, type AccountDeps, getAccount, labelAccount, pageOfAccounts, pictureOf, timelineOf } from '../account/account.ts'
import { AccountHealth } from '../account/health.ts'
import { accountStatuses, revocationStates, type TimelineKind, timelineKinds } from '../db/codes.ts'
import { growingList } from '../growing-list.ts'
import { type DisconnectDeps, disconnect } from '../token/revoke.ts'
import { type VerifyDeps, verify } from '../token/verify.ts'
import { requireCaller } from './auth.ts'
import { cursorOf } from './cursors.ts'
import { answerAs, failuresOf } from './openapi.ts'
import { AccountParams, Label, OwnerId, oneOrMoreOf, pageLimit, Via } from './shapes.ts'

const AccountCursor = cursorOf('accounts', /^acc_[0-9a-z]{25}$/)
const TimelineCursor = cursorOf('timeline', /^\d{1,15}$/)

const AccountPage = z
  .object({
    accounts: z.array(Account).describe('Oldest first'),
    next_cursor: z.string().nullable().describe('`cursor` of the next page; null on the last one'),
  })
  .meta({ id: 'AccountPage', description: 'A page of accounts' })

const Disconnected = z
  .object({
    id: z.string().describe('The account'),
    status: z.literal('disconnected').describe('From now on no token leaves'),
    revocation: z.enum(revocationStates).describe('`pending` is retried in the background'),
  })
  .meta({
    id: 'Disconnected',
    description: 'The account is disconnected, and how its revocation at TikTok stands',
    examples: [{ id: 'acc_01k9z3m8r0000000000000000', status: 'disconnected', revocation: 'confirmed' }],
  })

const kinds = Object.keys(timelineKinds) as [TimelineKind, ...TimelineKind[]]
const kindsExplained = `What. More may come: leave alone what you do not know.\n\n${kinds.map((kind) => `- \`${kind}\`: ${timelineKinds[kind]}`).join('\n')}`

const Timeline = z
  .object({
    entries: z
      .array(
        z
          .object({
            at: z.iso.datetime().describe('When'),
            kind: growingList(kinds, 'What').describe(kindsExplained),
            code: z.string().nullable().describe('Why or what, as the kind says'),
            generation: z.int().nullable().describe('Of the token set it was about'),
            actor: z.string().describe('A key id, or `service`, `tiktok`, `owner`'),
            via: Via.nullable().describe('Through which link it was done; null: through none'),
          })
          .meta({ id: 'TimelineEntry', description: 'Something that happened to an account' }),
      )
      .describe('Newest first'),
    next_cursor: z.string().nullable().describe('`cursor` of the next page; null on the last one'),
  })
  .meta({
    id: 'Timeline',
    description: 'What happened to an account',
    examples: [
      {
        entries: [
          {
            at: '2026-11-22T12:00:00.000Z',
            kind: 'connected',
            code: null,
            generation: 1,
            actor: 'key_01k9z3m8r0000000000000000',
            via: { connect_session: 'cs_01k9z3m8r0000000000000000', key_id: 'key_01k9z3m8r0000000000000000' },
          },
        ],
        next_cursor: null,
      },
    ],
  })

/** RFC 9110 §13.1.2: a list, weak or not, or `*` for whatever there is. */
function has(ifNoneMatch: string | undefined, etag: string): boolean {
  const tags = (ifNoneMatch ?? '').split(',').map((tag) => tag.trim().replace(/^W\//, ''))
  return tags.includes('*') || tags.includes(`"${etag}"`)
}

export type AccountRouteDeps = AccountDeps & VerifyDeps & DisconnectDeps

export const accountRoutes: FastifyPluginAsyncZod<AccountRouteDeps> = async (app, deps) => {
  app.get(
    '/accounts',
    {
      config: { scope: 'accounts:read', reach: 'filtered' },
      schema: {
        tags: ['accounts'],
        operationId: 'listAccounts',
        summary: 'List accounts, oldest first',
        querystring: z.strictObject({
          owner_id: OwnerId.optional(),
          status: oneOrMoreOf(accountStatuses),
          limit: pageLimit(50),
          cursor: AccountCursor.schema.optional(),
        }),
        response: { 200: AccountPage, ...failuresOf([]) },
      },
    },
    async (request) => {
      const { owner_id: ownerId, status: statuses, limit, cursor } = request.query
      const { accounts, nextCursor } = await pageOfAccounts(deps, {
        ownerId,
        statuses,
        limit,
        cursor,
        reach: requireCaller(request).reach,
      })
      return { accounts, next_cursor: nextCursor === null ? null : AccountCursor.write(nextCursor) }
    },
  )

  app.get(
    '/accounts/:account_id',
    {
      config: { scope: 'accounts:read' },
      schema: {
        tags: ['accounts'],
        operationId: 'getAccount',
        summary: 'Read an account',
        description: 'A disconnected one is shown as its tombstone, without personal data.',
        params: AccountParams,
        response: { 200: Account, ...failuresOf(['account_not_found']) },
      },
    },
    (request) => getAccount(deps, request.params.accountId),
  )

  app.patch(
    '/accounts/:account_id',
    {
      config: { scope: 'accounts:write' },
      schema: {
        tags: ['accounts'],
        operationId: 'labelAccount',
        summary: 'Label an account',
        params: AccountParams,
        body: z
          .strictObject({ label: Label.nullable().describe('What the owner calls the account; null takes the label away') })
          .meta({ id: 'LabelAccount', description: 'The new label', examples: [{ label: 'Main shop' }] }),
        response: { 200: Account, ...failuresOf(['account_not_found', 'account_disconnected'], { body: true }) },
      },
    },
    (request) => labelAccount(deps, request.params.accountId, request.body.label, { actor: requireCaller(request).keyId }),
  )

  app.delete(
    '/accounts/:account_id',
    {
      config: { scope: 'accounts:write' },
      schema: {
        tags: ['accounts'],
        operationId: 'disconnectAccount',
        summary: 'Disconnect an account',
        description:
          'From this answer on no token leaves; tokens and profile are erased and the grant is revoked at TikTok. Repeating it is harmless.',
        params: AccountParams,
        response: { 200: Disconnected, ...failuresOf(['account_not_found'], { body: true }) },
      },
    },
    async (request) => {
      const { accountId } = request.params
      const end = { reason: 'disconnected_by_owner' as const, actor: requireCaller(request).keyId, requestId: request.id }
      return { id: accountId, status: 'disconnected' as const, revocation: await disconnect(deps, accountId, end) }
    },
  )

  app.post(
    '/accounts/:account_id/verify',
    {
      config: { scope: 'accounts:write' },
      schema: {
        tags: ['accounts'],
        operationId: 'verifyAccount',
        summary: 'Ask TikTok now',
        description:
          'Uses the grant, refreshes the profile and answers with the account as it then stands. An account with `reauthorization_required` is asked about only while a token of it is still handed out (`refresh_outcome_unknown`); otherwise TikTok is not asked, and the answer is what is known.',
        params: AccountParams,
        response: {
          200: Account,
          ...failuresOf(['account_not_found', 'account_disconnected', 'tiktok_unavailable', 'credential_unreadable'], {
            body: true,
          }),
        },
      },
    },
    async (request) => {
      await verify(deps, request.params.accountId)
      return getAccount(deps, request.params.accountId)
    },
  )

  app.get(
    '/accounts/:account_id/health',
    {
      config: { scope: 'accounts:read' },
      schema: {
        tags: ['accounts'],
        operationId: 'getAccountHealth',
        summary: 'How an account is doing',
        params: AccountParams,
        response: { 200: AccountHealth, ...failuresOf(['account_not_found']) },
      },
    },
    async (request) => (await getAccount(deps, request.params.accountId)).health,
  )

  app.get(
    '/accounts/:account_id/avatar',
    {
      config: { scope: 'accounts:read' },
      schema: {
        tags: ['accounts'],
        operationId: 'getAccountAvatar',
        summary: 'The picture of an account',
        description:
          "Our own copy, cacheable: TikTok's URLs die within hours. Needs a key, so a web app passes it on to its pages.",
        params: AccountParams,
        response: {
          200: answerAs('The picture', 'image/jpeg', 'image/png', 'image/webp'),
          304: z.null().describe('You have it already'),
          ...failuresOf(['account_not_found', 'account_disconnected', 'avatar_not_found']),
        },
      },
    },
    async (request, reply) => {
      const { contentType, etag, picture } = await pictureOf(deps, request.params.accountId)
      reply.headers({
        etag: `"${etag}"`,
        'cache-control': 'private, max-age=3600',
        'x-content-type-options': 'nosniff',
        'content-security-policy': "default-src 'none'; sandbox",
        'cross-origin-resource-policy': 'same-origin',
      })
      if (has(request.headers['if-none-match'], etag)) {
        reply.code(304)
        return reply.send() // not `null`: it would be counted in a content-length that a 304 does not fill
      }
      return reply.type(contentType).send(picture)
    },
  )

  app.get(
    '/accounts/:account_id/timeline',
    {
      config: { scope: 'accounts:read' },
      schema: {
        tags: ['accounts'],
        operationId: 'getAccountTimeline',
        summary: 'Why an account is in its state, newest first',
        params: AccountParams,
        querystring: z.strictObject({ limit: pageLimit(50), cursor: TimelineCursor.schema.optional() }),
        response: { 200: Timeline, ...failuresOf(['account_not_found']) },
      },
    },
    async (request) => {
      const { limit, cursor } = request.query
      const { entries, nextCursor } = await timelineOf(deps, request.params.accountId, {
        limit,
        before: cursor === undefined ? undefined : Number(cursor),
      })
      return {
        entries: entries.map(({ at, kind, code, generation, actor, viaSessionId, viaKeyId }) => ({
          at: at.toISOString(),
          kind,
          code,
          generation,
          actor,
          via: viaSessionId === null || viaKeyId === null ? null : { connect_session: viaSessionId, key_id: viaKeyId },
        })),
        next_cursor: nextCursor === null ? null : TimelineCursor.write(nextCursor),
      }
    },
  )
}
