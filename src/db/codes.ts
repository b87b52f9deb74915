// The closed lists of what a column holds. Each stands here once: schema.ts, the statements, the API's schemas and the pages all
// derive from it.

export const accountStatuses = ['active', 'reauthorization_required', 'disconnected'] as const
export type AccountStatus = (typeof accountStatuses)[number]

/** Why an account is not active. */
export const statusReasons = [
  'refresh_token_rejected',
  'refresh_outcome_unknown',
  'refresh_token_expired',
  'removed_by_user',
  'tiktok_account_deleted',
  'age_changed',
  'tiktok_account_banned',
  'required_scope_removed',
  'disconnected_by_owner',
  'disconnected_by_operator',
] as const
export type StatusReason = (typeof statusReasons)[number]

export const accountTypes = ['creator', 'business'] as const
export type AccountType = (typeof accountTypes)[number]

export const completions = ['confirm', 'callback'] as const

/** What `/authorize` shows before it goes on to TikTok, although nothing is left to ask (as `prompt` in OpenID Connect). */
export const prompts = ['consent'] as const

/** `exchanging` is ours alone: outside it is still somebody's completion to wait for. */
export const storedSessionStatuses = [
  'pending',
  'authorizing',
  'awaiting_completion',
  'exchanging',
  'completed',
  'failed',
] as const

/** Why the circuit breaker is open. */
export const breakerReasons = ['client_refused', 'unavailable', 'throttled', 'invalid_grant', 'access_token_invalid'] as const
export type BreakerReason = (typeof breakerReasons)[number]

/** Where refusals of many at once are not believed. */
export const brakedEndpoints = ['token', 'user_info'] as const
export type BrakedEndpoint = (typeof brakedEndpoints)[number]

/** What a reconciliation found out about an account. */
export const reconciledOutcomes = ['fine', 'must_come_back', 'unknown'] as const
export type ReconciledOutcome = (typeof reconciledOutcomes)[number]

/** How a revocation at TikTok stands. */
export const revocationStates = ['confirmed', 'already_gone', 'pending'] as const
export type RevocationState = (typeof revocationStates)[number]
/** What the timeline says when nothing is pending any more. */
export type RevocationEnd = Exclude<RevocationState, 'pending'> | 'given_up'

/** What a timeline tells, and what the `code` of such an entry is. */
export const timelineKinds = {
  connected: 'the account was connected',
  reconnected: 'the person connected it again',
  reconnect_started: 'the owner began to connect it again on the hosted page',
  label_changed: 'its label was changed',
  refreshed: 'a new token set was stored; code `scopes_changed` or `required_scope_removed` when the scopes differ',
  access_token_refused: 'TikTok did not take the access token of this generation, which is not handed out again',
  refresh_failed: 'nothing was spent, and it will be tried again; the code says why',
  refresh_ambiguous: "TikTok's answer did not arrive or could not be understood; the code says why",
  refresh_abandoned: 'the replica that was refreshing it went silent; code `lease_ran_out`',
  refresh_rejected: 'TikTok refused the refresh token, which is not believed at once; code `invalid_grant`',
  reauthorization_required: 'only the person can help; the code is the status_reason',
  restored: 'the database had gone back to an earlier moment, and the journal brought this generation home',
  recovered: 'it is active again; the code is the status_reason it had',
  expiring: 'its refresh token ends soon; code `refresh_token_expires`',
  tiktok_notice: "TikTok told something about it; the code is TikTok's event",
  disconnected: 'it was disconnected; the code is the status_reason',
  grant_revoked: 'the grant has ended at TikTok; code `confirmed`, `already_gone` or, after ten days, `given_up`',
  revocation_dropped: 'a revocation that was waiting would have ended a newer grant; code `connected_anew`',
  upload_committed: "an upload was committed; the code is TikTok's publish_id",
  upload_committed_late: "an upload was committed after its slot had ended; the code is TikTok's publish_id",
  uploads_closed: "TikTok takes no uploads for a while; the code is TikTok's error",
} as const
export type TimelineKind = keyof typeof timelineKinds

/** How an upload stands; `expired` is made of its time, not stored. */
export const uploadStatuses = ['reserved', 'committed', 'released', 'expired'] as const
export type UploadStatus = (typeof uploadStatuses)[number]
