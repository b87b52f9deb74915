// Made from openapi/openapi.json by `npm run docs`: do not edit.

/** No such part in the request. */
export type Nothing = undefined

/** An account: whose it is, what it looks like, what was granted and how it is doing */
export type Account = {
  /** `acc_…` */
  id: string
  /** The caller's own id of the person or team that it belongs to; null on the tombstones of an owner who was erased */
  ownerId: string | null
  /** The person at TikTok, for this app; null once disconnected */
  openId: string | null
  /** What the owner calls it */
  label: string | null
  /** Whether tokens of it are handed out */
  status: 'active' | 'reauthorization_required' | 'disconnected'
  /** Why it is not active; null while it is. More may come: leave alone what you do not know */
  statusReason: 'refresh_token_rejected' | 'refresh_outcome_unknown' | 'refresh_token_expired' | 'removed_by_user' | 'tiktok_account_deleted' | 'age_changed' | 'tiktok_account_banned' | 'required_scope_removed' | 'disconnected_by_owner' | 'disconnected_by_operator' | (string & {}) | null
  profile: AccountProfile
  accountType: AccountType
  /** When the person confirmed being 18 or older */
  ageConfirmedAt: string
  /** What the person granted */
  scopes: (string)[]
  /** What was asked for and not granted */
  missingScopes: (string)[]
  /** About the token, never the token; null once disconnected */
  token: TokenState | null
  health: AccountHealth
  uploadQuota: UploadQuota
  /** When it was connected, the last time */
  connectedAt: string
  /** When it was disconnected; null while it is not */
  disconnectedAt: string | null
}

/** An account was connected */
export type AccountConnectedEvent = {
  /** `evt_…`; the same over all deliveries of this event */
  id: string
  /** What happened */
  type: 'account.connected'
  /** When it happened */
  occurredAt: string
  data: AccountConnectedEventData
}

/** An account was connected */
export type AccountConnectedEventData = {
  /** The account, `acc_…` */
  accountId: string
  /** The caller's own id of the person or team that it belongs to */
  ownerId: string
  /** The connect session, `cs_…` */
  connectSessionId: string
  /** What the person granted */
  scopes: (string)[]
  /** What was asked for and not granted */
  missingScopes: (string)[]
}

/** An account was disconnected */
export type AccountDisconnectedEvent = {
  /** `evt_…`; the same over all deliveries of this event */
  id: string
  /** What happened */
  type: 'account.disconnected'
  /** When it happened */
  occurredAt: string
  data: AccountDisconnectedEventData
}

/** An account was disconnected */
export type AccountDisconnectedEventData = {
  /** The account, `acc_…` */
  accountId: string
  /** The caller's own id of the person or team that it belongs to */
  ownerId: string
  /** The `status_reason` of the account. More may come: leave alone what you do not know */
  reason: 'refresh_token_rejected' | 'refresh_outcome_unknown' | 'refresh_token_expired' | 'removed_by_user' | 'tiktok_account_deleted' | 'age_changed' | 'tiktok_account_banned' | 'required_scope_removed' | 'disconnected_by_owner' | 'disconnected_by_operator' | (string & {})
}

/** The grant ends soon: the person should connect again before that */
export type AccountExpiringEvent = {
  /** `evt_…`; the same over all deliveries of this event */
  id: string
  /** What happened */
  type: 'account.expiring'
  /** When it happened */
  occurredAt: string
  data: AccountExpiringEventData
}

/** The grant ends soon: the person should connect again before that */
export type AccountExpiringEventData = {
  /** The account, `acc_…` */
  accountId: string
  /** The caller's own id of the person or team that it belongs to */
  ownerId: string
  /** When the grant ends */
  reauthorizeBy: string
  /** Which warning it is: 30, 7 or 1 days before the end */
  daysLeft: number
}

/** How an account is doing, and why */
export type AccountHealth = {
  /** In one word */
  verdict: 'healthy' | 'expiring' | 'degraded' | 'reauthorization_required' | 'disconnected'
  /** Why, the worst first */
  reasons: (HealthReason)[]
  /** When the refresh token expires: the person has to connect again before that */
  reauthorizeBy: string | null
  /** The time of this read, by the database's clock; the verdict is made from what is recorded. `refreshed_at` of the token and `fetched_at` of the profile say when TikTok was last asked; `verify` asks it now */
  checkedAt: string
}

/** A page of accounts */
export type AccountPage = {
  /** Oldest first */
  accounts: (Account)[]
  /** `cursor` of the next page; null on the last one */
  nextCursor: string | null
}

