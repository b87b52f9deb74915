// Every way this service fails on purpose, one row per code: status, who can fix it, what it means and what to do next. The
// key is the wire code; it never changes meaning. What a page says to a person who meets it is in pages/languages.
import { z } from 'zod'

/** Who can fix a failure: `caller` by changing the request, `user` by connecting again, `time` by waiting, `operator` by hand. */
export const MendedBy = z
  .enum(['caller', 'user', 'time', 'operator'])
  .describe(
    'Who can mend it: `caller` by changing the request, `user` by connecting again, `time` by waiting, `operator` by hand',
  )
  .meta({ id: 'MendedBy' })
export type MendedBy = z.infer<typeof MendedBy>

export interface Failure {
  status: number
  mendedBy: MendedBy
  /** the same for every occurrence (RFC 9457 §3.1.3) */
  title: string
  /** the next step for the developer or program that got the code */
  remedy: string
}

export const failures = {
  validation_failed: {
    status: 400,
    mendedBy: 'caller',
    title: 'The request does not fit its schema',
    remedy: 'Read `detail`: it names the field and what is expected there. Fields that are not in the schema are refused.',
  },
  invalid_json: {
    status: 400,
    mendedBy: 'caller',
    title: 'The body is not JSON',
    remedy: 'Send one JSON object in UTF-8, without duplicate keys.',
  },
  return_url_not_allowed: {
    status: 400,
    mendedBy: 'caller',
    title: 'The return URL is not on the allow-list',
    remedy: 'Have its origin and path added to `ALLOWED_RETURN_URLS`, exactly as you send them. A query may be added.',
  },
  idempotency_key_required: {
    status: 400,
    mendedBy: 'caller',
    title: 'An Idempotency-Key header is needed',
    remedy: 'Send an `Idempotency-Key` header: one per intended upload, and the same one when you repeat the call.',
  },
  state_missing: {
    status: 400,
    mendedBy: 'user',
    title: 'The callback carries no state',
    remedy: 'Start again with a new connect session; TikTok sent the browser back without the `state` it was given.',
  },
  state_invalid: {
    status: 400,
    mendedBy: 'user',
    title: 'The state is unknown or already used',
    remedy: 'Start again with a new connect session. This service did not issue the `state`, or has deleted it.',
  },
  state_expired: {
    status: 400,
    mendedBy: 'user',
    title: 'The authorization request is too old',
    remedy: 'Start again with a new connect session and finish at TikTok within ten minutes.',
  },
  browser_mismatch: {
    status: 400,
    mendedBy: 'user',
    title: 'Another browser started this',
    remedy: 'Finish in the browser that started, with cookies allowed for this service.',
  },
  session_invalid: {
    status: 400,
    mendedBy: 'user',
    title: 'The connect link is not valid',
    remedy: 'Create a new connect session; each link works for one connect.',
  },
  unauthenticated: {
    status: 401,
    mendedBy: 'caller',
    title: 'No valid API key',
    remedy: 'Send `Authorization: Bearer KEY` with a live key. `cli keys list` shows live keys, `cli keys create` makes one.',
  },
  invalid_signature: {
    status: 401,
    mendedBy: 'caller',
    title: 'The signature does not verify',
    remedy: 'Only TikTok has a reason to call this route. It signs the raw body with the client secret of this app.',
  },
  insufficient_scope: {
    status: 403,
    mendedBy: 'operator',
    title: 'The API key lacks the scope',
    remedy: 'Use the key that is meant for this, or have one made with the scope that `detail` names.',
  },
  owner_mismatch: {
    status: 403,
    mendedBy: 'caller',
    title: 'Another owner started this connect session',
    remedy: 'Complete the session for the owner who opened it; a link that was sent to somebody else connects nothing.',
  },
  confirm_invalid: {
    status: 403,
    mendedBy: 'caller',
    title: 'The confirm token does not fit this connect session',
    remedy: 'Send the `confirm` value that came to the return URL of this very session.',
  },
  route_not_found: {
    status: 404,
    mendedBy: 'caller',
    title: 'No such route',
    remedy: 'Look the route up at `/docs`.',
  },
  account_not_found: {
    status: 404,
    mendedBy: 'caller',
    title: 'No such account',
    remedy: 'Check the id: this service never created such an account.',
  },
  avatar_not_found: {
    status: 404,
    mendedBy: 'caller',
    title: 'The account has no picture',
    remedy: 'Show none while `avatar_url` is null. TikTok may give one later.',
  },
  connect_session_not_found: {
    status: 404,
    mendedBy: 'caller',
    title: 'No such connect session',
    remedy: 'Create a new connect session; old ones are deleted.',
  },
  method_not_allowed: {
    status: 405,
    mendedBy: 'caller',
    title: 'The path is right and the method is not',
    remedy: 'Use one of the methods in the `Allow` header.',
  },
  upload_not_found: {
    status: 404,
    mendedBy: 'caller',
    title: 'No such upload',
    remedy: 'Check the id and that it belongs to this account; old reservations are deleted.',
  },
  owner_not_found: {
    status: 404,
    mendedBy: 'caller',
    title: 'No such owner',
    remedy: 'Check the id: no account was ever connected and no tier ever set for this owner.',
  },
  reauthorization_required: {
    status: 409,
    mendedBy: 'user',
    title: 'The person must connect the account again',
    remedy: 'Create a connect session with `reconnect_account_id` and send the person there. `status_reason` says why.',
  },
  account_limit_reached: {
    status: 409,
    mendedBy: 'user',
    title: 'No place left in the plan',
    remedy:
      'The person disconnects an account or moves to a larger plan; `GET /owners/:owner_id` shows how many places there are.',
  },
  account_already_connected: {
    status: 409,
    mendedBy: 'user',
    title: 'Another owner has connected this TikTok account',
    remedy: 'The other owner disconnects the TikTok account first; it belongs to one owner at a time.',
  },
  account_mismatch: {
    status: 409,
    mendedBy: 'user',
    title: 'A different TikTok account was chosen',
    remedy: 'The person chooses the account to be reconnected at TikTok, or connects the other one as a new account.',
  },
  session_failed: {
    status: 409,
    mendedBy: 'user',
    title: 'The connect session has failed',
    remedy: '`error` says why. Nothing was connected: open a new connect session when the person wants to try again.',
  },
  session_not_ready: {
    status: 409,
    mendedBy: 'user',
    title: 'The person has not come back from TikTok yet',
    remedy: 'Wait until the browser comes back to the return URL; before that there is nothing to complete.',
  },
  upload_released: {
    status: 409,
    mendedBy: 'caller',
    title: 'The upload slot was released',
    remedy: 'Reserve a new slot, with a new `Idempotency-Key`; this one was given back.',
  },
  upload_expired: {
    status: 409,
    mendedBy: 'caller',
    title: 'The upload slot has expired',
    remedy:
      'Commit it if TikTok has the video. Else reserve a new slot, with a new `Idempotency-Key`: the slot may have gone to another upload.',
  },
  upload_committed: {
    status: 409,
    mendedBy: 'caller',
    title: 'The upload is committed',
    remedy:
      'Nothing, if you meant to release it: the upload already counts. Another `publish_id` is another upload: reserve a slot for it.',
  },
  account_disconnected: {
    status: 410,
    mendedBy: 'user',
    title: 'The account was disconnected',
    remedy: 'Forget the account, or have the person connect it again; it comes back under a new id.',
  },
  session_expired: {
    status: 410,
    mendedBy: 'user',
    title: 'The connect session is over',
    remedy: 'Create a new connect session; one lasts ten minutes unless `expires_in` says otherwise.',
  },
  payload_too_large: {
    status: 413,
    mendedBy: 'caller',
    title: 'The body is too large',
    remedy: 'Send less: the limit is 16 KiB, and 64 KiB for notices from TikTok.',
  },
  unsupported_media_type: {
    status: 415,
    mendedBy: 'caller',
    title: 'The content type is not taken here',
    remedy: 'Send `Content-Type: application/json`.',
  },
  account_type_not_supported: {
    status: 422,
    mendedBy: 'user',
    title: 'Only creators and businesses can connect',
    remedy:
      'Send `creator` for whoever posts as themselves, which TikTok calls a personal account, or `business` for whoever posts for a company or an organization. It is what the person says; TikTok does not tell.',
  },
  age_not_confirmed: {
    status: 422,
    mendedBy: 'user',
    title: 'The age was not confirmed',
    remedy: 'The person confirms being 18 or older; without that nothing can be connected.',
  },
  scope_not_granted: {
    status: 422,
    mendedBy: 'user',
    title: 'A required permission was declined at TikTok',
    remedy: 'The person tries again and leaves the permissions ticked that are marked as needed.',
  },
  idempotency_key_reused: {
    status: 422,
    mendedBy: 'caller',
    title: 'The Idempotency-Key was used for another request',
    remedy: 'Use a new `Idempotency-Key` for another request; the old one belongs to the first body.',
  },
  rate_limited: {
    status: 429,
    mendedBy: 'time',
    title: 'Too many requests',
    remedy: 'Wait as long as `Retry-After` says; the limit is per key and minute (`RATE_LIMIT_PER_MINUTE`).',
  },
  upload_quota_exhausted: {
    status: 429,
    mendedBy: 'time',
    title: 'No upload slot is free',
    remedy: 'Wait until `next_slot_at`; slots come back 24 hours after they were used.',
  },
  internal_error: {
    status: 500,
    mendedBy: 'operator',
    title: 'Something broke on our side',
    remedy: 'Report `request_id`; the log has the details. Repeating the call is safe.',
  },
  credential_unreadable: {
    status: 500,
    mendedBy: 'operator',
    title: 'The stored credential cannot be opened',
    remedy:
      'Put the vault key that sealed it back into `VAULT_KEYS`. If that key is lost, the account has to be connected again.',
  },
  tiktok_rejected: {
    status: 502,
    mendedBy: 'user',
    title: 'TikTok refused',
    remedy: 'The person starts again. If it keeps happening, check the TikTok app and its credentials.',
  },
  tiktok_unavailable: {
    status: 503,
    mendedBy: 'time',
    title: 'TikTok cannot be reached',
    remedy: 'Try again later; nothing is lost, and refreshes go on by themselves.',
  },
  refresh_in_progress: {
    status: 503,
    mendedBy: 'time',
    title: 'The token is being refreshed',
    remedy: 'Try again after `Retry-After`; the fresh token is on its way.',
  },
  storage_unavailable: {
    status: 503,
    mendedBy: 'time',
    title: 'The database cannot be reached',
    remedy: 'Try again after `Retry-After`. If it keeps happening, look at PostgreSQL.',
  },
  overloaded: {
    status: 503,
    mendedBy: 'time',
    title: 'Too much at once',
    remedy: 'Try again after `Retry-After`, with fewer calls at once.',
  },
  keyring_mismatch: {
    status: 503,
    mendedBy: 'operator',
    title: 'The vault keys do not fit the database',
    remedy:
      'Start this replica with the same vault keys as the others (`VAULT_KEYS`). Nothing is written until then, and nothing is lost.',
  },
  database_rewound: {
    status: 503,
    mendedBy: 'time',
    title: 'The database was restored to an earlier moment',
    remedy:
      'Try again after `Retry-After`: the journals are being replayed, and no refresh token is spent before that is done. If it lasts, `cli journal status` names the journal that is missing.',
  },
} as const satisfies Record<string, Failure>

export type FailureCode = keyof typeof failures
export const failureCodes = Object.keys(failures) as FailureCode[]
