// What TikTok tells us: checked, kept, answered, and only then acted upon. A notice that a person removed the app ends the
// account here at once; tokens are dead at TikTok already, so there is nothing to revoke.

import { disconnectAccount, findByOpenId } from '../db/accounts.ts'
import {
  type ClaimedNotice,
  claimNotices,
  databaseSeconds,
  findPresentGrant,
  type PresentGrant,
  type Settlement,
  settleNotice,
  storeNotice,
} from '../db/notices.ts'
import { ServiceError } from '../errors.ts'
import type { Parts } from '../parts.ts'
import { within } from '../single-flight.ts'
import { type Notice, parseNotice, removalReasons, verifyWebhook } from '../tiktok/webhook.ts'
import { refresh } from '../token/refresh.ts'
import { step } from '../token/steps.ts'
import { reopenAfterPost } from '../uploads/closures.ts'
import { digest } from '../vault/digest.ts'

/** TikTok's clock and the database's may differ, and a grant is as old as its code, not as its record here. */
const doubtSeconds = 300

/** Few, because people's requests use the same connections. */
const atOnce = 5
/** One notice that TikTok has to be asked about must not hold up the next removal. */
const askingMs = 2000

const reasonsInAccount: ReadonlyMap<number, string> = new Map([
  [removalReasons.accountDeleted, 'tiktok_account_deleted'],
  [removalReasons.ageChanged, 'age_changed'],
  [removalReasons.accountBanned, 'tiktok_account_banned'],
])

/**
 * Takes a notice in: once this returns it is kept, and TikTok need not repeat it. Replays are kept once.
 *
 * @param from the sender's address, for the log
 * @throws ServiceError invalid_signature; storage_unavailable | overloaded | keyring_mismatch: not kept, TikTok will try again for 72 hours
 */
export async function receiveNotice(
  parts: Parts,
  signatureHeader: string | string[] | undefined,
  rawBody: Buffer,
  from: string,
): Promise<void> {
  const { config, db, metrics, refusals } = parts
  const signed = { signatureHeader, rawBody, secrets: config.tiktok.webhookSecrets }
  let verdict = verifyWebhook({ ...signed, nowSeconds: Date.now() / 1000 })
  // The signature is good and only the time is not: this process may have the wrong clock, not TikTok.
  if (!verdict.ok && (verdict.reason === 'too_old' || verdict.reason === 'too_far_ahead'))
    verdict = verifyWebhook({ ...signed, nowSeconds: await databaseSeconds(db) })
  if (!verdict.ok) {
    metrics.notices.inc({ outcome: 'refused' })
    const facts = { reason: verdict.reason, address: from }
    refusals.note({ kind: 'invalid_signature', event: 'TikTok notice was refused', who: from, facts })
    throw new ServiceError('invalid_signature', "Sign the raw body with the app's client secret, as TikTok does.")
  }
  if (!parts.keyring.fits)
    throw new ServiceError('keyring_mismatch', 'Nothing is written until an operator has put the right vault keys in place.', {
      retryAfterSeconds: 30,
    })
  const notice = parseNotice(rawBody)
  const isNew = await storeNotice(db, {
    bodyHash: digest(rawBody),
    event: notice?.event ?? 'unreadable',
    openId: notice?.userOpenId ?? null,
    saidAt: new Date((notice?.createTimeSeconds ?? verdict.t) * 1000),
    body: rawBody,
  })
  step('notice.kept', notice?.userOpenId ?? '')
  if (!isNew) metrics.notices.inc({ outcome: 'repeated' })
}

/** Acts on whatever waits, until nothing is due or the process is to end. Harmless beside other replicas, and to repeat. */
export async function settleNotices(parts: Parts): Promise<void> {
  for (let claimed = atOnce; claimed === atOnce && !parts.stopping.aborted; ) {
    const rows = await claimNotices(parts.db, atOnce)
    await Promise.all(rows.map((row) => settle(parts, row).catch((error) => mustWait(parts, row, error))))
    claimed = rows.length
  }
}

async function settle(parts: Parts, row: ClaimedNotice): Promise<void> {
  const { db, log, metrics } = parts
  const settlement = await act(parts, parseNotice(row.body))
  if (settlement === 'later') return mustWait(parts, row)
  await settleNotice(db, row.bodyHash, settlement)
  metrics.notices.inc({ outcome: settlement.outcome })
  const { outcome, accountId } = settlement
  log.info('TikTok notice was settled', { outcome, ...(accountId === null ? {} : { accountId }) })
}