/** What TikTok shows of the person */
export type AccountProfile = {
  /** The @handle; null without user.info.profile */
  username: string | null
  /** The name that people see at TikTok; null too where there is nothing of it to see */
  displayName: string | null
  /** Our own copy: TikTok's URLs die within hours */
  avatarUrl: string | null
  /** null without user.info.stats */
  followerCount: number | null
  /** TikTok's verified badge, which says nothing about the account type */
  isVerified: boolean | null
  /** The age of all of the above */
  fetchedAt: string | null
  /** Fields that TikTok does not tell, because a scope was not granted or TikTok refuses the field, each with its scope */
  unavailable: Record<string, string>
}

/** Only the person can help: the account has to be connected again */
export type AccountReauthorizationRequiredEvent = {
  /** `evt_…`; the same over all deliveries of this event */
  id: string
  /** What happened */
  type: 'account.reauthorization_required'
  /** When it happened */
  occurredAt: string
  data: AccountReauthorizationRequiredEventData
}

/** Only the person can help: the account has to be connected again */
export type AccountReauthorizationRequiredEventData = {
  /** The account, `acc_…` */
  accountId: string
  /** The caller's own id of the person or team that it belongs to */
  ownerId: string
  /** The `status_reason` of the account. More may come: leave alone what you do not know */
  reason: 'refresh_token_rejected' | 'refresh_outcome_unknown' | 'refresh_token_expired' | 'removed_by_user' | 'tiktok_account_deleted' | 'age_changed' | 'tiktok_account_banned' | 'required_scope_removed' | 'disconnected_by_owner' | 'disconnected_by_operator' | (string & {})
}

/** A person connected an account again */
export type AccountReconnectedEvent = {
  /** `evt_…`; the same over all deliveries of this event */
  id: string
  /** What happened */
  type: 'account.reconnected'
  /** When it happened */
  occurredAt: string
  data: AccountReconnectedEventData
}

/** A person connected an account again */
export type AccountReconnectedEventData = {
  /** The account, `acc_…` */
  accountId: string
  /** The caller's own id of the person or team that it belongs to */
  ownerId: string
  /** The connect session, `cs_…` */
  connectSessionId: string
  /** What the person granted */
  scopes: (string)[]
  /** What was asked for and not granted */
  missingScopes: (string)[]
}

/** An account works again, and nobody had to help */
export type AccountRecoveredEvent = {
  /** `evt_…`; the same over all deliveries of this event */
  id: string
  /** What happened */
  type: 'account.recovered'
  /** When it happened */
  occurredAt: string
  data: AccountRecoveredEventData
}

/** An account works again, and nobody had to help */
export type AccountRecoveredEventData = {
  /** The account, `acc_…` */
  accountId: string
  /** The caller's own id of the person or team that it belongs to */
  ownerId: string
}

/** Creator or business, as the person says it */
export type AccountType = {
  /** The type that the person named */
  value: 'creator' | 'business'
  /** The person says so; TikTok tells this app neither type nor age */
  source: 'self_attested'
  /** When the person said so */
  attestedAt: string
  /** The version of the sentence they agreed to, and its language where the page asked */
  wording: string
}

/** Who did what */
export type AuditEntry = {
  /** When */
  at: string
  /** `token_handed_out`, a kind of the timeline, or what an operator did */
  action: string
  /** A key id, `jwt:SUBJECT`, `service`, `tiktok`, `owner` or `operator` */
  actor: string
  /** The account, connect session, API key or vault key, or an owner by its hash */
  object: string
  /** Why or what, as the action says */
  code: string | null
  /** Of the token set it was about */
  generation: number | null
  /** Whether the token had less time than was asked for */
  degraded: boolean | null
  /** Through which link it was done; null: through none */
  via: Via | null
  /** The request that did it */
  requestId: string | null
}

/** A page of the audit */
export type AuditPage = {
  /** Oldest first */
  entries: (AuditEntry)[]
  /** Never null: ask again with it as `after`, at once after a full page */
  nextCursor: string
}

/** What TikTok has */
export type CommitUpload = {
  /** What TikTok called the upload, for the account's timeline */
  publishId?: string | undefined
}

/** Who finishes it, and the proof that the browser came back */
export type CompleteConnectSession = {
  /** The caller's own id of a person or team, compared as it is sent: no case is folded and no Unicode form changed. Percent-encoded in a path or query, `+` and `/` too */
  ownerId: string
  /** `confirm` of the return URL */
  confirm: string
}

/** How a connect session stands */
export type ConnectSession = {
  /** `cs_…` */
  id: string
  /** The caller's own id of the person or team that it is for */
  ownerId: string
  /** How far it is */
  status: 'pending' | 'authorizing' | 'awaiting_completion' | 'completed' | 'failed' | 'expired'
  /** What was connected; null until then */
  accountId: string | null
  /** A code of this service, or an OAuth error of TikTok such as `access_denied` */
  error: string | null
  /** The only account that may come back, if it is for one */
  reconnectAccountId: string | null
  /** When it was opened */
  createdAt: string
  /** When the link ends, or has ended */
  expiresAt: string
}

