// Hands out access tokens: the one we have while it is good for long enough, a refreshed one otherwise, and an honest answer
// when neither is to be had.
import { z } from 'zod'
import { peekTokenSet, type Vended } from '../db/token-sets.ts'
import { accountNotFound, ServiceError } from '../errors.ts'
import type { Parts, RefreshOutcome } from '../parts.ts'
import { within } from '../single-flight.ts'
import { admitReader } from './read-cap.ts'
import { refresh, watch } from './refresh.ts'

/** An access token on the wire (RFC 6749 §5.1, plus what an uploader wants to know). The refresh token never leaves. */
export const VendedToken = z
  .object({
    access_token: z.string(),
    token_type: z.literal('Bearer'),
    expires_at: z.iso.datetime(),
    expires_in: z.int().describe('Whole seconds left, by the clock of the database'),
    scopes: z.array(z.string()),
    open_id: z.string(),
    generation: z.int().describe('Name it in `token/rejected` when TikTok refuses this token'),
    degraded: z
      .literal(true)
      .optional()
      .describe('TikTok could not be reached for a refresh: this token has less time left than was asked for'),
  })
  .meta({
    id: 'VendedToken',
    examples: [
      {
        access_token: 'act.example',
        token_type: 'Bearer',
        expires_at: '2026-11-22T14:00:00.000Z',
        expires_in: 6900,
        scopes: ['user.info.basic', 'video.upload'],
        open_id: '7e1a0000-0000-4000-8000-000000000001',
        generation: 7,
      },
    ],
  })
export type VendedToken = z.infer<typeof VendedToken>

export interface TokenReader {
  keyId: string
  requestId: string
}

/**
 * Vends an access token that is good for at least `minTtlSeconds`, clamped to half of the token's life (nobody can be promised
 * more than TikTok gives); refreshes first when it is not.
 *
 * @throws ServiceError account_not_found | account_disconnected | reauthorization_required: waiting does not help
 * @throws ServiceError refresh_in_progress | tiktok_unavailable | storage_unavailable: waiting does
 * @throws ServiceError credential_unreadable: the vault's keys do not open it
 * @throws ServiceError rate_limited: the key has read as many accounts as its cap allows
 */
export async function vend(parts: Parts, accountId: string, minTtlSeconds: number, reader: TokenReader): Promise<VendedToken> {
  await admitReader(parts, accountId, reader)
  const found = await look(parts, accountId, minTtlSeconds, reader)
  if (found.audited) return hand(parts, accountId, found)
  return refreshedOrWhatIsLeft(parts, accountId, found, minTtlSeconds, reader)
}

/**
 * "TikTok refused this one": refreshes only if that generation is still the current one, so that a hundred callers with the same
 * 401 cause one refresh. The refused token is not handed out again.
 *
 * @throws ServiceError as `vend`
 */
export async function replaceRejected(
  parts: Parts,
  accountId: string,
  rejectedGeneration: number,
  reader: TokenReader,
): Promise<VendedToken> {
  await admitReader(parts, accountId, reader) // what a key may not read, it may not have refreshed either
  const found = await peek(parts, accountId)
  refuseIfDown(found)
  if (found.generation !== null && found.generation > rejectedGeneration) return vend(parts, accountId, 0, reader)
  if (found.generation !== rejectedGeneration) {
    throw new ServiceError(
      'validation_failed',
      'That generation was never handed out; send the generation that came with the refused token.',
    )
  }
  // The first may be the landing of the very refresh that brought the refused token.
  let outcome: RefreshOutcome | undefined
  for (let tries = 0; tries < 2; tries++) {
    outcome = await refreshWithin(parts, accountId, rejectedGeneration)
    if (outcome?.kind !== 'refreshed' && outcome?.kind !== 'sibling_won') break
    const { generation } = await peek(parts, accountId)
    if (generation === null || generation > rejectedGeneration) return vend(parts, accountId, 0, reader)
  }
  throw await why(parts, accountId, outcome)
}

async function refreshedOrWhatIsLeft(
  parts: Parts,
  accountId: string,
  found: Vended,
  minTtlSeconds: number,
  reader: TokenReader,
): Promise<VendedToken> {
  refuseIfDown(found)
  const outcome =
    found.status === 'active' && found.generation !== null ? await refreshWithin(parts, accountId, found.generation) : undefined
  if (outcome?.kind === 'refreshed' || outcome?.kind === 'sibling_won') {
    const fresh = await look(parts, accountId, minTtlSeconds, reader)
    if (fresh.audited) return hand(parts, accountId, fresh)
    refuseIfDown(fresh)
  }
  // TikTok is away, slow or in doubt: the present token is served for as long as it lives.
  const left = await look(parts, accountId, 1, reader, true)
  if (left.audited) return hand(parts, accountId, left, true)
  throw await why(parts, accountId, outcome)
}