/** Its next try is written down already; the others go on. */
function mustWait({ log }: Parts, row: ClaimedNotice, error?: unknown): void {
  log.warn('TikTok notice has to wait', { count: row.attempts, error })
}

async function act(parts: Parts, notice: Notice | null): Promise<Settlement | 'later'> {
  const kept = (outcome: string): Settlement => ({ outcome, accountId: null, told: false, kept: true })
  if (!notice) return kept('unreadable')
  // One secret signs for one app; another's key in a body we can verify is a mistake in somebody's configuration.
  if (notice.clientKey !== parts.config.tiktok.clientKey) return kept('foreign_client')
  if (notice.event === 'authorization.removed') return endGrant(parts, notice)
  if (!notice.event.startsWith('post.publish.')) return kept('unknown_event')
  const account = notice.userOpenId === null ? undefined : await findByOpenId(parts.db, notice.userOpenId)
  if (!account) return nobody
  // The person has posted a draft: TikTok's cap on pending ones has a place again.
  if (notice.event === 'post.publish.complete' && notice.userOpenId !== null) await reopenAfterPost(parts, notice.userOpenId)
  return { outcome: 'told', accountId: account.id, told: true, kept: false }
}

const nobody: Settlement = { outcome: 'no_such_account', accountId: null, told: false, kept: false }

/** Ends the grant the notice is about, if that is the present one (S53). */
async function endGrant(parts: Parts, notice: Notice): Promise<Settlement | 'later'> {
  // Again when a refresh or a reconnect was recorded between the judgement and the end: the judgement was about another token set.
  for (let tries = 0; tries < 5; tries++) {
    const grant = notice.userOpenId === null ? undefined : await findPresentGrant(parts.db, notice.userOpenId)
    if (!grant) return nobody
    const { accountId, generation } = grant
    const about = { accountId, told: false, kept: false }
    const verdict = await judge(parts, notice, grant)
    if (verdict === 'unknown') return 'later'
    if (verdict === 'older') return { ...about, outcome: 'older_than_grant' }
    const reason = reasonsInAccount.get(notice.removalReason ?? removalReasons.unknown) ?? 'removed_by_user'
    const end = { accountId, reason, actor: 'tiktok', requestId: null, revocationId: null, generation }
    if (await disconnectAccount(parts.db, end)) {
      parts.log.info('account disconnected', { accountId, reason, actor: 'tiktok' })
      return { ...about, outcome: 'disconnected' }
    }
  }
  return 'later'
}

/**
 * Whether the removal ended the present grant. TikTok states whole seconds, so a removal and a reconnect within one second, or
 * within what the clocks may differ, cannot be told apart by time: then TikTok is asked whether the grant lives.
 *
 * Without asking: a removal said to be later than the grant; one in the same second when this is the account's first grant, unless it was the
 * app that revoked (that was another grant: of this one's account nothing would be left); one that is older by more than clocks differ.
 */
async function judge(parts: Parts, notice: Notice, grant: PresentGrant): Promise<'present' | 'older' | 'unknown'> {
  const authorizedSeconds = grant.authorizedAt.getTime() / 1000
  const removedSeconds = notice.createTimeSeconds
  const byTheApp = notice.removalReason === removalReasons.developerRevoked
  if (removedSeconds >= authorizedSeconds) return 'present'
  if (removedSeconds + 1 > authorizedSeconds && grant.isFirst && !byTheApp) return 'present'
  if (removedSeconds + doubtSeconds < authorizedSeconds) return 'older'
  return (await within(ask(parts, grant), askingMs)) ?? 'unknown'
}

/** A grant that lives was not the one that was removed. */
async function ask(parts: Parts, grant: PresentGrant): Promise<'present' | 'older' | 'unknown'> {
  const { accountId, generation, sealedAccessToken, scopes } = grant
  if (grant.accessExpired) {
    const { kind } = await refresh(parts, accountId, generation)
    if (kind === 'rejected') return 'present'
    return kind === 'refreshed' || kind === 'sibling_won' ? 'older' : 'unknown'
  }
  const accessToken = parts.vault.open({ purpose: 'access_token', subject: accountId, generation }, sealedAccessToken)
  const { kind } = await parts.tiktok.userInfo(accessToken, scopes)
  if (kind === 'ok' || kind === 'refused') return 'older'
  return kind === 'token_invalid' ? 'present' : 'unknown'
}
