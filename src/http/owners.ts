// Owners over HTTP: what a tier allows and how much of it is used, and the end of everything of an owner.
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { type Allowance, knownAllowanceOf, setTier, type TierDeps } from '../connect/limits.ts'
import { type EraseDeps, eraseOwner } from '../operate/erase.ts'
import { requireCaller } from './auth.ts'
import { failuresOf } from './openapi.ts'
import { OwnerId } from './shapes.ts'

const OwnerParams = z.strictObject({ owner_id: OwnerId }).transform(({ owner_id: ownerId }) => ({ ownerId }))

const Owner = z
  .object({
    owner_id: z.string().describe("The caller's own id of the person or team"),
    tier: z.string().nullable().describe('null when the tier service states a limit and no tier'),
    account_limit: z.int().describe('How many accounts the owner may connect'),
    accounts_connected: z.int().describe('How many there are'),
    accounts_available: z.int().describe('0 too when a lowered tier left more connected than it allows: they stay'),
  })
  .meta({
    id: 'Owner',
    description: 'What an owner may connect, and has',
    examples: [{ owner_id: 'user_42', tier: 'creator', account_limit: 3, accounts_connected: 1, accounts_available: 2 }],
  })

const SetTier = z
  .strictObject({ tier: z.string().max(32).describe('One of TIER_LIMITS') })
  .meta({ id: 'SetTier', description: 'The new tier', examples: [{ tier: 'creator' }] })

const ErasedOwner = z
  .object({
    owner_id: z.string().describe('Whose everything it was'),
    status: z.enum(['erased', 'unfinished']).describe('`unfinished`: repeat the call to go on'),
    accounts_disconnected: z.int().describe('By this call'),
    revocations: z
      .object({
        confirmed: z.int().describe('TikTok has confirmed'),
        already_gone: z.int().describe('There was nothing left to revoke'),
        pending: z.int().describe('Not confirmed by TikTok yet, of earlier calls too; retried in the background'),
      })
      .meta({ id: 'Revocations', description: 'What became of the grants at TikTok' }),
  })
  .meta({
    id: 'ErasedOwner',
    description: 'What was erased',
    examples: [
      {
        owner_id: 'user_42',
        status: 'erased',
        accounts_disconnected: 3,
        revocations: { confirmed: 2, already_gone: 0, pending: 1 },
      },
    ],
  })

export const ownerRoutes: FastifyPluginAsyncZod<TierDeps & EraseDeps> = async (app, deps) => {
  app.get(
    '/owners/:owner_id',
    {
      // There is no owners:read: this tells no more than counting the owner's accounts does.
      config: { scope: 'accounts:read' },
      schema: {
        tags: ['owners'],
        operationId: 'getOwner',
        summary: 'How many accounts an owner may connect, and has',
        params: OwnerParams,
        response: { 200: Owner, ...failuresOf(['owner_not_found']) },
      },
    },
    async (request) => toOwner(request.params.ownerId, await knownAllowanceOf(deps, request.params.ownerId)),
  )

  app.put(
    '/owners/:owner_id',
    {
      config: { scope: 'owners:write' },
      schema: {
        tags: ['owners'],
        operationId: 'setOwnerTier',
        summary: "Set an owner's tier",
        description:
          'A lowered tier keeps existing accounts and refuses new ones. While a tier service is configured, it decides instead and this is only kept.',
        params: OwnerParams,
        body: SetTier,
        response: { 200: Owner, ...failuresOf(['owner_not_found'], { body: true }) },
      },
    },
    async (request) => {
      const { ownerId } = request.params
      await setTier(deps, ownerId, request.body.tier, requireCaller(request).keyId)
      return toOwner(ownerId, await knownAllowanceOf(deps, ownerId))
    },
  )

  app.delete(
    '/owners/:owner_id',
    {
      config: { scope: 'owners:write' },
      schema: {
        tags: ['owners'],
        operationId: 'eraseOwner',
        summary: 'Disconnect and erase everything of an owner',
        description:
          'From this answer on no token of theirs leaves. Tokens, names, pictures, labels, connect sessions and the tier are gone, and the person in what TikTok told about them. What stays: of each account a tombstone without personal data, whose `owner_id` is null; its timeline, with `publish_id`s, and the record of handed-out tokens for 90 days; announced events, which name `owner_id`, for 30 days; upload reservations, with `publish_id` and a hash of `open_id`, for a week after their slot was free again, because TikTok counts on. Repeating it is harmless.',
        params: OwnerParams,
        response: { 200: ErasedOwner, ...failuresOf(['owner_not_found'], { body: true }) },
      },
    },
    async (request) => {
      const { ownerId } = request.params
      const { erased, accountsDisconnected, revocations } = await eraseOwner(deps, ownerId, {
        actor: requireCaller(request).keyId,
        requestId: request.id,
      })
      const status = erased ? ('erased' as const) : ('unfinished' as const)
      return { owner_id: ownerId, status, accounts_disconnected: accountsDisconnected, revocations }
    },
  )
}

function toOwner(ownerId: string, { tier, accountLimit, accountsConnected }: Allowance): z.infer<typeof Owner> {
  return {
    owner_id: ownerId,
    tier,
    account_limit: accountLimit,
    accounts_connected: accountsConnected,
    accounts_available: Math.max(0, accountLimit - accountsConnected),
  }
}
