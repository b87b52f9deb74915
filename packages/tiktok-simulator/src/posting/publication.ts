/** A video or a set of photos on its way to becoming a post: what was announced, how far it is, and what became of it. */
import { z } from 'zod'

export const privacyLevels = ['PUBLIC_TO_EVERYONE', 'MUTUAL_FOLLOW_FRIENDS', 'FOLLOWER_OF_CREATOR', 'SELF_ONLY'] as const
export type PrivacyLevel = (typeof privacyLevels)[number]

export const statuses = ['PROCESSING_UPLOAD', 'PROCESSING_DOWNLOAD', 'SEND_TO_USER_INBOX', 'PUBLISH_COMPLETE', 'FAILED'] as const
export type Status = (typeof statuses)[number]

export const failReasons = [
  'file_format_check_failed',
  'duration_check_failed',
  'frame_rate_check_failed',
  'picture_size_check_failed',
  'internal',
  'video_pull_failed',
  'photo_pull_failed',
  'publish_cancelled',
  'auth_removed',
  'spam_risk_too_many_posts',
  'spam_risk_user_banned_from_posting',
  'spam_risk_text',
  'spam_risk',
] as const
export type FailReason = (typeof failReasons)[number]

/** Times are milliseconds since 1970 by the simulator's clock. */
export const Post = z.strictObject({
  post_id: z.string(),
  title: z.string(),
  privacy_level: z.enum(privacyLevels),
  created_at: z.number(),
  /** Whether moderation has let it through, which only posts for everyone wait for. */
  moderated: z.boolean(),
  is_public: z.boolean(),
})
export type Post = z.infer<typeof Post>

/** The bytes that were announced for an upload, and the address that takes them. */
export const Upload = z.strictObject({
  upload_id: z.string(),
  upload_token: z.string(),
  video_size: z.number(),
  chunk_size: z.number(),
  total_chunk_count: z.number(),
})
export type Upload = z.infer<typeof Upload>

export const Publication = z.strictObject({
  publish_id: z.string(),
  /** Whose: the person's id here, not an open_id. */
  person: z.string(),
  /** Who that is to the app that publishes. */
  open_id: z.string(),
  media: z.enum(['video', 'photo']),
  mode: z.enum(['inbox', 'direct']),
  source: z.enum(['FILE_UPLOAD', 'PULL_FROM_URL']),
  created_at: z.number(),
  title: z.string(),
  /** null for a draft: its person chooses. */
  privacy_level: z.enum(privacyLevels).nullable(),
  /** null where TikTok pulls. */
  upload: Upload.nullable(),
  bytes: z.number(),
  /** When all of it was here; processing counts from there. */
  arrived_at: z.number().nullable(),
  status: z.enum(statuses),
  fail_reason: z.enum(failReasons).nullable(),
  /** What the simulator has to say beyond TikTok's reason. */
  note: z.string().nullable(),
  /** One for a direct post; a draft may be posted several times. */
  posts: z.array(Post),
})
export type Publication = z.infer<typeof Publication>

export function isUnderway({ status }: Publication): boolean {
  return status === 'PROCESSING_UPLOAD' || status === 'PROCESSING_DOWNLOAD'
}