/** A connect session ended without an account */
export type ConnectSessionFailedEvent = {
  /** `evt_…`; the same over all deliveries of this event */
  id: string
  /** What happened */
  type: 'connect_session.failed'
  /** When it happened */
  occurredAt: string
  data: ConnectSessionFailedEventData
}

/** A connect session ended without an account */
export type ConnectSessionFailedEventData = {
  /** The one that was to come back, if it was about one */
  accountId: string | null
  /** The caller's own id of the person or team that it belongs to */
  ownerId: string
  /** The connect session, `cs_…` */
  connectSessionId: string
  /** A code of this service, or an OAuth error of TikTok such as `access_denied` */
  error: string
}

/** One page of connect sessions */
export type ConnectSessionPage = {
  /** One page of sessions, the youngest first */
  sessions: (ConnectSession)[]
  /** Send it as `cursor` for the next page; null on the last one */
  nextCursor: string | null
}

/** What a connect session is for */
export type CreateConnectSession = {
  /** The caller's own id of a person or team, compared as it is sent: no case is folded and no Unicode form changed. Percent-encoded in a path or query, `+` and `/` too */
  ownerId: string
  /** Where the browser goes afterwards; origin and path as in ALLOWED_RETURN_URLS */
  returnUrl: string
  /** What the person says to use it for: `creator` posts as themselves (TikTok calls that a personal account), `business` for a company or an organization. Asked for on the connect page when missing */
  accountType?: string | undefined
  /** The person confirmed being 18 or older; asked for on the connect page when missing */
  ageConfirmed?: boolean | undefined
  /** What the owner will call the account */
  label?: string | undefined
  /** Sets the owner's tier; needs the scope `owners:write` too */
  tier?: string | undefined
  /** Only this account may come back. Without `account_type` and `age_confirmed` nobody is asked again, and what was attested for it stands */
  reconnectAccountId?: string | undefined
  /** confirm: your backend finishes with `complete`, so that a link sent to somebody else connects nothing */
  completion?: 'confirm' | 'callback' | undefined
  /** Who the person is in your product, such as their name or address: shown on the page instead of `owner_id` */
  ownerName?: string | undefined
  /** The language of the page. The closest of `en`, `de`, `es`, `fr`, `pt-BR`, `ja` and `ar` is taken; where none is close, the page asks the browser, and then it is English */
  locale?: string | undefined
  /** Seconds the link is good: up to four hours for one that you send to somebody. Whoever goes on to TikTok has ten minutes there all the same */
  expiresIn?: number | undefined
  /** consent: `authorize_url` shows the page with who gets access to what before TikTok, although you have told account type and age. In `callback` mode it always does */
  prompt?: 'consent' | undefined
  /** Whose page it is, where that is not what the environment says */
  branding?: SessionBranding | undefined
}

/** A connect session, and where to send the browser */
export type CreatedConnectSession = {
  /** `cs_…` */
  id: string
  /** Nobody has come yet */
  status: 'pending'
  /** Send the browser here */
  authorizeUrl: string
  /** Or here: our own page */
  connectUrl: string
  /** When the link ends */
  expiresAt: string
}

/** The account is disconnected, and how its revocation at TikTok stands */
export type Disconnected = {
  /** The account */
  id: string
  /** From now on no token leaves */
  status: 'disconnected'
  /** `pending` is retried in the background */
  revocation: 'confirmed' | 'already_gone' | 'pending'
}

/** What was erased */
export type ErasedOwner = {
  /** Whose everything it was */
  ownerId: string
  /** `unfinished`: repeat the call to go on */
  status: 'erased' | 'unfinished'
  /** By this call */
  accountsDisconnected: number
  revocations: Revocations
}

/** A page of events */
export type EventPage = {
  /** Oldest first */
  events: (ServiceEvent)[]
  /** Never null: ask again with it as `after`, at once after a full page, after a while when the page was empty */
  nextCursor: string
}

/** One place of a request that does not fit; it has one of pointer, parameter and header */
export type FieldError = {
  /** Where in the body, as a JSON pointer; empty for all of it */
  pointer?: string | undefined
  /** Which parameter of the path or the query; empty for all of the query */
  parameter?: string | undefined
  /** Which header */
  header?: string | undefined
  /** What is wanted there */
  detail: string
}

/** How the service is */
export type Health = {
  /** Whether it may be given work */
  status: 'ok' | 'unavailable'
  checks: HealthChecks
  /** Token answers that wait for the database; not 0 means not ready */
  unsavedTokens: number
}

/** Each part by itself */
export type HealthChecks = {
  /** Whether it answers */
  database: 'ok' | 'unavailable'
  /** Whether the vault keys fit the database */
  keyring: 'ok' | 'mismatch' | 'unknown'
  /** Whether the database is as this release needs it */
  migrations: 'ok' | 'pending' | 'unknown'
  /** Whether the database is where the journals left it */
  journal: 'ok' | 'database_rewound' | 'unknown'
}

