// Gives a fresh grant its account, or refuses and revokes it. TikTok's answer comes from the exchange itself or, hours later,
// from the journal.
import { fetchProfile, type ProfileDeps } from '../account/profile.ts'
import { within } from '../concurrency/waiting.ts'
import { type ConnectOutcome, connectAccount, findConnect, findSamePerson, knowsUnionIds } from '../db/accounts.ts'
import { type ConnectSession, failSession, findSession } from '../db/connect-sessions.ts'
import { ServiceError } from '../errors.ts'
import type { FailureCode } from '../failures.ts'
import { AnsweredExchange } from '../journal/entries.ts'
import type { Journal } from '../journal/journal.ts'
import type { StoredEntry } from '../journal/sealing.ts'
import type { Config } from '../settings/config.ts'
import type { UserInfoAnswer } from '../tiktok/client.ts'
import type { Recording } from '../token/recording.ts'
import type { Revocations } from '../token/revoke.ts'
import type { Timings } from '../token/timings.ts'
import { sealExpiry, sealIdentity } from '../vault/deciding-rows.ts'
import type { Vault } from '../vault/vault.ts'
import { limitOf, type TierDeps } from './limits.ts'

export interface GrantDeps extends ProfileDeps, TierDeps {
  vault: Vault
  journal: Journal
  recording: Recording
  revocations: Pick<Revocations, 'refuse'>
  timings: Pick<Timings, 'profilePatienceMs'>
  config: Pick<Config, 'tiers'> & { tiktok: Pick<Config['tiktok'], 'requiredScopes' | 'scopes'> }
}

/** Brings back an exchange that an earlier process had been answered and could not record. */
export async function replayExchange(deps: GrantDeps, entry: StoredEntry): Promise<void> {
  const answer = AnsweredExchange.parse(entry.body)
  const session = await findSession(deps.db, answer.sessionId)
  deps.log.warn('journalled exchange was replayed', { sessionId: answer.sessionId, outcome: session?.status ?? 'purged' })
  if (session && session.status !== 'completed') await connectGrant(deps, session, answer, session.createdBy, true)
  if (session?.status === 'completed') await writeConnected(deps, answer, session.accountId)
  // Purged, or erased with its owner: nobody is waiting for this grant, so it does not live on.
  if (!session)
    await deps.revocations.refuse(answer.openId, { holder: { sessionId: answer.sessionId }, reason: 'session_gone', ...answer })
  deps.journal.settled(entry)
}

/** Gives the grant its account, or refuses it and revokes it. Repeats itself while the database is away. */
export async function connectGrant(
  deps: GrantDeps,
  session: ConnectSession,
  answer: AnsweredExchange,
  actor: string,
  inJournal: boolean,
): Promise<void> {
  const { db, config, log, recording, revocations } = deps
  const { requiredScopes, scopes: askedScopes } = config.tiktok
  const about = { subject: session.id, attemptId: answer.attemptId, inJournal }
  const refuse = async (code: FailureCode) => {
    log.info('grant was refused', { sessionId: session.id, code })
    await recording.untilSaved(about, () => failSession(db, session.id, code))
    const { accessToken, refreshToken, accessExpiresAt } = answer
    await recording.untilSaved(about, () =>
      revocations.refuse(answer.openId, {
        holder: { sessionId: session.id },
        reason: code,
        accessToken,
        refreshToken,
        accessExpiresAt,
      }),
    )
  }

  if (requiredScopes.some((scope) => !answer.scopes.includes(scope))) return refuse('scope_not_granted')
  const missingScopes = askedScopes.filter((scope) => !answer.scopes.includes(scope))
  let asked: Promise<UserInfoAnswer> | undefined
  const ask = () => {
    asked ??= deps.tiktok.userInfo(answer.accessToken, answer.scopes)
    return asked
  }
  const unionId = await recording.untilSaved(about, () => unionIdOf(deps, session, answer, ask))
  const { outcome, accountId, generation } = await recording.untilSaved(about, () =>
    place(deps, session, { ...answer, unionId }, missingScopes, actor),
  )
  if (outcome === 'connected') {
    if (accountId === null) throw new Error('What was connected has an account')
    log.info('account connected', { accountId, ownerId: session.ownerId, sessionId: session.id })
    await recording.untilSaved(about, () => writeConnected(deps, answer, accountId))
    // After the token is safe, and never in its way: a profile that fails, hangs or is rubbish costs a picture.
    const { openId, accessToken, scopes } = answer
    const profile = fetchProfile(deps, { accountId, openId, generation, accessToken, scopes }, ask())
    await within(
      profile.catch((error) => log.warn('profile was not fetched', { accountId, error })),
      deps.timings.profilePatienceMs,
    )
    return
  }
  return refuse(refusals[outcome])
}

