// Every way this service fails on purpose, one row per code: status, who can fix it, what it means, what to do next, and what a
// page says to a person who meets it. The key is the wire code; it never changes meaning.
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
  /** what a person reads in the browser; left out where only programs meet the code */
  page?: Words
}

export interface Words {
  /** what happened */
  title: string
  /** what to do */
  text: string
}

export const failures = {
  validation_failed: {
    status: 400,
    mendedBy: 'caller',
    title: 'The request does not fit its schema',
    remedy: 'Read `detail`: it names the field and what is expected there. Fields that are not in the schema are refused.',
    page: { title: 'We did not understand that', text: 'The address or the form was incomplete. Go back and try again.' },
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
    page: {
      title: 'TikTok sent you back without your ticket',
      text: 'We cannot tell what you were doing. Go back to the app you came from and start again.',
    },
  },
  state_invalid: {
    status: 400,
    mendedBy: 'user',
    title: 'The state is unknown or already used',
    remedy: 'Start again with a new connect session. This service did not issue the `state`, or has deleted it.',
    page: {
      title: 'This step was already done',
      text: 'You may have gone back or reloaded. Go to the app you came from to see the result, or start again there.',
    },
  },
  state_expired: {
    status: 400,
    mendedBy: 'user',
    title: 'The authorization request is too old',
    remedy: 'Start again with a new connect session and finish at TikTok within ten minutes.',
    page: {
      title: 'That took more than ten minutes',
      text: 'For your safety, connecting through TikTok is open for ten minutes only. Go back to the app you came from and start again.',
    },
  },
  browser_mismatch: {
    status: 400,
    mendedBy: 'user',
    title: 'Another browser started this',
    remedy: 'Finish in the browser that started, with cookies allowed for this service.',
    page: {
      title: 'This was started in another browser',
      text: 'Continue in the browser you started in, with cookies allowed. Or go back to the app you came from and start again in this one.',
    },
  },
  session_invalid: {
    status: 400,
    mendedBy: 'user',
    title: 'The connect link is not valid',
    remedy: 'Create a new connect session; each link works for one connect.',
    page: {
      title: 'This link does not work any more',
      text: 'Nothing was changed. The link or the page was already used, is too old, or your browser does not allow cookies. Go back to the app you came from and start again.',
    },
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
    page: { title: 'There is no such page', text: 'Check the address, or go back to the app you came from.' },
  },
  account_not_found: {
    status: 404,
    mendedBy: 'caller',
    title: 'No such account',
    remedy: 'Check the id: this service never created such an account.',
    page: { title: 'There is no such account here', text: 'It may have been disconnected meanwhile. Go back and look again.' },
  },
  avatar_not_found: {
    status: 404,
    mendedBy: 'caller',
    title: 'The account has no picture',
    remedy: 'Show none while `avatar_url` is null. TikTok may give one later.',
    page: { title: 'There is no picture', text: 'TikTok has given none for this account.' },
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
    page: { title: 'That does not work here', text: 'Go back to the app you came from and start again.' },
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
    page: { title: 'The account has to be reconnected', text: 'Open your accounts and choose “Reconnect”.' },
  },
  account_limit_reached: {
    status: 409,
    mendedBy: 'user',
    title: 'No place left in the plan',
    remedy:
      'The person disconnects an account or moves to a larger plan; `GET /owners/:owner_id` shows how many places there are.',
    page: {
      title: 'All places in your plan are used',
      text: 'The account was not connected, and TikTok has taken the permission back. Disconnect another account or change your plan, then start again.',
    },
  },
  account_already_connected: {
    status: 409,
    mendedBy: 'user',
    title: 'Another owner has connected this TikTok account',
    remedy: 'The other owner disconnects the TikTok account first; it belongs to one owner at a time.',
    page: {
      title: 'Somebody else has connected this TikTok account',
      text: 'It can be connected only once. Whoever connected it has to disconnect it first; if that was you under another name, log in there.',
    },
  },
  account_mismatch: {
    status: 409,
    mendedBy: 'user',
    title: 'A different TikTok account was chosen',
    remedy: 'The person chooses the account to be reconnected at TikTok, or connects the other one as a new account.',
    page: {
      title: 'That was a different TikTok account',
      text: 'You wanted to reconnect one account and logged in to TikTok with another. Log out at TikTok, start again, and choose the right one.',
    },
  },
  session_failed: {
    status: 409,
    mendedBy: 'user',
    title: 'The connect session has failed',
    remedy: '`error` says why. Nothing was connected: open a new connect session when the person wants to try again.',
    page: { title: 'That did not work', text: 'Nothing was connected. Go back to the app you came from and start again.' },
  },
  session_not_ready: {
    status: 409,
    mendedBy: 'user',
    title: 'The person has not come back from TikTok yet',
    remedy: 'Wait until the browser comes back to the return URL; before that there is nothing to complete.',
    page: { title: 'TikTok has not answered yet', text: 'Finish at TikTok first, then come back.' },
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
    page: { title: 'This account was disconnected', text: 'Connect it again if you want to go on using it.' },
  },
  session_expired: {
    status: 410,
    mendedBy: 'user',
    title: 'The connect session is over',
    remedy: 'Create a new connect session; one lasts ten minutes unless `expires_in` says otherwise.',
    page: {
      title: 'This link is too old',
      text: 'For your safety it works for a limited time only. Go back to the app you came from and start again.',
    },
  },
  payload_too_large: {
    status: 413,
    mendedBy: 'caller',
    title: 'The body is too large',
    remedy: 'Send less: the limit is 16 KiB, and 64 KiB for notices from TikTok.',
    page: { title: 'That was too much', text: 'Use fewer characters and try again.' },
  },
  unsupported_media_type: {
    status: 415,
    mendedBy: 'caller',
    title: 'The content type is not taken here',
    remedy: 'Send `Content-Type: application/json`.',
    page: {
      title: 'We did not understand that',
      text: 'Your browser sent a kind of form we do not accept. Go back and try again.',
    },
  },
  account_type_not_supported: {
    status: 422,
    mendedBy: 'user',
    title: 'Only creators and businesses can connect',
    remedy:
      'Send `creator` for whoever posts as themselves, which TikTok calls a personal account, or `business` for whoever posts for a company or an organization. It is what the person says; TikTok does not tell.',
    page: {
      title: 'This answer is not enough to connect',
      text: 'Only accounts that you post with can be connected: as yourself (Creator) or for others (Business). Go back and choose one of the two.',
    },
  },
  age_not_confirmed: {
    status: 422,
    mendedBy: 'user',
    title: 'The age was not confirmed',
    remedy: 'The person confirms being 18 or older; without that nothing can be connected.',
    page: { title: 'You have to be 18 or older', text: 'Without your confirmation, no account can be connected.' },
  },
  scope_not_granted: {
    status: 422,
    mendedBy: 'user',
    title: 'A required permission was declined at TikTok',
    remedy: 'The person tries again and leaves the permissions ticked that are marked as needed.',
    page: {
      title: 'A permission that is needed was not given',
      text: 'Nothing was connected. Start again, and at TikTok leave everything ticked that is needed here.',
    },
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
    page: { title: 'That was a bit fast', text: 'Please wait a minute, then try again.' },
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
    page: {
      title: 'Something broke on our side',
      text: 'It is not your fault, and nothing was changed at TikTok. Please try again in a few minutes.',
    },
  },
  credential_unreadable: {
    status: 500,
    mendedBy: 'operator',
    title: 'The stored credential cannot be opened',
    remedy:
      'Put the vault key that sealed it back into `VAULT_KEYS`. If that key is lost, the account has to be connected again.',
    page: {
      title: 'We cannot open the stored permission',
      text: 'It is not your fault. We have been told; please try again later.',
    },
  },
  tiktok_rejected: {
    status: 502,
    mendedBy: 'user',
    title: 'TikTok refused',
    remedy: 'The person starts again. If it keeps happening, check the TikTok app and its credentials.',
    page: {
      title: 'TikTok refused',
      text: 'TikTok did not accept the connection. Start again; if it happens once more, try later.',
    },
  },
  tiktok_unavailable: {
    status: 503,
    mendedBy: 'time',
    title: 'TikTok cannot be reached',
    remedy: 'Try again later; nothing is lost, and refreshes go on by themselves.',
    page: { title: 'TikTok does not answer', text: 'Nothing was changed. Please try again in a few minutes.' },
  },
  refresh_in_progress: {
    status: 503,
    mendedBy: 'time',
    title: 'The token is being refreshed',
    remedy: 'Try again after `Retry-After`; the fresh token is on its way.',
    page: {
      title: 'One moment, please',
      text: 'We are talking to TikTok about this account. Try again in a few seconds.',
    },
  },
  storage_unavailable: {
    status: 503,
    mendedBy: 'time',
    title: 'The database cannot be reached',
    remedy: 'Try again after `Retry-After`. If it keeps happening, look at PostgreSQL.',
    page: { title: 'We cannot get at our data right now', text: 'Nothing is lost. Please try again in a few minutes.' },
  },
  overloaded: {
    status: 503,
    mendedBy: 'time',
    title: 'Too much at once',
    remedy: 'Try again after `Retry-After`, with fewer calls at once.',
    page: { title: 'There is a lot going on', text: 'Please try again in a moment.' },
  },
  keyring_mismatch: {
    status: 503,
    mendedBy: 'operator',
    title: 'The vault keys do not fit the database',
    remedy:
      'Start this replica with the same vault keys as the others (`VAULT_KEYS`). Nothing is written until then, and nothing is lost.',
    page: { title: 'We are closed for repairs', text: 'Nothing is lost. Please try again later.' },
  },
  database_rewound: {
    status: 503,
    mendedBy: 'time',
    title: 'The database was restored to an earlier moment',
    remedy:
      'Try again after `Retry-After`: the journals are being replayed, and no refresh token is spent before that is done. If it lasts, `cli journal status` names the journal that is missing.',
    page: { title: 'We are bringing our data up to date', text: 'Nothing is lost. Please try again in a minute.' },
  },
} as const satisfies Record<string, Failure>

export type FailureCode = keyof typeof failures
export const failureCodes = Object.keys(failures) as FailureCode[]

/** @returns undefined where only programs meet this code, or where it is not one of ours */
export function pageWordsOf(code: string): Words | undefined {
  return (failures as Record<string, Failure>)[code]?.page
}
