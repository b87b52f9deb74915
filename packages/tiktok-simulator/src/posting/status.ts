/** `status/fetch`, and `cancel` for what is still being pulled. */
import { z } from 'zod'
import type { Call } from '../faults.ts'
import { type Answer, apiSuccess, bearerOf, type Request } from '../wire.ts'
import type { World } from '../world.ts'
import { admit, answering, Refusal, readObject } from './admission.ts'
import type { Publication } from './publication.ts'

export function statusCall(world: World, request: Request): Call {
  return call(world, request, () => describe(findPublication(world, request, 'status', world.settings.status_per_minute)))
}

export function cancelCall(world: World, request: Request): Call {
  return call(world, request, () => {
    const publication = findPublication(world, request, 'cancel', null)
    if (publication.status !== 'PROCESSING_DOWNLOAD' || publication.arrived_at !== null)
      throw new Refusal('publish_not_cancellable', 'The task is already in a final state and cannot be cancelled.')
    world.publications.fail(publication, 'publish_cancelled')
    return apiSuccess({})
  })
}

function call(world: World, request: Request, process: () => Answer): Call {
  return {
    shape: 'api',
    routes: ['status'],
    subject: { person: world.grants.byAccessToken(bearerOf(request))?.person },
    process: () => answering(world, 'statuses', process),
  }
}

function findPublication(world: World, request: Request, what: string, perMinute: number | null): Publication {
  const { openId } = admit(world, request, ['video.upload', 'video.publish'], what, perMinute)
  const { data: publishId } = z.string().safeParse(readObject(request).publish_id)
  const publication = world.publications.find(publishId ?? '')
  if (!publication) throw new Refusal('invalid_publish_id', 'The publish_id does not exist.')
  if (publication.open_id !== openId)
    throw new Refusal('token_not_authorized_for_specified_publish_id', 'The access token is not authorized for this publish_id.')
  return publication
}

function describe({ status, fail_reason, posts, source, bytes }: Publication): Answer {
  const answer = apiSuccess({
    status,
    ...(fail_reason && { fail_reason }),
    publicaly_available_post_id: posts.filter(({ is_public }) => is_public).map(({ post_id }) => post_id),
    ...(source === 'FILE_UPLOAD' ? { uploaded_bytes: bytes } : { downloaded_bytes: bytes }),
  })
  // A list of int64, which is more than a number of JavaScript holds: a client that reads it carelessly should find out here.
  return { ...answer, body: String(answer.body).replace(/"(\d{19})"/g, '$1') }
}
