// Hands out access tokens: the one we have while it is good for long enough, a refreshed one otherwise, and an honest answer
// when neither is to be had.
import { z } from 'zod'
import { everything, isNarrow, type Reach, reachesAccount } from '../access/reach.ts'
import { within } from '../concurrency/waiting.ts'
import type { Db } from '../db/client.ts'
import { overloaded } from '../db/semaphore.ts'
import { peekTokenSet, presentGeneration, refuseAccessToken, type Vended, vendTokenSet } from '../db/token-sets.ts'
import { accountNotFound, misfit, ServiceError } from '../errors.ts'
import { databaseRewound, type Epoch } from '../journal/epoch.ts'
import { checkExpiry, checkIdentity } from '../vault/deciding-rows.ts'
import type { Vault } from '../vault/vault.ts'
import type { TokenMetrics } from './metrics.ts'
import type { ReadCap } from './read-cap.ts'
import type { Refresher } from './refresh.ts'
import type { Timings } from './timings.ts'
import type { RefreshOutcome } from './verdict.ts'

/** An access token on the wire (RFC 6749 §5.1, plus what an uploader wants to know). The refresh token never leaves. */
export const VendedToken = z
  .object({
    access_token: z.string().describe('For the Authorization header of calls to TikTok; never keep it in a log'),
    token_type: z.literal('Bearer').describe('How it is sent'),
    expires_at: z.iso.datetime().describe('When it ends'),
    expires_in: z.int().describe('Whole seconds left, by the clock of the database'),
    scopes: z.array(z.string()).describe('What it may do at TikTok'),
    open_id: z.string().describe('The person at TikTok, for this app'),
    generation: z.int().describe('Name it in `token/rejected` when TikTok refuses this token'),
    degraded: z
      .literal(true)
      .optional()
      .describe('TikTok could not be reached for a refresh: this token has less time left than was asked for'),
  })
  .meta({
    id: 'VendedToken',
    description: 'An access token',
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
  reach: Reach
  requestId: string
}

export interface VendDeps {
  db: Db
  readCap: ReadCap
  vault: Vault
  epoch: Pick<Epoch, 'vouchesFor' | 'knownGeneration' | 'metOlderRow'>
  refresher: Pick<Refresher, 'refresh' | 'waitForGeneration'>
  metrics: TokenMetrics
  timings: Pick<Timings, 'patienceMs' | 'graceSeconds' | 'disconnectFenceMs'>
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
export async function vend(deps: VendDeps, accountId: string, minTtlSeconds: number, reader: TokenReader): Promise<VendedToken> {
  await deps.readCap.admit(accountId, reader)
  const found = await readToken(deps, accountId, minTtlSeconds, reader)
  if (found.audited && !deps.epoch.vouchesFor(accountId, found.generation)) throw databaseRewound()
  if (found.audited) return toVendedToken(deps, accountId, found)
  return refreshedOrWhatIsLeft(deps, accountId, found, minTtlSeconds, reader)
}

/** @returns per id, in their order: the token, or why there is none. An id that is named twice is read, and audited, once. */
export async function vendEach(
  deps: VendDeps,
  accountIds: readonly string[],
  minTtlSeconds: number,
  reader: TokenReader,
): Promise<PromiseSettledResult<VendedToken>[]> {
  // Asked at the same moment, so that they go to the database as one statement.
  const vends = new Map([...new Set(accountIds)].map((id) => [id, vend(deps, id, minTtlSeconds, reader)]))
  return Promise.allSettled(accountIds.map((id) => vends.get(id) ?? Promise.reject(accountNotFound())))
}

/**
 * "TikTok refused this one": refreshes only if that generation is still the current one, so that a hundred callers with the same
 * 401 cause one refresh. The refusal is remembered, so that nobody is handed that token again, whatever becomes of the refresh.
 *
 * @throws ServiceError as `vend`
 */
export async function replaceRejected(
  deps: VendDeps,
  accountId: string,
  rejectedGeneration: number,
  reader: TokenReader,
): Promise<VendedToken> {
  await deps.readCap.admit(accountId, reader) // what a key may not read, it may not have refreshed either
  const found = await peek(deps, accountId)
  refuseIfDown(found)
  if (found.generation !== null && found.generation > rejectedGeneration) return vend(deps, accountId, 0, reader)
  if (found.generation !== rejectedGeneration) {
    throw misfit('validation_failed', {
      pointer: '/generation',
      detail: 'That generation was never handed out; send the generation that came with the refused token.',
    })
  }
  await refuseAccessToken(deps.db, accountId, rejectedGeneration, reader.keyId)
  // The first may be the landing of the very refresh that brought the refused token.
  let outcome: RefreshOutcome | undefined
  for (let tries = 0; tries < 2; tries++) {
    outcome = await refreshWithin(deps, accountId, rejectedGeneration)
    if (outcome?.kind !== 'refreshed' && outcome?.kind !== 'sibling_won') break
    const { generation } = await peek(deps, accountId)
    if (generation === null || generation > rejectedGeneration) return vend(deps, accountId, 0, reader)
  }
  throw await refreshFailure(deps, accountId, outcome)
}

async function refreshedOrWhatIsLeft(
  deps: VendDeps,
  accountId: string,
  found: Vended,
  minTtlSeconds: number,
  reader: TokenReader,
): Promise<VendedToken> {
  refuseIfDown(found)
  const outcome =
    found.status === 'active' && found.generation !== null ? await refreshWithin(deps, accountId, found.generation) : undefined
  if (outcome?.kind === 'refreshed' || outcome?.kind === 'sibling_won') {
    const fresh = await readToken(deps, accountId, minTtlSeconds, reader)
    if (fresh.audited) return toVendedToken(deps, accountId, fresh)
    refuseIfDown(fresh)
  }
  // TikTok is away, slow or in doubt: the present token is served for as long as it lives.
  const left = await readToken(deps, accountId, 1, reader, true)
  if (left.audited && deps.epoch.vouchesFor(accountId, left.generation)) return toVendedToken(deps, accountId, left, true)
  throw await refreshFailure(deps, accountId, outcome)
}

/** A refresh, waited for no longer than a caller should wait; the refresh itself goes on. */
async function refreshWithin(
  { refresher, timings }: VendDeps,
  accountId: string,
  generation: number,
): Promise<RefreshOutcome | undefined> {
  const deadline = performance.now() + timings.patienceMs
  for (;;) {
    const outcome = await within(refresher.refresh(accountId, generation), deadline - performance.now())
    if (outcome?.kind !== 'yielded') return outcome
    const waited = await within(refresher.waitForGeneration(accountId, generation), deadline - performance.now())
    if (waited === 'moved') return { kind: 'sibling_won' }
    // 'free': the claim may be ours now, or there is a wait to tell of. 'nothing': an earlier reader's wait is over, ours is not.
    if (performance.now() >= deadline) return outcome
  }
}

/** @param degraded also takes a token of an account whose refresh outcome is unknown (F01) */
async function readToken(
  deps: VendDeps,
  accountId: string,
  minTtlSeconds: number,
  { keyId, requestId, reach }: TokenReader,
  degraded = false,
): Promise<Vended> {
  const askedAtMs = performance.now()
  const asked = { accountId, minTtlSeconds, keyId, requestId, degraded }
  const vended = await found(
    vendTokenSet(deps.db, { ...asked, reach: isKnownInside(deps.db, reach, accountId) ? everything : reach }),
  )
  if (isNarrow(reach)) rememberOwner(deps.db, accountId, vended.ownerId)
  return vended.audited ? stillStands(deps, accountId, vended, askedAtMs) : vended
}

/** Whose accounts narrowed callers have read here. An account never changes its owner, so what lies within a reach once does so for good. */
const ownersRead = new WeakMap<Db, Map<string, string>>()
const rememberedOwners = 100_000

/** Then the statement need not look: to judge a reach costs it more than all the rest. */
function isKnownInside(db: Db, reach: Reach, accountId: string): boolean {
  const ownerId = isNarrow(reach) ? ownersRead.get(db)?.get(accountId) : undefined
  return ownerId !== undefined && reachesAccount(reach, ownerId, accountId)
}

function rememberOwner(db: Db, accountId: string, ownerId: string): void {
  const owners = ownersRead.get(db) ?? new Map<string, string>()
  ownersRead.set(db, owners.set(accountId, ownerId))
  const [oldest] = owners.keys()
  if (owners.size > rememberedOwners && oldest !== undefined) owners.delete(oldest)
}

/**
 * Whether an account could have a token, for who only asks that: nothing is handed out, refreshed or audited.
 *
 * @throws ServiceError account_not_found | account_disconnected | reauthorization_required
 */
export async function lookForToken(deps: VendDeps, accountId: string, reach: Reach): Promise<void> {
  const found = await peek(deps, accountId)
  if (!reachesAccount(reach, found.ownerId, accountId)) throw accountNotFound()
  refuseIfDown(found)
}

/** Reads without vending: nothing is handed out, so nothing is audited. */
function peek({ db }: VendDeps, accountId: string): Promise<Vended> {
  return found(peekTokenSet(db, accountId))
}

/**
 * A vend sees the account as it was when its statement began. One that took long looks again: a disconnect that was answered meanwhile is
 * final, and its answer waits long enough (`disconnectFenceMs`) that a quicker vend cannot come after it.
 */
async function stillStands(deps: VendDeps, accountId: string, vended: Vended, askedAtMs: number): Promise<Vended> {
  const { db, epoch, timings } = deps
  for (let since = askedAtMs; performance.now() - since > timings.disconnectFenceMs / 2; ) {
    if (performance.now() - askedAtMs > timings.patienceMs) throw overloaded()
    since = performance.now()
    if ((await presentGeneration(db, accountId)) === null) refuseIfDown(await peek(deps, accountId))
  }
  // A refresh may have been recorded since the read began, so the row is looked at once more, and held against what was known before that look.
  const known = epoch.knownGeneration(accountId)
  const isOlder = (generation: number | null) => generation !== null && generation < known
  if (isOlder(vended.generation) && isOlder(await presentGeneration(db, accountId))) {
    if (await epoch.metOlderRow(accountId)) throw databaseRewound()
  }
  return vended
}

async function found(row: Promise<Vended | undefined>): Promise<Vended> {
  const vended = await row
  if (!vended) throw accountNotFound()
  return vended
}

function toVendedToken({ vault, metrics }: VendDeps, accountId: string, vended: Vended, degraded = false): VendedToken {
  const { generation, sealedAccessToken, sealedExpiry, accessExpiresAt, openId, ownerId, sealedIdentity } = vended
  if (generation === null || sealedAccessToken === null || accessExpiresAt === null || openId === null) {
    throw new Error('A vended row is whole')
  }
  checkIdentity(vault, { accountId, openId, ownerId }, sealedIdentity)
  checkExpiry(vault, accountId, generation, accessExpiresAt, sealedExpiry)
  const accessToken = vault.open({ purpose: 'access_token', subject: accountId, generation }, sealedAccessToken)
  metrics.vended.inc({ degraded: degraded ? 'true' : 'false' })
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

async function refreshFailure(deps: VendDeps, accountId: string, outcome: RefreshOutcome | undefined): Promise<ServiceError> {
  if (outcome === undefined || outcome.kind === 'yielded') {
    return new ServiceError('refresh_in_progress', 'The token is being refreshed; try again in a moment.', {
      retryAfterSeconds: 2,
    })
  }
  if (outcome.kind === 'rejected' || outcome.kind === 'discarded') {
    const now = await peek(deps, accountId)
    refuseIfDown(now)
    if (now.status !== 'active') return needsPerson(now.statusReason)
    // In its grace time: a neighbour may still hold the answer.
    return new ServiceError(
      'refresh_in_progress',
      'TikTok refused the refresh token; a minute is waited before this is believed.',
      {
        retryAfterSeconds: deps.timings.graceSeconds / 4,
      },
    )
  }
  if (outcome.kind === 'transient' && outcome.code === 'database_rewound') return databaseRewound()
  const retryAfterSeconds = 'retryAfterSeconds' in outcome ? outcome.retryAfterSeconds : 1
  return new ServiceError('tiktok_unavailable', 'TikTok gives no new token just now and none is left; try again later.', {
    retryAfterSeconds,
  })
}

const needsPerson = (reason: string | null) =>
  new ServiceError('reauthorization_required', 'Send the person through a connect session with reconnect_account_id.', {
    facts: reason === null ? {} : { status_reason: reason },
  })