/** A refresh, waited for no longer than a caller should wait; the refresh itself goes on. */
async function refreshWithin(parts: Parts, accountId: string, generation: number): Promise<RefreshOutcome | undefined> {
  const deadline = performance.now() + parts.timings.patienceMs
  for (;;) {
    const outcome = await within(refresh(parts, accountId, generation), deadline - performance.now())
    if (outcome?.kind !== 'yielded') return outcome
    const sighting = await within(watch(parts, accountId, generation), deadline - performance.now())
    if (sighting === 'moved') return { kind: 'sibling_won' }
    // Free: whoever held the claim gave it up, so it may be ours now, or there is a wait to tell of. Nothing: the watch was begun by a reader who
    // came earlier, and our own patience is not over with theirs.
    if (performance.now() >= deadline) return outcome
  }
}

function look(parts: Parts, accountId: string, minTtlSeconds: number, reader: TokenReader, degraded = false): Promise<Vended> {
  return found(parts.vends.ask({ accountId, minTtlSeconds, keyId: reader.keyId, requestId: reader.requestId, degraded }))
}

/** Reads without vending: nothing is handed out, so nothing is audited. */
function peek(parts: Parts, accountId: string): Promise<Vended> {
  return found(peekTokenSet(parts.db, accountId))
}

async function found(row: Promise<Vended | undefined>): Promise<Vended> {
  const vended = await row
  if (!vended) throw accountNotFound()
  return vended
}

function hand(parts: Parts, accountId: string, vended: Vended, degraded = false): VendedToken {
  const { generation, sealedAccessToken, accessExpiresAt, openId } = vended
  if (generation === null || sealedAccessToken === null || accessExpiresAt === null || openId === null) {
    throw new Error('A vended row is whole')
  }
  const accessToken = parts.vault.open({ purpose: 'access_token', subject: accountId, generation }, sealedAccessToken)
  parts.metrics.vended.inc({ degraded: String(degraded) })
  return {
    access_token: accessToken,
    token_type: 'Bearer',
    expires_at: accessExpiresAt.toISOString(),
    expires_in: Math.floor(vended.secondsLeft),
    scopes: vended.scopes,
    open_id: openId,
    generation,
    ...(degraded ? { degraded: true as const } : {}),
  }
}

function refuseIfDown(vended: Vended): void {
  if (vended.status === 'disconnected') {
    throw new ServiceError('account_disconnected', 'This account was disconnected; the person can connect it anew.')
  }
  // With an unknown outcome the grant most likely lives: the present token is good until it expires (F01).
  if (
    vended.status === 'reauthorization_required' &&
    !(vended.statusReason === 'refresh_outcome_unknown' && vended.secondsLeft > 0)
  ) {
    throw needsPerson(vended.statusReason)
  }
}

async function why(parts: Parts, accountId: string, outcome: RefreshOutcome | undefined): Promise<ServiceError> {
  if (outcome === undefined || outcome.kind === 'yielded') {
    return new ServiceError('refresh_in_progress', 'The token is being refreshed; try again in a moment.', {
      retryAfterSeconds: 2,
    })
  }
  if (outcome.kind === 'rejected' || outcome.kind === 'discarded') {
    const now = await peek(parts, accountId)
    refuseIfDown(now)
    if (now.status !== 'active') return needsPerson(now.statusReason)
    // In its grace time: a neighbour may still hold the answer.
    return new ServiceError(
      'refresh_in_progress',
      'TikTok refused the refresh token; a minute is waited before this is believed.',
      {
        retryAfterSeconds: parts.timings.graceSeconds / 4,
      },
    )
  }
  const retryAfterSeconds = 'retryAfterSeconds' in outcome ? outcome.retryAfterSeconds : 1
  return new ServiceError('tiktok_unavailable', 'TikTok cannot be reached for a refresh and no token is left; try again later.', {
    retryAfterSeconds,
  })
}

const needsPerson = (reason: string | null) =>
  new ServiceError('reauthorization_required', 'Send the person through a connect session with reconnect_account_id.', {
    facts: reason === null ? {} : { status_reason: reason },
  })