/** A reason, and who can mend it */
export type HealthReason = {
  /** What it is. More may come: leave alone what you do not know */
  code: 'tiktok_unavailable' | 'client_refused' | 'refresh_token_rejected' | 'credential_unreadable' | 'foreign_open_id' | 'refresh_outcome_unknown' | 'refresh_token_expired' | 'removed_by_user' | 'tiktok_account_deleted' | 'age_changed' | 'tiktok_account_banned' | 'required_scope_removed' | 'disconnected_by_owner' | 'disconnected_by_operator' | 'refresh_token_expires' | 'scope_not_granted' | (string & {})
  mendedBy: MendedBy
}

/** The new label */
export type LabelAccount = {
  /** What the owner calls the account; null takes the label away */
  label: string | null
}

/** It is alive */
export type Liveness = {
  /** The only answer of a process that lives */
  status: 'ok'
}

/** Who can mend it: `caller` by changing the request, `user` by connecting again, `time` by waiting, `operator` by hand */
export type MendedBy = 'caller' | 'user' | 'time' | 'operator'

/** What TikTok tells, as it is: the signature is over its bytes */
export type Notice = unknown

/** The notice was kept */
export type NoticeTaken = Record<string, unknown>

/** What an owner may connect, and has */
export type Owner = {
  /** The caller's own id of the person or team */
  ownerId: string
  /** null when the tier service states a limit and no tier */
  tier: string | null
  /** How many accounts the owner may connect */
  accountLimit: number
  /** How many there are */
  accountsConnected: number
  /** 0 too when a lowered tier left more connected than it allows: they stay */
  accountsAvailable: number
}

/** A failure (RFC 9457): what it is, what to do next, and who can mend it */
export type Problem = {
  /** Names the kind of failure, and explains it: `PUBLIC_URL/docs/problems#CODE` */
  type: string
  /** What kind of failure it is, in words; the same for every one of them */
  title: string
  /** The status of the answer */
  status: number
  /** What to do next, for a person */
  detail: string
  /** Branch on this. Each answer lists its own; more may come, so fall back on `mended_by` */
  code: 'validation_failed' | 'invalid_json' | 'return_url_not_allowed' | 'idempotency_key_required' | 'state_missing' | 'state_invalid' | 'state_expired' | 'browser_mismatch' | 'session_invalid' | 'unauthenticated' | 'invalid_signature' | 'insufficient_scope' | 'owner_mismatch' | 'confirm_invalid' | 'route_not_found' | 'account_not_found' | 'avatar_not_found' | 'connect_session_not_found' | 'method_not_allowed' | 'upload_not_found' | 'owner_not_found' | 'reauthorization_required' | 'account_limit_reached' | 'account_already_connected' | 'account_mismatch' | 'session_failed' | 'session_not_ready' | 'upload_released' | 'upload_expired' | 'upload_committed' | 'account_disconnected' | 'session_expired' | 'payload_too_large' | 'unsupported_media_type' | 'account_type_not_supported' | 'age_not_confirmed' | 'scope_not_granted' | 'idempotency_key_reused' | 'rate_limited' | 'upload_quota_exhausted' | 'internal_error' | 'credential_unreadable' | 'tiktok_rejected' | 'tiktok_unavailable' | 'refresh_in_progress' | 'storage_unavailable' | 'overloaded' | 'keyring_mismatch' | 'database_rewound'
  mendedBy: MendedBy
  /** As in `x-request-id` */
  requestId: string
  /** With 429 and 503: seconds to wait, as in `Retry-After` */
  retryAfter?: number | undefined
  /** With what failed a connect session: its id */
  connectSession?: string | undefined
  /** With `session_failed`: why, as a code of ours or an OAuth error of TikTok */
  error?: string | undefined
  /** With `reauthorization_required`: the account's `status_reason` */
  statusReason?: string | undefined
  /** With 400: each place that does not fit */
  errors?: (FieldError)[] | undefined
  /** With `upload_quota_exhausted`: when the next slot is free */
  nextSlotAt?: string | null | undefined
}

/** Which token TikTok refused */
export type RejectedToken = {
  /** `generation` of the token that TikTok refused */
  generation: number
}

/** Why nothing was uploaded */
export type ReleaseUpload = {
  /** The error code TikTok refused with; some close the account for uploads for a while */
  tiktokError?: string | undefined
}

/** What is reserved */
export type ReserveUpload = {
  /** How long the upload may take; then the slot is free again */
  ttlSeconds?: number | undefined
  /** The same as the header `Idempotency-Key`, for clients that send no headers; one of the two is needed */
  idempotencyKey?: string | undefined
}

