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

const count = (what: string) => z.number().describe(what)

/** Times are milliseconds since 1970 by the simulator's clock. */
export const Post = z
  .strictObject({
    post_id: z.string().describe('As in notices and lists of videos'),
    title: z.string().describe('As it was posted'),
    privacy_level: z.enum(privacyLevels).describe('Who may see it'),
    created_at: count('Milliseconds since 1970, by the simulated clock'),
    moderated: z.boolean().describe('Whether moderation has let it through, which only posts for everyone wait for'),
    is_public: z.boolean().describe('Whether everyone sees it'),
  })
  .describe('One of its posts')
export type Post = z.infer<typeof Post>

/** The bytes that were announced for an upload, and the address that takes them. */
export const Upload = z
  .strictObject({
    upload_id: z.string().describe('Part of its address'),
    upload_token: z.string().describe('Part of its address'),
    video_size: count('Bytes of the whole'),
    chunk_size: count('Bytes of all chunks but the last'),
    total_chunk_count: count('How many there are to be'),
  })
  .describe('What was announced')
export type Upload = z.infer<typeof Upload>

export const Publication = z.strictObject({
  publish_id: z.string().describe("TikTok's name of it"),
  person: z.string().describe('Whose: their id here, not an open_id'),
  open_id: z.string().describe('Who that is to the app that publishes'),
  media: z.enum(['video', 'photo']).describe('What it is'),
  mode: z.enum(['inbox', 'direct']).describe('A draft, or a post at once'),
  source: z.enum(['FILE_UPLOAD', 'PULL_FROM_URL']).describe('Who moves the bytes'),
  created_at: count('Milliseconds since 1970, by the simulated clock'),
  title: z.string().describe('Empty for a draft'),
  privacy_level: z.enum(privacyLevels).nullable().describe('null for a draft: its person chooses'),
  upload: Upload.nullable().describe('null where TikTok pulls'),
  bytes: count('How many have come'),
  arrived_at: z.number().nullable().describe('When all of it was here; processing counts from there'),
  status: z.enum(statuses).describe('As status/fetch says it'),
  fail_reason: z.enum(failReasons).nullable().describe('As status/fetch says it'),
  note: z.string().nullable().describe("What the simulator has to say beyond TikTok's reason"),
  posts: z.array(Post).describe('One for a direct post; a draft may be posted several times'),
})
export type Publication = z.infer<typeof Publication>

export function isUnderway({ status }: Publication): boolean {
  return status === 'PROCESSING_UPLOAD' || status === 'PROCESSING_DOWNLOAD'
}
