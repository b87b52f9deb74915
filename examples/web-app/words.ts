// The service speaks in codes so that programs can branch; people get sentences. What is not known here gets the service's own.
import { type Account, AccountsError, TimeError } from 'oauth-accounts-for-tiktok'
import type { Message } from './session.ts'

/** Why a connect did not work out: codes of the service, and OAuth's access_denied. */
const connectFailures: ReadonlyMap<string, string> = new Map(
  Object.entries({
    access_denied: 'You declined at TikTok, or TikTok does not let this account connect. Nothing was connected.',
    scope_not_granted: 'You switched off a permission we cannot work without. Try again and leave the upload permission on.',
    account_limit_reached: 'Your plan has no place left. Disconnect an account or choose a larger plan.',
    account_already_connected: 'Somebody else has connected this TikTok account here. They have to disconnect it first.',
    account_mismatch: 'That was a different TikTok account. To add it, use Connect instead of Reconnect.',
    owner_mismatch: 'Somebody else started this. Log in as that person, or start again as yourself; nothing was connected.',
    session_expired:
      'This attempt is over: it took more than ten minutes, or nobody could say whether your plan has a place. Please start again.',
    confirm_invalid: 'The link you came back with does not fit. Please start again.',
    session_not_ready: 'You have not been to TikTok yet. Please start again.',
    connect_session_not_found: 'This link does not belong to a connection you started. Please start again.',
    account_type_not_supported: 'Choose Creator or Business; at TikTok a creator has a personal account.',
    age_not_confirmed: 'Please confirm that you are 18 or older.',
    tiktok_rejected: 'TikTok refused. Please start again.',
    tiktok_unavailable: 'TikTok does not answer at the moment. Reload this page in a minute to try again.',
    storage_unavailable: 'Our side has trouble storing the connection. Reload this page in a minute to try again.',
    service_unreachable: 'We cannot reach our TikTok service at the moment. Reload this page in a minute to try again.',
  }),
)

/** @param code as it came in an address, which anybody can write: only known ones are shown */
export function connectFailure(code: string): Message {
  return { kind: 'bad', title: 'The TikTok account was not connected', text: connectFailures.get(code) ?? 'Please start again.' }
}

/** Why the service did not connect it. What is not known here gets the service's own sentence. */
export function connectProblem({ code, reason, message }: AccountsError): Message {
  if (reason !== undefined) return connectFailure(reason)
  return connectFailures.has(code) ? connectFailure(code) : { ...connectFailure(code), text: `${message} (${code})` }
}

/** Nothing was lost: the same request may simply be repeated. */
export const mayBeRepeated = (error: AccountsError) => error instanceof TimeError

export function problemMessage(title: string, error: unknown): Message {
  if (!(error instanceof AccountsError)) throw error
  return { kind: 'bad', title, text: `${error.message} (${error.code})` }
}

const reasons: Record<string, string> = {
  refresh_token_rejected: 'TikTok no longer accepts our access.',
  refresh_outcome_unknown: 'An answer of TikTok got lost, and with it our access.',
  refresh_token_expired: 'The permission ran out.',
  removed_by_user: 'You removed our app in TikTok.',
  tiktok_account_deleted: 'The TikTok account was deleted.',
  age_changed: 'TikTok changed the age of this account.',
  tiktok_account_banned: 'TikTok banned this account.',
  required_scope_removed: 'A permission we need was taken back in TikTok.',
  disconnected_by_owner: 'You disconnected it.',
}

const permissions: Record<string, string> = {
  'user.info.profile': 'username and badge',
  'user.info.stats': 'followers',
  'video.upload': 'uploads',
}

export function healthInWords({ health, statusReason: reason, missingScopes: missing }: Account): {
  tone: 'good' | 'warn' | 'bad'
  text: string
} {
  const why = reason === null ? '' : `${reasons[reason] ?? reason} `
  const names = missing.map((scope) => permissions[scope] ?? scope).join(', ')
  const partly = missing.length === 0 ? '' : ` Not allowed yet: ${names}.`
  switch (health.verdict) {
    case 'healthy':
      return { tone: 'good', text: `Works.${partly}` }
    case 'expiring':
      return { tone: 'warn', text: `Works until ${day(health.reauthorizeBy)}. Reconnect before then.${partly}` }
    case 'degraded':
      return { tone: 'warn', text: `Works for now; TikTok is not answering as it should. We keep trying.${partly}` }
    case 'reauthorization_required':
      return { tone: 'bad', text: `${why}Reconnect to go on.` }
    case 'disconnected':
      return { tone: 'bad', text: why.trim() || 'Disconnected.' }
  }
}

export const revocationInWords = {
  confirmed: 'TikTok confirmed that our access has ended.',
  already_gone: 'TikTok had ended our access already.',
  pending: 'Our copy of the access is erased. TikTok does not answer right now; we go on telling it.',
}

export const figure = (count: number) => new Intl.NumberFormat('en').format(count)
export const day = (time: string | null) => (time === null ? 'some day' : time.slice(0, 10))
export const minute = (time: string) => `${time.slice(0, 16).replace('T', ' ')} UTC`