/** What became of the grants at TikTok */
export type Revocations = {
  /** TikTok has confirmed */
  confirmed: number
  /** There was nothing left to revoke */
  alreadyGone: number
  /** Not confirmed by TikTok yet, of earlier calls too; retried in the background */
  pending: number
}

/** One of the events, by its `type`. More types may come: leave alone what you do not know */
export type ServiceEvent = AccountConnectedEvent | AccountReconnectedEvent | AccountReauthorizationRequiredEvent | AccountRecoveredEvent | AccountExpiringEvent | AccountDisconnectedEvent | UploadQuotaExhaustedEvent | ConnectSessionFailedEvent

/** Whose page it is, for a service that several products share. What is absent is as the environment says; with a `name` of its own and no `logo` there is none */
export type SessionBranding = {
  /** As APP_NAME */
  name?: string | undefined
  /** One of the files in APP_LOGO, by its name without the ending */
  logo?: string | undefined
  /** As BRAND_COLOR; where it could not be read it is darkened or lightened */
  color?: string | undefined
  /** As PRIVACY_URL */
  privacyUrl?: string | undefined
  /** As TERMS_URL */
  termsUrl?: string | undefined
  /** As SUPPORT_URL */
  supportUrl?: string | undefined
}

/** The new tier */
export type SetTier = {
  /** One of TIER_LIMITS */
  tier: string
}

/** What happened to an account */
export type Timeline = {
  /** Newest first */
  entries: (TimelineEntry)[]
  /** `cursor` of the next page; null on the last one */
  nextCursor: string | null
}

/** Something that happened to an account */
export type TimelineEntry = {
  /** When */
  at: string
  /**
   * What. More may come: leave alone what you do not know.
   *
   * - `connected`: the account was connected
   * - `reconnected`: the person connected it again
   * - `reconnect_started`: the owner began to connect it again on the hosted page
   * - `label_changed`: its label was changed
   * - `refreshed`: a new token set was stored; code `scopes_changed` or `required_scope_removed` when the scopes differ
   * - `access_token_refused`: TikTok did not take the access token of this generation, which is not handed out again
   * - `refresh_failed`: nothing was spent, and it will be tried again; the code says why
   * - `refresh_ambiguous`: TikTok's answer did not arrive or could not be understood; the code says why
   * - `refresh_abandoned`: the replica that was refreshing it went silent; code `lease_ran_out`
   * - `refresh_rejected`: TikTok refused the refresh token, which is not believed at once; code `invalid_grant`
   * - `reauthorization_required`: only the person can help; the code is the status_reason
   * - `restored`: the database had gone back to an earlier moment, and the journal brought this generation home
   * - `recovered`: it is active again; the code is the status_reason it had
   * - `expiring`: its refresh token ends soon; code `refresh_token_expires`
   * - `tiktok_notice`: TikTok told something about it; the code is TikTok's event
   * - `disconnected`: it was disconnected; the code is the status_reason
   * - `grant_revoked`: the grant has ended at TikTok; code `confirmed`, `already_gone` or, after ten days, `given_up`
   * - `revocation_dropped`: a revocation that was waiting would have ended a newer grant; code `connected_anew`
   * - `upload_committed`: an upload was committed; the code is TikTok's publish_id
   * - `upload_committed_late`: an upload was committed after its slot had ended; the code is TikTok's publish_id
   * - `uploads_closed`: TikTok takes no uploads for a while; the code is TikTok's error
   */
  kind: 'connected' | 'reconnected' | 'reconnect_started' | 'label_changed' | 'refreshed' | 'access_token_refused' | 'refresh_failed' | 'refresh_ambiguous' | 'refresh_abandoned' | 'refresh_rejected' | 'reauthorization_required' | 'restored' | 'recovered' | 'expiring' | 'tiktok_notice' | 'disconnected' | 'grant_revoked' | 'revocation_dropped' | 'upload_committed' | 'upload_committed_late' | 'uploads_closed' | (string & {})
  /** Why or what, as the kind says */
  code: string | null
  /** Of the token set it was about */
  generation: number | null
  /** A key id, or `service`, `tiktok`, `owner` */
  actor: string
  /** Through which link it was done; null: through none */
  via: Via | null
}

/** The token of an account */
export type TokenGranted = {
  /** The account that was asked about */
  accountId: string
  /** There is a token */
  outcome: 'token'
  token: VendedToken
}

/** The token of an account, or why it has none */
export type TokenOutcome = TokenGranted | TokenRefused

/** Why an account has no token now */
export type TokenRefused = {
  /** The account that was asked about */
  accountId: string
  /** There is none */
  outcome: 'problem'
  problem: Problem
}

/** About the token, never the token */
export type TokenState = {
  /** Counts the token sets of this account */
  generation: number
  /** When the access token ends */
  expiresAt: string
  /** When the refresh token ends; null when TikTok named no end */
  refreshExpiresAt: string | null
  /** When this token set came */
  refreshedAt: string
}

