// Connect sessions: made by the web app's backend, lived through by a person's browser, looked at by both. A session connects at
// most one account.

import { type Reach, reachesAccount } from '../access/reach.ts'
import { attestationVersion, checkAttestation } from '../account/attestation.ts'
import { findAccount } from '../db/accounts.ts'
import type { Db } from '../db/client.ts'
import { type completions, type prompts, storedSessionStatuses } from '../db/codes.ts'
import {
  attestSession,
  type ConnectSession,
  createSession,
  findSession,
  findSessionByLinkSecret,
  listSessions,
} from '../db/connect-sessions.ts'
import { saveOwner } from '../db/owners.ts'
import type { Branding } from '../display/branding.ts'
import { type Look, misfit, ownerNotFound, ServiceError, sessionNotFound } from '../errors.ts'
import { newId } from '../ids.ts'
import type { Config } from '../settings/config.ts'
import type { Log } from '../telemetry.ts'
import type { Recording } from '../token/recording.ts'
import { digest, randomToken } from '../vault/digest.ts'
import { checkTier } from './limits.ts'

/** As the outside sees them, see `statusOf`. */
export const sessionStatuses = [...storedSessionStatuses.filter((status) => status !== 'exchanging'), 'expired'] as const

export interface ConnectWish {
  ownerId: string
  returnUrl: string
  accountType?: string | undefined
  ageConfirmed?: boolean | undefined
  label?: string | undefined
  tier?: string | undefined
  reconnectAccountId?: string | undefined
  completion: (typeof completions)[number]
  ownerName?: string | undefined
  locale?: string | undefined
  prompt?: (typeof prompts)[number] | undefined
  branding?: Branding | undefined
  /** see `usualLifeSeconds` */
  lifeSeconds: number
}

/** How long a link is good: for somebody who is there, and at most for somebody it is sent to. */
export const usualLifeSeconds = 600
export const longestLifeSeconds = 4 * 3600

/** Who opens a session: what the key may do and reach, its link may, and no more (S73). */
export interface Opener {
  keyId: string
  scopes: readonly string[]
  reach: Reach
}

/** What a link may do on its page beside connecting. */
export const pageRights = ['accounts:read', 'accounts:write'] as const
export type PageRight = (typeof pageRights)[number]

export interface CreatedSession {
  id: string
  status: 'pending'
  authorizeUrl: string
  connectUrl: string
  expiresAt: Date
}

/**
 * Opens a connect session. The return URL is fixed here, from the exact allow-list; no query can change it later (S06).
 *
 * @throws ServiceError return_url_not_allowed | account_type_not_supported | age_not_confirmed | validation_failed (tier)
 * @throws ServiceError account_not_found | owner_mismatch | account_disconnected: about reconnect_account_id
 * @throws ServiceError owner_not_found: the owner, or a new account of theirs, is outside of what the opener reaches
 */
