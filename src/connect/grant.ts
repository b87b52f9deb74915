// Gives a fresh grant its account, or refuses it and has it revoked. What TikTok answered may come from the exchange itself or, hours
// later, from a spill file.
import { z } from 'zod'
import { fetchProfile } from '../account/profile.ts'
import { type ConnectOutcome, connectAccount, findByOpenId } from '../db/accounts.ts'
import { type ConnectSession, failSession, findSession } from '../db/connect-sessions.ts'
import { ServiceError } from '../errors.ts'
import type { FailureCode } from '../failures.ts'
import type { Parts } from '../parts.ts'
import { within } from '../single-flight.ts'
import { AnsweredTokens } from '../token/answered.ts'
import { revokeRefused } from '../token/revoke.ts'
import { untilSaved } from '../token/until-saved.ts'
import { limitOf } from './limits.ts'

const AnsweredExchange = AnsweredTokens.extend({ sessionId: z.string() })
export type AnsweredExchange = z.infer<typeof AnsweredExchange>

/** Brings back an exchange that an earlier process had been answered and could not record. */
export async function replayExchange(parts: Parts, id: string, body: unknown): Promise<void> {
  const answer = AnsweredExchange.parse(body)
  const session = await findSession(parts.db, answer.sessionId)
  parts.log.warn('spilled exchange was replayed', { sessionId: answer.sessionId, outcome: session?.status ?? 'purged' })
  if (session && session.status !== 'completed') await connectGrant(parts, session, answer, session.createdBy, true)
  // Purged, or erased with its owner: nobody is waiting for this grant, so it does not live on.
  if (!session) await revokeRefused(parts, answer.openId, { accountId: answer.sessionId, reason: 'session_gone', ...answer })
  await parts.spill.remove(id)
}

/** Gives the grant its account, or refuses it and revokes it. Repeats itself while the database is away. */
export async function connectGrant(
  parts: Parts,
  session: ConnectSession,
  answer: AnsweredExchange,
  actor: string,
  spilled: boolean,
): Promise<void> {
  const { config, log } = parts
  const { requiredScopes, scopes: askedScopes } = config.tiktok
  const about = { subject: session.id, attemptId: answer.attemptId, spilled }
  const refuse = async (code: FailureCode) => {
    log.info('grant was refused', { sessionId: session.id, code })
    await untilSaved(parts, about, () => failSession(parts.db, session.id, code))
    const { accessToken, refreshToken, accessExpiresAt } = answer
    await untilSaved(parts, about, () =>
      revokeRefused(parts, answer.openId, { accountId: session.id, reason: code, accessToken, refreshToken, accessExpiresAt }),
    )
  }

  if (requiredScopes.some((scope) => !answer.scopes.includes(scope))) return refuse('scope_not_granted')
  const missingScopes = askedScopes.filter((scope) => !answer.scopes.includes(scope))
  const { outcome, accountId } = await untilSaved(parts, about, () => place(parts, session, answer, missingScopes, actor))
  if (outcome === 'connected') {
    if (accountId === null) throw new Error('What was connected has an account')
    log.info('account connected', { accountId, ownerId: session.ownerId, sessionId: session.id })
    // After the token is safe, and never in its way: a profile that fails, hangs or is rubbish costs a picture.
    const { openId, accessToken, scopes } = answer
    const profile = fetchProfile(parts, { accountId, openId, accessToken, scopes })
    await within(
      profile.catch((error) => log.warn('profile was not fetched', { accountId, error })),
      parts.timings.profilePatienceMs,
    )
    return
  }
  return refuse(refusals[outcome])
}

type PlaceOutcome = Exclude<ConnectOutcome, 'moved'> | 'limit_unknown'

const refusals: Record<Exclude<PlaceOutcome, 'connected'>, FailureCode> = {
  limit_reached: 'account_limit_reached',
  limit_unknown: 'storage_unavailable',
  mismatch: 'account_mismatch',
  already_connected: 'account_already_connected',
  session_gone: 'connect_session_not_found',
}

/** Seals the tokens for where they belong and connects; when the place moved in between, once more. */
async function place(
  parts: Parts,
  session: ConnectSession,
  answer: AnsweredExchange,
  missingScopes: string[],
  actor: string,
): Promise<{ outcome: PlaceOutcome; accountId: string | null }> {
  const { db, vault } = parts
  const { accountType, ageConfirmedAt, attestationVersion } = session
  if (accountType === null || ageConfirmedAt === null || attestationVersion === null)
    throw new Error('A session that was authorized is attested')
  // Recorded by an earlier try whose answer was lost. What became of the account since then stands: these tokens may be spent, or it may be
  // disconnected.
  const now = await findSession(db, session.id)
  if (now?.status === 'completed') return { outcome: 'connected', accountId: now.accountId }
  // The same id on every try: a repeat after a lost answer recognises the account it made.
  const newAccountId = `acc_${answer.attemptId.slice('att_'.length)}`
  for (let tries = 0; tries < 10; tries++) {
    const present = await findByOpenId(db, answer.openId)
    // An account that is there needs no place, whatever the tier and whether or not anybody can tell it.
    const limit = present ? 0 : await limitOf(parts, session.ownerId)
    if (limit === undefined) return { outcome: 'limit_unknown', accountId: null }
    const spot = { subject: present?.id ?? newAccountId, generation: (present?.generation ?? 0) + 1 }
    const answered = await connectAccount(db, {
      ownerId: session.ownerId,
      accountId: spot.subject,
      generation: spot.generation,
      openId: answer.openId,
      reconnectAccountId: session.reconnectAccountId,
      accountLimit: limit,
      label: session.label,
      accountType,
      attestedAt: ageConfirmedAt,
      attestationVersion,
      scopes: answer.scopes,
      missingScopes,
      sealedAccessToken: vault.seal({ purpose: 'access_token', ...spot }, answer.accessToken),
      sealedRefreshToken: vault.seal({ purpose: 'refresh_token', ...spot }, answer.refreshToken),
      accessExpiresAt: answer.accessExpiresAt,
      refreshExpiresAt: answer.refreshExpiresAt,
      lifetimeSeconds: answer.lifetimeSeconds,
      attemptId: answer.attemptId,
      sessionId: session.id,
      actor,
    })
    if (answered.outcome !== 'moved') return { outcome: answered.outcome, accountId: answered.accountId }
  }
  throw new ServiceError('storage_unavailable', 'The account is being changed over and over; try again.')
}