/** An upload and its slot */
export type Upload = {
  /** `upl_…` */
  id: string
  /** The account it is for */
  accountId: string
  /** How it stands */
  status: 'reserved' | 'committed' | 'released' | 'expired'
  /** When the slot was taken */
  reservedAt: string
  /** Commit or release before this; afterwards the slot is given to others */
  expiresAt: string
  /** When it was said that TikTok has the video */
  committedAt: string | null
  /** Committed after its expiry: it counts, even past the limit */
  late: boolean
  /** What TikTok calls the upload */
  publishId: string | null
  /** When the slot was given back */
  releasedAt: string | null
  /** What TikTok refused with */
  tiktokError: string | null
  uploadQuota: UploadQuota
}

/** What is in the way of an upload, and who can mend it */
export type UploadBlocker = {
  /** What it is. More may come: leave alone what you do not know */
  code: 'reauthorization_required' | 'refresh_token_expired' | 'scope_not_granted' | 'upload_quota_exhausted' | 'tiktok_unavailable' | 'client_refused' | 'refresh_token_rejected' | 'credential_unreadable' | 'foreign_open_id' | (string & {})
  mendedBy: MendedBy
  /** When waiting may have fixed it; null: waiting alone does not help */
  retryAt: string | null
}

/** A page of uploads */
export type UploadPage = {
  /** Newest first */
  uploads: (Upload)[]
  /** `cursor` of the next page; null on the last one */
  nextCursor: string | null
}

/** How many upload slots are left */
export type UploadQuota = {
  /** Uploads in any 24 hours */
  limit: number
  /** Committed in the last 24 hours */
  used: number
  /** Reserved and neither committed, released nor expired */
  reserved: number
  /** Slots that are free now */
  remaining: number
  /** How long a slot stays used */
  windowSeconds: number
  /** When the next slot is free; null while one is */
  nextSlotAt: string | null
  /** Only while TikTok's own refusal overrides our count: its error code. More may come: leave alone what you do not know */
  closedBy?: 'spam_risk_too_many_posts' | 'spam_risk_too_many_pending_share' | 'spam_risk_user_banned_from_posting' | 'reached_active_user_cap' | (string & {}) | undefined
}

/** Every upload slot of an account is taken */
export type UploadQuotaExhaustedEvent = {
  /** `evt_…`; the same over all deliveries of this event */
  id: string
  /** What happened */
  type: 'upload_quota.exhausted'
  /** When it happened */
  occurredAt: string
  data: UploadQuotaExhaustedEventData
}

/** Every upload slot of an account is taken */
export type UploadQuotaExhaustedEventData = {
  /** The account, `acc_…` */
  accountId: string
  /** The caller's own id of the person or team that it belongs to */
  ownerId: string
  /** When the next slot is free; null when nobody knows */
  nextSlotAt: string | null
}

/** Whether an upload can begin, and what is in its way */
export type UploadReadiness = {
  /** Whether nothing is in the way */
  ready: boolean
  /** What is in the way; empty when ready */
  blockers: (UploadBlocker)[]
  /** Until when access tokens are available without the person; null: there is no token, or TikTok named no end */
  tokenValidUntil: string | null
  /** As it will be at that time if nobody reserves in between; what is reserved now counts as uploaded */
  uploadQuota: UploadQuota
}

/** Whose tokens are wanted */
export type VendManyTokens = {
  /** Whose tokens, 50 at most. One that is named twice is read and counted once */
  accountIds: (string)[]
  /** Seconds the token has to be good for, clamped to half of the token's life */
  minTtl?: number | undefined
}

/** An access token */
export type VendedToken = {
  /** For the Authorization header of calls to TikTok; never keep it in a log */
  accessToken: string
  /** How it is sent */
  tokenType: 'Bearer'
  /** When it ends */
  expiresAt: string
  /** Whole seconds left, by the clock of the database */
  expiresIn: number
  /** What it may do at TikTok */
  scopes: (string)[]
  /** The person at TikTok, for this app */
  openId: string
  /** Name it in `token/rejected` when TikTok refuses this token */
  generation: number
  /** TikTok could not be reached for a refresh: this token has less time left than was asked for */
  degraded?: true | undefined
}

/** A token or a problem for each account */
export type VendedTokens = {
  /** One for each id, in their order */
  tokens: (TokenOutcome)[]
}

/** Through which link something was done */
export type Via = {
  /** The connect session of the link */
  connectSession: string
  /** The API key that made it */
  keyId: string
}