export async function createConnectSession(
  {
    db,
    config,
    log,
  }: { db: Db; config: Pick<Config, 'allowedCompletions' | 'allowedReturnUrls' | 'brand' | 'publicUrl' | 'tiers'>; log: Log },
  wish: ConnectWish,
  opener: Opener,
): Promise<CreatedSession> {
  checkReturnUrl(wish.returnUrl, config.allowedReturnUrls)
  if (!config.allowedCompletions.includes(wish.completion))
    throw misfit('validation_failed', {
      pointer: '/completion',
      detail: `completion: ${wish.completion} is not among ALLOWED_COMPLETIONS here; use confirm.`,
    })
  checkLogo(wish.branding?.logo, config.brand.logos)
  const attested = checkAttestation(wish)
  const tier = wish.tier === undefined ? null : checkTier({ config }, wish.tier)
  const { keyId: actor, scopes, reach } = opener
  if (wish.reconnectAccountId !== undefined) await checkReconnect(db, wish.reconnectAccountId, wish.ownerId, reach)
  if (!reachesAccount(reach, wish.ownerId, wish.reconnectAccountId ?? null)) throw ownerNotFound()
  if (tier !== null) await saveOwner(db, wish.ownerId, tier, actor)

  const id = newId('cs')
  const linkSecret = randomToken()
  const expiresAt = await createSession(db, {
    id,
    linkSecretHash: digest(linkSecret),
    ownerId: wish.ownerId,
    returnUrl: wish.returnUrl,
    completion: wish.completion,
    ...attested,
    attestationVersion,
    label: wish.label ?? null,
    ownerName: wish.ownerName ?? null,
    locale: wish.locale === undefined ? null : new Intl.Locale(wish.locale).toString(),
    prompt: wish.prompt ?? null,
    branding: wish.branding ?? null,
    lifeSeconds: wish.lifeSeconds,
    reconnectAccountId: wish.reconnectAccountId ?? null,
    createdBy: actor,
    rights: pageRights.filter((right) => scopes.includes(right)),
    reachedAccountIds: reach.accountIds === null ? null : [...reach.accountIds],
  })
  log.info('connect session was opened', { sessionId: id, ownerId: wish.ownerId, actor })
  return {
    id,
    status: 'pending',
    authorizeUrl: `${config.publicUrl}/authorize?session=${linkSecret}`,
    connectUrl: `${config.publicUrl}/connect?session=${linkSecret}`,
    expiresAt,
  }
}

/** @throws ServiceError connect_session_not_found */
export async function getConnectSession(
  { db, recording }: { db: Db; recording: Pick<Recording, 'isUnsaved'> },
  id: string,
): Promise<ConnectSession> {
  const session = await findSession(db, id)
  if (!session) throw sessionNotFound()
  return asSeenHere({ recording }, session)
}

/** However long ago its exchange was begun: while the answer is in this process and waits for the database, it is not abandoned (F04). */
export function asSeenHere({ recording }: { recording: Pick<Recording, 'isUnsaved'> }, session: ConnectSession): ConnectSession {
  return { ...session, abandoned: session.abandoned && !recording.isUnsaved(session.id) }
}

/** Sessions, newest first, of everybody in reach or of one owner. */
export async function pageOfSessions(
  deps: { db: Db; recording: Pick<Recording, 'isUnsaved'> },
  filter: { ownerId: string | null; before: string | null; limit: number; reach: Reach },
): Promise<{ sessions: ConnectSession[]; nextId: string | null }> {
  const rows = await listSessions(deps.db, { ...filter, limit: filter.limit + 1 })
  const sessions = rows.slice(0, filter.limit).map((session) => asSeenHere(deps, session))
  return { sessions, nextId: rows.length > filter.limit ? (sessions.at(-1)?.id ?? null) : null }
}

/**
 * The session of a link that a browser opened.
 *
 * @throws ServiceError session_invalid | session_expired: the web app has to send the person again
 */
export async function sessionOfLink({ db }: { db: Db }, linkSecret: string): Promise<ConnectSession> {
  const session = await findSessionByLinkSecret(db, digest(linkSecret))
  if (!session || session.disowned)
    throw new ServiceError('session_invalid', 'This link is not valid. Go back to where you came from and start again.')
  if (session.over && session.status !== 'completed') {
    throw new ServiceError('session_expired', 'This link is too old. Go back to where you came from and start again.', {
      ...onPageOf(session),
    })
  }
  if (session.status !== 'pending' && session.status !== 'authorizing') {
    throw new ServiceError('session_invalid', 'This link was used already. Go back to where you came from and start again.', {
      ...onPageOf(session),
    })
  }
  return session
}

/**
 * @param given.language which the question was asked in: kept with the version of its wording
 * @throws ServiceError account_type_not_supported | age_not_confirmed | session_invalid
 */
export async function attest(
  { db }: { db: Db },
  session: ConnectSession,
  given: { accountType: string; ageConfirmed: boolean; language: string },
): Promise<void> {
  const { accountType } = checkAttestation(given)
  const wording = `${attestationVersion}.${given.language}`
  if (accountType === null || !(await attestSession(db, session.id, accountType, wording))) {
    throw new ServiceError('session_invalid', 'This link was used already. Go back to where you came from and start again.')
  }
}

