/** `GET /v2/user/info/`: the fields asked for, if the person allowed every one of them. */
import { avatarUrl } from './avatars.ts'
import type { Call } from './faults.ts'
import { type Grant, openScopes } from './grants.ts'
import type { Person } from './person.ts'
import { type Answer, apiFailure, apiSuccess, bearerOf, type Request } from './wire.ts'
import type { World } from './world.ts'

const scopeOfField: Readonly<Record<string, string>> = {
  open_id: 'user.info.basic',
  union_id: 'user.info.basic',
  avatar_url: 'user.info.basic',
  avatar_url_100: 'user.info.basic',
  avatar_url_200: 'user.info.basic',
  avatar_large_url: 'user.info.basic',
  display_name: 'user.info.basic',
  bio_description: 'user.info.profile',
  profile_deep_link: 'user.info.profile',
  is_verified: 'user.info.profile',
  username: 'user.info.profile',
  follower_count: 'user.info.stats',
  following_count: 'user.info.stats',
  likes_count: 'user.info.stats',
  video_count: 'user.info.stats',
}

export function userInfoCall(world: World, request: Request): Call {
  const grant = world.grants.byAccessToken(bearerOf(request))
  return {
    shape: 'api',
    routes: ['user_info'],
    subject: { person: grant?.person },
    process: () => {
      const answer = userInfo(world, request, world.grants.byAccessToken(bearerOf(request)))
      world.stats.count(answer.refused ? 'user_infos_refused' : 'user_infos')
      return answer.refused ?? answer.given
    },
  }
}

type Outcome = { refused: Answer; given?: never } | { refused?: never; given: Answer }

function userInfo(world: World, request: Request, grant: Grant | undefined): Outcome {
  const refuse = (code: string, message: string) => ({ refused: apiFailure(world.settings, code, message) })
  if (!grant) return refuse('access_token_invalid', 'The access token is invalid or not found in the request.')
  // Over the whole app: TikTok does not say whether it counts per app or per user.
  if (world.rates.exceeded('user_info', world.settings.user_info_per_minute))
    return refuse('rate_limit_exceeded', 'The API rate limit was exceeded. Please try again later.')
  const fields = (request.query.get('fields') ?? '').split(',')
  if (!fields.every((field) => Object.hasOwn(scopeOfField, field))) {
    return refuse('invalid_params', 'One or more fields specified in the request are invalid.')
  }
  const scopes = openScopes(world.settings, grant)
  const open = world.settings.basic_implied ? ['user.info.basic', ...scopes] : scopes
  if (!fields.every((field) => open.includes(scopeOfField[field] ?? ''))) {
    return refuse('scope_not_authorized', 'The user did not authorize the scope required for completing this request.')
  }
  const refused = fields.find((field) => Object.hasOwn(world.settings.refused_fields, field))
  if (refused !== undefined)
    return refuse(world.settings.refused_fields[refused] ?? '', 'This field is not available to the app.')
  return { given: apiSuccess({ user: profile(world, request.origin, grant.person, fields) }) }
}

function profile(world: World, origin: string, person: Person, fields: readonly string[]): Record<string, unknown> {
  const sources: Record<string, () => unknown> = {
    open_id: () => world.people.openIdOf(person),
    union_id: () => person.unionId,
    avatar_url: () => avatarUrl(world, origin, person, 200),
    avatar_url_100: () => avatarUrl(world, origin, person, 100),
    avatar_url_200: () => avatarUrl(world, origin, person, 200),
    avatar_large_url: () => avatarUrl(world, origin, person, 400),
    display_name: () => person.displayName,
    bio_description: () => person.bio,
    profile_deep_link: () => `https://vm.tiktok.com/${person.id}/`,
    is_verified: () => person.isVerified,
    username: () => person.username,
    follower_count: () => person.followerCount,
    following_count: () => person.followingCount,
    likes_count: () => person.likesCount,
    video_count: () => person.videoCount,
  }
  const sent = fields.filter((field) => !person.leavesOut.includes(field))
  return Object.fromEntries(sent.map((field) => [field, sources[field]?.()]))
}
