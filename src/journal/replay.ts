// Brings a database that went back up to what journals know: first what must not be undone and the accounts that were connected since, then
// the newest token set of each account. Forward only, so that it may be repeated, broken off, and done by several at once.
import { disconnectAccount } from '../db/accounts.ts'
import type { Db } from '../db/client.ts'
import { eraseOwner } from '../db/owners.ts'
import {
  accountsBehind,
  dropRevocations,
  listOwnerIds,
  liveAccountsFrom,
  type RestoredTokens,
  restoreAccount,
  restoreKeyRevocation,
  restoreTokenSets,
  restoreTombstone,
} from '../db/recoveries.ts'
import { sealExpiry, sealIdentity } from '../vault/deciding-rows.ts'
import type { Vault } from '../vault/vault.ts'
import { foreignness, type JournalOnDisk, readSegment, type SegmentFile } from './disk.ts'
import { AnsweredRefresh, ConnectedAccount, DisconnectedAccount, ErasedOwner, isOwner, RevokedKey, Sighting } from './entries.ts'
import type { Frame, Kind } from './frames.ts'
import type { KnownGenerations } from './known.ts'
import type { Unreadable } from './pending.ts'
import { openFrame, type StoredEntry } from './sealing.ts'

export interface ReplayParts {
  db: Db
  vault: Vault
  databaseId: string
  known: KnownGenerations
  requiredScopes: readonly string[]
  /** who it is done by, for timelines and the audit log */
  actor: string
}

/** What came of it so far, for the report. */
export interface Tally {
  entriesRead: number
  tokensRestored: number
  accountsRestored: number
  disconnectsRestored: number
  ownersErased: number
  keysRevoked: number
  /** accounts of which only a token is known: their connect is in a journal that nobody has */
  withoutGrant: string[]
  unreadable: Unreadable[]
}

export interface Learnt {
  /** journals that were at the database beside these, and when they were last seen */
  siblings: Map<string, Date>
  /** how far each journal had counted */
  marks: Map<string, number>
}

export type OnProgress = (bytesDone: number, bytesTotal: number) => void

const batchSize = 500
const namedAtMost = 10_000
const protective: ReadonlySet<Kind> = new Set<Kind>(['connected', 'disconnected', 'erased', 'key_revoked', 'sighting'])
/** A segment may have been touched last before the moment the database went back to by a clock that is wrong by so much. */
const clockMarginMs = 15 * 60_000

export const emptyTally = (): Tally => ({
  entriesRead: 0,
  tokensRestored: 0,
  accountsRestored: 0,
  disconnectsRestored: 0,
  ownersErased: 0,
  keysRevoked: 0,
  withoutGrant: [],
  unreadable: [],
})

/** Disconnects, erasures and revoked keys are done again, and accounts connected since are made whole. */
export async function restoreProtections(
  parts: ReplayParts,
  journals: readonly JournalOnDisk[],
  since: Date | null,
  tally: Tally,
  onProgress: OnProgress = () => {},
): Promise<Learnt> {
  const learnt: Learnt = { siblings: new Map(), marks: new Map() }
  for await (const { file, frames } of segmentsOf(parts, journals, since, tally, onProgress)) {
    for (const frame of frames) {
      if (!protective.has(frame.kind)) continue
      const entry = opened(parts, file, frame, tally)
      if (entry?.kind === 'sighting') learn(learnt, entry)
      else if (entry) await protect(parts, entry, tally)
    }
  }
  return learnt
}

