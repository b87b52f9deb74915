// What the entries of the journal say: each holds all that a restore needs, because the database may remember nothing of it.
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { accountTypes, statusReasons } from '../db/codes.ts'

/** What TikTok answered when it gave tokens. */
export const AnsweredTokens = z.object({
  attemptId: z.string(),
  openId: z.string(),
  accessToken: z.string(),
  refreshToken: z.string(),
  scopes: z.array(z.string()),
  accessExpiresAt: z.coerce.date(),
  refreshExpiresAt: z.coerce.date().nullable(),
  lifetimeSeconds: z.int(),
})

export const AnsweredRefresh = AnsweredTokens.extend({
  accountId: z.string(),
  /** the generation that was spent */
  generation: z.int(),
})
export type AnsweredRefresh = z.infer<typeof AnsweredRefresh>

export const AnsweredExchange = AnsweredTokens.extend({ sessionId: z.string(), clientKey: z.string() })
export type AnsweredExchange = z.infer<typeof AnsweredExchange>

export const ConnectedAccount = AnsweredTokens.extend({
  /** the TikTok app that the grant is for */
  clientKey: z.string(),
  ownerId: z.string(),
  label: z.string().nullable(),
  accountType: z.enum(accountTypes),
  attestedAt: z.coerce.date(),
  attestationVersion: z.string(),
  connectedAt: z.coerce.date(),
  sessionId: z.string(),
})
export type ConnectedAccount = z.infer<typeof ConnectedAccount>

export const DisconnectedAccount = z.object({
  ownerId: z.string(),
  accountType: z.enum(accountTypes),
  attestedAt: z.coerce.date(),
  attestationVersion: z.string(),
  scopes: z.array(z.string()),
  reason: z.enum(statusReasons),
  actor: z.string(),
  connectedAt: z.coerce.date(),
  disconnectedAt: z.coerce.date(),
  /** null: TikTok had ended the grant itself */
  revocationId: z.string().nullable(),
})
export type DisconnectedAccount = z.infer<typeof DisconnectedAccount>

/** An owner that nobody can read out of it: known again by whoever has the owner's id and the entry. */
export const ErasedOwner = z.object({ key: z.string(), hash: z.string(), erasedAt: z.coerce.date() })
export type ErasedOwner = z.infer<typeof ErasedOwner>

export const RevokedKey = z.object({ revokedAt: z.coerce.date() })

export const Sighting = z.object({
  mark: z.int(),
  systemIdentifier: z.string().nullable(),
  timeline: z.string().nullable(),
  /** journals whose processes were at the database lately, and when they were seen */
  siblings: z.array(z.object({ id: z.string(), seenAt: z.coerce.date() })),
})
export type Sighting = z.infer<typeof Sighting>

export function hashOwner(ownerId: string, erasedAt: Date): ErasedOwner {
  const key = randomBytes(32).toString('base64url')
  return { key, hash: keyedHash(key, ownerId).toString('base64url'), erasedAt }
}

export function isOwner({ key, hash }: ErasedOwner, ownerId: string): boolean {
  const wanted = Buffer.from(hash, 'base64url')
  const found = keyedHash(key, ownerId)
  return wanted.length === found.length && timingSafeEqual(wanted, found)
}

const keyedHash = (key: string, ownerId: string) => createHmac('sha256', Buffer.from(key, 'base64url')).update(ownerId).digest()