/** All that makes the account, for a database that remembers nothing of it. */
async function writeConnected({ db, journal }: GrantDeps, answer: AnsweredExchange, accountId: string | null): Promise<void> {
  const made = accountId === null ? undefined : await findConnect(db, accountId, answer.attemptId)
  if (!made || accountId === null) return // by another exchange of the session, which has told of it
  const { generation, ...facts } = made
  await journal.write({ kind: 'connected', subject: accountId, generation, body: { ...answer, ...facts } })
}

type PlaceOutcome = Exclude<ConnectOutcome, 'moved'> | 'limit_unknown'

const refusals: Record<Exclude<PlaceOutcome, 'connected'>, FailureCode> = {
  limit_reached: 'account_limit_reached',
  limit_unknown: 'storage_unavailable',
  mismatch: 'account_mismatch',
  already_connected: 'account_already_connected',
  session_gone: 'connect_session_not_found',
}

/**
 * Who somebody is whose open_id we do not know: under another app of ours the same person has another one. Waited for no longer than a profile
 * is, and only where it can matter; the grant is in the journal.
 */
async function unionIdOf(
  { db, timings }: GrantDeps,
  session: ConnectSession,
  { openId }: AnsweredExchange,
  ask: () => Promise<UserInfoAnswer>,
): Promise<string | null> {
  const { ownerId, reconnectAccountId } = session
  if (await findSamePerson(db, { openId, unionId: null, ownerId, reconnectAccountId })) return null
  if (!(await knowsUnionIds(db))) return null
  const told = await within(ask(), timings.profilePatienceMs)
  // An answer about somebody else says nothing about this person.
  return told?.kind === 'ok' && told.user.openId === openId ? told.user.unionId : null
}

/** Seals the tokens for where they belong and connects; when the place moved in between, once more. */
async function place(
  deps: GrantDeps,
  session: ConnectSession,
  answer: AnsweredExchange & { unionId: string | null },
  missingScopes: string[],
  actor: string,
): Promise<{ outcome: PlaceOutcome; accountId: string | null; generation: number | null }> {
  const { db, vault } = deps
  const { accountType, ageConfirmedAt, attestationVersion } = session
  if (accountType === null || ageConfirmedAt === null || attestationVersion === null)
    throw new Error('A session that was authorized is attested')
  // An earlier try was recorded and its answer lost. What became of the account since then stands: these tokens may be spent by
  // now.
  const now = await findSession(db, session.id)
  if (now?.status === 'completed') return { outcome: 'connected', accountId: now.accountId, generation: null }
  // The same id on every try: a repeat after a lost answer recognises the account it made.
  const newAccountId = `acc_${answer.attemptId.slice('att_'.length)}`
  for (let tries = 0; tries < 10; tries++) {
    const { openId, unionId } = answer
    const { ownerId, reconnectAccountId } = session
    const present = await findSamePerson(db, { openId, unionId, ownerId, reconnectAccountId })
    // An account that is there needs no place, whatever the tier and whether or not anybody can tell it.
    const limit = present ? 0 : await limitOf(deps, session.ownerId)
    if (limit === undefined) return { outcome: 'limit_unknown', accountId: null, generation: null }
    const spot = { subject: present?.id ?? newAccountId, generation: (present?.generation ?? 0) + 1 }
    const answered = await connectAccount(db, {
      ownerId,
      accountId: spot.subject,
      generation: spot.generation,
      clientKey: answer.clientKey,
      openId,
      sealedIdentity: sealIdentity(vault, { accountId: spot.subject, openId, ownerId }),
      unionId,
      reconnectAccountId,
      accountLimit: limit,
      label: session.label,
      accountType,
      attestedAt: ageConfirmedAt,
      attestationVersion,
      scopes: answer.scopes,
      missingScopes,
      sealedAccessToken: vault.seal({ purpose: 'access_token', ...spot }, answer.accessToken),
      sealedRefreshToken: vault.seal({ purpose: 'refresh_token', ...spot }, answer.refreshToken),
      sealedExpiry: sealExpiry(vault, spot.subject, spot.generation, answer.accessExpiresAt),
      accessExpiresAt: answer.accessExpiresAt,
      refreshExpiresAt: answer.refreshExpiresAt,
      lifetimeSeconds: answer.lifetimeSeconds,
      attemptId: answer.attemptId,
      sessionId: session.id,
      actor,
    })
    if (answered.outcome !== 'moved') return { ...answered, outcome: answered.outcome, generation: spot.generation }
  }
  throw new ServiceError('storage_unavailable', 'The account is being changed over and over; try again.')
}