/** To be called when every journal's protections are back: a token of an account that is unknown now has no grant anywhere. */
export async function restoreTokens(
  parts: ReplayParts,
  journals: readonly JournalOnDisk[],
  since: Date | null,
  tally: Tally,
  onProgress: OnProgress = () => {},
): Promise<void> {
  const withoutGrant = new Set<string>()
  // The newest first: then each account is written once, and its older entries are passed over unopened.
  for await (const { file, frames } of segmentsOf(parts, journals, since, tally, onProgress, true)) {
    const refreshes = frames.filter(({ kind }) => kind === 'refresh')
    for (const { subject, generation } of refreshes) parts.known.note(subject, generation)
    const newest = refreshes.filter(({ subject, generation }) => generation >= parts.known.of(subject))
    for (let from = 0; from < newest.length; from += batchSize)
      await restoreBatch(parts, file, newest.slice(from, from + batchSize), tally, withoutGrant)
    await dropRevocations(
      parts.db,
      frames.filter(({ kind }) => kind === 'revoked').map(({ subject }) => subject),
    )
    // Once more: an account could not come back while the one before it was not ended, and an owner not go while it had one.
    for (const frame of frames.filter(({ kind }) => kind === 'connected' || kind === 'erased').reverse()) {
      const entry = opened(parts, file, frame, tally)
      if (entry) await protect(parts, entry, tally)
    }
  }
  tally.withoutGrant = [...withoutGrant]
}

async function restoreBatch(
  parts: ReplayParts,
  file: SegmentFile,
  frames: readonly Frame[],
  tally: Tally,
  withoutGrant: Set<string>,
): Promise<void> {
  const newest = new Map<string, Frame>()
  for (const frame of frames) {
    if (frame.generation > (newest.get(frame.subject)?.generation ?? 0)) newest.set(frame.subject, frame)
  }
  const wanted = Array.from(newest.values(), ({ subject, generation }) => ({ accountId: subject, generation }))
  const behind = await accountsBehind(parts.db, wanted)
  const sets = []
  for (const { accountId, isThere } of behind) {
    const frame = newest.get(accountId)
    if (!isThere && withoutGrant.size < namedAtMost) withoutGrant.add(accountId)
    const entry = isThere && frame ? opened(parts, file, frame, tally) : undefined
    if (!entry) continue
    const answer = AnsweredRefresh.parse(entry.body)
    const lostRequiredScope = parts.requiredScopes.some((scope) => !answer.scopes.includes(scope))
    sets.push({ ...sealedTokens(parts, accountId, entry.generation, answer), lostRequiredScope })
  }
  if (sets.length === 0) return
  for (const { outcome } of await restoreTokenSets(parts.db, sets)) if (outcome === 'restored') tally.tokensRestored++
}

async function protect(parts: ReplayParts, entry: StoredEntry, tally: Tally): Promise<void> {
  const { db, known, actor } = parts
  switch (entry.kind) {
    case 'connected': {
      const { accessToken: _, refreshToken: __, ...account } = ConnectedAccount.parse(entry.body)
      const tokens = sealedTokens(parts, entry.subject, entry.generation, ConnectedAccount.parse(entry.body))
      known.note(entry.subject, entry.generation)
      const sealedIdentity = sealIdentity(parts.vault, { ...account, accountId: entry.subject })
      if ((await restoreAccount(db, { ...account, ...tokens, sealedIdentity })) === 'restored') tally.accountsRestored++
      return
    }
    case 'disconnected': {
      const ended = DisconnectedAccount.parse(entry.body)
      const end = { accountId: entry.subject, reason: ended.reason, actor: ended.actor, requestId: null }
      const disconnect = () => disconnectAccount(db, { ...end, revocationId: ended.revocationId, silent: true })
      // Looked at again after the tombstone: another replica may have made the account in between.
      const isDone =
        (await disconnect()) !== undefined ||
        (await restoreTombstone(db, { ...ended, accountId: entry.subject })) ||
        (await disconnect()) !== undefined
      if (isDone) tally.disconnectsRestored++
      return
    }
    case 'erased': {
      const erased = ErasedOwner.parse(entry.body)
      for await (const ownerId of ownersOf(db, erased)) {
        for (const accountId of await liveAccountsFrom(db, ownerId, erased.erasedAt)) {
          const end = { accountId, reason: 'disconnected_by_owner' as const, actor, requestId: null, revocationId: null }
          if (await disconnectAccount(db, { ...end, silent: true })) tally.disconnectsRestored++
        }
        if (await eraseOwner(db, ownerId)) tally.ownersErased++
      }
      return
    }
    case 'key_revoked':
      if (await restoreKeyRevocation(db, entry.subject, RevokedKey.parse(entry.body).revokedAt, actor)) tally.keysRevoked++
      return
    default:
      return
  }
}

