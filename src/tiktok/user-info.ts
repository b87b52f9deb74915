// Who the person is at TikTok: as much as the granted scopes open, and no more than we show.
import { z } from 'zod'
import { isVisible } from '../display/names.ts'
import type { NotSentReason, Send } from '../outbound/call.ts'
import {
  type AmbiguousReason,
  type Answered,
  errorCodeOf,
  isObject,
  isRateLimit,
  logIdOf,
  readObject,
  throttledForSeconds,
  troubleOf,
  wholeNumber,
} from './answer.ts'
import type { App } from './oauth.ts'

export type UserInfoAnswer =
  | { kind: 'ok'; user: TikTokUser; refusedFields: UserField[]; logId?: string }
  /** TikTok does not take this access token (any more). Whether the grant lives, only a refresh can tell. */
  | { kind: 'token_invalid'; logId?: string }
  /** The token is good, no part of the question is: a scope is missing or a field is unknown. Asking again changes nothing. */
  | { kind: 'refused'; error: 'scope_not_granted' | 'bad_request'; logId?: string }
  | { kind: 'throttled'; retryAfterSeconds: number }
  | { kind: 'unavailable'; reason: NotSentReason | AmbiguousReason; retryAfterSeconds?: number; logId?: string }

/** The fields we ask for and the scope that opens each (docs/tiktok.md §5). */
export const scopeOfField = {
  open_id: 'user.info.basic',
  union_id: 'user.info.basic',
  display_name: 'user.info.basic',
  avatar_url: 'user.info.basic',
  username: 'user.info.profile',
  is_verified: 'user.info.profile',
  follower_count: 'user.info.stats',
} as const
export type UserField = keyof typeof scopeOfField
const userFields = Object.keys(scopeOfField) as UserField[]

const line = (maxLength: number) =>
  z
    .string()
    .transform((text) => text.replace(/\p{Cc}+/gu, ' ').trim())
    .pipe(z.string().max(maxLength).refine(isVisible))
    .nullable()
    .catch(null)

const personId = z
  .string()
  .regex(/^[\x21-\x7e]{1,128}$/)
  .nullable()
  .catch(null)

/** Above the number of people there are, and still an exact number. */
const mostFollowers = 1e12

/** null: not granted, not sent, or nonsense. Any field may be missing from a good answer (seen live). */
const User = z
  .object({
    open_id: personId,
    union_id: personId,
    display_name: line(200),
    avatar_url: z
      .url({ protocol: /^https?$/ })
      .max(2048)
      .nullable()
      .catch(null),
    username: line(100),
    is_verified: z
      .union([z.boolean(), z.enum(['true', 'false']).transform((word) => word === 'true')])
      .nullable()
      .catch(null),
    follower_count: wholeNumber(0, mostFollowers),
  })
  .transform((user) => ({
    openId: user.open_id,
    /** the same person over all apps of one developer */
    unionId: user.union_id,
    displayName: user.display_name,
    /** signed and short-lived: fetch the picture now or not at all */
    avatarUrl: user.avatar_url,
    username: user.username,
    /** the verified badge; it says nothing about the account's type */
    isVerified: user.is_verified,
    followerCount: user.follower_count,
  }))
export type TikTokUser = z.infer<typeof User>

/**
 * Asks who the holder of this access token is. One field that TikTok does not give fails the whole question, so a refused question is
 * asked again in parts: scope by scope, then field by field.
 *
 * @param scopes those granted
 */
export async function userInfo(app: App, send: Send, accessToken: string, scopes: readonly string[]): Promise<UserInfoAnswer> {
  const fields = userFields.filter((field) => scopes.includes(scopeOfField[field]))
  if (fields.length === 0) return { kind: 'refused', error: 'scope_not_granted' }
  return askInParts((part) => ask(app, send, accessToken, part), fields)
}

async function askInParts(
  askFor: (fields: UserField[]) => Promise<UserInfoAnswer>,
  fields: UserField[],
): Promise<UserInfoAnswer> {
  const whole = await askFor(fields)
  if (whole.kind !== 'refused' || fields.length === 1) return whole
  const scopes = [...new Set(fields.map((field) => scopeOfField[field]))]
  const ofScope = (scope: string) => fields.filter((field) => scopeOfField[field] === scope)
  const parts = scopes.length > 1 ? scopes.map(ofScope) : fields.map((field) => [field])

  let told: Extract<UserInfoAnswer, { kind: 'ok' }> | undefined
  const refusedFields: UserField[] = []
  for (const part of parts) {
    const answer = await askInParts(askFor, part)
    if (answer.kind === 'ok') {
      const known = Object.entries(answer.user).filter(([, value]) => value !== null)
      told = { ...answer, ...told, user: { ...answer.user, ...told?.user, ...Object.fromEntries(known) } }
      refusedFields.push(...answer.refusedFields)
    } else if (answer.kind === 'refused' || (answer.kind === 'token_invalid' && told)) {
      refusedFields.push(...part) // TikTok took this token a moment ago, so a 401 is about this part
    } else {
      return answer
    }
  }
  return told ? { ...told, refusedFields } : whole
}

async function ask(app: App, send: Send, accessToken: string, fields: UserField[]): Promise<UserInfoAnswer> {
  const url = new URL('/v2/user/info/', app.apiBaseUrl)
  url.searchParams.set('fields', fields.join(','))
  const outcome = await send({ url, method: 'GET', headers: { authorization: `Bearer ${accessToken}` } })
  if (outcome.kind !== 'answered') return { kind: 'unavailable', reason: outcome.reason }

  const answer = readObject(outcome)
  if (typeof answer !== 'object') return withoutWords(outcome, answer)
  const code = errorCodeOf(answer)
  if (code !== undefined) return judgeError(outcome, answer, code)

  const user = isObject(answer.data) ? User.safeParse(answer.data.user) : undefined
  if (!user?.success) return withoutWords(outcome, 'foreign_body', answer)
  return { kind: 'ok', user: user.data, refusedFields: [], ...logIdOf(outcome, answer) }
}

function judgeError(outcome: Answered, answer: Record<string, unknown>, code: string): UserInfoAnswer {
  const logId = logIdOf(outcome, answer)
  if (isRateLimit(outcome.status, code)) return { kind: 'throttled', retryAfterSeconds: throttledForSeconds(outcome) }
  if (code === 'access_token_invalid') return { kind: 'token_invalid', ...logId }
  // `scope_not_authorized` and `scope_permission_missed`, `invalid_params` and `invalid_param`, and whatever is named like them.
  if (/(^|_)scope(_|$)/.test(code)) return { kind: 'refused', error: 'scope_not_granted', ...logId }
  if (/^invalid_(param|field|request)/.test(code)) return { kind: 'refused', error: 'bad_request', ...logId }
  // A code of TikTok's that we do not know under a 401 is about the token all the same; a 401 without one may be a proxy's.
  if (outcome.status === 401) return { kind: 'token_invalid', ...logId }
  return withoutWords(outcome, code === 'internal_error' ? 'server_error' : 'foreign_body', answer)
}

function withoutWords(outcome: Answered, otherwise: AmbiguousReason, answer?: Record<string, unknown>): UserInfoAnswer {
  if (isRateLimit(outcome.status)) return { kind: 'throttled', retryAfterSeconds: throttledForSeconds(outcome) }
  return { kind: 'unavailable', ...troubleOf(outcome, otherwise, answer) }
}
