// Made from openapi/openapi.json by `npm run docs`: do not edit.

/** No such part in the request. */
export type Nothing = undefined

export type Account = {
  id: string
  /** `(erased)` on the tombstones of an owner who was erased */
  ownerId: string
  /** The person at TikTok, for this app; null once disconnected */
  openId: string | null
  label: string | null
  status: 'active' | 'reauthorization_required' | 'disconnected'
  statusReason: 'refresh_token_rejected' | 'refresh_outcome_unknown' | 'refresh_token_expired' | 'removed_by_user' | 'tiktok_account_deleted' | 'age_changed' | 'tiktok_account_banned' | 'required_scope_removed' | 'disconnected_by_owner' | 'disconnected_by_operator' | null
  profile: {
    /** The @handle; null without user.info.profile */
    username: string | null
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
  accountType: {
    value: 'creator' | 'business'
    /** The person says so; TikTok tells this app neither type nor age */
    source: 'self_attested'
    attestedAt: string
    /** The version of the sentence they agreed to */
    wording: string
  }
  ageConfirmedAt: string
  scopes: (string)[]
  missingScopes: (string)[]
  /** About the token, never the token; null once disconnected */
  token: {
    generation: number
    expiresAt: string
    refreshExpiresAt: string | null
    refreshedAt: string
  } | null
  health: AccountHealth
  uploadQuota: UploadQuota
  connectedAt: string
  disconnectedAt: string | null
}

export type AccountHealth = {
  verdict: 'healthy' | 'expiring' | 'degraded' | 'reauthorization_required' | 'disconnected'
  reasons: ({
    code: string
    mendedBy: 'caller' | 'user' | 'time' | 'operator'
  })[]
  /** When the refresh token expires: the person has to connect again before that */
  reauthorizeBy: string | null
  /** The time of this read, by the database's clock; the verdict is made from what is recorded. `refreshed_at` of the token and `fetched_at` of the profile say when TikTok was last asked; `verify` asks it now */
  checkedAt: string
}

export type AccountPage = {
  accounts: (Account)[]
  nextCursor: string | null
}

export type AuditPage = {
  entries: ({
    at: string
    /** `token_handed_out`, a kind of the timeline, or what an operator did */
    action: string
    /** A key id, `jwt:SUBJECT`, `service`, `tiktok`, `owner` or `operator` */
    actor: string
    /** The account, connect session, API key or vault key, or an owner by its hash */
    object: string
    code: string | null
    generation: number | null
    degraded: boolean | null
    via: {
      connectSession: string
      keyId: string
    } | null
    requestId: string | null
  })[]
  /** Never null: ask again with it as `after`, at once after a full page */
  nextCursor: string
}

export type CommitUpload = {
  /** What TikTok called the upload, for the account's timeline */
  publishId?: string | undefined
}

export type CompleteConnectSession = {
  /** The caller's own id of a person or team, compared as it is sent: no case is folded and no Unicode form changed. Percent-encoded in a path or query, `+` and `/` too */
  ownerId: string
  confirm: string
}

export type ConnectSession = {
  id: string
  ownerId: string
  status: 'pending' | 'authorizing' | 'awaiting_completion' | 'completed' | 'failed' | 'expired'
  accountId: string | null
  /** A code of this service, or an OAuth error of TikTok such as `access_denied` */
  error: string | null
  expiresAt: string
}

export type CreateConnectSession = {
  /** The caller's own id of a person or team, compared as it is sent: no case is folded and no Unicode form changed. Percent-encoded in a path or query, `+` and `/` too */
  ownerId: string
  /** Where the browser goes afterwards; origin and path as in ALLOWED_RETURN_URLS */
  returnUrl: string
  /** `creator` or `business`; asked for on the connect page when missing */
  accountType?: string | undefined
  /** The person confirmed being 18 or older; asked for on the connect page when missing */
  ageConfirmed?: boolean | undefined
  label?: string | undefined
  /** Sets the owner's tier; needs the scope `owners:write` too */
  tier?: string | undefined
  /** Only this account may come back. Without `account_type` and `age_confirmed` nobody is asked again, and what was attested for it stands */
  reconnectAccountId?: string | undefined
  /** confirm: your backend finishes with `complete`, so that a link sent to somebody else connects nothing */
  completion?: 'confirm' | 'callback' | undefined
}

export type CreatedConnectSession = {
  id: string
  status: 'pending'
  /** Send the browser here */
  authorizeUrl: string
  /** Or here: our own page */
  connectUrl: string
  expiresAt: string
}

export type Disconnected = {
  id: string
  status: 'disconnected'
  /** `pending` is retried in the background */
  revocation: 'confirmed' | 'already_gone' | 'pending'
}

export type ErasedOwner = {
  ownerId: string
  /** `unfinished`: repeat the call to go on */
  status: 'erased' | 'unfinished'
  /** By this call */
  accountsDisconnected: number
  revocations: {
    confirmed: number
    alreadyGone: number
    /** Not confirmed by TikTok yet, of earlier calls too; retried in the background */
    pending: number
  }
}

export type EventPage = {
  events: (ServiceEvent)[]
  /** Never null: ask again with it as `after`, at once after a full page, after a while when the page was empty */
  nextCursor: string
}

export type Health = {
  status: 'ok' | 'unavailable'
  checks: {
    database: 'ok' | 'unavailable'
    keyring: 'ok' | 'mismatch' | 'unknown'
    migrations: 'ok' | 'pending' | 'unknown'
    /** Whether the database is where the journals left it */
    journal: 'ok' | 'database_rewound' | 'unknown'
  }
  /** Token answers that wait for the database; not 0 means not ready */
  unsavedTokens: number
}

export type LabelAccount = {
  label: string | null
}

export type NoticeTaken = Record<string, unknown>

export type Owner = {
  ownerId: string
  /** null when the tier service states a limit and no tier */
  tier: string | null
  accountLimit: number
  accountsConnected: number
  /** 0 too when a lowered tier left more connected than it allows: they stay */
  accountsAvailable: number
}

export type Problem = {
  /** Names the kind of failure, and explains it: `PUBLIC_URL/docs/problems#CODE` */
  type: string
  title: string
  status: number
  /** What to do next, for a person */
  detail: string
  code: 'validation_failed' | 'invalid_json' | 'return_url_not_allowed' | 'idempotency_key_required' | 'state_missing' | 'state_invalid' | 'state_expired' | 'browser_mismatch' | 'session_invalid' | 'unauthenticated' | 'invalid_signature' | 'insufficient_scope' | 'owner_mismatch' | 'confirm_invalid' | 'route_not_found' | 'account_not_found' | 'connect_session_not_found' | 'upload_not_found' | 'owner_not_found' | 'reauthorization_required' | 'account_limit_reached' | 'account_already_connected' | 'account_mismatch' | 'session_not_ready' | 'upload_released' | 'upload_expired' | 'upload_committed' | 'account_disconnected' | 'session_expired' | 'payload_too_large' | 'unsupported_media_type' | 'account_type_not_supported' | 'age_not_confirmed' | 'scope_not_granted' | 'idempotency_key_reused' | 'rate_limited' | 'upload_quota_exhausted' | 'internal_error' | 'credential_unreadable' | 'tiktok_rejected' | 'tiktok_unavailable' | 'refresh_in_progress' | 'storage_unavailable' | 'overloaded' | 'keyring_mismatch' | 'database_rewound'
  mendedBy: 'caller' | 'user' | 'time' | 'operator'
  requestId: string
  /** With 429 and 503: seconds to wait, as in `Retry-After` */
  retryAfter?: number | undefined
  /** With what failed a connect session: its id */
  connectSession?: string | undefined
  /** With `reauthorization_required`: the account's status_reason */
  statusReason?: string | undefined
  /** With `upload_quota_exhausted`: when the next slot is free */
  nextSlotAt?: string | null | undefined
}

export type RejectedToken = {
  generation: number
}

export type ReleaseUpload = {
  /** The error code TikTok refused with; some close the account for uploads for a while */
  tiktokError?: string | undefined
}

export type ReserveUpload = {
  /** How long the upload may take; then the slot is free again */
  ttlSeconds?: number | undefined
}

export type ServiceEvent = {
  /** `evt_…`; the same over all deliveries of this event */
  id: string
  /** More may come: leave alone what you do not know */
  type: 'account.connected' | 'account.reconnected' | 'account.reauthorization_required' | 'account.recovered' | 'account.expiring' | 'account.disconnected' | 'upload_quota.exhausted' | 'connect_session.failed' | (string & {})
  occurredAt: string
  data: Record<string, unknown>
}

export type SetTier = {
  /** One of TIER_LIMITS */
  tier: string
}

export type Timeline = {
  entries: ({
    at: string
    /**
     * More may come: leave alone what you do not know.
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
    generation: number | null
    /** A key id, or `service`, `tiktok`, `owner` */
    actor: string
    /** What was done through a link: its connect session, and the key that made it */
    via: {
      connectSession: string
      keyId: string
    } | null
  })[]
  nextCursor: string | null
}

export type TokenGranted = {
  accountId: string
  outcome: 'token'
  token: VendedToken
}

export type TokenRefused = {
  accountId: string
  outcome: 'problem'
  problem: Problem
}

export type Upload = {
  id: string
  accountId: string
  status: 'reserved' | 'committed' | 'released' | 'expired'
  reservedAt: string
  /** Commit or release before this; afterwards the slot is given to others */
  expiresAt: string
  committedAt: string | null
  /** Committed after its expiry: it counts, even past the limit */
  late: boolean
  publishId: string | null
  releasedAt: string | null
  tiktokError: string | null
  uploadQuota: UploadQuota
}

export type UploadPage = {
  uploads: (Upload)[]
  nextCursor: string | null
}

export type UploadQuota = {
  limit: number
  /** Committed in the last 24 hours */
  used: number
  /** Reserved and neither committed, released nor expired */
  reserved: number
  remaining: number
  windowSeconds: number
  /** When the next slot is free; null while one is */
  nextSlotAt: string | null
  /** Only while TikTok's own refusal overrides our count: its error code */
  closedBy?: string | undefined
}

export type UploadReadiness = {
  ready: boolean
  blockers: ({
    code: 'reauthorization_required' | 'refresh_token_expired' | 'scope_not_granted' | 'upload_quota_exhausted' | 'tiktok_unavailable' | 'client_refused' | 'refresh_token_rejected' | 'credential_unreadable' | 'foreign_open_id'
    mendedBy: 'caller' | 'user' | 'time' | 'operator'
    /** When waiting may have fixed it; null: waiting alone does not help */
    retryAt: string | null
  })[]
  /** Until when access tokens are available without the person; null: there is no token, or TikTok named no end */
  tokenValidUntil: string | null
  /** As it will be at that time if nobody reserves in between; what is reserved now counts as uploaded */
  uploadQuota: UploadQuota
}

export type VendManyTokens = {
  /** Whose tokens, 50 at most. One that is named twice is read and counted once */
  accountIds: (string)[]
  /** Seconds the token has to be good for, clamped to half of the token's life */
  minTtl?: number | undefined
}

export type VendedToken = {
  accessToken: string
  tokenType: 'Bearer'
  expiresAt: string
  /** Whole seconds left, by the clock of the database */
  expiresIn: number
  scopes: (string)[]
  openId: string
  /** Name it in `token/rejected` when TikTok refuses this token */
  generation: number
  /** TikTok could not be reached for a refresh: this token has less time left than was asked for */
  degraded?: true | undefined
}

export type VendedTokens = {
  /** One for each id, in their order */
  tokens: (TokenGranted | TokenRefused)[]
}

export interface Operations {
  /** Open a connect session */
  openConnectSession: {
    path: Nothing
    query: Nothing
    body: CreateConnectSession
    answer: CreatedConnectSession
  }
  /** See how a connect session stands */
  getConnectSession: {
    path: {
      sessionId: string
    }
    query: Nothing
    body: Nothing
    answer: ConnectSession
  }
  /** Finish a connect session */
  completeConnectSession: {
    path: {
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
      accountId: string
    }
    query: Nothing
    body: Nothing
    answer: Account
  }
  /** Label an account */
  labelAccount: {
    path: {
      accountId: string
    }
    query: Nothing
    body: LabelAccount
    answer: Account
  }
  /** Disconnect an account */
  disconnectAccount: {
    path: {
      accountId: string
    }
    query: Nothing
    body: Nothing
    answer: Disconnected
  }
  /** Ask TikTok now */
  verifyAccount: {
    path: {
      accountId: string
    }
    query: Nothing
    body: Nothing
    answer: Account
  }
  /** How an account is doing */
  getAccountHealth: {
    path: {
      accountId: string
    }
    query: Nothing
    body: Nothing
    answer: AccountHealth
  }
  /** The picture of an account */
  getAccountAvatar: {
    path: {
      accountId: string
    }
    query: Nothing
    body: Nothing
    answer: Uint8Array
  }
  /** Why an account is in its state, newest first */
  getAccountTimeline: {
    path: {
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
      accountId: string
    }
    query: Nothing
    body: RejectedToken
    answer: VendedToken
  }
  /** How many uploads are left */
  getUploadQuota: {
    path: {
      accountId: string
    }
    query: Nothing
    body: Nothing
    answer: UploadQuota
  }
  /** Can this account take an upload, or several, now or later? */
  getUploadReadiness: {
    path: {
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
      accountId: string
    }
    query: Nothing
    body: ReserveUpload
    answer: Upload
  }
  /** List the uploads of an account, newest first */
  listUploads: {
    path: {
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
      accountId: string
      uploadId: string
    }
    query: Nothing
    body: Nothing
    answer: Upload
  }
  /** Say that TikTok has the video */
  commitUpload: {
    path: {
      accountId: string
      uploadId: string
    }
    query: Nothing
    body: CommitUpload
    answer: Upload
  }
  /** Give a slot back */
  releaseUpload: {
    path: {
      accountId: string
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
      /** From 1 to 1000 */
      limit?: string
    }
    body: Nothing
    answer: AuditPage
  }
}

export const routes = {
  openConnectSession: 'POST /connect-sessions',
  getConnectSession: 'GET /connect-sessions/{sessionId}',
  completeConnectSession: 'POST /connect-sessions/{sessionId}/complete',
  listAccounts: 'GET /accounts',
  getAccount: 'GET /accounts/{accountId}',
  labelAccount: 'PATCH /accounts/{accountId}',
  disconnectAccount: 'DELETE /accounts/{accountId}',
  verifyAccount: 'POST /accounts/{accountId}/verify',
  getAccountHealth: 'GET /accounts/{accountId}/health',
  getAccountAvatar: 'GET /accounts/{accountId}/avatar',
  getAccountTimeline: 'GET /accounts/{accountId}/timeline',
  getOwner: 'GET /owners/{ownerId}',
  setOwnerTier: 'PUT /owners/{ownerId}',
  eraseOwner: 'DELETE /owners/{ownerId}',
  getAccessToken: 'GET /accounts/{accountId}/token',
  getAccessTokens: 'POST /tokens',
  replaceRejectedToken: 'POST /accounts/{accountId}/token/rejected',
  getUploadQuota: 'GET /accounts/{accountId}/quota',
  getUploadReadiness: 'GET /accounts/{accountId}/readiness',
  reserveUpload: 'POST /accounts/{accountId}/uploads',
  listUploads: 'GET /accounts/{accountId}/uploads',
  getUpload: 'GET /accounts/{accountId}/uploads/{uploadId}',
  commitUpload: 'POST /accounts/{accountId}/uploads/{uploadId}/commit',
  releaseUpload: 'POST /accounts/{accountId}/uploads/{uploadId}/release',
  listEvents: 'GET /events',
  listAudit: 'GET /audit',
} as const satisfies Record<keyof Operations, string>
