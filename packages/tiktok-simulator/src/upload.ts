/** A draft upload as far as a demo needs it, to show what a vended token is for: init, the bytes, the notice that it arrived. */
import { randomBytes } from 'node:crypto'
import type { Call } from './faults.ts'
import type { Grant } from './grants.ts'
import { type Answer, apiFailure, apiSuccess, bearerOf, type Request } from './wire.ts'
import type { World } from './world.ts'

export const initRoute = '/v2/post/publish/inbox/video/init/'
const videoRoute = /^\/upload\/(v_inbox_file~v2\.\d+)$/
const dayMs = 86_400_000

export function uploadCall(world: World, request: Request): Call {
  const grant = () => world.grants.byAccessToken(bearerOf(request))
  return {
    shape: 'api',
    routes: ['upload'],
    subject: { person: grant()?.person },
    process: () => startUpload(world, request.origin, grant()),
  }
}

/** The bytes themselves are thrown away. @returns undefined for another path */
export function takeVideo(world: World, request: Request): Answer | undefined {
  const [, publishId] = videoRoute.exec(request.path) ?? []
  const person = world.uploads.get(publishId ?? '')
  if (request.method !== 'PUT' || publishId === undefined || person === undefined) return undefined
  world.uploads.delete(publishId)
  const content = { publish_id: publishId, publish_type: 'INBOX_SHARE' }
  world.webhooks.send({ event: 'post.publish.inbox_delivered', user_openid: world.people.openIdOf(person), content })
  return { status: 201, headers: {}, body: '' }
}

function startUpload(world: World, origin: string, grant: Grant | undefined): Answer {
  const refuse = (code: string, message: string) => {
    world.stats.count('uploads_refused')
    return apiFailure(world.settings, code, message)
  }
  if (!grant) return refuse('access_token_invalid', 'The access token is invalid or not found in the request.')
  if (!grant.scopes.includes('video.upload')) {
    return refuse('scope_not_authorized', 'The user did not authorize the scope required for completing this request.')
  }
  const { person } = grant
  const now = world.clock.now()
  person.pendingShares = person.pendingShares.filter((time) => time > now - dayMs)
  const limit = world.settings.pending_shares_per_day
  if (limit !== null && person.pendingShares.length >= limit) {
    return refuse('spam_risk_too_many_pending_share', 'There are too many pending shares in the last 24 hours.')
  }
  person.pendingShares.push(now)
  world.stats.count('uploads')
  const publishId = `v_inbox_file~v2.${randomBytes(8).readBigUInt64BE()}`
  world.uploads.set(publishId, person)
  return apiSuccess({ publish_id: publishId, upload_url: `${origin}/upload/${publishId}` })
}
