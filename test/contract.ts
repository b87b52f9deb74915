// What callers rely on, written down once more and by hand: the code may add to it, and may not rename or drop any of it.

export const variables =
  `HOST PORT PUBLIC_URL DATABASE_URL DATABASE_TLS DATABASE_POOLER DATABASE_DIRECT_URL DATABASE_POOL_SIZE MIGRATE DATA_DIR TIKTOK_CLIENT_KEY TIKTOK_CLIENT_SECRET TIKTOK_CLIENT_SECRET_PREVIOUS
  TIKTOK_AUTH_BASE_URL TIKTOK_API_BASE_URL TIKTOK_SCOPES TIKTOK_REQUIRED_SCOPES TIKTOK_PKCE VAULT_KEYS VAULT_KEYS_FILE ALLOWED_RETURN_URLS TIER_LIMITS
  DEFAULT_TIER TIER_SERVICE_URL TIER_SERVICE_TOKEN UPLOAD_LIMIT_PER_DAY SPILL_DIR JOURNAL_DIR JOURNAL_COPY_DIR JOURNAL_HOURS REDIS_URL EVENT_WEBHOOKS TRUSTED_PROXIES RATE_LIMIT_PER_MINUTE
  SHUTDOWN_DELAY_SECONDS METRICS_TOKEN METRICS_PORT LOG_LEVEL`.split(/\s+/)

export const codes: Record<number, string[]> = {
  400: words(`validation_failed invalid_json return_url_not_allowed idempotency_key_required state_missing state_invalid state_expired
    browser_mismatch session_invalid`),
  401: words('unauthenticated invalid_signature'),
  403: words('insufficient_scope owner_mismatch confirm_invalid'),
  404: words('route_not_found account_not_found connect_session_not_found upload_not_found owner_not_found avatar_not_found'),
  405: words('method_not_allowed'),
  409: words(`reauthorization_required account_limit_reached account_already_connected account_mismatch session_not_ready session_failed upload_released
    upload_committed upload_expired`),
  410: words('account_disconnected session_expired'),
  413: words('payload_too_large'),
  415: words('unsupported_media_type'),
  422: words('account_type_not_supported age_not_confirmed scope_not_granted idempotency_key_reused'),
  429: words('rate_limited upload_quota_exhausted'),
  500: words('internal_error credential_unreadable'),
  502: words('tiktok_rejected'),
  503: words('tiktok_unavailable refresh_in_progress storage_unavailable overloaded keyring_mismatch database_rewound'),
}

export const routes = `
  POST /connect-sessions
  GET /connect-sessions/{}
  POST /connect-sessions/{}/complete
  GET /authorize
  GET /callback
  GET /connect
  GET /accounts
  GET /accounts/{}
  PATCH /accounts/{}
  DELETE /accounts/{}
  POST /accounts/{}/verify
  GET /accounts/{}/health
  GET /accounts/{}/avatar
  GET /accounts/{}/timeline
  GET /accounts/{}/token
  POST /accounts/{}/token/rejected
  GET /accounts/{}/quota
  GET /accounts/{}/readiness
  POST /accounts/{}/uploads
  GET /accounts/{}/uploads
  GET /accounts/{}/uploads/{}
  POST /accounts/{}/uploads/{}/commit
  POST /accounts/{}/uploads/{}/release
  GET /owners/{}
  PUT /owners/{}
  DELETE /owners/{}
  POST /webhooks/tiktok
  GET /events
  GET /health
  GET /health/live
  GET /health/ready
  GET /metrics`
  .trim()
  .split(/\n\s*/)

export const commands = ['migrate', 'keys create', 'keys list', 'keys revoke', 'vault keygen', 'vault reseal', 'simulator']

export const scripts = ['start', 'demo', 'test', 'check', 'cli', 'bench']

function words(text: string): string[] {
  return text.split(/\s+/)
}
