// The end of a connect session: the web app's backend says who finishes it, and hears what came of it.
import type { Db } from '../db/client.ts'
import { type ConnectSession, countWrongConfirm, failSession } from '../db/connect-sessions.ts'
import { ServiceError } from '../errors.ts'
import { type FailureCode, failures } from '../failures.ts'
import type { Refusals } from '../refusals.ts'
import type { Recording } from '../token/recording.ts'
import { digest, sameDigest } from '../vault/digest.ts'
import { errorOf, getConnectSession } from './connect-session.ts'
import type { Exchanges } from './exchange.ts'

export interface CompleteDeps {
  db: Db
  refusals: Refusals
  recording: Pick<Recording, 'isUnsaved'>
  exchanges: Pick<Exchanges, 'exchangedSession'>
}

/** A web app sends what stands in the return URL; whoever needs this many tries is guessing. */
const mostWrongConfirms = 5

/**
 * Finishes a connect session: whoever started must be who finishes (S05). Only now is the code exchanged.
 *
 * @returns the account's id, and whether this call connected it (of equal calls at once one did; a repeat finds it connected)
 * @throws ServiceError connect_session_not_found | owner_mismatch | confirm_invalid | session_not_ready | session_expired
 * @throws ServiceError session_failed: it had failed before, with its `error`
 * @throws ServiceError account_limit_reached | account_already_connected | account_mismatch | scope_not_granted | tiktok_rejected: the session failed
 * @throws ServiceError tiktok_unavailable | storage_unavailable: may be repeated
 */
export async function completeConnect(
  { db, refusals, recording, exchanges }: CompleteDeps,
  sessionId: string,
  claim: { ownerId: string; confirm: string },
  actor: string,
): Promise<{ accountId: string; connectedNow: boolean }> {
  const session = await getConnectSession({ db, recording }, sessionId)
  const confirms = session.confirmHash !== null && sameDigest(digest(claim.confirm), session.confirmHash)
  if (session.ownerId !== claim.ownerId) {
    const event = 'connect session was claimed by another owner'
    refusals.note({ kind: 'owner_mismatch', event, who: sessionId, facts: { sessionId, actor } })
    // The token is right, so the browser that came back is that of somebody else: what it brought must not be connected by anyone.
    if (confirms) await failSession(db, sessionId, 'owner_mismatch')
    else await countWrongConfirm(db, sessionId, mostWrongConfirms)
    throw new ServiceError('owner_mismatch', sentences.owner_mismatch)
  }
  if (session.completion !== 'confirm' || session.status === 'pending' || session.status === 'authorizing') {
    if (session.over && session.status !== 'completed') throw expired()
    throw new ServiceError('session_not_ready', 'Wait until the person is back with `confirm` in the return URL.')
  }
  if (session.confirmHash === null && session.status === 'failed') throw sessionFailed(session)
  if (!confirms) {
    const event = 'connect session was claimed with a wrong confirm token'
    refusals.note({ kind: 'confirm_invalid', event, who: sessionId, facts: { sessionId, actor } })
    if (await countWrongConfirm(db, sessionId, mostWrongConfirms))
      throw new ServiceError('confirm_invalid', sentences.confirm_invalid, { facts: { connect_session: sessionId } })
    throw new ServiceError('confirm_invalid', 'Send the `confirm` value from the return URL of this very session.')
  }
  if (session.status === 'failed') throw sessionFailed(session)
  if (session.status === 'completed' && session.accountId !== null) return { accountId: session.accountId, connectedNow: false }

  const after = await exchanges.exchangedSession(sessionId, actor)
  if (after.status === 'completed' && after.accountId !== null)
    return { accountId: after.accountId, connectedNow: after.exchangedHere }
  if (after.status === 'failed') throw failure(after)
  if (after.abandoned) {
    await failSession(db, sessionId, 'tiktok_rejected')
    throw failure({ ...after, status: 'failed' })
  }
  if (after.over && after.status === 'awaiting_completion') throw expired()
  throw new ServiceError('tiktok_unavailable', 'The exchange with TikTok is not through yet; repeat this call.', {
    retryAfterSeconds: 2,
  })
}

/** It had failed before this call, which changes nothing any more. */
function sessionFailed(session: ConnectSession): ServiceError {
  const error = errorOf(session) ?? 'tiktok_rejected'
  const sentence = sentenceOf(error as FailureCode) ?? 'Nothing was connected; open a new connect session.'
  return new ServiceError('session_failed', sentence, { facts: { connect_session: session.id, error } })
}

/** It failed in this call. */
function failure(session: ConnectSession): ServiceError {
  const error = errorOf(session)
  const known = error !== null && error in failures ? (error as FailureCode) : 'tiktok_rejected'
  // This session is over, and a 503 would ask for a repeat that can only fail again.
  const code = failures[known].mendedBy === 'time' ? 'session_expired' : known
  return new ServiceError(code, sentenceOf(code) ?? 'TikTok did not grant the connection; open a new connect session.', {
    facts: { connect_session: session.id },
  })
}

const sentences = {
  owner_mismatch:
    'Complete it for the owner who is logged in and who started it, in a new connect session; nothing was connected.',
  confirm_invalid: 'Too many wrong `confirm` values ended this session; open a new connect session.',
  session_expired:
    'The tier service did not say whether there is a place, so the fresh grant was revoked; open a new connect session in a moment.',
  account_limit_reached: 'Disconnect an account or raise the tier, then open a new connect session; the fresh grant was revoked.',
  account_already_connected: 'Another owner has connected this TikTok account; they have to disconnect it first.',
  account_mismatch:
    'The person chose another TikTok account than the one to reconnect; open a new connect session and choose that one.',
  scope_not_granted:
    'The person declined a permission that is needed; open a new connect session and ask them to leave it ticked.',
} as const satisfies Partial<Record<FailureCode, string>>

const sentenceOf = (code: FailureCode): string | undefined => (sentences as Partial<Record<FailureCode, string>>)[code]

const expired = () => new ServiceError('session_expired', 'The time of this connect session is over; open a new one.')
