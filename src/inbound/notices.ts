// What TikTok tells us: checked, kept, answered, and only then acted upon. A notice that a person removed the app ends the
// account here at once; tokens are dead at TikTok already, so there is nothing to revoke.

import { endAccount } from '../account/end.ts'
import { within } from '../concurrency/waiting.ts'
import { findByOpenId } from '../db/accounts.ts'
import type { Db } from '../db/client.ts'
import type { StatusReason } from '../db/codes.ts'
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
import type { Epoch } from '../journal/epoch.ts'
import type { Journal } from '../journal/journal.ts'
import type { Refusals } from '../refusals.ts'
import type { Config } from '../settings/config.ts'
import type { Log } from '../telemetry.ts'
import type { TikTok } from '../tiktok/client.ts'
import { type Notice, parseNotice, removalReasons, verifyWebhook } from '../tiktok/webhook.ts'
import type { Refresher } from '../token/refresh.ts'
import { step } from '../token/steps.ts'
import { reopenAfterPost } from '../uploads/closures.ts'
import { digest } from '../vault/digest.ts'
import type { Vault } from '../vault/vault.ts'
import type { NoticeMetrics } from './metrics.ts'

/** TikTok's clock and the database's may differ, and a grant is as old as its code, not as its record here. */
const doubtSeconds = 300

/** Few, because people's requests use the same connections. */
const atOnce = 5
/** One notice that TikTok has to be asked about must not hold up the next removal. */
const askingMs = 2000

const reasonsInAccount: ReadonlyMap<number, StatusReason> = new Map([
  [removalReasons.accountDeleted, 'tiktok_account_deleted'],
  [removalReasons.ageChanged, 'age_changed'],
  [removalReasons.accountBanned, 'tiktok_account_banned'],
])

export interface ReceiveDeps {
  db: Db
  refusals: Refusals
  metrics: NoticeMetrics
  config: { tiktok: Pick<Config['tiktok'], 'clientKey' | 'webhookSecrets'> }
  keyring: { readonly fits: boolean }
  epoch: Pick<Epoch, 'admit'>
}

export interface SettleDeps extends Omit<ReceiveDeps, 'keyring' | 'refusals' | 'epoch'> {
  log: Log
  vault: Vault
  journal: Pick<Journal, 'write'>
  tiktok: Pick<TikTok, 'userInfo'>
  refresher: Pick<Refresher, 'refresh'>
  stopping: AbortSignal
}

/**
 * Takes a notice in: once this returns it is kept, and TikTok need not repeat it. Replays are kept once.
 *
 * @param from the sender's address, for the log
 * @throws ServiceError invalid_signature; storage_unavailable | overloaded | keyring_mismatch | database_rewound: not kept, TikTok will try again for 72 hours
 */
