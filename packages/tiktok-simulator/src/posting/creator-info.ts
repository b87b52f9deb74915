/** `creator_info/query`: what a page that posts has to show of the person, and whether they may post now. */
import { avatarUrl } from '../avatars.ts'
import type { Call } from '../faults.ts'
import type { Person } from '../person.ts'
import { type ApiError, apiSuccess, bearerOf, type Request } from '../wire.ts'
import type { World } from '../world.ts'
import { admit, answering, Refusal } from './admission.ts'
import type { PrivacyLevel } from './publication.ts'

export function creatorInfoCall(world: World, request: Request): Call {
  return {
    shape: 'api',
    routes: ['creator_info'],
    subject: { person: world.grants.byAccessToken(bearerOf(request))?.person },
    process: () => answering(world, 'creator_infos', () => creatorInfo(world, request)),
  }
}

export function privacyOptions({ creator }: Person): PrivacyLevel[] {
  return [creator.is_private ? 'FOLLOWER_OF_CREATOR' : 'PUBLIC_TO_EVERYONE', 'MUTUAL_FOLLOW_FRIENDS', 'SELF_ONLY']
}

/** @returns why this person may not post directly for now */
export function whyNotPosting({ settings, publications }: World, person: Person): ApiError | undefined {
  if (person.creator.banned_from_posting) return 'spam_risk_user_banned_from_posting'
  const { posts_per_day: posts, active_users_per_day: users } = settings
  if (posts !== null && publications.recentPosts(person) >= posts) return 'spam_risk_too_many_posts'
  const active = publications.activeUsers()
  return users !== null && !active.has(person.id) && active.size >= users ? 'reached_active_user_cap' : undefined
}

function creatorInfo(world: World, request: Request) {
  const { person } = admit(world, request, ['video.publish'], 'creator_info', world.settings.creator_info_per_minute)
  const why = whyNotPosting(world, person)
  if (why) throw new Refusal(why, 'The creator cannot make new posts for now.', 200) // intentionally, TikTok says
  const { is_private, comment_disabled, duet_disabled, stitch_disabled, max_video_post_duration_sec } = person.creator
  return apiSuccess({
    creator_avatar_url: avatarUrl(world, request.origin, person, 400),
    creator_username: person.username,
    creator_nickname: person.displayName,
    privacy_level_options: privacyOptions(person),
    comment_disabled,
    duet_disabled: duet_disabled || is_private,
    stitch_disabled: stitch_disabled || is_private,
    max_video_post_duration_sec,
  })
}
