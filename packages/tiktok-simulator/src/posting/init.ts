/** The three calls that begin a publication: a draft video, a direct video, and photos as either. */
import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import type { Call } from '../faults.ts'
import type { Grant } from '../grants.ts'
import { uploadOriginOf } from '../hosts.ts'
import { someDigits } from '../opaque.ts'
import type { Person } from '../person.ts'
import { type Answer, apiSuccess, bearerOf, type Request } from '../wire.ts'
import type { World } from '../world.ts'
import { admit, answering, demandScope, Refusal, readObject } from './admission.ts'
import { privacyOptions, whyNotPosting } from './creator-info.ts'
import { type PrivacyLevel, type Publication, privacyLevels } from './publication.ts'
import { checkUrl, startPulling } from './pull.ts'
import { readPhotoUrls, readVideoSource } from './source-info.ts'

type Begin = (world: World, request: Request) => Answer

const begins: Readonly<Record<string, Begin>> = {
  'POST /v2/post/publish/inbox/video/init/': beginDraft,
  'POST /v2/post/publish/video/init/': beginPost,
  'POST /v2/post/publish/content/init/': beginPhotos,
}

/** @returns undefined for another route */
export function initCall(world: World, request: Request): Call | undefined {
  const begin = begins[`${request.method} ${request.path}`]
  return (
    begin && {
      shape: 'api',
      routes: ['upload'],
      subject: { person: world.grants.byAccessToken(bearerOf(request))?.person },
      process: () => answering(world, 'uploads', () => begin(world, request)),
    }
  )
}

/** What is said of the post. Fields about comments, music and brands change nothing here, but have to be what they should be. */
const PostInfo = z.object({
  title: z.string().default(''),
  description: z.string().default(''),
  privacy_level: z.string().optional(),
  disable_comment: z.boolean().optional(),
  disable_duet: z.boolean().optional(),
  disable_stitch: z.boolean().optional(),
  auto_add_music: z.boolean().optional(),
  brand_content_toggle: z.boolean().optional(),
  brand_organic_toggle: z.boolean().optional(),
  is_aigc: z.boolean().optional(),
  video_cover_timestamp_ms: z.number().int().optional(),
})
type PostInfo = z.infer<typeof PostInfo>

/** In UTF-16 units, as TikTok counts and as JavaScript does. */
const longest = { videoTitle: 2200, photoTitle: 90, photoDescription: 4000 }

function beginDraft(world: World, request: Request): Answer {
  const grant = admitted(world, request, ['video.upload'])
  const body = readObject(request)
  checkDrafts(world, grant.person)
  return beginVideo(world, request, body, { grant, mode: 'inbox', title: '', privacyLevel: null })
}

function beginPost(world: World, request: Request): Answer {
  const grant = admitted(world, request, ['video.publish'])
  const body = readObject(request)
  const info = readPostInfo(body, longest.videoTitle)
  const privacyLevel = checkPost(world, grant.person, info)
  return beginVideo(world, request, body, { grant, mode: 'direct', title: info.title, privacyLevel })
}

function beginPhotos(world: World, request: Request): Answer {
  const grant = admitted(world, request, ['video.upload', 'video.publish'])
  const { person } = grant
  const body = readObject(request)
  const { post_mode: postMode, media_type: mediaType } = body
  const mode = postMode === 'DIRECT_POST' ? 'direct' : 'inbox'
  if (mediaType !== 'PHOTO' || (postMode !== 'DIRECT_POST' && postMode !== 'MEDIA_UPLOAD'))
    throw new Refusal('invalid_params', 'Invalid media_type or post_mode')
  demandScope(world, grant, [mode === 'direct' ? 'video.publish' : 'video.upload'])
  const info = readPostInfo(body, longest.photoTitle, longest.photoDescription)
  const urls = readPhotoUrls(body)
  if (mode === 'inbox') checkDrafts(world, person)
  const privacyLevel = mode === 'direct' ? checkPost(world, person, info) : null
  for (const url of urls) checkUrl(world.settings, url)
  const prefix = mode === 'direct' ? 'p_pub_url~v2' : 'p_inbox_url~v2'
  const publication = newPublication(world, prefix, { grant, mode, title: info.title, privacyLevel }, 'photo')
  startPulling(world, publication, urls)
  return apiSuccess({ publish_id: publication.publish_id })
}