async function* ownersOf(db: Db, erased: ErasedOwner): AsyncGenerator<string> {
  for (let after = ''; ; ) {
    const page = await listOwnerIds(db, after, 1_000)
    for (const ownerId of page) if (isOwner(erased, ownerId)) yield ownerId
    const last = page.at(-1)
    if (last === undefined) return
    after = last
  }
}

function learn({ siblings, marks }: Learnt, entry: StoredEntry): void {
  const { mark, siblings: seen } = Sighting.parse(entry.body)
  marks.set(entry.journalId, Math.max(mark, marks.get(entry.journalId) ?? 0))
  for (const { id, seenAt } of seen) {
    if (seenAt > (siblings.get(id) ?? new Date(0))) siblings.set(id, seenAt)
  }
}

function sealedTokens(
  { vault, actor }: ReplayParts,
  accountId: string,
  generation: number,
  answer: Omit<AnsweredRefresh, 'accountId' | 'generation'>,
): RestoredTokens {
  const { attemptId, accessToken, refreshToken, accessExpiresAt, refreshExpiresAt, lifetimeSeconds, scopes } = answer
  const place = { subject: accountId, generation }
  return {
    ...{ accountId, generation, attemptId, accessExpiresAt, refreshExpiresAt, lifetimeSeconds, scopes, actor },
    sealedAccessToken: vault.seal({ purpose: 'access_token', ...place }, accessToken),
    sealedRefreshToken: vault.seal({ purpose: 'refresh_token', ...place }, refreshToken),
    sealedExpiry: sealExpiry(vault, accountId, generation, accessExpiresAt),
  }
}

/** Segment by segment, so that memory holds one of them; those that nothing was written to since are left out. */
async function* segmentsOf(
  { databaseId }: ReplayParts,
  journals: readonly JournalOnDisk[],
  since: Date | null,
  tally: Tally,
  onProgress: OnProgress,
  newestFirst = false,
): AsyncGenerator<{ file: SegmentFile; frames: Frame[] }> {
  const from = since === null ? Number.NEGATIVE_INFINITY : since.getTime() - clockMarginMs
  const files = journals.flatMap(({ segments }) => segments).filter(({ changedAtMs }) => changedAtMs >= from)
  files.sort((a, b) => (a.changedAtMs - b.changedAtMs || a.number - b.number) * (newestFirst ? -1 : 1))
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0)
  let done = 0
  for (const file of files) {
    const segment = await readSegment(file)
    done += file.bytes
    if (!segment) continue
    const about = { journalId: file.journalId, segment: file.number }
    const foreign = foreignness(segment, databaseId)
    const damaged = segment.damage.filter(({ torn }) => !torn).length
    if (foreign !== undefined) note(tally, { ...about, reason: foreign, entries: segment.frames.length })
    if (damaged > 0) note(tally, { ...about, reason: 'has damaged bytes', entries: damaged })
    if (foreign !== undefined) continue
    if (!newestFirst) tally.entriesRead += segment.frames.length
    yield { file, frames: newestFirst ? segment.frames.toReversed() : segment.frames }
    onProgress(done, total)
  }
}

function opened({ vault }: ReplayParts, file: SegmentFile, frame: Frame, tally: Tally): StoredEntry | undefined {
  try {
    return openFrame(vault, file.journalId, frame)
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'does not open'
    note(tally, { journalId: file.journalId, segment: file.number, reason, entries: 1 })
    return undefined
  }
}

/** Entries of one segment that fail in one way are one line; a segment that is read twice is told of once. */
function note(tally: Tally, trouble: Unreadable): void {
  const same = tally.unreadable.find(
    ({ journalId, segment, reason }) =>
      journalId === trouble.journalId && segment === trouble.segment && reason === trouble.reason,
  )
  if (!same) tally.unreadable.push(trouble)
  else if (trouble.entries === 1) same.entries++
}