export interface Operations {
  /** Open a connect session */
  openConnectSession: {
    path: Nothing
    query: Nothing
    body: CreateConnectSession
    answer: CreatedConnectSession
  }
  /** List connect sessions, newest first */
  listConnectSessions: {
    path: Nothing
    query: {
      /** The caller's own id of a person or team, compared as it is sent: no case is folded and no Unicode form changed. Percent-encoded in a path or query, `+` and `/` too */
      ownerId?: string
      /** How many on a page, from 1 to 200 */
      limit?: number
      /** `next_cursor` of the page before, as it was given */
      cursor?: string
    }
    body: Nothing
    answer: ConnectSessionPage
  }
  /** See how a connect session stands */
  getConnectSession: {
    path: {
      /** The connect session, `cs_…` */
      sessionId: string
    }
    query: {
      /** Seconds to wait for a change, from 0 to 25 */
      wait?: number
    }
    body: Nothing
    answer: ConnectSession
  }
  /** Finish a connect session */
  completeConnectSession: {
    path: {
      /** The connect session, `cs_…` */
      sessionId: string
    }
    query: Nothing
    body: CompleteConnectSession
    answer: Account
  }
  /** List accounts, oldest first */
  listAccounts: {
    path: Nothing
    query: {
      /** The caller's own id of a person or team, compared as it is sent: no case is folded and no Unicode form changed. Percent-encoded in a path or query, `+` and `/` too */
      ownerId?: string
      /** One of these, or several with commas between them */
      status?: ('active' | 'reauthorization_required' | 'disconnected')[]
      /** How many on a page, from 1 to 200 */
      limit?: number
      /** `next_cursor` of the page before, as it was given */
      cursor?: string
    }
    body: Nothing
    answer: AccountPage
  }
  /** Read an account */
  getAccount: {
    path: {
      /** The account, `acc_…` */
      accountId: string
    }
    query: Nothing
    body: Nothing
    answer: Account
  }
  /** Label an account */
  labelAccount: {
    path: {
      /** The account, `acc_…` */
      accountId: string
    }
    query: Nothing
    body: LabelAccount
    answer: Account
  }
  /** Disconnect an account */
  disconnectAccount: {
    path: {
      /** The account, `acc_…` */
      accountId: string
    }
    query: Nothing
    body: Nothing
    answer: Disconnected
  }
  /** Ask TikTok now */
  verifyAccount: {
    path: {
      /** The account, `acc_…` */
      accountId: string
    }
    query: Nothing
    body: Nothing
    answer: Account
  }
  /** How an account is doing */
  getAccountHealth: {
    path: {
      /** The account, `acc_…` */
      accountId: string
    }
    query: Nothing
    body: Nothing
    answer: AccountHealth
  }
  /** The picture of an account */
  getAccountAvatar: {
    path: {
      /** The account, `acc_…` */
      accountId: string
    }
    query: Nothing
    body: Nothing
    answer: Uint8Array
  }
  /** Why an account is in its state, newest first */
  getAccountTimeline: {
    path: {
      /** The account, `acc_…` */
      accountId: string
    }
    query: {
      /** How many on a page, from 1 to 200 */
      limit?: number
      /** `next_cursor` of the page before, as it was given */
      cursor?: string
    }
    body: Nothing
    answer: Timeline
  }
  /** How many accounts an owner may connect, and has */
  getOwner: {
    path: {
      /** The caller's own id of a person or team, compared as it is sent: no case is folded and no Unicode form changed. Percent-encoded in a path or query, `+` and `/` too */
      ownerId: string
    }
    query: Nothing
    body: Nothing
    answer: Owner
  }
  /** Set an owner's tier */
  setOwnerTier: {
    path: {
      /** The caller's own id of a person or team, compared as it is sent: no case is folded and no Unicode form changed. Percent-encoded in a path or query, `+` and `/` too */
      ownerId: string
    }
    query: Nothing
    body: SetTier
    answer: Owner
  }
  /** Disconnect and erase everything of an owner */
  eraseOwner: {
    path: {
      /** The caller's own id of a person or team, compared as it is sent: no case is folded and no Unicode form changed. Percent-encoded in a path or query, `+` and `/` too */
      ownerId: string
    }
    query: Nothing
    body: Nothing
    answer: ErasedOwner
  }
  /** Hand out a valid access token */
  getAccessToken: {
    path: {
      /** The account, `acc_…` */
      accountId: string
    }
    query: {
      /** Seconds the token has to be good for, clamped to half of the token's life, from 0 to 999999 */
      minTtl?: number
    }
    body: Nothing
    answer: VendedToken
  }
  /** Hand out valid access tokens for several accounts */
  getAccessTokens: {
    path: Nothing
    query: Nothing
    body: VendManyTokens
    answer: VendedTokens
  }
  /** Say that TikTok refused a token, and get another */
  replaceRejectedToken: {
    path: {
      /** The account, `acc_…` */
      accountId: string
    }
    query: Nothing
    body: RejectedToken
    answer: VendedToken
  }
  /** How many uploads are left */
  getUploadQuota: {
    path: {
      /** The account, `acc_…` */
      accountId: string
    }
    query: Nothing
    body: Nothing
    answer: UploadQuota
  }
  /** Can this account take an upload, or several, now or later? */
  getUploadReadiness: {
    path: {
      /** The account, `acc_…` */
      accountId: string
    }
    query: {
      /** How many uploads, from 1 to 9999 */
      count?: number
      /** When; now if not given, or if it has passed */
      at?: string
    }
    body: Nothing
    answer: UploadReadiness
  }
  /** Reserve an upload slot */
  reserveUpload: {
    path: {
      /** The account, `acc_…` */
      accountId: string
    }
    query: Nothing
    body: ReserveUpload
    answer: Upload
  }
  /** List the uploads of an account, newest first */
  listUploads: {
    path: {
      /** The account, `acc_…` */
      accountId: string
    }
    query: {
      /** One of these, or several with commas between them */
      status?: ('reserved' | 'committed' | 'released' | 'expired')[]
      /** How many on a page, from 1 to 200 */
      limit?: number
      /** `next_cursor` of the page before, as it was given */
      cursor?: string
    }
    body: Nothing
    answer: UploadPage
  }
  /** Read an upload */
  getUpload: {
    path: {
      /** The account, `acc_…` */
      accountId: string
      /** The upload, `upl_…` */
      uploadId: string
    }
    query: Nothing
    body: Nothing
    answer: Upload
  }
  /** Say that TikTok has the video */
  commitUpload: {
    path: {
      /** The account, `acc_…` */
      accountId: string
      /** The upload, `upl_…` */
      uploadId: string
    }
    query: Nothing
    body: CommitUpload
    answer: Upload
  }
  /** Give a slot back */
  releaseUpload: {
    path: {
      /** The account, `acc_…` */
      accountId: string
      /** The upload, `upl_…` */
      uploadId: string
    }
    query: Nothing
    body: ReleaseUpload
    answer: Upload
  }
  /** What happened, oldest first */
  listEvents: {
    path: Nothing
    query: {
      /** `next_cursor` of the page before; without it from the oldest event there is. `latest`: no events, and the cursor of now */
      after?: string
      /** How many on a page, from 1 to 200 */
      limit?: number
      /** Only what happened to this account */
      accountId?: string
      /** Only what happened to accounts and connect sessions of this owner */
      ownerId?: string
      /** One of these, or several with commas between them */
      type?: ('account.connected' | 'account.reconnected' | 'account.reauthorization_required' | 'account.recovered' | 'account.expiring' | 'account.disconnected' | 'upload_quota.exhausted' | 'connect_session.failed')[]
    }
    body: Nothing
    answer: EventPage
  }
  /** Who did what, oldest first */
  listAudit: {
    path: Nothing
    query: {
      /** `next_cursor` of the page before; without it from the oldest row there is */
      after?: string
      /** How many on a page, from 1 to 1000 */
      limit?: number
    }
    body: Nothing
    answer: AuditPage
  }
}