function admitted(world: World, request: Request, scopes: readonly ('video.upload' | 'video.publish')[]) {
  return admit(world, request, scopes, 'init', world.settings.init_per_minute)
}

interface Wish {
  readonly grant: Grant
  readonly mode: 'inbox' | 'direct'
  readonly title: string
  readonly privacyLevel: PrivacyLevel | null
}

function beginVideo(world: World, request: Request, body: Record<string, unknown>, wish: Wish): Answer {
  const source = readVideoSource(body)
  const isDraft = wish.mode === 'inbox'
  if (source.source === 'PULL_FROM_URL') {
    checkUrl(world.settings, source.video_url)
    const publication = newPublication(world, isDraft ? 'v_inbox_url~v2' : 'v_pub_url~v2', wish, 'video')
    startPulling(world, publication, [source.video_url])
    return apiSuccess({ publish_id: publication.publish_id })
  }
  const { video_size, chunk_size, total_chunk_count } = source
  const upload = { upload_id: someDigits(19), upload_token: randomBytes(24).toString('base64url') }
  const { publish_id } = newPublication(world, isDraft ? 'v_inbox_file~v2' : 'v_pub_file~v2-1', wish, 'video', {
    ...upload,
    video_size,
    chunk_size,
    total_chunk_count,
  })
  const upload_url = `${uploadOriginOf(request.origin)}/video/?${new URLSearchParams({ ...upload, client_key: world.settings.client_key })}`
  return apiSuccess({ publish_id, upload_url })
}

function newPublication(
  world: World,
  prefix: string,
  { grant, mode, title, privacyLevel }: Wish,
  media: Publication['media'],
  upload: Publication['upload'] = null,
): Publication {
  const publication: Publication = {
    publish_id: `${prefix}.${someDigits(19)}`,
    person: grant.person.id,
    open_id: grant.openId,
    media,
    mode,
    source: upload ? 'FILE_UPLOAD' : 'PULL_FROM_URL',
    created_at: world.clock.now(),
    title,
    privacy_level: privacyLevel,
    upload,
    bytes: 0,
    arrived_at: null,
    status: upload ? 'PROCESSING_UPLOAD' : 'PROCESSING_DOWNLOAD',
    fail_reason: null,
    note: null,
    posts: [],
  }
  world.publications.add(publication)
  return publication
}

function readPostInfo(
  body: Record<string, unknown>,
  longestTitle: number,
  longestDescription = Number.POSITIVE_INFINITY,
): PostInfo {
  const { data: info } = PostInfo.safeParse(body.post_info)
  if (!info) throw new Refusal('invalid_params', 'The request post info is empty or incorrect')
  if (info.title.length > longestTitle || info.description.length > longestDescription)
    throw new Refusal('invalid_params', 'The title or description is too long')
  return info
}

function checkDrafts({ settings, publications }: World, person: Person): void {
  if (person.creator.banned_from_posting)
    throw new Refusal('spam_risk_user_banned_from_posting', 'The user is banned from making new posts.')
  const limit = settings.pending_shares_per_day
  if (limit !== null && publications.pendingShares(person) >= limit)
    throw new Refusal('spam_risk_too_many_pending_share', 'There are too many pending shares in the last 24 hours.')
}

/** TikTok says the same sentence whatever is wrong with a direct post: the code is what tells. */
function checkPost(world: World, person: Person, info: PostInfo): PrivacyLevel {
  const guidelines = 'Please review our integration guidelines at https://developers.tiktok.com/doc/content-sharing-guidelines/'
  const why = whyNotPosting(world, person)
  if (why) throw new Refusal(why, guidelines)
  const level = privacyLevels.find((known) => known === info.privacy_level)
  const { audit } = world.settings
  if ((audit !== 'passed' && level !== 'SELF_ONLY') || (audit === 'private_account' && !person.creator.is_private))
    throw new Refusal('unaudited_client_can_only_post_to_private_accounts', guidelines)
  if (!level || !privacyOptions(person).includes(level)) throw new Refusal('privacy_level_option_mismatch', guidelines)
  return level
}