/** What the outside sees: an exchange in flight is still somebody's completion to wait for, and its time ends an open session. */
export function statusOf(session: ConnectSession): (typeof sessionStatuses)[number] {
  if (session.abandoned) return 'failed'
  if (session.status === 'exchanging') return session.completion === 'confirm' ? 'awaiting_completion' : 'authorizing'
  if (session.over && session.status !== 'completed' && session.status !== 'failed') return 'expired'
  return session.status
}

/** Why a failed session failed; an abandoned exchange may have spent its code, so the code is never used again (F38). */
export function errorOf(session: ConnectSession): string | null {
  return session.abandoned ? 'tiktok_rejected' : session.error
}

/** Ours in the return URL: a value of the web app's own under such a name would be taken for what we say. */
const ownParameters = ['connect_session', 'confirm', 'status', 'error', 'account_id']

/** The return URL that was fixed with the session, and what the web app is told there. */
export function returnUrl(session: ConnectSession, facts: Record<string, string>): string {
  const url = new URL(session.returnUrl)
  for (const name of ownParameters) url.searchParams.delete(name)
  url.searchParams.set('connect_session', session.id)
  for (const [name, value] of Object.entries(facts)) url.searchParams.set(name, value)
  return url.href
}

/** For a person who leaves: the web app is told `failed` as always, `closed` for everything else. */
export function wayBack(session: ConnectSession): string {
  if (statusOf(session) !== 'failed') return returnUrl(session, { status: 'closed' })
  return returnUrl(session, { status: 'failed', error: errorOf(session) ?? 'tiktok_rejected' })
}

/** What a page that says a failure of a session needs to know of it. */
export const onPageOf = (session: ConnectSession, back = wayBack(session)): { back: string; look: Look } => ({
  back,
  look: { locale: session.locale, branding: session.branding },
})

/** They may know where people are sent back to, but not what the web app wrote into it. */
export function wayBackForStrangers({ returnUrl }: ConnectSession): string {
  return returnUrl.split('?', 1)[0] ?? returnUrl
}

function checkReturnUrl(returnUrl: string, allowed: readonly string[]): void {
  const url = URL.canParse(returnUrl) ? new URL(returnUrl) : undefined
  // Compared as written, after the query is taken off: a normalising comparison is how open redirects get in.
  const bare = returnUrl.split('?', 1)[0]
  if (
    url === undefined ||
    // URL parsers drop these without a word.
    !returnUrl.isWellFormed() ||
    /[\p{Cc}\s#]/u.test(returnUrl) ||
    url.hash !== '' ||
    url.username !== '' ||
    url.password !== '' ||
    bare === undefined ||
    !allowed.includes(bare)
  ) {
    throw misfit('return_url_not_allowed', {
      pointer: '/return_url',
      detail: 'Add the exact origin and path to ALLOWED_RETURN_URLS, or send one that is listed.',
    })
  }
}

function checkLogo(name: string | undefined, logos: Config['brand']['logos']): void {
  if (name === undefined || logos.some((logo) => logo.name === name)) return
  const known = logos.length === 0 ? 'none is configured' : `there is ${logos.map((logo) => logo.name).join(', ')}`
  throw misfit('validation_failed', { pointer: '/branding/logo', detail: `branding.logo: name a file of APP_LOGO; ${known}.` })
}

async function checkReconnect(db: Db, accountId: string, ownerId: string, reach: Reach): Promise<void> {
  const account = await findAccount(db, accountId)
  if (!account || !reachesAccount(reach, account.ownerId, accountId))
    throw new ServiceError('account_not_found', 'Check reconnect_account_id: this service never created such an account.')
  if (account.ownerId !== ownerId)
    throw new ServiceError('owner_mismatch', 'reconnect_account_id: the account belongs to another owner.')
  if (account.status === 'disconnected') {
    throw new ServiceError(
      'account_disconnected',
      'reconnect_account_id: the account was disconnected; connect it without reconnect_account_id.',
    )
  }
}
