// The profile picture, fetched while its signed link lives. The one call here whose host TikTok's answer chose, hence the guard.
import type { Dispatcher } from 'undici'
import { type PictureType, pictureTypeOf } from '../display/pictures.ts'
import { type BrokenReason, type CallOutcome, call, type NotSentReason } from '../outbound/call.ts'
import { AddressNotAllowed, isPrivateLiteral } from '../outbound/public-address.ts'

export type AvatarAnswer =
  | { kind: 'ok'; bytes: Buffer; contentType: PictureType }
  /** The link's time is over (`x-expires`): fetch the user info again for a fresh one. */
  | { kind: 'link_expired' }
  | { kind: 'refused'; reason: 'address_not_allowed' | 'not_a_picture' | 'too_large' }
  | { kind: 'unavailable'; reason: NotSentReason | BrokenReason | 'bad_status' }

const maxBytes = 1024 * 1024

/**
 * Fetches the picture behind a URL from `userInfo`.
 *
 * @param link.trustsLoopback the configured TikTok is a simulator on this machine; then, and only then, so may the picture be
 */
export async function avatar(
  dispatcher: Dispatcher,
  link: { url: string; trustsLoopback: boolean; totalMs: number },
): Promise<AvatarAnswer> {
  if (!URL.canParse(link.url)) return { kind: 'refused', reason: 'address_not_allowed' }
  const url = new URL(link.url)
  if (!mayFetch(url, link.trustsLoopback)) return { kind: 'refused', reason: 'address_not_allowed' }

  const headers = { accept: 'image/webp, image/png, image/jpeg' }
  const outcome = await call(dispatcher, { url, method: 'GET', headers, maxBytes, totalMs: link.totalMs })
  if (outcome.kind !== 'answered') return withoutPicture(outcome)
  if (outcome.status === 403 || outcome.status === 404 || outcome.status === 410) return { kind: 'link_expired' }
  if (outcome.status !== 200) return { kind: 'unavailable', reason: 'bad_status' } // redirects too: the host was checked, not theirs

  // From the bytes and not from the header: it is we who serve them on, under a type that must be true.
  const contentType = pictureTypeOf(outcome.body)
  return contentType ? { kind: 'ok', bytes: outcome.body, contentType } : { kind: 'refused', reason: 'not_a_picture' }
}

function mayFetch(url: URL, trustsLoopback: boolean): boolean {
  if (url.username !== '' || url.password !== '') return false
  if (trustsLoopback) return url.protocol === 'https:' || url.protocol === 'http:'
  return url.protocol === 'https:' && url.port === '' && !isPrivateLiteral(url)
}

function withoutPicture(outcome: Exclude<CallOutcome, { kind: 'answered' }>): AvatarAnswer {
  if (outcome.reason === 'too_large') return { kind: 'refused', reason: 'too_large' }
  if (outcome.kind === 'not_sent' && outcome.cause instanceof AddressNotAllowed)
    return { kind: 'refused', reason: 'address_not_allowed' }
  return { kind: 'unavailable', reason: outcome.reason }
}