export async function receiveNotice(
  { config, db, metrics, refusals, keyring, epoch }: ReceiveDeps,
  signatureHeader: string | string[] | undefined,
  rawBody: Buffer,
  from: string,
): Promise<void> {
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
  if (!keyring.fits)
    throw new ServiceError('keyring_mismatch', 'Nothing is written until an operator has put the right vault keys in place.', {
      retryAfterSeconds: 30,
    })
  await epoch.admit('anything') // a removal of an account that is yet to be restored would end nothing
  const notice = parseNotice(rawBody, verdict.t)
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
export async function settleNotices(deps: SettleDeps): Promise<void> {
  for (let claimed = atOnce; claimed === atOnce && !deps.stopping.aborted; ) {
    const rows = await claimNotices(deps.db, atOnce)
    await Promise.all(rows.map((row) => settle(deps, row).catch((error) => mustWait(deps, row, error))))
    claimed = rows.length
  }
}

async function settle(deps: SettleDeps, row: ClaimedNotice): Promise<void> {
  const { db, log, metrics } = deps
  const settlement = await act(deps, row.bodyHash, parseNotice(row.body, row.saidAt.getTime() / 1000))
  if (settlement === 'later') return mustWait(deps, row)
  await settleNotice(db, row.bodyHash, settlement)
  metrics.notices.inc({ outcome: settlement.outcome })
  const { outcome, accountId } = settlement
  log.info('TikTok notice was settled', { outcome, ...(accountId === null ? {} : { accountId }) })
}

/** Its next try is written down already; the others go on. */
function mustWait({ log }: SettleDeps, row: ClaimedNotice, error?: unknown): void {
  log.warn('TikTok notice has to wait', { count: row.attempts, error })
}

async function act(deps: SettleDeps, bodyHash: string, notice: Notice | null): Promise<Settlement | 'later'> {
  const kept = (outcome: string): Settlement => ({ outcome, accountId: null, told: false, kept: true })
  if (!notice) return kept('unreadable')
  // One secret signs for one app; another's key in a body we can verify is a mistake in somebody's configuration.
  if (notice.clientKey !== deps.config.tiktok.clientKey) return kept('foreign_client')
  if (notice.event === 'authorization.removed') return endGrant(deps, notice)
  if (!notice.event.startsWith('post.publish.')) return kept('unknown_event')
  const account = notice.userOpenId === null ? undefined : await findByOpenId(deps.db, notice.userOpenId)
  if (!account) return nobody
  const draft = postedDraft(notice)
  if (draft !== null) await reopenAfterPost(deps, { ...draft, bodyHash })
  return { outcome: 'told', accountId: account.id, told: true, kept: false }
}

/** @returns null for every other notice. A direct post was never among the pending drafts, and a failed one neither: it did not arrive. */
function postedDraft({ event, userOpenId, createTimeSeconds, content }: Notice) {
  const { publish_id, publish_type } = content
  if (event !== 'post.publish.complete' || publish_type !== 'INBOX_SHARE') return null
  if (userOpenId === null || typeof publish_id !== 'string' || publish_id === '') return null
  return { openId: userOpenId, publishId: publish_id, at: new Date(createTimeSeconds * 1000) }
}

const nobody: Settlement = { outcome: 'no_such_account', accountId: null, told: false, kept: false }

/** Ends the grant the notice is about, if that is the present one (S53). */
async function endGrant(deps: SettleDeps, notice: Notice): Promise<Settlement | 'later'> {
  // Again when a refresh or a reconnect was recorded between the judgement and the end: the judgement was about another token set.
  for (let tries = 0; tries < 5; tries++) {
    const grant = notice.userOpenId === null ? undefined : await findPresentGrant(deps.db, notice.userOpenId)
    if (!grant) return nobody
    const { accountId, generation } = grant
    const about = { accountId, told: false, kept: false }
    const verdict = await judge(deps, notice, grant)
    if (verdict === 'unknown') return 'later'
    if (verdict === 'older') return { ...about, outcome: 'older_than_grant' }
    const reason = reasonsInAccount.get(notice.removalReason ?? removalReasons.unknown) ?? 'removed_by_user'
    const end = { accountId, reason, actor: 'tiktok', requestId: null, revocationId: null, generation }
    if (await endAccount(deps, end)) {
      deps.log.info('account disconnected', { accountId, reason, actor: 'tiktok' })
      return { ...about, outcome: 'disconnected' }
    }
  }
  return 'later'
}

/**
 * Whether the removal ended the present grant. TikTok states whole seconds, so a removal and a reconnect within one second, or
 * within what the clocks may differ, cannot be told apart by time: then TikTok is asked whether the grant lives.
 *
 * TikTok is not asked when the removal is clearly later than the grant, or older by more than clocks differ. In the same second a
 * first grant is ended, unless the app itself revoked: that was another grant.
 */
async function judge(deps: SettleDeps, notice: Notice, grant: PresentGrant): Promise<'present' | 'older' | 'unknown'> {
  const authorizedSeconds = grant.authorizedAt.getTime() / 1000
  const removedSeconds = notice.createTimeSeconds
  const byTheApp = notice.removalReason === removalReasons.developerRevoked
  if (removedSeconds >= authorizedSeconds) return 'present'
  if (removedSeconds + 1 > authorizedSeconds && grant.isFirst && !byTheApp) return 'present'
  if (removedSeconds + doubtSeconds < authorizedSeconds) return 'older'
  return (await within(ask(deps, grant), askingMs)) ?? 'unknown'
}

/** A grant that lives was not the one that was removed. */
async function ask(deps: SettleDeps, grant: PresentGrant): Promise<'present' | 'older' | 'unknown'> {
  const { accountId, generation, sealedAccessToken, scopes } = grant
  if (grant.accessExpired) {
    const { kind } = await deps.refresher.refresh(accountId, generation)
    if (kind === 'rejected') return 'present'
    return kind === 'refreshed' || kind === 'sibling_won' ? 'older' : 'unknown'
  }
  const accessToken = deps.vault.open({ purpose: 'access_token', subject: accountId, generation }, sealedAccessToken)
  const { kind } = await deps.tiktok.userInfo(accessToken, scopes)
  if (kind === 'ok' || kind === 'refused') return 'older'
  return kind === 'token_invalid' ? 'present' : 'unknown'
}