export const routes = {
  openConnectSession: 'POST /connect-sessions',
  listConnectSessions: 'GET /connect-sessions',
  getConnectSession: 'GET /connect-sessions/{session_id}',
  completeConnectSession: 'POST /connect-sessions/{session_id}/complete',
  listAccounts: 'GET /accounts',
  getAccount: 'GET /accounts/{account_id}',
  labelAccount: 'PATCH /accounts/{account_id}',
  disconnectAccount: 'DELETE /accounts/{account_id}',
  verifyAccount: 'POST /accounts/{account_id}/verify',
  getAccountHealth: 'GET /accounts/{account_id}/health',
  getAccountAvatar: 'GET /accounts/{account_id}/avatar',
  getAccountTimeline: 'GET /accounts/{account_id}/timeline',
  getOwner: 'GET /owners/{owner_id}',
  setOwnerTier: 'PUT /owners/{owner_id}',
  eraseOwner: 'DELETE /owners/{owner_id}',
  getAccessToken: 'GET /accounts/{account_id}/token',
  getAccessTokens: 'POST /tokens',
  replaceRejectedToken: 'POST /accounts/{account_id}/token/rejected',
  getUploadQuota: 'GET /accounts/{account_id}/quota',
  getUploadReadiness: 'GET /accounts/{account_id}/readiness',
  reserveUpload: 'POST /accounts/{account_id}/uploads',
  listUploads: 'GET /accounts/{account_id}/uploads',
  getUpload: 'GET /accounts/{account_id}/uploads/{upload_id}',
  commitUpload: 'POST /accounts/{account_id}/uploads/{upload_id}/commit',
  releaseUpload: 'POST /accounts/{account_id}/uploads/{upload_id}/release',
  listEvents: 'GET /events',
  listAudit: 'GET /audit',
} as const satisfies Record<keyof Operations, string>
